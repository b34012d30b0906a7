"""Take dirt away by borrowing the same place from a neighbouring frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from media.encoding import Domain
from media.passes import Effect, Needs, Window
from restore.dirt.detect import DirtOptions, Suspects, suspects
from restore.motion import (
    blur,
    distinct_neighbours,
    find_flow,
    flow_tensor,
    luma,
    steering_image,
    warp,
)


@dataclass(frozen=True)
class DirtOperator:
    """Replaces dirt with the matching pixels of one neighbouring frame; nothing else changes."""

    sigma: float
    """Grain of the luma, film log."""
    options: DirtOptions
    protected: frozenset[int] = frozenset()
    """Frame numbers left alone."""

    name = "dirt"
    version = 1
    radius = 2
    domain = Domain.LOG_DENSITY
    scale = 1
    effect = Effect.BORROWED
    needs = Needs(reach_px=-1)

    def key(self, frames: Sequence[int]) -> Mapping[str, object]:
        """Thresholds, and which of these frames are protected."""
        inner = frames[self.radius : len(frames) - self.radius]
        return {
            "sigma": self.sigma,
            "options": dict(self.options.as_key()),
            "protected": [f for f in inner if f in self.protected],
        }

    def __call__(self, window: Window) -> Window:
        """(T, C, H, W) to (T - 4, C, H, W)."""
        out, marks = [], []
        images: dict[int, np.ndarray] = {}
        for center in range(self.radius, len(window.frames) - self.radius):
            pixels, mark = self._repair(window, center, images)
            out.append(pixels)
            marks.append(mark)
        return replace(
            window.middle(self.radius), pixels=torch.stack(out), touch=torch.stack(marks)
        )

    def _repair(
        self, window: Window, center: int, images: dict[int, np.ndarray]
    ) -> tuple[Tensor, Tensor]:
        own, touch = window.pixels[center], window.touch[center]
        around = window.frames[center - self.radius : center + self.radius + 1]
        near = [center - self.radius + k for k in distinct_neighbours(around, self.radius)][:4]
        # One neighbour is no evidence: what differs from it may as well be dirt over there.
        if len(near) < 2 or window.frames[center] in self.protected:
            return own, touch
        for k in (center, *near):
            if k not in images:
                images[k] = steering_image(luma(window.pixels[k]))
        flows = [flow_tensor(find_flow(images[center], images[k]), own) for k in near]
        fetched, _ = warp(window.pixels[near], torch.cat(flows))
        found = suspects(own, fetched, [window.pixels[k] for k in near], self.sigma, self.options)
        if not found.mask.any():
            return own, touch
        mask = torch.from_numpy(found.mask).to(own.device)
        repaired = torch.where(mask, borrow(own, fetched, mask), own)
        return repaired, torch.where(mask, touch.clamp_min(int(self.effect)), touch)


def borrow(own: Tensor, fetched: Tensor, mask: Tensor) -> Tensor:
    """The picture under the mask, from the neighbour that agrees best around each place.

    own: (C, H, W); fetched: (N, C, H, W) motion compensated; mask: (H, W) bool.
    Taking one frame rather than a mean keeps its grain. A slow difference in level between
    the frames is carried in from around the mask (membrane fill by normalised blur).
    """
    sound = (~mask).float()[None, None]
    weight = blur(sound, 6.0) + 1e-4
    difference = (own.unsqueeze(0) - fetched) * sound
    level = blur(difference, 6.0) / weight
    misfit = blur(((difference - level * sound) ** 2).mean(dim=1, keepdim=True), 6.0) / weight
    best = misfit.argmin(dim=0, keepdim=True)
    corrected = fetched + level
    return corrected.gather(0, best.expand(1, *corrected.shape[1:]))[0]


def count_suspects(window: Window, operator: DirtOperator) -> list[Suspects]:
    """Detection only, for reports and tests: one entry per middle frame."""
    found = []
    for center in range(operator.radius, len(window.frames) - operator.radius):
        around = window.frames[center - operator.radius : center + operator.radius + 1]
        near = [center - operator.radius + k for k in distinct_neighbours(around, operator.radius)][
            :4
        ]
        if len(near) < 2:
            continue
        own = window.pixels[center]
        image = steering_image(luma(own))
        flows = [
            flow_tensor(find_flow(image, steering_image(luma(window.pixels[k]))), own) for k in near
        ]
        fetched, _ = warp(window.pixels[near], torch.cat(flows))
        found.append(
            suspects(
                own, fetched, [window.pixels[k] for k in near], operator.sigma, operator.options
            )
        )
    return found
