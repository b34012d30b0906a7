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
_PLACES = 12
"""Places along a cell, each way, at which the flow is asked."""
_BORDER = 0.04
_SAMPLES = 300
"""Pixels of a cell that say how far it differs."""
_ROUNDS = 3
_CONVERGED_PX = 0.05
"""A round that moves most cells no further than this is the last: steps shrink tenfold."""
_FAR_PX = 48
"""Further than this a cell is not followed."""
_GRAIN_DOUBT = 0.2
"""The strength of its grain is known to this share in a cell."""
_BESIDE_PX, _LINE_RIM_PX, _LINE_ROWS = 5, 3, 4
"""A line is compared with what lies this far to its sides; so much around it is left out; and it
is looked for in every so many rows."""
_LINE = 0.006
"""Film log by which it stands out."""
_LOST_PX = 5.0
"""Standard error of a cell that could not be measured."""
_LOST = np.array([_LOST_PX**2, 0.0, _LOST_PX**2])
_ROUNDED = 1e-5
"""Share of the slopes of a cell that sums in single precision may be off by."""
_FROM_FIT = 2.1
"""Standard error over that of as many independent pixels."""

Plane = NDArray[np.float32]
F64 = NDArray[np.float64]


class WeaveProbe:
    """Motion of each cell of a grid, for pairs of near frames.

    Evidence: ``pairs`` (m, 2) frame numbers; ``motion_px`` (m, cells, 2) x and y in full-size
    px; ``covariance_px2`` (m, cells, 3) of its error, x with x, x with y, y with y;
    ``cells_px`` (cells, 2) where the cells lie, x and y in full-size px from the middle of the
    frame; ``size_px`` (2,) height and width.
    """

    name = "weave"

    def __init__(self, proxy_scale: float) -> None:
        """proxy_scale: analysis size over full size, 1 or less."""
        self._proxy_scale = proxy_scale
        self._kept: list[_Seen] = []
        self._pairs: list[tuple[int, int]] = []
        self._motion: list[F64] = []
        self._covariance: list[F64] = []
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
                motion, covariance = _compared(before, seen, self._flow)
                self._pairs.append((before.frame, frame))
                self._motion.append(motion / (self._proxy_scale * seen.scale))
                self._covariance.append(covariance / (self._proxy_scale * seen.scale) ** 2)
        self._kept = [*self._kept, seen][-max(LAGS) :]

    def finish(self) -> dict[str, object]:
        """The evidence; empty arrays for a one-frame shot."""
        cells = GRID[0] * GRID[1]
        return {
            "pairs": np.array(self._pairs, np.int64).reshape(-1, 2),
            "motion_px": np.array(self._motion).reshape(-1, cells, 2),
            "covariance_px2": np.array(self._covariance).reshape(-1, cells, 3),
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


@dataclass(frozen=True, slots=True)
class _Seen:
    frame: int
    plane: Plane
    """(h, w) film log luma, lightly blurred."""
    wide: Plane
    """The same, its edges held for a while."""
    lines: NDArray[np.bool_]
    """(w,) columns in which a line runs from top to bottom."""
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
        frame,
        plane,
        wide,
        _lines(plane),
        steer,
        size[0] / full.shape[1],
        _Grid(top, left, *cell, (h, w)),
    )


def _lines(plane: Plane) -> NDArray[np.bool_]:
    """(w,) columns of lines from top to bottom: scratches stand still in the scan.

    A line is brighter, or darker, than what lies some px to its left and to its right.
    """
    found = np.zeros(plane.shape[1], np.bool_)
    if plane.shape[1] <= 4 * _BESIDE_PX:
        return found
    rows = plane[::_LINE_ROWS]
    here = rows[:, _BESIDE_PX:-_BESIDE_PX]
    left, right = here - rows[:, : -2 * _BESIDE_PX], here - rows[:, 2 * _BESIDE_PX :]
    stands_out = np.where(left * right > 0.0, np.minimum(np.abs(left), np.abs(right)), 0.0)
    strength = np.median(np.copysign(stands_out, left), axis=0)
    found[_BESIDE_PX:-_BESIDE_PX] = np.abs(strength) > _LINE
    with_rim = np.convolve(found, np.ones(2 * _LINE_RIM_PX + 1), mode="same") > 0.5
    return np.asarray(with_rim, np.bool_)


