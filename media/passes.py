"""How pixels are walked over: windows, probes that only look, operators that change.

Pixels are torch float32 (T, C, H, W) on any device; C is 1 or 3. Nothing here reads files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum, IntFlag
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from media.encoding import Domain

NOTED = "noted: "
"""Begins a caveat that is counted and said, but no reason to hold a shot for review."""

type_json = dict[str, object]


class Effect(IntEnum):
    """What happened to a pixel. The values are those of the touch plane."""

    UNTOUCHED = 0
    ADJUSTED = 1
    """Moved or gained: this frame's own picture, measured and corrected."""
    BORROWED = 2
    """Copied from another frame of the same shot."""
    INVENTED = 3
    """Made by a spatial fill or a model: no frame of the scan shows it."""


class Mark(IntFlag):
    """What is known of a pixel before any operator looks at it."""

    DAMAGED = 1
    """A defect map says so."""
    KEPT = 2
    """No repair of the surface may change it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Consecutive frames of one shot, possibly a tile of them."""

    pixels: Tensor
    """(T, C, H, W) float32."""
    frames: tuple[int, ...]
    """(T,) real frame numbers. Past the end of a shot they run backwards (mirrored), so a
    number that repeats tells an operator that it sees the same frame twice."""
    touch: Tensor
    """(T, 1, H, W) uint8, Effect per pixel so far."""
    origin_px: tuple[int, int] = (0, 0)
    """Row and column of this tile in the frame."""
    size_px: tuple[int, int] = (0, 0)
    """Height and width of the whole frame."""
    marks: Tensor | None = None
    """(T, 1, H, W) uint8, ``Mark`` per pixel, or None where nothing is marked. Moves with the
    picture; known to operators at the size of the scan only."""
    caveats: tuple[str, ...] = ()
    """What was left undone on these frames, in plain words: a success with a but."""
    memos: tuple[dict[str, Any], ...] = ()
    """A place beside each frame for what an operator works out from that frame, or from frames
    that it names, so that the windows it is seen in share it. Never what decides a pixel: a window
    without gives the same."""

    @classmethod
    def whole(cls, pixels: Tensor, frames: Sequence[int]) -> Window:
        """A window of whole, untouched frames."""
        t, _, h, w = pixels.shape
        touch = torch.zeros((t, 1, h, w), dtype=torch.uint8, device=pixels.device)
        return cls(pixels=pixels, frames=tuple(frames), touch=touch, size_px=(h, w))

    def middle(self, radius: int) -> Window:
        """The frames left when ``radius`` frames of context are taken off each side."""
        if radius == 0:
            return self
        return replace(
            self,
            pixels=self.pixels[radius:-radius],
            frames=self.frames[radius:-radius],
            memos=(),
            touch=self.touch[radius:-radius],
            marks=None if self.marks is None else self.marks[radius:-radius],
        )

    def marked(self, mark: Mark) -> Tensor | None:
        """(T, 1, H, W) bool: pixels that bear the mark; None where no pixel bears any."""
        return None if self.marks is None else (self.marks & int(mark)) != 0

    def changed(self, pixels: Tensor, effect: Effect) -> Window:
        """This window with new pixels; every pixel that differs is marked with ``effect``.

        pixels: (T, C, H, W), same shape. A mark never becomes weaker.
        """
        if pixels.device.type == "cpu":
            return replace(self, pixels=pixels, touch=self._marked(pixels, effect))
        differs = pixels[:, :1] != self.pixels[:, :1]
        for k in range(1, pixels.shape[1]):
            differs |= pixels[:, k : k + 1] != self.pixels[:, k : k + 1]
        marked = torch.maximum(self.touch, differs.to(torch.uint8) * int(effect))
        return replace(self, pixels=pixels, touch=marked, memos=())

    def _marked(self, pixels: Tensor, effect: Effect) -> Tensor:
        from media import compiled  # compiled on first use, not at import

        touch = self.touch.contiguous().numpy().copy()
        before, after = (p.contiguous().numpy() for p in (self.pixels, pixels))
        for old, new, marks in zip(before, after, touch, strict=True):
            compiled.mark_changed(old, new, int(effect), marks[0])
        return torch.from_numpy(touch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What an operator needs around a pixel."""

    reach_px: int = -1
    """Spatial context each side that makes tiling exact; -1: never tile."""
    multiple_of: int = 1
    """Height and width of a tile must divide by this; the executor pads and crops."""
    tiles_round: bool = False
    """Do tiles differ from the whole by rounding? Then their size is part of what makes a chunk."""
    block_frames: int = 1
    """Pictures made together, in fixed blocks counted from the first picture of the shot."""
    kept_beside: int = 0
    """Pictures' worth of memory kept beside each frame of a window (``Window.memos``), beyond
    what a window takes by itself."""


@runtime_checkable
class Operator(Protocol):
    """A repair bound to one shot's decisions. Pure: no I/O, no device moves, nothing in place,
    no clipping, never NaN from finite input."""

    @property
    def name(self) -> str:
        """Identity in keys, touch reports and configuration."""

    @property
    def version(self) -> int:
        """Rises when any output pixel changes."""

    @property
    def radius(self) -> int:
        """Frames of context each side, finite and exact."""

    @property
    def needs(self) -> Needs:
        """Spatial context."""

    @property
    def domain(self) -> Domain:
        """The domain its pixels must be in."""

    @property
    def scale(self) -> int:
        """Output size over input size: 1, 2 or 4; 0 for an operator that makes whole frames of a
        stated size, which is never tiled."""

    @property
    def effect(self) -> Effect:
        """The strongest mark it can leave; policy gates read this."""

    def key(self, frames: Sequence[int]) -> Mapping[str, object]:
        """Everything but pixels that decides the output for a window of these frames.

        JSON values only. No notes, no confidence, nothing that does not move a pixel.
        """

    def __call__(self, window: Window) -> Window:
        """Repair: (T, C, H, W) in, the middle T - 2*radius frames out, at ``scale``.

        T is 2*radius + 1, or 2*radius and a block of frames where ``needs`` asks for blocks.
        """


class Probe(Protocol):
    """Looks at every frame of a shot once, in order, and sums up what it saw."""

    @property
    def name(self) -> str:
        """Section of the evidence file."""

    def observe(self, frame: int, pixels: Tensor) -> None:
        """frame: scan number. pixels: (C, H, W) float32 film log, at analysis size."""

    def finish(self) -> Mapping[str, object]:
        """JSON-able evidence: statistics and curves, never pictures."""
