"""What a film grain table tells encoders of a shot, and why where it tells nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from media.reel import Reel, Shot
from restore.grain.av1 import TICKS_PER_S, Graded, GrainEntry, entry, texture
from restore.grain.synth import F64
from wetgate.chain import as_transform, grain_look
from wetgate.config import Project
from wetgate.decisions import ShotDecisions
from wetgate.plan import PlannedShot
from wetgate.size import Size

TABLES = 1
"""Rises when a table would come out differently."""
MOST_UNLIKE = 0.2
"""Neighbours of a table's grain are as alike as the scan's to within this, or it is left out."""


@dataclass(frozen=True, slots=True)
class Told:
    """Of one shot."""

    entry: GrainEntry | None
    share: float = 0.0
    """Of the measured strength, that decoders lay on."""
    unlike: float | None = None
    """Largest difference of the likeness of neighbours from what was measured."""
    left_out: str = ""
    """Why there is no entry."""
    lost: bool = False
    """Grain was taken out that no table can say."""

    def as_json(self) -> dict[str, Any]:
        """For the ledger."""
        said = {"share": self.share, "unlike": self.unlike}
        return {**said, "left_out": self.left_out, "lost": self.lost}


def grain_told(
    reel: Reel, shot: Shot, decisions: ShotDecisions, size: Size, *, baked: bool
) -> Told:
    """The entry of a shot whose grain was taken out and not all given back.

    baked: color is in the result, and changed its grain. Grain that is left and grain that is
    told have nothing to do with each other: their variances add up to that of the scan.
    """
    noise, grain = decisions.noise, decisions.grain
    if not noise.applied:
        return Told(None, left_out=f"none was taken out: {noise.reason or 'left alone'}")
    share = round(math.sqrt(1.0 - grain.kept**2), 4)
    if share <= 0.0:
        back = "given back" if grain.source == "made" else "kept"
        return Told(None, left_out=f"all of it is {back} (restore.grain.amount)")
    if size.smaller:
        return Told(
            None, left_out="the result is smaller than the scan it was measured on", lost=True
        )
    look = grain_look(noise, grain)
    fit = texture(look, size.ratio)
    unlike = round(max(fit.unlike[: len(noise.sigma)]), 3)
    if unlike > MOST_UNLIKE:
        why = (
            f"its texture is beyond a filter of lag 3: neighbours would be alike by {unlike:.2f} "
            f"more or less than they are, the limit is {MOST_UNLIKE}"
        )
        return Told(None, unlike=unlike, left_out=why, lost=True)
    start, end = (
        int(TICKS_PER_S * (n - reel.range.start) / reel.rate)
        for n in (shot.frames.start, shot.frames.stop)
    )
    # Each shot has a seed of its own, the same in every run.
    seed = grain.seed + shot.frames.start
    graded = _graded(decisions, len(noise.sigma)) if baked else None
    try:
        made = entry(look, share, size.ratio, seed, start, end, fit=fit, graded=graded)
    except OverflowError as error:
        return Told(None, unlike=unlike, left_out=str(error), lost=True)
    return Told(made, share, unlike)


def in_ledger(
    project: Project, reel: Reel, planned: PlannedShot, decisions: ShotDecisions
) -> dict[str, Any]:
    """What a table that was asked for says of a shot, for the grain ledger; else nothing."""
    if not project.restore.grain.av1_table:
        return {}
    baked = planned.variant.baked
    told = grain_told(reel, planned.shot, decisions, planned.size, baked=baked)
    return {"av1": told.as_json()}


def told_by(project: Project, decisions: ShotDecisions) -> dict[str, Any]:
    """What that follows from, beside what the shot's chunks are made by."""
    if not project.restore.grain.av1_table:
        return {}
    return {"av1": [TABLES, decisions.grain.autocorrelation, decisions.noise.reason]}


def _graded(decisions: ShotDecisions, channels: int) -> Graded | None:
    """The color of the middle of the shot; dissolves into others are left out."""
    transform = as_transform(decisions)
    if transform.is_identity():
        return None

    def graded(levels: F64) -> F64:
        return transform.apply(levels if channels == 3 else levels.repeat(3, axis=1))[:, :channels]

    return graded
