"""What pictures show where their place in the scan lies outside the scanned frame."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from media.errors import RepairError
from restore.geometry import HALF, Placement

Border = Literal["keep", "matte", "mirror"]
Matte = tuple[int, int, int, int]
"""Rows from the top and the bottom, columns from the left and the right."""
Rim = tuple[slice, slice, Tensor]
"""Rows, columns, and where in them (bool) a picture has no place in the scan."""
BLACK = 95.0 / 1023.0
"""Film log of no light: what a matte shows."""


def without_source(
    placement: Placement,
    origin_px: tuple[int, int],
    size_px: tuple[int, int],
    shape: tuple[int, int],
    device: torch.device,
) -> list[Rim]:
    """Borders of a tile in which pixels have no place in the scanned frame.

    returns: rows, columns, and (rows, columns) bool, True where the pixel's picture would come
    from outside the frame. Pixels in none of them have a source.
    """
    height, width = shape
    rim = placement.reach_px(size_px) - HALF
    top = min(max(rim - origin_px[0], 0), height)
    bottom = max(min(size_px[0] - rim - origin_px[0], height), top)
    left = min(max(rim - origin_px[1], 0), width)
    right = max(min(size_px[1] - rim - origin_px[1], width), left)
    parts = [
        (slice(0, top), slice(0, width)),
        (slice(bottom, height), slice(0, width)),
        (slice(top, bottom), slice(0, left)),
        (slice(top, bottom), slice(right, width)),
    ]
    turn = math.radians(placement.turn_deg)
    middle_y, middle_x = (size_px[0] - 1) / 2, (size_px[1] - 1) / 2
    found = []
    for rows, cols in parts:
        if rows.stop <= rows.start or cols.stop <= cols.start:
            continue
        y = (np.arange(rows.start, rows.stop) + origin_px[0])[:, None]
        x = (np.arange(cols.start, cols.stop) + origin_px[1])[None, :]
        from_y = y - placement.dy_px - math.sin(turn) * (x - middle_x - placement.dx_px)
        from_x = x - placement.dx_px + math.tan(turn) * (from_y - middle_y)
        outside = (
            (from_y < 0) | (from_y > size_px[0] - 1) | (from_x < 0) | (from_x > size_px[1] - 1)
        )
        found.append((rows, cols, torch.from_numpy(outside).to(device)))
    return found


def on_frame(placement: Placement, size_px: tuple[int, int], frame: int) -> None:
    """raises: RepairError when nothing of the frame would be left on it."""
    if abs(placement.dx_px) >= size_px[1] or abs(placement.dy_px) >= size_px[0]:
        raise RepairError("weave shift is larger than the frame", frame=frame)


def settled(
    moved: Tensor,
    still: Callable[[], Tensor],
    placement: Placement,
    border: Border,
    matte_px: Matte,
    origin_px: tuple[int, int],
    size_px: tuple[int, int],
) -> tuple[Tensor, list[Rim]]:
    """A moved picture with its borders settled, and where they are made up.

    moved: (C, H, W) of a tile, changed in place. still: the same, not moved. origin_px, size_px:
    of the tile and the frame, at the size of ``moved``, as are placement and matte.
    """
    invented: list[Rim] = []
    if placement.moves:
        shape = (moved.shape[-2], moved.shape[-1])
        rims = without_source(placement, origin_px, size_px, shape, moved.device)
        if border == "mirror":
            invented = rims
        elif rims:
            kept = still()
            for rows, cols, outside in rims:
                part = moved[:, rows, cols]
                moved[:, rows, cols] = torch.where(outside, kept[:, rows, cols], part)
    if border == "matte":
        moved = matted(moved, matte_px, origin_px, size_px)
    return moved, invented


def matted(
    pixels: Tensor,
    matte_px: Matte,
    origin_px: tuple[int, int],
    size_px: tuple[int, int],
) -> Tensor:
    """(C, H, W) of a tile, black outside of one rectangle of the frame."""
    top, bottom, left, right = matte_px
    y = torch.arange(pixels.shape[-2], device=pixels.device) + origin_px[0]
    x = torch.arange(pixels.shape[-1], device=pixels.device) + origin_px[1]
    shown_y = (y >= top) & (y < size_px[0] - bottom)
    shown_x = (x >= left) & (x < size_px[1] - right)
    return pixels.where(shown_y[:, None] & shown_x[None, :], torch.full_like(pixels[:1], BLACK))
