"""What the neighbours say of each pixel, folded into the cells the dirt network sees (compiled).

The same planes as ``restore.dirt.evidence.planes`` makes for learning and for other devices, in
one pass and without the planes themselves; on the CPU.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]
FOLD = 2
_AGREED = 1.6
"""Times as much as the least of them others may differ and still agree."""
PARTS = FOLD * FOLD


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _cell_means(line: F32, step: int, out: F32) -> None:
    """Sums over a row of cells, by column of px, to means of step x step px."""
    share = np.float32(1.0 / (step * step))
    for cx in range(len(out)):
        total = np.float32(0.0)
        for x in range(cx * step, (cx + 1) * step):
            total += line[x]
        out[cx] = total * share


@numba.njit(cache=True, nogil=True, error_model="numpy")
def coarse_difference(own: F32, near: F32, step: int, limit: float, out: F32) -> None:
    """Means of own - near, held within +-limit, over step x step px, into ``out``.

    own: (h, w); near: (N, h, w); out: (N, h // step, w // step).
    """
    n, tall, wide = out.shape
    most = np.float32(limit)
    line = np.empty(wide * step, np.float32)
    for k in range(n):
        for cy in range(tall):
            line[:] = 0.0
            for y in range(cy * step, (cy + 1) * step):
                a, b = own[y], near[k, y]
                for x in range(wide * step):
                    line[x] += min(max(a[x] - b[x], -most), most)
            _cell_means(line, step, out[k, cy])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def coarse_misfit(own: F32, near: F32, slow: F32, step: int, limit: float, out: F32) -> None:
    """Means of abs(own - near - slow), held below the limit, over step x step px, into ``out``.

    own: (h, w); near: (N, h, w); slow, out: (N, h // step, w // step).
    """
    n, tall, wide = out.shape
    most = np.float32(limit)
    line = np.empty(wide * step, np.float32)
    for k in range(n):
        for cy in range(tall):
            line[:] = 0.0
            for y in range(cy * step, (cy + 1) * step):
                a, b = own[y], near[k, y]
                for cx in range(wide):
                    level = slow[k, cy, cx]
                    for x in range(cx * step, (cx + 1) * step):
                        line[x] += min(abs(a[x] - b[x] - level), most)
            _cell_means(line, step, out[k, cy])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def stand_in(near: F32, misfit: F32, step: int, times: float, beyond: float) -> None:
    """Where one of ``near`` fits far worse than the best of them, the best stands in its place.

    near: (N, h, w), changed in place; misfit: (N, h // step, w // step). What is left over of a
    cell at the right and below goes with the last cell.
    """
    n, tall, wide = misfit.shape
    h, w = near.shape[1:]
    for cy in range(tall):
        bottom = h if cy == tall - 1 else (cy + 1) * step
        for cx in range(wide):
            best = 0
            for k in range(1, n):
                if misfit[k, cy, cx] < misfit[best, cy, cx]:
                    best = k
            worst = np.float32(times) * misfit[best, cy, cx] + np.float32(beyond)
            right = w if cx == wide - 1 else (cx + 1) * step
            for k in range(n):
                if misfit[k, cy, cx] > worst:
                    for y in range(cy * step, bottom):
                        for x in range(cx * step, right):
                            near[k, y, x] = near[best, y, x]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _between(at: int, size: int, coarse: int) -> tuple[int, int, np.float32]:
    """The two of ``coarse`` samples over ``size`` px that a px lies between, and how far on."""
    place = max((np.float32(at) + np.float32(0.5)) * np.float32(coarse / size) - np.float32(0.5),
                np.float32(0.0))  # fmt: skip
    first = min(int(place), coarse - 1)
    return first, min(first + 1, coarse - 1), np.float32(place - np.float32(first))


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def differences(own: F32, near: F32, slow: F32, out: F32) -> None:
    """own - near without its slow part. own: (h, w); near, out: (N, h, w); slow: (N, hc, wc)."""
    h, w = own.shape
    hc, wc = slow.shape[1:]
    coarse = np.empty(wc, np.float32)
    left, right = np.empty(w, np.int64), np.empty(w, np.int64)
    share = np.empty(w, np.float32)
    for x in range(w):
        left[x], right[x], share[x] = _between(x, w, wc)
    for k in range(len(near)):
        for y in range(h):
            above, below, down = _between(y, h, hc)
            for x in range(wc):
                top = slow[k, above, x]
                coarse[x] = top + down * (slow[k, below, x] - top)
            for x in range(w):
                start = coarse[left[x]]
                level = start + share[x] * (coarse[right[x]] - start)
                out[k, y, x] = own[y, x] - near[k, y, x] - level


@numba.njit(cache=True, nogil=True, error_model="numpy")
def shared(
    apart: F32,
    there: F32,
    other: F32,
    nearest: int,
    told: tuple[float, float, float, float],
    out: U8,
) -> bool:
    """Where one neighbour is like the frame and the three others differ from it, all one way.

    apart: (4, h, w) the frame less each; there, other: (h, w, 2) px, motion to the one and to the
    other of the nearest two; nearest: the one. told: film log by which the others differ at
    least, share of that by which the one may, px within which the same place of the film is, and
    px of bend in the motion from which on it is lost. out: (h, w) 1 there. returns: whether
    that is anywhere.
    """
    h, w = out.shape
    a, b, c = (nearest + 1) % 4, (nearest + 2) % 4, (nearest + 3) % 4
    least, alike = np.float32(told[0]), np.float32(told[1])
    most = np.float32(_AGREED)
    far, bent = np.float32(told[2] * told[2]), np.float32(told[3] * told[3])
    found = False
    for y in range(h):
        for x in range(w):
            one, two, three = apart[a, y, x], apart[b, y, x], apart[c, y, x]
            low, high = min(one, two, three), max(one, two, three)
            if low < 0.0:
                low, high = -high, -low
            out[y, x] = 0
            if low > least and high < most * low and abs(apart[nearest, y, x]) < alike * low:
                dx, dy = there[y, x, 0], there[y, x, 1]
                across, along = dx + other[y, x, 0], dy + other[y, x, 1]
                if dx * dx + dy * dy < far and across * across + along * along < bent:
                    out[y, x] = 1
                    found = True
    return found


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def fold(
    own: F32,
    near: F32,
    slow: F32,
    there: F32,
    other: F32,
    told: F32,
    half: bool,
    full: F32,
    short: U16,
) -> None:
    """The planes of the evidence, 2 x 2 px to a cell, into one of two arrays of the same shape.

    own: (h, w) film log luma; near: (N, h, w) fetched along the motion; slow: (N, hc, wc) slow
    part of own - near, to be spread over the frame; there, other: (h, w, 2) px, motion to the
    nearest two. told: middle density, its scale, scale and bound of the differences, the two
    factors of the motion whose sum is its bend, px and bound of that, and the two planes that
    are the same everywhere. full: (H / 2, W / 2, PLANES * 4), H and W not less than h and w:
    beyond the frame its last row and column stand. short: the same as bf16 bits, if ``half``.
    """
    h, w = own.shape
    tall = max(full.shape[0], short.shape[0])
    wide = max(full.shape[1], short.shape[1])
    hc, wc = slow.shape[1:]
    slots = 4
    one, two = told[4], told[5]
    planes = slots + 4
    edge = wide * FOLD
    line = np.empty(edge, np.float32)
    bits = line.view(np.uint32)
    coarse = np.empty(wc, np.float32)
    left, right = np.empty(w, np.int64), np.empty(w, np.int64)
    share = np.empty(w, np.float32)
    for x in range(w):
        left[x], right[x], share[x] = _between(x, w, wc)
    for cy in range(tall):
        for dy in range(FOLD):
            y = min(cy * FOLD + dy, h - 1)
            above, below, down = _between(y, h, hc)
            for p in range(planes):
                if p == 0:
                    for x in range(w):
                        line[x] = (own[y, x] - told[0]) * told[1]
                elif p <= slots:
                    k = (p - 1) % near.shape[0]
                    for x in range(wc):
                        top = slow[k, above, x]
                        coarse[x] = top + down * (slow[k, below, x] - top)
                    source = near[k, y]
                    for x in range(w):
                        start = coarse[left[x]]
                        level = start + share[x] * (coarse[right[x]] - start)
                        found = (own[y, x] - source[x] - level) * told[2]
                        line[x] = min(max(found, -told[3]), told[3])
                elif p == slots + 1:
                    for x in range(w):
                        across = one * there[y, x, 0] + two * other[y, x, 0]
                        along = one * there[y, x, 1] + two * other[y, x, 1]
                        bend = np.float32(math.sqrt(across * across + along * along))
                        line[x] = min(bend * told[6], told[7])
                else:
                    for x in range(w):
                        line[x] = told[8 + p - slots - 2]
                for x in range(w, edge):
                    line[x] = line[w - 1]
                at = p * PARTS + dy * FOLD
                if half:
                    for x in range(edge):
                        # Rounded to the nearest, halves to even.
                        bits[x] = (bits[x] + 0x7FFF + ((bits[x] >> 16) & 1)) >> 16
                    for cx in range(wide):
                        short[cy, cx, at] = np.uint16(bits[cx * FOLD])
                        short[cy, cx, at + 1] = np.uint16(bits[cx * FOLD + 1])
                else:
                    for cx in range(wide):
                        full[cy, cx, at] = line[cx * FOLD]
                        full[cy, cx, at + 1] = line[cx * FOLD + 1]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def unfold(half: bool, full: F32, short: U16, out: F32) -> None:
    """The network's log odds, as they lie in the frame.

    full, short: (H / 2, W / 2, 4) as float32 or as bf16 bits. out: (h, w).
    """
    h, w = out.shape
    for y in range(h):
        at, line = (y % FOLD) * FOLD, out[y]
        if half:
            bits = line.view(np.uint32)
            for x in range(w):
                bits[x] = np.uint32(short[y // FOLD, x // FOLD, at + x % FOLD]) << np.uint32(16)
        else:
            for x in range(w):
                line[x] = full[y // FOLD, x // FOLD, at + x % FOLD]
