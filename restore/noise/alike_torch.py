"""Patches that are alike, in torch, for devices other than the CPU: see ``restore.noise.alike``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from restore.noise.alike import smallest_group, starts
from restore.noise.rules import ALIKE_LOOKS, ALIKE_PX, ALIKE_REACH_PX

_ROWS = 4
"""Rows of groups solved at a time."""
_STEPS = 2**20
"""Of a unit of grain: what patches are rounded to before they are added up."""
_SIDE = 2 * ALIKE_REACH_PX + 1


def through_on_device(kernel: NDArray[np.float32], planes: Tensor) -> Tensor:
    """(C, H, W) planes through a kernel, mirrored at their edges; smaller ones are held there."""
    rim = len(kernel) // 2
    mode = "reflect" if min(planes.shape[-2:]) > rim else "replicate"
    wide = F.pad(planes[:, None], (rim, rim, rim, rim), mode=mode)
    taps = torch.from_numpy(kernel).to(planes.device)[None, None]
    return F.conv2d(wide, taps)[:, 0]


def bettered_on_device(
    noisy: Sequence[Tensor], basic: Sequence[Tensor], flows: Sequence[NDArray[np.float32]]
) -> Tensor:
    """``restore.noise.alike.bettered`` for tensors on any device: equal within rounding."""
    planes, h, w = basic[0].shape
    many, device = smallest_group(h, w), basic[0].device
    if many < 2:
        return basic[0]
    both = [_placed(noisy, flows), _placed(basic, flows)]
    places = _found_alike(both[1][:ALIKE_LOOKS, 0], many)
    rows, columns = starts(h), torch.tensor(starts(w), device=device)
    inside = (torch.arange(ALIKE_PX)[:, None] * w + torch.arange(ALIKE_PX)).flatten().to(device)
    # A GPU adds up in any order: sums of whole numbers come out alike in each.
    total = torch.zeros((planes, h * w), dtype=torch.int64, device=device)
    counted = torch.zeros(h * w, dtype=torch.int64, device=device)
    for begun in range(0, len(rows), _ROWS):
        band = torch.tensor(rows[begun : begun + _ROWS], device=device)
        picked = places[:, begun : begun + _ROWS].flatten(1).T  # (G, N)
        dy, dx = picked // _SIDE - ALIKE_REACH_PX, picked % _SIDE - ALIKE_REACH_PX
        corners = (band[:, None] * w + columns).flatten()[:, None] + dy * w + dx
        pixels = corners[..., None] + inside  # (G, N, 16)
        for p in range(planes):
            made = _made(*(stack[:, p].flatten(1)[:, pixels] for stack in both))
            steps = (made * _STEPS).round().long()
            total[p].index_add_(0, pixels.flatten(), steps.flatten())
        counted.index_add_(0, pixels.flatten(), torch.ones_like(pixels).flatten())
    mean = total.double() / (counted * _STEPS)
    return mean.to(basic[0].dtype).view(planes, h, w)


def _placed(frames: Sequence[Tensor], flows: Sequence[NDArray[np.float32]]) -> Tensor:
    """(T, C, H, W): rows of a frame where another shows the same thing, whole px."""
    h, w = frames[0].shape[-2:]
    ys, xs = np.arange(h, dtype=np.float32)[:, None], np.arange(w, dtype=np.float32)
    found = [frames[0]]
    for frame, flow in zip(frames[1:], flows, strict=True):
        rows = np.clip(np.rint(ys + flow[..., 1]), 0, h - 1).astype(np.int64)
        columns = np.clip(np.rint(xs + flow[..., 0]), 0, w - 1).astype(np.int64)
        at = torch.from_numpy(rows * w + columns).to(frame.device)
        found.append(frame.flatten(1)[:, at])
    return torch.stack(found)


def _found_alike(looks: Tensor, many: int) -> Tensor:
    """(N, rows, columns) numbers of the offsets of the patches most like each.

    looks: (K, H, W).
    """
    h, w = looks.shape[-2:]
    rows, columns = (torch.tensor(starts(size), device=looks.device) for size in (h, w))
    wide = F.pad(looks, (ALIKE_REACH_PX,) * 4, value=1e15)
    apart = []
    for at in range(_SIDE * _SIDE):
        dy, dx = at // _SIDE, at % _SIDE
        gap = (looks - wide[:, dy : dy + h, dx : dx + w]).square().sum(dim=0)
        near = F.avg_pool2d(gap[None, None], ALIKE_PX, 1)[0, 0]
        apart.append(near[rows][:, columns])
    every = torch.stack(apart)
    every[_SIDE * _SIDE // 2] = -1.0
    return every.topk(many, dim=0, largest=False).indices


def _made(noisy: Tensor, basic: Tensor) -> Tensor:
    """(G, N, 16) what is made of the patches on the frame itself, from (T, G, N, 16) of both."""
    frames, groups, many, _ = basic.shape
    dirty, clean = (v.permute(1, 2, 3, 0).reshape(groups, many, -1) for v in (noisy, basic))
    grain = (dirty - clean).square().mean(dim=(1, 2)).clamp_min(1.0)
    mean = clean.mean(dim=1, keepdim=True)
    clean, dirty = clean - mean, dirty - mean
    likeness = clean @ clean.transpose(1, 2)
    likeness += torch.eye(many, device=clean.device) * (many * grain)[:, None, None]
    sides = torch.cholesky_solve(clean @ dirty.transpose(1, 2), torch.linalg.cholesky(likeness))
    return sides.transpose(1, 2) @ clean[..., ::frames] + mean[..., ::frames]
