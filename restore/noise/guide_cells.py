"""Planes folded into the cells a guiding network sees, and its answer unfolded (CPU, compiled)."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from restore.noise.guide import FOLD, RANGE, SCALE

F32 = NDArray[np.float32]
U16 = NDArray[np.uint16]
CELL = FOLD * FOLD


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def fold(planes: F32, slow: F32, told: F32, slots: int, half: bool, full: F32, short: U16) -> None:
    """Frames less the slow part, 4 x 4 px to a cell, into one of two arrays of the same shape.

    planes: (T, C, h, w) units of grain. slow: (C, H, W), H and W multiples of FOLD, not less than
    h and w: beyond the frame its last row and column stand. told: (K,) for every cell.
    slots: planes that the network gives each frame; those beyond C stay as they are.
    full: (H / 4, W / 4, T * slots * 16 + K). short: the same as bf16 bits, filled if ``half``.
    """
    frames, c, h, w = planes.shape
    _, tall, wide = slow.shape
    line = np.empty(wide, np.float32)
    bits = line.view(np.uint32)
    low, high, scale = np.float32(-RANGE), np.float32(RANGE), np.float32(SCALE)
    first_told = frames * slots * CELL
    words = told.view(np.uint32)
    for cy in range(tall // FOLD):
        for n in range(frames):
            for p in range(c):
                for dy in range(FOLD):
                    y = cy * FOLD + dy
                    source, base = planes[n, p, min(y, h - 1)], slow[p, y]
                    for x in range(w):
                        line[x] = min(max(source[x] - base[x], low), high) * scale
                    for x in range(w, wide):
                        line[x] = min(max(source[w - 1] - base[x], low), high) * scale
                    at = (n * slots + p) * CELL + dy * FOLD
                    if half:
                        for x in range(wide):
                            # Rounded to the nearest, halves to even.
                            bits[x] = (bits[x] + 0x7FFF + ((bits[x] >> 16) & 1)) >> 16
                        for cx in range(wide // FOLD):
                            for dx in range(FOLD):
                                short[cy, cx, at + dx] = np.uint16(bits[cx * FOLD + dx])
                    else:
                        for cx in range(wide // FOLD):
                            for dx in range(FOLD):
                                full[cy, cx, at + dx] = line[cx * FOLD + dx]
        for cx in range(wide // FOLD):
            for k in range(len(told)):
                if half:
                    rounded = words[k] + 0x7FFF + ((words[k] >> 16) & 1)
                    short[cy, cx, first_told + k] = np.uint16(rounded >> 16)
                else:
                    full[cy, cx, first_told + k] = told[k]


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def unfolded(own: F32, cells: F32) -> F32:
    """(C, h, w): the frame less the grain that the network found.

    own: (C, h, w). cells: (H / 4, W / 4, 48 or more).
    """
    c, h, w = own.shape
    out = np.empty_like(own)
    for y in range(h):
        cy, dy = y // FOLD, y % FOLD
        for p in range(c):
            at = p * CELL + dy * FOLD
            source, target = own[p, y], out[p, y]
            for x in range(w):
                target[x] = source[x] - cells[cy, x // FOLD, at + x % FOLD]
    return out
