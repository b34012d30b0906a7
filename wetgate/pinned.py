"""Every shot by one kind of worker: whose a shot is now, and when another kind may begin it anew.

A shot is never continued by another kind than the one that began it. Where chunks are there that
its own kind made, and that kind is gone, it is begun anew under another pin; what was made before
lies in the store until ``wetgate gc``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from media.errors import WorkerError
from media.reel import Shot
from wetgate.crew import Phase, lease_name
from wetgate.decisions import ShotDecisions
from wetgate.job import Job
from wetgate.numerics import Numerics, kind_beside, kind_of
from wetgate.pins import known_pin, write_pin
from wetgate.plan import PlannedShot, plan_shot
from wetgate.records import IngestedReel

Variants = list[PlannedShot]


class OtherKind(WorkerError):
    """Another kind of worker has begun the shot, and this one may not go on with it."""

    retryable = False


def plan_pinned(
    job: Job,
    ingested: IngestedReel,
    shot: Shot,
    decisions: Mapping[str, ShotDecisions],
    before: Variants,
) -> Variants:
    """The plan of a shot under its pin as it stands now; ``before`` where that is still right."""
    pin = known_pin(job.folder, shot) or job.numerics
    return before if before[0].numerics == pin else plan_shot(job, ingested, shot, decisions, pin)


def left_to_others(job: Job, variants: Sequence[PlannedShot]) -> bool:
    """Is the shot half done by another kind of worker, which may yet be back to go on with it?

    Asks for the presence of chunks only. Where that kind is missed, its patience begins to run.
    A helper leaves all such shots to the leader.
    """
    numerics = variants[0].numerics
    if numerics == job.numerics or not 0 < _present(job, variants) < _chunks(variants):
        return False
    return job.helping or not _gone(job, numerics)


def begin(
    job: Job,
    ingested: IngestedReel,
    shot: Shot,
    decisions: Mapping[str, ShotDecisions],
    before: Variants,
) -> Variants:
    """The plan that this worker goes on with, now that it holds the shot's render lease.

    The shot is pinned to this kind of worker unless another has done all of it.
    raises: OtherKind where another kind has begun it, and is or may be there to go on.
    """
    variants = plan_pinned(job, ingested, shot, decisions, before)
    pin, own = known_pin(job.folder, shot), job.numerics
    if not _chunks(variants) or pin == own:
        return variants
    if pin is not None:
        # A damaged chunk is set aside by this: it is missing then.
        keys = [c.key for p in variants for c in p.chunks]
        whole = sum([job.store.check(key) for key in keys])
        if whole == len(keys):
            return variants
        if whole and (job.helping or not _gone(job, pin)):
            raise other_kind(job, shot, pin)
        told = {"shot": shot.id, "kind": kind_of(own), "instead_of": kind_beside(pin, own)}
        job.events.emit("begun_anew", {**told, "chunks_left": whole})
    elif job.folder.pin(shot.reel, shot.id).exists():
        job.events.emit("pin_damaged", {"shot": shot.id, "kind": kind_of(own)})
    _pin_here(job, shot)
    return plan_pinned(job, ingested, shot, decisions, variants)


def keep_pin(job: Job, shot: Shot, variants: Sequence[PlannedShot]) -> None:
    """Say once more who made a shot, where a worker that slept has written over it."""
    numerics = variants[0].numerics
    if _chunks(variants) and known_pin(job.folder, shot) != numerics:
        write_pin(job.folder, shot, numerics)


def other_kind(job: Job, shot: Shot, pin: Numerics) -> OtherKind:
    """What is said of a shot that has to be left alone."""
    return OtherKind(
        f"rendered by another kind of worker: {kind_beside(pin, job.numerics)}",
        reel=shot.reel,
        shot=shot.id,
        hint="start such a worker, or wait: after night.patience_s the shot is begun anew",
    )


def _pin_here(job: Job, shot: Shot) -> None:
    """raises: LeaseLost for a worker that was away when it should have written this."""
    job.at_hand()
    name = lease_name(Phase.RENDER, shot.id)
    if job.leases is not None:
        job.leases.check(name)
    write_pin(job.folder, shot, job.numerics)
    if job.leases is not None:
        job.leases.check(name)


def _gone(job: Job, numerics: Numerics) -> bool:
    return job.watch is None or job.watch.gone(numerics)


def _present(job: Job, variants: Sequence[PlannedShot]) -> int:
    return sum(job.store.has(c.key) for p in variants for c in p.chunks)


def _chunks(variants: Sequence[PlannedShot]) -> int:
    return sum(len(p.chunks) for p in variants)
