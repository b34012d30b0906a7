"""Move each frame by its own sub-pixel shift and turn, with one resample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from media.encoding import Domain
from media.errors import RepairError
from media.passes import Effect, Needs, Window
from restore.border import Border, Matte, matted, without_source
from restore.geometry import Placement, placed

_LARGEST_PX = 8192
"""Frames are taken to be no larger than this when a turn's reach is stated."""


@dataclass(frozen=True)
class WeaveOperator:
    """Moves frames by the solved, per-frame amounts, and settles what their borders show."""

    shifts_px: Mapping[int, tuple[float, float]]
    """Frame number to (dx, dy) in px, right and down; frames not named stay."""
    turns_deg: Mapping[int, float] = field(default_factory=dict)
    """Frame number to the turn about the middle of the frame, clockwise; others do not turn."""
    border: Border = "keep"
    """What pixels show whose place in the scan lies outside the scanned frame. ``keep``: what the
    scan had there. ``matte``: black, as all outside the rectangle of ``matte_px``. ``mirror``:
    the picture mirrored at the edge, which no frame shows."""
    matte_px: Matte = (0, 0, 0, 0)
    """Rows from the top and the bottom, columns from the left and the right that are black."""

    name = "weave"
    version = 2
    radius = 0
    domain = Domain.LOG_DENSITY
    scale = 1

    @property
    def effect(self) -> Effect:
        """Mirrored borders are made up."""
        return Effect.INVENTED if self.border == "mirror" else Effect.ADJUSTED

    @property
    def needs(self) -> Needs:
        """Kernel support plus the largest move."""
        size = (_LARGEST_PX, _LARGEST_PX) if any(self.turns_deg.values()) else (0, 0)
        numbers = {*self.shifts_px, *self.turns_deg}
        reach = [self.placement(n).reach_px(size) for n in numbers]
        return Needs(reach_px=max(reach, default=Placement().reach_px((0, 0))))

    def placement(self, frame: int) -> Placement:
        """How this frame is moved."""
        dx, dy = self.shifts_px.get(frame, (0.0, 0.0))
        return Placement(dx, dy, self.turns_deg.get(frame, 0.0))

    def key(self, frames: Sequence[int]) -> Mapping[str, object]:
        """Places of these frames, and the border."""
        places = [self.placement(f) for f in frames]
        return {
            "shifts_px": [[p.dx_px, p.dy_px] for p in places],
            "turns_deg": [p.turn_deg for p in places],
            "border": self.border,
            "matte_px": list(self.matte_px) if self.border == "matte" else [],
        }

    def __call__(self, window: Window) -> Window:
        """(T, C, H, W) to the same shape. raises: RepairError for a shift beyond the frame."""
        done = [self._one(window, k) for k in range(len(window.frames))]
        moved = window.changed(_together([pixels for pixels, _ in done]), Effect.ADJUSTED)
        for touch, (_, invented) in zip(moved.touch, done, strict=True):
            for rows, cols, outside in invented:
                part = touch[0, rows, cols]
                part[outside] = int(Effect.INVENTED)
        return moved

    def _one(self, window: Window, at: int) -> tuple[Tensor, list[tuple[slice, slice, Tensor]]]:
        """One frame's pixels, and where they are made up."""
        pixels, placement = window.pixels[at], self.placement(window.frames[at])
        height, width = window.size_px
        if abs(placement.dx_px) >= width or abs(placement.dy_px) >= height:
            raise RepairError("weave shift is larger than the frame", frame=window.frames[at])
        invented = []
        moved = pixels
        if placement.moves:
            mirror = self.border == "mirror"
            moved = placed(pixels, placement, window.origin_px, window.size_px, mirror=mirror)
            shape = (pixels.shape[-2], pixels.shape[-1])
            rims = without_source(placement, window.origin_px, window.size_px, shape, pixels.device)
            if mirror:
                invented = rims
            else:
                for rows, cols, outside in rims:
                    scan = pixels[:, rows, cols]
                    moved[:, rows, cols] = torch.where(outside, scan, moved[:, rows, cols])
        if self.border == "matte":
            moved = matted(moved, self.matte_px, window.origin_px, window.size_px)
        return moved, invented


def _together(frames: list[Tensor]) -> Tensor:
    """(T, C, H, W); a frame by itself is not copied."""
    return frames[0].unsqueeze(0) if len(frames) == 1 else torch.stack(frames)
