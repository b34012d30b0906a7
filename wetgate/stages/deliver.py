"""DELIVER: masters, touch plane, color files and the manifest. Every file atomic and re-read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from color.cdl_files import Correction, ccc_document, cdl_document
from color.edl import EdlEvent, edl_document
from color.lut import cube_document
from media.errors import StoreError
from media.movie_write import MovieWriter
from media.reel import PictureFormat, Reel
from media.scan import read_codes
from media.write import atomic_write_bytes, write_frame
from wetgate.chain import as_cdl, scale_of
from wetgate.config import Deliverable
from wetgate.decisions import ShotDecisions
from wetgate.files import digest, file_sha256
from wetgate.job import Job
from wetgate.layout import Layout, frame_name, lay_out
from wetgate.manifest import DeliveredFile
from wetgate.plan import PlannedShot, variants
from wetgate.records import IngestedReel
from wetgate.store import Chunk

WRITERS = 1
"""Rises when a delivered file would have other bytes for the same chunk."""

Kept = Mapping[str, DeliveredFile]
"""Files of the last delivery into this folder, by path."""


@dataclass(frozen=True, slots=True)
class _Frame:
    number: int
    shot: PlannedShot


def deliver_reel(
    job: Job,
    ingested: IngestedReel,
    planned: Mapping[str, list[PlannedShot]],
    missing: frozenset[str],
    kept: Kept,
) -> list[DeliveredFile]:
    """All deliverables of a reel. Files that are already right are left as they are.

    planned: shot id to its variants. missing: shots that failed; sequences are delivered
    without them, a movie is not delivered at all (it would be shorter than it says).
    raises: StorageFull, StoreError. Foreign files have been looked for before work began.
    """
    reel = ingested.reel
    order = variants(job, reel)
    files: list[DeliveredFile] = []
    for deliverable in job.project.deliver:
        layout = lay_out(reel, deliverable, scale_of(job.project))
        at = order.index(layout.variant)
        frames = [
            _Frame(n, planned[shot.id][at])
            for shot in ingested.shots
            if shot.id not in missing
            for n in shot.frames
        ]
        folder = job.folder.deliver / deliverable.name
        if layout.movie:
            if not missing:
                path = folder / f"{reel.id}{layout.suffix}"
                files.append(_movie(job, reel, layout, frames, path, kept))
        else:
            files += _sequence(job, reel, deliverable, layout, frames, folder / reel.id, kept)
    marked = next((d for d in job.project.deliver if d.touch), None)
    if marked is not None:
        at = order.index(lay_out(reel, marked, scale_of(job.project)).variant)
        frames = [
            _Frame(n, planned[s.id][at])
            for s in ingested.shots
            if s.id not in missing
            for n in s.frames
        ]
        files += _touch(job, reel, frames, kept)
    job.events.emit("delivered", {"reel": reel.id, "files": len(files)})
    return files


def deliver_color(
    job: Job,
    reels: Mapping[str, IngestedReel],
    decisions: Mapping[str, ShotDecisions],
    kept: Kept,
) -> list[DeliveredFile]:
    """<title>.ccc, <title>.cdl, an EDL per reel, and a .cube for each shot that is changed."""
    folder = job.folder.deliver / "color"
    corrections = [
        Correction(id=d.shot, cdl=as_cdl(d.balance), description=_describe(d))
        for d in decisions.values()
    ]
    name = _file_name(job.project.title)
    documents = {
        f"{name}.ccc": ccc_document(corrections),
        f"{name}.cdl": cdl_document(corrections),
    }
    for decision in decisions.values():
        cdl = as_cdl(decision.balance)
        if not cdl.is_identity():
            documents[f"luts/{decision.shot}.cube"] = cube_document(cdl)
    for reel_id, ingested in reels.items():
        events = [
            EdlEvent(id=s.id, frames=s.frames, cdl=as_cdl(decisions[s.id].balance))
            for s in ingested.shots
        ]
        reel = ingested.reel
        documents[f"{reel_id}.edl"] = edl_document(
            job.project.title, reel_id, reel.rate, reel.range.start, events, timecode=reel.timecode
        )
    return [
        _small(job, folder / file, text.encode(), kept) for file, text in sorted(documents.items())
    ]


def _describe(decisions: ShotDecisions) -> str:
    color = decisions.balance
    sure = f"confidence {color.confidence:.2f}"
    return f"{color.reason}; {sure}" if color.reason else f"{color.origin}; {sure}"


def _file_name(title: str) -> str:
    """The title as a file name: separators and control characters become underscores."""
    return "".join("_" if c in '/\\:*?"<>|' or ord(c) < 32 else c for c in title).strip(". ") or "_"


def _sequence(
    job: Job,
    reel: Reel,
    deliverable: Deliverable,
    layout: Layout,
    frames: list[_Frame],
    folder: Path,
    kept: Kept,
) -> list[DeliveredFile]:
    fmt = layout.variant.format

    def write(path: Path, number: int, chunk: Chunk, at: int) -> None:
        codes = chunk.codes[at]
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
        )
        if not np.array_equal(read_codes(path, reel=reel.id, frame=number), codes):
            raise StoreError("a delivered frame does not read back as written", frame=number)

    def name(number: int) -> Path:
        return folder / frame_name(reel, deliverable, number, layout.suffix)

    return _frames(job, reel, frames, name, f"{layout.kind} {fmt}", write, kept)


def _touch(job: Job, reel: Reel, frames: list[_Frame], kept: Kept) -> list[DeliveredFile]:
    def write(path: Path, number: int, chunk: Chunk, at: int) -> None:
        plane = chunk.touch[at][:, :, None]
        height, width = plane.shape[:2]
        fmt = PictureFormat(width=width, height=height, channels=1, bits=8)
        write_frame(path, plane, fmt, "png", frame=number, reel=reel.id)

    def name(number: int) -> Path:
        return job.folder.touch / reel.id / f"{reel.id}.{number:07d}.png"

    return _frames(job, reel, frames, name, "touch", write, kept)


def _frames(
    job: Job,
    reel: Reel,
    frames: list[_Frame],
    name: Callable[[int], Path],
    what: str,
    write: Callable[[Path, int, Chunk, int], None],
    kept: Kept,
) -> list[DeliveredFile]:
    """Write one file per frame, chunk by chunk; each chunk is read once, and only if needed."""
    done: list[DeliveredFile] = []
    groups: dict[str, list[tuple[_Frame, int]]] = {}
    for frame in frames:
        chunk, at = frame.shot.locate(frame.number)
        groups.setdefault(chunk.key + str(chunk.frames), []).append((frame, at))
    with ThreadPoolExecutor(2) as pool:
        for members in groups.values():
            job.check_stop()
            loaded: list[Chunk] = []
            futures = []
            for frame, at in members:
                chunk, _ = frame.shot.locate(frame.number)
                path = name(frame.number)
                path.parent.mkdir(parents=True, exist_ok=True)
                made_from = digest(
                    {
                        "writers": WRITERS,
                        "chunk": chunk.key,
                        "at": at,
                        "what": what,
                        "number": frame.number,
                        "template": reel.frame(frame.number).sha256,
                        "rate": str(reel.rate),
                    }
                )
                current = _still_right(job, path, made_from, kept)
                if current is not None:
                    done.append(current)
                    continue
                if not loaded:
                    loaded.append(job.store.get(chunk.key))
                futures.append(
                    (pool.submit(write, path, frame.number, loaded[0], at), path, made_from)
                )
            for future, path, made_from in futures:
                future.result()
                done.append(_delivered(job, path, made_from))
    return done


def _movie(
    job: Job, reel: Reel, layout: Layout, frames: list[_Frame], path: Path, kept: Kept
) -> DeliveredFile:
    """The whole reel as one file, frame for frame, with the sound of a movie source."""
    made_from = digest(
        {
            "writers": WRITERS,
            "codec": layout.kind,
            "chunks": [(f.shot.locate(f.number)[0].key, f.number) for f in frames],
            "rate": str(reel.rate),
            "timecode": reel.timecode,
            "encoding": reel.encoding,
        }
    )
    current = _still_right(job, path, made_from, kept)
    if current is not None:
        return current
    path.parent.mkdir(parents=True, exist_ok=True)
    key, chunk = "", None
    with MovieWriter(
        path,
        layout.variant.format,
        reel.rate,
        layout.kind,
        encoding=reel.encoding,
        timecode=reel.timecode,
        audio_from=reel.frames[0].path if reel.kind == "movie" else None,
    ) as writer:
        for frame in frames:
            job.check_stop()
            where, at = frame.shot.locate(frame.number)
            if where.key != key or chunk is None:
                key, chunk = where.key, job.store.get(where.key)
            writer.write(chunk.codes[at])
    return _delivered(job, path, made_from)


def _small(job: Job, path: Path, data: bytes, kept: Kept) -> DeliveredFile:
    made_from = digest({"writers": WRITERS, "text": data.decode()})
    current = _still_right(job, path, made_from, kept)
    if current is not None:
        return current
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_bytes(path, data)
    return _delivered(job, path, made_from)


def _still_right(job: Job, path: Path, made_from: str, kept: Kept) -> DeliveredFile | None:
    """The earlier file when it was made from the same and is still whole."""
    old = kept.get(_relative(job, path))
    if old is None or old.made_from != made_from or not path.is_file():
        return None
    if path.stat().st_size != old.bytes or file_sha256(path) != old.sha256:
        return None
    return old


def _delivered(job: Job, path: Path, made_from: str) -> DeliveredFile:
    """As it lies on disk: read back, not remembered."""
    return DeliveredFile(
        path=_relative(job, path),
        sha256=file_sha256(path),
        bytes=path.stat().st_size,
        made_from=made_from,
    )


def _relative(job: Job, path: Path) -> str:
    return path.relative_to(job.folder.root).as_posix()
