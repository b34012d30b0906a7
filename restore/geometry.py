"""Place a picture by a shift and a small turn, with one 12-tap resample an axis.

A turn is made of two passes along the axes (Catmull and Smith 1980): the first moves each row by
an amount that depends on the row, the second each column by one that depends on the column.
What is left out is the change of scale along the axes inside the passes, 1 - cos(turn): a pixel
r px from the middle of the frame lands turn^2 / 2 * r px off, which is 0.004 px at 1000 px for
0.16 degree, 0.038 px for 0.5 degree.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

TAPS = 12
LARGEST_PX = 8192
"""Frames are taken to be no larger than this when a turn's reach is stated."""
HALF = TAPS // 2
_BETA = 7.0
_STEPS = 1024
"""Kernels are kept for this many places between two pixels: placed to 0.0005 px."""


@dataclass(frozen=True, slots=True)
class Placement:
    """How a picture is moved: turned about the middle of the frame, then shifted."""

    dx_px: float = 0.0
    """Positive moves the picture to the right."""
    dy_px: float = 0.0
    """Positive moves it down."""
    turn_deg: float = 0.0
    """Positive turns it clockwise."""

    @property
    def moves(self) -> bool:
        """False when the picture stays as it is."""
        return bool(self.dx_px or self.dy_px or self.turn_deg)

    def reach_px(self, size_px: tuple[int, int]) -> int:
        """How far off a pixel's picture can come from in a frame of (height, width)."""
        turn = abs(math.tan(math.radians(self.turn_deg))) * max(size_px) / 2
        return HALF + 1 + math.ceil(max(abs(self.dx_px), abs(self.dy_px)) + turn)


def farthest_px(placements: Iterable[Placement]) -> int:
    """The largest reach of several placements, in frames of any size."""
    reach = (p.reach_px((LARGEST_PX, LARGEST_PX) if p.turn_deg else (0, 0)) for p in placements)
    return max(reach, default=Placement().reach_px((0, 0)))


def sinc_taps(fraction_px: float | NDArray[np.float64]) -> NDArray[np.float32]:
    """(..., 12) the nearest kernels kept that fetch ``fraction_px`` (0..1, 1 excluded) right of
    tap 6.

    The taps sum to one, so flat areas keep their value.
    """
    steps = np.minimum(np.rint(np.multiply(fraction_px, _STEPS)).astype(np.int64), _STEPS - 1)
    return np.ascontiguousarray(_table().T[steps])


def _kernels(fractions_px: NDArray[np.float64]) -> NDArray[np.float64]:
    """(12, n) taps for n fractions."""
    x = np.arange(TAPS)[:, None] - (HALF - 1) - fractions_px[None]
    edge = np.clip(1.0 - (x / HALF) ** 2, 0.0, None)
    taps = np.i0(_BETA * np.sqrt(edge)) / np.i0(_BETA) * np.sinc(x)
    kernels: NDArray[np.float64] = taps / taps.sum(axis=0)
    return kernels


@lru_cache(maxsize=1)
def _table() -> NDArray[np.float32]:
    """(12, steps) taps."""
    return _kernels(np.arange(_STEPS) / _STEPS).astype(np.float32)


def placed(
    planes: Tensor,
    placement: Placement,
    origin_px: tuple[int, int],
    size_px: tuple[int, int],
    phase_px: tuple[float, float] = (0.0, 0.0),
    *,
    mirror: bool = False,
) -> Tensor:
    """The planes, moved.

    planes: (C, H, W) float32, a tile whose top left pixel is ``origin_px`` (row, column) of a
    frame of ``size_px`` (height, width). phase_px: what is fetched lies this far (down, right) of
    the pixel: the phases of an enlargement. mirror: the picture goes on mirrored past the edges
    of the tile; otherwise they are held. returns: (C, H, W).

    Every pixel is computed by the same operations whatever the tile, with kernels looked up by
    absolute place; CPU and CUDA differ in the last bits.
    """
    height, width = planes.shape[-2:]
    turn = math.radians(placement.turn_deg)
    middle_y, middle_x = (size_px[0] - 1) / 2, (size_px[1] - 1) / 2
    y = np.arange(height, dtype=np.float64) + origin_px[0]
    x = np.arange(width, dtype=np.float64) + origin_px[1] + phase_px[1]
    across = _Moves(phase_px[1] - placement.dx_px + math.tan(turn) * (y - middle_y), planes.device)
    down_px = phase_px[0] - placement.dy_px - math.sin(turn) * (x - middle_x - placement.dx_px)
    down = _Moves(down_px, planes.device)
    # The rows that the second pass asks for, above and below, are there before the first.
    rows = _inside(np.arange(-down.before, height + down.after), height, mirror)
    if planes.device.type == "cpu":
        return _compiled(planes, rows, across, down, mirror)
    return _summed_columns(_summed_rows(planes, rows, across, mirror), down, height)


