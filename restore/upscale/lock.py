"""What a model may not change: the color and brightness of the scan, seen from afar."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor

from restore.motion import filtered
from restore.upscale.sampling import enlarge, reduce

SIGMA_PX = 2.5
"""Detail finer than this is the model's; what is coarser stays the scan's. Source px."""
REACH_PX = 11


def color_locked(large: Tensor, source: Tensor, scale: int) -> Tensor:
    """``large`` with its low frequencies put back to those of ``source``.

    large: (T, C, H * scale, W * scale). source: (T, C, H, W), same domain. A model that was
    trained for another reducing kernel keeps its fine detail; a shift of color does not pass.
    """
    missing = softened(source - reduce(large, scale), SIGMA_PX, REACH_PX - 4)
    return large + (missing if scale == 1 else enlarge(missing, scale))


def softened(planes: Tensor, sigma_px: float, reach_px: int) -> Tensor:
    """(T, C, H, W) under a Gaussian that ends ``reach_px`` away; edges held."""
    taps = [math.exp(-0.5 * (k / sigma_px) ** 2) for k in range(-reach_px, reach_px + 1)]
    wide = F.pad(planes, (reach_px,) * 4, mode="replicate")
    if planes.device.type != "cpu":
        share = [t / sum(taps) for t in taps]
        return filtered(filtered(wide, share, -2), share, -1)
    channels = planes.shape[1]
    line = (planes.new_tensor(taps) / sum(taps)).repeat(channels, 1)
    wide = F.conv2d(wide, line[:, None, :, None], groups=channels)
    return F.conv2d(wide, line[:, None, None, :], groups=channels)
