"""What AV1 decoders do to make grain, compiled: one number after the other."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def decode(grain: F64, taps: F64) -> None:
    """Filter whole numbers (N, H, W) in place, by a decoder's own steps. taps: (24)."""
    count, rows, cols = grain.shape
    for n in range(count):
        for y in range(3, rows):
            for x in range(3, cols - 3):
                total, k = 0.0, 0
                for dy in range(-3, 1):
                    for dx in range(-3, 4 if dy < 0 else 0):
                        total += taps[k] * grain[n, y + dy, x + dx]
                        k += 1
                value = grain[n, y, x] + np.floor(total + 0.5)
                grain[n, y, x] = min(max(value, -128.0), 127.0)
