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
    FlowMemory,
    Steering,
    brought_onto,
    brought_onto_on_device,
    chained_flows,
    interleaved,
)
from restore.grain_curve import GrainCurve
from restore.motion import distinct_neighbours
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

    name = "noise"
    version = 3
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
        for k in (center, *near):
            if k not in steering:
                steering[k] = Steering(pictures[k])
        found = chained_flows(steering, center, near, self.memory)
        flows = [found[k] for k in near]
        bound = Filter(self.curve.scaled(self.strength), self.model, self.effort)
        if own.device.type == "cpu":
            others = brought_onto(pictures[center], [pictures[k] for k in near], flows)
            clean = bound.on_cpu(own, [pictures[center], *others])
        else:
            fetched = brought_onto_on_device(own, [window.pixels[k] for k in near], flows)
            clean = bound.on_device(torch.stack([own, *fetched]))
        return clean if self.grain_kept == 0.0 else clean + self.grain_kept * (own - clean)
