"""Colors on a grid: means of 8 px blocks, and the same places found again in another view.

Keypoints sit on edges and corners. Walls, skin and sky have none, but they are what an eye
compares; once keypoints have said how two views lie on each other, blocks can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

BLOCK_PX = 8
_UNUSABLE = np.float32(9.0)
_EVEN_LOG = 0.035
"""Blocks with more inside than this are edges: half a pixel of misplacement shows."""
_NEAR_PX = 30.0
_GUIDES = 200
_MARGIN_LOG = 0.03
_CELL_LOG = 0.025
_PER_CELL = 4
_HIGH_PASS_BLOCKS = 3.0
_STILL_REACH_BLOCKS = 2
_STILL_LIKENESS = 0.75
_STILL_CLEAR = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """One view of a shot."""

    log: F32
    """(rows, columns, 3) film log."""
    even: F32
    """(rows, columns) standard deviation of luma inside each block; 9 where clipped or black."""


def measure_grid(image: F32, clip: tuple[float, float], black: float) -> Grid:
    """image: (H, W, 3) film log. clip: levels beyond which a color says nothing."""
    rows, columns = image.shape[0] // BLOCK_PX, image.shape[1] // BLOCK_PX
    if rows == 0 or columns == 0:
        return Grid(np.zeros((0, 0, 3), np.float32), np.zeros((0, 0), np.float32))
    cut = image[: rows * BLOCK_PX, : columns * BLOCK_PX]
    blocks = cut.reshape(rows, BLOCK_PX, columns, BLOCK_PX, 3)
    mean = blocks.mean(axis=(1, 3)).astype(np.float32)
    even = blocks.mean(axis=4).std(axis=(1, 3)).astype(np.float32)
    bad = (blocks.min(axis=(1, 3)) < clip[0]) | (blocks.max(axis=(1, 3)) > clip[1])
    spoiled = bad.any(axis=2) | (mean.max(axis=2) < black)
    # Frame lines and vignettes live at the border.
    spoiled[[0, -1]] = spoiled[:, [0, -1]] = True
    return Grid(mean, np.where(spoiled, _UNUSABLE, even))


def shared_colors(a: Grid, b: Grid, plane: F64, p: F32, q: F32, *, deep: bool) -> tuple[F64, F64]:
    """Colors of the same places in two views: (N, 3) film log twice.

    plane: (3, 3) homography from a to b, analysis pixels. p, q: (M, 2) matched points; how far
    they are off the plane is carried over to what lies around them. Only places near matches
    count: what has none may have moved. deep: the views differ by parallax, so more are needed.
    """
    if a.log.size == 0 or b.log.size == 0:
        return _nothing()
    grown = zoom(plane, p)
    if grown < 1.0:
        # Blocks of the closer view are the smaller ones on the scene: ask for them in the wider.
        y, x = (
            shared_colors(b, a, np.asarray(np.linalg.inv(plane), np.float64), q, p, deep=deep)
            if grown > 1e-2
            else (_nothing())
        )
        return x, y
    rows, columns = a.even.shape
    row, column = np.mgrid[0:rows, 0:columns]
    center = np.stack([column.ravel(), row.ravel()], axis=1) * BLOCK_PX + (BLOCK_PX - 1) / 2.0
    mine, even = a.log.reshape(-1, 3), a.even.ravel()
    few = np.linspace(0, len(p) - 1, min(len(p), _GUIDES)).round().astype(np.intp)
    p, q = p[few], q[few]
    residual = q.astype(np.float64) - _through(plane, p.astype(np.float64))
    near = np.exp(
        -0.5 * ((center[:, None] - p[None].astype(np.float64)) ** 2).sum(axis=2) / _NEAR_PX**2
    )
    total = near.sum(axis=1)
    off = (near @ residual) / np.maximum(total, 1.0)[:, None]
    usable = (even < _EVEN_LOG) & (total > (1.5 if deep else 0.3))
    steps = np.array([-1.0, 0.0, 1.0]) * BLOCK_PX / 3.0
    theirs = np.zeros_like(mine)
    worst = np.zeros(len(mine), np.float32)
    for dy in steps:
        for dx in steps:
            at = (_through(plane, center + np.array([dx, dy])) + off + 0.5) / BLOCK_PX - 0.5
            place = at.astype(np.float32).reshape(rows, columns, 2)
            # Whole blocks, not mixtures: a mixture would carry the edge between two of them.
            color = cv2.remap(
                b.log, place, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
            )
            level = cv2.remap(
                b.even,
                place,
                None,
                cv2.INTER_NEAREST,
                borderMode=cv2.BORDER_CONSTANT,
                borderValue=float(_UNUSABLE),
            )
            theirs += color.reshape(-1, 3) / 9.0
            worst = np.maximum(worst, level.ravel())
    usable &= worst < _EVEN_LOG
    return mine[usable].astype(np.float64), theirs[usable].astype(np.float64)


def zoom(plane: F64, at: F32) -> float:
    """How much larger the second view shows what lies around points (M, 2) of the first."""
    corners = np.array([[0, 0], [0, 1], [1, 0]], np.float64) * 100.0 + at.mean(axis=0)
    moved = _through(plane, corners)
    area = np.linalg.det(np.stack([moved[1] - moved[0], moved[2] - moved[0]]))
    return float(np.sqrt(abs(area))) / 100.0


def resting(a: Grid, b: Grid) -> tuple[F64, float] | None:
    """Shift (3, 3) and likeness 0..1 of two views from where the camera stands still.

    For pictures without keypoints: what stands out from its surroundings, on the grid. None
    unless one shift of at most two blocks fits well and clearly best.
    """
    if a.even.shape != b.even.shape or min(a.even.shape) < 12:
        return None
    first, second = _outstanding(a), _outstanding(b)
    reach = _STILL_REACH_BLOCKS
    inner = np.ascontiguousarray(first[reach:-reach, reach:-reach])
    likeness = cv2.matchTemplate(second, inner, cv2.TM_CCOEFF_NORMED)
    row, column = np.unravel_index(int(likeness.argmax()), likeness.shape)
    best = float(likeness[row, column])
    far = cv2.matchTemplate(second[::-1, ::-1].copy(), inner, cv2.TM_CCOEFF_NORMED)
    if best < _STILL_LIKENESS or best - float(far.max()) < _STILL_CLEAR:
        return None
    plane = np.eye(3)
    plane[0, 2], plane[1, 2] = (column - reach) * BLOCK_PX, (row - reach) * BLOCK_PX
    return plane, best


def agreeing(x: F64, y: F64, known_x: F64, known_y: F64) -> NDArray[np.bool_]:
    """(N,) which matches say about what surer ones say: things that moved do not.

    A robust line per channel through the surer ones, and a wide margin around it.
    """
    if len(known_x) < 8:
        return np.ones(len(x), dtype=np.bool_)
    expected = np.empty_like(x)
    left = np.empty_like(known_x)
    for c in range(3):
        slope, offset = _robust_line(known_x[:, c], known_y[:, c])
        expected[:, c] = slope * x[:, c] + offset
        left[:, c] = slope * known_x[:, c] + offset - known_y[:, c]
    usual = float(np.median(np.linalg.norm(left, axis=1)))
    reach = max(_MARGIN_LOG, 4.0 * usual)
    return np.asarray(np.linalg.norm(expected - y, axis=1) < reach)


def _robust_line(x: F64, y: F64) -> tuple[float, float]:
    weight = np.ones_like(x)
    slope, middle, level = 1.0, float(np.median(x)), float(np.median(y))
    for _ in range(12):
        total = weight.sum()
        middle, level = float(weight @ x / total), float(weight @ y / total)
        spread = float(weight @ (x - middle) ** 2 / total)
        shared = float(weight @ ((x - middle) * (y - level)) / total)
        # Few tones say little about contrast: as if a spread of 0.02 had a slope of 1.
        slope = (shared + 4e-4) / (spread + 4e-4)
        left = np.abs(slope * (x - middle) + level - y)
        scale = max(float(np.median(left)), 0.003)
        weight = 1.0 / (1.0 + (left / (2.0 * scale)) ** 2)
    return slope, level - slope * middle


def thinned(x: F64, y: F64) -> tuple[F64, F64]:
    """At most a few matches of each color, so that a large wall does not outvote all else."""
    cell = np.floor(x / _CELL_LOG).astype(np.int64)
    _, group = np.unique(cell, axis=0, return_inverse=True)
    order = np.argsort(group.ravel(), kind="stable")
    ranked = group.ravel()[order]
    starts = np.flatnonzero(np.diff(ranked, prepend=-1))
    place = np.arange(len(ranked)) - np.repeat(starts, np.diff([*starts, len(ranked)]))
    size = np.repeat(np.diff([*starts, len(ranked)]), np.diff([*starts, len(ranked)]))
    # Evenly spaced ones of each cell, whatever the order of places.
    step = np.maximum(size / _PER_CELL, 1.0)
    keep = np.floor(place / step) != np.floor((place - 1) / step)
    kept = np.sort(order[keep])
    return x[kept], y[kept]


def _outstanding(grid: Grid) -> F32:
    luma = grid.log.mean(axis=2)
    smooth = cv2.GaussianBlur(luma, (0, 0), _HIGH_PASS_BLOCKS)
    return np.asarray(luma - smooth, dtype=np.float32)


def _through(plane: F64, points: F64) -> F64:
    moved = np.c_[points, np.ones(len(points))] @ plane.T
    return np.asarray(moved[:, :2] / moved[:, 2:])


def _nothing() -> tuple[F64, F64]:
    return np.zeros((0, 3)), np.zeros((0, 3))
