"""Enlargement by a learned model: labelled as invented, locked to the scan's own color."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import nn

from media.encoding import Domain
from media.passes import Effect, Needs, Window
from restore.models.architectures import Time
from restore.models.card import ModelCard
from restore.models.ladder import Ladder
from restore.upscale.lock import REACH_PX, color_locked
from restore.upscale.resample import enlarged


@dataclass(frozen=True, eq=False)
class NetworkUpscale:
    """Runs a super-resolution network on display-referred RGB, float32 in and out.

    Networks of one frame are exact in any tile and any chunk. A network that looks at a window
    of frames is exact in any chunk. A recurrent one makes fixed blocks of frames, counted from
    the beginning of the shot, with a warm-up before and after each: the same bits wherever a
    chunk begins, and a seam between blocks that its card states.

    network: float32, in evaluation mode. half: run it in half precision (see its card).
    """

    network: nn.Module
    card: ModelCard
    half: bool = False
    _ladder: Ladder = field(init=False, repr=False)

    name = "upscale"
    version = 2
    domain = Domain.DISPLAY
    effect = Effect.INVENTED

    def __post_init__(self) -> None:
        card = self.card
        ladder = Ladder(
            self.network, card.network, card.scale, card.reach_px, self.half, card.half_allowed
        )
        object.__setattr__(self, "_ladder", ladder)

    @property
    def scale(self) -> int:
        """As the card says."""
        return self.card.scale

    @cached_property
    def _time(self) -> Time:
        return self.card.network.time

    @property
    def radius(self) -> int:
        """Frames on each side: half a window, or the warm-up."""
        if self._time is Time.WINDOW:
            frames = self.card.complete["frames"]
            assert isinstance(frames, int)
            return frames // 2
        return self.card.warm_up_frames if self._time is Time.SEQUENCE else 0

    @property
    def needs(self) -> Needs:
        """The network's receptive field and the color lock's."""
        reach = self.card.reach_px
        block = self.card.block_frames if self._time is Time.SEQUENCE else 1
        if reach < 0:
            return Needs(block_frames=block)
        multiple = self.card.network.multiple_of
        reach += REACH_PX
        # Libraries order the sums of a convolution by the size of the picture.
        return Needs(reach_px=reach + -reach % multiple, multiple_of=multiple, tiles_round=True)

    def key(self, frames: Sequence[int]) -> Mapping[str, object]:
        """Weights by digest; the path they came from does not matter."""
        del frames
        settings = {k: list(v) if isinstance(v, tuple) else v for k, v in self.card.settings}
        blocks = (
            {"block": self.card.block_frames, "warm_up": self.card.warm_up_frames}
            if self._time is Time.SEQUENCE
            else {}
        )
        return {**self.card.identity, **settings, **blocks, "half": self.half}

    def __call__(self, window: Window) -> Window:
        """(T, C, H, W) to (T - 2 * radius, C, H * scale, W * scale)."""
        own = window.middle(self.radius)
        pixels = window.pixels
        before = self.radius
        if self._time is Time.SEQUENCE:
            first, last = _without_echo(window.frames, self.radius)
            pixels, before = pixels[first:last], self.radius - first
        mono = pixels.shape[1] == 1
        rgb = pixels.expand(-1, 3, -1, -1) if mono else pixels
        large, note = self._ladder(rgb)
        if self._time is Time.SEQUENCE:
            large = large[before : before + len(own.frames)]
        large = large.mean(dim=1, keepdim=True) if mono else large
        # Made under inference mode: a plain tensor is wanted from here on.
        large = color_locked(torch.clone(large), own.pixels, self.scale)
        if note:
            own = replace(own, caveats=(*own.caveats, note))
        return enlarged(own, large, self.scale, self.effect)


def _without_echo(frames: tuple[int, ...], radius: int) -> tuple[int, int]:
    """Where the real frames of a window begin and end.

    Past the end of a shot a window runs backwards. To a network that remembers, that is a
    camera thrown into reverse; it is better off with fewer frames.
    """
    first, last = radius, len(frames) - radius
    seen = set(frames[first:last])
    while first > 0 and frames[first - 1] not in seen:
        first -= 1
        seen.add(frames[first])
    while last < len(frames) and frames[last] not in seen:
        seen.add(frames[last])
        last += 1
    return first, last
