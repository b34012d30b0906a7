"""The block filter in torch, for devices other than the CPU (there: ``restore.noise.blocks``)."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from restore.grain_curve import RANGE, TABLE, Stabiliser
from restore.motion import blur
from restore.noise.rules import COARSE_BLUR_PX, FIRST, RIM, SECOND, SIZE, THRESHOLD

_ROWS, _ROWS_ON_CPU = 32, 2
"""Rows of blocks worked on at a time. On a CPU what that takes stays in the caches; a GPU wants
to be kept busy, in less memory than all rows would take."""


def in_units(frames: Tensor, stabiliser: Stabiliser, mix: NDArray[np.float32]) -> Tensor:
    """(T, C, H, W) film log as planes of unit grain. mix: (C, C), planes by channels."""
    forward = torch.from_numpy(stabiliser.forward).to(frames.device)
    limits = torch.tensor([RANGE] * frames.shape[1], device=frames.device)
    return _mixed(mix, _looked_up(frames, forward, limits))


def filtered_frame(
    own: Tensor,
    units: Tensor,
    stabiliser: Stabiliser,
    back: NDArray[np.float32],
    sigma: NDArray[np.float32],
    steps_px: tuple[int, int],
    guide: Callable[[Tensor], Tensor] | None = None,
    *,
    coarse: bool = True,
) -> Tensor:
    """(C, H, W) film log: the frame less its grain.

    own: (C, H, W) film log. units: (T, C, H, W) planes of unit grain, the frame's first. back:
    (C, C), channels by planes. sigma: (2, 8, 8) grain of each frequency, at full size and at
    half. guide: makes the pilot of all planes, in place of the first pass. coarse: is the
    filter run at half size too?
    """
    height, width = own.shape[-2:]
    planes = _padded(units)
    pilot = None if guide is None else guide(planes)
    clean = _twice_filtered(planes, sigma[0], steps_px, pilot)
    if coarse:
        half = None if pilot is None else _halved(pilot)
        clean = _with_coarse(clean, _twice_filtered(_halved(planes), sigma[1], steps_px, half))
    return restored(own, clean[:, RIM : RIM + height, RIM : RIM + width], stabiliser, back)


def restored(
    own: Tensor, clean: Tensor, stabiliser: Stabiliser, back: NDArray[np.float32]
) -> Tensor:
    """(C, H, W) film log: a frame less what the filter took out of it.

    own: (C, H, W) film log. clean: (C, H, W) planes of unit grain. back: (C, C), channels by
    planes.
    """
    forward, backward, ends = (
        torch.from_numpy(v).to(own.device)
        for v in (stabiliser.forward, stabiliser.backward, stabiliser.ends)
    )
    limits = torch.tensor([RANGE] * own.shape[0], device=own.device)
    kept = _looked_up(_mixed(back, clean[None]), backward, ends)[0]
    taken = _looked_up(_looked_up(own[None], forward, limits), backward, ends)[0]
    return own + (kept - taken)


def _twice_filtered(
    planes: Tensor, sigma: NDArray[np.float32], steps_px: tuple[int, int], pilot: Tensor | None
) -> Tensor:
    bases = _bases(sigma.astype(np.float64), planes.device)
    if pilot is None:
        pilot = _filtered(planes, None, bases, steps_px[0])
    return _filtered(planes, pilot, bases, steps_px[1])


def _halved(planes: Tensor) -> Tensor:
    return F.avg_pool2d(planes, 2)


def _with_coarse(fine: Tensor, coarse: Tensor) -> Tensor:
    gap = blur((coarse - _halved(fine))[None], COARSE_BLUR_PX)[0]
    large = F.interpolate(gap[None], scale_factor=2.0, mode="bilinear", align_corners=False)[0]
    out = fine.clone()
    out[:, : large.shape[1], : large.shape[2]] += large
    return out


def _looked_up(values: Tensor, tables: Tensor, limits: Tensor) -> Tensor:
    """(T, C, H, W) through (C, 4096) tables, each over its own limits (C, 2)."""
    low, high = (limits[:, k].view(1, -1, 1, 1) for k in (0, 1))
    at = ((values - low) * ((TABLE - 1) / (high - low))).clamp(0.0, TABLE - 1.001)
    index = at.long()
    shift = torch.arange(tables.shape[0], device=values.device).view(1, -1, 1, 1) * TABLE
    flat = tables.reshape(-1)
    below, above = flat[index + shift], flat[index + shift + 1]
    return below + (at - index) * (above - below)


def _mixed(mix: NDArray[np.float32], planes: Tensor) -> Tensor:
    """(T, C, H, W), channels mixed by (C, C)."""
    t, c, h, w = planes.shape
    rows = torch.from_numpy(mix).to(planes.device)
    return (rows @ planes.reshape(t, c, h * w)).view(t, c, h, w)


def _padded(planes: Tensor) -> Tensor:
    """Mirrored: a block on each side, and room for a last whole step."""
    mode = "reflect" if min(planes.shape[-2:]) > RIM else "replicate"
    return F.pad(planes, (RIM, RIM, RIM, RIM), mode=mode)


def _filtered(
    planes: Tensor, pilot: Tensor | None, bases: tuple[Tensor, Tensor], step: int
) -> Tensor:
    """(C, H, W) of the first of (T, C, H, W) planes, padded; the pilot steers the second pass."""
    _, c, h, w = planes.shape
    rows, columns = ((s - SIZE) // step + 1 for s in (h, w))
    out = torch.zeros((c + 1, h, w), dtype=planes.dtype, device=planes.device)
    forward, inverse = bases
    window = _window(planes.device)
    at_once = _ROWS_ON_CPU if planes.device.type == "cpu" else _ROWS
    for first in range(0, rows, at_once):
        last = min(first + at_once, rows)
        band = slice(first * step, (last - 1) * step + SIZE)
        blocks = _blocks(planes[:, :, band], step) @ forward
        guide = None if pilot is None else (_blocks(pilot[None, :, band], step) @ forward)[0]
        shrunk, share = _shrunk(blocks, guide)
        weight = window * share
        patches = torch.cat([(shrunk @ inverse) * weight, weight], dim=1)
        found = _folded(patches, last - first, columns, step)
        out[:, band, : found.shape[-1]] += found
    return out[:c] / out[c:].clamp_min(1e-9)


def _shrunk(blocks: Tensor, guide: Tensor | None) -> tuple[Tensor, Tensor]:
    """Merged and shrunk coefficients (blocks, C, 64), and the weight of each block (.., 1, 1).

    blocks: (T, blocks, C, 64), the frame first; grain has unit power in every coefficient.
    """
    own, others = blocks[0], blocks[1:]
    if len(others):
        # Before the pilot both sides hold grain: twice its power is no difference yet.
        gap = (others - (own if guide is None else guide)).square_().sum(dim=2)
        scale = 1.0 / own.shape[1] * (0.5 if guide is None else 1.0)
        gap = _pooled(gap.mul_(scale))
        allowed, factor = FIRST if guide is None else SECOND
        excess = gap.sub_(allowed).clamp_min_(0.0).mul_(factor)
        trust = excess.square_().add_(1.0).reciprocal_()
        total = 1.0 + trust.sum(dim=0)
        left = ((1.0 + trust.square().sum(dim=0)) / total.square()).unsqueeze(1)
        merged = torch.addcmul(own, others[0], trust[0].unsqueeze(1))
        for k in range(1, len(others)):
            merged.addcmul_(others[k], trust[k].unsqueeze(1))
        merged /= total.unsqueeze(1)
    else:
        merged, left = own, own.new_ones((own.shape[0], 1, own.shape[2]))
    if guide is None:
        gain = (merged.square() > THRESHOLD**2 * left).to(merged.dtype)
    else:
        energy = guide.square()
        gain = energy / (energy + left)
    gain[..., 0] = 1.0
    used = (gain.square() * left).sum(dim=(1, 2)).clamp_min(1e-3)
    return gain.mul_(merged), used.reciprocal().view(-1, 1, 1)


def _pooled(gap: Tensor) -> Tensor:
    """Each frequency's difference judged with its neighbours' and the block's: (T, B, 64).

    One frequency alone scatters too much to be told from grain.
    """
    near = gap @ _nearby(gap.device)
    return torch.maximum(near, gap.mean(dim=-1, keepdim=True))


def _blocks(planes: Tensor, step: int) -> Tensor:
    """(T, C, h, w) to (T, blocks, C, 64), row by row."""
    cut = planes.unfold(2, SIZE, step).unfold(3, SIZE, step)
    t, c, rows, columns = cut.shape[:4]
    return cut.permute(0, 2, 3, 1, 4, 5).reshape(t, rows * columns, c, SIZE * SIZE)


def _folded(patches: Tensor, rows: int, columns: int, step: int) -> Tensor:
    """(blocks, C, 64) added up to (C, h, w)."""
    c = patches.shape[1]
    size = ((rows - 1) * step + SIZE, (columns - 1) * step + SIZE)
    stacked = patches.permute(1, 2, 0).reshape(1, c * SIZE * SIZE, rows * columns)
    return F.fold(stacked, size, SIZE, stride=step)[0]


def _dct() -> NDArray[np.float64]:
    """(64, 64): flattened block @ this gives its orthonormal two-dimensional DCT."""
    k = np.arange(SIZE)
    rows = np.cos(np.pi * (2 * k[None] + 1) * k[:, None] / (2 * SIZE)) * np.sqrt(2.0 / SIZE)
    rows[0] /= np.sqrt(2.0)
    found: NDArray[np.float64] = np.kron(rows, rows).T
    return found


def _bases(sigma: NDArray[np.float64], device: torch.device) -> tuple[Tensor, Tensor]:
    """Forward and inverse (64, 64), such that grain of this (8, 8) sigma has unit strength."""
    dct, scale = _dct(), sigma.reshape(-1)
    pair = (dct / scale, (dct * scale).T)
    forward, inverse = (torch.from_numpy(m.astype(np.float32)).to(device) for m in pair)
    return forward, inverse


@lru_cache(maxsize=4)
def _window(device: torch.device) -> Tensor:
    """(64,) Kaiser window, beta 2."""
    one = np.kaiser(SIZE, 2.0)
    return torch.from_numpy(np.outer(one, one).reshape(-1).astype(np.float32)).to(device)


@lru_cache(maxsize=4)
def _nearby(device: torch.device) -> Tensor:
    """(64, 64): mean over each frequency and those beside it."""
    near = (np.abs(np.arange(SIZE)[:, None] - np.arange(SIZE)) <= 1).astype(np.float64)
    # At an edge the frequency itself stands in for the one that is not there.
    near[0, 0] = near[-1, -1] = 2.0
    return torch.from_numpy((np.kron(near, near) / 9.0).astype(np.float32)).to(device)
