"""Grain given back to pictures it was taken out of, made from its own measure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from media.encoding import Domain
from media.passes import Effect, Needs, Window
from restore.grain.synth import GrainField, GrainLook, strength


def lost_by_blending(share: float) -> float:
    """Amount of grain that a mean of two frames lacks. share: of the second, 0..1."""
    return math.sqrt(max(1.0 - share**2 - (1.0 - share) ** 2, 0.0))


@dataclass(frozen=True, eq=False)
class GrainOperator:
    """Lays ``amount`` of the measured grain on every pixel, seeded by place and frame."""

    look: GrainLook
    amount: float
    """0..1 of the measured strength."""
    seed: int
    size: float = 1
    """How many times larger than the scan the picture is."""
    only: Mapping[int, float] | None = None
    """Frame number to amount, where not every frame gets ``amount``."""

    name = "grain"
    version = 1
    radius = 0
    domain = Domain.LOG_DENSITY
    scale = 1
    effect = Effect.INVENTED
    needs = Needs(reach_px=0)

    @cached_property
    def field(self) -> GrainField:
        """The grain at unit strength."""
        return GrainField(self.look, self.size, self.seed)

    def key(self, frames: Sequence[int]) -> Mapping[str, object]:
        """The look; and the frames, because each has grain of its own."""
        return {
            "look": self.look.as_json(),
            "seed": self.seed,
            "size": int(self.size) if self.size == int(self.size) else self.size,
            "frames": [[f, self._amount(f)] for f in frames],
        }

    def __call__(self, window: Window) -> Window:
        """(T, C, H, W) to the same."""
        if not any(self._amount(f) for f in window.frames):
            return window
        found = [
            self._grained(pixels, number, window.origin_px)
            for pixels, number in zip(window.pixels, window.frames, strict=True)
        ]
        return window.changed(torch.stack(found), self.effect)

    def _amount(self, frame: int) -> float:
        return self.amount if self.only is None else self.only.get(frame, 0.0)

    def _grained(self, pixels: Tensor, frame: int, origin_px: tuple[int, int]) -> Tensor:
        amount = self._amount(frame)
        if amount <= 0.0:
            return pixels
        shape = (pixels.shape[-2], pixels.shape[-1])
        grain = torch.from_numpy(self.field.grain(frame, *origin_px, shape)).to(pixels.device)
        return pixels + amount * strength(self.look.curve, pixels) * grain
