"""Move each frame by its own sub-pixel shift and turn, with one resample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from media.encoding import Domain
from media.passes import Effect, Needs, Window
from restore.border import Border, Matte, Rim, on_frame, settled
from restore.geometry import Placement, farthest_px, placed

_MARKED = 0.25


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
    version = 3
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
        numbers = {*self.shifts_px, *self.turns_deg}
        return Needs(reach_px=farthest_px(self.placement(n) for n in numbers))

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
        if window.marks is not None:
            moved = replace(moved, marks=self._marks(window, window.marks))
        for touch, (_, invented) in zip(moved.touch, done, strict=True):
            for rows, cols, outside in invented:
                part = touch[0, rows, cols]
                part[outside] = int(Effect.INVENTED)
        return moved

    def _marks(self, window: Window, marks: Tensor) -> Tensor:
        """(T, 1, H, W) marks, moved with the picture: a pixel bears a mark where a quarter of it
        comes from pixels that do."""
        out = marks.clone()
        for k, number in enumerate(window.frames):
            placement = self.placement(number)
            if placement.moves and bool(marks[k].any()):
                bits = torch.cat([(marks[k] & b) > 0 for b in (1, 2)]).to(torch.float32)
                there = placed(bits, placement, window.origin_px, window.size_px) > _MARKED
                out[k, 0] = (there[0].to(torch.uint8) * 1) | (there[1].to(torch.uint8) * 2)
        return out

    def _one(self, window: Window, at: int) -> tuple[Tensor, list[Rim]]:
        """One frame's pixels, and where they are made up."""
        pixels, placement = window.pixels[at], self.placement(window.frames[at])
        on_frame(placement, window.size_px, window.frames[at])
        moved = pixels
        if placement.moves:
            mirror = self.border == "mirror"
            moved = placed(pixels, placement, window.origin_px, window.size_px, mirror=mirror)
        return settled(
            moved,
            lambda: pixels,
            placement,
            self.border,
            self.matte_px,
            window.origin_px,
            window.size_px,
        )


def _together(frames: list[Tensor]) -> Tensor:
    """(T, C, H, W); a frame by itself is not copied."""
    return frames[0].unsqueeze(0) if len(frames) == 1 else torch.stack(frames)
