"""Registration of cells, compiled: fetching them where they went, and sums over their pixels.

Each cell comes by the same operations in the same order, whatever the others are. What fetches a
row stands in ``restore.geometry_compiled`` too: numba keeps what it compiled by the file it stands
in, and would not see that a part from another file has changed.
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
    """Four rows by (4,) taps, on top of what is there (n,)."""
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
    # Rows of a cell lie end to end: one long loop instead of many short ones, over a few pixels
    # between the rows that nobody looks at.
    long = width + 11
    part, along = (
        np.zeros((height + 12, long), np.float32),
        np.zeros((height + 12, long), np.float32),
    )
    moved = np.empty((height, long), np.float32)
    count = (height + 11) * long
    for k in range(cells):
        top, left = first[k, 0], first[k, 1]
        part[: height + 11] = wide[top : top + height + 11, left : left + long]
        _along(part.reshape(-1), across[k], along.reshape(-1)[:count])
        into, rows = moved.reshape(-1), along.reshape(-1)
        into[:] = np.float32(0.0)
        for n in range(0, 12, 4):
            at = n * long
            _added(
                rows[at:],
                rows[at + long :],
                rows[at + 2 * long :],
                rows[at + 3 * long :],
                down[k, n : n + 4],
                into,
            )
        begin, side = (k // columns) * height, (k % columns) * width
        out[begin : begin + height, side : side + width] = moved[:, :width]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def sampled(pattern: F32, found: F32, rows: int, columns: int, samples: int) -> F32:
    """(cells, n) differences at about ``samples`` of the pixels that ``normal_sums`` looks at."""
    height, width = pattern.shape[0] // rows, pattern.shape[1] // columns
    inner, lines = width - 2, (height - 1) // 2
    every = max(1, lines * inner // samples)
    some = np.empty((rows * columns, (lines * inner + every - 1) // every), np.float32)
    for k in range(len(some)):
        top, left = (k // columns) * height, (k % columns) * width
        for n in range(some.shape[1]):
            y, x = top + 1 + 2 * (n * every // inner), left + 1 + n * every % inner
            some[k, n] = found[y, x] - pattern[y, x]
    return some


@numba.njit(cache=True, nogil=True, error_model="numpy")
def difference_slopes(
    pattern: F32, found: F32, middle: F32, width: F32, columns: int, samples: int
) -> F64:
    """(cells, 2) mean square slope per px, across and down, of the difference of the two pictures.

    At the pixels of ``sampled``, but those that differ from ``middle`` by more than ``width``.
    """
    rows = len(middle) // columns
    height, across = pattern.shape[0] // rows, pattern.shape[1] // columns
    inner, lines = across - 2, (height - 1) // 2
    every = max(1, lines * inner // samples)
    off = np.empty((3, 3), np.float32)
    out = np.zeros((len(middle), 2))
    for k in range(len(middle)):
        top, left = (k // columns) * height, (k % columns) * across
        counted = 0
        for n in range(0, lines * inner, every):
            y, x = top + 1 + 2 * (n // inner), left + 1 + n % inner
            for i in range(3):
                for j in range(3):
                    off[i, j] = found[y + i - 1, x + j - 1] - pattern[y + i - 1, x + j - 1]
            if abs(off[1, 1] - middle[k]) > width[k]:
                continue
            gx = (off[0, 2] + 2.0 * off[1, 2] + off[2, 2]) - (
                off[0, 0] + 2.0 * off[1, 0] + off[2, 0]
            )
            gy = (off[2, 0] + 2.0 * off[2, 1] + off[2, 2]) - (
                off[0, 0] + 2.0 * off[0, 1] + off[0, 2]
            )
            out[k, 0] += gx * gx
            out[k, 1] += gy * gy
            counted += 1
        out[k] /= 64.0 * max(counted, 1)
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy")
def normal_sums(
    pattern: F32, found: F32, inside: F32, middle: F32, width: F32, columns: int
) -> F64:
    """What a Gauss-Newton step of each cell needs, from every other row, without the rim.

    pattern, found: all cells, (rows * height, columns * width). inside: the same, 1 where a pixel
    lies in the frame, or empty where all do. middle, width: (cells,) film log by which pixels
    differ, and how far from that they count nothing.
    returns: (cells, 7) sums of weight times xx, xy, yy, xr, yr, the share inside, and the sum of
    the weights.
    """
    rows = len(middle) // columns
    tall, across = pattern.shape[0] // rows, pattern.shape[1] // columns
    lines, full = (tall - 1) // 2, pattern.shape[1]
    usual, per_width = np.empty(full, np.float32), np.empty(full, np.float32)
    up, here = np.empty(full, np.float32), np.empty(full, np.float32)
    below, gx, gy = np.empty_like(up), np.zeros_like(up), np.zeros_like(up)
    sums = np.zeros((len(middle), 7))
    for row in range(rows):
        for c in range(columns):
            part = slice(c * across, (c + 1) * across)
            usual[part] = middle[row * columns + c]
            per_width[part] = np.float32(1.0) / width[row * columns + c]
        xx, xy, yy = np.zeros_like(up), np.zeros_like(up), np.zeros_like(up)
        xr, yr, seen = np.zeros_like(up), np.zeros_like(up), np.zeros_like(up)
        said = np.zeros_like(up)
        top = row * tall
        _mean(pattern[top], found[top], up)
        for line in range(lines):
            y = top + 1 + 2 * line
            _mean(pattern[y], found[y], here)
            _mean(pattern[y + 1], found[y + 1], below)
            _slopes(up, here, below, gx[1:-1], gy[1:-1])
            say, rest = up, here
            _weighed(pattern[y], found[y], usual, per_width, rest, say)
            if len(inside):
                _kept(say, seen, inside[y])
            _summed(gx, gx, say, xx)
            _summed(gx, gy, say, xy)
            _summed(gy, gy, say, yy)
            _summed(gx, rest, say, xr)
            _summed(gy, rest, say, yr)
            _counted(say, said)
            up, below = below, up
        for c in range(columns):
            part = slice(c * across + 1, (c + 1) * across - 1)
            into = sums[row * columns + c]
            into[0], into[1], into[2] = _total(xx[part]), _total(xy[part]), _total(yy[part])
            into[3], into[4] = _total(xr[part]), _total(yr[part])
            into[5] = _total(seen[part]) / (lines * (across - 2)) if len(inside) else 1.0
            into[6] = _total(said[part])
    return sums


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _total(values: F32) -> float:
    total = 0.0
    for value in values:
        total += value
    return total


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _mean(a: F32, b: F32, out: F32) -> None:
    for x in range(len(out)):
        out[x] = np.float32(0.5) * (a[x] + b[x])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _slopes(up: F32, here: F32, below: F32, gx: F32, gy: F32) -> None:
    """Sobel gradients per px of the middle row, without its ends."""
    two, eighth = np.float32(2.0), np.float32(0.125)
    for x in range(len(gx)):
        right = (up[x + 2] + two * here[x + 2]) + below[x + 2]
        gx[x] = (right - ((up[x] + two * here[x]) + below[x])) * eighth
        under = (below[x] + two * below[x + 1]) + below[x + 2]
        gy[x] = (under - ((up[x] + two * up[x + 1]) + up[x + 2])) * eighth


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _weighed(pattern: F32, found: F32, middle: F32, per_width: F32, rest: F32, say: F32) -> None:
    """How far pixels differ beyond ``middle``, and Tukey's weights of that."""
    one, zero = np.float32(1.0), np.float32(0.0)
    for x in range(len(rest)):
        off = (found[x] - pattern[x]) - middle[x]
        rest[x] = off
        off = off * per_width[x]
        weight = max(one - off * off, zero)
        say[x] = weight * weight


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _kept(say: F32, seen: F32, inside: F32) -> None:
    for x in range(len(say)):
        say[x] *= inside[x]
        seen[x] += inside[x]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _counted(say: F32, into: F32) -> None:
    for x in range(len(into)):
        into[x] += say[x]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _summed(a: F32, b: F32, say: F32, into: F32) -> None:
    for x in range(len(into)):
        into[x] += say[x] * a[x] * b[x]
