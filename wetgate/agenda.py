"""The plan of a run under way, as a file: ``plan.json``. What ``wetgate status`` counts against.

It says, for each shot in the order of its turn, how many frames are missing and what rendering
and checking it should take one worker. Where nobody has timed such work on this kind of worker,
the figures only tell shots apart (``timed`` is false): seconds come from the frames really done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from wetgate.costs import Learner, kind_of_worker, known, learned_here
from wetgate.files import Folder, read_json, write_json
from wetgate.job import Job
from wetgate.night import parse_deadline
from wetgate.pieces import analyse_piece, deliver_piece, megapixels, render_piece, verify_piece
from wetgate.plan import PlannedShot
from wetgate.priority import in_order
from wetgate.records import IngestedReel
from wetgate.size import Size, size_of
from wetgate.stages.verify import checks_with
from wetgate.timing import Costs, like_measuring

_SCHEMA = 1
_RELATIVE = {
    "weave": 0.1,
    "line-cover": 0.3,
    "dirt": 0.4,
    "noise": 0.6,
    "rebuild": 0.3,
    "upscale": 3.0,
    "grain": 0.15,
}
"""How operators compare, roughly. Says nothing about any machine."""
_BASE, _OTHER = 0.15, 0.05


@dataclass(frozen=True, slots=True)
class Turn:
    """One shot."""

    shot: str
    reel: str
    frames: int
    missing: int
    """Frames to render, counted once for each variant."""
    render: float
    """Of one worker: seconds, or what tells shots apart."""
    verify: float
    """Seconds; 0 where it is not known."""


@dataclass(frozen=True, slots=True)
class Agenda:
    """All shots, the most urgent first."""

    turns: tuple[Turn, ...]
    timed: bool
    """Is ``render`` in seconds that this kind of worker really took?"""
    deliver_s: float | None
    workers: int
    deadline: datetime | None


def write_agenda(
    job: Job,
    reels: Mapping[str, IngestedReel],
    evidence: Mapping[str, Mapping[str, object]],
    planned: Mapping[str, list[PlannedShot]],
) -> None:
    """Leave the plan for whoever asks how far the work is."""
    here = Learner()
    learned_here(job, here)
    costs = Costs(known(job), here)
    timed = all(
        costs.has(render_piece(job.project, p)) for v in planned.values() for p in v if p.chunks
    )
    of = {s.id: (r, s) for r in reels.values() for s in r.shots}
    turns = []
    for shot_id in in_order(job.project, reels):
        ingested, shot = of[shot_id]
        size, variants = megapixels(ingested.reel), planned[shot_id]
        render, missing = 0.0, 0
        for variant in variants:
            frames = sum(len(c.frames) for c in variant.chunks if not job.store.has(c.key))
            missing += frames
            render += frames * size * _cost(job, costs, variant, timed=timed)
        found = frozenset(evidence.get(shot_id, {}))
        verdict = job.folder.verdict(shot.reel, shot.id)
        checked = bool(variants and variants[0].chunks) and (missing or not verdict.is_file())
        turns.append(
            {
                "shot": shot_id,
                "reel": shot.reel,
                "frames": len(shot.frames),
                "missing": missing,
                "render": round(render, 3),
                "verify": round(
                    len(shot.frames) * size * _check_cost(costs, found, variants[0].size), 3
                )
                if checked
                else 0.0,
            }
        )
    delivery = [
        (len(r.reel.frames) * megapixels(r.reel), costs.find(deliver_piece(job.project, r.reel)))
        for r in reels.values()
    ]
    deliver_s = sum(area * c.likely for area, c in delivery if c is not None)
    now = datetime.now().replace(microsecond=0)
    deadline = parse_deadline(job.project.night.deadline, now)
    write_json(
        _file(job.folder),
        {
            "schema": _SCHEMA,
            "at": now.isoformat(),
            "worker": kind_of_worker(job),
            "workers": job.workers,
            "timed": timed,
            "deliver_s": round(deliver_s, 1) if all(c for _, c in delivery) else None,
            "deadline": deadline.isoformat() if deadline else None,
            "sizes": {
                name: list(reversed(size_of(job.project, r.reel.format, name).out_px))
                for name, r in reels.items()
            },
            "shots": turns,
        },
    )


def read_agenda(folder: Folder) -> Agenda | None:
    """The plan of the run that was begun last; None where none got so far."""
    found = read_json(_file(folder))
    if found is None or found.get("schema") != _SCHEMA:
        return None
    shots, deliver_s, deadline = found["shots"], found["deliver_s"], found["deadline"]
    assert isinstance(shots, list)
    return Agenda(
        tuple(Turn(**s) for s in shots),
        bool(found["timed"]),
        float(deliver_s) if isinstance(deliver_s, int | float) else None,
        int(str(found["workers"])),
        datetime.fromisoformat(deadline) if isinstance(deadline, str) else None,
    )


def _cost(job: Job, costs: Costs, variant: PlannedShot, *, timed: bool) -> float:
    """For a megapixel of a frame."""
    if timed:
        found = costs.find(render_piece(job.project, variant))
        return found.likely if found is not None else 0.0
    return _BASE + sum(_RELATIVE.get(op.name.split()[0], _OTHER) for op in variant.chain)


def _check_cost(costs: Costs, found: frozenset[str], size: Size) -> float:
    """Checking takes about what measuring took, until it has been timed."""
    cost = costs.find(verify_piece(checks_with(found, size), size))
    if cost is not None:
        return cost.likely
    measured = costs.find(analyse_piece(found))
    return measured.likely * like_measuring(found) if measured is not None else 0.0


def _file(folder: Folder) -> Path:
    return folder.root / "plan.json"
