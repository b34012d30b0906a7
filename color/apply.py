"""The color decision of a shot as an operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from color.cdl import CDL, IDENTITY, LUMA_WEIGHTS, interpolate
from media.encoding import Domain
from media.errors import RepairError
from media.frames import FrameRange
from media.passes import Effect, Needs, Window


def apply_cdl_tensor(pixels: Tensor, cdl: CDL) -> Tensor:
    """(..., C, H, W) float film log in and out, no clamp; the identity returns the same tensor.

    C is 3, or 1 where the CDL treats all channels alike (saturation then has no effect).
    raises: RepairError for one channel and a CDL that needs three.
    """
    if cdl.is_identity():
        return pixels
    gray = pixels.shape[-3] == 1
    if gray and not len(set(cdl.slope)) == len(set(cdl.offset)) == len(set(cdl.power)) == 1:
        raise RepairError(
            "a one-channel picture cannot take different red, green and blue",
            hint="give this shot equal values in all channels",
        )
    count = 1 if gray else 3

    def column(values: Sequence[float]) -> Tensor:
        return pixels.new_tensor(values[:count]).view(count, 1, 1)

    v = pixels * column(cdl.slope) + column(cdl.offset)
    if set(cdl.power) != {1.0}:
        v = torch.where(v < 0.0, v, v.clamp_min(0.0).pow(column(cdl.power)))
    if cdl.saturation != 1.0 and not gray:
        luma = (v * column(LUMA_WEIGHTS)).sum(dim=-3, keepdim=True)
        v = luma + cdl.saturation * (v - luma)
    return v


class BalanceOperator:
    """One CDL over a shot, mixed with the neighbours' inside dissolves.

    In a dissolve of n frames whose cut point lies in its middle, frame k (0-based) of the n
    has the incoming shot's CDL at weight (k + 0.5) / n: the outgoing shot's tail runs up to
    one half, the incoming shot's head starts from there, and no frame jumps. Each side is
    counted with its own length, so unequal halves still meet at one half.

    In a fade from or to black the CDL runs between the shot's own and the identity: the black
    beside it is delivered as it is, and the last frame of the fade must not jump to it.
    """

    name = "color"
    version = 1
    radius = 0
    needs = Needs(reach_px=0)
    domain = Domain.LOG_DENSITY
    scale = 1
    effect = Effect.ADJUSTED

    def __init__(
        self,
        cdl: CDL,
        frames: FrameRange,
        before: CDL | None = None,
        after: CDL | None = None,
        dissolve_in: int = 0,
        dissolve_out: int = 0,
        fade_in: int = 0,
        fade_out: int = 0,
    ) -> None:
        """frames: the shot. before, after: CDLs of the neighbours, None without a dissolve.

        dissolve_in, dissolve_out: frames at head and tail that carry the neighbour.
        fade_in, fade_out: frames at head and tail that come from or go to black.
        """
        self._cdl = cdl
        self._frames = frames
        self._before = before
        self._after = after
        self._in = dissolve_in
        self._out = dissolve_out
        self._fade_in = fade_in
        self._fade_out = fade_out

    def cdl_at(self, frame: int) -> CDL:
        """The CDL of one frame, scan numbering.

        raises: RepairError for a frame outside the shot.
        """
        if frame not in self._frames:
            raise RepairError(
                "the color of a frame outside its shot was asked for",
                hint="rebuild the plan; the shot list has changed",
                frame=frame,
            )
        cdl = self._cdl
        head, tail = frame - self._frames.start, self._frames.stop - 1 - frame
        if self._before is not None and head < self._in:
            cdl = interpolate(cdl, self._before, 0.5 - 0.5 * (head + 0.5) / self._in)
        if self._after is not None and tail < self._out:
            cdl = interpolate(cdl, self._after, 0.5 - 0.5 * (tail + 0.5) / self._out)
        if head < self._fade_in:
            cdl = interpolate(IDENTITY, cdl, (head + 0.5) / self._fade_in)
        if tail < self._fade_out:
            cdl = interpolate(IDENTITY, cdl, (tail + 0.5) / self._fade_out)
        return cdl

    def key(self, frames: Sequence[int]) -> Mapping[str, object]:
        """Slope, offset, power, saturation per distinct frame; once where all are the same."""
        cdls = [self.cdl_at(f) for f in dict.fromkeys(frames)]
        distinct = cdls[:1] if len(set(cdls)) == 1 else cdls
        return {"cdl": [c.as_list() for c in distinct]}

    def __call__(self, window: Window) -> Window:
        """(T, C, H, W) film log; the same frames out. Identity leaves the window as it is."""
        cdls = [self.cdl_at(f) for f in window.frames]
        if all(c.is_identity() for c in cdls):
            return window
        if len(set(cdls)) == 1:
            pixels = apply_cdl_tensor(window.pixels, cdls[0])
        else:
            pixels = torch.stack(
                [apply_cdl_tensor(p, c) for p, c in zip(window.pixels, cdls, strict=True)]
            )
        return window.changed(pixels, Effect.ADJUSTED)
