"""All frames of a shot at once: what each did to exposure, from differences between near frames.

A linear model with random effects. Each frame has an exposure, a contrast, a bend and a smooth
surface; each measured difference is that of two frames. How large each kind of effect is in this
shot, and how far each kind of measurement errs, is estimated along with the effects (empirical
Bayes; MacKay 1992), so that contrast is corrected where contrast flickers and nowhere else, and
a cell that an actor crosses leans on its neighbours. Measurements that contradict all others lose
their say (Student weights, iterated).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded

from restore.flicker.field import TONES, Curve, place_shapes, tone_shapes

_ROUNDS = 6
_FREEDOM = 4.0
"""Degrees of freedom of the Student distribution of errors."""
_FREE_STOPS = 100.0
"""Exposure is not held near anything: a fade goes as far as it goes."""
_STEP_STOPS = 1.0
"""From frame to frame it stays where it is, as far as frames that show nothing are concerned."""
_START_STOPS = (_FREE_STOPS, 0.05, 0.02)
_START_SURFACE_STOPS = 0.15
_LEAST_STOPS = 1e-4
"""No kind of effect is ever ruled out for good: this rms stays possible."""
_ERROR_STOPS = 0.01
_ERROR_RANGE_STOPS = (0.006, 0.015)
"""Grain and motion leave no measurement better than the first. Kinds that look worse than the
second are not believed less for it: what is left of them says what no other cell can."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Differences between frames of a shot. slots = cells times bands, bands fastest."""

    pairs: NDArray[np.int64]
    """(m, 2) positions 0..n-1, second after first."""
    difference: Curve
    """(m, slots) stops, second frame minus first."""
    level: Curve
    """(m, slots) film log, mean of both frames."""
    weight: Curve
    """(m, slots) share of the cell's pixels behind it, 0..1."""
    spread: Curve
    """(m, slots) stops, how far these pixels disagree."""
    grid: tuple[int, int]
    """Rows and columns of cells."""


@dataclass(frozen=True, slots=True)
class Effects:
    """What each frame did, in stops; the level of the shot as a whole is free."""

    tones: Curve
    """(n, TONES) exposure, contrast, bend."""
    surface: Curve
    """(n, shapes) of ``place_shapes``."""
    error: Curve
    """(TONES + shapes,) standard error of one frame's effect against its neighbours'."""


def solve_effects(
    measured: Measured, frames: int, pivot: float, *, shapes: int | None = None
) -> Effects:
    """Effects of each frame. shapes: how many surfaces, the smoothest first; None: all."""
    surfaces, _, classes = place_shapes(*measured.grid)
    surfaces, classes = surfaces[:, :shapes], classes[:shapes]
    kinds = np.concatenate([np.arange(TONES), TONES + classes])
    tau = np.full(len(kinds), _START_SURFACE_STOPS)
    tau[:TONES] = _START_STOPS
    model = _Model(measured, frames, surfaces, tone_shapes(measured.level, pivot))
    error = np.full(model.weight.shape, _ERROR_STOPS)
    found = np.zeros((frames, len(kinds)))
    student = np.ones(model.weight.shape)
    loose = np.zeros((frames, len(kinds)))
    alike = _kinds(measured, model.weight)
    for _ in range(_ROUNDS):
        precision = model.weight * student / np.square(error)
        found, loose = model.solved(precision, found, tau)
        residual = model.residual(found)
        error = _errors(residual, alike)
        student = (_FREEDOM + 1.0) / (_FREEDOM + np.square(residual / error))
        tau = _sizes(found, loose, kinds)
    error_of = np.sqrt(0.5 * np.square(np.diff(loose, axis=0)).mean(axis=0))
    return Effects(found[:, :TONES], found[:, TONES:], error_of)


