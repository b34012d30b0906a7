"""One matte for a reel: the part of the picture that no frame of it lacks after weave."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from wetgate.decisions import ShotDecisions, WeaveDecision

Sides = tuple[int, int, int, int]
"""Rows at the top and bottom, columns left and right."""


def with_mattes(
    decisions: Mapping[str, ShotDecisions], sizes_px: Mapping[str, tuple[int, int]]
) -> dict[str, ShotDecisions]:
    """Decisions by shot id, in which the shots that ask for a matte share that of their reel.

    sizes_px: height and width of the frames of each reel. A matte that changed from shot to shot
    would pump. Shots that are protected wear none.
    """
    found = dict(decisions)
    for name, size in sizes_px.items():
        wearing = [
            shot
            for shot, d in decisions.items()
            if d.reel == name and d.weave.border == "matte" and not d.protected
        ]
        matte = _widest(_needed(decisions[shot].weave, size) for shot in wearing)
        for shot in wearing:
            weave = decisions[shot].weave.model_copy(update={"matte_px": matte})
            found[shot] = decisions[shot].model_copy(update={"weave": weave})
    return found


def _needed(weave: WeaveDecision, size_px: tuple[int, int]) -> Sides:
    """What lacks a source on any frame. size_px: height and width."""
    if not weave.applied:
        return (0, 0, 0, 0)
    turns = weave.turn_deg or (0.0,) * len(weave.dx_px)
    sides = []
    for dx, dy, turn in zip(weave.dx_px, weave.dy_px, turns, strict=True):
        slope = math.tan(math.radians(abs(turn)))
        down, across = slope * size_px[1] / 2, slope * size_px[0] / 2
        sides.append((_rows(down + dy), _rows(down - dy), _rows(across + dx), _rows(across - dx)))
    return _widest(sides)


def _rows(moved_px: float) -> int:
    return max(0, math.ceil(moved_px - 1e-6))


def _widest(sides: Iterable[Sides]) -> Sides:
    top, bottom, left, right = 0, 0, 0, 0
    for side in sides:
        top, bottom = max(top, side[0]), max(bottom, side[1])
        left, right = max(left, side[2]), max(right, side[3])
    return (top, bottom, left, right)
