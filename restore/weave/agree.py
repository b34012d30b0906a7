"""The motion of the picture between two frames, as most cells see it: shift, turn and zoom.

Cells on whatever moves by itself, and cells that measured nonsense, are outvoted: of all motions
that two cells would explain, the one with most support is taken (as in RANSAC, Fischler and
Bolles 1981, but every pair of cells is tried) and refined by redescending means. Support is how
much likelier a cell is to follow than to go anywhere (MLESAC, Torr and Zisserman 2000), so many
that know little outvote a few that know much. A cell counts along each axis for what it knows
there: one with an upright edge says how far the picture went across, and leaves up and down to
others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from restore.smoothing import Curve

_AGREE_PX = 0.15
"""Cells within this of the motion of the picture, beside their own errors, follow it."""
_FOLLOWS = 2.0
"""Times what a cell may be off before it counts as something else."""
_INFORMED_PX = 0.5
"""Axes along which a cell is measured worse than this are not asked whether they agree."""
_LEAST_PX = 0.03
"""What a cell is taken to know at best."""
_ANYWHERE_PX = 96.0
"""What does not follow the picture may go anywhere within so much."""
_MOST_TURN = 0.02
_MOST_ZOOM = 0.06
"""Between near frames; what two cells say beyond this is nonsense."""
_RIM, _RIM_SAY = 0.6, 1.5
"""Cells further out than this share of the way to the edge count for more: what moves by itself
is mostly in the middle, and the picture reaches its edges."""
_FAR = 0.05
"""Share of the width at which a motion needs twice the support: weave is small."""
_TURNED = 0.004
"""Turn (rad) at which a motion needs twice the support: two things that move apart look like a
turn of whatever holds both."""
_CALM = 1e-4
"""Turn and zoom (rad, share) that a pair is taken to have without evidence."""
_CROSSED = 16
"""Cells that are tried two by two for what each of them knows along its own axis."""
_ROUNDS = 8


@dataclass(frozen=True, slots=True)
class Motions:
    """The motion of the picture in each of m pairs of frames."""

    steps: Curve
    """(m, 4): right and down in px at the middle of the frame, clockwise turn in rad, growth."""
    errors: Curve
    """(m, 4) standard errors."""
    share: Curve
    """(m,) of the cells that could be measured, how many follow it."""


@dataclass(frozen=True, slots=True)
class Cells:
    """Where the cells lie and what each measured, in m pairs of frames."""

    middles_px: Curve
    """(cells, 2) x and y from the middle of the frame."""
    size_px: Curve
    """Height and width of it."""
    motion_px: Curve
    """(m, cells, 2)."""
    covariance_px2: Curve
    """(m, cells, 3) of its error: x with x, x with y, y with y."""

    def some(self, pairs: NDArray[np.bool_]) -> Cells:
        """In these pairs."""
        some = (self.motion_px[pairs], self.covariance_px2[pairs])
        return Cells(self.middles_px, self.size_px, *some)

    def spread_px(self) -> Curve:
        """(m, cells, 2) standard errors across and down."""
        return np.asarray(np.sqrt(self.covariance_px2[..., ::2]))

    def informed(self) -> Curve:
        """(m, cells) 0, 0.5 or 1: the share of its axes along which a cell knows its motion."""
        xx, xy, yy = np.moveaxis(self.covariance_px2, -1, 0)
        middle, apart = 0.5 * (xx + yy), np.hypot(0.5 * (xx - yy), xy)
        most = _INFORMED_PX**2
        told: Curve = 0.5 * (middle - apart < most) + 0.5 * (middle + apart < most)
        return told

    def basis(self) -> Curve:
        """(cells, 2, 4): what a unit of shift x, shift y, turn, zoom moves each cell by."""
        x, y = self.middles_px[:, 0], self.middles_px[:, 1]
        one, none = np.ones_like(x), np.zeros_like(x)
        return np.stack(
            [np.stack([one, none, -y, x], axis=1), np.stack([none, one, x, y], axis=1)], axis=1
        )

    def off(self, motions: Motions, floor_px: float, errors: float = 2.0) -> Curve:
        """(m, cells) how far each is off the motion of the picture; 1 is what it may be."""
        apart = np.einsum("cij,mj->mci", self.basis(), motions.steps) - self.motion_px
        return np.sqrt(_size(apart, inverse(self.covariance_px2, floor_px, errors)))


def inverse(covariance: Curve, floor_px: float, errors: float = 1.0) -> Curve:
    """(..., 3) xx, xy, yy of the inverse of so many errors and a floor, both squared."""
    xx, xy, yy = np.moveaxis(errors**2 * covariance, -1, 0)
    xx, yy = xx + floor_px**2, yy + floor_px**2
    return np.asarray(np.stack([yy, -xy, xx], axis=-1) / (xx * yy - xy * xy)[..., None])


def _size(apart: Curve, inverted: Curve) -> Curve:
    """(...) squared length of (..., 2) in the metric (..., 3)."""
    x, y = apart[..., 0], apart[..., 1]
    size: Curve = inverted[..., 0] * x * x + 2.0 * inverted[..., 1] * x * y
    return size + inverted[..., 2] * y * y


def agreed(cells: Cells, say: Curve | None = None) -> Motions:
    """Shift, turn and zoom of each pair.

    say: (m, cells) 0 to 1, what a cell counts beside its error; None: 1 all over.
    """
    counts = np.ones(cells.motion_px.shape[:2]) if say is None else say
    basis, motion = cells.basis(), cells.motion_px
    steps = _sought(cells, counts)
    trust = counts[..., None] * inverse(cells.covariance_px2, _LEAST_PX)
    within = inverse(cells.covariance_px2, _AGREE_PX, 2.0)
    prior = np.diag([0.0, 0.0, 1.0 / _CALM**2, 1.0 / _CALM**2]) * 1e-2
    normal = np.tile(np.eye(4), (len(motion), 1, 1))
    for _ in range(_ROUNDS):
        apart = np.einsum("cij,mj->mci", basis, steps) - motion
        off = _size(apart, within) / _FOLLOWS**2
        keep = np.square(np.clip(1.0 - off, 0.0, None))
        keep[~keep.any(axis=1)] = 1.0
        # (m, cells, 4, 2) basis times trust, x and y.
        metric = keep[..., None, None] * _matrices(trust)
        told = np.einsum("cia,mcij->mcaj", basis, metric)
        normal = np.einsum("mcaj,cjb->mab", told, basis) + prior
        steps = np.linalg.solve(normal, np.einsum("mcaj,mcj->ma", told, motion)[..., None])[..., 0]
    apart = np.einsum("cij,mj->mci", basis, steps) - motion
    follows = _size(apart, within) < _FOLLOWS**2
    informed = cells.informed()
    asked = np.maximum(informed.sum(axis=1), motion.shape[1] // 4)
    share = (follows * informed).sum(axis=1) / asked
    scatter = _scatter(np.sqrt(0.5 * _size(apart, trust)), follows)
    errors = scatter[:, None] * np.sqrt(np.einsum("maa->ma", np.linalg.inv(normal)))
    return Motions(steps, errors, share)


def _scatter(off: Curve, follows: NDArray[np.bool_]) -> Curve:
    """(m,) times their own errors by which the cells that follow are off."""
    some = np.where(follows, off, np.nan)
    some[~follows.any(axis=1)] = 9.0
    scatter: Curve = np.maximum(np.nanmedian(some, axis=1), 0.3)
    return scatter


def _sought(cells: Cells, counts: Curve) -> Curve:
    """(m, 4) the motion with most support in each pair, of all that two cells would explain."""
    from restore.weave import support  # compiled on first use, not at import

    middles, size = cells.middles_px, cells.size_px
    outer = np.where((np.abs(middles) > _RIM * size[::-1] / 2).any(axis=1), _RIM_SAY, 1.0)
    known = inverse(cells.covariance_px2, _LEAST_PX)
    within = inverse(cells.covariance_px2, _AGREE_PX)
    sharp = np.sqrt(within[..., 0] * within[..., 2] - np.square(within[..., 1]))
    said = np.log1p(_ANYWHERE_PX**2 / (2.0 * np.pi) * sharp) * outer * counts
    within = inverse(cells.covariance_px2, _AGREE_PX, 2.0)
    couples = np.triu_indices(len(middles), 1)
    crossed = np.triu_indices(min(_CROSSED, len(middles)), 1)
    steps = np.zeros((len(said), 4))
    for k, motion in enumerate(cells.motion_px):
        best = np.argsort(-said[k], kind="stable")[:_CROSSED]
        guesses = np.concatenate(
            [
                _shifts(motion),
                _couples(motion, middles, couples),
                _shifts(_crossed(motion, known[k], best[crossed[0]], best[crossed[1]])),
            ]
        )
        found = support.support(middles, motion, within[k], said[k], guesses)
        found /= 1.0 + np.linalg.norm(guesses[:, :2], axis=1) / (_FAR * size[1])
        found /= 1.0 + np.abs(guesses[:, 2]) / _TURNED
        steps[k] = guesses[int(found.argmax())]
    return steps


def _shifts(motion: Curve) -> Curve:
    """(cells, 4): each cell's motion as that of the whole picture."""
    return np.hstack([motion, np.zeros_like(motion)])


