"""What is to be done about the frames that were found, shot by shot. Sees no pixel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from media.frames import FrameRange
from restore.rebuild.measure import FLASH, OTHER, Finding

Done = Literal["rebuilt", "held", "lost", "left"]
PartPx = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class FramesOptions:
    """What may be done."""

    longest_run: int = 3
    """Frames in a row that are made from both sides."""
    beyond: Literal["lost", "hold"] = "lost"
    """A longer run: left and called lost, or the frame before it shown again."""
    min_confidence: float = 0.6
    allow_invented: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameVerdict:
    """One frame: what it is and what is done."""

    frame: int
    kind: str
    done: Done
    confidence: float
    reason: str
    part_px: tuple[PartPx, ...] = field(default=())
    """Top, left, bottom, right; empty where it is all of the frame."""


def solve_frames(
    findings: Sequence[Finding],
    shot: FrameRange,
    size_px: tuple[int, int],
    options: FramesOptions,
    kept: str = "",
) -> tuple[FrameVerdict, ...]:
    """Verdicts on the frames of one shot, in order, one a frame.

    size_px: height and width of the scan. kept: why nothing may be done in this shot at all;
    empty where it may. What is found by one side alone counts at the ends of a shot only, and
    is never made from there.
    """
    found: dict[int, FrameVerdict] = {}
    for finding in sorted(findings, key=lambda f: (f.sides != "both", f.first - f.last, f.first)):
        numbers = range(finding.first, finding.last + 1)
        if not (finding.first in shot and finding.last in shot):
            continue
        at_end = finding.first == shot.start or finding.last == shot.stop - 1
        if finding.sides != "both" and not _faces(finding, shot):
            continue
        if finding.sides == "both" and at_end:
            # Both sides agreed, but one of them lies across a cut: the cut was misplaced.
            continue
        beside = [
            o for o in findings
            if o.part is None and o.kind != FLASH and _adjoin(finding, o)
            and (o.sides == "both" or _faces(o, shot))
        ]  # fmt: skip
        done, why = _done(finding, options, at_end=at_end, kept=kept)
        if done != "left" and beside:
            done, why = "left", "left alone, because a frame beside it is damaged as well"
        part = () if finding.part is None else (_px(finding.part, size_px),)
        for number in numbers:
            reason = f"{finding.reason}; {why}"
            verdict = FrameVerdict(
                frame=number,
                kind=finding.kind,
                done=done,
                confidence=round(finding.confidence, 3),
                reason=reason,
                part_px=part,
            )
            found.setdefault(number, verdict)
    return tuple(found[n] for n in sorted(found))


def _adjoin(one: Finding, other: Finding) -> bool:
    """Whether the other finding lies right beside or partly over this one, not inside it."""
    inside = one.first <= other.first and other.last <= one.last
    return not inside and other.first <= one.last + 1 and other.last >= one.first - 1


def _faces(finding: Finding, shot: FrameRange) -> bool:
    """Whether the side that speaks is the one that the shot has."""
    if finding.sides == "after":
        return finding.first == shot.start
    return finding.last == shot.stop - 1


def _done(finding: Finding, options: FramesOptions, *, at_end: bool, kept: str) -> tuple[Done, str]:
    run = finding.last - finding.first + 1
    if kept:
        return "left", f"left alone, because {kept}"
    if finding.kind == FLASH:
        return "left", "light in the scene: left alone"
    if finding.kind == OTHER:
        return "left", "left alone, because it may be meant: name it to have it rebuilt"
    if at_end:
        return "left", "left alone, because nothing is made from one side of a cut"
    if finding.confidence < options.min_confidence:
        return "left", "left alone, because it is not sure enough"
    if run > options.longest_run:
        most = f"{run} in a row, more than {options.longest_run} can be made"
        if options.beyond == "hold":
            return "held", f"{most}: the frame before is shown again"
        return "lost", f"{most}: lost"
    if not options.allow_invented:
        return "left", "left alone, because policy.allow_invented is false"
    return "rebuilt", "made from both sides"


def _px(part: tuple[float, float, float, float], size_px: tuple[int, int]) -> PartPx:
    h, w = size_px
    top, left, bottom, right = part
    return (int(top * h), int(left * w), math.ceil(bottom * h), math.ceil(right * w))
