"""What a run would do, found out without changing anything in the output folder."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wetgate.chain import build_chain
from wetgate.config import Project
from wetgate.decisions import ShotDecisions
from wetgate.estimate import Estimate, estimate
from wetgate.events import Events
from wetgate.files import Folder
from wetgate.job import Job
from wetgate.plan import PlannedShot
from wetgate.run import Title, analyse, check_shot_ids, decide
from wetgate.stages.ingest import ingest_reel, reel_name, refuse_inside
from wetgate.store import Store


@dataclass(frozen=True)
class DryRun:
    """A planned title."""

    title: Title
    estimate: Estimate
    chunks: int
    cached: int


class _PlanJob(Job):
    """Measures into a scratch folder, but asks the real store what is there."""

    real: Folder

    @property
    def store(self) -> Store:
        return Store(self.real.store)


def dry_run(project: Project, out: Path) -> DryRun:
    """Ingest, measure and decide in a scratch folder; compare the plan with the store.

    raises: what a run would refuse before work begins.
    """
    real = Folder(out.resolve())
    with _scratch(real) as folder:
        job = _PlanJob(project, folder, Events(None))
        job.real = real
        title = Title()
        for config in project.reels:
            name = reel_name(config)
            refuse_inside(real.root, config)
            title.configs[name] = config
            title.reels[name] = ingest_reel(job, config)
        check_shot_ids(title)
        for name, future in job.spread(lambda s: analyse(job, title, s), title.shot_ids()):
            title.evidence[name] = future.result()
        decide(job, title)
        timed = _PlanJob(project, Folder(real.root), Events(None))
        timed.real = real
        chunks = {c.key for v in title.planned.values() for p in v for c in p.chunks}
        return DryRun(
            title,
            estimate(timed, title.reels, title.planned),
            chunks=len(chunks),
            cached=sum(job.store.has(key) for key in chunks),
        )


@contextmanager
def _scratch(real: Folder) -> Iterator[Folder]:
    """A temporary copy of what is small: records, evidence, people's decisions."""
    with tempfile.TemporaryDirectory(prefix="wetgate-plan-") as name:
        folder = Folder(Path(name).resolve())
        if (real.root / "reels").is_dir():
            shutil.copytree(real.root / "reels", folder.root / "reels")
        if real.overrides.is_file():
            shutil.copy2(real.overrides, folder.overrides)
        yield folder


def operators_of(project: Project, planned: PlannedShot, decisions: ShotDecisions) -> list[str]:
    """Names and versions of what would work on a shot."""
    between = planned.pictures.between
    chain = build_chain(project, planned.shot, decisions, None, None, baked=True, rebuilt=between)
    return [f"{op.name} {op.version}" for op in chain]
