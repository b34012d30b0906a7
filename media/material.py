"""From what a project names (folder, pattern, movie) to a Reel, each frame read once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

from media.ahead import in_order
from media.clock import clock_facts
from media.dpx import metadata_rate
from media.encoding import encoding
from media.errors import FrameUnreadable, InputError, ReelMixed, SourceChanged
from media.frames import rate_text
from media.gaps import filled
from media.listing import is_pattern, list_sequence
from media.movie import SUFFIXES, MovieInfo, MovieReader, inspect_movie
from media.movie_info import FRAME_COUNT, VARIABLE_RATE
from media.picture_digest import picture_sha256
from media.reader import declared_levels
from media.reel import PictureFormat, Reel, SampleType, SourceFrame
from media.scan import KINDS, Metadata, inspect, load
from media.write import AnyCodes

_THREADS = 4
_AHEAD = 6
_NAMED_OFFENDERS = 5

GapPolicy = Literal["", "keep", "hold", "rebuild"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSpec:
    """What a project says about a reel."""

    path: Path
    """Folder of frames, pattern (``R1.####.dpx``) or movie."""
    reel: str
    encoding: str
    """Declared color encoding, see ``media.encoding``."""
    rate: Fraction | None = None
    """Frames per second; None takes the rate of DPX headers or of the movie."""
    matrix: str | None = None
    """For Y'CbCr movies without tags: bt709, bt601 or bt2020."""
    range: str | None = None
    """Full or limited: for Y'CbCr movies without tags, and for sequences at video levels."""
    gaps: GapPolicy = ""
    """What to do about numbers that are missing: refuse (empty), keep the hole, hold the frame
    before it, or rebuild the frames from both sides. Hold and rebuild also take unreadable
    frames for missing."""
    accept: frozenset[str] = frozenset()
    """Faults of a movie that the project takes as they are, see ``media.movie_info``."""
    sound: bool = True
    """False leaves sound and other streams of a movie out of what is delivered."""
    untouched_s: float = 0.0
    """Refuse files changed more recently than this: somebody may still be copying."""


Progress = Callable[[int, int], None]
Sight = Callable[[int, AnyCodes, PictureFormat], None]
"""Called with (frame number, codes (H, W, C), their format) for every frame, in order."""


def is_movie(path: Path) -> bool:
    """Whether the name is that of a movie."""
    return path.suffix.lower() in SUFFIXES and not path.is_dir()


def reel_id_from(path: Path) -> str:
    """A reel id out of a source's name: folder name, movie stem, or a pattern's prefix."""
    if is_pattern(path):
        name = path.name.replace("%", "#")
        prefix = name[: name.index("#")].rstrip(" ._-")
        return prefix or path.resolve().parent.name
    if path.suffix.lower() in SUFFIXES or path.suffix.lower() in KINDS:
        return path.name if path.is_dir() else path.stem
    return path.name or path.resolve().name


def open_reel(
    spec: SourceSpec, *, progress: Progress | None = None, sight: Sight | None = None
) -> Reel:
    """Read every frame once: check it, hash it while it is read, show it, describe the reel.

    Headers are looked at first, so that a gap or a mix of formats is refused before hours of
    reading. progress: called with (frames done, frames in all); sight: with the pictures; both
    from this thread, in order. Frames that a gap policy makes are shown too.
    raises: InputError and its children (see ``media.scan``, ``media.movie``), ReelMixed,
    EncodingUndeclared, SourceChanged when files change while they are read.
    """
    encoding(spec.encoding, reel=spec.reel)
    if spec.range not in (None, "full", "limited"):
        raise InputError(
            f"range {spec.range!r} is not known", hint="use full or limited", reel=spec.reel
        )
    if is_movie(spec.path):
        return _open_movie(spec, progress, sight)
    if spec.path.is_file() and spec.path.suffix.lower() in KINDS:
        raise InputError(
            f"{spec.path.name} is a single frame",
            hint="give its folder, or a pattern such as R1.####.dpx",
            reel=spec.reel,
        )
    return _open_sequence(spec, progress, sight)


def _open_sequence(spec: SourceSpec, progress: Progress | None, sight: Sight | None) -> Reel:
    files, kind = list_sequence(spec.path, reel=spec.reel, gaps=bool(spec.gaps))
    _refuse_fresh(spec, files)
    bad: dict[int, str] = {}
    heads = _headers(spec, files, bad)
    fmt = _common_format(spec.reel, {n: head[0] for n, head in heads.items()})
    if spec.range == "limited" and fmt.sample is not SampleType.UINT:
        raise InputError(
            f"{fmt} has no video levels", hint="leave reels.range empty", reel=spec.reel
        )
    first_head = next(iter(heads.values()))[1]
    rate = spec.rate or metadata_rate(first_head)
    if rate is None:
        raise InputError(
            "no frame rate is stated and the frames carry none",
            hint="set reels.rate in the project, or --rate, for instance 24 or 18",
            reel=spec.reel,
        )
    frames: list[SourceFrame] = []
    readable = [(n, path) for n, path in files if n not in bad]
    shown = _Shown(spec, files[0][0], fmt, sight)
    for done, (item, found) in enumerate(
        zip(readable, _loaded(spec, readable, bad), strict=True), start=1
    ):
        number, path = item
        if progress is not None:
            progress(done, len(readable))
        if found is None:
            continue
        codes, digest, size, mtime = found
        shown.show(number, codes)
        frames.append(
            SourceFrame(
                number=number,
                path=path,
                index=len(frames),
                sha256=digest,
                size_bytes=size,
                mtime_ns=mtime,
            )
        )
    shown.finish(files[-1][0])
    _refuse_arrivals(spec, files)
    scanned, gap_notes = filled(spec.reel, spec.gaps, frames, files, bad)
    facts, clock_notes = clock_facts({n: head[1] for n, head in heads.items()}, rate)
    if bad:
        facts["unreadable"] = {str(n): why for n, why in sorted(bad.items())}
    timecode = first_head.get("timecode")
    return Reel(
        id=spec.reel,
        rate=rate,
        encoding=spec.encoding,
        format=fmt,
        levels=spec.range or "full",
        kind=kind,
        frames=scanned,
        timecode=str(timecode) if timecode is not None else None,
        facts=facts,
        notes=(
            *_rate_notes(spec.rate, [metadata_rate(head[1]) for head in heads.values()]),
            *clock_notes,
            *gap_notes,
        ),
    )


def _headers(
    spec: SourceSpec, files: list[tuple[int, Path]], bad: dict[int, str]
) -> dict[int, tuple[PictureFormat, Metadata]]:
    """Format and metadata of every frame by its header. Fills ``bad`` where policy allows."""

    def look(item: tuple[int, Path]) -> tuple[PictureFormat, Metadata] | FrameUnreadable:
        try:
            return inspect(item[1], reel=spec.reel, frame=item[0])
        except FrameUnreadable as error:
            return error

    heads = {}
    refused: list[FrameUnreadable] = []
    for (number, _), found in zip(
        files, in_order(look, files, threads=_THREADS, ahead=64), strict=True
    ):
        if not isinstance(found, FrameUnreadable):
            heads[number] = found
        elif spec.gaps in ("hold", "rebuild"):
            bad[number] = found.what
        else:
            refused.append(found)
            if len(refused) == _NAMED_OFFENDERS:
                break
    if refused:
        raise _all_named(refused)
    if not heads:
        raise InputError("no frame can be read", hint=next(iter(bad.values())), reel=spec.reel)
    return heads


def _all_named(errors: list[FrameUnreadable]) -> FrameUnreadable:
    first = errors[0]
    if len(errors) > 1:
        others = "; ".join(f"frame {e.frame}: {e.what}" for e in errors[1:])
        first.what = f"{first.what}; also {others}"
    return first


def _loaded(
    spec: SourceSpec, files: list[tuple[int, Path]], bad: dict[int, str]
) -> Iterator[tuple[AnyCodes, str, int, int] | None]:
    """Codes, digest, size and time of every file; None where policy takes it for missing."""

    def read(item: tuple[int, Path]) -> tuple[AnyCodes, str, int, int] | None:
        try:
            found = load(item[1], reel=spec.reel, frame=item[0])
        except FrameUnreadable as error:
            if spec.gaps not in ("hold", "rebuild"):
                raise
            bad[item[0]] = error.what
            return None
        return found.codes, found.sha256, found.size_bytes, found.mtime_ns

    return in_order(read, files, threads=_THREADS, ahead=_AHEAD)


class _Shown:
    """Shows pictures in order, those that a gap policy will make included."""

    def __init__(
        self, spec: SourceSpec, first: int, fmt: PictureFormat, sight: Sight | None
    ) -> None:
        self._fills = spec.gaps in ("hold", "rebuild")
        self._format = fmt
        self._next = first
        self._sight = sight
        self._last: AnyCodes | None = None

    def show(self, number: int, codes: AnyCodes) -> None:
        self._fill(number, self._last if self._last is not None else codes)
        if self._sight is not None:
            self._sight(number, codes, self._format)
        self._next, self._last = number + 1, codes

    def finish(self, last: int) -> None:
        if self._last is not None:
            self._fill(last + 1, self._last)

    def _fill(self, until: int, codes: AnyCodes) -> None:
        if self._fills and self._sight is not None:
            for number in range(self._next, until):
                self._sight(number, codes, self._format)


def _refuse_fresh(spec: SourceSpec, files: list[tuple[int, Path]]) -> None:
    """raises: SourceChanged when a file was changed too recently to be trusted as finished."""
    if spec.untouched_s <= 0:
        return
    now = time.time()
    for number, path in files:
        age_s = now - path.stat().st_mtime
        if age_s < spec.untouched_s:
            raise SourceChanged(
                f"{path.name} was changed {max(0.0, age_s):.0f} s ago: it may still be copied",
                hint=f"wait until the scan has rested for {spec.untouched_s:.0f} s",
                reel=spec.reel,
                frame=number,
            )


def _refuse_arrivals(spec: SourceSpec, files: list[tuple[int, Path]]) -> None:
    """raises: SourceChanged when frames came or went while the reel was read."""
    now, _ = list_sequence(spec.path, reel=spec.reel, gaps=True)
    changed = {n for n, _ in now} ^ {n for n, _ in files}
    if changed:
        raise SourceChanged(
            f"{len(changed)} frames came or went while the reel was read: it is still being copied",
            hint="wait until the copy is complete, then run again",
            reel=spec.reel,
            frame=min(changed),
        )


def _common_format(reel: str, formats: dict[int, PictureFormat]) -> PictureFormat:
    usual = Counter(formats.values()).most_common(1)[0][0]
    odd = [(n, f) for n, f in formats.items() if f != usual]
    if odd:
        named = "; ".join(f"frame {n} is {f}" for n, f in odd[:_NAMED_OFFENDERS])
        more = f" and {len(odd) - _NAMED_OFFENDERS} more" if len(odd) > _NAMED_OFFENDERS else ""
        raise ReelMixed(
            f"most frames are {usual}, but {named}{more}",
            hint="scan these frames again, or give the parts as reels of their own",
            reel=reel,
            frame=odd[0][0],
        )
    return usual


def _rate_notes(stated: Fraction | None, found: list[Fraction | None]) -> tuple[str, ...]:
    notes = []
    rates = {rate for rate in found if rate is not None}
    if len(rates) > 1:
        notes.append("frame headers state several rates: " + ", ".join(map(str, sorted(rates))))
    elif stated is not None and rates and stated not in rates:
        notes.append(f"headers say {min(rates)} frames per second, the project says {stated}")
    return tuple(notes)


def _open_movie(spec: SourceSpec, progress: Progress | None, sight: Sight | None) -> Reel:
    if not spec.path.is_file():
        raise InputError(f"{spec.path} is not there", hint="check the path", reel=spec.reel)
    _refuse_fresh(spec, [(0, spec.path)])
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
    notes = _rate_notes(spec.rate, [info.rate]) + _untagged(info, spec)
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
    if spec.sound and info.audio_streams and spec.rate not in (None, info.rate):
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
        "start_s": str(info.start_s),
        "sound": spec.sound,
        "streams": [asdict(s) for s in info.others],
    }


def _accepted(info: MovieInfo, spec: SourceSpec) -> tuple[str, ...]:
    """What the project took as it is, and what was found beside the picture."""
    notes = []
    if VARIABLE_RATE in spec.accept and spec.rate is not None:
        notes.append(f"every picture counts as one frame at {rate_text(spec.rate)}")
    if FRAME_COUNT in spec.accept and info.promised_frames not in (None, info.frame_count):
        notes.append(
            f"the container promises {info.promised_frames} pictures, "
            f"{info.frame_count} are there and were taken"
        )
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
