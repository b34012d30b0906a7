"""A CDL as five numbers a channel that hardly depend on each other.

Slope, offset and power pull at the same tones: a power of 1.1 darkens the middle by 3.5 points.
For solving, a correction is written by what it does around a mid-tone p instead: where p goes
(shift), how steep it is there (gain), how it bends (bend, the logarithm of the power) and the
logarithm of the saturation. A prior on one of them then leaves the others alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from color.cdl import CDL, LUMA_WEIGHTS, triple

F64 = NDArray[np.float64]

PIVOT_LOG = 0.4
"""Near the code of a mid grey (445/1023)."""
SIZE = 10
"""gain (3), shift (3), bend (3), log saturation."""
GAIN, SHIFT, BEND, SATURATION = slice(0, 3), slice(3, 6), slice(6, 9), 9
_LUMA = np.array(LUMA_WEIGHTS)
_LEAST = 1e-4
_MOST_BEND, _MOST_LOG_SATURATION = 1.2, 2.3


@dataclass(frozen=True, slots=True, eq=False)
class Evaluated:
    """Corrected colors and how they answer to each parameter."""

    value: F64
    """(N, 3) film log."""
    slope: F64
    """(N, 3, SIZE): derivative of each channel with respect to each parameter."""


def bounded(theta: F64) -> F64:
    """Parameters (SIZE,) that make a usable CDL."""
    out = theta.copy()
    out[GAIN] = np.maximum(out[GAIN], -0.95)
    out[SHIFT] = np.maximum(out[SHIFT], 0.02 - PIVOT_LOG)
    out[BEND] = np.clip(out[BEND], -_MOST_BEND, _MOST_BEND)
    out[SATURATION] = np.clip(out[SATURATION], -_MOST_LOG_SATURATION, _MOST_LOG_SATURATION)
    return out


def to_cdl(theta: F64) -> CDL:
    """The CDL with these parameters (SIZE,)."""
    theta = bounded(theta)
    power = np.exp(theta[BEND])
    middle = PIVOT_LOG + theta[SHIFT]
    base = middle ** (1.0 / power)
    slope = (1.0 + theta[GAIN]) * base / (power * middle)
    return CDL(
        triple(slope),
        triple(base - slope * PIVOT_LOG),
        triple(power),
        float(np.exp(theta[SATURATION])),
    )


def from_cdl(cdl: CDL) -> F64:
    """Parameters (SIZE,) of a CDL; a mid-tone driven below black counts as just above it."""
    slope, power = np.array(cdl.slope), np.array(cdl.power)
    base = np.maximum(slope * PIVOT_LOG + np.array(cdl.offset), _LEAST)
    middle = base**power
    theta = np.empty(SIZE)
    theta[GAIN] = power * slope * middle / base - 1.0
    theta[SHIFT] = middle - PIVOT_LOG
    theta[BEND] = np.log(power)
    theta[SATURATION] = np.log(max(cdl.saturation, 1e-3))
    return theta


def evaluate(x: F64, theta: F64) -> Evaluated:
    """Correct colors x (N, 3) film log, with derivatives."""
    theta = bounded(theta)
    power = np.exp(theta[BEND])
    middle = PIVOT_LOG + theta[SHIFT]
    steep = 1.0 + theta[GAIN]
    log_middle = np.log(middle)
    base = middle ** (1.0 / power)
    slope = steep * base / (power * middle)
    away = x - PIVOT_LOG
    v = np.maximum(base + slope * away, _LEAST)
    w = v**power
    outer = power * w / v
    by_shift = outer * (base / (power * middle) + slope * (1.0 / power - 1.0) / middle * away)
    by_gain = outer * (slope / steep) * away
    by_bend = (
        outer * (-base * log_middle / power + slope * (-1.0 - log_middle / power) * away)
        + w * np.log(v) * power
    )
    sat = float(np.exp(theta[SATURATION]))
    mix = sat * np.eye(3) + (1.0 - sat) * np.tile(_LUMA, (3, 1))
    jacobian = np.zeros((len(x), 3, SIZE))
    for c in range(3):
        column = mix[:, c]
        jacobian[:, :, c] = by_gain[:, c, None] * column
        jacobian[:, :, 3 + c] = by_shift[:, c, None] * column
        jacobian[:, :, 6 + c] = by_bend[:, c, None] * column
    jacobian[:, :, SATURATION] = sat * (w - (w @ _LUMA)[:, None])
    return Evaluated(w @ mix.T, jacobian)
