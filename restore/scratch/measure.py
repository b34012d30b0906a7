"""Find thin vertical lines in each frame, and how the picture moves around them.

A line is a column that is lighter, or darker, than the columns on both of its sides over most
of the height (column profile matched filter; after Kokaram 1998 and Newson et al. 2014, who
tell scratches from the scene by motion afterwards, as ``restore.scratch.solve`` does).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from restore.motion import find_flow, luma, steering_image
from restore.scratch.ends import Rows
from restore.scratch.lean import leaning, upright

FIELDS = (
    "frame",
    "x_px",
    "width_px",
    "strength",
    "top_px",
    "bottom_px",
    "extent",
    "through",
    "first_row",
    "row_behind",
    "first_step",
    "last_step",
    "beyond",
    "lean_px",
)
"""Columns of the ``candidates`` table."""
MOTION_BINS = 16
"""Vertical bands of the frame in which its motion is summed up."""
_STRIPS = 16
_WIDTHS_PX = (1, 2, 3, 4, 6, 8)
_STRENGTH_FLOOR = 0.008
"""Film log (4 printer points of a hundred): fainter lines are not seen in projection."""
_MOST_PER_FRAME = 24
_LEAST_SIDE_PX = 2
"""A line nearer to the frame's edge is judged from its other side alone."""
_MOTION_WIDTH_PX = 320

F64 = NDArray[np.float64]
F32 = NDArray[np.float32]


