"""Enlargement from several frames, without weights."""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np
import torch
from torch import Tensor

from media.encoding import Domain
from media.passes import Effect, Needs, Window
from restore.alignment import Flow, FlowMemory, Steering, chained_flows, interleaved
from restore.border import Border, Matte, Rim, on_frame, settled
from restore.geometry import Placement
from restore.motion import distinct_neighbours
from restore.upscale.bounds import bounded, extremes
from restore.upscale.fused import Neighbour, Places, fetched, fused
from restore.upscale.kernels import Kernel
from restore.upscale.placed import Seat, scaled
from restore.upscale.resample import enlarged, enlarged_alone
from restore.upscale.sampling import enlarge, reduce

_STEER_SCALE = 2
"""Motion is looked for at twice the size of the scan, whatever the picture grows to."""
_HALF = 0.5
"""A pixel of which neighbours gave more than this is marked as borrowed."""


@dataclass(frozen=True, eq=False)
class FramesUpscale:
    """Enlarges each frame with what the two frames on each side of it show beside it.

    Weave is carried out in the same resample. Whatever the neighbours say, reducing the result
    gives back the frame's own scan, and nothing overshoots the scan's range around it.
    """

    scale: int
    placements: Mapping[int, Placement] = field(default_factory=dict)
    """Frame number to how it is moved, in px of the scan; frames not named stay."""
    border: Border = "keep"
    matte_px: Matte = (0, 0, 0, 0)
    """In px of the scan."""
    kernel: Kernel = "mixed"
    share: float = 1.0
    """0..1 of what the neighbours add to the frame enlarged by itself."""
    rounds: int = 3
    """Of back-projection: the last from the frame alone."""
    ringing: float = 0.02
    """Overshoot allowed beyond the local range of the scan, film log."""

    version = 2
    radius = 2
    domain = Domain.LOG_DENSITY
    needs = Needs(reach_px=-1)

    @property
    def name(self) -> str:
        """Says so where weave is carried out too."""
        return "weave and upscale from frames" if self.placements else "upscale from frames"

    @property
    def effect(self) -> Effect:
        """Mirrored borders are made up."""
        return Effect.INVENTED if self.border == "mirror" else Effect.BORROWED

    @cached_property
    def memory(self) -> FlowMemory:
        """Motion that windows share; changes no result."""
        return FlowMemory("usual")

    @cached_property
    def alone(self) -> AloneMemory:
        """Enlarged frames that windows share; changes no result."""
        return AloneMemory(self.scale, self.kernel, self.rounds)

    def key(self, frames: Sequence[int]) -> Mapping[str, object]:
        """Places of the middle frames, and all else that decides a pixel."""
        inner = frames[self.radius : len(frames) - self.radius]
        places = [self.placements.get(f, Placement()) for f in inner]
        return {
            "scale": self.scale,
            "kernel": self.kernel,
            "share": self.share,
            "rounds": self.rounds,
            "ringing": self.ringing,
            "places": [[p.dx_px, p.dy_px, p.turn_deg] for p in places],
            "border": self.border,
            "matte_px": list(self.matte_px) if self.border == "matte" else [],
        }

    def __call__(self, window: Window) -> Window:
        """(T, C, H, W) to (T - 4, C, H*scale, W*scale). raises: RepairError for too large a
        shift."""
        large: dict[int, Tensor] = {}
        steering: dict[int, Steering] = {}
        frames, lent, made_up = [], [], []
        for center in range(self.radius, len(window.frames) - self.radius):
            pixels, given, invented = self._enlarged(window, center, large, steering)
            frames.append(pixels)
            lent.append(given)
            made_up.append(invented)
        inner = window.middle(self.radius)
        done = enlarged(inner, torch.stack(frames), self.scale, Effect.ADJUSTED)
        for touch, given, rims in zip(done.touch, lent, made_up, strict=True):
            touch[0][given] = touch[0][given].clamp_min(int(Effect.BORROWED))
            for rows, cols, outside in rims:
                touch[0, rows, cols][outside] = int(Effect.INVENTED)
        return done

    def _enlarged(
        self, window: Window, center: int, large: dict[int, Tensor], steering: dict[int, Steering]
    ) -> tuple[Tensor, Tensor, list[Rim]]:
        """One frame; where neighbours gave most of a pixel; and borders that are made up."""
        s, own, number = self.scale, window.pixels[center], window.frames[center]
        placement = self.placements.get(number, Placement())
        on_frame(placement, window.size_px, number)
        first = center - self.radius
        around = window.frames[first : center + self.radius + 1]
        near = [first + k for k in distinct_neighbours(around, self.radius)]
        for k in (center, *near):
            if k not in large:
                large[k] = self.alone.enlarged(window.pixels[k])
                steering[k] = Steering(interleaved(_for_steering(large[k], s)))
        seat = Seat(window, s, placement, self.border == "mirror", self.kernel)
        alone, result = large[center], large[center]
        lent = torch.zeros(alone.shape[-2:], device=own.device)
        if placement.moves:
            alone = result = seat.consistent(seat.there(own), own, self.rounds)
        if near and self.share > 0.0:
            together = fused(
                alone,
                _places(placement, s, window.size_px, back=False),
                self._neighbours(window, center, near, large, steering, placement),
                s,
                self.kernel,
                self.rounds - 1,
            )
            result = alone + self.share * (together.pixels - alone)
            lent = self.share * together.lent
        if placement.moves:
            result = seat.bounded(seat.consistent(result, own, 1), own, self.ringing)
        else:
            source = own.unsqueeze(0)
            result = result.unsqueeze(0)
            result = result + enlarge(source - reduce(result, s, self.kernel), s)
            low, high = extremes(source, self.ringing)
            result = bounded(result, low, high, s)[0]
        top, bottom, left, right = (side * s for side in self.matte_px)
        result, invented = settled(
            result,
            lambda: enlarge(own.unsqueeze(0), s)[0],
            scaled(placement, s),
            self.border,
            (top, bottom, left, right),
            (0, 0),
            (window.size_px[0] * s, window.size_px[1] * s),
        )
        return result, lent > _HALF, invented

    def _neighbours(
        self,
        window: Window,
        center: int,
        near: Sequence[int],
        large: Mapping[int, Tensor],
        steering: Mapping[int, Steering],
        placement: Placement,
    ) -> list[Neighbour]:
        s = self.scale
        there = chained_flows(steering, center, near, self.memory)
        seen = _places(placement, s, window.size_px, back=False)
        found = []
        for k in near:
            between = [n for n in near if min(k, center) < n < max(k, center)]
            home = chained_flows(steering, k, [*between, center], self.memory)[center]
            shape = seen.shape[1], seen.shape[0]
            forward, backward = (_grown(flow, s, shape) for flow in (there[k], home))
            if placement.moves:
                forward = cv2.remap(
                    forward, seen, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
                )
            ends = _grid(shape) + backward
            if placement.moves:
                moved = torch.from_numpy(
                    np.ascontiguousarray(
                        _places(placement, s, window.size_px, back=True).transpose(2, 0, 1)
                    )
                )
                ends = np.ascontiguousarray(
                    fetched(moved, ends, smooth=False).numpy().transpose(1, 2, 0)
                )
            found.append(Neighbour(window.pixels[k], large[k], seen + forward, ends))
        return found