def _crossed(motion: Curve, known: Curve, a: NDArray[np.int64], b: NDArray[np.int64]) -> Curve:
    """(g, 2): what two cells say together, each along the axis that it knows."""
    both = known[a] + known[b]
    x = known[a, 0] * motion[a, 0] + known[a, 1] * motion[a, 1]
    y = known[a, 1] * motion[a, 0] + known[a, 2] * motion[a, 1]
    x += known[b, 0] * motion[b, 0] + known[b, 1] * motion[b, 1]
    y += known[b, 1] * motion[b, 0] + known[b, 2] * motion[b, 1]
    whole = both[:, 0] * both[:, 2] - np.square(both[:, 1])
    return np.stack(
        [(both[:, 2] * x - both[:, 1] * y) / whole, (both[:, 0] * y - both[:, 1] * x) / whole],
        axis=1,
    )


def _couples(
    motion: Curve, middles: Curve, couples: tuple[NDArray[np.int64], NDArray[np.int64]]
) -> Curve:
    """(g, 4): the motion that moves two cells as they were measured to move."""
    a, b = couples
    arm, moved = middles[b] - middles[a], motion[b] - motion[a]
    square = np.square(arm).sum(axis=1)
    zoom = (arm * moved).sum(axis=1) / square
    turn = (arm[:, 0] * moved[:, 1] - arm[:, 1] * moved[:, 0]) / square
    likely = (np.abs(zoom) < _MOST_ZOOM) & (np.abs(turn) < _MOST_TURN)
    a, zoom, turn = a[likely], zoom[likely], turn[likely]
    x, y = middles[a, 0], middles[a, 1]
    return np.stack(
        [motion[a, 0] + turn * y - zoom * x, motion[a, 1] - turn * x - zoom * y, turn, zoom],
        axis=1,
    )


def _matrices(parts: Curve) -> Curve:
    """(..., 2, 2) of (..., 3)."""
    xx, xy, yy = np.moveaxis(parts, -1, 0)
    return np.stack([np.stack([xx, xy], axis=-1), np.stack([xy, yy], axis=-1)], axis=-2)
