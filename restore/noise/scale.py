"""Frames put on the scale of their grain and back, compiled (CPU).

On it grain has unit strength at every level and in every plane. See ``restore.grain_curve``.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from restore.grain_curve import RANGE, TABLE

F32 = NDArray[np.float32]
U32 = NDArray[np.uint32]


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
def _looked_up(
    values: F32, table: F32, low: np.float32, scale: np.float32, index: U32, out: F32
) -> None:
    """A line of values through a table; ``values`` become places in it, ``index`` their floors."""
    last = np.float32(TABLE - 1.001)
    for x in range(len(out)):
        values[x] = min(max((values[x] - low) * scale, np.float32(0.0)), last)
    for x in range(len(out)):
        index[x] = np.uint32(values[x])
    for x in range(len(out)):
        i = index[x]
        out[x] = table[i] + (values[x] - np.float32(i)) * (table[i + 1] - table[i])


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
    line, before = np.empty(w, np.float32), np.empty(w, np.float32)
    kept, taken = np.empty(w, np.float32), np.empty(w, np.float32)
    index = np.empty(w, np.uint32)
    for k in range(c):
        first, last = ends[k]
        unit = np.float32((TABLE - 1) / (last - first))
        for y in range(h):
            line[:] = np.float32(0.0)
            for p in range(c):
                source, share = clean[p, y + rim], back[k, p]
                for x in range(w):
                    line[x] += share * source[x + rim]
            _looked_up(line, backward[k], first, unit, index, kept)
            line[:] = own[k, y]
            _looked_up(line, forward[k], low, scale, index, before)
            _looked_up(before, backward[k], first, unit, index, taken)
            target, source = out[k, y], own[k, y]
            for x in range(w):
                target[x] = source[x] + (kept[x] - taken[x])
    return out
