"""Enlarge and reduce pictures of any device: compiled on the CPU, torch elsewhere."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from restore.motion import filtered
from restore.upscale.kernels import TAPS, Kernel, enlarging_taps, reducing_taps

_FINE = (0.0625, 0.25, 0.375, 0.25, 0.0625)
"""Binomial: sigma 1 px."""
_WIDE = (0.0439, 0.1217, 0.2053, 0.2582, 0.2053, 0.1217, 0.0439)
"""Of the structure tensor: sigma 1.5 px."""
EDGE_REACH_PX = 7
"""How far one step along the edges looks, px of the larger picture."""
_EDGE_FLOOR = 1e-4
"""Square of film log per px: weaker gradients are grain as likely as edges."""


def enlarge(pixels: Tensor, scale: int) -> Tensor:
    """Lanczos-3, (T, C, H, W) to (T, C, H*scale, W*scale). Edges held; may overshoot."""
    taps, first = enlarging_taps(scale)
    if pixels.device.type == "cpu":
        from restore.upscale import compiled  # compiled on first use, not at import

        return like(pixels, compiled.enlarge(as_planes(pixels), taps, first))
    for dim in (-1, -2):
        pixels = enlarge_axis(pixels, taps.tolist(), first.tolist(), dim)
    return pixels


def reduce(pixels: Tensor, scale: int, kernel: Kernel = "area") -> Tensor:
    """What a scanner would have seen: (T, C, H, W) to 1/scale. ``area`` is a pixel's mean."""
    taps = reducing_taps(kernel, scale)
    if pixels.device.type == "cpu":
        from restore.upscale import compiled

        return like(pixels, compiled.reduce(as_planes(pixels), taps, scale))
    return reduce_by_torch(pixels, scale, kernel)


def reduce_by_torch(pixels: Tensor, scale: int, kernel: Kernel) -> Tensor:
    """The same on any device."""
    taps = reducing_taps(kernel, scale)
    rim = (len(taps) - scale) // 2
    if rim:
        pixels = F.pad(pixels, (rim, rim, rim, rim), mode="replicate")
    return filtered(filtered(pixels, taps, -2, scale), taps, -1, scale)


def along_edges(pixels: Tensor, amount: float) -> Tensor:
    """One step of diffusion along edges, (T, C, H, W): stairs on slanted edges go.

    Coherence-enhancing diffusion (Weickert 1999), its direction taken from all channels
    together. Looks ``EDGE_REACH_PX`` far.
    """
    if pixels.device.type == "cpu":
        from restore.upscale import compiled

        fine, wide = np.array(_FINE, np.float32), _wide()
        steps = [
            compiled.along_edges(np.ascontiguousarray(p.numpy()), fine, wide, amount, _EDGE_FLOOR)
            for p in pixels
        ]
        return torch.from_numpy(np.stack(steps))
    return along_edges_by_torch(pixels, amount)


def along_edges_by_torch(pixels: Tensor, amount: float) -> Tensor:
    """The same on any device."""
    # Added up one by one: a reduction takes its order from the size of what it is given.
    bright = torch.zeros_like(pixels[:, :1])
    for plane in pixels.unbind(1):
        bright += plane[:, None]
    bright /= pixels.shape[1]
    mean = _smoothed(bright, np.array(_FINE, np.float32))
    held = F.pad(mean, (1, 1, 1, 1), mode="replicate")
    gx = 0.5 * (held[..., 1:-1, 2:] - held[..., 1:-1, :-2])
    gy = 0.5 * (held[..., 2:, 1:-1] - held[..., :-2, 1:-1])
    xx, yy, xy = (_smoothed(v, _wide()) for v in (gx * gx, gy * gy, gx * gy))
    across, cross = xx - yy, 2.0 * xy
    apart = torch.sqrt(across**2 + cross**2)
    sure = amount * apart / (xx + yy + _EDGE_FLOOR)
    turn = 0.5 * sure / (apart + 1e-12)
    p = F.pad(pixels, (1, 1, 1, 1), mode="replicate")
    dxx = p[..., 1:-1, :-2] + p[..., 1:-1, 2:] - 2.0 * pixels
    dyy = p[..., :-2, 1:-1] + p[..., 2:, 1:-1] - 2.0 * pixels
    dxy = p[..., 2:, 2:] + p[..., :-2, :-2] - p[..., :-2, 2:] - p[..., 2:, :-2]
    along_x, along_y = 0.5 * sure - turn * across, 0.5 * sure + turn * across
    return pixels + along_x * dxx + along_y * dyy - 0.5 * turn * cross * dxy


def _wide() -> NDArray[np.float32]:
    taps = np.array(_WIDE)
    found: NDArray[np.float32] = (taps / taps.sum()).astype(np.float32)
    return found


def _smoothed(plane: Tensor, taps: NDArray[np.float32]) -> Tensor:
    rim = len(taps) // 2
    held = F.pad(plane, (rim, rim, rim, rim), mode="replicate")
    return filtered(filtered(held, taps, -1), taps, -2)


def as_planes(pixels: Tensor) -> NDArray[np.float32]:
    """(T, C, H, W) as (T * C, H, W)."""
    flat = pixels.detach().reshape(-1, *pixels.shape[-2:])
    return np.ascontiguousarray(flat.numpy())


def like(pixels: Tensor, planes: NDArray[np.float32]) -> Tensor:
    """Planes with the leading dimensions of ``pixels``."""
    return torch.from_numpy(planes).reshape(*pixels.shape[:-2], *planes.shape[-2:])


def enlarge_axis(pixels: Tensor, taps: list[list[float]], first: list[int], dim: int) -> Tensor:
    """One axis of an enlargement, on any device."""
    pad = (TAPS, TAPS, 0, 0) if dim == -1 else (0, 0, TAPS, TAPS)
    padded = F.pad(pixels, pad, mode="replicate")
    size = pixels.shape[dim]
    outputs = []
    for row, start in zip(taps, first, strict=True):
        total = torch.zeros_like(pixels)
        for k, tap in enumerate(row):
            total = total + padded.narrow(dim, TAPS + start + k, size) * tap
        outputs.append(total)
    stacked = torch.stack(outputs, dim=-1 if dim == -1 else -2)
    shape = list(pixels.shape)
    shape[dim] *= len(taps)
    return stacked.reshape(shape)
