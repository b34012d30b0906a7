"""Give each frame the exposure it was meant to have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from media.encoding import STOP, Domain
from media.passes import Effect, Needs, Window
from restore.flicker.field import REACH_STOPS, node_weights

Grid = Sequence[Sequence[float]]
F32 = NDArray[np.float32]

_ENDS = 0.02
"""Film log over which the correction fades in from either end of the scale: what is clipped
there holds no picture, and lifting it would lift noise."""


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
        if window.pixels.device.type == "cpu":
            return self._compiled(window)
        out = []
        for frame, pixels in zip(window.frames, window.pixels, strict=True):
            given = self.frames.get(frame)
            out.append(pixels if given is None else self._corrected(given, pixels, window))
        return window.changed(torch.stack(out), self.effect)

    def _compiled(self, window: Window) -> Window:
        from restore.flicker import compiled  # compiled on first use, not at import

        pixels = window.pixels.contiguous().numpy()
        out, touch = np.empty_like(pixels), window.touch.numpy().copy()
        scales = (self.pivot, 1.0 / STOP, REACH_STOPS, STOP, 1.0 / _ENDS)
        for k, frame in enumerate(window.frames):
            given = self.frames.get(frame)
            if given is None:
                out[k] = pixels[k]
                continue
            curves = [given.exposure_stops, given.contrast, given.bend]
            compiled.corrected(
                pixels[k],
                np.stack([_filled(curve, pixels.shape[1]) for curve in curves], axis=1),
                np.array(scales, np.float32),
                *_surfaces(given, window),
                int(self.effect),
                out[k],
                touch[k, 0],
            )
        return replace(window, pixels=torch.from_numpy(out), touch=torch.from_numpy(touch))

    def _corrected(self, given: FrameFlicker, part: Tensor, window: Window) -> Tensor:
        """The same on other devices."""
        stops = _channels(given.exposure_stops, part)
        if any(given.contrast) or any(given.bend):
            above = ((part - self.pivot) * (1.0 / STOP)).clamp_(-REACH_STOPS, REACH_STOPS)
            slope = _channels(given.contrast or (0.0,), part)
            bend = _channels(given.bend or (0.0,), part)
            # Nothing in place but on what was made here.
            stops = (above * bend).add_(slope).mul_(above).add_(stops - bend)
        down, lines = (torch.from_numpy(a).to(part.device) for a in _surfaces(given, window))
        surfaces = [_spread(down, line) for line in lines]
        if surfaces:
            stops = stops + surfaces[0]
        if len(surfaces) > 1:
            stops = stops + torch.stack(surfaces[1:])
        inside = torch.minimum(part, 1.0 - part).mul_(1.0 / _ENDS).clamp_(0.0, 1.0)
        return part + inside.mul_(stops).mul_(STOP)


def _any(grid: Grid) -> bool:
    return any(any(row) for row in grid)


def _channels(values: Sequence[float], like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=torch.float32, device=like.device).view(-1, 1, 1)


def _filled(values: Sequence[float], channels: int) -> F32:
    """(C,) one value a channel; none means zero, one is that of all."""
    return np.broadcast_to(np.array(values or (0.0,), np.float32), (channels,))


def _surfaces(given: FrameFlicker, window: Window) -> tuple[F32, F32]:
    """What is added by place, as shares of the rows of nodes and stops along them.

    returns: (H, rows), and (G, rows, W): all channels first, then each; G = 0, 1 or C + 1. Values
    at nodes from border to border, by cubic splines; each pixel depends on its own place in the
    whole frame only, so tiles agree with the whole.
    """
    h, w = window.pixels.shape[-2:]
    own = any(_any(g) for g in given.channel_grid_stops)
    grids = [given.grid_stops, *given.channel_grid_stops] if own else [given.grid_stops]
    sizes = [(len(g), len(g[0])) for g in grids if _any(g)]
    if not sizes:
        return np.zeros((h, 0), np.float32), np.zeros((0, 0, w), np.float32)
    rows, columns = sizes[0]
    down = _weights(h, window.origin_px[0], window.size_px[0], rows)
    across = _weights(w, window.origin_px[1], window.size_px[1], columns)
    # Sums of products, element by element: the order of operations is the same for every tile,
    # which a matrix product would not promise.
    lines = np.zeros((len(grids), rows, w), np.float32)
    for line, grid in zip(lines, grids, strict=True):
        if _any(grid):
            for k, column in enumerate(np.array(grid, np.float32).T):
                line += column[:, None] * across[:, k]
    return down, lines


def _spread(down: Tensor, line: Tensor) -> Tensor:
    """(H, W) stops of one surface."""
    out = down[:, :1] * line[0]
    for k in range(1, len(line)):
        out += down[:, k : k + 1] * line[k]
    return out


@lru_cache(maxsize=256)
def _weights(length: int, origin: int, full: int, nodes: int) -> NDArray[np.float32]:
    """(length, nodes) shares of the nodes at pixels from ``origin`` on, of ``full``."""
    at = (np.arange(origin, origin + length) + 0.5) / full
    return node_weights(at, nodes).astype(np.float32)
