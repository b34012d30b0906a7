"""Tell a smooth intention from frame-to-frame disturbance on a curve over time.

A measured curve is taken as something smooth that was meant (a pan, a fade) plus white
disturbance that was not (weave, flicker). How smooth is smooth is not a knob: it is the choice
that makes the observed curve most likely (restricted maximum likelihood), so a locked-off
camera gives a straight line and a hand-held one keeps its sway.
Source: Whittaker smoother (Eilers 2003) with REML smoothing (Wood 2011).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve_banded, cholesky_banded

Curve = NDArray[np.float64]

_ORDER = 2
_LAMBDAS = 10.0 ** np.arange(0.0, 9.01, 0.5)


def penalty_bands(n: int, order: int) -> Curve:
    """Upper bands (order + 1, n) of D'D for differences of an order."""
    stencil = np.array([1.0])
    for _ in range(order):
        stencil = np.convolve(stencil, [1.0, -1.0])
    bands = np.zeros((order + 1, n))
    for row in range(n - order):
        for i in range(order + 1):
            for j in range(i, order + 1):
                bands[order - (j - i), row + j] += stencil[i] * stencil[j]
    return bands


def smoothed(curves: Curve, weights: Curve, bands: Curve, lam: float) -> tuple[Curve, float]:
    """(n, k) curves under a penalty of ``penalty_bands``, and the log determinant of the system."""
    order = len(bands) - 1
    system = lam * bands
    system[order] = system[order] + weights
    factor = cholesky_banded(system)
    log_det = 2.0 * float(np.log(factor[order]).sum())
    return cho_solve_banded((factor, False), weights[:, None] * curves), log_det


def smooth_part(curves: Curve, weights: Curve | None = None, stiffest: float = 1e9) -> Curve:
    """The smooth intention in each of several curves, with one common smoothness.

    curves: (n, k) float64, any unit, n >= 4. weights: (n,) trust in each frame, 1 = normal,
    0 = ignore. stiffest: upper bound of the smoothing parameter.
    returns: (n, k), the smooth part; ``curves - smooth_part(curves)`` is the disturbance.
    """
    n, k = curves.shape
    w = np.ones(n) if weights is None else np.maximum(weights, 1e-6)
    bands = penalty_bands(n, _ORDER)
    best: tuple[float, Curve] | None = None
    for lam in _LAMBDAS[stiffest >= _LAMBDAS]:
        fit, log_det = smoothed(curves, w, bands, float(lam))
        power = np.einsum("n,nk,nk->k", w, curves, curves - fit) / (n - _ORDER)
        cost = float(
            (n - _ORDER) * np.log(np.maximum(power, 1e-14)).mean()
            + log_det
            - (n - _ORDER) * np.log(lam)
        )
        if best is None or cost < best[0] - 1e-9:
            best = (cost, fit)
    if best is None:
        raise ValueError("no smoothing parameter allowed")
    fit = best[1].reshape(n, k)
    for column in range(k):
        if _is_level(curves[:, column], fit[:, column], w):
            fit[:, column] = np.average(curves[:, column], weights=w)
    return fit


def _is_level(curve: Curve, fit: Curve, weights: Curve) -> bool:
    """True when the smooth part bends and slopes no more than chance makes it.

    A locked-off camera has no drift to keep; a curve fitted through white disturbance has one,
    the more so the shorter the shot (its rms falls with the root of the number of frames).
    """
    t = np.arange(len(curve), dtype=np.float64)
    slope, start = np.polyfit(t, curve, 1, w=np.sqrt(weights))
    line = start + slope * t
    spread = float(np.sqrt(np.average((curve - line) ** 2, weights=weights)))
    bend = float(np.sqrt(np.mean((fit - line) ** 2)))
    chance = spread * np.sqrt(12.0 / len(curve) ** 3)
    allowed = max(0.1, 1.5 / np.sqrt(len(curve)))
    return bool(bend < allowed * spread and abs(slope) < 2.5 * chance)


def solve_path(
    pairs: NDArray[np.int64],
    steps: Curve,
    weights: Curve,
    length: int,
    robust_scale: float,
    first: Curve | None = None,
) -> Curve:
    """The curve whose differences explain measured steps between pairs of frames.

    pairs: (m, 2) positions 0..length-1. steps: (m, k) measured ``curve[b] - curve[a]``.
    weights: (m, k). robust_scale: residual, in the unit of the steps, beyond which a pair loses
    its say (Cauchy). first: (m,) share of its weight that a pair has in the first round, when none
    has lost its say yet; None: 1. returns: (length, k), mean zero in each column.
    Deterministic: dense normal equations in blocks of columns, five reweightings.
    """
    k = steps.shape[1]
    out = np.zeros((length, k))
    width = int(np.max(pairs[:, 1] - pairs[:, 0])) if len(pairs) else 1
    for column in range(k):
        w = weights[:, column] * (1.0 if first is None else first)
        for _ in range(5):
            bands = np.zeros((width + 1, length))
            right = np.zeros(length)
            a, b, d = pairs[:, 0], pairs[:, 1], steps[:, column]
            np.add.at(bands[width], a, w)
            np.add.at(bands[width], b, w)
            np.add.at(bands, (width - (b - a), b), -w)
            np.add.at(right, b, w * d)
            np.add.at(right, a, -w * d)
            # A breath of ridge fixes the free constant and frames no pair reaches.
            bands[width] += 1e-6 * max(float(w.max(initial=0.0)), 1e-9) + 1e-12
            out[:, column] = cho_solve_banded((cholesky_banded(bands), False), right)
            residual = out[b, column] - out[a, column] - d
            w = weights[:, column] / (1.0 + (residual / robust_scale) ** 2)
    centred: Curve = out - out.mean(axis=0)
    return centred
