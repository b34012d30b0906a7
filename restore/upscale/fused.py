"""One enlarged picture from a frame and those around it: more samples than the frame has.

A neighbour's pixels fall between the frame's own wherever things moved by part of a pixel. Each
neighbour is fetched along the motion; at a place it counts for as much as one of its samples lies
near, as the motion there holds both ways, and as it shows the same thing. Then the picture is
moved back onto every neighbour and reduced, and what it lacks there is added: multi-frame
back-projection (Irani and Peleg 1991), the last word being the frame's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from restore.motion import blur
from restore.upscale.kernels import Kernel
from restore.upscale.sampling import enlarge, reduce

Places = NDArray[np.float32]
"""(H, W, 2) where each pixel is fetched, x then y, px of the picture it is fetched from."""
ALIKE = 0.04
"""Film log: neighbours that differ by more, over a few pixels, show something else."""
STRAY_PX = 0.375
"""Forward and backward motion that part by this much of a scan's pixel are half believed."""
_SAMPLE_PX = 0.2
"""How near, in pixels of the scan, a sample must lie to count in full."""
_ANYWAY = 0.02
"""What a neighbour counts for where no sample of it is near."""
_NEAR_PX = 1.5
"""Blur of the comparison, px of the larger picture."""


@dataclass(frozen=True, eq=False)
class Neighbour:
    """A frame beside the one that is enlarged."""

    scan: Tensor
    """(C, H, W) film log."""
    large: Tensor
    """(C, H*s, W*s) enlarged by itself."""
    there: Places
    """(H*s, W*s, 2) where the pixels of the result are found in ``large``."""
    back: Places
    """(H*s, W*s, 2) where the pixels of ``large`` are found in the result."""


@dataclass(frozen=True, eq=False)
class Fused:
    """The result of looking at all frames together."""

    pixels: Tensor
    """(C, H*s, W*s) film log."""
    lent: Tensor
    """(H*s, W*s) 0..1, how much of each pixel the neighbours gave."""


def fused(
    own: Tensor,
    own_places: Places,
    neighbours: Sequence[Neighbour],
    scale: int,
    kernel: Kernel,
    rounds: int,
) -> Fused:
    """own: (C, H*s, W*s) the frame enlarged by itself, at its place in the result.

    own_places: (H*s, W*s, 2) where its pixels lie in the scan enlarged without a move. rounds: of
    back-projection from the neighbours; the frame's own is left to the caller.
    """
    device = own.device
    weight = _near_sample(own_places, scale, device)
    total, value = weight, own * weight
    trusts = []
    for near in neighbours:
        found = fetched(near.large, near.there)
        trust = _trusted(own, found, own_places, near, scale)
        trusts.append(trust)
        weight = trust * _near_sample(near.there, scale, device)
        value = value + weight * found
        total = total + weight
    lent = 1.0 - _near_sample(own_places, scale, device) / total
    pixels = value / total
    for _ in range(rounds):
        pixels = pixels + _missing(pixels, neighbours, trusts, scale, kernel)
    return Fused(pixels, lent[0])


def _missing(
    pixels: Tensor,
    neighbours: Sequence[Neighbour],
    trusts: Sequence[Tensor],
    scale: int,
    kernel: Kernel,
) -> Tensor:
    """(C, H*s, W*s) what the neighbours' scans hold beyond the picture."""
    total = torch.ones_like(pixels[:1])
    value = torch.zeros_like(pixels)
    for near, trust in zip(neighbours, trusts, strict=True):
        seen = reduce(fetched(pixels, near.back).unsqueeze(0), scale, kernel)
        gap = enlarge(near.scan.unsqueeze(0) - seen, scale)[0]
        value = value + trust * fetched(gap, near.there)
        total = total + trust
    return value / total


def _trusted(own: Tensor, found: Tensor, own_places: Places, near: Neighbour, scale: int) -> Tensor:
    """(1, H*s, W*s) 0..1: whether a neighbour shows the same thing, and moved as is thought."""
    apart = blur((found - own).unsqueeze(0), _NEAR_PX)[0].abs().mean(dim=0, keepdim=True)
    trust = torch.exp(-((apart / ALIKE) ** 2))
    there = near.there
    height, width = there.shape[:2]
    # Back again along the motion of the neighbour: where the way began, if both are right.
    again = fetched(_planes(near.back, own.device), there, smooth=False)
    stray = (again - _planes(own_places, own.device)).square().sum(dim=0, keepdim=True)
    trust = trust / (1.0 + stray / (STRAY_PX * scale) ** 2)
    x, y = there[..., 0], there[..., 1]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return trust * torch.from_numpy(inside).to(own.device)


def _near_sample(places: Places, scale: int, device: torch.device) -> Tensor:
    """(1, H*s, W*s) how near a pixel of the scan lies to each place of its enlargement."""
    at = (_planes(places, device) + 0.5) / scale - 0.5
    off = (at - at.round()).square().sum(dim=0, keepdim=True)
    return torch.exp(off * (-0.5 / _SAMPLE_PX**2)) + _ANYWAY


def fetched(planes: Tensor, places: Places, *, smooth: bool = True) -> Tensor:
    """(C, H, W) at other places of (C, h, w), edges held; cubic, or linear."""
    if planes.device.type == "cpu":
        flag = cv2.INTER_CUBIC if smooth else cv2.INTER_LINEAR
        out = np.empty((len(planes), *places.shape[:2]), np.float32)
        for plane, filled in zip(planes.numpy(), out, strict=True):
            cv2.remap(plane, places, None, flag, dst=filled, borderMode=cv2.BORDER_REPLICATE)
        return torch.from_numpy(out)
    return fetched_by_torch(planes, places, smooth=smooth)


def fetched_by_torch(planes: Tensor, places: Places, *, smooth: bool = True) -> Tensor:
    """The same on any device; OpenCV rounds places to a 32nd of a pixel, this does not."""
    h, w = planes.shape[-2:]
    at = torch.from_numpy(places).to(planes.device)
    size = torch.tensor((max(w - 1, 1), max(h - 1, 1)), device=planes.device)
    return F.grid_sample(
        planes.unsqueeze(0),
        (at * (2.0 / size) - 1.0).unsqueeze(0),
        mode="bicubic" if smooth else "bilinear",
        padding_mode="border",
        align_corners=True,
    )[0]


def _planes(places: Places, device: torch.device) -> Tensor:
    """(H, W, 2) as (2, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(places.transpose(2, 0, 1))).to(device)
