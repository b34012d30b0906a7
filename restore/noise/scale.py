"""Frames put on the scale of their grain and back, compiled (CPU).

On it grain has unit strength at every level and in every plane. See ``restore.grain_curve``.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from restore.grain_curve import RANGE, TABLE

F32 = NDArray[np.float32]


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def in_units(frame: F32, tables: F32, mix: F32) -> F32:
    """(H, W, C) film log as (H, W, C) planes of unit grain.

    tables: (C, 4096) over ``RANGE``. mix: (C, C), planes by channels.
    """
    h, w, c = frame.shape
    low, high = RANGE
    out = np.empty((h, w, c), np.float32)
    scale = np.float32((TABLE - 1) / (high - low))
    shift = np.float32(low)
    last = np.float32(TABLE - 1.001)
    row, place = np.empty((c, w), np.float32), np.empty(w, np.float32)
    index, mixed = np.empty(w, np.uint32), np.empty((c, w), np.float32)
    for y in range(h):
        for k in range(c):
            table, line = tables[k], row[k]
            for x in range(w):
                place[x] = min(max((frame[y, x, k] - shift) * scale, np.float32(0.0)), last)
            for x in range(w):
                index[x] = np.uint32(place[x])
            for x in range(w):
                i = index[x]
                value = table[i]
                line[x] = value + (place[x] - np.float32(i)) * (table[i + 1] - value)
        for p in range(c):
            target = mixed[p]
            for x in range(w):
                target[x] = mix[p, 0] * row[0, x]
            for k in range(1, c):
                for x in range(w):
                    target[x] += mix[p, k] * row[k, x]
        for x in range(w):
            for p in range(c):
                out[y, x, p] = mixed[p, x]
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def bordered(frame: F32, rim: int, out: F32) -> None:
    """(H, W, C) into planes (C, H + 2 rim, W + 2 rim) with a mirrored rim."""
    h, w, c = frame.shape
    for p in range(c):
        plane = out[p]
        for y in range(h):
            for x in range(w):
                plane[y + rim, x + rim] = frame[y, x, p]
        for x in range(rim):
            left, right = min(rim - x, w - 1), max(w - 2 - x, 0)
            for y in range(rim, rim + h):
                plane[y, x] = plane[y, rim + left]
                plane[y, rim + w + x] = plane[y, rim + right]
        for y in range(rim):
            above, below = min(rim - y, h - 1), max(h - 2 - y, 0)
            plane[y] = plane[rim + above]
            plane[rim + h + y] = plane[rim + below]


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _looked_up(value: np.float32, table: F32, low: np.float32, scale: np.float32) -> np.float32:
    at = (value - low) * scale
    at = np.float32(min(max(at, np.float32(0.0)), np.float32(TABLE - 1.001)))
    i = np.uint32(at)
    return np.float32(table[i] + (at - np.float32(i)) * (table[i + 1] - table[i]))


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def restored(
    own: F32, clean: F32, rim: int, forward: F32, backward: F32, ends: F32, back: F32
) -> F32:
    """(C, H, W) film log: the frame less what the filter took out of it.

    clean: (C, H + 2 rim, ..) planes of unit grain. back: (C, C), channels by planes.
    """
    c, h, w = own.shape
    out = np.empty_like(own)
    low, high = np.float32(RANGE[0]), np.float32(RANGE[1])
    scale = np.float32((TABLE - 1) / (high - low))
    for k in range(c):
        first, last = ends[k]
        unit = np.float32((TABLE - 1) / (last - first))
        for y in range(h):
            for x in range(w):
                value = np.float32(0.0)
                for p in range(c):
                    value += back[k, p] * clean[p, y + rim, x + rim]
                before = _looked_up(own[k, y, x], forward[k], low, scale)
                kept = _looked_up(value, backward[k], first, unit)
                taken = _looked_up(before, backward[k], first, unit)
                out[k, y, x] = own[k, y, x] + (kept - taken)
    return out
