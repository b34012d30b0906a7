"""The path of the picture in the scan, from how its cells move between near frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter, uniform_filter1d
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from media.frames import FrameRange
from restore.smoothing import Curve, penalty_bands, smoothed, solve_path
from restore.weave.agree import Cells, Motions, agreed

AS_ONE = 0.3
"""Share of the cells that must move as one for their motion to be that of the picture."""
FEWEST = 6
"""Frames; fewer, and a path cannot be told from weave."""
_NO_SAY, _FULL_SAY = 0.12, 0.35
"""Shares at which a pair of frames has no say in the path, and all of it."""
_LEAST_ERROR = (0.005, 0.005, 1e-5)
"""px, px, rad: what is taken to be known of a pair's motion at best."""
_ODD = (0.1, 0.1, 3e-4)
"""A pair that is off the path by this much loses half its say."""
_CLEAR = 0.6
"""Pairs of which fewer cells agree are looked at again, with what the longest pairs tell."""
_STAYS_PX = 0.3
"""A cell within this of the motion of the picture, beside its error, stays with it."""
_UNASKED = 0.2
"""What is taken for granted, in longest pairs, for a cell to stay."""
_LEAST_SAY = 0.02
"""Of a cell that never stays."""
_NEAR, _FAR_FIRST = 2, 1e-3
"""Pairs further apart than so many frames join late: where nothing is at one depth they follow now
one thing, now another, and several of them would outvote what near frames show."""
_CALM_FRAMES = 11
_SLOW = 100.0
"""Penalty on second differences that parts jolts from what is slower than about 20 frames."""
_TOGETHER_PX = 0.3
"""Cells whose jolts typically differ by less than this belong to the same rigid thing."""
_APART = 0.25
"""Share of the jolts by which pairs of one and of two frames may tell another path."""
_KNOWN_PX = 0.4
"""Shared jolts known worse than this, as the cells scatter about them, are not believed."""


@dataclass(frozen=True, slots=True)
class PicturePath:
    """Where the picture lay, stretch by stretch."""

    share: float
    """Of the cells, how many move as one."""
    parts: tuple[NDArray[np.int64], ...]
    """Frames (0 is the first) of stretches that can be followed, each against itself alone."""
    path: Curve
    """(n, 3) px, px, rad; mean zero over each stretch, 0 outside of them."""
    errors: Curve
    """(3,) standard errors of a pair of frames, root mean square over those that have a say."""


def picture_path(evidence: dict[str, object], frames: FrameRange) -> PicturePath:
    """The path from the evidence of ``WeaveProbe``."""
    n = len(frames)
    pairs = np.asarray(evidence["pairs"], np.int64) - frames.start
    motions, pairs, by_jolts = _motions(evidence, pairs)
    share = float(np.median(motions.share)) if len(pairs) else 0.0
    path = np.zeros((n, 3))
    if share < AS_ONE:
        return PicturePath(share, (), path, np.ones(3))
    say = np.clip((motions.share - _NO_SAY) / (_FULL_SAY - _NO_SAY), 0.0, 1.0)
    parts = tuple(_followed(pairs, say, n))
    for part in parts:
        path[part] = _path(pairs, motions, say, part, n)[part]
        if by_jolts:
            # Every cell has lost its slow motion: what is slow in this path means nothing.
            bands = penalty_bands(len(part), 2)
            path[part] -= smoothed(path[part], np.ones(len(part)), bands, _SLOW)[0]
    errors = np.sqrt(np.average(np.square(motions.errors[:, :3]), axis=0, weights=say + 1e-9))
    return PicturePath(share, parts, path, errors)


