"""What a run would do, found out without changing anything in the output folder."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from wetgate.chain import build_chain
from wetgate.config import Project
from wetgate.costs import Learner, Spread, kind_of_worker, known, learned_here
from wetgate.decisions import ShotDecisions
from wetgate.estimate import Estimate, estimate
from wetgate.events import Events
from wetgate.files import Folder
from wetgate.job import Job
from wetgate.night import after_work, next_opening, parse_deadline, parse_windows
from wetgate.pieces import megapixels, render_piece
from wetgate.plan import PlannedShot
from wetgate.run import Title, analyse, check_shot_ids, decide
from wetgate.schedule import Promise, promise
from wetgate.stages.ingest import ingest_reel, reel_name, refuse_inside
from wetgate.stages.render import sample_seconds
from wetgate.store import Store
from wetgate.timing import Costs
from wetgate.upscale_model import check_model


@dataclass(frozen=True)
class DryRun:
    """A planned title."""

    title: Title
    estimate: Estimate
    chunks: int
    cached: int
    worker: str
    """The kind of worker that the times are for."""
    begins: datetime
    """When work may be begun, by the clock on the wall."""
    finish: tuple[datetime, datetime] | None
    """At best and at worst; None where nobody can know."""
    promise: Promise | None
    """The deadline, where there is one and the time is known."""
    free_bytes: int
    """On the disk, within ``night.disk_gb``."""


class _PlanJob(Job):
    """Measures into a scratch folder, but asks the real store what is there."""

    real: Folder

    @property
    def store(self) -> Store:
        return Store(self.real.store)


def dry_run(project: Project, out: Path) -> DryRun:
    """Ingest, measure and decide in a scratch folder; compare the plan with the store.

    Where nobody has timed a chain on this kind of worker, a few frames of it are rendered.
    raises: what a run would refuse before work begins.
    """
    real = Folder(out.resolve())
    here = Learner()
    check_model(project)
    with _scratch(real) as folder:
        job = _PlanJob(project, folder, Events(None))
        job.real = real
        job.events.listen(here)
        before_s: dict[str, float] = {}
        title = Title()
        with _timed(before_s, "ingest"):
            for config in project.reels:
                name = reel_name(config)
                refuse_inside(real.root, config)
                title.configs[name] = config
                title.reels[name] = ingest_reel(job, config)
        check_shot_ids(title)
        with _timed(before_s, "analyse"):
            for name, future in job.spread(lambda s: analyse(job, title, s), title.shot_ids()):
                title.evidence[name] = future.result()
            decide(job, title)
        # What was found in the real folder takes no time again.
        before_s = {name: s for name, s in before_s.items() if here.seconds(name)}
        timed = _PlanJob(project, Folder(real.root), Events(None))
        timed.real = real
        learned_here(timed, here)
        costs = Costs(known(timed), here)
        _sample(job, title, costs)
        found = estimate(timed, title.reels, title.evidence, title.planned, costs, before_s)
        chunks = {c.key for v in title.planned.values() for p in v for c in p.chunks}
        cached = sum(job.store.has(key) for key in chunks)
        return _dated(timed, title, found, len(chunks), cached)


def _dated(job: Job, title: Title, found: Estimate, chunks: int, cached: int) -> DryRun:
    """On the clock: when it begins, when it is finished, what a deadline leaves out."""
    night = job.project.night
    now, windows = datetime.now().replace(microsecond=0), parse_windows(night.window)
    deadline = parse_deadline(night.deadline, now)
    seconds, timing = found.timing.seconds, found.timing
    finish = kept = None
    if seconds is not None:
        finish = (after_work(windows, now, seconds[0]), after_work(windows, now, seconds[1]))
        if deadline is not None:
            kept = promise(deadline, now, windows, timing.ends(), seconds)
            if timing.unknown and kept.delivered == "yes":
                # Something that nobody has timed is still to come.
                kept = replace(kept, delivered="maybe")
    place = next(p for p in (job.folder.root, *job.folder.root.parents) if p.is_dir())
    free = shutil.disk_usage(place).free
    if night.disk_gb:
        free = min(free, int(night.disk_gb * 1e9))
    return DryRun(
        title=title,
        estimate=found,
        chunks=chunks,
        cached=cached,
        worker=kind_of_worker(job),
        begins=next_opening(windows, now),
        finish=finish,
        promise=kept,
        free_bytes=free,
    )


def _sample(job: Job, title: Title, costs: Costs) -> None:
    """Time each chain that nobody has timed, on the longest shot that needs it."""
    wanted: dict[str, tuple[int, PlannedShot]] = {}
    for variants in title.planned.values():
        for planned in variants:
            does = render_piece(job.project, planned)
            missing = sum(len(c.frames) for c in planned.chunks if not job.store.has(c.key))
            if missing > wanted.get(does, (0, planned))[0]:
                wanted[does] = missing, planned
    for does, (_, planned) in wanted.items():
        if costs.has(does):
            continue
        reel = planned.shot.reel
        each = sample_seconds(job, title.configs[reel], title.reels[reel], planned)
        each /= megapixels(title.reels[reel].reel)
        costs.sampled[does] = Spread(each, each, each, 0)


@contextmanager
def _timed(into: dict[str, float], name: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    into[name] = time.monotonic() - started


@contextmanager
def _scratch(real: Folder) -> Iterator[Folder]:
    """A temporary copy of what is small: records, evidence, decisions and people's words."""
    with tempfile.TemporaryDirectory(prefix="wetgate-plan-") as name:
        folder = Folder(Path(name).resolve())
        if (real.root / "reels").is_dir():
            shutil.copytree(real.root / "reels", folder.root / "reels")
        for name in (real.overrides.name, real.solved.name, real.ledger.name):
            if (real.root / name).is_file():
                shutil.copy2(real.root / name, folder.root / name)
        yield folder


def operators_of(project: Project, planned: PlannedShot, decisions: ShotDecisions) -> list[str]:
    """Names and versions of what would work on a shot."""
    between = planned.pictures.between
    chain = build_chain(
        project,
        planned.shot,
        decisions,
        None,
        None,
        baked=True,
        numerics=planned.numerics,
        size=planned.size,
        rebuilt=between,
    )
    return [f"{op.name} {op.version}" for op in chain]
