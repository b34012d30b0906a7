"""The block filter on the CPU, compiled: one block after the other, everything in the cache.

The same arithmetic as ``restore.noise.blocks_torch``, which serves other devices, in another
order of summation. One thread, no reassociation: the same bits on the same kind of processor.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from restore.noise.rules import FIRST, SECOND, SIZE, THRESHOLD

F32 = NDArray[np.float32]
LANES = 32
"""Blocks worked on side by side: their rows fill the vector units."""
CELLS = SIZE * SIZE


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _strip(plane: F32, y: int, step: int, dct: F32, line: F32, out: F32) -> None:
    """Vertical DCT of the 8 rows from ``y``, columns sorted by their place within a step.

    out: (8, step, M): column x of frequency k lies at [k, x % step, x // step], so that the
    same column of neighbouring blocks is side by side.
    """
    w = plane.shape[1]
    for k in range(SIZE):
        a0, a1, a2, a3 = dct[k, 0], dct[k, 1], dct[k, 2], dct[k, 3]
        a4, a5, a6, a7 = dct[k, 4], dct[k, 5], dct[k, 6], dct[k, 7]
        for x in range(w):
            line[x] = (
                (a0 * plane[y, x] + a1 * plane[y + 1, x])
                + (a2 * plane[y + 2, x] + a3 * plane[y + 3, x])
            ) + (
                (a4 * plane[y + 4, x] + a5 * plane[y + 5, x])
                + (a6 * plane[y + 6, x] + a7 * plane[y + 7, x])
            )
        for r in range(step):
            target = out[k, r]
            for m in range((w - r + step - 1) // step):
                target[m] = line[m * step + r]


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _coefficients(
    strip: F32, first: int, step: int, matrix: F32, sums: F32, out: F32, at: int
) -> None:
    """Horizontal DCT of LANES blocks from ``first``: 64 rows of out.

    matrix: (8, 8, 4) even and odd halves of the DCT, times the scale of each coefficient.
    """
    half = 4 * LANES
    for k in range(SIZE):
        for j in range(4):
            left, right = strip[k, j % step], strip[k, (7 - j) % step]
            one, other = first + j // step, first + (7 - j) // step
            for b in range(LANES):
                sums[j * LANES + b] = left[one + b] + right[other + b]
            for b in range(LANES):
                sums[half + j * LANES + b] = left[one + b] - right[other + b]
        for i in range(SIZE):
            a0, a1, a2, a3 = matrix[k, i, 0], matrix[k, i, 1], matrix[k, i, 2], matrix[k, i, 3]
            here, source = at + (k * SIZE + i) * LANES, (i % 2) * half
            for b in range(LANES):
                out[here + b] = (a0 * sums[source + b] + a1 * sums[source + LANES + b]) + (
                    a2 * sums[source + 2 * LANES + b] + a3 * sums[source + 3 * LANES + b]
                )


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _added(
    coefficients: F32,
    at: int,
    half: F32,
    window: F32,
    used: F32,
    sums: F32,
    found: F32,
    first: int,
    step: int,
) -> None:
    """The inverse, each block times its weight, added to the strip (8, step, M)."""
    for k in range(SIZE):
        row = at + k * SIZE * LANES
        for j in range(4):
            for odd in range(2):
                a0, a1, a2, a3 = half[odd, j], half[odd + 2, j], half[odd + 4, j], half[odd + 6, j]
                source, here = row + odd * LANES, odd * LANES
                for b in range(LANES):
                    sums[here + b] = (
                        a0 * coefficients[source + b] + a1 * coefficients[source + 2 * LANES + b]
                    ) + (
                        a2 * coefficients[source + 4 * LANES + b]
                        + a3 * coefficients[source + 6 * LANES + b]
                    )
            f, g = window[j], window[7 - j]
            target, shift = found[k, j % step], first + j // step
            for b in range(LANES):
                target[shift + b] += (sums[b] + sums[LANES + b]) * (f * used[b])
            target, shift = found[k, (7 - j) % step], first + (7 - j) // step
            for b in range(LANES):
                target[shift + b] += (sums[b] - sums[LANES + b]) * (g * used[b])


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _trusted(
    gap: F32, near: F32, whole: F32, allowed: np.float32, factor: np.float32, trust: F32
) -> None:
    """How far a neighbour is believed at each frequency, from how far it differs there.

    gap: (64 x LANES,) mean over planes, in variances of what grain gives. A frequency is judged
    with those beside it and with the whole block: alone it scatters too much.
    """
    one, zero = np.float32(1.0), np.float32(0.0)
    whole[:] = zero
    for i in range(CELLS):
        for b in range(LANES):
            whole[b] += gap[i * LANES + b]
    for b in range(LANES):
        whole[b] *= np.float32(1.0 / CELLS)
    wide = SIZE * LANES
    for i in range(SIZE):
        here = i * wide
        before = here - wide if i > 0 else here
        after = here + wide if i < SIZE - 1 else here
        # At an edge the frequency itself stands in for the one that is not there.
        for b in range(wide):
            near[here + b] = gap[before + b] + gap[here + b] + gap[after + b]
    for i in range(SIZE):
        for j in range(SIZE):
            here = (i * SIZE + j) * LANES
            before = here - LANES if j > 0 else here
            after = here + LANES if j < SIZE - 1 else here
            for b in range(LANES):
                found = (near[before + b] + near[here + b] + near[after + b]) * np.float32(1 / 9)
                excess = max(max(found, whole[b]) - allowed, zero) * factor
                trust[here + b] = one / (one + excess * excess)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _compared(
    base: F32,
    other: F32,
    share: np.float32,
    gap: F32,
    near: F32,
    whole: F32,
    allowed: np.float32,
    factor: np.float32,
    trust: F32,
    planes: int,
) -> None:
    """Trust in one neighbour, at each frequency of each block, from all its planes."""
    size = CELLS * LANES
    gap[:] = np.float32(0.0)
    for p in range(planes):
        for b in range(size):
            d = other[p * size + b] - base[p * size + b]
            gap[b] += share * (d * d)
    _trusted(gap, near, whole, allowed, factor, trust)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _merge(other: F32, trust: F32, merged: F32, total: F32, squares: F32, planes: int) -> None:
    """One neighbour added to the frame, as far as it is trusted."""
    size = CELLS * LANES
    for p in range(planes):
        for b in range(size):
            merged[p * size + b] += trust[b] * other[p * size + b]
    for b in range(size):
        total[b] += trust[b]
    for b in range(size):
        squares[b] += trust[b] * trust[b]


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _shrink(
    merged: F32,
    guide: F32,
    steered: bool,
    total: F32,
    squares: F32,
    sigma: F32,
    used: F32,
    planes: int,
) -> None:
    """Shrunk by threshold or by the pilot; ``used`` becomes the weight of each block."""
    one, zero = np.float32(1.0), np.float32(0.0)
    limit = np.float32(THRESHOLD * THRESHOLD)
    size = CELLS * LANES
    for b in range(size):
        total[b] = one / total[b]
        squares[b] *= total[b] * total[b]
    used[:] = zero
    for p in range(planes):
        for i in range(CELLS):
            back_to = sigma[i]
            keep = one if i == 0 else zero
            here = i * LANES
            at = p * size + here
            if steered:
                for b in range(LANES):
                    left = squares[here + b]
                    energy = guide[at + b] * guide[at + b]
                    gain = max(energy / (energy + left), keep)
                    used[b] += gain * gain * left
                    merged[at + b] *= gain * total[here + b] * back_to
            else:
                for b in range(LANES):
                    left = squares[here + b]
                    value = merged[at + b] * total[here + b]
                    gain = max(one if value * value > limit * left else zero, keep)
                    used[b] += gain * left
                    merged[at + b] = gain * value * back_to
    for b in range(LANES):
        used[b] = one / max(used[b], np.float32(1e-3))


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def filtered(
    planes: F32, pilot: F32, steered: bool, step: int, sigma: F32, dct: F32, window: F32
) -> F32:
    """(C, H, W) of the first of (T, C, H, W) planes of unit grain; a pilot steers the second pass.

    pilot: (C, H, W), read where ``steered``. sigma: (64,) grain of each frequency. dct: (8, 8)
    orthonormal. window: (8,) of the square root of a block's weight by place.
    """
    frames, c, h, w = planes.shape
    columns = (w - SIZE) // step + 1
    chunks = (columns + LANES - 1) // LANES
    length = chunks * LANES + (SIZE - 1) // step + 1
    size = CELLS * LANES
    strips = np.zeros((frames * c, SIZE, step, length), np.float32)
    guides = np.zeros((c, SIZE, step, length), np.float32)
    found = np.zeros((c, SIZE, step, length), np.float32)
    share = np.zeros((step, length), np.float32)
    line, shares = np.empty(w, np.float32), np.empty(w, np.float32)
    lines = np.empty((SIZE, w), np.float32)
    sums = np.empty(SIZE * LANES, np.float32)
    matrix = np.empty((SIZE, SIZE, 4), np.float32)
    for k in range(SIZE):
        for i in range(SIZE):
            for j in range(4):
                matrix[k, i, j] = dct[i, j] / sigma[k * SIZE + i]
    gap, near, trust = (
        np.empty(size, np.float32),
        np.empty(size, np.float32),
        np.empty(size, np.float32),
    )
    total, squares = np.empty(size, np.float32), np.empty(size, np.float32)
    own, guide = np.empty(c * size, np.float32), np.empty(c * size, np.float32)
    other = np.empty(c * size, np.float32)
    used, whole = np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    allowed, factor = np.float32(FIRST[0]), np.float32(FIRST[1])
    part = np.float32(0.5 / c)
    if steered:
        allowed, factor = np.float32(SECOND[0]), np.float32(SECOND[1])
        part = np.float32(1.0 / c)
    out = np.zeros((c, h, w), np.float32)
    weight = np.zeros((h, w), np.float32)
    for y in range(0, h - SIZE + 1, step):
        for n in range(frames):
            for p in range(c):
                _strip(planes[n, p], y, step, dct, line, strips[n * c + p])
        if steered:
            for p in range(c):
                _strip(pilot[p], y, step, dct, line, guides[p])
        found[:] = np.float32(0.0)
        share[:] = np.float32(0.0)
        for chunk in range(chunks):
            first = chunk * LANES
            for p in range(c):
                _coefficients(strips[p], first, step, matrix, sums, own, p * size)
                if steered:
                    _coefficients(guides[p], first, step, matrix, sums, guide, p * size)
            total[:] = np.float32(1.0)
            squares[:] = np.float32(1.0)
            if not steered:
                guide[:] = own
            for n in range(1, frames):
                for p in range(c):
                    _coefficients(strips[n * c + p], first, step, matrix, sums, other, p * size)
                _compared(guide, other, part, gap, near, whole, allowed, factor, trust, c)
                _merge(other, trust, own, total, squares, c)
            _shrink(own, guide, steered, total, squares, sigma, used, c)
            for b in range(columns - first, LANES):
                used[b] = np.float32(0.0)
            for p in range(c):
                _added(own, p * size, dct, window, used, sums, found[p], first, step)
            for j in range(SIZE):
                target, shift = share[j % step], first + j // step
                f = window[j]
                for b in range(LANES):
                    target[shift + b] += f * used[b]
        for x in range(w):
            shares[x] = share[x % step, x // step]
        for p in range(c):
            for k in range(SIZE):
                for r in range(step):
                    source = found[p, k, r]
                    for m in range((w - r + step - 1) // step):
                        lines[k, m * step + r] = source[m]
            for i in range(SIZE):
                target = out[p, y + i]
                for k in range(SIZE):
                    f = dct[k, i] * window[i]
                    for x in range(w):
                        target[x] += f * lines[k, x]
        for i in range(SIZE):
            target = weight[y + i]
            for x in range(w):
                target[x] += window[i] * shares[x]
    for p in range(c):
        for y in range(h):
            for x in range(w):
                out[p, y, x] /= max(weight[y, x], np.float32(1e-9))
    return out
