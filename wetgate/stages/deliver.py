"""DELIVER: masters and touch plane. Every file atomic and read back."""

from __future__ import annotations

import time
from collections.abc import Mapping

from media.reader import FrameReader
from restore.grain.av1 import TICKS_PER_S, entry, table_text
from wetgate.chain import grain_look
from wetgate.decisions import ShotDecisions
from wetgate.job import Job
from wetgate.layout import lay_out
from wetgate.manifest import DeliveredFile
from wetgate.pieces import deliver_piece, megapixels
from wetgate.plan import PlannedShot, variants
from wetgate.records import IngestedReel
from wetgate.size import size_of
from wetgate.stages.kept import Kept, small_file
from wetgate.stages.masters import OutFrame, deliver_movie, deliver_sequence, deliver_touch
from wetgate.stages.sidecar import deliver_sidecar


def deliver_reel(
    job: Job,
    ingested: IngestedReel,
    planned: Mapping[str, list[PlannedShot]],
    missing: frozenset[str],
    kept: Kept,
    reader: FrameReader,
) -> list[DeliveredFile]:
    """All deliverables of a reel. Files that are already right are left as they are.

    planned: shot id to its variants. missing: shots that failed; sequences are delivered
    without them, a movie is not delivered at all (it would be shorter than it says).
    raises: StorageFull, StoreError. Foreign files have been looked for before work began.
    """
    started = time.monotonic()
    reel = ingested.reel
    order = variants(job, reel)
    size = size_of(job.project, reel.format, reel.id)
    files: list[DeliveredFile] = []
    for deliverable in job.project.deliver:
        layout = lay_out(reel, deliverable, size.out_px)
        at = order.index(layout.variant)
        frames = [
            OutFrame(n, planned[shot.id][at])
            for shot in ingested.shots
            if shot.id not in missing
            for n in shot.frames
        ]
        folder = job.folder.deliver / deliverable.name
        if layout.movie:
            if not missing:
                path = folder / f"{reel.id}{layout.suffix}"
                files.append(deliver_movie(job, reader, layout, frames, path, kept))
        else:
            files += deliver_sequence(
                job, reader, deliverable, layout, frames, folder / reel.id, kept
            )
        files += deliver_sidecar(job, reel, layout, folder, kept)
    marked = next((d for d in job.project.deliver if d.touch), None)
    if marked is not None:
        at = order.index(lay_out(reel, marked, size.out_px).variant)
        frames = [
            OutFrame(n, planned[s.id][at])
            for s in ingested.shots
            if s.id not in missing
            for n in s.frames
        ]
        files += deliver_touch(job, reader, frames, kept)
    told: dict[str, object] = {"reel": reel.id, "files": len(files)}
    if not any(kept.get(f.path) is f for f in files):
        # Files that were right already would make delivery look quicker than it is.
        told |= {
            "frames": len(reel.frames),
            "does": deliver_piece(job.project, reel),
            "megapixels": round(megapixels(reel), 4),
            "seconds": round(time.monotonic() - started, 3),
        }
    job.events.emit("delivered", told)
    return files


def deliver_grain(
    job: Job,
    reels: Mapping[str, IngestedReel],
    decisions: Mapping[str, ShotDecisions],
    kept: Kept,
) -> list[DeliveredFile]:
    """grain/<reel>.tbl where it was asked for: the grain that was taken out and not given back,
    for an AV1 encoder to have decoders lay on. Shots without such grain have no entry."""
    if not job.project.restore.grain.av1_table:
        return []
    files = []
    for reel_id, ingested in reels.items():
        reel = ingested.reel
        ratio = size_of(job.project, reel.format, reel_id).ratio
        entries = []
        for shot in ingested.shots:
            decided = decisions[shot.id]
            share = 1.0 - decided.grain.kept
            if not decided.noise.applied or share <= 0.0:
                continue
            start, end = (
                int(TICKS_PER_S * (n - reel.range.start) / reel.rate)
                for n in (shot.frames.start, shot.frames.stop)
            )
            look = grain_look(decided.noise, decided.grain)
            # Each shot has a seed of its own, the same in every run.
            seed = decided.grain.seed + shot.frames.start
            entries.append(entry(look, share, ratio, seed, start, end))
        if entries:
            path = job.folder.deliver / "grain" / f"{reel_id}.tbl"
            files.append(small_file(job, path, table_text(entries).encode(), kept))
    return files
