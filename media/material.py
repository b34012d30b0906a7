"""From what a project names (folder, pattern, movie) to a Reel, and frames read from it."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from media.dpx import metadata_rate
from media.encoding import encoding
from media.errors import FrameUnreadable, InputError, ReelMixed, SourceChanged
from media.movie import SUFFIXES, MovieInfo, MovieReader, inspect_movie
from media.reel import PictureFormat, Reel, SourceFrame
from media.scan import KINDS, Metadata, inspect, is_pattern, list_sequence, read_codes
from media.write import AnyCodes

_THREADS = 4
_BLOCK_BYTES = 1 << 20
_NAMED_OFFENDERS = 5


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
    """For Y'CbCr movies without tags: full or limited."""


Progress = Callable[[int, int], None]


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
    spec: SourceSpec, *, hash_frames: bool = True, progress: Progress | None = None
) -> Reel:
    """Look at every frame's header (movies: every packet), check, hash, and describe the reel.

    hash_frames: SHA-256 of each frame file, or of each decoded movie picture; without it
    digests are empty. progress: called with (frames done, frames in all), from this thread.
    raises: InputError and its children (see ``media.scan``, ``media.movie``), ReelMixed,
    EncodingUndeclared.
    """
    encoding(spec.encoding, reel=spec.reel)
    if spec.range not in (None, "full", "limited"):
        raise InputError(
            f"range {spec.range!r} is not known", hint="use full or limited", reel=spec.reel
        )
    if is_movie(spec.path):
        return _open_movie(spec, hash_frames, progress)
    if spec.path.is_file() and spec.path.suffix.lower() in KINDS:
        raise InputError(
            f"{spec.path.name} is a single frame",
            hint="give its folder, or a pattern such as R1.####.dpx",
            reel=spec.reel,
        )
    return _open_sequence(spec, hash_frames, progress)


def _open_sequence(spec: SourceSpec, hash_frames: bool, progress: Progress | None) -> Reel:
    files, kind = list_sequence(spec.path, reel=spec.reel)

    def look(item: tuple[int, Path]) -> tuple[PictureFormat, Metadata, str, int, int]:
        number, path = item
        fmt, metadata = inspect(path, reel=spec.reel, frame=number)
        try:
            stat = path.stat()
            digest = file_sha256(path) if hash_frames else ""
        except OSError as error:
            raise FrameUnreadable(
                f"{path.name}: {error.strerror}", reel=spec.reel, frame=number
            ) from error
        return fmt, metadata, digest, stat.st_size, stat.st_mtime_ns

    seen = []
    with ThreadPoolExecutor(_THREADS) as pool:
        for done, found in enumerate(pool.map(look, files), start=1):
            seen.append(found)
            if progress is not None:
                progress(done, len(files))
    fmt = _common_format(spec.reel, [number for number, _ in files], [s[0] for s in seen])
    metadata = seen[0][1]
    rate = spec.rate or metadata_rate(metadata)
    if rate is None:
        raise InputError(
            "no frame rate is stated and the frames carry none",
            hint="set reels.rate in the project, or --rate, for instance 24 or 18",
            reel=spec.reel,
        )
    frames = tuple(
        SourceFrame(
            number=number, path=path, index=k, sha256=digest, size_bytes=size, mtime_ns=mtime
        )
        for k, ((number, path), (_, _, digest, size, mtime)) in enumerate(
            zip(files, seen, strict=True)
        )
    )
    timecode = metadata.get("timecode")
    return Reel(
        id=spec.reel,
        rate=rate,
        encoding=spec.encoding,
        format=fmt,
        kind=kind,
        frames=frames,
        timecode=str(timecode) if timecode is not None else None,
        notes=_rate_notes(spec.rate, [metadata_rate(s[1]) for s in seen]),
    )


def _common_format(reel: str, numbers: list[int], formats: list[PictureFormat]) -> PictureFormat:
    usual = Counter(formats).most_common(1)[0][0]
    odd = [(n, f) for n, f in zip(numbers, formats, strict=True) if f != usual]
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


