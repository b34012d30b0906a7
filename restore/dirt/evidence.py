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

from restore.motion import blur

F32 = NDArray[np.float32]
PLANES = 8
_SLOTS = 4
_MID_DENSITY = 0.45
_SLOW_PX = 8
_SLOW_LIMIT = 0.15
"""Film log; no speck may pull the slow difference further than this."""
_MOST = 4.0


def fetched(plane: F32, flow: F32) -> F32:
    """(H, W) plane at p + flow, cubic, edges held. Only looked at, never delivered."""
    h, w = plane.shape
    x = np.arange(w, dtype=np.float32)[None, :] + flow[..., 0]
    y = np.arange(h, dtype=np.float32)[:, None] + flow[..., 1]
    found: F32 = cv2.remap(plane, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
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
