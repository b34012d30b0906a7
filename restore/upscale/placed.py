"""Enlarge and put in its place with one resample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from media.encoding import Domain
from media.passes import Effect, Needs, Window
from restore.border import Border, Matte, Rim, on_frame, settled
from restore.geometry import Placement, farthest_px, placed
from restore.upscale.kernels import Kernel, reach_px
from restore.upscale.resample import enlarged
from restore.upscale.sampling import enlarge, reduce

_NEAR_PX = 7
"""Square in which the scan's own values bound what a pixel may show."""


@dataclass(frozen=True)
class PlacedUpscale:
    """Shift, turn and enlargement by one 12-tap sinc, made consistent with the scan.

    Every pixel is fetched from the scan at its own place. Then, in a few rounds, the result is
    moved back and reduced, and what the scan holds beyond that is added (back-projection, Irani
    and Peleg 1991): the pixel aperture of the scanner is undone as far as the scan tells.
    """

    scale: int
    placements: Mapping[int, Placement]
    """Frame number to how it is moved, in px of the scan; frames not named stay."""
    border: Border = "keep"
    matte_px: Matte = (0, 0, 0, 0)
    """In px of the scan."""
    rounds: int = 3
    ringing: float = 0.02
    """Overshoot allowed beyond the local range of the scan, film log."""
    kernel: Kernel = "mixed"

    name = "weave and upscale"
    version = 3
    radius = 0
    domain = Domain.LOG_DENSITY

    @property
    def effect(self) -> Effect:
        """Mirrored borders are made up."""
        return Effect.INVENTED if self.border == "mirror" else Effect.ADJUSTED

    @property
    def needs(self) -> Needs:
        """Kernel support of every round, and the largest move there and back."""
        once = farthest_px(self.placements.values())
        return Needs(reach_px=once + self.rounds * (2 * once + reach_px(self.kernel)) + _NEAR_PX)

    def key(self, frames: Sequence[int]) -> Mapping[str, object]:
        """Places of these frames, and all else that decides a pixel."""
        places = [self.placements.get(f, Placement()) for f in frames]
        return {
            "scale": self.scale,
            "rounds": self.rounds,
            "ringing": self.ringing,
            "kernel": self.kernel,
            "places": [[p.dx_px, p.dy_px, p.turn_deg] for p in places],
            "border": self.border,
            "matte_px": list(self.matte_px) if self.border == "matte" else [],
        }

    def __call__(self, window: Window) -> Window:
        """(T, C, H, W) to (T, C, H*scale, W*scale). raises: RepairError for too large a shift."""
        frames, made_up = [], []
        for pixels, number in zip(window.pixels, window.frames, strict=True):
            placement = self.placements.get(number, Placement())
            on_frame(placement, window.size_px, number)
            large = Seat(
                window, self.scale, placement, self.border == "mirror", self.kernel
            ).enlarged(pixels, self.rounds, self.ringing)
            large, invented = self._bordered(large, pixels, window, placement)
            frames.append(large)
            made_up.append(invented)
        done = enlarged(window, torch.stack(frames), self.scale, Effect.ADJUSTED)
        for touch, invented in zip(done.touch, made_up, strict=True):
            for rows, cols, outside in invented:
                touch[0, rows, cols][outside] = int(Effect.INVENTED)
        return done

    def _bordered(
        self, large: Tensor, pixels: Tensor, window: Window, placement: Placement
    ) -> tuple[Tensor, list[Rim]]:
        """With its borders settled, and where they are made up."""
        s = self.scale
        top, bottom, left, right = (side * s for side in self.matte_px)
        return settled(
            large,
            lambda: enlarge(pixels.unsqueeze(0), s)[0],
            scaled(placement, s),
            self.border,
            (top, bottom, left, right),
            (window.origin_px[0] * s, window.origin_px[1] * s),
            (window.size_px[0] * s, window.size_px[1] * s),
        )


@dataclass(frozen=True, slots=True)
class Seat:
    """One frame's geometry: from the scan to its enlarged place, and back."""

    window: Window
    scale: int
    placement: Placement
    mirror: bool
    kernel: Kernel

    def enlarged(self, pixels: Tensor, rounds: int, ringing: float) -> Tensor:
        """(C, H, W) to (C, H*scale, W*scale)."""
        return self.bounded(self.consistent(self.there(pixels), pixels, rounds), pixels, ringing)

    def consistent(self, large: Tensor, pixels: Tensor, rounds: int) -> Tensor:
        """``large`` after rounds that put back what reducing it would have lost."""
        for _ in range(rounds):
            large = large + self.there(pixels - self.back(large))
        return large

    def bounded(self, large: Tensor, pixels: Tensor, ringing: float) -> Tensor:
        """``large`` near the values the scan has there."""
        low = -F.max_pool2d(-pixels.unsqueeze(0), _NEAR_PX, 1, _NEAR_PX // 2)[0] - ringing
        high = F.max_pool2d(pixels.unsqueeze(0), _NEAR_PX, 1, _NEAR_PX // 2)[0] + ringing
        floor, ceiling = self._roughly_there(low), self._roughly_there(high)
        return torch.minimum(torch.maximum(large, floor), ceiling)

    def there(self, pixels: Tensor) -> Tensor:
        """Fetched at the place of each pixel of the enlarged frame."""
        c, h, w = pixels.shape
        s = self.scale
        out = torch.empty((c, h, s, w, s), dtype=pixels.dtype, device=pixels.device)
        for down in range(s):
            for right in range(s):
                phase = ((down + 0.5) / s - 0.5, (right + 0.5) / s - 0.5)
                out[:, :, down, :, right] = placed(
                    pixels,
                    self.placement,
                    self.window.origin_px,
                    self.window.size_px,
                    phase,
                    mirror=self.mirror,
                )
        return out.view(c, h * s, w * s)

    def back(self, large: Tensor) -> Tensor:
        """What a scanner would have seen of the enlarged frame."""
        s = self.scale
        there = scaled(self.placement, s)
        back = Placement(-there.dx_px, -there.dy_px, -there.turn_deg)
        origin = (self.window.origin_px[0] * s, self.window.origin_px[1] * s)
        size = (self.window.size_px[0] * s, self.window.size_px[1] * s)
        moved = placed(large, back, origin, size) if back.moves else large
        return reduce(moved.unsqueeze(0), s, self.kernel)[0]

    def _roughly_there(self, bound: Tensor) -> Tensor:
        """A bound of the scan's pixels at the enlarged size, moved by whole pixels."""
        whole = Placement(round(self.placement.dx_px), round(self.placement.dy_px))
        moved = bound
        if whole.moves:
            moved = placed(bound, whole, self.window.origin_px, self.window.size_px)
        return moved.repeat_interleave(self.scale, -2).repeat_interleave(self.scale, -1)


def scaled(placement: Placement, scale: int) -> Placement:
    """The placement in pixels of the enlarged picture."""
    return Placement(placement.dx_px * scale, placement.dy_px * scale, placement.turn_deg)
