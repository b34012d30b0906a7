"""How long the rest of a title takes, shot by shot and stage by stage, as ranges.

Costs come from past runs on this kind of worker, from what was measured just now, or from a
sample. A piece of work that nobody has timed gets no invented figure: it is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from wetgate.costs import Known, Learner, Spread
from wetgate.job import Job
from wetgate.pieces import analyse_piece, deliver_piece, megapixels, render_piece, verify_piece
from wetgate.plan import PlannedShot
from wetgate.priority import in_order
from wetgate.records import IngestedReel
from wetgate.schedule import Work, finish_times
from wetgate.size import Size
from wetgate.stages.analyse import TRIALS
from wetgate.stages.verify import checks_with

Range = tuple[float, float]
_SAMPLE = (0.75, 1.5)
_LIKE_MEASURING = (0.6, 1.6)
"""Checking a result takes about what measuring the scan took, where nobody has timed it: so much
of it at least and at most."""
_WITHOUT_TRIALS = 0.55
"""What measuring takes but for planted-defect trials, of which there are none in a result."""
_AGAIN = (0.85, 1.3)
"""What was just done takes about as long once more."""


@dataclass(frozen=True)
class Timing:
    """For what is still to do."""

    works: tuple[Work, ...]
    """Worker seconds of each shot, rendered and verified, the most urgent first."""
    stages: Mapping[str, Range]
    """Wall seconds by stage, with the job's workers; a stage that is not known is not there."""
    basis: str
    """Where the time comes from, in words."""
    unknown: tuple[str, ...]
    """Pieces of work that nobody has timed on this kind of worker."""
    workers: int

    @property
    def seconds(self) -> Range | None:
        """All stages; None where rendering itself is not known."""
        if any(p.startswith("render ") for p in self.unknown):
            return None
        return _sum(self.stages.values())

    def ends(self) -> list[tuple[str, float, float]]:
        """Each shot, with the seconds until it is restored at best and at worst."""
        head = _sum(r for name, r in self.stages.items() if name in ("ingest", "analyse"))
        lows = finish_times([w.low for w in self.works], self.workers)
        highs = finish_times([w.high for w in self.works], self.workers)
        return [
            (w.shot, head[0] + a, head[1] + b)
            for w, a, b in zip(self.works, lows, highs, strict=True)
        ]


@dataclass
class Costs:
    """What a piece costs, from the best source there is."""

    known: Known
    here: Learner
    """What was done just now, or in this folder by this kind of worker."""
    sampled: dict[str, Spread] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)

    def has(self, does: str) -> bool:
        """Has anybody timed it?"""
        return self.find(does) is not None

    def find(self, does: str) -> Spread | None:
        """Cost of a piece, or None."""
        past = self.known.cost(does)
        if past is not None:
            self.used.add(f"past runs on this kind of worker ({past.runs} of the kind)")
            return past
        here = self.here.cost(does)
        if here is not None:
            self.used.add("timings of this folder")
            return here.times(*_SAMPLE)
        if does in self.sampled:
            self.used.add("a few frames rendered as a sample")
            return self.sampled[does].times(*_SAMPLE)
        return None

    def of(self, does: str) -> Spread:
        """Cost of a piece; nothing, and noted, where nobody has timed it."""
        found = self.find(does)
        if found is None:
            self.unknown.add(does)
        return found or Spread(0.0, 0.0, 0.0, 0)

    def verify(self, probes: frozenset[str], evidence: frozenset[str], size: Size) -> Spread:
        """Cost of checking a result, for a megapixel of the scan."""
        does = verify_piece(probes, size)
        found = self.find(does)
        measured = self.find(analyse_piece(evidence)) if found is None else None
        if measured is not None:
            low, high = (like_measuring(evidence) * share for share in _LIKE_MEASURING)
            likely, most = like_measuring(evidence) * measured.likely, max(size.area, 1.0)
            return Spread(measured.low * low, likely, measured.high * high * most, 0)
        return found or self.of(does)


def like_measuring(evidence: frozenset[str]) -> float:
    """What checking takes of what measuring took, about. evidence: what was measured."""
    return _WITHOUT_TRIALS if evidence & TRIALS else 1.0


def time_title(
    job: Job,
    reels: Mapping[str, IngestedReel],
    evidence: Mapping[str, Mapping[str, object]],
    planned: Mapping[str, list[PlannedShot]],
    costs: Costs,
    before_s: Mapping[str, float],
) -> Timing:
    """before_s: wall seconds of the stages before rendering, as they were just now."""
    works: dict[str, Work] = {}
    for ingested in reels.values():
        size = megapixels(ingested.reel)
        for shot in ingested.shots:
            variants = planned.get(shot.id, [])
            parts: list[tuple[float, Spread]] = []
            for variant in variants:
                missing = sum(len(c.frames) for c in variant.chunks if not job.store.has(c.key))
                if missing:
                    cost = costs.of(render_piece(job.project, variant))
                    parts.append((missing * size, cost))
            verdict = job.folder.verdict(shot.reel, shot.id)
            if parts or (variants and variants[0].chunks and not verdict.is_file()):
                found = frozenset(evidence.get(shot.id, {}))
                made = variants[0].size
                cost = costs.verify(checks_with(found, made), found, made)
                parts.append((len(shot.frames) * size, cost))
            works[shot.id] = Work(
                shot.id,
                sum(area * c.low for area, c in parts),
                sum(area * c.likely for area, c in parts),
                sum(area * c.high for area, c in parts),
            )
    line = tuple(works[s] for s in in_order(job.project, reels) if works[s].high)
    stages = {name: (s * _AGAIN[0], s * _AGAIN[1]) for name, s in before_s.items() if s}
    if line:
        lows = finish_times([w.low for w in line], job.workers)
        highs = finish_times([w.high for w in line], job.workers)
        stages["restore"] = (max(lows), max(highs))
    if line or not job.folder.manifest.is_file():
        stages["deliver"] = _delivery(job, reels, costs)
    unknown = tuple(sorted(costs.unknown))
    if any(p.startswith("deliver ") for p in unknown):
        del stages["deliver"]
    basis = " and ".join(sorted(costs.used)) or "nothing to do"
    return Timing(line, stages, basis, unknown, job.workers)


def _delivery(job: Job, reels: Mapping[str, IngestedReel], costs: Costs) -> Range:
    """All reels, one after the other."""
    parts = [
        (len(r.reel.frames) * megapixels(r.reel), costs.of(deliver_piece(job.project, r.reel)))
        for r in reels.values()
    ]
    return sum(a * c.low for a, c in parts), sum(a * c.high for a, c in parts)


def _sum(ranges: Iterable[Range]) -> Range:
    found = list(ranges)
    return sum(a for a, _ in found), sum(b for _, b in found)
