"""Take grain down along the motion, and give back the share that was asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from media.encoding import Domain
from media.passes import Effect, Needs, Window
from restore.alignment import (
    Flow,
    FlowMemory,
    Steering,
    at_full_size,
    brought_onto,
    brought_onto_on_device,
    chained_flows,
    interleaved,
)
from restore.grain_curve import GrainCurve
from restore.motion import distinct_neighbours
from restore.noise.guide import Guide
from restore.noise.transform import USUAL, Effort, Filter, GrainModel


@dataclass(frozen=True, eq=False)
class NoiseOperator:
    """Near frames brought onto each frame, and what they say about its grain taken out.

    Where a neighbour shows something else (occlusion, lost motion) the frame's own picture
    stands. ``grain_kept`` of what was taken out is given back: it is the frame's own grain.
    """

    curve: GrainCurve
    """Measured grain by level and channel, film log."""
    model: GrainModel
    """How it is spread over frequencies and channels."""
    strength: float
    """Times the measured grain."""
    grain_kept: float
    """0..1 share of the removed grain that is given back."""
    effort: Effort = USUAL
    guide: Guide | None = None
    """The network that stands in for the filter's first pass."""

    name = "noise"
    version = 4
    domain = Domain.LOG_DENSITY
    scale = 1
    effect = Effect.ADJUSTED
    needs = Needs(reach_px=-1)

    @cached_property
    def memory(self) -> FlowMemory:
        """Flow that neighbouring frames share; changes no result."""
        return FlowMemory(self.effort.flow)

    @property
    def radius(self) -> int:
        """As the effort says."""
        return self.effort.radius

    def key(self, frames: Sequence[int]) -> Mapping[str, object]:
        """The same for every frame."""
        del frames
        return {
            "curve": self.curve.as_json(),
            "model": self.model.as_json(),
            "effort": self.effort.as_json(),
            "guide": None if self.guide is None else self.guide.as_json(),
            "strength": self.strength,
            "grain_kept": self.grain_kept,
        }

    def __call__(self, window: Window) -> Window:
        """(T, C, H, W) to (T - 2 radius, C, H, W)."""
        if self.curve.strongest * self.strength <= 0.0 or self.grain_kept >= 1.0:
            return window.middle(self.radius)
        pictures = [interleaved(p) for p in window.pixels]
        steering: dict[int, Steering] = {}
        found = [
            self._clean(window, center, pictures, steering)
            for center in range(self.radius, len(window.frames) - self.radius)
        ]
        return window.middle(self.radius).changed(torch.stack(found), self.effect)

    def _clean(
        self,
        window: Window,
        center: int,
        pictures: Sequence[NDArray[np.float32]],
        steering: dict[int, Steering],
    ) -> Tensor:
        own = window.pixels[center]
        first = center - self.radius
        around = window.frames[first : center + self.radius + 1]
        near = [first + k for k in distinct_neighbours(around, self.radius)]
        # The nearest first, in the order a guide knows them by.
        near.sort(key=lambda k: (abs(k - center), k))
        bound = Filter(self.curve.scaled(self.strength), self.model, self.effort, self.guide)
        seen = () if self.guide is None else _seen(len(near), self.guide.shape.frames)
        flows = self._flows(steering, pictures, center, near) if self.effort.merged else []
        if own.device.type == "cpu":
            others = [pictures[k] for k in near]
            if self.effort.merged:
                others = brought_onto(pictures[center], others, flows)
            clean = bound.on_cpu(own, [pictures[center], *others], seen)
        else:
            beside = [window.pixels[k] for k in near]
            if self.effort.merged:
                beside = brought_onto_on_device(own, beside, flows)
            clean = bound.on_device(torch.stack([own, *beside]), seen)
        return clean if self.grain_kept == 0.0 else clean + self.grain_kept * (own - clean)

    def _flows(
        self,
        steering: dict[int, Steering],
        pictures: Sequence[NDArray[np.float32]],
        center: int,
        near: Sequence[int],
    ) -> list[Flow]:
        halved = self.effort.flow == "halved"
        for k in (center, *near):
            if k not in steering:
                steering[k] = Steering(pictures[k], halved=halved)
        found = chained_flows(steering, center, near, self.memory)
        size = pictures[center].shape[:2]
        return [at_full_size(found[k], size) if halved else found[k] for k in near]


def _seen(near: int, wanted: int) -> list[int]:
    """Places of the frames a guide sees among the frame and its neighbours, nearest first.

    It was taught with the frame itself in place of neighbours that are not there.
    """
    return [k if k <= near else 0 for k in range(wanted)]
