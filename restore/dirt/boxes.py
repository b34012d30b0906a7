"""What covering a piece of dirt asks of each pixel of the box around it (compiled)."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]
_LEVELS = 24


@numba.njit(cache=True, nogil=True, error_model="numpy")
def fill(values: F32, known: Mask) -> None:
    """(N, h, w, 2): what is not known is filled from around it, coarse to fine (push, pull)."""
    flows, h, w, pair = values.shape
    channels = flows * pair
    tall, wide = np.empty(_LEVELS, np.int64), np.empty(_LEVELS, np.int64)
    start = np.empty(_LEVELS, np.int64)
    levels, total, rows, columns = 0, 0, h, w
    while min(rows, columns) > 1:
        rows, columns = (rows + 1) // 2, (columns + 1) // 2
        tall[levels], wide[levels], start[levels] = rows, columns, total
        total += rows * columns
        levels += 1
    mean, count = np.zeros((total, channels), np.float32), np.zeros(total, np.float32)
    # Up: the mean of what is known in each square of four.
    last = -1
    for k in range(levels):
        lacking = False
        rows, columns = (h, w) if k == 0 else (tall[k - 1], wide[k - 1])
        for y in range(rows):
            for x in range(columns):
                at = start[k] + (y // 2) * wide[k] + x // 2
                if k == 0:
                    if known[y, x]:
                        count[at] += 1.0
                        for c in range(channels):
                            mean[at, c] += values[c // 2, y, x, c % 2]
                else:
                    source = start[k - 1] + y * columns + x
                    if count[source] > 0.0:
                        count[at] += 1.0
                        for c in range(channels):
                            mean[at, c] += mean[source, c]
        for at in range(start[k], start[k] + tall[k] * wide[k]):
            if count[at] > 0.0:
                for c in range(channels):
                    mean[at, c] /= count[at]
            else:
                lacking = True
        last = k
        if not lacking:
            break
    # Down: what is lacking lies on straight lines between the coarser means.
    for k in range(last, -1, -1):
        rows, columns = (h, w) if k == 0 else (tall[k - 1], wide[k - 1])
        for y in range(rows):
            place = max(np.float32(0.5) * np.float32(y) - np.float32(0.25), np.float32(0.0))
            above = int(place)
            down = place - np.float32(above)
            below = min(above + 1, tall[k] - 1)
            for x in range(columns):
                if k == 0 and known[y, x]:
                    continue
                if k > 0 and count[start[k - 1] + y * columns + x] > 0.0:
                    continue
                place = max(np.float32(0.5) * np.float32(x) - np.float32(0.25), np.float32(0.0))
                left = int(place)
                right = min(left + 1, wide[k] - 1)
                on = place - np.float32(left)
                a, b = start[k] + above * wide[k] + left, start[k] + above * wide[k] + right
                e, f = start[k] + below * wide[k] + left, start[k] + below * wide[k] + right
                for c in range(channels):
                    upper = mean[a, c] + on * (mean[b, c] - mean[a, c])
                    lower = mean[e, c] + on * (mean[f, c] - mean[e, c])
                    value = upper + down * (lower - upper)
                    if k == 0:
                        values[c // 2, y, x, c % 2] = value
                    else:
                        mean[start[k - 1] + y * columns + x, c] = value


@numba.njit(cache=True, nogil=True, error_model="numpy")
def halved(values: F32, out: F32) -> None:
    """Means over 2 x 2 px: (N, h, w, 2) into (h / 2, w / 2, N * 2), rounded up."""
    flows, h, w, pair = values.shape
    for y in range(out.shape[0]):
        above, below = 2 * y, min(2 * y + 1, h - 1)
        for x in range(out.shape[1]):
            left, right = 2 * x, min(2 * x + 1, w - 1)
            for k in range(flows):
                for c in range(pair):
                    upper = values[k, above, left, c] + values[k, above, right, c]
                    lower = values[k, below, left, c] + values[k, below, right, c]
                    out[y, x, k * pair + c] = np.float32(0.25) * (upper + lower)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def spread(small: F32, where: Mask, values: F32) -> None:
    """``small``, as ``halved`` makes it, on straight lines into ``values`` where that is asked."""
    flows, h, w, pair = values.shape
    tall, wide = small.shape[:2]
    half, quarter, zero = np.float32(0.5), np.float32(0.25), np.float32(0.0)
    for y in range(h):
        place = max(half * np.float32(y) - quarter, zero)
        above = int(place)
        down, below = place - np.float32(above), min(above + 1, tall - 1)
        for x in range(w):
            if not where[y, x]:
                continue
            place = max(half * np.float32(x) - quarter, zero)
            left = int(place)
            on, right = place - np.float32(left), min(left + 1, wide - 1)
            for k in range(flows):
                for c in range(pair):
                    n = k * pair + c
                    upper = small[above, left, n] + on * (
                        small[above, right, n] - small[above, left, n]
                    )
                    lower = small[below, left, n] + on * (
                        small[below, right, n] - small[below, left, n]
                    )
                    values[k, y, x, c] = upper + down * (lower - upper)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def differences(own: F32, there: F32, sound: F32, luma: F32, seen: F32, out: F32) -> None:
    """Luma of each neighbour, and how far the box's own lies above it where it is sound.

    own: (h, w, C); there: (N, h, w, C); sound: (h, w); luma: (C,); seen, out: (h, w, N).
    """
    count, h, w, channels = there.shape
    for y in range(h):
        for x in range(w):
            bright = np.float32(0.0)
            for c in range(channels):
                bright += luma[c] * own[y, x, c]
            for k in range(count):
                other = np.float32(0.0)
                for c in range(channels):
                    other += luma[c] * there[k, y, x, c]
                seen[y, x, k] = other
                out[y, x, k] = (bright - other) * sound[y, x]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def doubts(difference: F32, level: F32, sound: F32, seen: F32, alone: F32) -> None:
    """Squares, in place of ``difference``, of what the level leaves where the box is sound; and
    into ``alone`` those of each neighbour's distance from the middle of them all.

    All (h, w, N) but sound, (h, w).
    """
    h, w, count = seen.shape
    for y in range(h):
        for x in range(w):
            total = np.float32(0.0)
            low, high = np.float32(np.inf), np.float32(-np.inf)
            for k in range(count):
                left = difference[y, x, k] - level[y, x, k] * sound[y, x]
                difference[y, x, k] = left * left
                value = seen[y, x, k] + level[y, x, k]
                total += value
                low, high = min(low, value), max(high, value)
            if count > 2:
                middle = (total - low - high) / np.float32(count - 2)
            else:
                middle = total / np.float32(count)
            for k in range(count):
                gap = seen[y, x, k] + level[y, x, k] - middle
                alone[y, x, k] = gap * gap


@numba.njit(cache=True, nogil=True, error_model="numpy")
def chosen(
    there: F32, level: F32, misfit: F32, alone: F32, share: float, best: F32, left: F32
) -> None:
    """The neighbour of least doubt at each pixel, at its level, and the rms of its misfit.

    there: (N, h, w, C); level, misfit, alone: (h, w, N); best: (h, w, C); left: (h, w).
    """
    count, h, w, channels = there.shape
    weight = np.float32(share)
    for y in range(h):
        for x in range(w):
            at, least = 0, np.float32(np.inf)
            for k in range(count):
                doubt = misfit[y, x, k] + weight * alone[y, x, k]
                if doubt < least:
                    at, least = k, doubt
            for c in range(channels):
                best[y, x, c] = there[at, y, x, c] + level[y, x, at]
            left[y, x] = np.sqrt(max(misfit[y, x, at], np.float32(0.0)))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def mixed(near: F32, near_weight: F32, far: F32, far_weight: F32, trusted: float) -> None:
    """Means of what is sound, in place of ``near``: those over a wider reach where that saw
    less than ``trusted``. near, far: sums, (h, w, K); weights: (h, w)."""
    h, w, channels = near.shape
    little, one = np.float32(1e-4), np.float32(1.0)
    for y in range(h):
        for x in range(w):
            trust = min(max(near_weight[y, x] / np.float32(trusted), np.float32(0.0)), one)
            for c in range(channels):
                value = near[y, x, c] / (near_weight[y, x] + little)
                if trust < one:
                    wide = far[y, x, c] / (far_weight[y, x] + little)
                    value = trust * value + (one - trust) * wide
                near[y, x, c] = value
