"""The whole job, top to bottom, on this machine: start or resume, it is the same."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from media.errors import (
    CalledOff,
    InputError,
    StorageFull,
    StorageGone,
    StoreError,
    WetgateError,
)
from restore.memory import memory_named
from wetgate.agenda import write_agenda
from wetgate.config import ReelConfig
from wetgate.crew import Phase, announce, dismiss, helpers, offer, own_shot, own_shot_if_free
from wetgate.decisions import ShotDecisions
from wetgate.estimate import rough_bytes
from wetgate.guard import check_room, sweep_unfinished
from wetgate.job import Job
from wetgate.leases import LEAD
from wetgate.numerics import kind_beside, kind_of
from wetgate.pinned import (
    OtherKind,
    begin,
    keep_pin,
    left_to_others,
    plan_pinned,
)
from wetgate.pins import known_pin
from wetgate.plan import PlannedShot, plan_shot
from wetgate.priority import in_order
from wetgate.records import IngestedReel
from wetgate.stages.analyse import analyse_shot, measured_before, too_small
from wetgate.stages.finish import Outcome, finish_title
from wetgate.stages.ingest import ingest_reel, reel_name
from wetgate.stages.render import all_cached, render_shot
from wetgate.stages.solve import solve_title, wanted_probes
from wetgate.stages.verify import Verdict, kept_verdict, verify_shot
from wetgate.trees import bytes_in
from wetgate.upscale_model import check_model

TRIES = 3
_LOOK_S = 1.0
"""How often a shot that another kind of worker has begun is looked at."""
T = TypeVar("T")
_ORPHAN_AGE_S = 0.0
"""With no helper alive: whatever is half-made there belongs to a worker that died."""


@dataclass
class Title:
    """What is known about a title as its stages run. Every part can be read from disk again."""

    configs: dict[str, ReelConfig] = field(default_factory=dict)
    reels: dict[str, IngestedReel] = field(default_factory=dict)
    evidence: dict[str, dict[str, Any]] = field(default_factory=dict)
    decisions: dict[str, ShotDecisions] = field(default_factory=dict)
    planned: dict[str, list[PlannedShot]] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    failures: dict[str, WetgateError] = field(default_factory=dict)
    tried: set[str] = field(default_factory=set)
    """Shots whose turn has come on this worker, or that were done before their turn."""
    _reel_of: dict[str, str] = field(default_factory=dict)
    _probes: frozenset[str] | None = None

    def shot_ids(self) -> list[str]:
        """All shots, in reel and running order."""
        return [s.id for r in self.reels.values() for s in r.shots]

    def reel_of(self, shot_id: str) -> str:
        """The reel a shot belongs to. raises: KeyError."""
        if shot_id not in self._reel_of:
            self._reel_of.update({s.id: n for n, r in self.reels.items() for s in r.shots})
        return self._reel_of[shot_id]

    def probes(self, job: Job) -> frozenset[str]:
        """What is measured on every shot, worked out once. raises: ConfigError."""
        if self._probes is None:
            self._probes = wanted_probes(job, set(self.shot_ids()))
        return self._probes


def run_title(job: Job, before_report: Callable[[Job, Title], None] | None = None) -> Outcome:
    """INGEST, ANALYSE, SOLVE, PLAN, RENDER, VERIFY, DELIVER.

    raises: InputError and ConfigError before work begins; StorageFull when the disk fills up
    (run again to go on); Interrupted. A shot that fails is parked and reported, not raised.
    """
    title = Title()
    ingest(job, title)
    for name, future in job.spread(lambda s: analyse(job, title, s), title.shot_ids()):
        title.evidence[name] = future.result()
    decide(job, title)
    for name, shot in job.spread(lambda s: restore(job, title, s), line_up(job, title)):
        settle_shot(job, title, name, shot.result)
    if before_report is not None:
        before_report(job, title)
    return deliver(job, title)


def ingest(job: Job, title: Title, *, pictures: bool = True) -> None:
    """All reels, in the order of the project; a short look at the disk before long work.

    pictures: False when nothing is going to be rendered.
    """
    announce(job, Phase.WAIT)
    if pictures:
        check_model(job.project)
    if not helpers(job):
        job.store.sweep(_ORPHAN_AGE_S, time.time())
        sweep_unfinished(job.folder)
    for config in job.project.reels:
        name = reel_name(config)
        title.configs[name] = config
        title.reels[name] = ingest_reel(job, config)
    check_shot_ids(title)
    line_up(job, title)
    if pictures:
        check_room(job.folder, job.project.night, _bytes_to_come(job, title))
    announce(job, Phase.ANALYSE, title.shot_ids())


def check_shot_ids(title: Title) -> None:
    """raises: InputError when two reels list shots under the same name."""
    for shot, count in Counter(title.shot_ids()).items():
        if count > 1:
            raise InputError(
                f"{count} shots have this name",
                reel=title.reel_of(shot),
                shot=shot,
                hint="rename them in the shot lists, or set reels.id",
            )


def analyse(job: Job, title: Title, shot_id: str) -> dict[str, Any]:
    """Evidence of one shot; empty when nothing is asked for that it would decide."""
    wanted = title.probes(job)
    if not wanted:
        return {}
    reel = title.reel_of(shot_id)
    ingested = title.reels[reel]
    if too_small(ingested.reel):
        return {}
    shot = ingested.shot(shot_id)

    def work() -> dict[str, Any]:
        with own_shot(job, Phase.ANALYSE, shot_id):
            return analyse_shot(job, title.configs[reel], ingested, shot, wanted)

    with memory_named(shot=shot_id):
        return _lasting(job, ingested, work)


def analysed_before(job: Job, title: Title) -> None:
    """Take the evidence of shots that is whole on disk. A scheduler need not be asked for these."""
    wanted = title.probes(job)
    for ingested in title.reels.values():
        for shot in ingested.shots:
            job.check_stop()
            if not wanted or too_small(ingested.reel):
                title.evidence[shot.id] = {}
                continue
            with suppress(StoreError, OSError):
                found = measured_before(job, ingested, shot, wanted)
                if found is not None:
                    title.evidence[shot.id] = found


def restored_before(job: Job, title: Title) -> None:
    """Take the verdicts of shots whose chunks lie whole in the store."""
    for shot_id in line_up(job, title):
        job.check_stop()
        try:
            found = _done_before(job, title, shot_id)
        except (StorageFull, StorageGone, CalledOff):
            raise
        except (WetgateError, OSError):
            # What is wrong with a shot is met and said in its turn.
            continue
        if found is not None:
            title.tried.add(shot_id)
            title.verdicts[shot_id] = found
            job.events.emit("shot_done", {"shot": shot_id, "verdict": found["verdict"]})


def decide(job: Job, title: Title) -> None:
    """Decisions for all shots at once, and the chunks that follow from them."""
    title.decisions = solve_title(job, title.reels, title.evidence)
    for ingested in title.reels.values():
        for shot in ingested.shots:
            title.planned[shot.id] = plan_shot(job, ingested, shot, title.decisions)
    chunks = [c for variants in title.planned.values() for p in variants for c in p.chunks]
    missing = sum(len(c.frames) for c in chunks if not job.store.has(c.key))
    job.events.emit("planned", {"chunks": len(chunks), "frames_missing": missing})
    if job.leases is not None:
        write_agenda(job, title.reels, title.evidence, title.planned)
    announce(job, Phase.RENDER, title.shot_ids(), title.planned)


def restore(job: Job, title: Title, shot_id: str) -> Verdict:
    """Render and verify one shot; tries again where that can help."""
    for attempt in range(1, TRIES):
        try:
            return restore_once(job, title, shot_id)
        except (StorageFull, StorageGone):
            raise
        except WetgateError as error:
            if not error.retryable:
                raise
            job.events.emit("retry", {**error.as_dict(), "shot": shot_id, "attempt": attempt})
    return restore_once(job, title, shot_id)


def restore_once(job: Job, title: Title, shot_id: str) -> Verdict:
    """Render one shot in all its variants, then verify the first. Waits for disks that are away."""
    ingested = title.reels[title.reel_of(shot_id)]
    with memory_named(shot=shot_id):
        return _lasting(job, ingested, lambda: _restore_shot(job, title, shot_id))


def _restore_shot(job: Job, title: Title, shot_id: str) -> Verdict:
    """Where another kind of worker has begun the shot, and one may be there to go on with it,
    shots whose turn is later are made before it."""
    title.tried.add(shot_id)
    offered = False
    while True:
        found = _done_before(job, title, shot_id)
        if found is not None:
            break
        if not left_to_others(job, title.planned[shot_id]):
            try:
                with own_shot(job, Phase.RENDER, shot_id):
                    found = _make(job, title, shot_id)
                break
            except OtherKind:
                if job.helping:
                    raise
                offered = False
        if not offered:
            leave_to_others(job, title, shot_id)
            offered = True
        job.gate()
        if not _make_another(job, title):
            job.stopping.wait(_LOOK_S)
    job.events.emit("shot_done", {"shot": shot_id, "verdict": found["verdict"]})
    return found


def _make_another(job: Job, title: Title) -> bool:
    """Make the next shot that can be made here, for a hand that would wait. False: there is none.

    Its turn comes all the same, and finds it done, or meets the error that it met here.
    """
    for shot_id in line_up(job, title):
        if shot_id in title.tried or left_to_others(job, replan(job, title, shot_id)):
            continue
        try:
            with own_shot_if_free(job, Phase.RENDER, shot_id) as free:
                if not free:
                    continue
                title.tried.add(shot_id)
                found = _make(job, title, shot_id)
        except (StorageFull, StorageGone, CalledOff):
            raise
        except WetgateError:
            return True
        job.events.emit("shot_done", {"shot": shot_id, "verdict": found["verdict"]})
        return True
    return False


def replan(job: Job, title: Title, shot_id: str) -> list[PlannedShot]:
    """The plan of a shot under its pin as it stands now."""
    ingested = title.reels[title.reel_of(shot_id)]
    shot, before = ingested.shot(shot_id), title.planned[shot_id]
    title.planned[shot_id] = plan_pinned(job, ingested, shot, title.decisions, before)
    return title.planned[shot_id]


def leave_to_others(job: Job, title: Title, shot_id: str) -> None:
    """Say that a shot waits for the kind of worker that has begun it, and call for such a one."""
    offer(job, shot_id)
    numerics = title.planned[shot_id][0].numerics
    kind = kind_beside(numerics, job.numerics)
    job.events.emit("left_to_another_kind", {"shot": shot_id, "kind": kind})


def _done_before(job: Job, title: Title, shot_id: str) -> Verdict | None:
    """A shot that is done is only looked at: a lease for each of thousands takes minutes."""
    ingested, variants = title.reels[title.reel_of(shot_id)], replan(job, title, shot_id)
    decisions, evidence = title.decisions[shot_id], title.evidence[shot_id]
    rendered = any(not p.untouched for p in variants)
    if rendered and known_pin(job.folder, variants[0].shot) is None:
        # Made before there were pins: it gets one, under its lease.
        return None
    kept = kept_verdict(job, ingested, variants[0], decisions, evidence)
    return kept if kept is not None and all_cached(job, variants) else None


def _make(job: Job, title: Title, shot_id: str) -> Verdict:
    """Render and verify under the shot's lease; only verify what another kind has rendered."""
    reel = title.reel_of(shot_id)
    ingested, decisions = title.reels[reel], title.decisions
    shot = ingested.shot(shot_id)
    variants = begin(job, ingested, shot, decisions, title.planned[shot_id])
    title.planned[shot_id] = variants
    job.events.emit("shot_started", {"shot": shot_id, "kind": kind_of(variants[0].numerics)})
    # With fewer shots than workers, a shot is rendered in several stretches at once.
    lanes = max(1, job.workers // len(title.planned))
    for planned in variants:
        render_shot(job, title.configs[reel], ingested, planned, lanes)
    evidence = title.evidence[shot_id]
    found = verify_shot(job, ingested, variants[0], decisions[shot_id], evidence)
    keep_pin(job, shot, variants)
    return found


def line_up(job: Job, title: Title) -> list[str]:
    """Shots in the order they are restored in: ``night.first`` before the rest, and last those
    that wait for another kind of worker."""
    order = in_order(job.project, title.reels)
    planned = title.planned
    return sorted(order, key=lambda s: s in planned and left_to_others(job, planned[s]))


def _lasting(job: Job, ingested: IngestedReel, work: Callable[[], T]) -> T:
    """Wait for the disks of the title and of a reel's scans where they are away."""
    if job.leases is None:
        return work()
    frames = ingested.reel.frames
    return job.share.lasting(work, (frames[0].path, frames[-1].path))


def settle_shot(job: Job, title: Title, shot_id: str, result: Callable[[], Verdict]) -> None:
    """Take a finished shot's verdict, or park the shot and go on.

    raises: what is no fault of the shot: StorageFull, StorageGone, CalledOff, Interrupted.
    """
    try:
        title.verdicts[shot_id] = result()
    except (StorageFull, StorageGone, CalledOff):
        raise
    except WetgateError as error:
        error.reel = error.reel or title.reel_of(shot_id)
        error.shot = shot_id
        title.failures[shot_id] = error
        job.events.emit("shot_failed", error.as_dict())


def deliver(job: Job, title: Title) -> Outcome:
    """Write what can be delivered, and say what could not."""
    if job.leases is not None:
        job.leases.check(LEAD)
    job.gate()
    order = title.shot_ids()
    outcome = job.share.lasting(
        lambda: finish_title(
            job,
            title.configs,
            title.reels,
            title.decisions,
            title.planned,
            # Shots finish in any order; what is written about them always has the same.
            {n: title.verdicts[n] for n in order if n in title.verdicts},
            {n: title.failures[n] for n in order if n in title.failures},
        )
    )
    dismiss(job)
    return outcome


def _bytes_to_come(job: Job, title: Title) -> int:
    """An upper bound for what this run may write; what lies there already is not counted twice."""
    planned = sum(rough_bytes(job, r.reel) for r in title.reels.values())
    return max(0, planned - bytes_in(job.folder.store) - bytes_in(job.folder.deliver))
