"""Give each frame the exposure it was meant to have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from media.encoding import STOP, Domain
from media.passes import Effect, Needs, Window


@dataclass(frozen=True)
class FlickerOperator:
    """Adds the solved exposure correction in film log, whole frame and by place."""

    exposure_stops: Mapping[int, tuple[float, ...]]
    """Frame number to (C,) correction."""
    grid_stops: Mapping[int, tuple[tuple[float, ...], ...]]
    """Frame number to (rows, cols) correction at cell centres; may be empty."""

    name = "flicker"
    version = 1
    radius = 0
    domain = Domain.LOG_DENSITY
    scale = 1
    effect = Effect.ADJUSTED
    needs = Needs(reach_px=0)

    def key(self, frames: Sequence[int]) -> Mapping[str, object]:
        """Corrections of these frames."""
        return {
            "exposure_stops": [list(self.exposure_stops.get(f, ())) for f in frames],
            "grid_stops": [[list(r) for r in self.grid_stops.get(f, ())] for f in frames],
        }

    def __call__(self, window: Window) -> Window:
        """(T, C, H, W) to the same shape."""
        out = []
        for frame, pixels in zip(window.frames, window.pixels, strict=True):
            stops = self.exposure_stops.get(frame)
            if stops is None:
                out.append(pixels)
                continue
            gain = torch.tensor(stops, dtype=torch.float32, device=pixels.device).view(-1, 1, 1)
            grid = self.grid_stops.get(frame, ())
            if any(any(row) for row in grid):
                gain = gain + spread(grid, window)
            out.append(pixels + gain * STOP)
        return window.changed(torch.stack(out), self.effect)


def spread(grid: Sequence[Sequence[float]], window: Window) -> Tensor:
    """Values at cell centres to (H, W) of this window: linear between them, edges held.

    Each pixel depends on its own place in the whole frame only, so tiles agree with the whole.
    """
    values = torch.tensor(grid, dtype=torch.float32, device=window.pixels.device)
    h, w = window.pixels.shape[-2:]
    rows = _weights(h, window.origin_px[0], window.size_px[0], values.shape[0], values.device)
    cols = _weights(w, window.origin_px[1], window.size_px[1], values.shape[1], values.device)
    field = torch.zeros((h, w), dtype=torch.float32, device=values.device)
    # Sums of outer products, element by element: the order of operations is the same for
    # every tile, which a matrix product would not promise.
    for i in range(values.shape[0]):
        line = torch.zeros((w,), dtype=torch.float32, device=values.device)
        for j in range(values.shape[1]):
            line = line + cols[:, j] * values[i, j]
        field = field + rows[:, i : i + 1] * line
    return field


def _weights(length: int, origin: int, full: int, cells: int, device: torch.device) -> Tensor:
    """(length, cells) linear interpolation weights between cell centres."""
    at = (torch.arange(length, device=device, dtype=torch.float32) + origin + 0.5) * (cells / full)
    at = (at - 0.5).clamp(0.0, cells - 1.0)
    centres = torch.arange(cells, device=device, dtype=torch.float32)
    return (1.0 - (at[:, None] - centres[None, :]).abs()).clamp_min(0.0)
