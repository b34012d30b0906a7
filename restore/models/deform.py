"""Deformable convolution and warping in plain torch: everywhere, in every precision.

Source: Zhu et al., Deformable ConvNets v2 (2018), modulated form. Same layout of offsets and
masks as ``torchvision.ops.deform_conv2d``, whose CPU form is slower and knows no bf16.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

Pair = tuple[int, int]


def deform_conv2d(
    input: Tensor,  # noqa: A002 - callers name it so
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Pair | int = 1,
    padding: Pair | int = 0,
    dilation: Pair | int = 1,
    mask: Tensor | None = None,
) -> Tensor:
    """(N, C, H, W) convolved at places moved by ``offset``; outside the picture lies zero.

    offset: (N, 2 * G * kh * kw, H', W'), row and column in turn, px, for G groups of channels.
    weight: (O, C / groups, kh, kw). mask: (N, G * kh * kw, H', W') or None.
    """
    n, channels, height, width = input.shape
    made, within, kh, kw = weight.shape
    (sy, sx), (py, px), (dy, dx) = _pair(stride), _pair(padding), _pair(dilation)
    rows, columns = offset.shape[-2:]
    taps = kh * kw
    sets = offset.shape[1] // (2 * taps)
    # Places are kept in float32: bf16 cannot tell neighbouring pixels of a wide frame apart.
    moved = offset.float().view(n, sets, taps, 2, rows, columns)
    y = torch.arange(rows, device=input.device).mul(sy).view(1, 1, 1, rows, 1)
    x = torch.arange(columns, device=input.device).mul(sx).view(1, 1, 1, 1, columns)
    ky = torch.arange(kh, device=input.device).mul(dy).repeat_interleave(kw).view(1, 1, taps, 1, 1)
    kx = torch.arange(kw, device=input.device).mul(dx).repeat(kh).view(1, 1, taps, 1, 1)
    at_y = moved[:, :, :, 0] + (y + ky - py)
    at_x = moved[:, :, :, 1] + (x + kx - px)
    grid = torch.stack(
        (2 * at_x / max(width - 1, 1) - 1, 2 * at_y / max(height - 1, 1) - 1), dim=-1
    ).view(n * sets, taps * rows, columns, 2)
    planes = input.reshape(n * sets, channels // sets, height, width)
    fetched = F.grid_sample(
        planes.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=True
    )
    fetched = fetched.view(n, sets, channels // sets, taps, rows, columns)
    if mask is not None:
        fetched = fetched * mask.float().view(n, sets, 1, taps, rows, columns)
    groups = channels // within
    columns_in = fetched.reshape(n, groups, within * taps, rows * columns).to(input.dtype)
    kernel = weight.view(1, groups, made // groups, within * taps).to(input.dtype)
    out = (kernel @ columns_in).view(n, made, rows, columns)
    return out if bias is None else out + bias.view(1, -1, 1, 1).to(out.dtype)


def flow_warp(
    x: Tensor,
    flow: Tensor,
    interp_mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool = True,
) -> Tensor:
    """(N, C, H, W) fetched from where ``flow`` (N, H, W, 2: x, y in px) points."""
    height, width = x.shape[-2:]
    at_x = torch.arange(width, device=x.device) + flow[..., 0].float()
    at_y = torch.arange(height, device=x.device)[:, None] + flow[..., 1].float()
    grid = torch.stack(
        (2 * at_x / max(width - 1, 1) - 1, 2 * at_y / max(height - 1, 1) - 1), dim=-1
    )
    warped = F.grid_sample(
        x.float(), grid, mode=interp_mode, padding_mode=padding_mode, align_corners=align_corners
    )
    return warped.to(x.dtype)


def _pair(value: Pair | int) -> Pair:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