def _motions(
    evidence: dict[str, object], pairs: NDArray[np.int64]
) -> tuple[Motions, NDArray[np.int64], bool]:
    """The motion of the picture in each pair, the pairs, and whether only jolts were found."""
    cells = Cells(
        *(
            np.asarray(evidence[name], np.float64)
            for name in ("cells_px", "size_px", "motion_px", "covariance_px2")
        )
    )
    whole = agreed(cells)
    torn = whole.share < _CLEAR
    if torn.any():
        say = _stays(cells, whole, pairs)[torn]
        whole = _replaced(whole, torn, agreed(cells.some(torn), say))
    gap = pairs[:, 1] - pairs[:, 0]
    if not len(pairs) or float(np.median(whole.share)) >= AS_ONE or (gap == 1).sum() < 2:
        return whole, pairs, False
    near = cells.some(gap <= 2)
    shaken = _by_jolts(near.motion_px, near.spread_px(), pairs[gap <= 2])
    return (whole, pairs, False) if shaken is None else (shaken, pairs[gap <= 2], True)


def _stays(cells: Cells, whole: Motions, pairs: NDArray[np.int64]) -> Curve:
    """(m, cells) what each cell may say: how surely it stays with the picture for longer.

    What an actor moves by between two frames is little, and may look like a turn of the picture;
    over the longest pairs he is far off. A cell is asked in all of those that overlap a pair.
    """
    gap = pairs[:, 1] - pairs[:, 0]
    far = gap == gap.max()
    asked = cells.informed()[far] * whole.share[far, None]
    stays = np.where(cells.off(whole, _STAYS_PX)[far] < 1.0, asked, 0.0)
    told: Curve = _around(pairs, far, stays) + _UNASKED
    told = told / (_around(pairs, far, asked) + _UNASKED)
    return np.maximum(np.square(told), _LEAST_SAY)


def _around(pairs: NDArray[np.int64], far: NDArray[np.bool_], said: Curve) -> Curve:
    """(m, cells) what the longest pairs that overlap each pair say, by frames in common.

    said: (n, cells) of the longest pairs, those where ``far``.
    """
    gap, longest = pairs[:, 1] - pairs[:, 0], int((pairs[far, 1] - pairs[far, 0]).max())
    by_first = np.zeros((int(pairs.max()) + 2 * longest, said.shape[1]))
    by_first[pairs[far, 0] + longest] = said
    out = np.zeros((len(pairs), said.shape[1]))
    for later in range(1 - longest, longest):
        common = np.clip(np.minimum(gap, later + longest) - max(later, 0), 0, None)
        out += (common / np.maximum(gap, 1))[:, None] * by_first[pairs[:, 0] + later + longest]
    return out


def _replaced(whole: Motions, some: NDArray[np.bool_], by: Motions) -> Motions:
    """Motions of which those of some pairs are others."""
    steps, errors, share = whole.steps.copy(), whole.errors.copy(), whole.share.copy()
    steps[some], errors[some], share[some] = by.steps, by.errors, by.share
    return Motions(steps, errors, share)


def _by_jolts(motion: Curve, spread: Curve, pairs: NDArray[np.int64]) -> Motions | None:
    """Shifts that the cells of one group share beyond the calm motion of each; nothing turns.

    returns: None where the pairs do not tell one path of it.

    A cell without texture, or one that an actor walks through, measures nonsense on some pairs;
    a median over the group, pair by pair, keeps that from spreading along its path.
    """
    n = int(pairs.max()) + 1
    near = pairs[:, 1] - pairs[:, 0] == 1
    weights = 1.0 / np.square(0.03 + spread)
    shaken, steps = np.zeros((n, 2)), np.zeros((len(pairs), 2))
    off: Curve = np.zeros(motion.shape[:2])
    for _ in range(2):
        own = shaken[pairs[near, 1]] - shaken[pairs[near, 0]]
        jolts = motion - _calm(motion[near] - own[:, None, :], pairs)
        group = _together(jolts)
        steps = _weighted_median(jolts, weights * np.where(group, 1.0, 1e-3)[:, None])
        off = np.linalg.norm(jolts - steps[:, None, :], axis=2)[:, group]
        shaken = solve_path(pairs, steps, np.ones_like(steps), n, robust_scale=0.3)
    error = np.median(off, axis=1) * 1.2 / np.sqrt(max(off.shape[1], 1))
    apart = steps - (shaken[pairs[:, 1]] - shaken[pairs[:, 0]])
    told_alike = np.square(apart).mean() < _APART**2 * np.square(steps).mean()
    if not told_alike or float(np.median(error)) > _KNOWN_PX:
        return None
    none = np.zeros(len(pairs))
    return Motions(
        np.stack([steps[:, 0], steps[:, 1], none, none], axis=1),
        np.stack([error, error, none, none], axis=1),
        np.full(len(pairs), group.mean()),
    )


