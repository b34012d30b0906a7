"""Lanczos enlargement made consistent with the scan by back-projection, no weights needed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from media.encoding import Domain
from media.passes import Effect, Needs, Window

_LOBES = 3


def _phases(scale: int) -> list[list[float]]:
    """Lanczos-3 taps for each of the ``scale`` output phases, pixel-centre convention."""
    table = []
    for phase in range(scale):
        offset = (phase + 0.5) / scale - 0.5
        base = math.floor(offset)
        taps = []
        for k in range(-_LOBES + 1, _LOBES + 1):
            x = offset - (base + k)
            taps.append(_sinc(x) * _sinc(x / _LOBES) if abs(x) < _LOBES else 0.0)
        total = math.fsum(taps)
        table.append([t / total for t in taps])
    return table


def _sinc(x: float) -> float:
    return 1.0 if abs(x) < 1e-12 else math.sin(math.pi * x) / (math.pi * x)


def enlarge(pixels: Tensor, scale: int) -> Tensor:
    """Lanczos-3, (T, C, H, W) to (T, C, H*scale, W*scale). Edges held; may overshoot."""
    return _enlarge_axis(_enlarge_axis(pixels, scale, -1), scale, -2)


def _enlarge_axis(pixels: Tensor, scale: int, dim: int) -> Tensor:
    pad = (_LOBES, _LOBES, 0, 0) if dim == -1 else (0, 0, _LOBES, _LOBES)
    padded = F.pad(pixels, pad, mode="replicate")
    size = pixels.shape[dim]
    outputs = []
    for phase, taps in enumerate(_phases(scale)):
        base = math.floor((phase + 0.5) / scale - 0.5)
        total = torch.zeros_like(pixels)
        for k, tap in enumerate(taps):
            total = total + padded.narrow(dim, _LOBES + base + k - _LOBES + 1, size) * tap
        outputs.append(total)
    stacked = torch.stack(outputs, dim=-1 if dim == -1 else -2)
    shape = list(pixels.shape)
    shape[dim] *= scale
    return stacked.reshape(shape)


def reduce(pixels: Tensor, scale: int) -> Tensor:
    """Area mean, the sampling a scanner's pixel does: (T, C, H, W) to 1/scale."""
    return F.avg_pool2d(pixels, scale)


@dataclass(frozen=True)
class ResampleUpscale:
    """Lanczos, then a few rounds that put back what reducing the result would have lost."""

    scale: int
    rounds: int = 3
    ringing: float = 0.02
    """Overshoot allowed beyond the local range of the scan, film log."""

    name = "upscale"
    version = 1
    radius = 0
    domain = Domain.LOG_DENSITY
    effect = Effect.ADJUSTED

    @property
    def needs(self) -> Needs:
        """Kernel support of every round, in source pixels."""
        return Needs(reach_px=(_LOBES + 1) * (self.rounds + 1))

    def key(self, frames: Sequence[int]) -> Mapping[str, object]:
        """The same for every frame."""
        del frames
        return {"scale": self.scale, "rounds": self.rounds, "ringing": self.ringing}

    def __call__(self, window: Window) -> Window:
        """(T, C, H, W) to (T, C, H*scale, W*scale)."""
        large = enlarge(window.pixels, self.scale)
        for _ in range(self.rounds):
            missing = window.pixels - reduce(large, self.scale)
            large = large + enlarge(missing, self.scale)
        low = -F.max_pool2d(-window.pixels, 3, stride=1, padding=1) - self.ringing
        high = F.max_pool2d(window.pixels, 3, stride=1, padding=1) + self.ringing
        large = _bounded(large, window.pixels, low, high, self.scale)
        return enlarged(window, large, self.scale, self.effect)


def _bounded(large: Tensor, source: Tensor, low: Tensor, high: Tensor, scale: int) -> Tensor:
    """``large`` within the bounds, and still giving exactly ``source`` when it is reduced.

    source, low, high: (T, C, H, W), low <= source <= high. Clamping and putting back what that
    took from a source pixel are alternated; what then still overshoots has the detail inside
    its source pixel scaled down until it fits.
    """
    floor, ceiling = _repeat(low, scale), _repeat(high, scale)
    for _ in range(2):
        large = torch.minimum(torch.maximum(large, floor), ceiling)
        large = large + _repeat(source - reduce(large, scale), scale)
    middle = _repeat(source, scale)
    detail = large - _repeat(reduce(large, scale), scale)
    room = torch.where(detail > 0, ceiling - middle, middle - floor)
    share = (room / detail.abs().clamp_min(1e-9)).clamp_max(1.0)
    return middle + detail * _repeat(-F.max_pool2d(-share, scale), scale)


def enlarged(window: Window, pixels: Tensor, scale: int, effect: Effect) -> Window:
    """The window at its new size; every pixel carries at least ``effect``."""
    return replace(
        window,
        pixels=pixels,
        touch=_repeat(window.touch, scale).clamp_min(int(effect)),
        origin_px=(window.origin_px[0] * scale, window.origin_px[1] * scale),
        size_px=(window.size_px[0] * scale, window.size_px[1] * scale),
    )


def _repeat(planes: Tensor, scale: int) -> Tensor:
    return planes.repeat_interleave(scale, dim=-2).repeat_interleave(scale, dim=-1)
