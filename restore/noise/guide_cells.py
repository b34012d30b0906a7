"""Planes folded into the cells a guiding network sees, and its answer unfolded (CPU, compiled)."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from restore.noise.guide import FOLD, RANGE, SCALE

F32 = NDArray[np.float32]
U16 = NDArray[np.uint16]
I64 = NDArray[np.int64]
CELL = FOLD * FOLD


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def fold(
    planes: F32,
    seen: I64,
    slow: F32,
    told: F32,
    slots: int,
    half: bool,
    full: F32,
    short: U16,
) -> None:
    """Frames less the slow part, 4 x 4 px to a cell, into one of two arrays of the same shape.

    planes: (N, C, h, w) units of grain. seen: (T,) which of them are meant. slow: (C, H, W), H
    and W multiples of FOLD, not less than h and w: beyond the frame its last row and column
    stand. told: (K,) for every cell. slots: planes that the network gives each frame; those
    beyond C stay as they are. full: (H / 4, W / 4, T * slots * 16 + K). short: the same as bf16
    bits, filled if ``half``.
    """
    frames = len(seen)
    _, c, h, w = planes.shape
    _, tall, wide = slow.shape
    line = np.empty(wide, np.float32)
    bits = line.view(np.uint32)
    # Two numbers of bf16 are written at once; a cell begins at an even one.
    under, last, sixteen = np.uint32(0x7FFF), np.uint32(1), np.uint32(16)
    pairs, twos = np.empty(wide // 2, np.uint32), short.view(np.uint32)
    low, high, scale = np.float32(-RANGE), np.float32(RANGE), np.float32(SCALE)
    first_told = frames * slots * CELL
    words = told.view(np.uint32)
    for cy in range(tall // FOLD):
        for n in range(frames):
            for p in range(c):
                for dy in range(FOLD):
                    y = cy * FOLD + dy
                    source, base = planes[seen[n], p, min(y, h - 1)], slow[p, y]
                    for x in range(w):
                        line[x] = min(max(source[x] - base[x], low), high) * scale
                    for x in range(w, wide):
                        line[x] = min(max(source[w - 1] - base[x], low), high) * scale
                    at = (n * slots + p) * CELL + dy * FOLD
                    if half:
                        for x in range(wide):
                            # Rounded to the nearest, halves to even.
                            bits[x] = (bits[x] + under + ((bits[x] >> sixteen) & last)) >> sixteen
                        for k in range(wide // 2):
                            pairs[k] = bits[2 * k] | (bits[2 * k + 1] << sixteen)
                        for cx in range(wide // FOLD):
                            for k in range(FOLD // 2):
                                twos[cy, cx, at // 2 + k] = pairs[cx * (FOLD // 2) + k]
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
def combine(
    planes: F32, seen: I64, slow: F32, slots: int, half: bool, full: F32, short: U16
) -> F32:
    """(C, h, w) what the answers make of the frames: see ``restore.noise.guide.combined``.

    planes: (N, C, h, w). seen: (T,) which of them are meant. slow: (C, H, W). full, short:
    answers, (H / 4, W / 4, K) a row of cells each, as float32 or as bf16 bits.
    """
    frames = len(seen)
    _, c, h, w = planes.shape
    out = np.empty((c, h, w), np.float32)
    weights = np.empty((frames - 1, w), np.float32)
    total, mid, one = np.empty(w, np.float32), np.float32(0.5), np.float32(1.0)
    stands_from = frames - 1
    added_from = stands_from + slots
    answers = added_from + slots
    cells = slow.shape[2] // FOLD
    # What is said of a row of cells, by number and row of px.
    said = np.empty((answers, FOLD, cells * FOLD), np.float32)
    bits = said.view(np.uint32)
    for y in range(h):
        dy = y % FOLD
        if dy == 0:
            for cx in range(cells):
                for k in range(answers):
                    for j in range(FOLD):
                        for dx in range(FOLD):
                            at = k * CELL + j * FOLD + dx
                            if half:
                                word = np.uint32(short[y // FOLD, cx, at])
                                bits[k, j, cx * FOLD + dx] = word << np.uint32(16)
                            else:
                                said[k, j, cx * FOLD + dx] = full[y // FOLD, cx, at]
        total[:] = one
        for n in range(frames - 1):
            line, told = weights[n], said[n, dy]
            for x in range(w):
                line[x] = mid + mid * told[x] / (one + abs(told[x]))
            for x in range(w):
                total[x] += line[x]
        for p in range(c):
            target, base = out[p, y], slow[p, y]
            source = planes[seen[0], p, y]
            for x in range(w):
                target[x] = source[x] - base[x]
            for n in range(frames - 1):
                source, line = planes[seen[n + 1], p, y], weights[n]
                for x in range(w):
                    target[x] += line[x] * (source[x] - base[x])
            stands, added = said[stands_from + p, dy], said[added_from + p, dy]
            for x in range(w):
                share = mid + mid * stands[x] / (one + abs(stands[x]))
                target[x] = base[x] + share * target[x] / total[x] + added[x]
    return out
