"""DELIVER: masters and touch plane. Every file atomic and read back."""

from __future__ import annotations

import time
from collections.abc import Mapping

from media.reader import FrameReader
from media.write import atomic_write_bytes
from restore.grain.av1 import table_text
from wetgate.decisions import ShotDecisions
from wetgate.files import digest
from wetgate.job import Job
from wetgate.layout import lay_out
from wetgate.manifest import DeliveredFile
from wetgate.pieces import deliver_piece, megapixels
from wetgate.plan import PlannedShot, variants
from wetgate.records import IngestedReel
from wetgate.size import size_of
from wetgate.stages.grain_told import TABLES, grain_told
from wetgate.stages.kept import WRITERS, Kept, delivered_file, still_right
from wetgate.stages.masters import OutFrame, deliver_movie, deliver_sequence, deliver_touch
from wetgate.stages.sidecar import deliver_sidecar
from wetgate.stages.verify import Verdict


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
    planned: Mapping[str, list[PlannedShot]],
    verdicts: Mapping[str, Verdict],
    kept: Kept,
) -> tuple[list[DeliveredFile], list[str]]:
    """grain/<reel>.tbl where it was asked for: the grain that was taken out and not given back,
    for an AV1 encoder to have decoders lay on. The verdicts say which shots are left out, and why;
    the second of what is returned says it of whole reels."""
    if not job.project.restore.grain.av1_table:
        return [], []
    files, notes = [], []
    for reel_id, ingested in reels.items():
        left_out = {
            shot.id: str(verdicts[shot.id]["grain"]["av1"]["left_out"])
            for shot in ingested.shots
            if shot.id in verdicts
        }
        told = [planned[s.id][0] for s in ingested.shots if left_out.get(s.id) == ""]
        if told:
            files.append(_grain_table(job, ingested, told, decisions, kept))
        first = next(((name, why) for name, why in left_out.items() if why), None)
        if first is not None:
            count = len(left_out) - len(told)
            what = f"are {count} of {len(left_out)} shots not in the" if told else "is no"
            notes.append(f"{reel_id}: there {what} AV1 film grain table; {first[0]}: {first[1]}")
    return files, notes


def _grain_table(
    job: Job,
    ingested: IngestedReel,
    told: list[PlannedShot],
    decisions: Mapping[str, ShotDecisions],
    kept: Kept,
) -> DeliveredFile:
    path = job.folder.deliver / "grain" / f"{ingested.reel.id}.tbl"
    # To find the filters of thousands of shots takes minutes.
    made_from = digest(
        {
            "writers": [WRITERS, TABLES],
            "shots": [[decisions[p.shot.id].model_dump(mode="json"), p.size.ratio] for p in told],
            "baked": told[0].variant.baked,
            "time": [str(ingested.reel.rate), ingested.reel.range.start],
        }
    )
    current = still_right(job, path, made_from, kept)
    if current is not None:
        return current
    found = [
        grain_told(ingested.reel, p.shot, decisions[p.shot.id], p.size, baked=p.variant.baked)
        for p in told
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    table = table_text([t.entry for t in found if t.entry is not None])
    atomic_write_bytes(path, table.encode())
    return delivered_file(job, path, made_from)
