"""Registration of cells, compiled: fetching them where they went, and sums over their pixels.

Each cell comes by the same operations in the same order, whatever the others are.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _along(wide: F32, taps: F32, into: F32) -> None:
    """(n + 11,) fetched by (12,) taps into (n,)."""
    a, b, c, d, e, f = taps[0], taps[1], taps[2], taps[3], taps[4], taps[5]
    g, h, i, j, k, m = taps[6], taps[7], taps[8], taps[9], taps[10], taps[11]
    for x in range(len(into)):
        total = a * wide[x] + b * wide[x + 1]
        total = (total + c * wide[x + 2]) + d * wide[x + 3]
        total = (total + e * wide[x + 4]) + f * wide[x + 5]
        total = (total + g * wide[x + 6]) + h * wide[x + 7]
        total = (total + i * wide[x + 8]) + j * wide[x + 9]
        into[x] = (total + k * wide[x + 10]) + m * wide[x + 11]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _added(a: F32, b: F32, c: F32, d: F32, taps: F32, into: F32) -> None:
    """Four rows (n,) by (4,) taps, on top of what is there."""
    of_a, of_b, of_c, of_d = taps[0], taps[1], taps[2], taps[3]
    for x in range(len(into)):
        total = (into[x] + of_a * a[x]) + of_b * b[x]
        into[x] = (total + of_c * c[x]) + of_d * d[x]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def fetched(wide: F32, first: I64, across: F32, down: F32, columns: int, out: F32) -> None:
    """Cells, each fetched by 12 taps along rows and columns.

    wide: (h, w) picture with edges held around it. first: (cells, 2) row and column in it from
    which the top left pixel of a cell is fetched. across, down: (cells, 12). columns: of cells.
    out: (rows of cells * height, columns * width).
    """
    cells = len(first)
    height, width = out.shape[0] // (cells // columns), out.shape[1] // columns
    rows = np.empty((height + 11, width), np.float32)
    for k in range(cells):
        top, left = first[k, 0], first[k, 1]
        for y in range(height + 11):
            _along(wide[top + y, left : left + width + 11], across[k], rows[y])
        begin, side = (k // columns) * height, (k % columns) * width
        for y in range(height):
            into = out[begin + y, side : side + width]
            into[:] = np.float32(0.0)
            for n in range(0, 12, 4):
                at = y + n
                _added(rows[at], rows[at + 1], rows[at + 2], rows[at + 3], down[k, n : n + 4], into)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def normal_sums(
    pattern: F32, found: F32, inside: F32, bounded: bool, rows: int, columns: int, samples: int
) -> tuple[F64, F64]:
    """What a Gauss-Newton step of each cell needs, from every other row, without the rim.

    pattern, found: (rows * height, columns * width). inside: the same, 1 where a pixel lies in
    the frame; looked at where ``bounded``. samples: about how many pixels of a cell say how far
    they differ.
    returns: (cells, 6) sums of weight times xx, xy, yy, xr, yr, and the share inside; (cells,)
    how far pixels differ, film log.
    """
    height, width = pattern.shape[0] // rows, pattern.shape[1] // columns
    inner = width - 2
    lines = (height - 1) // 2
    every = max(1, lines * inner // samples)
    sums, scales = np.zeros((rows * columns, 6)), np.empty(rows * columns)
    some = np.empty((lines * inner + every - 1) // every, np.float32)
    up, here = np.empty(width, np.float32), np.empty(width, np.float32)
    below = np.empty(width, np.float32)
    gx, gy = np.empty(inner, np.float32), np.empty(inner, np.float32)
    rest, say = np.empty(inner, np.float32), np.empty(inner, np.float32)
    half, eighth, one, zero = np.float32(0.5), np.float32(0.125), np.float32(1), np.float32(0)
    for k in range(rows * columns):
        top, left = (k // columns) * height, (k % columns) * width
        for n in range(len(some)):
            y, x = top + 1 + 2 * (n * every // inner), left + 1 + n * every % inner
            some[n] = found[y, x] - pattern[y, x]
        middle = np.float32(np.median(some))
        some[:] = np.abs(some - middle)
        scale = np.float32(1.4826) * np.float32(np.median(some)) + np.float32(1e-5)
        scales[k] = scale
        per_scale = one / (np.float32(4.0) * scale)
        xx, xy, yy, xr, yr, seen = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for line in range(lines):
            y = top + 1 + 2 * line
            part = slice(left, left + width)
            _mean(pattern[y - 1, part], found[y - 1, part], half, up)
            _mean(pattern[y, part], found[y, part], half, here)
            _mean(pattern[y + 1, part], found[y + 1, part], half, below)
            _slopes(up, here, below, eighth, gx, gy)
            within = slice(left + 1, left + 1 + inner)
            _differences(pattern[y, within], found[y, within], middle, rest)
            for x in range(inner):
                off = rest[x] * per_scale
                off = max(one - off * off, zero)
                say[x] = off * off
            if bounded:
                lies = inside[y, within]
                for x in range(inner):
                    say[x] *= lies[x]
                    seen += lies[x]
            for x in range(inner):
                wx, wy = say[x] * gx[x], say[x] * gy[x]
                xx += wx * gx[x]
                xy += wx * gy[x]
                yy += wy * gy[x]
                xr += wx * rest[x]
                yr += wy * rest[x]
        share = seen / (lines * inner) if bounded else 1.0
        sums[k, 0], sums[k, 1], sums[k, 2] = xx, xy, yy
        sums[k, 3], sums[k, 4], sums[k, 5] = xr, yr, share
    return sums, scales


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _mean(a: F32, b: F32, half: float, out: F32) -> None:
    for x in range(len(out)):
        out[x] = half * (a[x] + b[x])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _differences(a: F32, b: F32, middle: float, out: F32) -> None:
    for x in range(len(out)):
        out[x] = (b[x] - a[x]) - middle


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _slopes(up: F32, here: F32, below: F32, eighth: float, gx: F32, gy: F32) -> None:
    """Sobel gradients per px of the middle row, without its ends."""
    two = np.float32(2.0)
    for x in range(len(gx)):
        right = (up[x + 2] + two * here[x + 2]) + below[x + 2]
        gx[x] = (right - ((up[x] + two * here[x]) + below[x])) * eighth
        under = (below[x] + two * below[x + 1]) + below[x + 2]
        gy[x] = (under - ((up[x] + two * up[x + 1]) + up[x + 2])) * eighth
