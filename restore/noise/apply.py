"""Take grain down by averaging along the motion, and give back the share that was asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from media.encoding import Domain
from media.passes import Effect, Needs, Window
from restore.motion import (
    blur,
    distinct_neighbours,
    find_flow,
    flow_tensor,
    luma,
    steering_image,
    warp,
)

RADIUS = 3


@dataclass(frozen=True)
class NoiseOperator:
    """Motion-compensated mean of near frames, each pixel weighted by how well it agrees.

    Where a neighbour shows something else (occlusion, lost motion) its weight falls to zero
    and the frame's own pixel stays. ``grain_kept`` of what was taken out is given back: it is
    the frame's own grain, not a synthetic one.
    """

    sigma: tuple[float, ...]
    """(C,) measured grain, film log."""
    strength: float
    """1 = trust neighbours as far as the measured grain allows."""
    grain_kept: float
    """0..1 share of the removed grain that is given back."""

    name = "noise"
    version = 1
    radius = RADIUS
    domain = Domain.LOG_DENSITY
    scale = 1
    effect = Effect.ADJUSTED
    needs = Needs(reach_px=-1)

    def key(self, frames: Sequence[int]) -> Mapping[str, object]:
        """The same for every frame."""
        del frames
        return {
            "sigma": list(self.sigma),
            "strength": self.strength,
            "grain_kept": self.grain_kept,
        }

    def __call__(self, window: Window) -> Window:
        """(T, C, H, W) to (T - 6, C, H, W)."""
        images: dict[int, np.ndarray] = {}
        out = [
            self._clean(window, center, images)
            for center in range(self.radius, len(window.frames) - self.radius)
        ]
        return window.middle(self.radius).changed(torch.stack(out), self.effect)

    def _clean(self, window: Window, center: int, images: dict[int, np.ndarray]) -> Tensor:
        own = window.pixels[center]
        around = window.frames[center - self.radius : center + self.radius + 1]
        near = [center - self.radius + k for k in distinct_neighbours(around, self.radius)]
        if not near or max(self.sigma) <= 0.0 or self.grain_kept >= 1.0:
            return own
        for k in (center, *near):
            if k not in images:
                images[k] = steering_image(luma(blur(window.pixels[k : k + 1], 1.0)[0]))
        flows = [flow_tensor(find_flow(images[center], images[k]), own) for k in near]
        fetched, inside = warp(window.pixels[near], torch.cat(flows))
        weights = self._agreement(own, fetched) * inside
        total = (weights * fetched).sum(dim=0) + own
        mean = total / (weights.sum(dim=0) + 1.0)
        return mean + self.grain_kept * (own - mean)

    def _agreement(self, own: Tensor, fetched: Tensor) -> Tensor:
        """(N, 1, H, W) weight of each neighbour at each pixel, 0..1.

        The squared difference, in units of what grain alone would give, is averaged over a
        small neighbourhood; about 1 means the same thing is seen.
        """
        sigma = torch.tensor(self.sigma, dtype=torch.float32, device=own.device).view(1, -1, 1, 1)
        ratio = ((fetched - own.unsqueeze(0)) / (sigma * self.strength + 1e-6)) ** 2 * 0.5
        misfit = blur(ratio.mean(dim=1, keepdim=True), 1.5)
        return torch.exp(-(misfit - 1.1).clamp_min(0.0) * 2.0)
