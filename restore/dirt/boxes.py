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
    """(h, w, K): what is not known is filled from around it, coarse to fine (push and pull)."""
    h, w, channels = values.shape
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
                            mean[at, c] += values[y, x, c]
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
                        values[y, x, c] = value
                    else:
                        mean[start[k - 1] + y * columns + x, c] = value


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
