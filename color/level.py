"""Where shots meet that nothing held tells where to meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from color.curve import GAIN, PIVOT_LOG, SATURATION, SHIFT, SIZE
from color.equations import Edge, Index, Level, WeakEdge

F64 = NDArray[np.float64]

_TONES_LOG = (0.2, 0.4, 0.6)
_CHROMA_LOG = 0.05
"""What saturation acts on: colors stand this far off grey."""
_ALIKE_LOG = 0.003
"""Shots that are off their group by no more than this, a quarter of a printer point, agree."""
_AGREED = 0.35
"""Most shots agree when half of them are this much nearer to each other than all are at large."""
_ROUNDS = 50


@dataclass(frozen=True, slots=True)
class Agreed:
    """Where a shot stands in a group whose level most of its shots agree on."""

    one_of_them: bool
    agreeing: int
    shots: int


def floating_levels(
    index: Index,
    free: Mapping[str, str],
    edges: Sequence[Edge],
    weak: Sequence[WeakEdge],
    spoken_for: AbstractSet[str],
) -> list[Level]:
    """Levels of all groups of shots that are tied among themselves and to nothing held.

    Each group keeps the mean of its shots, as far as it is not their reels that are off: so scenes
    keep what is between them. Groups that share reels keep one more level together, that of their
    shots on the reel that does not move, if there is one: what the others are off, their reels are.

    free: shot -> reel. spoken_for: reels whose correction something else speaks for.
    """
    groups, grounded = _groups(free, edges, weak)
    found = [Level(group, own=True) for group in groups]
    held = {free[s] for s in grounded if s in free} | {e.a for e in weak if e.a not in free}
    for family in _families(groups, free, index):
        moving = {free[s] for s in family if free[s] in index.reels}
        if not moving:
            continue
        still = tuple(s for s in family if free[s] not in moving)
        if still or not moving & (held | spoken_for):
            found.append(Level(still or family, own=False))
    return found


def agreed_levels(levels: Sequence[Level], index: Index, theta: F64, *, last: bool) -> list[Level]:
    """Levels where shots count the less, the further they are off what most of their group are.

    A group in which most shots were right keeps the level of those, and the wrong ones come to
    it; where all are off, each in its own way, all count alike. Cauchy weights around the group's
    own center (Huber 1981), their scale the median distance from it.

    theta: (index.size,) of a solve with ``levels``. last: whether most agree is decided now; before
    that it is looked for, since reels that are taken to be off hide it at first.
    """
    weight_of: dict[str, float] = {}
    for level in levels:
        if level.own:
            # The last columns of a shot are what is its own.
            own = np.stack([theta[(k := index.of_shot(s)[-1]) : k + SIZE] for s in level.shots])
            weight_of |= zip(level.shots, _agreeing(own, decide=last), strict=True)
    return [
        replace(level, weights=tuple(weight_of.get(s, 1.0) for s in level.shots))
        for level in levels
    ]


def agreed(levels: Sequence[Level]) -> dict[str, Agreed]:
    """By shot, of all groups in which most were found to agree."""
    found: dict[str, Agreed] = {}
    for level in levels:
        if level.own and min(level.weights, default=1.0) < 0.5:
            many = sum(w >= 0.5 for w in level.weights)
            for shot, weight in zip(level.shots, level.weights, strict=True):
                found[shot] = Agreed(weight >= 0.5, many, len(level.shots))
    return found


def _agreeing(own: F64, *, decide: bool) -> list[float]:
    """Weights 0..1 of corrections (N, SIZE)."""
    # What a correction does to greys and to chroma, film log: (N, M).
    tones = [own[:, GAIN] * (level - PIVOT_LOG) + own[:, SHIFT] for level in _TONES_LOG]
    acts = np.concatenate([*tones, _CHROMA_LOG * own[:, SATURATION, None]], axis=1) / np.sqrt(3.0)
    at_large = float(np.sqrt(np.square(acts - acts.mean(axis=0)).sum(axis=1).mean()))
    weights = np.ones(len(own))
    for _ in range(_ROUNDS):
        center = weights @ acts / weights.sum()
        away = np.linalg.norm(acts - center, axis=1)
        scale = 2.0 * max(float(np.median(away)), _ALIKE_LOG)
        before, weights = weights, 1.0 / (1.0 + (away / scale) ** 2)
        if np.abs(weights - before).max() < 1e-4:
            break
    if decide and float(np.median(away)) > _AGREED * at_large:
        return [1.0] * len(own)
    return [float(w) for w in weights]


def _groups(
    free: Mapping[str, str], edges: Sequence[Edge], weak: Sequence[WeakEdge]
) -> tuple[list[tuple[str, ...]], set[str]]:
    """Groups of two and more shots, sorted; and shots that are tied to something held.

    Shots of a named scene that only tones tie are of one group too: else its parts could not come
    together.
    """
    pairs = [(e.a, e.b) for e in edges]
    pairs += [(e.a, e.b) for e in weak if e.b is not None and e.joins]
    grounded = {n for pair in pairs for n in pair if not free.keys() >= {*pair}}
    floating: list[tuple[str, ...]] = []
    for group in _joined([{*pair} for pair in pairs]):
        if group & grounded:
            grounded |= group
        else:
            floating.append(tuple(sorted(group)))
    return sorted(floating), grounded


def _families(
    groups: Sequence[tuple[str, ...]], free: Mapping[str, str], index: Index
) -> list[tuple[str, ...]]:
    """Groups that share a reel that moves, as one, and all others as they are."""
    marked = [{*g} | {f"reel {free[s]}" for s in g if free[s] in index.reels} for g in groups]
    return sorted(tuple(sorted(s for s in m if s in free)) for m in _joined(marked))


def _joined(sets: Sequence[set[str]]) -> list[set[str]]:
    """Sets that share a member become one."""
    found: list[set[str]] = []
    for one in sets:
        apart = [other for other in found if not other & one]
        found = [*apart, one.union(*(other for other in found if other & one))]
    return found
