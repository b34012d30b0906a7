"""What many measurements ask of whole pictures, compiled: each pixel is read once."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def weighed(planes: F32, weights: F32, out: F32) -> None:
    """(3, n) planes by (3,) weights, one after the other, into ``out`` (n,)."""
    first, second, third = planes[0], planes[1], planes[2]
    a, b, c = weights[0], weights[1], weights[2]
    for x in range(len(out)):
        out[x] = (a * first[x] + b * second[x]) + c * third[x]
