"""From one size of picture to any other, by one separable resample: compiled on the CPU, torch
elsewhere.

Edges lie on edges: the middle of pixel i of the result lies at (i + 0.5) * from / to - 0.5 of the
picture it is fetched from, so nothing is shifted by a part of a pixel.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from restore.upscale.kernels import LOBES
from restore.upscale.sampling import as_planes, like

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]
FitKernel = Literal["lanczos", "area", "bicubic"]
"""``lanczos``: three lobes, the footprint grown with the reduction. ``area``: the mean over what a
pixel of the result covers. ``bicubic``: a cubic (a = -0.5), grown with the reduction."""


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """How one axis is fetched. Places beyond the picture are those of its edge."""

    taps: F32
    """(n, K), each row sums to one."""
    first: I64
    """(n,) place of the first tap."""
    near: I64
    """(n, 2) first and last place of those that bound what a pixel may show."""


def fit(pixels: Tensor, size_px: tuple[int, int], kernel: FitKernel = "lanczos") -> Tensor:
    """(T, C, H, W) to (T, C, *size_px): height and width. Edges held; no overshoot.

    No pixel leaves the range of those within one lobe of its place, so what is bounded stays so.
    """
    down, across = (axis_of(a, b, kernel) for a, b in zip(pixels.shape[-2:], size_px, strict=True))
    return _fetched(pixels, down, across)


def _fetched(pixels: Tensor, down: Axis, across: Axis) -> Tensor:
    if pixels.device.type != "cpu":
        return fit_by_torch(pixels, down, across)
    from restore.upscale import compiled_fit  # compiled on first use, not at import

    found = compiled_fit.fit(
        as_planes(pixels),
        down.taps,
        down.first,
        down.near,
        across.taps,
        across.first,
        across.near,
    )
    return like(pixels, found)


def fit_by_torch(pixels: Tensor, down: Axis, across: Axis) -> Tensor:
    """The same on any device."""
    value, low, high = pixels, pixels, pixels
    for axis, dim in ((down, -2), (across, -1)):
        value = _summed(value, axis, dim)
        low = _folded(low, axis.near, dim, torch.minimum)
        high = _folded(high, axis.near, dim, torch.maximum)
    return torch.minimum(torch.maximum(value, low), high)


def strongest(touch: Tensor, size_px: tuple[int, int]) -> Tensor:
    """(T, 1, H, W) uint8 to (T, 1, *size_px): of the marks that a pixel of the result covers the
    strongest, however little of it."""
    for size, dim in zip(size_px, (-2, -1), strict=True):
        touch = _folded(touch, covered(touch.shape[dim], size), dim, torch.maximum)
    return touch


@dataclass(frozen=True, slots=True, eq=False)
class Span:
    """A stretch of one axis of a result, and what of the picture it is fetched from."""

    begin: int
    end: int
    """Past the last pixel of the picture that has a say."""
    axis: Axis
    """Its places counted from ``begin``."""


def pixels_of(size: int, out: int, start: int, count: int) -> Span:
    """What ``count`` px of the result from ``start`` on are fetched from, by Lanczos, unbounded."""
    axis = axis_of(size, out, "lanczos")
    first, taps = axis.first[start : start + count], axis.taps[start : start + count]
    last = first + (taps.shape[1] - 1)
    begin, end = max(0, int(first[0])), min(size, int(last[-1]) + 1)
    reach = np.stack([first, last], axis=1) - begin
    return Span(begin, end, Axis(taps, first - begin, reach))


def fitted_part(pixels: Tensor, rows: Span, columns: Span) -> Tensor:
    """(C, H, W) the rows and columns of both spans to the stretch of the result they stand for."""
    return _fetched(pixels.unsqueeze(0), rows.axis, columns.axis)[0]


@lru_cache(maxsize=32)
def axis_of(size: int, out: int, kernel: FitKernel) -> Axis:
    """From ``size`` px to ``out`` px."""
    step = size / out
    grown = max(step, 1.0)
    middle = (np.arange(out) + 0.5) * step - 0.5
    support = {"lanczos": float(LOBES), "area": 0.5, "bicubic": 2.0}[kernel] * grown
    # A box has something of every pixel it cuts; other kernels are nothing at their ends.
    first = np.floor(middle - support + (0.5 if kernel == "area" else 1.0)).astype(np.int64)
    count = math.ceil(2.0 * support) + (1 if kernel == "area" else 0)
    places = first[:, None] + np.arange(count)
    taps = _weights(kernel, places - middle[:, None], grown)
    taps /= taps.sum(axis=1, keepdims=True)
    reach = grown if kernel != "area" else support + 0.5
    near = np.stack([np.ceil(middle - reach), np.floor(middle + reach)], axis=1).astype(np.int64)
    return Axis(taps.astype(np.float32), first, near)


def covered(size: int, out: int) -> I64:
    """(out, 2) first and last pixel of ``size`` that each of ``out`` covers, in whole numbers."""
    at = np.arange(out, dtype=np.int64)
    return np.stack([at * size // out, ((at + 1) * size - 1) // out], axis=1)


def _weights(kernel: FitKernel, off: NDArray[np.float64], grown: float) -> NDArray[np.float64]:
    """off: places less the middle, px of the larger picture."""
    if kernel == "area":
        half = 0.5 * grown
        cut = np.minimum(off + 0.5, half) - np.maximum(off - 0.5, -half)
        found: NDArray[np.float64] = np.maximum(cut, 0.0)
        return found
    x = np.abs(off) / grown
    if kernel == "lanczos":
        window: NDArray[np.float64] = np.where(x < LOBES, np.sinc(x) * np.sinc(x / LOBES), 0.0)
        return window
    inner = 1.5 * x**3 - 2.5 * x**2 + 1.0
    outer = -0.5 * x**3 + 2.5 * x**2 - 4.0 * x + 2.0
    cubic: NDArray[np.float64] = np.where(x <= 1.0, inner, np.where(x < 2.0, outer, 0.0))
    return cubic


def _summed(pixels: Tensor, axis: Axis, dim: int) -> Tensor:
    shape = [1, 1, 1, 1]
    shape[dim] = len(axis.first)
    last = pixels.shape[dim] - 1
    total: Tensor | None = None
    for k in range(axis.taps.shape[1]):
        at = _sent(np.clip(axis.first + k, 0, last), pixels)
        tap = _sent(np.ascontiguousarray(axis.taps[:, k]), pixels).reshape(shape)
        part = pixels.index_select(dim, at) * tap
        total = part if total is None else total + part
    assert total is not None
    return total


def _folded(
    planes: Tensor, ranges: I64, dim: int, both: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """Lowest or highest over each of the ranges (n, 2) along one axis."""
    last = planes.shape[dim] - 1
    low, high = (np.clip(ranges[:, k], 0, last) for k in (0, 1))
    found = planes.index_select(dim, _sent(low, planes))
    for k in range(1, int((high - low).max()) + 1):
        at = _sent(np.minimum(low + k, high), planes)
        found = both(found, planes.index_select(dim, at))
    return found


def _sent(values: NDArray[np.float32] | I64, beside: Tensor) -> Tensor:
    return torch.from_numpy(values).to(beside.device)
