"""Where shots meet that nothing held tells where to meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from color.equations import Edge, Index, Level, WeakEdge


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
