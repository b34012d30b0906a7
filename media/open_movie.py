"""A movie as a reel: every packet looked at, every picture decoded and hashed once."""

from __future__ import annotations

from dataclasses import asdict
from fractions import Fraction

from media.arrival import refuse_fresh
from media.errors import InputError
from media.fixity import picture_sha256
from media.frames import rate_text
from media.movie import MovieInfo, MovieReader, inspect_movie
from media.movie.copied import COPIED
from media.movie.info import FRAME_COUNT, VARIABLE_RATE
from media.reader import declared_levels
from media.reel import Reel, SourceFrame
from media.source import Progress, Sight, SourceSpec, rate_notes


def open_movie(spec: SourceSpec, progress: Progress | None, sight: Sight | None) -> Reel:
    """See ``media.material.open_reel``."""
    if not spec.path.is_file():
        raise InputError(f"{spec.path} is not there", hint="check the path", reel=spec.reel)
    refuse_fresh(spec, [(0, spec.path)])
    info = inspect_movie(spec.path, reel=spec.reel, accept=spec.accept)
    _refuse_drift(spec, info)
    stat = spec.path.stat()
    digests = []
    with _movie_reader(spec, info) as reader:
        for index in range(info.frame_count):
            codes = reader.read(index)
            digests.append(picture_sha256(codes))
            if sight is not None:
                sight(index, codes, info.format)
            if progress is not None:
                progress(index + 1, info.frame_count)
    notes = rate_notes(spec.rate, [info.rate]) + _untagged(info, spec)
    if info.interlaced:
        notes += ("the movie is flagged as interlaced; it is read as whole frames",)
    return Reel(
        id=spec.reel,
        rate=spec.rate or info.rate,
        encoding=spec.encoding,
        format=info.format,
        kind="movie",
        frames=tuple(
            SourceFrame(
                number=k,
                path=spec.path,
                index=k,
                sha256=digest,
                size_bytes=stat.st_size,
                mtime_ns=stat.st_mtime_ns,
            )
            for k, digest in enumerate(digests)
        ),
        timecode=info.timecode,
        facts=_movie_facts(info, spec),
        notes=(*notes, *_accepted(info, spec)),
    )


def _refuse_drift(spec: SourceSpec, info: MovieInfo) -> None:
    """raises: InputError when another speed would leave the sound behind, or is not stated."""
    if VARIABLE_RATE in spec.accept and spec.rate is None:
        raise InputError(
            f"{spec.path.name}: pictures are to count as one frame each, at a rate not stated",
            hint="set reels.rate, or --rate, for instance 24 or 18",
            reel=spec.reel,
        )
    drift_s = info.drift_s(spec.rate) if spec.rate is not None else Fraction(0)
    variable = VARIABLE_RATE in spec.accept and spec.rate is not None
    if spec.sound and info.audio_streams and variable and 2 * drift_s * (spec.rate or 1) > 1:
        raise InputError(
            f"{spec.path.name}: counted as one frame each, pictures are up to "
            f"{float(drift_s):.3f} s away from their sound",
            hint="set reels.sound = false to deliver without sound",
            reel=spec.reel,
        )
    if spec.sound and info.audio_streams and not variable and spec.rate not in (None, info.rate):
        raise InputError(
            f"{spec.path.name} runs at {rate_text(info.rate)} frames per second with sound; at "
            f"{rate_text(spec.rate or info.rate)} the sound would no longer be in sync",
            hint="leave reels.rate empty, or set reels.sound = false to deliver without sound",
            reel=spec.reel,
        )


def _movie_facts(info: MovieInfo, spec: SourceSpec) -> dict[str, object]:
    return {
        "codec": info.codec,
        "pixel_format": info.pix_fmt,
        "matrix": info.matrix,
        "range": info.range,
        "primaries": info.primaries,
        "transfer": info.transfer,
        "tags": [info.primaries_code, info.transfer_code],
        "interlaced": info.interlaced,
        "pixel_aspect": str(info.pixel_aspect),
        "rotation_deg": info.rotation_deg,
        "start_s": str(info.start_s),
        "sound": spec.sound,
        "streams": [asdict(s) for s in info.others],
    }


def _accepted(info: MovieInfo, spec: SourceSpec) -> tuple[str, ...]:
    """What the project took as it is, and what was found beside the picture."""
    notes = []
    if VARIABLE_RATE in spec.accept and spec.rate is not None:
        drift_s = float(info.drift_s(spec.rate))
        notes.append(
            f"every picture counts as one frame at {rate_text(spec.rate)}, "
            f"up to {drift_s:.3f} s from where it was shown"
        )
    if FRAME_COUNT in spec.accept and info.promised_frames not in (None, info.frame_count):
        notes.append(
            f"the container promises {info.promised_frames} pictures, "
            f"{info.frame_count} are there and were taken"
        )
    if info.by_order:
        notes.append("the container's times are wrong: pictures are told apart by their order")
    if info.rotation_deg:
        notes.append(f"players turn the picture by {info.rotation_deg:g} degrees; it is not turned")
    left = [f"{s.kind} {s.index}" for s in info.others if s.kind not in COPIED]
    if left:
        notes.append(f"streams that are not copied: {', '.join(left)}")
    if info.others and not spec.sound:
        notes.append(f"{len(info.others)} other streams are left out, as the project says")
    return tuple(notes)


def _movie_reader(spec: SourceSpec, info: MovieInfo) -> MovieReader:
    matrix, full = declared_levels(info, spec.encoding, spec.matrix, spec.range)
    return MovieReader(spec.path, matrix, full, info=info, reel=spec.reel)


def _untagged(info: MovieInfo, spec: SourceSpec) -> tuple[str, ...]:
    taken = [
        f"{what} taken as {value}, because rec709 is declared and the movie has no tag"
        for what, tag, given, value in (
            ("matrix", info.matrix, spec.matrix, "bt709"),
            ("range", info.range, spec.range, "limited"),
        )
        if spec.encoding == "rec709" and tag is None and given is None
    ]
    return tuple(taken)
