"""Measuring and correcting flicker on a CPU, compiled: each pixel is read once a pass.

Every corrected pixel comes by the same operations in the same order whatever tile it lies in: one
thread, no reassociation, no contraction.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def corrected(
    planes: F32,
    curves: F32,
    scales: F32,
    down: F32,
    lines: F32,
    mark: int,
    out: F32,
    touch: U8,
) -> None:
    """(C, H, W) film log with its correction added, into ``out``.

    curves: (C, 3) stops of exposure, contrast and bend. scales: pivot, one over a stop, the
    furthest tone in stops, a stop, one over the width of the ends. down: (H, rows) shares of the
    nodes. lines: (G, rows, W) stops along each row of nodes, of all channels first, then of each
    channel; G = 0, 1 or C + 1. touch: (H, W), raised to ``mark`` where a pixel differs.
    """
    channels, h, w = planes.shape
    grids, rows = lines.shape[0], down.shape[1]
    pivot, per_stop, reach, stop, per_end = scales
    one, zero = np.float32(1.0), np.float32(0.0)
    level = np.uint8(mark)
    shared, surface = np.zeros(w, np.float32), np.zeros(w, np.float32)
    for y in range(h):
        differs = np.zeros(w, np.uint8)
        if grids > 0:
            shared[:] = zero
            for k in range(rows):
                share, line = down[y, k], lines[0, k]
                for x in range(w):
                    shared[x] += share * line[x]
        for c in range(channels):
            if grids > 1:
                surface[:] = zero
                for k in range(rows):
                    share, line = down[y, k], lines[1 + c, k]
                    for x in range(w):
                        surface[x] += share * line[x]
            exposure, slope, bend = curves[c, 0], curves[c, 1], curves[c, 2]
            base = exposure - bend
            source, target = planes[c, y], out[c, y]
            for x in range(w):
                value = source[x]
                above = min(max((value - pivot) * per_stop, -reach), reach)
                stops = (above * bend + slope) * above + base
                stops = (stops + shared[x]) + surface[x]
                inside = min(max(min(value, one - value) * per_end, zero), one)
                found = value + inside * stops * stop
                target[x] = found
                differs[x] |= np.uint8(found != value)
        marks = touch[y]
        for x in range(w):
            marks[x] = max(marks[x], np.uint8(differs[x] * level))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def closed_in(gray: F32, trust: F32, slots: I64, centre: F32, scales: F32) -> None:
    """Means of each slot with Cauchy weights about the last, in place, one round for each scale.

    gray, trust, slots: (px,). centre: (slots,).
    """
    one = np.float32(1.0)
    for scale in scales:
        total, sums = np.zeros(len(centre)), np.zeros(len(centre))
        for k in range(len(gray)):
            slot = slots[k]
            off = (gray[k] - centre[slot]) / scale
            weight = trust[k] / (one + off * off)
            total[slot] += weight
            sums[slot] += weight * gray[k]
        for slot in range(len(centre)):
            centre[slot] = sums[slot] / (total[slot] + 1e-9)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def slot_sums(
    difference: F32, level: F32, gray: F32, trust: F32, slots: I64, centre: F32, scale: float
) -> tuple[F64, F64]:
    """Sums over the pixels of each slot, by Cauchy weights about its centre.

    difference, level: (px, C). returns: (slots,) weights; (2C + 1, slots) sums of the differences,
    the levels and the squares of how far pixels are off.
    """
    channels = difference.shape[1]
    total, sums = np.zeros(len(centre)), np.zeros((2 * channels + 1, len(centre)))
    one, square = np.float32(1.0), np.float32(scale * scale)
    for k in range(len(gray)):
        slot = slots[k]
        off = gray[k] - centre[slot]
        off = off * off
        weight = trust[k] / (one + off / square)
        total[slot] += weight
        for c in range(channels):
            sums[c, slot] += weight * difference[k, c]
            sums[channels + c, slot] += weight * level[k, c]
        sums[2 * channels, slot] += weight * off
    return total, sums
