"""Make a missing frame, or a torn part, from the pictures on both sides. All of it is invented."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from media.encoding import Domain
from media.passes import Effect, Needs, Window
from restore.motion import blur
from restore.rebuild.between import between

Part = tuple[int, int, int, int]
"""Top, left, bottom and right px of a rectangle, half-open."""
_LEVEL_PX = 24.0
"""How far around a part the level of the frame is carried into it."""


@dataclass(frozen=True)
class RebuildOperator:
    """Puts a picture in the middle of two others, along the motion between them."""

    shares: Mapping[int, float]
    """Frame number to how far it lies from the picture before (0) to the one after (1)."""
    parts: Mapping[int, tuple[Part, ...]] = field(default_factory=dict)
    """Frame number to rectangles that alone are made; a frame without is made whole."""

    name = "rebuild"
    version = 2
    radius = 1
    domain = Domain.LOG_DENSITY
    scale = 1
    effect = Effect.INVENTED
    needs = Needs(reach_px=-1)

    def key(self, frames: Sequence[int]) -> Mapping[str, object]:
        """Places of the frames among these that are made, by position, and their parts."""
        parts = [[k, [list(p) for p in self.parts[f]]] for k, f in enumerate(frames)
                 if f in self.parts]  # fmt: skip
        made = [[k, self.shares[f]] for k, f in enumerate(frames) if f in self.shares]
        return {"made": made, **({"parts": parts} if parts else {})}

    def __call__(self, window: Window) -> Window:
        """(T, C, H, W) to (T - 2, C, H, W); frames that are not to be made stay as they are."""
        inner = window.middle(self.radius)
        pixels, touch = inner.pixels, inner.touch
        for k, number in enumerate(inner.frames):
            share = self.shares.get(number)
            if share is None:
                continue
            made = between(window.pixels[k], window.pixels[k + 2], share)
            where = self._where(number, touch[k])
            if number in self.parts:
                made = torch.where(where, _levelled(made, pixels[k], where), pixels[k])
            pixels = torch.cat([pixels[:k], made.unsqueeze(0), pixels[k + 1 :]])
            mark = torch.where(where, int(self.effect), touch[k]).to(touch.dtype).unsqueeze(0)
            touch = torch.cat([touch[:k], mark, touch[k + 1 :]])
        return replace(inner, pixels=pixels, touch=touch)

    def _where(self, number: int, like: Tensor) -> Tensor:
        """(1, H, W) bool: what of the frame is made."""
        if number not in self.parts:
            return torch.ones_like(like, dtype=torch.bool)
        where = torch.zeros_like(like, dtype=torch.bool)
        for top, left, bottom, right in self.parts[number]:
            where[..., top:bottom, left:right] = True
        return where


def _levelled(made: Tensor, own: Tensor, where: Tensor) -> Tensor:
    """``made`` (C, H, W) brought to the level that ``own`` has around the part ``where``."""
    sound = (~where).float().unsqueeze(0)
    weight = blur(sound, _LEVEL_PX)
    apart = blur(((own - made).unsqueeze(0) * sound), _LEVEL_PX)
    return made + (apart / weight.clamp_min(1e-3))[0]
