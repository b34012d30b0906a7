"""Room: chunks that no plan needs any more are removed, and nothing else is."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from media.errors import UsageError
from wetgate.crew import called
from wetgate.decisions import ShotDecisions
from wetgate.files import read_json
from wetgate.guard import sole_owner
from wetgate.job import Job
from wetgate.pins import read_pin
from wetgate.plan import plan_shot
from wetgate.stages.ingest import read_reel
from wetgate.trees import bytes_in


@dataclass(frozen=True, slots=True)
class Cleared:
    """What was removed, or would be."""

    chunks: int
    damaged: int
    bytes: int
    kept: int
    """Chunks that the title's decisions as they stand need."""


def clear_store(job: Job, *, dry: bool) -> Cleared:
    """Remove chunks that the decisions on disk do not lead to, and chunks set aside as damaged.

    Delivered files are never touched. dry: only count.
    Any kind of worker may do it: the pin of each shot says whose chunks are needed.
    raises: UsageError while a run is at work in the folder, or where none ever was.
    """
    with sole_owner(job.folder):
        needed = _needed(job)
        store = job.store
        keys = store.keys()
        spare = [store.place(k) for k in keys if k not in needed]
        damaged = sorted(job.folder.store.glob("damaged-*"))
        size = sum(bytes_in(p) for p in (*spare, *damaged))
        if not dry:
            for place in (*spare, *damaged):
                shutil.rmtree(place)
        return Cleared(len(spare), len(damaged), size, len(keys) - len(spare))


def _needed(job: Job) -> set[str]:
    call = called(job.folder)
    if call is None:
        raise UsageError(
            "no run was ever at work here, so it is not known which chunks are needed",
            hint="run 'wetgate run' first",
        )
    keys: set[str] = set()
    reels = [read_reel(job, config) for config in job.project.reels]
    decisions: dict[str, ShotDecisions] = {}
    for ingested in reels:
        for shot in ingested.shots:
            found = read_json(job.folder.decision(shot.reel, shot.id))
            # A shot that is not decided on has no chunks yet, and its neighbours may need it.
            decisions[shot.id] = (
                ShotDecisions.model_validate(found)
                if found is not None
                else ShotDecisions(
                    shot=shot.id,
                    reel=shot.reel,
                    frames=(shot.frames.start, shot.frames.stop - 1),
                )
            )
    for ingested in reels:
        for shot in ingested.shots:
            # A shot without a pin has no chunks, unless it was made before there were pins.
            made_by = read_pin(job.folder, shot) or call.numerics
            for planned in plan_shot(job, ingested, shot, decisions, made_by):
                keys.update(c.key for c in planned.chunks)
    return keys
