"""The CDL that comes closest to any change of color, and what it leaves over."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from color.cdl import CDL
from color.curve import SIZE, bounded, evaluate, to_cdl
from media.errors import ConfigError

F64 = NDArray[np.float64]

_ROUNDS = 60
_ENOUGH = 1e-12
_FEWEST = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A CDL and how far it is from what it stands for."""

    cdl: CDL
    rms_log: float
    """Root mean square of what is left, film log."""


def fit_cdl(x: F64, y: F64, *, robust_log: float | None = None) -> Fit:
    """The CDL that brings colors x nearest to y, both (N, 3) film log; no shrinkage.

    robust_log: matches further off than this count less and less (Cauchy); None: plain least
    squares. Levenberg-Marquardt over the parameters of ``color.curve``.
    raises: ConfigError for fewer than 8 colors.
    """
    if len(x) < _FEWEST or x.shape != y.shape:
        raise ConfigError(
            f"{len(x)} colors do not make a CDL", hint=f"at least {_FEWEST} pairs are needed"
        )
    theta: F64 = np.zeros(SIZE)
    damping = 1e-3
    value = evaluate(x, theta)
    weight = _weight(value.value - y, robust_log)
    cost = _cost(value.value - y, weight)
    for _ in range(_ROUNDS):
        design = value.slope.reshape(-1, SIZE)
        weighted = design * np.repeat(weight, 3)[:, None]
        normal = weighted.T @ design
        right = -weighted.T @ (value.value - y).ravel()
        step = np.linalg.solve(normal + damping * np.diag(np.diag(normal) + 1e-9), right)
        tried = bounded(theta + step)
        there = evaluate(x, tried)
        now = _cost(there.value - y, weight)
        if now > cost:
            damping *= 10.0
            if damping > 1e8:
                break
            continue
        theta, value, damping = tried, there, max(damping / 10.0, 1e-12)
        weight = _weight(value.value - y, robust_log)
        before, cost = cost, _cost(value.value - y, weight)
        if np.abs(step).max() < _ENOUGH or (robust_log is None and before - cost < 1e-20):
            break
    left = value.value - y
    return Fit(cdl=to_cdl(theta), rms_log=float(np.sqrt(np.mean(np.square(left)))))


def _weight(left: F64, robust_log: float | None) -> F64:
    if robust_log is None:
        return np.ones(len(left))
    return np.asarray(1.0 / (1.0 + np.square(left).sum(axis=1) / robust_log**2))


def _cost(left: F64, weight: F64) -> float:
    return float((weight[:, None] * np.square(left)).sum())
