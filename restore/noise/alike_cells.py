"""Patches that are alike, found, gathered and put back: compiled (CPU).

The same arithmetic as ``restore.noise.alike_torch``, in another order of summation. See
``restore.noise.alike`` for what it is for.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from restore.noise.rules import ALIKE_PX, ALIKE_REACH_PX

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
_FAR = 1e30


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def placed(planes: F32, flow: F32, first: int, at: int, stack: F32) -> None:
    """Rows of a frame where another shows the same thing, whole px, its edges held.

    planes: (C, H, W). flow: (H, W, 2) from the other frame to this one; its rows from ``first``
    on fill ``stack``, (C, rows, W, T), at [..., ``at``].
    """
    c, h, w = planes.shape
    for y in range(stack.shape[1]):
        for x in range(w):
            row = int(np.rint(np.float32(y + first) + flow[y + first, x, 1]))
            column = int(np.rint(np.float32(x) + flow[y + first, x, 0]))
            row, column = min(max(row, 0), h - 1), min(max(column, 0), w - 1)
            for p in range(c):
                stack[p, y, x, at] = planes[p, row, column]


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def found_alike(looks: F32, y: int, columns: I64, found: I32) -> None:
    """The patches around each that are most like it, itself among them.

    looks: (K, rows, W) what is compared. y: row of the patches, columns: (G,) where they begin.
    found: (G, N, 2) row and column of each patch of a group.
    """
    frames, h, w = looks.shape
    groups, wanted, _ = found.shape
    side = 2 * ALIKE_REACH_PX + 1
    apart = np.empty((side * side, groups), np.float32)
    line = np.empty(w, np.float32)
    for at in range(side * side):
        dy, dx = at // side - ALIKE_REACH_PX, at % side - ALIKE_REACH_PX
        said = apart[at]
        if y + dy < 0 or y + dy + ALIKE_PX > h:
            said[:] = np.float32(_FAR)
            continue
        left, right = max(0, -dx), min(w, w - dx)
        line[:] = np.float32(0.0)
        for k in range(frames):
            for r in range(ALIKE_PX):
                own, other = looks[k, y + r], looks[k, y + dy + r]
                for x in range(left, right):
                    gap = own[x] - other[x + dx]
                    line[x] += gap * gap
        for m in range(groups):
            x = columns[m]
            if x + dx < 0 or x + dx + ALIKE_PX > w:
                said[m] = np.float32(_FAR)
                continue
            total = np.float32(0.0)
            for j in range(ALIKE_PX):
                total += line[x + j]
            said[m] = total
    own_place = side * side // 2
    column = np.empty(side * side, np.float32)
    for m in range(groups):
        for at in range(side * side):
            column[at] = apart[at, m]
        column[own_place] = np.float32(-1.0)
        limit = np.partition(column, wanted - 1)[wanted - 1]
        many = 0
        # Nearer ones first, then as many of those just at the limit as there is room for.
        for equal in range(2):
            for at in range(side * side):
                chosen = column[at] == limit if equal else column[at] < limit
                if many < wanted and chosen:
                    found[m, many, 0] = y + at // side - ALIKE_REACH_PX
                    found[m, many, 1] = columns[m] + at % side - ALIKE_REACH_PX
                    many += 1


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def gathered(
    noisy: F32, basic: F32, found: I32, patches: F32, grainy: F32, mean: F32, grain: F32
) -> None:
    """Groups of patches, less the mean of the clean ones of each group.

    noisy, basic: (rows, W, T). found: (G, N, 2). patches, grainy: (G, N, D), clean and noisy; D
    is rows, columns and frames of a patch. mean: (G, D). grain: (G,) mean square between them.
    """
    groups, many, size = patches.shape
    frames = basic.shape[2]
    line = ALIKE_PX * frames
    share = np.float32(1.0) / np.float32(many)
    clean, dirty = basic.reshape(len(basic), -1), noisy.reshape(len(noisy), -1)
    squares = np.empty(size, np.float32)
    for g in range(groups):
        middle = mean[g]
        middle[:] = np.float32(0.0)
        squares[:] = np.float32(0.0)
        for i in range(many):
            y, x = found[g, i, 0], found[g, i, 1] * frames
            target, beside = patches[g, i], grainy[g, i]
            for r in range(ALIKE_PX):
                one, other, at = clean[y + r], dirty[y + r], r * line
                for k in range(line):
                    value, seen = one[x + k], other[x + k]
                    gap = seen - value
                    target[at + k] = value
                    beside[at + k] = seen
                    middle[at + k] += value
                    squares[at + k] += gap * gap
        total = np.float32(0.0)
        for k in range(size):
            middle[k] *= share
            total += squares[k]
        grain[g] = total * share / np.float32(size)
        for i in range(many):
            target, beside = patches[g, i], grainy[g, i]
            for k in range(size):
                target[k] -= middle[k]
                beside[k] -= middle[k]


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def solved(likeness: F32, sides: F32, added: F32) -> None:
    """Each (N, N) of ``likeness``, symmetric, and ``added`` on its diagonal divide its ``sides``.

    likeness: (G, N, N), used up. sides: (G, N, M), replaced by the answer. added: (G,), positive.
    """
    groups, many, _ = likeness.shape
    for g in range(groups):
        a, b = likeness[g], sides[g]
        for i in range(many):
            a[i, i] += added[g]
        for i in range(many):
            row, side = a[i], b[i]
            share = np.float32(1.0) / np.sqrt(row[i])
            for j in range(i, many):
                row[j] *= share
            for j in range(len(side)):
                side[j] *= share
            for k in range(i + 1, many):
                factor, other, beside = row[k], a[k], b[k]
                for j in range(k, many):
                    other[j] -= factor * row[j]
                for j in range(len(side)):
                    beside[j] -= factor * side[j]
        for i in range(many - 1, -1, -1):
            row, side = a[i], b[i]
            for k in range(i + 1, many):
                factor, beside = row[k], b[k]
                for j in range(len(side)):
                    side[j] -= factor * beside[j]
            share = np.float32(1.0) / row[i]
            for j in range(len(side)):
                side[j] *= share


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def put_back(
    made: F32, mean: F32, found: I32, first: int, frames: int, total: F32, counted: F32
) -> None:
    """Patches of the frame itself added up where they lie.

    made: (G, N, 16). mean: (G, D), of all frames. first: row of the frame at row 0 of ``found``.
    total: (H, W). counted: (H, W) how many patches cover a pixel, or empty.
    """
    groups, many, _ = found.shape
    for g in range(groups):
        for i in range(many):
            y, x = found[g, i]
            for r in range(ALIKE_PX):
                row = total[first + y + r]
                for j in range(ALIKE_PX):
                    at = r * ALIKE_PX + j
                    row[x + j] += made[g, i, at] + mean[g, at * frames]
                if counted.size > 0:
                    numbers = counted[first + y + r]
                    for j in range(ALIKE_PX):
                        numbers[x + j] += np.float32(1.0)
