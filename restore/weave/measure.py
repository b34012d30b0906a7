"""Measure how every part of the picture moves, frame to frame."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from restore.motion import Pair, PairTracker

GRID = (4, 6)
"""Rows and columns of cells in which motion is summed up."""
_ROUNDS = 4
_CONVERGED_PX = 0.004
"""A round that moves no cell further than this is the last."""


class WeaveProbe:
    """Median motion of each cell of a grid, for each pair of near frames.

    Evidence: ``pairs`` (m, 2) frame numbers, ``motion_px`` (m, cells, 2) x and y in full-size
    px, ``spread_px`` (m, cells) standard error.
    """

    name = "weave"

    def __init__(self, tracker: PairTracker, proxy_scale: float) -> None:
        """proxy_scale: analysis size over full size, 1 or less."""
        self._tracker = tracker
        self._scale = proxy_scale
        self._pairs: list[tuple[int, int]] = []
        self._motion: list[NDArray[np.float64]] = []
        self._spread: list[NDArray[np.float64]] = []

    def observe(self, frame: int, pixels: Tensor) -> None:
        """frame: scan number. pixels: (C, H, W) film log at analysis size."""
        for pair in self._tracker.pairs(frame, pixels):
            motion, spread = _refined(pair)
            self._pairs.append((pair.first, pair.second))
            self._motion.append(motion / self._scale)
            self._spread.append(spread / self._scale)

    def finish(self) -> dict[str, object]:
        """The evidence; empty arrays for a one-frame shot."""
        cells = GRID[0] * GRID[1]
        return {
            "pairs": np.array(self._pairs, np.int64).reshape(-1, 2),
            "motion_px": np.array(self._motion).reshape(-1, cells, 2),
            "spread_px": np.array(self._spread).reshape(-1, cells),
        }


@dataclass(frozen=True, slots=True)
class _Cell:
    rows: slice
    cols: slice


def _cells(h: int, w: int) -> list[_Cell]:
    """The grid, with a border of 4 % left out."""
    ys = np.linspace(max(2, h // 25), h - max(2, h // 25), GRID[0] + 1).astype(int)
    xs = np.linspace(max(2, w // 25), w - max(2, w // 25), GRID[1] + 1).astype(int)
    return [
        _Cell(slice(int(y0), int(y1)), slice(int(x0), int(x1)))
        for y0, y1 in pairwise(ys)
        for x0, x1 in pairwise(xs)
    ]


def _refined(pair: Pair) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(cells, 2) motion in px and (cells,) its uncertainty in px.

    The median of the flow is the start; a robust Gauss-Newton registration of each cell
    (Lucas and Kanade 1981, symmetric gradients, level differences removed) finishes it, because
    dense flow alone shrinks sub-pixel motion under grain.
    """
    h, w = pair.before.shape
    cells = _cells(h, w)
    motion = np.array(
        [np.median(pair.flow[c.rows, c.cols].reshape(-1, 2), axis=0) for c in cells], np.float64
    )
    uncertain = np.full(len(cells), 1.0)
    slope_before = _gradient(pair.before)
    base_x, base_y = np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32))
    map_x, map_y = base_x.copy(), base_y.copy()
    for _ in range(_ROUNDS):
        for cell, (dx, dy) in zip(cells, motion, strict=True):
            map_x[cell.rows, cell.cols] = base_x[cell.rows, cell.cols] + np.float32(dx)
            map_y[cell.rows, cell.cols] = base_y[cell.rows, cell.cols] + np.float32(dy)
        fetched = cv2.remap(
            pair.after, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        inside = (map_x >= 1) & (map_x <= w - 2) & (map_y >= 1) & (map_y <= h - 2)
        residual = fetched - pair.before
        slope = 0.5 * (slope_before + _gradient(fetched))
        largest_px = 0.0
        for i, cell in enumerate(cells):
            step, uncertain[i] = _step(cell, residual, inside, slope)
            step = np.clip(step, -1.5, 1.5)
            motion[i] -= step
            largest_px = max(largest_px, float(np.abs(step).max()))
        if largest_px < _CONVERGED_PX:
            break
    return motion, uncertain


def _gradient(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """(2, H, W) central differences, x then y, film log per px."""
    gx = cv2.Sobel(plane, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
    gy = cv2.Sobel(plane, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
    return np.stack([gx, gy])


def _step(
    cell: _Cell,
    residual: NDArray[np.float32],
    inside: NDArray[np.bool_],
    slope: NDArray[np.float32],
) -> tuple[NDArray[np.float64], float]:
    """One Gauss-Newton step (x, y) in px for a cell, and the standard error it leaves."""
    # The planes are blurred: every other row holds nearly all there is to know. The rim of a
    # cell is left out, where the gradient of the fetched picture mixes two cells.
    rows = slice(cell.rows.start + 1, cell.rows.stop - 1, 2)
    cols = slice(cell.cols.start + 1, cell.cols.stop - 1)
    ok = inside[rows, cols].ravel()
    if ok.sum() < 32:
        return np.zeros(2), 5.0
    r = residual[rows, cols].ravel()
    g = slope[:, rows, cols].reshape(2, -1)
    if not ok.all():
        r, g = r[ok], g[:, ok]
    r = r - np.median(r[::2])
    scale = 1.4826 * float(np.median(np.abs(r[::2]))) + 1e-5
    weight = np.square(np.clip(1.0 - np.square(r / (4.0 * scale)), 0.0, None))
    weighted = g * weight
    normal = (weighted @ g.T).astype(np.float64) + np.eye(2) * 1e-9
    step = np.linalg.solve(normal, (weighted @ r).astype(np.float64))
    error = scale * float(np.sqrt(np.trace(np.linalg.inv(normal))))
    # Half the rows were looked at, and blurred pixels are not independent.
    return step, min(error * 2.1, 5.0)
