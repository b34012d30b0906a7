"""Lines that lean: one that drifts while the film runs is a slanted line on each frame.

A scratch goes on from the foot of one frame to the head of the next. Where it drifts by some px a
frame it leans by about as much; a pole that moves through the picture does not.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

F64 = NDArray[np.float64]
F32 = NDArray[np.float32]
LEAST_PX = 1.0
"""What leans by less over the height of the frame is taken for upright."""
_MOST_PX = 12.0
_STEP_PX = 0.5
_REACH_PX = 2
_BETTER = 1.01
"""A line leans only where that shows it so much plainer."""
_HEIGHT_OF_PITCH = (0.6, 1.25)
"""How much of a frame's drift is seen on it: its height is most of the pitch."""
_LOOSE_PX, _SKEW = 0.75, 0.0035
_SIDE_PX = 32
"""Columns kept on each side of a line that is set upright."""


def leaning(shown: F64, x: int, strength: float) -> tuple[float, float]:
    """By how many px a line is further right at the foot of the frame than at its head, 0 where it
    is upright; and its column half-way down.

    shown: (strips, W) how far columns lie outside both their sides, strip by strip from the top;
    x: the column where it was found; strength: film log.
    """
    strips, w = shown.shape
    gain = np.clip(shown * np.sign(strength), 0.0, 1.5 * abs(strength))
    share = (np.arange(strips) + 0.5) / strips - 0.5
    leans = np.arange(-_MOST_PX, _MOST_PX + _STEP_PX, _STEP_PX)
    offsets = np.arange(-_REACH_PX, _REACH_PX + 0.5, 0.5)
    at = np.clip(x + offsets[None, :, None] + leans[:, None, None] * share, 0.0, w - 1.001)
    left = at.astype(np.int64)
    part, rows = at - left, np.arange(strips)
    seen = ((1.0 - part) * gain[rows, left] + part * gain[rows, left + 1]).mean(axis=-1)
    k, m = np.unravel_index(int(np.argmax(seen)), seen.shape)
    upright = float(seen[len(leans) // 2].max())
    if abs(leans[k]) < LEAST_PX or seen[k, m] < _BETTER * upright:
        return 0.0, float(x)
    return float(leans[k]), float(x + offsets[m])


def goes_with(lean_px: float, speed_px: float, height_px: int) -> bool:
    """Does a line lean as one does that drifts by so many px a frame?

    Frames follow each other downwards on film that is seen upright (SMPTE 40). A scan may be turned
    by a fraction of a degree.
    """
    least, most = _HEIGHT_OF_PITCH
    loose_px = max(_LOOSE_PX, _SKEW * height_px)
    low, high = least * abs(speed_px) - loose_px, most * abs(speed_px) + loose_px
    return bool(low <= (lean_px if speed_px >= 0.0 else -lean_px) <= high)


def shifts(height_px: int, lean_px: float) -> F64:
    """(H,) px by which a line lies further right in each row than half-way down."""
    found: F64 = lean_px * ((np.arange(height_px) + 0.5) / height_px - 0.5)
    return found


def upright(plane: F32, x_px: float, lean_px: float) -> tuple[F32, int]:
    """(H, columns) of a frame around a line that is made upright, by whole px; and its column.

    What lies beyond the edges is as it is at the edges.
    """
    h, w = plane.shape
    first = np.rint(x_px + shifts(h, lean_px)).astype(np.int64) - _SIDE_PX
    columns = np.clip(first[:, None] + np.arange(2 * _SIDE_PX + 1), 0, w - 1)
    return np.ascontiguousarray(np.take_along_axis(plane, columns, axis=1)), _SIDE_PX


def sheared(pixels: Tensor, start_px: Tensor, count: int) -> Tensor:
    """(C, H, count) columns of (C, H, W), in each row from ``start_px``, (H,), on; cubic (Keys
    1981), edges held."""
    c, h, w = pixels.shape
    whole = start_px.floor()
    part = (start_px - whole)[None, :, None].to(pixels.dtype)
    first = whole.long()[:, None] + torch.arange(count, device=pixels.device)
    out = torch.zeros((c, h, count), dtype=pixels.dtype, device=pixels.device)
    for k, weight in zip((-1, 0, 1, 2), _cubic(part), strict=True):
        columns = (first + k).clamp(0, w - 1).expand(c, -1, -1)
        out += weight * pixels.gather(-1, columns)
    return out


def _cubic(t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Weights of the four samples around a place ``t`` beyond the second of them."""
    return (
        -0.5 * t + t * t - 0.5 * t**3,
        1.0 - 2.5 * t * t + 1.5 * t**3,
        0.5 * t + 2.0 * t * t - 1.5 * t**3,
        -0.5 * t * t + 0.5 * t**3,
    )
