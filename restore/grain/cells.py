"""Blocks of a picture, as grain is measured in them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from restore.motion import LUMA

F32 = NDArray[np.float32]
BLOCK = 16


def with_luma(planes: F32) -> F32:
    """(C, H, W) to (C + 1, H, W): the last of the planes is luma."""
    weights = np.array(LUMA if len(planes) == 3 else (1.0,), np.float32)
    return np.concatenate([planes, np.tensordot(weights, planes, axes=1)[None]])


def middle(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """(..., 1) median along the last axis: what ``np.median`` says, for short rows sooner."""
    ordered, count = np.sort(values, axis=-1), values.shape[-1]
    found: NDArray[np.floating] = ordered[..., (count - 1) // 2 : count // 2 + 1]
    middle: NDArray[np.floating] = found.mean(axis=-1, keepdims=True)
    return middle


def blocks_of(planes: F32) -> F32:
    """(C, H, W) to (C, blocks, pixels of a block); a rest at the edges is left out."""
    c, h, w = planes.shape
    rows, cols = h // BLOCK, w // BLOCK
    cut = planes[:, : rows * BLOCK, : cols * BLOCK]
    tiles = cut.reshape(c, rows, BLOCK, cols, BLOCK).transpose(0, 1, 3, 2, 4)
    return tiles.reshape(c, rows * cols, BLOCK * BLOCK)
