"""What the frames around one frame say about each of its pixels: planes for the dirt network.

The motion-compensated neighbours are compared with the frame after slow differences (flicker,
shading) are taken out. Nothing here is specific to a size: planes are as large as the frame.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from restore.alignment import pixel_grid
from restore.motion import blur

F32 = NDArray[np.float32]
PLANES = 8
FOLD = 2
"""Px, edge of the cells the network sees."""
MULTIPLE_PX = 16
"""Of the network's coarsest scale: cells are made up to a multiple of it."""
_SLOTS = 4
_MID_DENSITY = 0.45
_SLOW_PX = 8
_SLOW_LIMIT = 0.15
"""Film log; no speck may pull the slow difference further than this."""
_MOST = 4.0


def fetched(plane: F32, flow: F32, into: F32 | None = None) -> F32:
    """(H, W) plane at p + flow, cubic, edges held. Only looked at, never delivered.

    into: where it is to be written.
    """
    places = pixel_grid(*plane.shape) + flow
    found: F32 = cv2.remap(
        plane, places, None, cv2.INTER_CUBIC, dst=into, borderMode=cv2.BORDER_REPLICATE
    )
    return found


def slow(difference: Tensor) -> Tensor:
    """What changes slowly over (N, 1, H, W): flicker and shading, not specks. Same shape."""
    h, w = difference.shape[-2:]
    if min(h, w) < 4 * _SLOW_PX:
        return difference.mean(dim=(-2, -1), keepdim=True).expand_as(difference)
    bounded = difference.clamp(-_SLOW_LIMIT, _SLOW_LIMIT)
    coarse = blur(F.avg_pool2d(bounded, _SLOW_PX), 3.0)
    return F.interpolate(coarse, size=(h, w), mode="bilinear", align_corners=False)


def levelled(own: Tensor, near: Tensor) -> Tensor:
    """(N, 1, H, W) neighbours brought to the slow level of ``own``, (H, W)."""
    return near + slow(own - near)


def planes(
    own: Tensor, near: Tensor, flows: Sequence[F32], sigma: float, *, one_sided: bool
) -> Tensor:
    """(PLANES, H, W) float32: what the network looks at.

    own: (H, W) film log luma. near: (N, 1, H, W), levelled, nearest first, N = 2 to 4. flows:
    (H, W, 2) px to the nearest two. sigma: grain of the luma, film log.
    Differences are given in units of what grain explains.
    """
    scale = 1.0 / (6.0 * sigma + 0.03)
    slots = torch.stack([near[k % len(near), 0] for k in range(_SLOTS)])
    differences = ((own - slots) * scale).clamp(-_MOST, _MOST)
    # Motion goes on as it was: to both sides alike, or twice as far to the second.
    bend = 2.0 * flows[0] - flows[1] if one_sided else flows[0] + flows[1]
    lost = torch.from_numpy(np.minimum(np.hypot(bend[..., 0], bend[..., 1]) / 8.0, 2.0))
    constant = torch.ones_like(own)
    return torch.stack(
        [
            (own - _MID_DENSITY) * 3.0,
            *differences,
            lost.to(own.device, torch.float32),
            constant * (50.0 * sigma),
            constant * float(one_sided),
        ]
    )


def folded(
    own: F32, near: F32, flows: Sequence[F32], sigma: float, *, one_sided: bool, half: bool
) -> Tensor:
    """(1, PLANES * 4, H / 2, W / 2): ``planes`` in cells of 2 x 2 px, as float32 or bf16.

    own: (h, w); near: (N, h, w), fetched along the motion, not levelled: that is done here.
    """
    from restore.dirt import cells  # compiled on first use, not at import

    h, w = own.shape
    if min(h, w) < 4 * _SLOW_PX:
        slow_part = (own - near).mean(axis=(1, 2), keepdims=True, dtype=np.float32)
    else:
        means = np.empty((len(near), h // _SLOW_PX, w // _SLOW_PX), np.float32)
        cells.coarse_difference(own, near, _SLOW_PX, _SLOW_LIMIT, means)
        slow_part = blur(torch.from_numpy(means)[:, None], 3.0)[:, 0].numpy()
    bend = (2.0, -1.0) if one_sided else (1.0, 1.0)
    constants = (50.0 * sigma, float(one_sided))
    told = (_MID_DENSITY, 3.0, 1.0 / (6.0 * sigma + 0.03), _MOST, *bend, 1.0 / 8.0, 2.0, *constants)
    size = ((h + -h % MULTIPLE_PX) // FOLD, (w + -w % MULTIPLE_PX) // FOLD, PLANES * FOLD**2)
    full = np.empty((0, 0, 0) if half else size, np.float32)
    short = np.empty(size if half else (0, 0, 0), np.uint16)
    cells.fold(own, near, slow_part, *flows[:2], np.array(told, np.float32), half, full, short)
    made = torch.from_numpy(short).view(torch.bfloat16) if half else torch.from_numpy(full)
    return made.permute(2, 0, 1)[None]
