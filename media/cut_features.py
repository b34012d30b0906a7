"""What two frames have in common, whatever the exposure: the measure behind cut finding.

A frame becomes a thumbnail of about 36 columns of film log. In film log a change of exposure is
an offset and a change of contrast a factor; both fall out of a normalised correlation, so
flicker moves nothing. Small shifts are tried, so hand-held motion moves little.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Plane = NDArray[np.float32]

COLUMNS_PX = 36
_MIN_ROWS_PX = 12
_MEDIAN_PX = 5
_LOCAL_SIGMA_PX = 4.0
_CONTRAST_FLOOR = 0.02
"""Film log contrast below which structure is taken for noise (about 20 codes of 1023)."""
_SHIFT_PX = 2
_TINY = 1e-3
_BLACK_LEVEL = 0.2
_FLAT_DARK, _FLAT_LIGHT = 0.02, 0.01
"""Contrast under which a frame has no structure; film log raises the noise of dark frames."""
_FULL_STRUCTURE = 0.03
_FLAT_SAME = 0.3


@dataclass(frozen=True, slots=True)
class Features:
    """One frame as cut finding sees it."""

    tone: Plane
    """(h, 36) film log, dirt taken out by a median."""
    detail: Plane
    """``tone`` without its local mean, over its local contrast."""
    level: float
    """Mean film log."""
    flat: bool
    """No structure to compare."""
    structure: float
    """0..1, how much of what is compared is picture and not noise."""

    @property
    def black(self) -> bool:
        """Flat and dark."""
        return self.flat and self.level < _BLACK_LEVEL


def thumbnail(luma: Plane) -> Plane:
    """(h, w) film log luma to (rows, 36); specks smaller than about 3 px vanish."""
    clean = cv2.medianBlur(np.ascontiguousarray(luma, dtype=np.float32), _MEDIAN_PX)
    height, width = luma.shape
    rows = max(_MIN_ROWS_PX, round(COLUMNS_PX * height / width))
    small = cv2.resize(clean, (COLUMNS_PX, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.float32)


def features(tone: Plane) -> Features:
    """Features of a thumbnail."""
    mean = cv2.GaussianBlur(tone, (0, 0), _LOCAL_SIGMA_PX)
    variance = cv2.GaussianBlur((tone - mean) ** 2, (0, 0), _LOCAL_SIGMA_PX)
    detail = (tone - mean) / np.sqrt(variance + np.float32(_CONTRAST_FLOOR**2))
    level, contrast = float(tone.mean()), float(tone.std())
    flat = contrast < (_FLAT_DARK if level < _BLACK_LEVEL else _FLAT_LIGHT)
    structure = (contrast - _FLAT_LIGHT) / (_FULL_STRUCTURE - _FLAT_LIGHT)
    detail = np.asarray(detail, dtype=np.float32)
    return Features(tone, detail, level, flat, min(1.0, max(0.0, structure)))


def distance(one: Features, other: Features) -> float:
    """0 for the same picture, about 1 for unrelated ones, up to 2."""
    if one.flat and other.flat:
        return 0.0 if abs(one.level - other.level) < _FLAT_SAME else 1.0
    structure = max(one.structure, other.structure)
    if one.flat or other.flat:
        return structure
    alike = 0.5 * (_alike(one.tone, other.tone) + _alike(one.detail, other.detail))
    # Two pictures of little contrast differ by their noise alone.
    return (1.0 - alike) * (0.5 + 0.5 * structure)


def _alike(one: Plane, other: Plane) -> float:
    """Best normalised correlation over small shifts, -1..1."""
    s = _SHIFT_PX
    a = one[s:-s, s:-s] - one[s:-s, s:-s].mean()
    shifted = sliding_window_view(other, a.shape)
    shifted = shifted - shifted.mean(axis=(2, 3), keepdims=True)
    norms = np.sqrt(np.square(shifted).sum(axis=(2, 3))) + _TINY
    products = np.einsum("ijkl,kl->ij", shifted, a)
    return float((products / (norms * (np.sqrt(np.square(a).sum()) + _TINY))).max())
