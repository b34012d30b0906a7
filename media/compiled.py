"""Loops over whole pictures, compiled: each pixel is read once and written once.

Nothing is decided here: ``media.write`` and ``media.log_planes`` say what the tables and scales
are. Every pixel comes by the same operations whatever is beside it.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]
Codes = NDArray[np.uint8] | NDArray[np.uint16]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def looked_up(codes: Codes, table: F32, out: F32) -> None:
    """(H, W, C) codes to (C, H, W) values, by a table of one value a code."""
    h, w, channels = codes.shape
    if channels == 3:
        for y in range(h):
            row = codes[y]
            first, second, third = out[0, y], out[1, y], out[2, y]
            for x in range(w):
                first[x] = table[row[x, 0]]
                second[x] = table[row[x, 1]]
                third[x] = table[row[x, 2]]
    else:
        for c in range(channels):
            for y in range(h):
                for x in range(w):
                    out[c, y, x] = table[codes[y, x, c]]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def looked_up_means(codes: Codes, table: F32, step: int, out: F32) -> None:
    """(H, W, C) codes to (C, H/step, W/step) means of their values; a rest at the edges is left."""
    channels, h, w = out.shape
    # Arrays of their own, which the compiler knows not to overlap.
    first = np.empty(w * step, np.float32)
    second, third = np.empty_like(first), np.empty_like(first)
    for y in range(h):
        for i in range(step):
            row = codes[y * step + i]
            if channels == 3 and i == 0:
                for x in range(w * step):
                    first[x] = table[row[x, 0]]
                    second[x] = table[row[x, 1]]
                    third[x] = table[row[x, 2]]
            elif channels == 3:
                for x in range(w * step):
                    first[x] += table[row[x, 0]]
                    second[x] += table[row[x, 1]]
                    third[x] += table[row[x, 2]]
            else:
                for x in range(w * step):
                    value = table[row[x, 0]]
                    first[x] = value if i == 0 else first[x] + value
        for c in range(channels):
            _meant(first if c == 0 else (second if c == 1 else third), step, out[c, y])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def word_means(words: NDArray[np.uint32], table: F32, step: int, out: F32) -> None:
    """The same of (H, W) words that hold three codes of ten bits each, the first one uppermost."""
    _, h, w = out.shape
    low = np.uint32(0x3FF)
    first = np.empty(w * step, np.float32)
    second, third = np.empty_like(first), np.empty_like(first)
    for y in range(h):
        for i in range(step):
            row = words[y * step + i]
            if i == 0:
                for x in range(w * step):
                    first[x] = table[(row[x] >> np.uint32(20)) & low]
                    second[x] = table[(row[x] >> np.uint32(10)) & low]
                    third[x] = table[row[x] & low]
            else:
                for x in range(w * step):
                    first[x] += table[(row[x] >> np.uint32(20)) & low]
                    second[x] += table[(row[x] >> np.uint32(10)) & low]
                    third[x] += table[row[x] & low]
        _meant(first, step, out[0, y])
        _meant(second, step, out[1, y])
        _meant(third, step, out[2, y])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _meant(source: F32, step: int, out: F32) -> None:
    """Sums of ``step`` columns over step x step."""
    share = np.float32(1.0 / (step * step))
    if step == 2:
        for x in range(len(out)):
            out[x] = (source[2 * x] + source[2 * x + 1]) * share
    else:
        for x in range(len(out)):
            total = source[x * step]
            for j in range(1, step):
                total += source[x * step + j]
            out[x] = total * share


@numba.njit(cache=True, nogil=True, error_model="numpy")
def means(planes: F32, step: int, out: F32) -> None:
    """(C, H, W) to (C, H/step, W/step), in the order of ``looked_up_means``."""
    channels, h, w = out.shape
    source = np.empty(w * step, np.float32)
    for c in range(channels):
        for y in range(h):
            source[:] = planes[c, y * step, : w * step]
            for i in range(1, step):
                row = planes[c, y * step + i]
                for x in range(w * step):
                    source[x] += row[x]
            _meant(source, step, out[c, y])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def quantised(planes: F32, touch: U8, own: Codes, kept: bool, scale: float, out: Codes) -> int:
    """(C, H, W) values to (H, W, C) codes of up to 12 bits: nearest, ties to even, clipped.

    touch: (H, W). own: (H, W, C) codes. Where ``kept``, pixels of touch 0 take these.
    returns: how many values are no number (NaN, Inf); their codes are nothing.
    """
    channels, h, w = planes.shape
    full, zero = np.float32(scale), np.float32(0.0)
    largest = np.float32(3.4028235e38)
    # Added and taken away, this leaves the nearest whole number of what is below 2**22.
    whole = np.float32(12582912.0)
    bad = 0
    lines = np.empty((channels, w), np.uint16)
    for y in range(h):
        for c in range(channels):
            source, line = planes[c, y], lines[c]
            for x in range(w):
                value = source[x]
                bad += not abs(value) <= largest
                value = min(max(value * full, zero), full)
                line[x] = np.uint16(np.int32((value + whole) - whole))
        target = out[y]
        if channels == 3:
            first, second, third = lines[0], lines[1], lines[2]
            for x in range(w):
                target[x, 0], target[x, 1], target[x, 2] = first[x], second[x], third[x]
        else:
            for c in range(channels):
                for x in range(w):
                    target[x, c] = lines[c, x]
        if kept:
            marks = touch[y]
            for x in range(w):
                if marks[x] == 0:
                    for c in range(channels):
                        target[x, c] = own[y, x, c]
    return bad


@numba.njit(cache=True, nogil=True, error_model="numpy")
def mark_changed(before: F32, after: F32, mark: int, touch: U8) -> None:
    """Raise touch (H, W) to ``mark`` where two pictures (C, H, W) differ in any channel."""
    channels, h, w = before.shape
    differs = np.empty(w, np.uint8)
    level = np.uint8(mark)
    for y in range(h):
        marks = touch[y]
        differs[:] = np.uint8(0)
        for c in range(channels):
            old, new = before[c, y], after[c, y]
            for x in range(w):
                differs[x] |= np.uint8(old[x] != new[x])
        for x in range(w):
            marks[x] = max(marks[x], np.uint8(differs[x] * level))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def count_marks(planes: U8, counts: NDArray[np.int64]) -> None:
    """How many of (T, n) marks are 0, 1 and so on, into (T, marks)."""
    for t in range(len(planes)):
        for mark in range(counts.shape[1]):
            wanted = np.uint8(mark)
            found = 0
            for value in planes[t]:
                found += value == wanted
            counts[t, mark] = found


@numba.njit(cache=True, nogil=True, error_model="numpy")
def run_starts(planes: U8) -> NDArray[np.int64]:
    """Where runs of equal marks begin in (T, n), each row by itself, counted through all rows."""
    rows, size = planes.shape
    block = 256
    count = rows
    for t in range(rows):
        line = planes[t]
        for x in range(size - 1):
            count += line[x + 1] != line[x]
    starts = np.empty(count, np.int64)
    at = 0
    for t in range(rows):
        line = planes[t]
        starts[at] = t * size
        at += 1
        for begin in range(0, size - 1, block):
            end = min(begin + block, size - 1)
            changes = 0
            for x in range(begin, end):
                changes += line[x + 1] != line[x]
            # Most stretches hold no change, and are passed over in a few steps.
            if changes:
                for x in range(begin, end):
                    if line[x + 1] != line[x]:
                        starts[at] = t * size + x + 1
                        at += 1
    return starts


@numba.njit(cache=True, nogil=True, error_model="numpy")
def counted(codes: Codes, step: int, shift: int, counts: NDArray[np.int64]) -> None:
    """Add how often each code, ``shift`` bits taken off, stands in every ``step``-th pixel and
    line of (H, W, C)."""
    h, w, channels = codes.shape
    for y in range(0, h, step):
        row = codes[y]
        for x in range(0, w, step):
            for c in range(channels):
                counts[row[x, c] >> shift] += 1
