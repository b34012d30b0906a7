"""Fill dirt from elsewhere in the same frame, where no neighbouring frame has what is behind it.

The place is looked for whose surroundings fit best (exemplar, after Criminisi et al. 2004, one
piece at a time), and its pixels are brought to the level around the piece. No frame of the scan
shows this picture there: it is invented and marked so.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from restore.dirt.borrow import level_around
from restore.motion import luma

Mask = NDArray[np.bool_]
_RING_PX = 6
_SEARCH_PX = 48


def invent(pixels: Tensor, unknown: Mask, dirt: Mask) -> tuple[Tensor, Mask]:
    """(C, H, W) with the pieces of ``unknown`` filled, and (H, W) what was filled; on the CPU.

    dirt: everything that must not be copied. A piece with no sound place near by stays.
    """
    out, filled = pixels.clone(), np.zeros_like(unknown)
    plane = luma(pixels).numpy()
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        unknown.astype(np.uint8), connectivity=8
    )
    for label in range(1, count):
        x, y, w, h = (int(v) for v in stats[label, :4])
        top, left = max(0, y - _RING_PX), max(0, x - _RING_PX)
        box = (
            slice(top, min(len(plane), y + h + _RING_PX)),
            slice(left, min(plane.shape[1], x + w + _RING_PX)),
        )
        piece = labels[box] == label
        at = _alike(plane, dirt, piece, (top, left))
        if at is None:
            continue
        rows = slice(at[0], at[0] + piece.shape[0])
        cols = slice(at[1], at[1] + piece.shape[1])
        own, there = out[:, box[0], box[1]], pixels[:, rows, cols]
        sound = (~dirt[box]).astype(np.float32)
        level = level_around((own - there).permute(1, 2, 0).contiguous().numpy(), sound)
        made = there + torch.from_numpy(level).permute(2, 0, 1)
        take = torch.from_numpy(piece)
        out[:, box[0], box[1]] = torch.where(take, made, own)
        filled[box] |= piece
    return out, filled


def _alike(
    plane: NDArray[np.float32], dirt: Mask, piece: Mask, corner: tuple[int, int]
) -> tuple[int, int] | None:
    """Row and column of the box near by whose rim is most like that of the piece."""
    h, w = piece.shape
    top, left = max(0, corner[0] - _SEARCH_PX), max(0, corner[1] - _SEARCH_PX)
    around = plane[top : corner[0] + h + _SEARCH_PX, left : corner[1] + w + _SEARCH_PX]
    spoilt = dirt[top : corner[0] + h + _SEARCH_PX, left : corner[1] + w + _SEARCH_PX]
    own = plane[corner[0] : corner[0] + h, corner[1] : corner[1] + w]
    rim = (~dirt[corner[0] : corner[0] + h, corner[1] : corner[1] + w]).astype(np.float32)
    if not rim.any():
        return None
    around, own = np.ascontiguousarray(around), np.ascontiguousarray(own)
    misfit = cv2.matchTemplate(around, own, cv2.TM_SQDIFF, mask=rim)
    whole = np.ones((h, w), np.float32)
    bad = cv2.matchTemplate(spoilt.astype(np.float32), whole, cv2.TM_CCORR)
    misfit[(bad > 0.5) | ~np.isfinite(misfit)] = np.inf
    best = int(misfit.argmin())
    if not np.isfinite(misfit.flat[best]):
        return None
    row, col = divmod(best, misfit.shape[1])
    return top + row, left + col
