"""The motion of the picture between two frames, as most cells see it: shift, turn and zoom.

Cells on whatever moves by itself, and cells that measured nonsense, are outvoted: of all motions
that two cells would explain, the one with most support is taken (as in RANSAC, Fischler and
Bolles 1981, but every pair of cells is tried) and refined by redescending means.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from restore.smoothing import Curve

_AGREE_PX = 0.15
"""Cells within this of the motion of the picture, beside their own errors, follow it."""
_BLURRED_PX = 0.2
"""Cells measured worse than this are not given more room to disagree."""
_INFORMED_PX = 0.5
"""Cells measured worse than this are not asked whether they agree."""
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


def agreed(
    motion_px: Curve,
    spread_px: Curve,
    cells_px: Curve,
    size_px: Curve,
    say: Curve | None = None,
) -> Motions:
    """Shift, turn and zoom of each pair.

    motion_px: (m, cells, 2) float64. spread_px: (m, cells) standard error. cells_px: (cells, 2)
    places of the cells, x and y from the middle of the frame. size_px: height and width of it.
    say: (m, cells) 0 to 1, what a cell counts beside its error; None: 1 all over.
    """
    m = len(motion_px)
    steps, errors, share = np.zeros((m, 4)), np.ones((m, 4)), np.zeros(m)
    basis = _basis(cells_px)
    first, second = np.triu_indices(len(cells_px), 1)
    for k in range(m):
        steps[k], errors[k], share[k] = _one(
            motion_px[k],
            spread_px[k],
            np.ones(len(cells_px)) if say is None else say[k],
            cells_px,
            basis,
            (first, second),
            size_px,
        )
    return Motions(steps, errors, share)


def off_px(motions: Motions, motion_px: Curve, cells_px: Curve) -> Curve:
    """(m, cells) px by which each cell is off the motion of the picture."""
    told = np.einsum("cij,mj->mci", _basis(cells_px), motions.steps)
    off: Curve = np.linalg.norm(told - motion_px, axis=2)
    return off


def _basis(cells_px: Curve) -> Curve:
    """(cells, 2, 4): what a unit of shift x, shift y, turn, zoom moves each cell by."""
    x, y = cells_px[:, 0], cells_px[:, 1]
    one, none = np.ones_like(x), np.zeros_like(x)
    return np.stack(
        [np.stack([one, none, -y, x], axis=1), np.stack([none, one, x, y], axis=1)], axis=1
    )


def _one(
    motion: Curve,
    spread: Curve,
    counts: Curve,
    cells: Curve,
    basis: Curve,
    couples: tuple[NDArray[np.int64], NDArray[np.int64]],
    size: Curve,
) -> tuple[Curve, Curve, float]:
    """One pair: motion (4,), errors (4,), share of cells that follow."""
    trust = counts / (0.03**2 + spread**2)
    tolerance = np.hypot(_AGREE_PX, 2.0 * np.minimum(spread, _BLURRED_PX))
    guesses = np.concatenate([_shifts(motion), _couples(motion, cells, couples)])
    off = np.linalg.norm(np.einsum("cij,gj->gci", basis, guesses) - motion, axis=2)
    outer = np.where((np.abs(cells) > _RIM * size[::-1] / 2).any(axis=1), _RIM_SAY, 1.0)
    support = np.exp(-0.5 * np.square(off / tolerance)) @ (
        outer * np.minimum(trust, counts / 0.05**2)
    )
    support /= 1.0 + np.linalg.norm(guesses[:, :2], axis=1) / (_FAR * size[1])
    support /= 1.0 + np.abs(guesses[:, 2]) / _TURNED
    step = guesses[int(support.argmax())]
    prior = np.diag([0.0, 0.0, 1.0 / _CALM**2, 1.0 / _CALM**2]) * 1e-2
    normal = np.eye(4)
    for _ in range(_ROUNDS):
        off = np.linalg.norm(basis @ step - motion, axis=1)
        say = trust * np.square(np.clip(1.0 - np.square(off / (2.0 * tolerance)), 0.0, None))
        if not say.any():
            say = trust
        normal = np.einsum("cia,c,cib->ab", basis, say, basis) + prior
        step = np.linalg.solve(normal, np.einsum("cia,c,ci->a", basis, say, motion))
    off = np.linalg.norm(basis @ step - motion, axis=1)
    informed = spread < _INFORMED_PX
    follows = off < 2.0 * tolerance
    share = float((follows & informed).sum() / max(int(informed.sum()), len(cells) // 4))
    scatter = max(float(np.median((off * np.sqrt(trust))[follows])) if follows.any() else 9.0, 0.3)
    return step, scatter * np.sqrt(np.diag(np.linalg.inv(normal))), share


def _shifts(motion: Curve) -> Curve:
    """(cells, 4): each cell's motion as that of the whole picture."""
    return np.hstack([motion, np.zeros_like(motion)])


def _couples(
    motion: Curve, cells: Curve, couples: tuple[NDArray[np.int64], NDArray[np.int64]]
) -> Curve:
    """(g, 4): the motion that moves two cells as they were measured to move."""
    a, b = couples
    arm, moved = cells[b] - cells[a], motion[b] - motion[a]
    square = np.square(arm).sum(axis=1)
    zoom = (arm * moved).sum(axis=1) / square
    turn = (arm[:, 0] * moved[:, 1] - arm[:, 1] * moved[:, 0]) / square
    likely = (np.abs(zoom) < _MOST_ZOOM) & (np.abs(turn) < _MOST_TURN)
    a, zoom, turn = a[likely], zoom[likely], turn[likely]
    x, y = cells[a, 0], cells[a, 1]
    return np.stack(
        [motion[a, 0] + turn * y - zoom * x, motion[a, 1] - turn * x - zoom * y, turn, zoom],
        axis=1,
    )
