"""The pictures of a delivery: sequences, movies and touch planes, out of the store or the scan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from media.ahead import in_order
from media.dpx import history_line
from media.errors import StoreError
from media.fixity import file_sha256, let_go
from media.movie.check import check_movie
from media.movie.write import MovieWriter
from media.passthrough import copy_frame
from media.reader import FrameReader
from media.reel import PictureFormat, Reel
from media.scan import load
from media.write import AnyCodes, atomic_write_bytes, write_frame
from wetgate import __version__
from wetgate.config import Deliverable
from wetgate.files import digest
from wetgate.job import Job
from wetgate.layout import Layout, frame_name
from wetgate.manifest import DeliveredFile
from wetgate.plan import PlannedShot
from wetgate.stages.kept import WRITERS, Kept, delivered_file, still_right

T = TypeVar("T")
Planes = NDArray[np.uint8]
_THREADS = 2
_AHEAD = 4


@dataclass(frozen=True, slots=True)
class OutFrame:
    """A frame to deliver, with the shot it was planned in."""

    number: int
    shot: PlannedShot

    @property
    def source(self) -> str:
        """What decides its pixels: the key of its chunk and its place there, or the scan."""
        if self.shot.untouched:
            return "scan"
        chunk, at = self.shot.locate(self.number)
        return f"{chunk.key} {at}"


@dataclass(frozen=True, slots=True)
class Picture:
    """Pixels of one frame."""

    codes: AnyCodes
    """(H, W, C) code values."""
    touch: NDArray[np.uint8]
    """(H, W) Effect per pixel."""


def deliver_sequence(
    job: Job,
    reader: FrameReader,
    deliverable: Deliverable,
    layout: Layout,
    frames: list[OutFrame],
    folder: Path,
    kept: Kept,
) -> list[DeliveredFile]:
    """One file per frame, each read back after it was written."""
    reel, fmt = reader.reel, layout.variant.format

    def write(path: Path, frame: OutFrame, picture: Callable[[], Picture]) -> str | None:
        number = frame.number
        if frame.shot.untouched and layout.kind == reel.kind:
            return copy_frame(reel, number, path)
        found = picture()
        codes = found.codes
        write_frame(
            path,
            codes,
            fmt,
            layout.kind,
            template=reel.frame(number).path if reel.kind != "movie" else None,
            frame=number,
            rate=reel.rate,
            reel=reel.id,
            frames_in_reel=len(reel.frames),
            history=_history(reel, number, layout, frame.shot) if found.touch.any() else None,
            moved_frames=_moved(reel, number),
        )
        back = load(path, reel=reel.id, frame=number, spare=True)
        if not np.array_equal(back.codes, codes):
            raise StoreError("a delivered frame does not read back as written", frame=number)
        let_go(path)
        return back.sha256

    def name(number: int) -> Path:
        return folder / frame_name(reel, deliverable, number, layout.suffix)

    def pictures(to_do: list[OutFrame]) -> Iterator[tuple[OutFrame, Callable[[], Picture]]]:
        return _pictures(job, reader, to_do)

    return _each(job, reader, frames, name, f"{layout.kind} {fmt}", pictures, write, kept)


def deliver_touch(
    job: Job, reader: FrameReader, frames: list[OutFrame], kept: Kept
) -> list[DeliveredFile]:
    """The touch plane: one lossless 8-bit frame per output frame."""
    reel = reader.reel
    # Planes that bear one mark all over are alike: the same picture gives the same bytes.
    even: dict[tuple[int, ...], bytes] = {}

    def write(path: Path, frame: OutFrame, plane: Callable[[], Planes]) -> str | None:
        found = plane()
        name = (*found.shape, int(found.flat[0])) if found.min() == found.max() else None
        if name in even:
            return _written_back(path, even[name])
        fmt = PictureFormat(width=found.shape[1], height=found.shape[0], channels=1, bits=8)
        write_frame(path, found[:, :, None], fmt, "png", frame=frame.number, reel=reel.id)
        if name is not None:
            even[name] = path.read_bytes()
        return None

    def name(number: int) -> Path:
        return job.folder.touch / reel.id / f"{reel.id}.{number:07d}.png"

    blank = _untouched(reel)

    def planes(to_do: list[OutFrame]) -> Iterator[tuple[OutFrame, Callable[[], Planes]]]:
        for frame, touch in _from_store(job, to_do, job.store.touch):
            plane = blank if touch is None else touch[frame.shot.locate(frame.number)[1]]
            yield frame, lambda plane=plane: plane  # type: ignore[misc]

    return _each(job, reader, frames, name, "touch", planes, write, kept)


def _written_back(path: Path, data: bytes) -> str:
    """Write a file and read it back. returns: its SHA-256. raises: StoreError, StorageFull."""
    atomic_write_bytes(path, data)
    return file_sha256(path)


def deliver_movie(
    job: Job,
    reader: FrameReader,
    layout: Layout,
    frames: list[OutFrame],
    path: Path,
    kept: Kept,
) -> DeliveredFile:
    """The whole reel as one file, frame for frame, with the sound of a movie source."""
    reel = reader.reel
    made_from = digest(
        {
            "writers": WRITERS,
            "codec": layout.kind,
            "frames": [
                (f.number, f.source, reel.frame(f.number).sha256 if f.shot.untouched else "")
                for f in frames
            ],
            "rate": str(reel.rate),
            "timecode": reel.timecode,
            "encoding": layout.variant.encoding or reel.encoding,
            "streams": reel.facts.get("streams") if reel.facts.get("sound") else None,
            "handed_on": [reel.facts.get(k) for k in ("tags", "pixel_aspect", "start_s")],
        }
    )
    current = still_right(job, path, made_from, kept)
    if current is not None:
        return current
    path.parent.mkdir(parents=True, exist_ok=True)
    with MovieWriter(
        path,
        layout.variant.format,
        reel.rate,
        layout.kind,
        encoding=layout.variant.encoding or reel.encoding,
        timecode=reel.timecode,
        tags=None if layout.variant.encoding else _tags(reel),
        pixel_aspect=Fraction(str(reel.facts.get("pixel_aspect", "1"))),
        streams_from=reel.frames[0].path if reel.facts.get("sound") else None,
        streams_start_s=Fraction(str(reel.facts.get("start_s", "0"))),
    ) as writer:
        for _, picture in _pictures(job, reader, frames):
            writer.write(picture().codes)  # type: ignore[arg-type]
    check_movie(path, reel, layout.kind, len(frames), writer.picture_digests)
    return delivered_file(job, path, made_from)


def _untouched(reel: Reel) -> NDArray[np.uint8]:
    return np.zeros((reel.format.height, reel.format.width), np.uint8)


def _tags(reel: Reel) -> tuple[int, int] | None:
    """Primaries and transfer of a movie source, to hand on."""
    found = reel.facts.get("tags")
    return (int(found[0]), int(found[1])) if isinstance(found, list) else None


def _each(
    job: Job,
    reader: FrameReader,
    frames: list[OutFrame],
    name: Callable[[int], Path],
    what: str,
    found: Callable[[list[OutFrame]], Iterator[tuple[OutFrame, Callable[[], T]]]],
    write: Callable[[Path, OutFrame, Callable[[], T]], str | None],
    kept: Kept,
) -> list[DeliveredFile]:
    """Write one file per frame, a few at once; files that are right already are left.

    found: frames with a way to what is written. write: returns the SHA-256 of what it read back,
    or None where it has read nothing back.
    """
    reel = reader.reel
    done: dict[int, DeliveredFile] = {}
    to_do: list[tuple[OutFrame, str]] = []
    for frame in frames:
        job.check_stop()
        made_from = digest(
            {
                "writers": WRITERS,
                "source": frame.source,
                "what": what,
                "number": frame.number,
                "template": reel.frame(frame.number).sha256,
                "rate": str(reel.rate),
            }
        )
        path = name(frame.number)
        current = still_right(job, path, made_from, kept)
        if current is not None:
            done[frame.number] = current
        else:
            to_do.append((frame, made_from))
            path.parent.mkdir(parents=True, exist_ok=True)
    made = {f.number: made_from for f, made_from in to_do}

    def one(item: tuple[OutFrame, Callable[[], T]]) -> DeliveredFile:
        frame, picture = item
        path = name(frame.number)
        read_back = write(path, frame, picture)
        return delivered_file(job, path, made[frame.number], read_back)

    waiting = found([f for f, _ in to_do])
    for (frame, _), file in zip(
        to_do, in_order(one, waiting, threads=_THREADS, ahead=_AHEAD), strict=True
    ):
        done[frame.number] = file
    return [done[f.number] for f in frames]


def _pictures(
    job: Job, reader: FrameReader, frames: list[OutFrame]
) -> Iterator[tuple[OutFrame, Callable[[], Picture]]]:
    """Frames with a way to their pixels. A scan is read when it is asked for."""
    for frame, chunk in _from_store(job, frames, job.store.get):
        if chunk is None:
            yield frame, _scanned(reader, frame)
            continue
        at = frame.shot.locate(frame.number)[1]
        codes = cast("AnyCodes", chunk.codes[at])
        picture = Picture(codes, chunk.touch[at])
        yield frame, lambda picture=picture: picture  # type: ignore[misc]


def _from_store(
    job: Job, frames: list[OutFrame], read: Callable[[str], T]
) -> Iterator[tuple[OutFrame, T | None]]:
    """Frames with what ``read`` gives for their chunk, read once; None for those of the scan."""
    key, found = "", None
    for frame in frames:
        job.check_stop()
        if frame.shot.untouched:
            yield frame, None
            continue
        where = frame.shot.locate(frame.number)[0]
        if where.key != key or found is None:
            # The last one goes before the next one comes.
            found = None
            key, found = where.key, read(where.key)
        yield frame, found


def _scanned(reader: FrameReader, frame: OutFrame) -> Callable[[], Picture]:
    def picture() -> Picture:
        reader.verify(frame.number)
        return Picture(reader.read(frame.number), _untouched(reader.reel))

    return picture


def _moved(reel: Reel, number: int) -> int:
    """How far a frame that was made lies after the frame whose header it is given."""
    frame = reel.frame(number)
    if frame.scanned:
        return 0
    shown = next(f.number for f in reel.frames if f.path == frame.path and f.scanned)
    return number - shown


def _history(reel: Reel, number: int, layout: Layout, shot: PlannedShot) -> str | None:
    """A line of process history for frames that were treated, or made."""
    frame = reel.frame(number)
    treatments = [op.name for op in shot.chain if op.name != "rebuild"]
    if number in shot.pictures.between:
        treatments.insert(0, "frame rebuilt from its neighbors")
    elif frame.made_by is not None:
        shown = number - _moved(reel, number) if frame.shown is None else frame.shown
        treatments.insert(0, f"frame held from {shown}")
    if not treatments:
        return None
    fmt = layout.variant.format
    return history_line(
        kind={"dpx": "DPXv2"}.get(layout.kind, layout.kind.upper()),
        bits=fmt.bits,
        width=fmt.width,
        height=fmt.height,
        model="RGB" if fmt.channels == 3 else "Y",
        software=f"Wetgate {__version__}",
        treatments=treatments,
    )
