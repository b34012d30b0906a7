"""What the measurements of one shot, and its planted trial, propose for its dirt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from media.frames import FrameRange, counted
from media.pictures import Pictures
from media.reel import SegmentKind, Shot
from restore.dirt.trial import choose, trial_name
from wetgate.config import Project
from wetgate.decisions import DefectMapDecision, DirtDecision, ShotDecisions

OFF = "switched off in the project"
_UNTRIED = 0.5
"""Confidence in a strength that no trial spoke for."""
_NO_NEIGHBOURS = "no two neighbours to compare with"


def propose_dirt(
    project: Project,
    shot: Shot,
    evidence: Mapping[str, Any],
    grain: Mapping[str, Any],
    pictures: Pictures,
    changeover: FrameRange | None,
) -> DirtDecision:
    """How dirt is looked for on a shot, at the strength its planted trial allows.

    grain: evidence of the grain probe. changeover: frames of the reel on which cue marks may be.
    """
    if not project.restore.dirt.enabled:
        return DirtDecision(reason=OFF)
    if shot.kind is not SegmentKind.SHOT:
        return DirtDecision(reason=f"{shot.kind.value}: left alone")
    if len(pictures.own) < 3:
        return DirtDecision(
            reason=f"{_pictures_in(pictures)}: {_NO_NEIGHBOURS}",
            confidence=0.0,
        )
    options = project.restore.dirt
    by_rules = options.detector == "rules"
    asked = options.threshold_sigma if by_rules else options.level
    tried = evidence.get(trial_name(options.detector)) or {}
    chosen = choose(tried, options.budget, asked)
    strength = chosen.strength if chosen.strength is not None else asked
    there = _shared_with(shot.frames, changeover)
    measured = bool(tried.get("recall"))
    return DirtDecision(
        applied=chosen.strength is not None,
        reason=chosen.reason,
        confidence=1.0 if measured else _UNTRIED,
        detector=options.detector,
        level=options.level if by_rules else strength,
        sigma=round(float(grain["sigma_luma"]), 6),
        threshold_sigma=strength if by_rules else options.threshold_sigma,
        threshold_floor=options.threshold_floor,
        max_blob_px=options.max_blob_px,
        fill=options.fill,
        cue_marks=() if options.cue_marks or there is None else (there.start, there.stop - 1),
        trial_recall=round(chosen.recall, 3) if measured else None,
        trial_false=round(chosen.false_removed, 4) if measured else None,
        trial_taken=round(chosen.taken_share, 6) if measured else None,
        trial_budget=options.budget if measured else None,
    )


def map_used(decisions: ShotDecisions) -> ShotDecisions:
    """A map is used by the repair of dirt: where that leaves the shot alone, so does the map."""
    found, dirt = decisions.defect_map, decisions.dirt
    # Nor can a map be placed by what no frame beside it shows: that is no fault of the map.
    alone = bool(found.reason) and dirt.reason.endswith(_NO_NEIGHBOURS)
    if dirt.applied or not (found.applied or alone):
        return decisions
    if decisions.kind != SegmentKind.SHOT.value:
        return decisions.model_copy(update={"defect_map": DefectMapDecision()})
    person = dirt.origin == "human" or dirt.reason == OFF
    update = {
        "applied": False,
        "reason": f"nothing repairs what it shows, dirt is left alone: {dirt.reason}",
        "origin": "human" if person else found.origin,
    }
    return decisions.model_copy(update={"defect_map": found.model_copy(update=update)})


def _shared_with(frames: FrameRange, other: FrameRange | None) -> FrameRange | None:
    if other is None or other.start >= frames.stop or frames.start >= other.stop:
        return None
    return FrameRange(max(frames.start, other.start), min(frames.stop, other.stop))


def _pictures_in(pictures: Pictures) -> str:
    frames, own = len(pictures.frames), len(pictures.own)
    return counted(own) if own == frames else f"{frames} frames of {counted(own)}"
