"""Ringing held: an enlarged picture stays near the values the scan has there."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from restore.upscale.sampling import as_planes, like, reduce


def extremes(source: Tensor, ringing: float) -> tuple[Tensor, Tensor]:
    """(T, C, H, W) lowest and highest of 3 x 3 px, ``ringing`` (film log) further out."""
    if source.device.type == "cpu":
        from restore.upscale import compiled  # compiled on first use, not at import

        low, high = compiled.extremes(as_planes(source), ringing)
        return like(source, low), like(source, high)
    low = -F.max_pool2d(-source, 3, stride=1, padding=1) - ringing
    return low, F.max_pool2d(source, 3, stride=1, padding=1) + ringing


def bounded(large: Tensor, low: Tensor, high: Tensor, scale: int) -> Tensor:
    """``large`` within the bounds, its mean over each pixel of the scan kept where it may be.

    large: (T, C, H*scale, W*scale). low, high: (T, C, H, W). Clamping and putting back what that
    took from a pixel are alternated; what then still overshoots has the detail inside its pixel
    scaled down until it fits. Where nothing overshoots, nothing changes.
    """
    if large.device.type == "cpu":
        from restore.upscale import compiled

        found = compiled.bounded(as_planes(large), as_planes(low), as_planes(high), scale)
        return like(large, found)
    return bounded_by_torch(large, low, high, scale)


def bounded_by_torch(large: Tensor, low: Tensor, high: Tensor, scale: int) -> Tensor:
    """The same on any device."""
    middle = torch.minimum(torch.maximum(reduce(large, scale), low), high)
    floor, ceiling, mean = (repeated(v, scale) for v in (low, high, middle))
    found = large
    for _ in range(2):
        found = torch.minimum(torch.maximum(found, floor), ceiling)
        found = found + (mean - repeated(reduce(found, scale), scale))
    detail = found - mean
    room = torch.where(detail > 0, ceiling - mean, mean - floor)
    share = (room / detail.abs().clamp_min(1e-9)).clamp_max(1.0)
    held = mean + detail * repeated(-F.max_pool2d(-share, scale), scale)
    inside = ((large >= floor) & (large <= ceiling)).to(large.dtype)
    untouched = repeated(-F.max_pool2d(-inside, scale), scale) > 0
    return torch.where(untouched, large, held)


def repeated(planes: Tensor, scale: int) -> Tensor:
    """Each pixel ``scale`` times along both axes."""
    return planes.repeat_interleave(scale, dim=-2).repeat_interleave(scale, dim=-1)
