"""The kernels of enlargement: how pixels are fetched, and what a scanner's pixel is a mean of."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
Kernel = Literal["mixed", "area", "bicubic"]
"""How the picture is thought to have been reduced: ``area`` means over a pixel (a sensor's
aperture), ``bicubic`` an antialiased cubic (a file that was scaled down), ``mixed`` the mean of
both, which costs either of them least when it is not known."""
LOBES = 3
"""Of the Lanczos kernel that enlarges."""
TAPS = 2 * LOBES


@lru_cache(maxsize=8)
def enlarging_taps(scale: int) -> tuple[F32, NDArray[np.int64]]:
    """(scale, 6) Lanczos-3 taps of each phase and (scale,) the place of its first tap.

    Pixel-centre convention; the taps of a phase sum to one.
    """
    table = np.zeros((scale, TAPS), np.float64)
    first = np.zeros(scale, np.int64)
    for phase in range(scale):
        offset = (phase + 0.5) / scale - 0.5
        base = math.floor(offset)
        first[phase] = base - LOBES + 1
        for k in range(TAPS):
            x = offset - (first[phase] + k)
            table[phase, k] = _sinc(x) * _sinc(x / LOBES) if abs(x) < LOBES else 0.0
        table[phase] /= math.fsum(table[phase])
    return table.astype(np.float32), first


@lru_cache(maxsize=16)
def reducing_taps(kernel: Kernel, scale: int) -> F32:
    """(n,) taps in pixels of the larger picture, even in number, centred on the smaller pixel."""
    area = np.full(scale, 1.0 / scale)
    if kernel == "area":
        return area.astype(np.float32)
    x = np.abs((np.arange(4 * scale) - (4 * scale - 1) / 2) / scale)
    near = 1.5 * x**3 - 2.5 * x**2 + 1.0
    far = -0.5 * x**3 + 2.5 * x**2 - 4.0 * x + 2.0
    cubic = np.where(x <= 1.0, near, np.where(x < 2.0, far, 0.0))
    cubic /= cubic.sum()
    if kernel == "mixed":
        rim = (len(cubic) - scale) // 2
        cubic *= 0.5
        cubic[rim : rim + scale] += 0.5 * area
    return cubic.astype(np.float32)


def reach_px(kernel: Kernel) -> int:
    """How far, in pixels of the smaller picture, one reduction or enlargement looks."""
    return LOBES if kernel == "area" else LOBES + 2


def _sinc(x: float) -> float:
    return 1.0 if abs(x) < 1e-12 else math.sin(math.pi * x) / (math.pi * x)
