"""Where a line begins and ends on a frame, and whether it does so on every frame alike.

A scratch runs along the film: on most frames both of its ends lie outside. The upright sides of a
box, a logo or a bar that lies over the picture end at the same rows on every frame.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
F32 = NDArray[np.float32]
STANDS = "begins or ends at the same row on every frame: a box or a bar over the picture"
LEAST_INSIDE_PX = 4
"""An end nearer to the frame's own edge is that edge."""
_STEP = 0.5
"""Share of the line's strength that is gained at an end that is one, and no fading away."""
_AGAIN, _LEAST_AGAIN_PX = 0.5, 12
"""Share of the line's strength that shows it again beyond an end, over a tenth of the height."""
_BOTH, _ONE = 0.7, 0.85
"""Share of the frames on which both ends, or the only one, have to lie at the same row."""
_SAME_PX = 3.0
_OF_HEIGHT = 1.0 / 400.0
_ROOM = 0.03
"""Film log above the darkest, or below the brightest, that a line needs to be seen at all."""
_FLAT = 0.25
"""A row that varies by a smaller share of what the frame does is a mask's."""


class Rows:
    """One frame, made ready for the question where its lines end. plane: (H, W) film log luma."""

    def __init__(self, plane: F32) -> None:
        self._plane = plane
        self._blank: NDArray[np.bool_] | None = None
        self._low = self._high = 0.0

    def ends(self, plane: F32, x_px: float, width_px: int, strength: float) -> list[float]:
        """First row, row behind the last, and the step at each in shares of the strength.

        plane: (H, columns) the frame, or what lies around the line with it set upright.

        A step is 0 where the line goes on to the frame's edge, where it is seen again beyond, and
        where it could not be seen there: in a black mask, or where the picture is as dark or as
        light as can be.
        """
        sided, sides = _by_row(plane, x_px, width_px)
        share = np.clip(sided / strength, -0.5, 1.5)
        top, bottom = _longest(share - 0.5)
        found = [float(top), float(bottom)]
        height = len(share)
        reach = max(5, height // 120)
        for end, before in ((top, True), (bottom, False)):
            rows = slice(0, end) if before else slice(end, height)
            if rows.stop - rows.start < LEAST_INSIDE_PX or bottom - top < 2 * reach:
                found.append(0.0)
                continue
            near = (
                slice(max(end - 1 - reach, 0), end - 1)
                if before
                else slice(end + 1, end + 1 + reach)
            )
            here = slice(end + 1, end + 1 + reach) if before else slice(end - 1 - reach, end - 1)
            seen = self._seen(rows, float(np.median(sides[near])), strength)
            ends = seen and not _goes_on(share[rows], max(_LEAST_AGAIN_PX, height // 10))
            found.append(float(share[here].mean() - share[near].mean()) if ends else 0.0)
        return found

    def _seen(self, rows: slice, beside: float, strength: float) -> bool:
        """Could the line be seen in these rows, where its sides are this bright?"""
        if self._blank is None:
            sparse = self._plane[:, :: max(1, self._plane.shape[1] // 256)]
            self._low, self._high = (float(v) for v in np.quantile(sparse, (0.005, 0.995)))
            least, middle, most = np.quantile(sparse, (0.05, 0.5, 0.95), axis=1)
            flat = most - least < _FLAT * (self._high - self._low)
            self._blank = flat & (middle < self._low + _ROOM)
        if bool(self._blank[rows].mean() > 0.9):
            return False
        room = self._high - beside if strength > 0.0 else beside - self._low
        return room > _ROOM


def stands(first: F64, behind: F64, steps: F64, height_px: int) -> bool:
    """Does a line begin or end inside the frame at the same rows all the time?

    first, behind: (n,) rows of its two ends on each frame; steps: (n, 2).
    """
    reach = max(_SAME_PX, _OF_HEIGHT * height_px)
    shares = []
    for rows, step in ((first, steps[:, 0]), (behind, steps[:, 1])):
        sharp = step >= _STEP
        at = float(np.median(rows[sharp])) if sharp.any() else 0.0
        shares.append(float((sharp & (np.abs(rows - at) <= reach)).mean()))
    return min(shares) >= _BOTH or max(shares) >= _ONE


def _by_row(plane: F32, x_px: float, width_px: int) -> tuple[F64, F64]:
    """(H,) how far the line lies outside both its sides, and the mean of the sides."""
    w = plane.shape[1]
    left = round(x_px - (width_px - 1) / 2)
    right = left + width_px
    side_px = max(3, width_px)

    def mean(start: int, stop: int) -> F64:
        start, stop = min(max(start, 0), w - 1), min(max(stop, 1), w)
        found: F64 = plane[:, start : max(stop, start + 1)].mean(axis=1).astype(np.float64)
        return found

    inside = mean(left, right)
    a, b = mean(left - 1 - side_px, left - 1), mean(right + 1, right + 1 + side_px)
    one, other = inside - a, inside - b
    agree = np.sign(one) == np.sign(other)
    least = np.sign(one) * np.minimum(np.abs(one), np.abs(other))
    return np.where(agree, least, 0.0), 0.5 * (a + b)


def _goes_on(share: F64, run_px: int) -> bool:
    """Is the line seen again beyond what covered it, over so many rows?"""
    if len(share) < run_px:
        return False
    total = np.concatenate([[0.0], np.cumsum(share)])
    return bool((total[run_px:] - total[:-run_px]).max() > _AGAIN * run_px)


def _longest(gain: F64) -> tuple[int, int]:
    """First index, and the one behind the last, of the run with the greatest sum."""
    total = np.concatenate([[0.0], np.cumsum(gain)])
    lowest = np.minimum.accumulate(total)
    stop = int(np.argmax(total - lowest))
    return int(np.argmin(total[: stop + 1])), stop
