"""Find what is fixed to the film in an overscan: perforations, and the edges of the picture.

A hole is light (or dark) and flat, as high and wide as perforations are, with film all around
it. An edge is where an even, dark border meets the picture. Both are looked for on one frame and
then found again on each frame where their profile crosses half of its own contrast, so that
flicker does not move them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from restore.motion import luma

F64 = NDArray[np.float64]
Plane = NDArray[np.float32]

HOLE, EDGE = 0, 1
_SIDE, _BORDER = 0.2, 0.28
"""Shares of the frame at its sides in which holes, and edges of the picture, are looked for."""
_HOLE_HEIGHT, _HOLE_WIDTH = (0.03, 0.22), (0.008, 0.09)
"""Sizes of perforations as shares of the frame: 35 mm with four to a frame, 16 mm with one."""
_FILLED = 0.85
_CONTRAST = 0.12
"""Film log between a hole and film, or a border and the picture."""
_FLAT = 0.03
"""Film log by which a hole or a border varies."""
_DARK = 0.35
"""Film log; borders are darker than this."""
_MARGIN_PX = 10
_SEGMENTS = 16
"""Places along a side at which an edge is found."""


@dataclass(frozen=True, slots=True)
class _Mark:
    """One profile: where it is taken, and what is looked for on it."""

    kind: int
    rows: slice
    cols: slice
    across: bool
    """The profile runs along x; else along y."""
    at: tuple[float, float]
    """x and y of the mark."""


class OverscanProbe:
    """Places of marks that are fixed to the film.

    Evidence: ``marks_px`` (k, 2) x and y in full-size px from the middle of the frame;
    ``along_x`` (k,) bool, whether a mark's place is an x or a y; ``kinds`` (k,) 0 perforation, 1
    edge; ``frames`` (n,) numbers; ``places_px`` (n, k) full-size px, NaN where not found.
    """

    name = "overscan"

    def __init__(self, proxy_scale: float) -> None:
        """proxy_scale: analysis size over full size, 1 or less."""
        self._scale = proxy_scale
        self._marks: list[_Mark] = []
        self._middle = (0.0, 0.0)
        self._frames: list[int] = []
        self._places: list[F64] = []

    def observe(self, frame: int, pixels: Tensor) -> None:
        """frame: scan number. pixels: (C, H, W) film log at analysis size."""
        plane = luma(pixels).detach().to("cpu").numpy()
        if not self._frames:
            self._middle = ((plane.shape[1] - 1) / 2, (plane.shape[0] - 1) / 2)
            self._marks = [*_holes(plane), *_edges(plane)]
        self._frames.append(frame)
        self._places.append(np.array([_place(plane, mark) for mark in self._marks], np.float64))

    def finish(self) -> dict[str, object]:
        """The evidence; no marks where the scan shows no overscan."""
        at = np.array([mark.at for mark in self._marks], np.float64).reshape(-1, 2)
        return {
            "marks_px": (at - np.array(self._middle)) / self._scale,
            "along_x": np.array([mark.across for mark in self._marks], np.bool_),
            "kinds": np.array([mark.kind for mark in self._marks], np.int64),
            "frames": np.array(self._frames, np.int64),
            "places_px": np.array(self._places).reshape(len(self._frames), len(at)) / self._scale,
        }


def _holes(plane: Plane) -> list[_Mark]:
    """Two marks for each perforation: its middle across and down."""
    h, w = plane.shape
    side = round(w * _SIDE)
    found = []
    for left in (0, w - side):
        strip = np.ascontiguousarray(plane[:, left : left + side])
        low, high = (float(v) for v in np.quantile(strip, (0.02, 0.98)))
        if high - low < _CONTRAST:
            continue
        steps = np.clip((strip - low) * (255.0 / (high - low)), 0, 255).astype(np.uint8)
        level, _ = cv2.threshold(steps, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
        boxes = [
            box
            for mask in (steps > level, steps <= level)
            for box in _hole_boxes(mask.astype(np.uint8), strip, (h, w))
        ]
        for top, bottom, first, last in _alike(boxes):
            middle = (left + (first + last - 1) / 2, (top + bottom - 1) / 2)
            inner_y, inner_x = (bottom - top) // 4, (last - first) // 4
            rows = slice(max(0, top - _MARGIN_PX), min(h, bottom + _MARGIN_PX))
            cols = slice(max(0, left + first - _MARGIN_PX), min(w, left + last + _MARGIN_PX))
            core_rows = slice(top + inner_y, bottom - inner_y)
            core_cols = slice(left + first + inner_x, left + last - inner_x)
            found.append(_Mark(HOLE, core_rows, cols, True, middle))
            found.append(_Mark(HOLE, rows, core_cols, False, middle))
    return found


def _hole_boxes(
    mask: NDArray[np.uint8], strip: Plane, size: tuple[int, int]
) -> list[tuple[int, int, int, int]]:
    """Top, bottom, left, right of what looks like a perforation in a strip."""
    h, w = size
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    boxes = []
    for k in range(1, count):
        x, y, width, height, area = (int(v) for v in stats[k])
        if not (_HOLE_HEIGHT[0] * h < height < _HOLE_HEIGHT[1] * h):
            continue
        if not (max(6, _HOLE_WIDTH[0] * w) < width < _HOLE_WIDTH[1] * w):
            continue
        whole = y > 2 and y + height < h - 2 and x > 1 and x + width < mask.shape[1] - 1
        if not whole or area < _FILLED * width * height:
            continue
        inside = strip[y + 2 : y + height - 2, x + 2 : x + width - 2]
        inside = inside[labels[y + 2 : y + height - 2, x + 2 : x + width - 2] == k]
        box = (y, y + height, x, x + width)
        if len(inside) and _spread(inside) < 2 * _FLAT and _film_around(strip, box, inside):
            boxes.append(box)
    return boxes


def _film_around(strip: Plane, box: tuple[int, int, int, int], inside: Plane) -> bool:
    """True when a hole lies in even film, which objects in a picture seldom do."""
    top, bottom, left, right = box
    near, far = 3, 7
    ring = np.concatenate(
        [
            strip[max(0, top - far) : max(0, top - near), left:right].ravel(),
            strip[bottom + near : bottom + far, left:right].ravel(),
            strip[top:bottom, max(0, left - far) : max(0, left - near)].ravel(),
            strip[top:bottom, right + near : right + far].ravel(),
        ]
    )
    contrast = abs(float(np.median(ring)) - float(np.median(inside))) if len(ring) else 0.0
    return contrast > _CONTRAST and _spread(ring) < 0.3 * contrast


def _spread(values: Plane) -> float:
    return float(np.quantile(values, 0.9) - np.quantile(values, 0.1))


def _alike(boxes: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    """Those of one size and one column: holes of a film are."""
    if not boxes:
        return []
    sizes = np.array([(b - t, r - le, le) for t, b, le, r in boxes], np.float64)
    usual = np.median(sizes, axis=0)
    near = (np.abs(sizes[:, :2] / usual[:2] - 1.0) < 0.15).all(axis=1)
    near &= np.abs(sizes[:, 2] - usual[2]) < 0.5 * usual[1]
    return [box for box, same in zip(boxes, near, strict=True) if same]


def _edges(plane: Plane) -> list[_Mark]:
    """Marks along each side on which an even, dark border meets the picture."""
    found = []
    for across in (True, False):
        lines = plane if across else np.ascontiguousarray(plane.T)
        length, width = lines.shape
        for mirrored in (False, True):
            border = _border(lines[:, ::-1] if mirrored else lines)
            if border is None:
                continue
            edge = width - border if mirrored else border
            reach = slice(max(0, edge - _MARGIN_PX), min(width, edge + _MARGIN_PX))
            inner = np.linspace(0.1 * length, 0.9 * length, _SEGMENTS + 1).astype(int)
            for a, b in pairwise(inner):
                part = slice(int(a), int(b))
                along = (int(a) + int(b) - 1) / 2
                at = (edge - 0.5, along) if across else (along, edge - 0.5)
                rows, cols = (part, reach) if across else (reach, part)
                found.append(_Mark(EDGE, rows, cols, across, at))
    return found


def _border(lines: Plane) -> int | None:
    """How many leading columns of (rows, columns) are an even, dark border; None without one."""
    width = lines.shape[1]
    inner = lines[lines.shape[0] // 6 : -(lines.shape[0] // 6) or None, : round(_BORDER * width)]
    low, middle, high = np.quantile(inner, (0.1, 0.5, 0.9), axis=0)
    even = (high - low < _FLAT) & (middle < _DARK)
    even &= np.abs(middle - middle[0]) < _FLAT
    count = int(np.argmin(even)) if not even.all() else 0
    if count < 4 or count > len(even) - _MARGIN_PX:
        return None
    return count if float(middle[count + 4] - middle[count - 3]) > 0.3 * _CONTRAST else None


def _place(plane: Plane, mark: _Mark) -> float:
    """Where a mark lies on this frame, px; NaN when it is not found."""
    part = plane[mark.rows, mark.cols]
    profile = part.mean(axis=0 if mark.across else 1).astype(np.float64)
    first = (mark.cols if mark.across else mark.rows).start
    if mark.kind == EDGE:
        edge = _edge(profile)
        return float("nan") if edge is None else float(first + edge)
    middle = len(profile) // 2
    before, after = _edge(profile[: middle + 1]), _edge(profile[middle:])
    if before is None or after is None:
        return float("nan")
    return float(first + 0.5 * (before + middle + after))


def _edge(profile: F64) -> float | None:
    """Where a profile crosses half of the step it makes, judged from close by on both sides."""
    at = _crossings(profile, 0.5 * (profile.min() + profile.max()))
    if len(at) != 1:
        return None
    k = round(at[0])
    low, high = profile[max(0, k - 6) : max(1, k - 2)], profile[k + 3 : k + 7]
    if not len(high) or abs(low.mean() - high.mean()) < _CONTRAST:
        return None
    near = profile[max(0, k - 3) : k + 5]
    fine = _crossings(near, 0.5 * (low.mean() + high.mean()))
    return max(0, k - 3) + fine[0] if len(fine) == 1 else None


def _crossings(profile: F64, level: float) -> list[float]:
    """Places at which a profile passes a level, between samples."""
    above = profile > level
    at = np.flatnonzero(above[1:] != above[:-1])
    step = profile[at + 1] - profile[at]
    return [float(v) for v in at + (level - profile[at]) / step]