def _together(jolts: Curve) -> NDArray[np.bool_]:
    """(cells,) those that are jolted in time with most others.

    jolts: (m, cells, 2) px. Weave jolts all that is fixed to the film by the same amount at the
    same time; what an actor or a wave does on a frame is not shared.
    """
    apart = np.median(np.linalg.norm(jolts[:, :, None] - jolts[:, None, :], axis=3), axis=0)
    near = apart < max(_TOGETHER_PX, float(np.quantile(apart, 0.1)))
    group: NDArray[np.bool_] = near[int(near.sum(axis=1).argmax())]
    return group


def _weighted_median(values: Curve, weights: Curve) -> Curve:
    """Over cells: values and weights (m, cells, 2); returns (m, 2)."""
    order = np.argsort(values, axis=1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=1)
    cumulative = np.cumsum(np.take_along_axis(weights, order, axis=1), axis=1)
    middle = (cumulative >= 0.5 * cumulative[:, -1:, :]).argmax(axis=1)
    return np.take_along_axis(ordered, middle[:, None, :], axis=1)[:, 0, :]


def _calm(velocity: Curve, pairs: NDArray[np.int64]) -> Curve:
    """(m, cells, 2) px by which each cell moves in each pair when it is not jolted.

    velocity: (t, cells, 2) px between frame k and k + 1.
    """
    middle = median_filter(velocity, size=(_CALM_FRAMES, 1, 1), mode="nearest")
    calm = uniform_filter1d(middle, 7, axis=0, mode="nearest")
    way = np.concatenate([np.zeros((1, *calm.shape[1:])), np.cumsum(calm, axis=0)])
    last = len(way) - 1
    own: Curve = way[np.minimum(pairs[:, 1], last)] - way[np.minimum(pairs[:, 0], last)]
    return own


def _followed(pairs: NDArray[np.int64], say: Curve, n: int) -> list[NDArray[np.int64]]:
    """Stretches of frames that trusted pairs connect, long enough to tell weave from a path."""
    sure = say > 0.2
    a, b = pairs[sure].T
    graph = coo_array((np.ones(len(a)), (a, b)), shape=(n, n))
    _, label = connected_components(graph, directed=False)
    parts = [np.flatnonzero(label == k) for k in np.unique(label)]
    return [part for part in parts if len(part) >= FEWEST]


def _path(
    pairs: NDArray[np.int64], motions: Motions, say: Curve, part: NDArray[np.int64], n: int
) -> Curve:
    """(n, 3) path of the picture over some frames: px, px, rad; 0 elsewhere."""
    inside = np.zeros(n, np.bool_)
    inside[part] = True
    own = inside[pairs].all(axis=1) & (say > 0.2)
    steps = motions.steps[own, :3]
    known = say[own, None] / np.square(np.array(_LEAST_ERROR) + motions.errors[own, :3])
    path = np.zeros((n, 3))
    first = np.where(pairs[own, 1] - pairs[own, 0] <= _NEAR, 1.0, _FAR_FIRST)
    for k, odd in enumerate(_ODD):
        column = slice(k, k + 1)
        weights = known[:, column] / known[:, k].max()
        path[:, column] = solve_path(pairs[own], steps[:, column], weights, n, odd, first)
    path[part] -= path[part].mean(axis=0)
    path[~inside] = 0.0
    return path