def _compared(before: _Seen, after: _Seen, flow: cv2.DISOpticalFlow) -> tuple[F64, F64]:
    """(cells, 2) motion in px and (cells, 3) covariance of its error in px^2.

    Flow gives the start; a robust Gauss-Newton registration of each cell (Lucas and Kanade 1981,
    symmetric gradients, level differences removed) finishes it, because flow alone shrinks
    sub-pixel motion under grain. Lines from top to bottom are left out: scratches stand still in
    the scan. Cells are fetched with a 12-tap sinc: the cubic kernel of OpenCV is up to 0.047 px
    off between pixels, and its tables know only 1/32 px.
    """
    grid = after.grid
    motion = _start(before, after, flow)
    covariance = np.tile(_LOST, (len(motion), 1))
    if min(grid.height, grid.width) < 8:
        return motion, covariance
    pattern = np.ascontiguousarray(before.plane[grid.rows, grid.cols])
    for _ in range(_ROUNDS):
        fetched, inside = _fetched(after, motion)
        inside = _without_lines(before, after, motion, inside)
        step, covariance = _step(pattern, fetched, inside)
        lost = np.abs(motion - step).max(axis=1) > _FAR_PX
        step[lost], covariance[lost] = 0.0, _LOST
        motion = motion - step
        if _converged(step, covariance):
            break
    return motion, covariance


def _converged(step: F64, covariance: F64) -> bool:
    """Whether most cells hardly moved along the axis in which they know best where they went."""
    least, way = _best_known(covariance)
    known = least < 0.5
    if not known.any():
        return True
    along = np.abs((step[known] * way[known]).sum(axis=1))
    return bool(np.quantile(along, 0.75) < _CONVERGED_PX)


def _best_known(covariance: F64) -> tuple[F64, F64]:
    """(cells,) standard error in px along the best known axis, and (cells, 2) that axis."""
    spread, ways = np.linalg.eigh(_matrices(*covariance.T))
    return np.sqrt(spread[:, 0]), ways[:, :, 0]


def _start(before: _Seen, after: _Seen, flow: cv2.DISOpticalFlow) -> F64:
    """(cells, 2) median of the flow."""
    h, w = before.steer.shape
    if min(h, w) < 32:
        return np.zeros((GRID[0] * GRID[1], 2))
    found = flow.calc(before.steer, after.steer, None)
    grid, (height, width) = before.grid, before.grid.size
    y = grid.top + grid.height * (np.arange(GRID[0] * _PLACES) + 0.5) / _PLACES
    x = grid.left + grid.width * (np.arange(GRID[1] * _PLACES) + 0.5) / _PLACES
    rows, cols = (y * h / height).astype(int), (x * w / width).astype(int)
    some = found[rows[:, None], cols].reshape(GRID[0], _PLACES, GRID[1], _PLACES, 2)
    medians = np.median(some, axis=(1, 3)).reshape(-1, 2)
    start = medians.astype(np.float64) * np.array([width / w, height / h])
    clipped: F64 = np.clip(np.nan_to_num(start), -_FAR_PX, _FAR_PX)
    return clipped


def _fetched(after: _Seen, motion: F64) -> tuple[Plane, Plane | None]:
    """All cells, each fetched where it went, and which pixels lie in the frame (None: all do)."""
    from restore.weave import compiled  # compiled on first use, not at import

    grid = after.grid
    out = np.empty((GRID[0] * grid.height, GRID[1] * grid.width), np.float32)
    whole = np.floor(motion).astype(int)
    row, column = np.divmod(np.arange(len(motion)), GRID[1])
    y = grid.top + row * grid.height + whole[:, 1]
    x = grid.left + column * grid.width + whole[:, 0]
    first = np.stack([y, x], axis=1) + (_FAR_PX + TAPS - (HALF - 1))
    across, down = (sinc_taps(part) for part in (motion - whole).T)
    compiled.fetched(after.wide, first, across, down, GRID[1], out)
    height, width = grid.size
    leaves = (y < 1) | (x < 1) | (y + grid.height > height - 2) | (x + grid.width > width - 2)
    if not leaves.any():
        return out, None
    inside = np.ones_like(out)
    for k in np.flatnonzero(leaves):
        top, left = row[k] * grid.height, column[k] * grid.width
        rows, cols = np.arange(y[k], y[k] + grid.height), np.arange(x[k], x[k] + grid.width)
        seen_y, seen_x = (rows >= 1) & (rows < height - 2), (cols >= 1) & (cols < width - 2)
        part_of = (slice(top, top + grid.height), slice(left, left + grid.width))
        inside[part_of] = seen_y[:, None] & seen_x[None, :]
    return out, inside