class _Model:
    """The linear system, with sums over bands made once per round."""

    def __init__(self, measured: Measured, frames: int, shapes: Curve, tones: Curve) -> None:
        cells = measured.grid[0] * measured.grid[1]
        m = len(measured.pairs)
        self._pairs, self._frames, self._cells = measured.pairs, frames, cells
        self._shapes = shapes
        self._squares = np.einsum("ca,cb->cab", shapes, shapes).reshape(cells, -1)
        self._tones = tones.reshape(m, cells, -1, TONES)
        self._given = measured.difference.reshape(m, cells, -1)
        self.weight = measured.weight.reshape(m, cells, -1)

    def solved(self, precision: Curve, now: Curve, tau: Curve) -> tuple[Curve, Curve]:
        """(n, P) effects, and how uncertain each is given its neighbours, squared."""
        # Contrast acts on the level each frame has, the shapes are taken at the mean of both:
        # the rest is of second order, and small enough to take over from the last round.
        wanted = self._given - self._second_order(now)
        t, s = self._tones, self._shapes
        weighed = precision[..., None] * t
        tone = np.einsum("mcba,mcbd->mad", weighed, t, optimize=True)
        crossed = np.einsum("mca,cs->mas", weighed.sum(axis=2), s, optimize=True)
        cell = precision.sum(axis=2)
        place = (cell @ self._squares).reshape(len(cell), s.shape[1], s.shape[1])
        normal = np.concatenate(
            [
                np.concatenate([tone, crossed], axis=2),
                np.concatenate([crossed.transpose(0, 2, 1), place], axis=2),
            ],
            axis=1,
        )
        near = self._pairs[:, 1] - self._pairs[:, 0] == 1
        normal[near, 0, 0] += 1.0 / _STEP_STOPS**2
        # Effects drawn from what the measurements leave open: their spread is the uncertainty
        # (perturb and solve; Papandreou and Yuille 2010). Same draws every time.
        draw = np.random.default_rng(0)
        chance = draw.standard_normal(precision.shape) / np.sqrt(precision + 1e-9)
        pulls = [self._pull(precision, values) for values in (wanted, chance)]
        prior = 1.0 / np.square(tau)
        right = [_by_frame(self._pairs, self._frames, pull) for pull in pulls]
        right[1] += np.sqrt(prior) * draw.standard_normal(right[1].shape)
        found = _solved(self._pairs, self._frames, normal, np.stack(right, axis=2), prior)
        return found[:, :, 0], found[:, :, 1]

    def _pull(self, precision: Curve, values: Curve) -> Curve:
        """(m, P) right side of each pair. values: (m, cells, bands) stops."""
        weighed = precision * values
        tone = np.einsum("mcba,mcb->ma", self._tones, weighed, optimize=True)
        return np.concatenate([tone, weighed.sum(axis=2) @ self._shapes], axis=1)

    def residual(self, found: Curve) -> Curve:
        """(m, cells, bands) stops that the effects leave unexplained."""
        step = found[self._pairs[:, 1]] - found[self._pairs[:, 0]]
        made = np.einsum("mcba,ma->mcb", self._tones, step[:, :TONES], optimize=True)
        made += (step[:, TONES:] @ self._shapes.T)[:, :, None]
        rest: Curve = self._given - made - self._second_order(found)
        return rest

    def _second_order(self, found: Curve) -> Curve:
        slope = found[self._pairs[:, 0], 1] + found[self._pairs[:, 1], 1]
        part: Curve = 0.5 * slope[:, None, None] * self._given
        return part


def _by_frame(pairs: NDArray[np.int64], frames: int, pull: Curve) -> Curve:
    """(n, P) right side of each frame."""
    right = np.zeros((frames, pull.shape[1]))
    np.add.at(right, pairs[:, 1], pull)
    np.subtract.at(right, pairs[:, 0], pull)
    return right


def _solved(
    pairs: NDArray[np.int64], frames: int, normal: Curve, right: Curve, prior: Curve
) -> Curve:
    """Banded normal equations of differences: blocks of P, as far apart as frames are compared.

    right: (n, P, k). returns: the same.
    """
    size = normal.shape[1]
    lags = pairs[:, 1] - pairs[:, 0]
    own = np.zeros((frames, size, size))
    for end in (0, 1):
        np.add.at(own, pairs[:, end], normal)
    own[:, np.arange(size), np.arange(size)] += prior + 1e-9
    width = size * (int(lags.max()) + 1) - 1
    bands = np.zeros((width + 1, frames * size))
    row, col = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    upper = row <= col
    at = np.arange(frames)[:, None] * size
    bands[width + (row - col)[upper], at + col[upper]] = own[:, upper]
    for lag in np.unique(lags):
        chosen = lags == lag
        first, second = pairs[chosen, 0, None], pairs[chosen, 1, None]
        down = width + first * size + row.ravel() - second * size - col.ravel()
        bands[down, second * size + col.ravel()] = -normal[chosen].reshape(-1, size * size)
    found: Curve = solveh_banded(
        bands, right.reshape(frames * size, -1), overwrite_ab=True, check_finite=False
    )
    return found.reshape(right.shape)


def _kinds(measured: Measured, weight: Curve) -> list[NDArray[np.int64]]:
    """Measurements of a kind, by their places in (m * cells * bands).

    Kinds: how far apart the frames are, how many pixels agreed, and how well.
    """
    lag = (measured.pairs[:, 1] - measured.pairs[:, 0])[:, None, None]
    seen = np.flatnonzero(weight > 1e-3)
    if not len(seen):
        return []
    shown, spread = weight.ravel()[seen], measured.spread.ravel()[seen]
    shares = np.quantile(shown, (0.3, 0.7))
    spreads = np.quantile(spread, (0.2, 0.4, 0.6, 0.8, 0.95))
    kind = np.searchsorted(shares, shown) * 6 + np.searchsorted(spreads, spread)
    kind += 18 * np.broadcast_to(lag, weight.shape).ravel()[seen]
    order = np.argsort(kind, kind="stable")
    return np.split(seen[order], np.flatnonzero(np.diff(kind[order])) + 1)


def _errors(residual: Curve, kinds: list[NDArray[np.int64]]) -> Curve:
    """(m, cells, bands) standard error of each measurement, from others of its kind."""
    size = np.abs(residual).ravel()
    error = np.full(size.shape, _ERROR_STOPS)
    for places in kinds:
        typical = 1.4826 * float(np.quantile(size[places], 0.5))
        error[places] = np.clip(typical, *_ERROR_RANGE_STOPS)
    return error.reshape(residual.shape)


def _sizes(found: Curve, loose: Curve, kinds: NDArray[np.int64]) -> Curve:
    """(P,) rms of each kind of effect, from frame to frame: slow change is not flicker."""
    step = 0.5 * (np.square(np.diff(found, axis=0)) + np.square(np.diff(loose, axis=0))).mean(0)
    out = np.empty(found.shape[1])
    for kind in np.unique(kinds):
        of_kind = kinds == kind
        out[of_kind] = max(np.sqrt(step[of_kind].mean()), _LEAST_STOPS)
    out[0] = _FREE_STOPS
    return out
