"""What can be said with less than a link: reel saturation, and reels compared as wholes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

import numpy as np
from numpy.typing import NDArray

from color.cdl import saturation_matrix
from color.records import Link, ShotInput
from color.system import Edge, ReelEdge

F64 = NDArray[np.float64]

_MIN_SHOTS = 6
_MIN_MATCHES = 60
_MATCHES_USED = 4000
_CLEAR_GAIN = 0.15
"""Saturation is fitted only when it takes this share off the matching error."""
_QUANTILE_PICK = (1, 2, 3, 4, 5)
_FLOOR_STD_LOG = 0.03
_UNLIKE_LOG = 0.03


def estimate_saturation(
    edges: Sequence[Edge], free: Mapping[str, str], limits: tuple[float, float]
) -> dict[str, float]:
    """Saturation per reel, only where it clearly helps; other reels are left out.

    Only matches between a free shot and a held one are asked: their target is known. Fading
    layers leak into each other and dull colors; slope and offset alone cannot undo that.
    """
    found: dict[str, float] = {}
    for reel in sorted(set(free.values())):
        pairs = [(e.x, e.y) for e in edges if free.get(e.a) == reel and e.b not in free]
        pairs += [(e.y, e.x) for e in edges if free.get(e.b) == reel and e.a not in free]
        if not pairs or sum(len(x) for x, _ in pairs) < _MIN_MATCHES:
            continue
        x = np.concatenate([p for p, _ in pairs])
        y = np.concatenate([q for _, q in pairs])
        few = np.linspace(0, len(x) - 1, min(len(x), _MATCHES_USED)).round().astype(np.intp)
        x, y = x[few], y[few]
        grid = np.round(np.arange(limits[0], limits[1] + 1e-9, 0.025), 3)
        errors = [_affine_error(x, y, float(t)) for t in grid]
        best = int(np.argmin(errors))
        if errors[best] < (1.0 - _CLEAR_GAIN) * _affine_error(x, y, 1.0):
            found[reel] = float(grid[best])
    return found


def _affine_error(x: F64, y: F64, saturation: float) -> float:
    """Trimmed mean error of the best per-channel line from x to y before saturation.

    Measured after saturation, so that different saturations compare.
    """
    target = y @ saturation_matrix(1.0 / saturation).T
    keep = np.ones(len(x), dtype=np.bool_)
    error = np.zeros(len(x))
    for _ in range(4):
        fit = np.empty_like(x)
        for c in range(3):
            slope, offset = np.polyfit(x[keep, c], target[keep, c], 1)
            fit[:, c] = slope * x[:, c] + offset
        error = np.linalg.norm(fit @ saturation_matrix(saturation).T - y, axis=1)
        keep = error <= np.quantile(error, 0.8)
    return float(error[keep].mean())


def reel_edges(
    shots: Sequence[ShotInput], links: Sequence[Link], moving: AbstractSet[str], anchor: str | None
) -> list[ReelEdge]:
    """Weak edges for reels that no chain of links ties to the anchor reel.

    The pooled tones of two long reels of one title are alike; those of a few shots are not, so
    the uncertainty comes from how much shots differ, and reels of fewer than six measured shots
    or with differently shaped tone curves get no edge at all.
    """
    if anchor is None:
        return []
    tied = _tied(shots, links, anchor)
    goal = _pooled(shots, anchor)
    found: list[ReelEdge] = []
    for reel in sorted(moving - tied):
        mine = _pooled(shots, reel)
        if goal is None or mine is None or _shape_difference(mine[0], goal[0]) > _UNLIKE_LOG:
            continue
        # doubled: scenes come in runs, so shots are not independent
        variance = 4.0 * (mine[1] + goal[1]) + _FLOOR_STD_LOG**2
        # quantiles of one curve move together: five of them count as two
        std = np.sqrt(variance * len(_QUANTILE_PICK) / 2.0)
        found.append(ReelEdge(reel, mine[0], goal[0], std))
    return found


def _tied(shots: Sequence[ShotInput], links: Sequence[Link], anchor: str) -> set[str]:
    reel_of = {s.id: s.reel for s in shots}
    tied = {anchor} | {s.reel for s in shots if s.fixed is not None}
    while True:
        more = {
            other
            for k in links
            for here, other in (
                (reel_of[k.a], reel_of[k.b]),
                (reel_of[k.b], reel_of[k.a]),
            )
            if here in tied
        } - tied
        if not more:
            return tied
        tied |= more


def _pooled(shots: Sequence[ShotInput], reel: str) -> tuple[F64, F64] | None:
    """Mean quantiles (3, Q) of a reel's shots and the variance of that mean."""
    found = [
        s.quantiles_log[:, _QUANTILE_PICK]
        for s in shots
        if s.reel == reel and s.quantiles_log is not None and not s.protected
    ]
    if len(found) < _MIN_SHOTS:
        return None
    stack = np.stack(found)
    return stack.mean(axis=0), stack.var(axis=0, ddof=1) / len(stack)


def _shape_difference(a: F64, b: F64) -> float:
    """What is left between two sets of quantiles (3, Q) after the best line per channel."""
    left = [q - np.polyval(np.polyfit(p, q, 1), p) for p, q in zip(a, b, strict=True)]
    return float(np.sqrt(np.mean(np.square(left))))
