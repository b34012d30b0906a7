"""Give each frame the exposure it was meant to have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from media.encoding import STOP, Domain
from media.passes import Effect, Needs, Window
from restore.flicker.field import REACH_STOPS, node_weights

Grid = Sequence[Sequence[float]]

_ENDS = 0.02
"""Film log over which the correction fades in from either end of the scale: what is clipped
there holds no picture, and lifting it would lift noise."""
_STRIP_ROWS = 64
"""On a CPU a few rows at a time stay in its cache through all of the steps."""


@dataclass(frozen=True)
class FrameFlicker:
    """What is added to one frame, in stops. Sequences are per channel."""

    exposure_stops: tuple[float, ...]
    contrast: tuple[float, ...] = ()
    """Stops for each stop above the pivot; empty: none."""
    bend: tuple[float, ...] = ()
    """Stops times (square of the stops above the pivot, less one); empty: none."""
    grid_stops: Grid = ()
    """(rows, cols) at nodes from border to border; empty: none."""
    channel_grid_stops: Sequence[Grid] = ()
    """(C, rows, cols) beyond that; empty: none."""

    def key(self) -> list[object]:
        """JSON values."""
        grids = [self.grid_stops, *self.channel_grid_stops]
        return [
            list(self.exposure_stops),
            list(self.contrast),
            list(self.bend),
            [[list(row) for row in grid] for grid in grids],
        ]


@dataclass(frozen=True)
class FlickerOperator:
    """Adds the solved correction in film log: whole frame, by tone and by place."""

    frames: Mapping[int, FrameFlicker]
    """By frame number; frames not named stay."""
    pivot: float = 0.0
    """Film log about which contrast turns."""

    name = "flicker"
    version = 2
    radius = 0
    domain = Domain.LOG_DENSITY
    scale = 1
    effect = Effect.ADJUSTED
    needs = Needs(reach_px=0)

    def key(self, frames: Sequence[int]) -> Mapping[str, object]:
        """Corrections of these frames."""
        found = [self.frames.get(f) for f in frames]
        return {"pivot": self.pivot, "frames": [f and f.key() for f in found]}

    def __call__(self, window: Window) -> Window:
        """(T, C, H, W) to the same shape."""
        out = []
        for frame, pixels in zip(window.frames, window.pixels, strict=True):
            given = self.frames.get(frame)
            out.append(pixels if given is None else self._corrected(given, pixels, window))
        return window.changed(torch.stack(out), self.effect)

    def _corrected(self, given: FrameFlicker, pixels: Tensor, window: Window) -> Tensor:
        out = torch.empty_like(pixels)
        grids = [g for g in (given.grid_stops, *given.channel_grid_stops) if _any(g)]
        own = any(_any(g) for g in given.channel_grid_stops)
        step = _STRIP_ROWS if pixels.device.type == "cpu" else pixels.shape[-2]
        for top in range(0, pixels.shape[-2], step):
            part = pixels[:, top : top + step]
            stops = _channels(given.exposure_stops, part)
            if any(given.contrast) or any(given.bend):
                above = ((part - self.pivot) * (1.0 / STOP)).clamp_(-REACH_STOPS, REACH_STOPS)
                slope = _channels(given.contrast or (0.0,), part)
                bend = _channels(given.bend or (0.0,), part)
                # Nothing in place but on what was made here.
                stops = (above * bend).add_(slope).mul_(above).add_(stops - bend)
            if grids:
                stops = stops + spread(given.grid_stops, window, top, part.shape[-2])
            if own:
                surfaces = [
                    spread(g, window, top, part.shape[-2]) for g in given.channel_grid_stops
                ]
                stops = stops + torch.stack(surfaces)
            inside = torch.minimum(part, 1.0 - part).mul_(1.0 / _ENDS).clamp_(0.0, 1.0)
            torch.add(part, inside.mul_(stops).mul_(STOP), out=out[:, top : top + step])
        return out


def _any(grid: Grid) -> bool:
    return any(any(row) for row in grid)


def _channels(values: Sequence[float], like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=torch.float32, device=like.device).view(-1, 1, 1)


def spread(grid: Grid, window: Window, top: int = 0, rows: int | None = None) -> Tensor:
    """Values at nodes from border to border to rows ``top`` on of this window, by cubic splines.

    returns: (rows, W) stops; rows None: all of them. Each pixel depends on its own place in the
    whole frame only, so tiles agree with the whole.
    """
    h, w = window.pixels.shape[-2:]
    device = window.pixels.device
    rows = h if rows is None else rows
    if not _any(grid):
        return torch.zeros((rows, w), dtype=torch.float32, device=device)
    down = _weights(rows, window.origin_px[0] + top, window.size_px[0], len(grid))
    across = _weights(w, window.origin_px[1], window.size_px[1], len(grid[0]))
    # Sums of products, element by element: the order of operations is the same for every tile,
    # which a matrix product would not promise.
    lines = np.zeros((len(grid), w), np.float32)
    for k, column in enumerate(np.array(grid, np.float32).T):
        lines += column[:, None] * across[:, k]
    at, along = torch.from_numpy(down).to(device), torch.from_numpy(lines).to(device)
    out = at[:, :1] * along[0]
    product = torch.empty_like(out)
    for k in range(1, len(grid)):
        out += torch.mul(at[:, k : k + 1], along[k], out=product)
    return out


@lru_cache(maxsize=256)
def _weights(length: int, origin: int, full: int, nodes: int) -> NDArray[np.float32]:
    """(length, nodes) shares of the nodes at pixels from ``origin`` on, of ``full``."""
    at = (np.arange(origin, origin + length) + 0.5) / full
    return node_weights(at, nodes).astype(np.float32)