class ScratchProbe:
    """Candidate lines of each frame, and the horizontal motion of the picture.

    Evidence: ``candidates`` (m, 14) float64 with the columns of ``FIELDS`` (px at full size,
    strength in film log, positive where the line is lighter; extent the share of the height
    from end to end; through the share of the picture's detail that is seen under the line; the
    next four where it ends, to the row, and how sharply, see ``restore.scratch.ends``; beyond how
    much of the picture's detail on one side is seen on the other, 0 where there is no other;
    lean_px by how much it lies further right at the foot of the frame than at its head),
    ``frames`` (n,), ``motion_x_px`` (n, bins) median motion since the frame before, 0 for the
    first, ``size_px`` (height, width).
    """

    name = "scratch"

    def __init__(self) -> None:
        self._candidates: list[list[float]] = []
        self._frames: list[int] = []
        self._motion: list[F64] = []
        self._before: NDArray[np.uint8] | None = None
        self._size_px = (0, 0)

    def observe(self, frame: int, pixels: Tensor) -> None:
        """frame: scan number. pixels: (C, H, W) film log, full size; frames come in order."""
        tensor = luma(pixels)
        plane = tensor.detach().cpu().numpy().astype(np.float32, copy=False)
        self._size_px = (plane.shape[0], plane.shape[1])
        self._frames.append(frame)
        self._candidates += [[float(frame), *found] for found in find_lines(plane)]
        step = max(1, -(-plane.shape[1] // _MOTION_WIDTH_PX))
        small = steering_image(tensor[::step, ::step])
        self._motion.append(_motion_x(self._before, small) * step)
        self._before = small

    def finish(self) -> dict[str, object]:
        """The evidence; an empty table where no frame shows a line."""
        return {
            "candidates": np.array(self._candidates, np.float64).reshape(-1, len(FIELDS)),
            "frames": np.array(self._frames, np.int64),
            "motion_x_px": np.array(self._motion, np.float64).reshape(-1, MOTION_BINS),
            "size_px": np.array(self._size_px, np.int64),
        }


def _motion_x(before: NDArray[np.uint8] | None, now: NDArray[np.uint8]) -> F64:
    """(bins,) median horizontal motion in px from one frame to the next, by vertical band."""
    if before is None or before.shape != now.shape:
        return np.zeros(MOTION_BINS)
    flow = find_flow(before, now)[..., 0]
    bands = np.array_split(flow, MOTION_BINS, axis=1)
    return np.array([np.median(b) if b.size else 0.0 for b in bands], np.float64)


def find_lines(plane: F32) -> list[list[float]]:
    """Candidate lines of one frame: ``FIELDS`` without the frame, strongest first.

    plane: (H, W) film log luma. A frame too small to judge has none.
    """
    h, w = plane.shape
    if h < 4 * _STRIPS or w < 6 * max(_WIDTHS_PX):
        return []
    edges = np.linspace(0, h, _STRIPS + 1).astype(int)
    strips = _strips(plane, edges)
    score = np.zeros(w)
    strength = np.zeros(w)
    width = np.zeros(w, np.int64)
    shown: dict[int, F64] = {}
    for width_px in _WIDTHS_PX:
        sided, straight, alone = _responses(strips, width_px)
        shown[width_px] = sided
        level = np.median(sided, axis=0)
        spread = 1.4826 * np.median(np.abs(sided - level), axis=0) / np.sqrt(_STRIPS)
        # What the scene itself does in columns of this width sets the bar.
        usual = 1.4826 * float(np.median(np.abs(np.median(straight, axis=0))))
        sure = (np.abs(level) > max(_STRENGTH_FLOOR, 3.0 * usual)) & (np.abs(level) > 4.0 * spread)
        # The matched width collects the most signal: level times the root of the width. One
        # side says half of what two do.
        gained = np.where(sure, np.abs(level) * np.sqrt(width_px), 0.0) * np.where(alone, 0.5, 1.0)
        better = gained > score
        score[better], strength[better], width[better] = gained[better], level[better], width_px
    lines: list[list[float]] = []
    rows = Rows(plane)
    for x in _peaks(score, width):
        width_px = int(width[x])
        lean_px, middle = leaning(shown[width_px], x, strength[x])
        if lean_px:
            line = _leant(plane, rows, middle, lean_px, width_px, edges)
            if line is None or any(abs(line[0] - other[0]) < width_px for other in lines):
                continue
        else:
            line = _described(plane, shown[width_px], edges, x, width_px, strength[x])
            line += rows.ends(plane, line[0], width_px, line[2])
            line.append(_beyond(plane, line[0], width_px))
        lines.append([*line, lean_px])
    return lines


def _leant(
    plane: F32, rows: Rows, middle: float, lean_px: float, width_px: int, edges: NDArray[np.int64]
) -> list[float] | None:
    """One row of the table, up to ``beyond``, for a line that leans; None where nothing is left of
    it once it is set upright."""
    straight, at = upright(plane, middle, lean_px)
    sided = _responses(_strips(straight, edges), width_px)[0]
    near = np.abs(np.median(sided[:, at - 1 : at + 2], axis=0))
    x = at - 1 + int(np.argmax(near))
    strength = float(np.median(sided[:, x]))
    if abs(strength) <= _STRENGTH_FLOOR:
        return None
    line = _described(straight, sided, edges, x, width_px, strength)
    line += rows.ends(straight, line[0], width_px, strength)
    line.append(_beyond(straight, line[0], width_px))
    return [line[0] + middle - at, *line[1:]]


def _strips(plane: F32, edges: NDArray[np.int64]) -> F64:
    """(strips, W) means of the rows between edges."""
    strips: F64 = np.add.reduceat(plane.astype(np.float64), edges[:-1], axis=0)
    return strips / np.diff(edges)[:, None]


def _responses(strips: F64, width_px: int) -> tuple[F64, F64, NDArray[np.bool_]]:
    """(strips, W) how far a column group lies outside both its sides; and from their mean; and
    (W,) where there is one side only.

    The first is 0 where it lies between them, so that a step edge is no line. At the frame's edge
    there is one side only, and a step is one.
    """
    side_px = max(3, width_px)
    w = strips.shape[1]
    total = np.concatenate([np.zeros((len(strips), 1)), np.cumsum(strips, axis=1)], axis=1)
    first = np.arange(w) - (width_px - 1) // 2
    whole = (first >= 0) & (first + width_px <= w)

    def mean(start: NDArray[np.int64], length: int) -> tuple[F64, NDArray[np.int64]]:
        begin, stop = np.clip(start, 0, w), np.clip(start + length, 0, w)
        sums: F64 = (total[:, stop] - total[:, begin]) / np.maximum(stop - begin, 1)
        return sums, stop - begin

    centre = np.where(whole, mean(first, width_px)[0], 0.0)
    before, columns = mean(first - 1 - side_px, side_px)
    behind, more = mean(first + width_px + 1, side_px)
    left = np.where(whole, centre - before, 0.0)
    right = np.where(whole, centre - behind, 0.0)
    left, right = (
        np.where(columns < _LEAST_SIDE_PX, right, left),
        np.where(more < _LEAST_SIDE_PX, left, right),
    )
    agree = np.sign(left) == np.sign(right)
    sided = np.where(agree, np.sign(left) * np.minimum(np.abs(left), np.abs(right)), 0.0)
    return sided, 0.5 * (left + right), (columns < _LEAST_SIDE_PX) | (more < _LEAST_SIDE_PX)


def _peaks(score: F64, width: NDArray[np.int64]) -> list[int]:
    """Columns of the strongest lines; weaker ones that overlap a stronger are left out."""
    chosen: list[int] = []
    for x in np.argsort(-score, kind="stable"):
        if score[x] <= 0.0 or len(chosen) >= _MOST_PER_FRAME:
            break
        # Seen from one side, what lies beside a line is its mirror image.
        inner = min(x, len(score) - 1 - x) - (width[x] - 1) // 2 - 1
        free = 2 if inner >= _LEAST_SIDE_PX else 2 + max(3, int(width[x]))
        if all(abs(x - c) > (width[x] + width[c]) / 2 + free for c in chosen):
            chosen.append(int(x))
    return chosen


def _described(
    plane: F32, sided: F64, edges: NDArray[np.int64], x: int, width_px: int, strength: float
) -> list[float]:
    """One row of the table, up to ``through``, without the frame."""
    present = sided[:, x] * np.sign(strength) > 0.3 * abs(strength)
    rows = np.flatnonzero(present)
    top, bottom = (int(edges[rows[0]]), int(edges[rows[-1] + 1])) if len(rows) else (0, 0)
    # Sub-pixel place: centre of gravity of the strength around the peak.
    around = np.arange(max(x - 2, 0), min(x + 3, sided.shape[1]))
    mass = np.clip(np.median(sided[:, around], axis=0) * np.sign(strength), 0.0, None)
    at = float((mass * around).sum() / mass.sum()) if mass.sum() > 0 else float(x)
    at += 0.5 if width_px % 2 == 0 else 0.0
    extent = (bottom - top) / len(plane)
    through = _through(plane, at, width_px)
    return [at, float(width_px), float(strength), float(top), float(bottom), extent, through]


def _through(plane: F32, x_px: float, width_px: int) -> float:
    """Share of the detail beside the line that is seen again under it: 1 clear, 0 hidden.

    A scratch in the base or the gelatine lets the picture through; a pole in the scene hides it.
    A regression slope, not a correlation: a little of the surroundings always leaks into the
    soft flanks of a line, and would correlate.
    """
    left, right, sides = _sides(plane, x_px, width_px)
    inside = plane[:, max(left, 0) : right].mean(axis=1)
    a, b = sides[0], sides[-1]
    under, beside = _detail(inside), _detail(0.5 * (a + b))
    power = float((beside**2).sum())
    return float((under * beside).sum() / power) if power > 1e-12 else 0.0


def _beyond(plane: F32, x_px: float, width_px: int) -> float:
    """Share of the detail on one side that is seen on the other; 0 where there is one side.

    A scratch lies in the picture; the edge of a mask has picture on one side of it.
    """
    _, _, sides = _sides(plane, x_px, width_px)
    if len(sides) < 2:
        return 0.0
    one, other = (_detail(side) for side in sides)
    power = max(float((one**2).sum()), float((other**2).sum()))
    return float((one * other).sum() / power) if power > 1e-12 else 0.0


def _sides(plane: F32, x_px: float, width_px: int) -> tuple[int, int, list[F32]]:
    """First column of a line, the one behind it, and the (H,) means beside it, one or two."""
    half = (width_px - 1) // 2
    left, right = round(x_px) - half, round(x_px) + half + 1
    sides = [plane[:, max(left - 4, 0) : max(left - 1, 0)], plane[:, right + 1 : right + 4]]
    return left, right, [side.mean(axis=1) for side in sides if side.shape[1]]


def _detail(column: F32) -> F64:
    """A column without its slow course and without its finest grain."""
    line = np.ascontiguousarray(column, np.float32)[:, None]
    fine = cv2.GaussianBlur(line, (1, 0), sigmaX=0.01, sigmaY=1.5)
    slow = cv2.GaussianBlur(line, (1, 0), sigmaX=0.01, sigmaY=10.0)
    detail: F64 = (fine - slow)[:, 0].astype(np.float64)
    return detail
