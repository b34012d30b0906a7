"""Make a missing frame from the pictures before and after it. Everything made is invented."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from media.encoding import Domain
from media.passes import Effect, Needs, Window
from restore.motion import blur, find_flow, flow_tensor, luma, steering_image, warp


@dataclass(frozen=True)
class RebuildOperator:
    """Puts a picture in the middle of two others, along the motion between them."""

    shares: Mapping[int, float]
    """Frame number to how far it lies from the picture before (0) to the one after (1)."""

    name = "rebuild"
    version = 1
    radius = 1
    domain = Domain.LOG_DENSITY
    scale = 1
    effect = Effect.INVENTED
    needs = Needs(reach_px=-1)

    def key(self, frames: Sequence[int]) -> Mapping[str, object]:
        """Places of the frames among these that are made, by position."""
        return {"made": [[k, self.shares[f]] for k, f in enumerate(frames) if f in self.shares]}

    def __call__(self, window: Window) -> Window:
        """(T, C, H, W) to (T - 2, C, H, W); frames that are not to be made stay as they are."""
        inner = window.middle(self.radius)
        pixels, touch = inner.pixels, inner.touch
        for k, number in enumerate(inner.frames):
            share = self.shares.get(number)
            if share is None:
                continue
            made = between(window.pixels[k], window.pixels[k + 2], share)
            pixels = torch.cat([pixels[:k], made.unsqueeze(0), pixels[k + 1 :]])
            mark = torch.full_like(touch[k : k + 1], int(self.effect))
            touch = torch.cat([touch[:k], mark, touch[k + 1 :]])
        return replace(inner, pixels=pixels, touch=touch)


def between(before: Tensor, after: Tensor, share: float) -> Tensor:
    """The picture ``share`` of the way from ``before`` to ``after``; all (C, H, W) film log.

    Both are fetched along the mean of the motion found forwards and backwards. Where they show
    different things (something was covered or came into view) the nearer one in time decides,
    so that nothing shows twice at half strength.
    """
    images = [steering_image(luma(p)) for p in (before, after)]
    forward = find_flow(images[0], images[1], fine=True)
    backward = find_flow(images[1], images[0], fine=True)
    motion = flow_tensor(0.5 * (forward - backward), before)
    early, _ = warp(before.unsqueeze(0), -share * motion)
    late, _ = warp(after.unsqueeze(0), (1.0 - share) * motion)
    apart = blur((late - early).abs().mean(dim=1, keepdim=True), 1.5)
    # Film log: a tenth of a stop is grain or flicker, half a stop is another thing.
    doubt = ((apart - 0.02) / 0.04).clamp(0.0, 1.0)
    nearer = 0.0 if share < 0.5 else 1.0
    weight = (1.0 - doubt) * share + doubt * nearer
    return ((1.0 - weight) * early + weight * late)[0]
