"""How much the cells of a pair of frames support a motion of the picture, compiled."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def support(middles: F64, motion: F64, within: F64, said: F64, guesses: F64) -> F64:
    """(g,) what the cells that each motion explains have to say, added up.

    middles: (cells, 2) x and y from the middle of the frame. motion: (cells, 2) as measured.
    within: (cells, 3) inverse square of what a cell may be off, xx, xy, yy. said: (cells,).
    guesses: (g, 4) shift x, shift y, turn, zoom.
    """
    out = np.zeros(len(guesses))
    for g in range(len(guesses)):
        right, down, turn, zoom = guesses[g, 0], guesses[g, 1], guesses[g, 2], guesses[g, 3]
        total = 0.0
        for c in range(len(middles)):
            at_x, at_y = middles[c, 0], middles[c, 1]
            x = right - turn * at_y + zoom * at_x - motion[c, 0]
            y = down + turn * at_x + zoom * at_y - motion[c, 1]
            off = within[c, 0] * x * x + 2.0 * within[c, 1] * x * y + within[c, 2] * y * y
            if off < 40.0:
                total += said[c] * np.exp(-0.5 * off)
        out[g] = total
    return out
