"""Pull frames through a fused chain of operators, one sliding window per operator.

Each stage is asked for a frame and asks the stage before it for the pictures around it, leaving
out frames that only repeat one; at the ends of the shot the numbers run backwards (mirrored), so
what a stage sees depends on frame numbers only and never on where a chunk begins. A stage keeps
just the frames its successor still needs: memory does not grow with the length of a chunk or a
shot, and no intermediate picture is ever stored.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from media.encoding import Domain, convert
from media.errors import NotFinite
from media.passes import Effect, Mark, Operator, Window
from media.pictures import Pictures
from restore.memory import memory_named
from wetgate.tiles import apply_tiled

ReadLog = Callable[[int], Tensor]
"""Frame number to (C, H, W) float32 film log on the working device."""
ReadMarks = Callable[[int], Tensor]
"""Frame number to (H, W) uint8 ``Mark`` per pixel, on the working device."""
SURFACE = frozenset({"scratch", "line-cover", "dirt", "rebuild"})
"""Operators that leave pixels alone that are marked as kept."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """One finished frame."""

    pixels: Tensor
    """(C, H, W) float32 film log, unclipped."""
    touch: Tensor
    """(H, W) uint8 Effect per pixel."""
    caveats: tuple[str, ...] = ()
    """What operators left undone on this frame."""


class ShotRenderer:
    """Renders frames of one shot, in any order; fastest in ascending order."""

    def __init__(
        self,
        shot: str,
        pictures: Pictures,
        read: ReadLog,
        chain: Sequence[Operator],
        tile_px: int = 0,
        borrowed: frozenset[int] = frozenset(),
        marks: ReadMarks | None = None,
    ) -> None:
        """borrowed: frames whose scan is missing and that show another frame's picture.
        marks: what is known of pixels beforehand; None where nothing is."""
        self._shot = shot
        stage = _Stage(None, None, pictures, read, tile_px, borrowed, marks)
        self._stages = [stage]
        for operator in chain:
            stage = _Stage(operator, stage, pictures, read, tile_px, borrowed)
            self._stages.append(stage)
        for before, after in zip(self._stages[:-1], self._stages[1:], strict=True):
            before.keep(2 * after.radius + after.block_frames + 1)

    def frame(self, number: int) -> Rendered:
        """raises: NotFinite when an operator made NaN or Inf; OutOfMemory from the device."""
        with memory_named(shot=self._shot, frame=number):
            window = self._stages[-1].get(number)
            pixels = convert(window.pixels, self._stages[-1].domain, Domain.LOG_DENSITY)[0]
        # A sum of finite values is finite, but for absurd ones; only then every pixel is asked.
        finite = bool(torch.isfinite(pixels.sum()))
        if not finite and not bool(torch.isfinite(pixels).all()):
            raise NotFinite(
                "the repaired picture holds NaN or Inf",
                shot=self._shot,
                frame=number,
                hint="switch repairs off one by one to find which, and report it",
            )
        return Rendered(pixels, window.touch[0, 0], window.caveats)


class _Stage:
    """One operator with the frames its successor still needs."""

    def __init__(
        self,
        operator: Operator | None,
        before: _Stage | None,
        pictures: Pictures,
        read: ReadLog,
        tile_px: int,
        borrowed: frozenset[int],
        marks: ReadMarks | None = None,
    ) -> None:
        self._operator = operator
        self._marks = marks
        self._before = before
        self._pictures = pictures
        self._own = frozenset(pictures.own)
        self._borrowed = borrowed
        self._made = frozenset(pictures.between)
        self._read = read
        self._tile_px = tile_px
        self._kept: OrderedDict[int, Window] = OrderedDict()
        self._memos: dict[int, dict[str, Any]] = {}
        self.radius = operator.radius if operator is not None else 0
        self.block_frames = operator.needs.block_frames if operator is not None else 1
        self._room = 1 + self.block_frames
        self.domain = operator.domain if operator is not None else Domain.LOG_DENSITY

    def keep(self, frames: int) -> None:
        """How many frames the successor looks back on."""
        self._room = frames + self.block_frames

    def get(self, number: int) -> Window:
        """A window of the one frame ``number``, in this stage's domain."""
        found = self._kept.get(number)
        if found is None:
            found = self._make(number)
            self._keep_frame(number, found)
        self._kept.move_to_end(number)
        return found

    def _keep_frame(self, number: int, window: Window) -> None:
        self._kept[number] = window
        while len(self._kept) > self._room:
            gone, _ = self._kept.popitem(last=False)
            self._memos.pop(gone, None)

    def memo(self, number: int) -> dict[str, Any]:
        """What the successor has worked out from a frame that is kept here."""
        return self._memos.setdefault(number, {}) if number in self._kept else {}

    def _make(self, number: int) -> Window:
        if self._operator is None or self._before is None:
            window = Window.whole(self._read(number).unsqueeze(0), (number,))
            if self._marks is not None:
                known = self._marks(number)
                window = replace(window, marks=known[None, None] if bool(known.any()) else None)
            if number in self._borrowed:
                marked = torch.full_like(window.touch, int(Effect.BORROWED))
                window = replace(window, touch=marked)
            return window
        if self.block_frames == 1:
            numbers = self._pictures.around(number, self.radius)
            return self._apply(self._operator, self._before, numbers)
        numbers = self._pictures.block(number, self.block_frames, self.radius)
        made = self._apply(self._operator, self._before, numbers, told=())
        wanted = None
        for k, other in enumerate(made.frames):
            one = replace(
                made,
                pixels=made.pixels[k : k + 1],
                touch=made.touch[k : k + 1],
                marks=None if made.marks is None else made.marks[k : k + 1],
                frames=(other,),
                caveats=(*self._before.get(other).caveats, *made.caveats),
            )
            if other == number:
                wanted = one
            elif number in self._own:
                # Beside a frame that only repeats one, a block is not quite what it is without.
                self._keep_frame(other, one)
        assert wanted is not None
        return wanted

    def _apply(
        self,
        operator: Operator,
        before: _Stage,
        numbers: tuple[int, ...],
        told: tuple[str, ...] | None = None,
    ) -> Window:
        """told: caveats to begin with; those of the frame in the middle unless given."""
        parts = [before.get(n) for n in numbers]
        alone = len(parts) == 1
        pixels = parts[0].pixels if alone else torch.cat([p.pixels for p in parts])
        window = replace(
            parts[self.radius],
            pixels=convert(pixels, before.domain, self.domain),
            touch=parts[0].touch if alone else torch.cat([p.touch for p in parts]),
            marks=parts[0].marks if alone else _marks_of(parts),
            frames=numbers,
            memos=tuple(before.memo(n) for n in numbers),
            caveats=parts[self.radius].caveats if told is None else told,
        )
        done = apply_tiled(operator, window, self._tile_px)
        kept = window.marked(Mark.KEPT)
        if kept is None or operator.name not in SURFACE or window.frames[self.radius] in self._made:
            return done
        before_it = window.middle(self.radius)
        kept = kept[self.radius : len(window.frames) - self.radius]
        return replace(
            done,
            pixels=torch.where(kept, before_it.pixels, done.pixels),
            touch=torch.where(kept, before_it.touch, done.touch),
        )


def _marks_of(parts: Sequence[Window]) -> Tensor | None:
    """Marks of several frames; None where no frame has any."""
    if all(p.marks is None for p in parts):
        return None
    return torch.cat([torch.zeros_like(p.touch) if p.marks is None else p.marks for p in parts])
