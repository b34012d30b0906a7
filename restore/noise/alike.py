"""What patches that are alike say of each other: the second step of the finest way.

The block filter knows a place along the motion only. Where motion is lost, at the rim of a pan, on
what comes into sight, it has the frame alone; but a street has many windows. So after the filter
has been over the frame and its neighbours, each patch of 4 x 4 px, as it lies on the frame and on
its neighbours along the motion, is grouped with those around it that look most like it, all frames
as one vector. How they vary among each other on the filtered frames is what such a place can look
like; how much of what the scan shows there is kept follows from that and from the grain (empirical
Bayes). A neighbour whose motion is wrong varies in another way than the frame does, and has no say.

Sources: Lebrun, Buades, Morel 2013 (non-local Bayes, second step), Arias and Morel 2018 (patches
along the motion as one vector). Solved among the members of a group, of which there are fewer than
a patch has pixels. Grain that is not white is made so first, by its own spectrum.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from restore.noise.rules import (
    ALIKE_BAND_PX,
    ALIKE_GROUP,
    ALIKE_LOOKS,
    ALIKE_PX,
    ALIKE_REACH_PX,
    FLATTEST,
    SIZE,
)

F32 = NDArray[np.float32]


def smallest_group(height: int, width: int) -> int:
    """How many patches every group of a picture of this size can have; 0: it is too small."""
    tall, wide = (min(max(size - ALIKE_PX + 1, 0), ALIKE_REACH_PX + 1) for size in (height, width))
    return min(ALIKE_GROUP, tall * wide)


def starts(size: int) -> list[int]:
    """Where patches begin along an edge: side by side, the last one at the end."""
    return sorted({*range(0, size - ALIKE_PX + 1, ALIKE_PX), size - ALIKE_PX})


def whitening(spectrum: NDArray[np.float64]) -> tuple[F32, F32]:
    """Two (17, 17) kernels: one makes grain of this spectrum white, one makes white such grain.

    spectrum: (8, 8) power of DCT frequencies. Weak frequencies are taken for a little stronger
    than they are, or the first kernel would blow up whatever lies there.
    """
    power = np.maximum(spectrum / spectrum.mean(), FLATTEST)
    # A frequency of the DCT is one of a period of 16 px, and the same in both directions.
    places = [*range(SIZE), SIZE - 1, *range(SIZE - 1, 0, -1)]
    whole = power[np.ix_(places, places)]
    return _kernel(whole**-0.5), _kernel(whole**0.5)


def _kernel(response: NDArray[np.float64]) -> F32:
    side = len(response)
    shifted = np.fft.fftshift(np.fft.ifft2(response).real)
    kernel = np.zeros((side + 1, side + 1))
    kernel[:side, :side] = shifted
    # Half of what lies at the end of a period belongs to its beginning.
    even: F32 = (0.5 * (kernel + kernel[::-1, ::-1])).astype(np.float32)
    return even


def through(kernel: F32, planes: F32) -> F32:
    """(C, H, W) planes through a kernel, mirrored at their edges."""
    found = np.empty_like(planes)
    for plane, target in zip(planes, found, strict=True):
        cv2.filter2D(plane, -1, kernel, dst=target, borderType=cv2.BORDER_REFLECT_101)
    return found


def bettered(noisy: Sequence[F32], basic: Sequence[F32], flows: Sequence[F32]) -> F32:
    """(C, H, W) the first of ``basic``, looked at again.

    noisy, basic: T frames of (C, H, W) planes of white unit grain, before and after the filter,
    the frame itself first, then neighbours, nearest first. flows: (H, W, 2) from the frame to
    each neighbour, px.
    """
    # Compiled on first use, and kept beside the module: not at import.
    from restore.noise import alike_cells as cells

    (planes, h, w), frames = basic[0].shape, len(basic)
    many = smallest_group(h, w)
    if many < 2:
        return basic[0]
    rows, columns = starts(h), np.array(starts(w), np.int64)
    still = np.zeros((h, w, 2), np.float32)
    groups, size = len(columns), ALIKE_PX * ALIKE_PX * frames
    found = np.empty((groups, many, 2), np.int32)
    patches = np.empty((groups, many, size), np.float32)
    grainy, mean = np.empty_like(patches), np.empty((groups, size), np.float32)
    grain = np.empty(groups, np.float32)
    total, counted = np.zeros((planes, h, w), np.float32), np.zeros((h, w), np.float32)
    nothing = np.empty((0, 0), np.float32)
    for begun in range(0, len(rows), ALIKE_BAND_PX // ALIKE_PX):
        band = rows[begun : begun + ALIKE_BAND_PX // ALIKE_PX]
        top = max(band[0] - ALIKE_REACH_PX, 0)
        tall = min(band[-1] + ALIKE_PX + ALIKE_REACH_PX, h) - top
        stacks = [np.empty((planes, tall, w, frames), np.float32) for _ in range(2)]
        for k, flow in enumerate([still, *flows]):
            for stack, shown in zip(stacks, (noisy, basic), strict=True):
                cells.placed(shown[k], flow, top, k, stack)
        looks = np.ascontiguousarray(stacks[1][0, :, :, :ALIKE_LOOKS].transpose(2, 0, 1))
        for y in band:
            cells.found_alike(looks, y - top, columns, found)
            for p in range(planes):
                cells.gathered(stacks[0][p], stacks[1][p], found, patches, grainy, mean, grain)
                clean, dirty = torch.from_numpy(patches), torch.from_numpy(grainy)
                likeness = torch.bmm(clean, clean.transpose(1, 2)).numpy()
                sides = torch.bmm(clean, dirty.transpose(1, 2))
                # Where grain is stronger than was measured, what is seen of it here counts.
                cells.solved(likeness, sides.numpy(), many * np.maximum(grain, np.float32(1.0)))
                # Of a patch on all frames, what lies on the frame itself.
                made = torch.bmm(sides.transpose(1, 2), clean[:, :, ::frames].contiguous())
                cells.put_back(
                    made.numpy(), mean, found, top, frames, total[p], nothing if p else counted
                )
    return total / counted
