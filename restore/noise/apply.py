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
    HALVED,
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
    version = 5
    domain = Domain.LOG_DENSITY
    scale = 1
    effect = Effect.ADJUSTED

    @cached_property
    def memory(self) -> FlowMemory:
        """Flow that neighbouring frames share; changes no result."""
        quality = "quick" if self.effort.flow == "none" else self.effort.flow
        return FlowMemory(quality, beside=4 * self.effort.alike)

    @property
    def radius(self) -> int:
        """As the effort says."""
        return self.effort.radius + self.effort.alike

    @property
    def needs(self) -> Needs:
        """Where neighbours are filtered too, what is made of them and the motion between more of
        them are kept."""
        return Needs(reach_px=-1, kept_beside=7 if self.effort.alike else 0)

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
        bound = Filter(self.curve.scaled(self.strength), self.model, self.effort, self.guide)
        seen = _Seen(window, bound)
        found = []
        for center in range(self.radius, len(window.frames) - self.radius):
            alike = self.effort.alike > 0
            clean = (self._looked_at_again if alike else self._clean)(window, center, seen)
            own = window.pixels[center]
            kept = self.grain_kept
            found.append(clean if kept == 0.0 else clean + kept * (own - clean))
            if not window.memos:
                seen.forget(center + 1 - self.radius)
        return window.middle(self.radius).changed(torch.stack(found), self.effect)

    def _clean(self, window: Window, center: int, seen: _Seen) -> Tensor:
        """(C, H, W) film log, all grain taken out by the block filter."""
        own, radius = window.pixels[center], self.effort.radius
        first = center - radius
        around = window.frames[first : center + radius + 1]
        near = [first + k for k in distinct_neighbours(around, radius)]
        # The nearest first, in the order a guide knows them by.
        near.sort(key=lambda k: (abs(k - center), k))
        shown = () if self.guide is None else _shown(len(near), self.guide.shape.frames)
        if own.device.type == "cpu":
            others = [seen.units(k) for k in near]
            if self.effort.flow != "none":
                flows = self._flows(seen, center, near)
                others = brought_onto(seen.units(center), others, flows)
            return seen.bound.on_cpu(own, [seen.units(center), *others], shown)
        beside = [seen.on_device(k) for k in near]
        if self.effort.flow != "none":
            flows = self._flows(seen, center, near)
            beside = brought_onto_on_device(seen.on_device(center), beside, flows)
        return seen.bound.on_device(own, torch.stack([seen.on_device(center), *beside]), shown)

    def _looked_at_again(self, window: Window, center: int, seen: _Seen) -> Tensor:
        """(C, H, W) film log, by patches that are alike on the frame and those around it."""
        near = _as_they_follow(window.frames, center, self.effort.alike)
        radius, shown = self.effort.radius, list[_Filtered]()
        for k in (center, *near):
            # What a frame was filtered with is part of its name: beside a frame that only repeats
            # another it is not what it is elsewhere.
            around = window.frames[k - radius : k + radius + 1]
            found = seen.filtered(k, around)
            if found is None:
                found = seen.keep_filtered(k, around, self._clean(window, k, seen))
            shown.append(found)
        flows = self._flows(seen, center, near)
        return seen.bound.again(
            window.pixels[center],
            shown[0].clean,
            [s.noisy for s in shown],
            [s.basic for s in shown],
            flows,
        )

    def _flows(self, seen: _Seen, center: int, near: Sequence[int]) -> list[Flow]:
        steering = {k: seen.steering(k) for k in (center, *near)}
        found = chained_flows(steering, center, near, self.memory)
        size = seen.window.pixels.shape[-2:]
        halved = self.effort.flow in HALVED
        return [at_full_size(found[k], (size[0], size[1])) if halved else found[k] for k in near]


@dataclass(frozen=True, slots=True)
class _Filtered:
    """A frame after the block filter."""

    clean: Tensor
    """(C, H, W) film log."""
    noisy: Tensor
    """(C, H, W) planes of white unit grain before the filter ..."""
    basic: Tensor
    """... and after it."""


class _Seen:
    """The frames of a window as flow and filter see them, each made once."""

    def __init__(self, window: Window, bound: Filter) -> None:
        self.window, self.bound = window, bound
        self._memos = window.memos or tuple({} for _ in window.frames)

    def units(self, place: int) -> NDArray[np.float32]:
        """(H, W, C) planes of unit grain."""
        memo = self._memos[place]
        if "units" not in memo:
            memo["units"] = self.bound.in_units(interleaved(self.window.pixels[place]))
        found: NDArray[np.float32] = memo["units"]
        return found

    def on_device(self, place: int) -> Tensor:
        """(C, H, W) planes of unit grain, where the window is."""
        memo = self._memos[place]
        if "on device" not in memo:
            own = self.window.pixels[place : place + 1]
            memo["on device"] = self.bound.in_units_on_device(own)[0]
        found: Tensor = memo["on device"]
        return found

    def steering(self, place: int) -> Steering:
        """What flow looks at."""
        memo = self._memos[place]
        if "steering" not in memo:
            own = self.window.pixels[place]
            # Found on the CPU, whatever device the window is on.
            beside = own.device.type != "cpu"
            units = self.bound.in_units(interleaved(own)) if beside else self.units(place)
            memo["steering"] = self.bound.steering(units)
        found: Steering = memo["steering"]
        return found

    def filtered(self, place: int, around: tuple[int, ...]) -> _Filtered | None:
        """What the filter made of a frame among those; None before it was kept."""
        found: _Filtered | None = self._memos[place].get("filtered", {}).get(around)
        return found

    def keep_filtered(self, place: int, around: tuple[int, ...], clean: Tensor) -> _Filtered:
        """For the windows the frame is seen in."""
        if clean.device.type == "cpu":
            units = torch.from_numpy(self.units(place)).permute(2, 0, 1)
        else:
            units = self.on_device(place)
        made = _Filtered(clean, self.bound.white(units), self.bound.white(self.bound.units(clean)))
        self._memos[place].setdefault("filtered", {})[around] = made
        return made

    def forget(self, before: int) -> None:
        """Frames of a long window that no later one needs."""
        for memo in self._memos[:before]:
            memo.clear()


def _as_they_follow(frames: Sequence[int], center: int, reach: int) -> list[int]:
    """Places of the frames up to ``reach`` before and after one, nearest first, as far as the shot
    goes: where a window runs backwards it ends."""
    found = []
    for side in (-1, 1):
        for k in range(1, reach + 1):
            at = center + side * k
            if (frames[at] - frames[at - side]) * side <= 0:
                break
            found.append(at)
    return sorted(found, key=lambda k: (abs(k - center), k))


def _shown(near: int, wanted: int) -> list[int]:
    """Places of the frames a guide sees among the frame and its neighbours, nearest first.

    It was taught with the frame itself in place of neighbours that are not there.
    """
    return [k if k <= near else 0 for k in range(wanted)]
