"""Measure exposure differences between near frames, along the motion, place by place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from restore.motion import Pair, PairTracker

GRID = (6, 8)
"""Rows and columns of cells in which exposure is summed up."""
_OUTLIER = 0.06
"""Film log difference (0.7 stop) beyond which a pixel is something else than flicker."""
_RAGGED = 0.008
"""Film log spread inside a cell (half its quartile range) at which the cell counts half."""


class FlickerProbe:
    """Robust film-log difference of each cell and channel, for each pair of near frames.

    Evidence: ``pairs`` (m, 2) frame numbers, ``difference`` (m, cells, C) film log, second
    frame minus first, ``weight`` (m, cells) 0..1 share of usable
    pixels, less where they disagree, ``clipped`` (n, C) share of
    pixels at the ends of the scale in each frame.
    """

    name = "flicker"

    def __init__(self, tracker: PairTracker) -> None:
        self._tracker = tracker
        self._pairs: list[tuple[int, int]] = []
        self._difference: list[NDArray[np.float64]] = []
        self._weight: list[NDArray[np.float64]] = []
        self._clipped: list[list[float]] = []

    def observe(self, frame: int, pixels: Tensor) -> None:
        """frame: scan number. pixels: (C, H, W) film log at analysis size."""
        ends = (pixels <= 0.01) | (pixels >= 0.985)
        self._clipped.append([float(c) for c in ends.float().mean(dim=(-2, -1))])
        for pair in self._tracker.pairs(frame, pixels):
            difference, weight = _cell_differences(pair)
            self._pairs.append((pair.first, pair.second))
            self._difference.append(difference)
            self._weight.append(weight)

    def finish(self) -> dict[str, object]:
        """The evidence; empty arrays for a one-frame shot."""
        cells = GRID[0] * GRID[1]
        channels = len(self._clipped[0]) if self._clipped else 3
        return {
            "pairs": np.array(self._pairs, np.int64).reshape(-1, 2),
            "difference": np.array(self._difference).reshape(-1, cells, channels),
            "weight": np.array(self._weight).reshape(-1, cells),
            "clipped": np.array(self._clipped, np.float64).reshape(-1, channels),
        }


def _cell_differences(pair: Pair) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(cells, C) robust mean difference and (cells,) share of pixels behind it."""
    difference = pair.difference.cpu().numpy()
    valid = pair.valid.cpu().numpy()
    _, h, w = difference.shape
    rows = np.array_split(np.arange(0, h, 2), GRID[0])
    cols = np.array_split(np.arange(0, w, 2), GRID[1])
    values = np.zeros((GRID[0] * GRID[1], difference.shape[0]))
    weights = np.zeros(GRID[0] * GRID[1])
    ragged = np.zeros(GRID[0] * GRID[1])
    for i, (r, c) in enumerate((r, c) for r in rows for c in cols):
        ok = valid[np.ix_(r, c)]
        if ok.sum() < 16:
            continue
        samples = difference[:, r[:, None], c[None, :]][:, ok]
        median = np.median(samples, axis=1, keepdims=True)
        near = np.abs(samples - median).max(axis=0) < _OUTLIER
        if near.sum() < 16:
            continue
        kept = np.sort(samples[:, near], axis=1)
        trim = kept.shape[1] // 4
        values[i] = kept[:, trim : kept.shape[1] - trim].mean(axis=1)
        weights[i] = near.sum() / ok.size
        ragged[i] = (kept[:, -1 - trim] - kept[:, trim]).mean() / 2.0
    # Exposure shifts a whole cell alike; where every pixel shifts differently, more than grain
    # makes the calm cells differ, motion was lost.
    seen = weights > 0
    if seen.any():
        calm = max(_RAGGED, 1.5 * float(np.quantile(ragged[seen], 0.2)))
        weights /= 1.0 + np.square(ragged / calm)
    return values, weights
