"""Measure how every part of the picture moves between near frames, to a hundredth of a pixel."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from restore.geometry import HALF, TAPS, sinc_taps
from restore.motion import luma, steering_image

GRID = (5, 8)
"""Rows and columns of cells in which motion is summed up."""
LAGS = (1, 2, 8)
"""Frames between the two of a pair. The longest keeps small errors from adding up along a shot."""
_WIDTH_PX = 640
"""Motion is measured at no more than this width."""
_FLOW_PX = 360
"""Width at which the flow gives each cell its start."""
_BORDER = 0.04
_ROUNDS = 3
_CONVERGED_PX = 0.05
"""A round that moves most cells no further than this is the last: steps shrink tenfold."""
_FAR_PX = 48
"""Further than this a cell is not followed."""
_LOST_PX = 5.0
"""Standard error of a cell that could not be measured."""

Plane = NDArray[np.float32]
F64 = NDArray[np.float64]


class WeaveProbe:
    """Motion of each cell of a grid, for pairs of near frames.

    Evidence: ``pairs`` (m, 2) frame numbers; ``motion_px`` (m, cells, 2) x and y in full-size
    px; ``spread_px`` (m, cells) standard error; ``cells_px`` (cells, 2) where the cells lie, x
    and y in full-size px from the middle of the frame; ``size_px`` (2,) height and width.
    """

    name = "weave"

    def __init__(self, proxy_scale: float) -> None:
        """proxy_scale: analysis size over full size, 1 or less."""
        self._proxy_scale = proxy_scale
        self._kept: list[_Seen] = []
        self._pairs: list[tuple[int, int]] = []
        self._motion: list[F64] = []
        self._spread: list[F64] = []
        self._size = (1.0, 1.0)
        self._cells = np.zeros((GRID[0] * GRID[1], 2))
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)

    def observe(self, frame: int, pixels: Tensor) -> None:
        """frame: scan number. pixels: (C, H, W) film log at analysis size."""
        seen = _seen(frame, pixels)
        if not self._kept:
            self._size = (
                pixels.shape[-2] / self._proxy_scale,
                pixels.shape[-1] / self._proxy_scale,
            )
            self._cells = seen.grid.middles_px() / (self._proxy_scale * seen.scale)
        for lag in LAGS:
            if lag <= len(self._kept):
                before = self._kept[-lag]
                motion, spread = _compared(before, seen, self._flow)
                self._pairs.append((before.frame, frame))
                self._motion.append(motion / (self._proxy_scale * seen.scale))
                self._spread.append(spread / (self._proxy_scale * seen.scale))
        self._kept = [*self._kept, seen][-max(LAGS) :]

    def finish(self) -> dict[str, object]:
        """The evidence; empty arrays for a one-frame shot."""
        cells = GRID[0] * GRID[1]
        return {
            "pairs": np.array(self._pairs, np.int64).reshape(-1, 2),
            "motion_px": np.array(self._motion).reshape(-1, cells, 2),
            "spread_px": np.array(self._spread).reshape(-1, cells),
            "cells_px": self._cells,
            "size_px": np.array(self._size),
        }


@dataclass(frozen=True, slots=True)
class _Grid:
    """Equal cells over the picture; a border is left out."""

    top: int
    left: int
    height: int
    """Of a cell, px."""
    width: int
    size: tuple[int, int]
    """Height and width of the picture."""

    @property
    def rows(self) -> slice:
        """All cells together."""
        return slice(self.top, self.top + GRID[0] * self.height)

    @property
    def cols(self) -> slice:
        return slice(self.left, self.left + GRID[1] * self.width)

    def middles_px(self) -> F64:
        """(cells, 2) x and y from the middle of the frame."""
        y = self.top + self.height * (np.arange(GRID[0]) + 0.5) - self.size[0] / 2
        x = self.left + self.width * (np.arange(GRID[1]) + 0.5) - self.size[1] / 2
        across, down = np.meshgrid(x, y)
        return np.stack([across.ravel(), down.ravel()], axis=1)

    def by_cell(self, plane: Plane) -> Plane:
        """(cells, px): every other row, without the rim, where a gradient mixes two cells."""
        cut = plane.reshape(GRID[0], self.height, GRID[1], self.width)[:, 1:-1:2, :, 1:-1]
        return cut.transpose(0, 2, 1, 3).reshape(GRID[0] * GRID[1], -1)


@dataclass(frozen=True, slots=True)
class _Seen:
    frame: int
    plane: Plane
    """(h, w) film log luma, lightly blurred."""
    wide: Plane
    """The same, its edges held for a while."""
    steer: NDArray[np.uint8]
    scale: float
    """Size of the plane over analysis size."""
    grid: _Grid


def _seen(frame: int, pixels: Tensor) -> _Seen:
    gray = luma(pixels)
    full = gray.detach().to("cpu").numpy()
    scale = min(1.0, _WIDTH_PX / full.shape[1])
    size = (max(2, round(full.shape[1] * scale)), max(2, round(full.shape[0] * scale)))
    small = full if scale == 1.0 else cv2.resize(full, size, interpolation=cv2.INTER_AREA)
    plane: Plane = cv2.GaussianBlur(small, (0, 0), 1.0, borderType=cv2.BORDER_REPLICATE)
    pad = _FAR_PX + TAPS
    wide: Plane = cv2.copyMakeBorder(plane, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
    reduced = min(1.0, _FLOW_PX / size[0])
    steer = steering_image(gray, (round(size[0] * reduced), round(size[1] * reduced)))
    h, w = plane.shape
    top, left = max(2, round(h * _BORDER)), max(2, round(w * _BORDER))
    cell = (max(1, (h - 2 * top) // GRID[0]), max(1, (w - 2 * left) // GRID[1]))
    return _Seen(
        frame, plane, wide, steer, size[0] / full.shape[1], _Grid(top, left, *cell, (h, w))
    )


def _compared(before: _Seen, after: _Seen, flow: cv2.DISOpticalFlow) -> tuple[F64, F64]:
    """(cells, 2) motion in px and (cells,) its standard error in px.

    Flow gives the start; a robust Gauss-Newton registration of each cell (Lucas and Kanade 1981,
    symmetric gradients, level differences removed) finishes it, because flow alone shrinks
    sub-pixel motion under grain. Cells are fetched with a 12-tap sinc: the cubic kernel of
    OpenCV is up to 0.047 px off between pixels, and its tables know only 1/32 px.
    """
    grid = after.grid
    motion = _start(before, after, flow)
    error = np.full(len(motion), _LOST_PX)
    if min(grid.height, grid.width) < 8:
        return motion, error
    pattern = before.plane[grid.rows, grid.cols]
    for _ in range(_ROUNDS):
        fetched, inside = _fetched(after, motion)
        step, error = _step(grid, pattern, fetched, inside)
        lost = np.abs(motion - step).max(axis=1) > _FAR_PX
        step[lost], error[lost] = 0.0, _LOST_PX
        motion = motion - step
        known = error < 0.5
        if not known.any() or np.quantile(np.abs(step[known]).max(axis=1), 0.75) < _CONVERGED_PX:
            break
    return motion, error


def _start(before: _Seen, after: _Seen, flow: cv2.DISOpticalFlow) -> F64:
    """(cells, 2) median of the flow."""
    h, w = before.steer.shape
    if min(h, w) < 32:
        return np.zeros((GRID[0] * GRID[1], 2))
    found = flow.calc(before.steer, after.steer, None)
    grid, (height, width) = before.grid, before.grid.size
    y = np.linspace(grid.top, grid.top + GRID[0] * grid.height, GRID[0] + 1) * h / height
    x = np.linspace(grid.left, grid.left + GRID[1] * grid.width, GRID[1] + 1) * w / width
    rows, cols = y.astype(int), x.astype(int)
    medians = [
        np.median(found[rows[r] : rows[r + 1] : 2, cols[c] : cols[c + 1]].reshape(-1, 2), axis=0)
        for r in range(GRID[0])
        for c in range(GRID[1])
    ]
    start = np.array(medians, np.float64) * np.array([width / w, height / h])
    clipped: F64 = np.clip(np.nan_to_num(start), -_FAR_PX, _FAR_PX)
    return clipped


def _fetched(after: _Seen, motion: F64) -> tuple[Plane, Plane | None]:
    """All cells, each fetched where it went, and which pixels lie in the frame (None: all do)."""
    grid = after.grid
    out = np.empty((GRID[0] * grid.height, GRID[1] * grid.width), np.float32)
    inside: Plane | None = None
    whole = np.floor(motion).astype(int)
    height, width = grid.size
    for k, (dx, dy) in enumerate(motion):
        top, left = (k // GRID[1]) * grid.height, (k % GRID[1]) * grid.width
        at = (slice(top, top + grid.height), slice(left, left + grid.width))
        y, x = grid.top + top + whole[k, 1], grid.left + left + whole[k, 0]
        first_y, first_x = y + _FAR_PX + TAPS - (HALF - 1), x + _FAR_PX + TAPS - (HALF - 1)
        part = after.wide[
            first_y : first_y + grid.height + TAPS - 1, first_x : first_x + grid.width + TAPS - 1
        ]
        across, down = sinc_taps(dx - whole[k, 0]), sinc_taps(dy - whole[k, 1])
        moved = cv2.sepFilter2D(part, cv2.CV_32F, across, down, anchor=(HALF - 1, HALF - 1))
        out[at] = moved[HALF - 1 : HALF - 1 + grid.height, HALF - 1 : HALF - 1 + grid.width]
        if y < 1 or x < 1 or y + grid.height > height - 2 or x + grid.width > width - 2:
            inside = np.ones_like(out) if inside is None else inside
            rows, cols = np.arange(y, y + grid.height), np.arange(x, x + grid.width)
            seen_y, seen_x = (rows >= 1) & (rows < height - 2), (cols >= 1) & (cols < width - 2)
            inside[at] = seen_y[:, None] & seen_x[None, :]
    return out, inside


def _step(grid: _Grid, pattern: Plane, fetched: Plane, inside: Plane | None) -> tuple[F64, F64]:
    """(cells, 2) Gauss-Newton step in px, and (cells,) the standard error it leaves."""
    mean = 0.5 * (pattern + fetched)
    across = grid.by_cell(cv2.Sobel(mean, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8))
    down = grid.by_cell(cv2.Sobel(mean, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8))
    r = grid.by_cell(fetched - pattern)
    every = max(1, r.shape[1] // 300)
    r -= np.median(r[:, ::every], axis=1, keepdims=True)
    scale = 1.4826 * np.median(np.abs(r[:, ::every]), axis=1, keepdims=True) + 1e-5
    weight = np.square(np.maximum(1.0 - np.square(r / (4.0 * scale)), 0.0))
    seen = np.ones(len(r))
    if inside is not None:
        within = grid.by_cell(inside)
        weight *= within
        seen = within.mean(axis=1)
    wx, wy = weight * across, weight * down

    def total(a: Plane, b: Plane) -> F64:
        sums: F64 = np.einsum("cp,cp->c", a, b, dtype=np.float64)
        return sums

    xx, xy, yy = total(wx, across) + 1e-9, total(wx, down), total(wy, down) + 1e-9
    xr, yr = total(wx, r), total(wy, r)
    det = xx * yy - xy * xy
    step = np.stack([(yy * xr - xy * yr) / det, (xx * yr - xy * xr) / det], axis=1)
    # Half the rows were looked at, and blurred pixels are not independent.
    error = 2.1 * scale[:, 0] * np.sqrt((xx + yy) / det)
    lost = seen < 0.3
    step[lost], error[lost] = 0.0, _LOST_PX
    return np.clip(step, -1.5, 1.5), np.minimum(error, _LOST_PX)
