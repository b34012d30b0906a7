"""What can be said with less than a link: reels and scenes compared by their tones."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import numpy as np
from numpy.typing import NDArray

from color.equations import WeakEdge
from color.records import Link, ShotInput

F64 = NDArray[np.float64]

_MIN_SHOTS = 6
QUANTILE_PICK = (1, 2, 3, 4, 5)
_FLOOR_STD_LOG = 0.03
_SCENE_STD_LOG = 0.05
UNLIKE_LOG = 0.02


def reel_edges(
    shots: Sequence[ShotInput], links: Sequence[Link], moving: AbstractSet[str], anchor: str | None
) -> list[WeakEdge]:
    """Weak edges for reels that no chain of links ties to the anchor reel.

    The pooled tones of two long reels of one title are alike; those of a few shots are not, so
    the uncertainty comes from how much shots differ, and reels of fewer than six measured shots
    or with differently shaped tone curves get no edge at all.
    """
    if anchor is None:
        return []
    tied = _tied(shots, links, anchor)
    goal = _pooled(shots, anchor)
    found: list[WeakEdge] = []
    for reel in sorted(moving - tied):
        mine = _pooled(shots, reel)
        if goal is None or mine is None or shape_difference(mine[0], goal[0]) > UNLIKE_LOG:
            continue
        # doubled: scenes come in runs, so shots are not independent
        variance = 4.0 * (mine[1] + goal[1]) + _FLOOR_STD_LOG**2
        # quantiles of one curve move together: five of them count as two
        std = np.sqrt(variance * len(QUANTILE_PICK) / 2.0)
        found.append(WeakEdge(reel, mine[0], goal[0], std, anchor))
    return found


def scene_edges(
    shots: Sequence[ShotInput], links: Sequence[Link], moving: AbstractSet[str]
) -> list[WeakEdge]:
    """Weak edges between shots that a person put into one scene and that share no link.

    Content differs between framings of a scene, so tones are compared, not matched, and the
    pull is a fraction of what a link has; shots with differently shaped tone curves get none.
    """
    linked = {(k.a, k.b) for k in links}
    ordered = sorted(shots, key=lambda s: s.id)
    found: list[WeakEdge] = []
    for k, a in enumerate(ordered):
        for b in ordered[k + 1 :]:
            if a.scene is None or a.scene != b.scene or (a.id, b.id) in linked:
                continue
            if not {a.id, b.id} & moving or a.quantiles_log is None or b.quantiles_log is None:
                continue
            x, y = (q[:, QUANTILE_PICK] for q in (a.quantiles_log, b.quantiles_log))
            unlike = shape_difference(x, y)
            if unlike < UNLIKE_LOG:
                std = np.full_like(x, np.sqrt(len(QUANTILE_PICK)) * (_SCENE_STD_LOG + unlike))
                found.append(WeakEdge(a.id, x, y, std, b.id, joins=True))
    return found


def tied_to(
    names: AbstractSet[str], ties: Sequence[tuple[str, str]], held: AbstractSet[str]
) -> set[str]:
    """``names``, and shots tied to one of them directly or through others that are not held."""
    found = set(names)
    while True:
        reaching = found - held | names
        more = {n for pair in ties if reaching & {*pair} for n in pair} - found
        if not more:
            return found
        found |= more


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
        s.quantiles_log[:, QUANTILE_PICK]
        for s in shots
        if s.reel == reel and s.quantiles_log is not None and not s.protected
    ]
    if len(found) < _MIN_SHOTS:
        return None
    stack = np.stack(found)
    return stack.mean(axis=0), stack.var(axis=0, ddof=1) / len(stack)


def shape_difference(a: F64, b: F64) -> float:
    """What is left between two sets of quantiles (3, Q) after the best line per channel."""
    left = [q - np.polyval(np.polyfit(p, q, 1), p) for p, q in zip(a, b, strict=True)]
    return float(np.sqrt(np.mean(np.square(left))))
