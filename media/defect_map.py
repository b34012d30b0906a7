"""A plane beside the picture that shows dirt and not the picture: the scan's infra-red, mostly."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from media.errors import FrameMissing, InputError, ReelMixed, SourceChanged
from media.fixity import file_sha256
from media.frames import frames_text
from media.listing import list_sequence, missing_runs, named_runs
from media.reel import DefectMap, MapFrame, PictureFormat, Reel, SourceFrame
from media.scan import load, read_codes
from media.source import is_movie
from media.still.beside import channel_of
from media.write import AnyCodes, to_values

F32 = NDArray[np.float32]
_READERS = 4
"""Frames whose channel is read at once."""
_RESTORE = "put the map back as it was, or start a new output folder"


def open_map(
    reel: Reel, source: str, *, bright: bool, each: Callable[[], None] = lambda: None
) -> DefectMap:
    """The map of a reel, every frame of it there, of the picture's size, read once and hashed.

    source: ``alpha`` or ``channel:NAME`` for a channel of the scan's own files, else the folder or
    pattern of a sequence with the same numbers. bright: defects are bright in it. each: called
    between frames, to stop by raising.
    raises: FrameMissing, FrameUnreadable (NaN or Inf), InputError and its children, naming reel
    and frame; InputError for a map that is the same value everywhere.
    """
    channel = channel_name(source)
    if channel:
        _check_channel(reel, channel, each)
        return DefectMap(source=source, bright=bright)
    path = Path(source)
    if is_movie(path):
        raise InputError(
            "a defect map cannot be a movie",
            reel=reel.id,
            hint="give it as frames with the numbers of the scan",
        )
    files = dict(list_sequence(path, reel=reel.id, gaps=True)[0])
    wanted = [f.number for f in reel.frames if f.scanned]
    missing = [n for n in wanted if n not in files]
    if missing:
        have = sorted({wanted[0] - 1, wanted[-1] + 1, *(set(wanted) & set(files))})
        raise FrameMissing(
            f"the defect map lacks {frames_text(len(missing))} of the scan",
            reel=reel.id,
            frame=missing[0],
            hint=f"missing: {named_runs(missing_runs(have))}",
        )
    frames: dict[int, MapFrame] = {}
    fmt: PictureFormat | None = None
    values: set[float] = set()
    for number in wanted:
        each()
        found = load(files[number], reel=reel.id, frame=number)
        values |= _ends(_plane(found.codes, reel, number))
        fmt = fmt or found.format
        if found.format != fmt:
            raise ReelMixed(
                f"the defect map is {found.format} here and {fmt} before",
                reel=reel.id,
                frame=number,
                hint="export the map in one size and depth",
            )
        frames[number] = MapFrame(files[number], found.sha256, found.size_bytes, found.mtime_ns)
    _refuse_empty(reel, values)
    return DefectMap(source=source, bright=bright, format=fmt, frames=frames)


def channel_name(source: str) -> str:
    """The channel of the scan that a source names; empty for a sequence."""
    if source == "alpha":
        return "A"
    return source.removeprefix("channel:") if source.startswith("channel:") else ""


@dataclass(frozen=True)
class MapReader:
    """Reads the map of a reel by frame number. Thread-safe."""

    reel: Reel

    def read(self, number: int) -> F32:
        """(H, W) 0..1, full scale is 1; for a frame that shows another, the map of that one.

        raises: InputError and its children, SourceChanged.
        """
        found, frame = _map_of(self.reel), shown_by(self.reel, number)
        channel = channel_name(found.source)
        if channel:
            return _channel(self.reel, frame, channel)
        codes = read_codes(found.frames[frame.number].path, reel=self.reel.id, frame=frame.number)
        assert found.format is not None
        return to_values(_plane(codes, self.reel, frame.number), found.format)

    def verify(self, number: int) -> None:
        """raises: SourceChanged when the map is not the one that was ingested."""
        found, frame = _map_of(self.reel), shown_by(self.reel, number)
        kept = found.frames.get(frame.number)
        if kept is None:
            return
        try:
            stat = kept.path.stat()
            if (stat.st_size, stat.st_mtime_ns) == (kept.size_bytes, kept.mtime_ns):
                return
            same = file_sha256(kept.path) == kept.sha256
        except OSError as error:
            raise SourceChanged(
                f"the defect map {kept.path.name} cannot be read any more: {error.strerror}",
                reel=self.reel.id,
                frame=frame.number,
                hint=_RESTORE,
            ) from error
        if not same:
            raise SourceChanged(
                f"the defect map {kept.path.name} is not the one that was ingested",
                reel=self.reel.id,
                frame=frame.number,
                hint=_RESTORE,
            )


def shown_by(reel: Reel, number: int) -> SourceFrame:
    """The frame of the scan whose picture a frame shows: itself, mostly."""
    frame = reel.frame(number)
    if frame.shown is not None:
        return shown_by(reel, frame.shown)
    if frame.made_by is None:
        return frame
    return next(f for f in reel.frames if f.path == frame.path and f.scanned)


def map_digest(reel: Reel, number: int) -> str:
    """What identifies the plane of a frame, for keys; empty where the scan's own digest does."""
    kept = _map_of(reel).frames.get(shown_by(reel, number).number)
    return kept.sha256 if kept is not None else ""


