"""Grain given back to pictures it was taken out of, made from its own measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from media.encoding import Domain
from media.passes import Effect, Needs, Window
from restore.grain.synth import GrainField, GrainLook, strength


@dataclass(frozen=True, eq=False)
class GrainOperator:
    """Lays ``amount`` of the measured grain on every pixel, seeded by place and frame."""

    look: GrainLook
    amount: float
    """0..1 of the measured strength."""
    seed: int
    size: int = 1
    """How many times larger than the scan the picture is."""

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
            "amount": self.amount,
            "seed": self.seed,
            "size": self.size,
            "frames": list(frames),
        }

    def __call__(self, window: Window) -> Window:
        """(T, C, H, W) to the same."""
        if self.amount <= 0.0:
            return window
        found = [
            self._grained(pixels, number, window.origin_px)
            for pixels, number in zip(window.pixels, window.frames, strict=True)
        ]
        return window.changed(torch.stack(found), self.effect)

    def _grained(self, pixels: Tensor, frame: int, origin_px: tuple[int, int]) -> Tensor:
        shape = (pixels.shape[-2], pixels.shape[-1])
        grain = torch.from_numpy(self.field.grain(frame, *origin_px, shape)).to(pixels.device)
        return pixels + self.amount * strength(self.look.curve, pixels) * grain
