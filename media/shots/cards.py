"""Cards of text: two tones, one of them a flat ground, and many thin strokes in rows."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from media.shots.features import Plane

_STEPS = 128
_APART = 0.12
"""Film log between ink and ground at the least."""
_SEPARATED = 0.7
_INK = (0.015, 0.4)
_GROUND_SPREAD = 0.22
_STROKES = 6.0
_ROWS = (0.08, 0.9)


def text_of(luma: Plane) -> float:
    """How much a picture looks like a card of text, 0..1; 0 for most pictures.

    luma: (h, w) float32 film log, 96 to 160 px wide. Ink and ground are parted by the threshold
    of N. Otsu (1979); what counts is how cleanly they part, how flat the ground is, and how
    often a row that holds ink changes between the two.
    """
    smooth = cv2.GaussianBlur(np.ascontiguousarray(luma, np.float32), (0, 0), 0.6)
    low, high = float(smooth.min()), float(smooth.max())
    if high - low < _APART:
        return 0.0
    codes = ((smooth - low) * ((_STEPS - 1) / (high - low))).astype(np.uint8)
    threshold, separated = _otsu(np.bincount(codes.ravel(), minlength=_STEPS))
    bright = codes > threshold
    share = float(bright.mean())
    ink = bright if share < 0.5 else ~bright
    covered = min(share, 1.0 - share)
    if separated < _SEPARATED or not _INK[0] <= covered <= _INK[1]:
        return 0.0
    ground = smooth[~ink]
    apart = abs(float(smooth[ink].mean()) - float(ground.mean()))
    quarter = np.quantile(ground, (0.1, 0.9))
    if apart < _APART or float(quarter[1] - quarter[0]) > _GROUND_SPREAD * apart * 2:
        return 0.0
    strokes = np.count_nonzero(np.diff(ink.astype(np.int8), axis=1), axis=1) / 2
    rows = strokes >= 2
    if not _ROWS[0] <= float(rows.mean()) <= _ROWS[1]:
        return 0.0
    return float(min(1.0, strokes[rows].mean() / _STROKES) * separated)


def _otsu(counts: NDArray[np.intp]) -> tuple[int, float]:
    """Threshold, and the share of the variance that lies between the two classes."""
    weight = counts / counts.sum()
    at = np.arange(len(counts))
    below = np.cumsum(weight)
    mean = np.cumsum(weight * at)
    total = mean[-1]
    between = np.square(total * below - mean) / np.maximum(below * (1 - below), 1e-9)
    best = int(between.argmax())
    variance = float((weight * np.square(at - total)).sum())
    return best, float(between[best]) / max(variance, 1e-9)
