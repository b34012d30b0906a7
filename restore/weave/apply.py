"""Move each frame by its own sub-pixel shift, with one resample."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from media.encoding import Domain
from media.errors import RepairError
from media.passes import Effect, Needs, Window

TAPS = 12
_HALF = TAPS // 2


def sinc_kernel(fraction_px: float) -> list[float]:
    """12 taps of a Kaiser-windowed sinc that fetches ``fraction_px`` (0..1) right of tap 6.

    The taps sum to one, so flat areas keep their value.
    """
    beta = 7.0
    taps = []
    for k in range(TAPS):
        x = k - (_HALF - 1) - fraction_px
        edge = 1.0 - (x / _HALF) ** 2
        window = _bessel_i0(beta * math.sqrt(max(edge, 0.0))) / _bessel_i0(beta)
        taps.append(window * (math.sin(math.pi * x) / (math.pi * x) if abs(x) > 1e-12 else 1.0))
    total = math.fsum(taps)
    return [t / total for t in taps]


def _bessel_i0(x: float) -> float:
    """Modified Bessel function, power series; plenty for |x| < 20."""
    term, total, k = 1.0, 1.0, 1
    while term > 1e-17 * total:
        term *= (x / (2 * k)) ** 2
        total += term
        k += 1
    return total


def shift_axis(pixels: Tensor, shift_px: float, dim: int) -> Tensor:
    """Shift (..., H, W) along ``dim`` (-1 or -2); positive moves content to higher indices.

    Edges are held for the support of the kernel. Written as a sum of slices, not a convolution,
    so that every pixel is computed by the same operations whatever the size of the tile.
    """
    source_px = -shift_px
    whole = math.floor(source_px)
    taps = sinc_kernel(source_px - whole)
    size = pixels.shape[dim]
    before = max(0, _HALF - 1 - whole)
    after = max(0, whole + _HALF)
    pad = (before, after, 0, 0) if dim == -1 else (0, 0, before, after)
    padded = F.pad(pixels, pad, mode="replicate")
    start = before + whole - (_HALF - 1)
    out = torch.zeros_like(pixels)
    for k, tap in enumerate(taps):
        out = out + padded.narrow(dim, start + k, size) * tap
    return out


@dataclass(frozen=True)
class WeaveOperator:
    """Shifts frames by the solved, per-frame amounts.

    Pixels whose place in the scan lies outside the scanned frame keep what the scan had there:
    nothing is mirrored, stretched or made up.
    """

    shifts_px: Mapping[int, tuple[float, float]]
    """Frame number to (dx, dy) in px; frames not named stay."""

    name = "weave"
    version = 1
    radius = 0
    domain = Domain.LOG_DENSITY
    scale = 1
    effect = Effect.ADJUSTED

    @property
    def needs(self) -> Needs:
        """Kernel support plus the largest shift."""
        largest = max((abs(v) for s in self.shifts_px.values() for v in s), default=0.0)
        return Needs(reach_px=_HALF + 1 + math.ceil(largest))

    def key(self, frames: Sequence[int]) -> Mapping[str, object]:
        """Shifts of these frames."""
        return {"shifts_px": [list(self.shifts_px.get(f, (0.0, 0.0))) for f in frames]}

    def __call__(self, window: Window) -> Window:
        """(T, C, H, W) to the same shape."""
        moved = []
        for frame, pixels in zip(window.frames, window.pixels, strict=True):
            dx, dy = self.shifts_px.get(frame, (0.0, 0.0))
            if abs(dx) >= window.size_px[1] or abs(dy) >= window.size_px[0]:
                raise RepairError("weave shift is larger than the frame", frame=frame)
            shifted = pixels
            if dx:
                shifted = shift_axis(shifted, dx, -1)
            if dy:
                shifted = shift_axis(shifted, dy, -2)
            moved.append(torch.where(_has_source(window, dx, dy), shifted, pixels))
        return window.changed(torch.stack(moved), self.effect)


def _has_source(window: Window, dx: float, dy: float) -> Tensor:
    """(H, W) bool: the pixel's place before the shift lies inside the scanned frame."""
    h, w = window.pixels.shape[-2:]
    device = window.pixels.device
    y = torch.arange(h, device=device) + window.origin_px[0] - dy
    x = torch.arange(w, device=device) + window.origin_px[1] - dx
    inside_y = (y >= 0) & (y <= window.size_px[0] - 1)
    inside_x = (x >= 0) & (x <= window.size_px[1] - 1)
    return inside_y[:, None] & inside_x[None, :]
