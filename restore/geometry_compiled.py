"""Placing a picture on a CPU, compiled: both passes go over a few rows that stay in the cache.

Every pixel comes by the same sums in the same order whatever tile it lies in: one thread, no
reassociation, no contraction. ``restore.geometry`` has the same for other devices.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _along(wide: F32, taps: F32, into: F32) -> None:
    """(W + 11,) fetched by (12,) taps into (W,)."""
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
def _added(
    a: F32, b: F32, c: F32, d: F32, of_a: F32, of_b: F32, of_c: F32, of_d: F32, into: F32
) -> None:
    """Four rows (n,), each times its own (n,), on top of what is there. The compiler gives up on
    more rows at once: they might overlap."""
    for x in range(len(into)):
        total = (into[x] + of_a[x] * a[x]) + of_b[x] * b[x]
        into[x] = (total + of_c[x] * c[x]) + of_d[x] * d[x]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def placed(
    plane: F32,
    rows: I64,
    columns: I64,
    before: int,
    first_x: I64,
    row_taps: F32,
    edges: I64,
    first_y: I64,
    column_taps: F32,
    out: F32,
) -> None:
    """(H, W) fetched along its rows, then along its columns, into ``out`` (H, W).

    rows, columns: places within the picture that stand for those from the first one asked for to
    the last; ``before`` columns of these lie left of it. first_x: (H,) first of the columns that a
    row is fetched from. row_taps: (H, 12). edges: (n + 1,) columns between which all are fetched
    from the same rows. first_y: (n,) first of these rows, for the top one. column_taps: (12, W).
    """
    h, w = plane.shape
    reach = len(rows) - h + 1
    kept = np.empty((reach, w), np.float32)
    wide = np.empty(len(columns), np.float32)
    made = 0
    for y in range(h):
        while made < y + reach:
            row = rows[made]
            source = plane[row]
            for x in range(before):
                wide[x] = source[columns[x]]
            wide[before : before + w] = source
            for x in range(before + w, len(columns)):
                wide[x] = source[columns[x]]
            first = first_x[row]
            _along(wide[first : first + w + 11], row_taps[row], kept[made % reach])
            made += 1
        for n in range(len(first_y)):
            part = slice(edges[n], edges[n + 1])
            into = out[y, part]
            into[:] = np.float32(0.0)
            for k in range(0, 12, 4):
                at = y + first_y[n] + k
                _added(
                    kept[at % reach, part],
                    kept[(at + 1) % reach, part],
                    kept[(at + 2) % reach, part],
                    kept[(at + 3) % reach, part],
                    column_taps[k, part],
                    column_taps[k + 1, part],
                    column_taps[k + 2, part],
                    column_taps[k + 3, part],
                    into,
                )