def _open_movie(spec: SourceSpec, hash_frames: bool, progress: Progress | None) -> Reel:
    if not spec.path.is_file():
        raise InputError(f"{spec.path} is not there", hint="check the path", reel=spec.reel)
    info = inspect_movie(spec.path, reel=spec.reel)
    stat = spec.path.stat()
    digests = [""] * info.frame_count
    with _movie_reader(spec, info) as reader:
        for index in range(info.frame_count if hash_frames else 0):
            digests[index] = _picture_sha256(reader.read(index))
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
        notes=notes,
    )


def _movie_reader(spec: SourceSpec, info: MovieInfo) -> MovieReader:
    matrix, full = _declared(info, spec.encoding, spec.matrix, spec.range)
    return MovieReader(spec.path, matrix, full, info=info, reel=spec.reel)


def _declared(
    info: MovieInfo, declared: str, matrix: str | None, levels: str | None
) -> tuple[str | None, bool | None]:
    """Matrix and full range to read a movie with; None leaves it to the movie's tags.

    Whoever declares ``rec709`` has declared ITU-R BT.709, which fixes matrix and levels too;
    what the project says and what the movie is tagged with go before that.
    """
    if declared == "rec709":
        matrix = matrix or info.matrix or "bt709"
        levels = levels or info.range or "limited"
    return matrix, None if levels is None else levels == "full"


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


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal. raises: OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _picture_sha256(codes: AnyCodes) -> str:
    little = np.ascontiguousarray(codes, dtype=codes.dtype.newbyteorder("<"))
    return hashlib.sha256(little.tobytes()).hexdigest()


class FrameReader:
    """Reads a reel's frames by scan number. Thread-safe: movies get one reader per thread."""

    def __init__(self, reel: Reel, *, matrix: str | None = None, range: str | None = None) -> None:  # noqa: A002
        """matrix, range: as in ``SourceSpec``, for Y'CbCr movies without tags."""
        self.reel = reel
        self._matrix, self._range = matrix, range
        self._local = threading.local()
        self._lock = threading.Lock()
        self._info: MovieInfo | None = None

    def read(self, number: int) -> AnyCodes:
        """Codes (H, W, C) of frame ``number``: uint8 or uint16, float32 for half and float.

        raises: FrameUnreadable, InputError, each naming reel and frame.
        """
        source = self.reel.frame(number)
        if self.reel.kind == "movie":
            codes: AnyCodes = self._movie().read(source.index)
        else:
            codes = read_codes(source.path, reel=self.reel.id, frame=number)
        fmt = self.reel.format
        if codes.shape != (fmt.height, fmt.width, fmt.channels):
            raise SourceChanged(
                f"{source.path.name} is {codes.shape} now, the reel is {fmt}",
                hint="ingest the reel again",
                reel=self.reel.id,
                frame=number,
            )
        return codes

    def verify(self, number: int) -> None:
        """Check that a frame is still the one that was ingested.

        Size and time are compared; only when they differ, the digest decides.
        raises: SourceChanged.
        """
        source = self.reel.frame(number)
        hint = "restore the scan, or ingest the reel again"
        try:
            stat = source.path.stat()
            if (stat.st_size, stat.st_mtime_ns) == (source.size_bytes, source.mtime_ns):
                return
            if self.reel.kind == "movie":
                self._forget_movie()
                digest = _picture_sha256(self._movie().read(source.index))
            else:
                digest = file_sha256(source.path)
        except (OSError, InputError) as error:
            raise SourceChanged(
                f"{source.path.name} cannot be read any more: {error}",
                hint=hint,
                reel=self.reel.id,
                frame=number,
            ) from error
        if digest != source.sha256:
            raise SourceChanged(
                f"{source.path.name} is not the frame that was ingested",
                hint=hint,
                reel=self.reel.id,
                frame=number,
            )

    def _movie(self) -> MovieReader:
        reader: MovieReader | None = getattr(self._local, "reader", None)
        if reader is None:
            path = self.reel.frames[0].path
            with self._lock:
                if self._info is None:
                    self._info = inspect_movie(path, reel=self.reel.id)
            matrix, full = _declared(self._info, self.reel.encoding, self._matrix, self._range)
            reader = MovieReader(path, matrix, full, info=self._info, reel=self.reel.id)
            self._local.reader = reader
        return reader

    def _forget_movie(self) -> None:
        with self._lock:
            self._info = None
        reader: MovieReader | None = getattr(self._local, "reader", None)
        if reader is not None:
            reader.close()
            self._local.reader = None
