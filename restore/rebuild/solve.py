"""What is to be done about the frames that were found, shot by shot. Sees no pixel."""

from __future__ import annotations

import math
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from typing import Literal

from media.frames import FrameRange
from restore.rebuild.measure import BURNT, FLASH, OTHER, Finding

Done = Literal["rebuilt", "held", "lost", "left"]
PartPx = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class FramesOptions:
    """What may be done."""

    longest_run: int = 3
    """Frames in a row that are made from both sides."""
    beyond: Literal["lost", "hold"] = "lost"
    """A longer run: left and called lost, or the last sound frame before it shown again."""
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
    missing: frozenset[int] = frozenset(),
) -> tuple[FrameVerdict, ...]:
    """Verdicts on the frames of one shot, in order, one a frame.

    size_px: height and width of the scan. kept: why nothing may be done in this shot at all;
    empty where it may. missing: frames that the scan lacks and that show another: no verdict is
    on them, and they count as part of a run that has to be made. What is found by one side alone
    counts where the other side has no picture: at the ends of a shot, beside a missing or a
    destroyed frame. It is never made from there.
    """
    gone = {*missing, *_destroyed(findings)}
    findings = [
        f for f in findings
        if f.first in shot and f.last in shot and not missing.issuperset(_numbers(f))
    ]  # fmt: skip
    findings = [
        f for f in findings
        if _faces(f, shot, gone) and not _between_destroyed(f, findings)
        and not any(_is_that_tear(f, o, shot, missing) for o in findings)
    ]  # fmt: skip
    found: dict[int, FrameVerdict] = {}
    for finding in sorted(findings, key=lambda f: (f.sides != "both", f.first - f.last, f.first)):
        numbers = [n for n in _numbers(finding) if n not in missing]
        at_end = finding.first == shot.start or finding.last == shot.stop - 1
        if finding.sides == "both" and at_end:
            # Both sides agreed, but one of them lies across a cut: the cut was misplaced.
            continue
        beside = [o for o in findings if o.kind != FLASH and _spoils(finding, o)]
        run = _run(finding, missing)
        done, why = _done(finding, options, run=run, at_end=at_end, kept=kept)
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


def _spoils(finding: Finding, other: Finding) -> bool:
    """Whether nothing sound can be made of a frame because of what is on one beside it: any
    damage, if all of the frame is to be made; of a part, only what lies in the same place."""
    if finding.part is None or other.part is None:
        return _adjoin(finding, other)
    top, left, bottom, right = finding.part
    over, before, under, after = other.part
    meet = top < under and over < bottom and left < after and before < right
    return meet and _adjoin(finding, other)


def _destroyed(findings: Sequence[Finding]) -> set[int]:
    """Frames that are destroyed as a whole, by what both sides say."""
    whole = [f for f in findings if f.sides == "both" and f.part is None]
    return {n for f in whole if f.kind not in (FLASH, OTHER) for n in _numbers(f)}


def _numbers(finding: Finding) -> range:
    return range(finding.first, finding.last + 1)


def _between_destroyed(finding: Finding, findings: Sequence[Finding]) -> bool:
    """Two destroyed frames agree on nothing but their destruction: what they say counts not."""
    others = _destroyed([f for f in findings if f is not finding])
    return finding.sides == "both" and {finding.first - 1, finding.last + 1} <= others


def _is_that_tear(
    finding: Finding, other: Finding, shot: FrameRange, missing: frozenset[int]
) -> bool:
    """Is it a torn frame that seems destroyed as a whole because a missing one shows it again?"""
    if finding.kind != BURNT or other.part is None or other.sides == "both":
        return False
    own = [n for n in _numbers(finding) if n not in missing]
    return own == [other.first] and finding.first != finding.last and _faces(other, shot, missing)


def _run(finding: Finding, missing: Set[int]) -> int:
    """Frames in a row that have no picture: those of a finding, and missing ones beside it."""
    first, last = finding.first, finding.last
    while first - 1 in missing:
        first -= 1
    while last + 1 in missing:
        last += 1
    return last - first + 1


def _faces(finding: Finding, shot: FrameRange, gone: Set[int]) -> bool:
    """Whether the side that speaks is the one that there is."""
    if finding.sides == "both":
        return True
    if finding.sides == "after":
        return finding.first == shot.start or finding.first - 1 in gone
    return finding.last == shot.stop - 1 or finding.last + 1 in gone


def _done(
    finding: Finding, options: FramesOptions, *, run: int, at_end: bool, kept: str
) -> tuple[Done, str]:
    if kept:
        return "left", f"left alone, because {kept}"
    if finding.kind == FLASH:
        return "left", "light in the scene: left alone"
    if finding.kind == OTHER:
        return "left", "left alone, because it may be meant: name it to have it rebuilt"
    if at_end:
        return "left", "left alone, because nothing is made from one side of a cut"
    if finding.sides != "both":
        return "left", "left alone, because the frame on its other side is missing or destroyed"
    if finding.confidence < options.min_confidence:
        return "left", "left alone, because it is not sure enough"
    if run > options.longest_run:
        most = f"{run} in a row, more than {options.longest_run} can be made"
        if options.beyond == "hold":
            return "held", f"{most}: the last sound frame before is shown again"
        return "lost", f"{most}: lost"
    if not options.allow_invented:
        return "left", "left alone, because policy.allow_invented is false"
    return "rebuilt", "made from both sides"


def _px(part: tuple[float, float, float, float], size_px: tuple[int, int]) -> PartPx:
    h, w = size_px
    top, left, bottom, right = part
    return (int(top * h), int(left * w), math.ceil(bottom * h), math.ceil(right * w))
