"""What the scan's headers say, delivered beside pictures whose format has no place for it."""

from __future__ import annotations

import json
from pathlib import Path

from media.ahead import in_order
from media.reel import Reel, SourceFrame
from media.sidecar import sidecar_of
from media.write import atomic_write_bytes
from wetgate.files import digest
from wetgate.job import Job
from wetgate.layout import Layout
from wetgate.manifest import DeliveredFile
from wetgate.stages.kept import WRITERS, Kept, delivered_file, still_right

SUFFIX = ".source.jsonl"


def deliver_sidecar(
    job: Job, reel: Reel, layout: Layout, folder: Path, kept: Kept
) -> list[DeliveredFile]:
    """``<reel>.source.jsonl``: one line per frame of the scan, headers restorable bit for bit.

    Nothing is written where the deliverable is of the scan's own kind, whose headers are kept
    in the frames themselves, or for movies, which have none.
    """
    if reel.kind in ("movie", layout.kind):
        return []
    path = folder / f"{reel.id}{SUFFIX}"
    scanned = [f for f in reel.frames if f.scanned]
    made_from = digest({"writers": WRITERS, "headers": [[f.number, f.sha256] for f in scanned]})
    current = still_right(job, path, made_from, kept)
    if current is not None:
        return [current]

    def line(frame: SourceFrame) -> str:
        job.check_stop()
        found = sidecar_of(frame.path, reel=reel.id, frame=frame.number)
        return json.dumps(found, sort_keys=True, ensure_ascii=False)

    lines = in_order(line, scanned, threads=2, ahead=4)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_bytes(path, "".join(f"{text}\n" for text in lines).encode())
    return [delivered_file(job, path, made_from)]