def _map_of(reel: Reel) -> DefectMap:
    assert reel.defect_map is not None
    return reel.defect_map


def _check_channel(reel: Reel, channel: str, each: Callable[[], None]) -> None:
    """raises: InputError naming the first frame whose file lacks the channel, or whose samples
    are no numbers; before anything is measured, and not after half a night."""
    if reel.kind in ("movie", "dpx"):
        raise InputError(
            f"the defect map cannot be a channel of {'a movie' if reel.kind == 'movie' else 'DPX'}",
            reel=reel.id,
            hint="give it as a sequence of its own with the numbers of the scan",
        )

    def ends(frame: SourceFrame) -> set[float]:
        return _ends(_channel(reel, frame, channel))

    values: set[float] = set()
    scanned = [f for f in reel.frames if f.scanned]
    with ThreadPoolExecutor(_READERS, thread_name_prefix="map") as pool:
        for at in range(0, len(scanned), _READERS):
            each()
            values = values.union(*pool.map(ends, scanned[at : at + _READERS]))
    _refuse_empty(reel, values)


def _channel(reel: Reel, frame: SourceFrame, name: str) -> F32:
    """(H, W) a channel of a frame's own file. raises: InputError naming reel and frame."""
    try:
        plane = channel_of(frame.path, name)
    except InputError as error:
        error.reel, error.frame = reel.id, frame.number
        raise
    _check_size(plane.shape, reel, frame.number)
    return plane


def _ends(plane: NDArray[Any]) -> set[float]:
    return {float(plane.min()), float(plane.max())}


def _refuse_empty(reel: Reel, values: set[float]) -> None:
    """values: lowest and highest of each frame."""
    if len(values) == 1:
        raise InputError(
            f"the defect map is {values.pop():g} everywhere, on every frame: it shows nothing",
            reel=reel.id,
            hint="an alpha that an export has added is opacity, no defect map: leave it out",
        )


def _check_size(size: tuple[int, ...], reel: Reel, number: int) -> None:
    fmt = reel.format
    if tuple(size) != (fmt.height, fmt.width):
        raise InputError(
            f"the defect map is {size[1]}x{size[0]}, the scan {fmt.width}x{fmt.height}",
            reel=reel.id,
            frame=number,
            hint="export the map at the size of the scan",
        )


def _plane(codes: AnyCodes, reel: Reel, number: int) -> AnyCodes:
    """(H, W) of (H, W, C): the one channel, or three that are the same."""
    _check_size(codes.shape[:2], reel, number)
    plane: AnyCodes = codes[:, :, 0]
    if any(not np.array_equal(plane, codes[:, :, k]) for k in range(1, codes.shape[2])):
        raise InputError(
            "the defect map holds a color picture",
            reel=reel.id,
            frame=number,
            hint="give the infra-red plane as one channel",
        )
    return plane