def _compiled(
    planes: Tensor, rows: NDArray[np.int64], across: _Moves, down: _Moves, mirror: bool
) -> Tensor:
    from restore import geometry_compiled  # compiled on first use, not at import

    width = planes.shape[-1]
    columns = _inside(np.arange(-across.before, width + across.after), width, mirror)
    source = planes.contiguous().numpy()
    out = np.empty_like(source)
    first_y = down.before + down.whole - (HALF - 1)
    edges = np.array([0, *(right for _, right in _runs(first_y))])
    for plane, filled in zip(source, out, strict=True):
        geometry_compiled.placed(
            plane,
            rows,
            columns,
            across.before,
            across.before + across.whole - (HALF - 1),
            np.ascontiguousarray(_table()[:, across.steps].T),
            edges,
            first_y[edges[:-1]],
            np.ascontiguousarray(_table()[:, down.steps]),
            filled,
        )
    return torch.from_numpy(out)


class _Moves:
    """Where each row (or column) is fetched along itself, as whole pixels and kernels."""

    def __init__(self, offsets_px: NDArray[np.float64], device: torch.device) -> None:
        places = np.rint(offsets_px * _STEPS).astype(np.int64)
        self.whole = places // _STEPS
        self.steps = places % _STEPS
        self._device = device
        self.before = max(HALF - 1 - int(self.whole.min()), 0)
        self.after = max(HALF + int(self.whole.max()), 0)
        """Pixels needed on each side of a pixel."""

    def at(self, places: NDArray[np.int64]) -> Tensor:
        """(12, n) taps of some of them, on the device."""
        return torch.from_numpy(_table()[:, self.steps[places]]).to(self._device)


def _inside(places: NDArray[np.int64], size: int, mirror: bool) -> NDArray[np.int64]:
    """Places within 0..size-1: held at the edge, or mirrored there."""
    if mirror and size > 1:
        places = np.abs(places) % (2 * size - 2)
        places = np.minimum(places, 2 * size - 2 - places)
    return np.clip(places, 0, size - 1)


def _runs(*kinds: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Stretches in which none of the arrays changes."""
    changes = np.logical_or.reduce([np.diff(kind) != 0 for kind in kinds])
    edges = [0, *(np.flatnonzero(changes) + 1).tolist(), len(kinds[0])]
    return list(pairwise(edges))


def _widened(planes: Tensor, rows: NDArray[np.int64], moves: _Moves, mirror: bool) -> Tensor:
    """The rows of (C, H, W), with pixels added at both ends: (C, len(rows), before + W + after)."""
    width = planes.shape[-1]
    picked = planes[:, torch.from_numpy(rows).to(planes.device)]
    columns = _inside(np.arange(-moves.before, width + moves.after), width, mirror)
    return picked[..., torch.from_numpy(columns).to(planes.device)]


def _summed_rows(planes: Tensor, rows: NDArray[np.int64], moves: _Moves, mirror: bool) -> Tensor:
    """Rows of (C, H, W), each fetched along itself, on any device: (C, len(rows), W)."""
    width = planes.shape[-1]
    wide = _widened(planes, rows, moves, mirror)
    whole, taps = moves.whole[rows], moves.at(rows).unsqueeze(-1)
    out = planes.new_empty((len(planes), len(rows), width))
    for top, bottom in _runs(whole):
        first = moves.before + int(whole[top]) - (HALF - 1)
        source, into, weights = wide[:, top:bottom], out[:, top:bottom], taps[:, top:bottom]
        torch.mul(source.narrow(-1, first, width), weights[0], out=into)
        for k in range(1, TAPS):
            into.addcmul_(source.narrow(-1, first + k, width), weights[k])
    return out


def _summed_columns(planes: Tensor, moves: _Moves, height: int) -> Tensor:
    """Columns of (C, before + H + after, W), each fetched along itself: (C, H, W)."""
    out = planes.new_empty((len(planes), height, planes.shape[-1]))
    taps = moves.at(np.arange(len(moves.whole))).unsqueeze(1)
    for left, right in _runs(moves.whole):
        first = moves.before + int(moves.whole[left]) - (HALF - 1)
        source, filled = planes[..., left:right], out[..., left:right]
        weights = taps[..., left:right]
        torch.mul(source.narrow(-2, first, height), weights[0], out=filled)
        for k in range(1, TAPS):
            filled.addcmul_(source.narrow(-2, first + k, height), weights[k])
    return out