class AloneMemory:
    """Frames enlarged by themselves, remembered by what is in them (CPU only).

    The same frame gives the same enlargement whether it is remembered or not; a frame is needed
    by five windows.
    """

    def __init__(self, scale: int, kernel: Kernel, rounds: int) -> None:
        self._how = (scale, kernel, rounds)
        self._kept: OrderedDict[bytes, Tensor] = OrderedDict()

    def enlarged(self, pixels: Tensor) -> Tensor:
        """(C, H, W) to (C, H*s, W*s); may overshoot."""
        if pixels.device.type != "cpu":
            return enlarged_alone(pixels.unsqueeze(0), *self._how)[0]
        key = hashlib.blake2b(pixels.contiguous().numpy().data, digest_size=16).digest()
        found = self._kept.pop(key, None)
        if found is None:
            found = enlarged_alone(pixels.unsqueeze(0), *self._how)[0]
        self._kept[key] = found
        while len(self._kept) > 6:
            self._kept.popitem(last=False)
        return found


def _for_steering(large: Tensor, scale: int) -> Tensor:
    """The picture in which motion is looked for."""
    return large if scale == _STEER_SCALE else reduce(large[None], scale // _STEER_SCALE)[0]


def _grown(flow: Flow, scale: int, size: tuple[int, int]) -> Flow:
    """Motion at the size of the result. size: width, height."""
    if scale == _STEER_SCALE:
        return flow
    grown: Flow = cv2.resize(flow, size, interpolation=cv2.INTER_LINEAR)
    return grown * np.float32(scale / _STEER_SCALE)


def _grid(size: tuple[int, int]) -> Places:
    """(H, W, 2) the place of each pixel itself. size: width, height."""
    grid = np.empty((size[1], size[0], 2), np.float32)
    grid[..., 0] = np.arange(size[0], dtype=np.float32)
    grid[..., 1] = np.arange(size[1], dtype=np.float32)[:, None]
    return grid


def _places(placement: Placement, scale: int, size_px: tuple[int, int], *, back: bool) -> Places:
    """Where each pixel of the placed, enlarged frame lies in the unmoved one; or back.

    size_px: height and width of the scan. As ``restore.geometry.placed`` moves pictures.
    """
    grid = _grid((size_px[1] * scale, size_px[0] * scale))
    if not placement.moves:
        return grid
    moved = scaled(placement, scale)
    turn = math.radians(moved.turn_deg)
    sine, tangent = np.float32(math.sin(turn)), np.float32(math.tan(turn))
    middle_x = np.float32((size_px[1] * scale - 1) / 2)
    middle_y = np.float32((size_px[0] * scale - 1) / 2)
    dx, dy = np.float32(moved.dx_px), np.float32(moved.dy_px)
    x, y = grid[..., 0], grid[..., 1]
    found = np.empty_like(grid)
    if back:
        found[..., 0] = x + dx - tangent * (y - middle_y)
        found[..., 1] = y + dy + sine * (found[..., 0] - middle_x - dx)
    else:
        found[..., 1] = y - dy - sine * (x - middle_x - dx)
        found[..., 0] = x - dx + tangent * (found[..., 1] - middle_y)
    return found