def _without_lines(before: _Seen, after: _Seen, motion: F64, inside: Plane | None) -> Plane | None:
    """1 where a pixel lies in the frame and on no line of either picture (None: everywhere)."""
    if not (before.lines.any() or after.lines.any()):
        return inside
    grid = after.grid
    shape = (GRID[0] * grid.height, GRID[1] * grid.width)
    kept = np.ones(shape, np.float32) if inside is None else inside
    kept[:, before.lines[grid.cols]] = 0.0
    width = grid.size[1]
    for k, across in enumerate(np.rint(motion[:, 0]).astype(int)):
        row, column = divmod(k, GRID[1])
        cols = np.arange(grid.width) + grid.left + column * grid.width + across
        hit = np.flatnonzero(after.lines[np.clip(cols, 0, width - 1)])
        kept[row * grid.height : (row + 1) * grid.height, column * grid.width + hit] = 0.0
    return kept


def _step(pattern: Plane, fetched: Plane, inside: Plane | None) -> tuple[F64, F64]:
    """(cells, 2) Gauss-Newton step in px, and (cells, 3) covariance of the error it leaves.

    Slopes of grain are no texture, yet they stand in the normal matrix, and cells without texture
    seem to know where they went (errors in variables, Fuller 1987). Grain of the mean of two
    pictures is independent of that of their difference, and its slopes are half as large: so
    much is taken off before errors are told. The step is only made shorter by it, and rounds
    lead to the same place. A cell that holds one upright edge knows its way across, not up or down.
    """
    from restore.weave import compiled

    some = compiled.sampled(pattern, fetched, *GRID, _SAMPLES)
    middle = np.median(some, axis=1)
    scale = 1.4826 * np.median(np.abs(some - middle[:, None]), axis=1) + 1e-5
    lies = pattern[:0] if inside is None else inside
    width = 4.0 * scale
    sums = compiled.normal_sums(pattern, fetched, lies, middle, width, GRID[1])
    xx, xy, yy, xr, yr, seen, say = sums.T
    # Of a cell whose edges all run one way nothing else is left but what rounding makes of it.
    least = _ROUNDED * (xx + yy) + 1e-9
    whole = _matrices(xx + least, xy, yy + least)
    step = np.linalg.solve(whole, np.stack([xr, yr], axis=1)[:, :, None])[:, :, 0]
    slopes = compiled.difference_slopes(pattern, fetched, middle, width, GRID[1], _SAMPLES)
    # How rough grain is for its strength is the same everywhere; what moved in a cell is not.
    rough = 0.25 * np.median(slopes / np.square(scale)[:, None], axis=0)
    grain = rough * (np.square(scale) * say)[:, None]
    texture = whole - _matrices(grain[:, 0], np.zeros_like(xy), grain[:, 1])
    # Along and across the texture of a cell, the share of its slopes that is texture.
    root = np.linalg.inv(np.linalg.cholesky(whole))
    share, ways = np.linalg.eigh(root @ texture @ root.swapaxes(1, 2))
    sure = np.maximum(share - _GRAIN_DOUBT * (1.0 - share), 1e-3)
    # Half the rows were looked at, and blurred pixels are not independent.
    each = (_FROM_FIT * scale)[:, None, None] * (root.swapaxes(1, 2) @ ways) / sure[:, None, :]
    lost = seen < 0.3
    step[lost], each[lost] = 0.0, _LOST_PX * np.eye(2)
    return np.clip(step, -1.5, 1.5), _held(each @ each.swapaxes(1, 2))


def _held(covariance: F64) -> F64:
    """(cells, 3) with no standard error above what a lost cell has."""
    spread, ways = np.linalg.eigh(covariance)
    some = (ways * np.minimum(spread, _LOST_PX**2)[:, None, :]) @ ways.swapaxes(1, 2)
    return np.stack([some[:, 0, 0], some[:, 0, 1], some[:, 1, 1]], axis=1)


def _matrices(xx: F64, xy: F64, yy: F64) -> F64:
    """(cells, 2, 2)."""
    return np.stack([np.stack([xx, xy], axis=1), np.stack([xy, yy], axis=1)], axis=1)
