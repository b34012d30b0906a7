"""What two frames have in common, whatever the exposure: the measure behind cut finding.

A frame becomes a thumbnail of 48 columns of film log. In film log a change of exposure is an
offset and a change of contrast a factor; both fall out of a normalised correlation, so flicker
moves nothing. All shifts up to a quarter of the picture are tried at once, each over the part
that both frames show, so a swinging camera moves little.

Correlation over the overlap: J. P. Lewis, Fast Normalized Cross-Correlation (1995).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import scipy.fft
from numpy.typing import NDArray

Plane = NDArray[np.float32]

COLUMNS_PX = 48
_MIN_ROWS_PX = 16
_MEDIAN_PX = 5
_LOCAL_SIGMA_PX = 4.0
_CONTRAST_FLOOR = 0.02
"""Film log contrast below which structure is taken for noise (about 20 codes of 1023)."""
_REACH = 0.25
"""Largest shift tried, share of width and of height."""
_SHIFT_COST = 0.15
"""What the largest shift takes off the likeness: more tries find more by chance."""
_TINY = 1e-3
_BLACK_LEVEL = 0.2
_FLAT_DARK, _FLAT_LIGHT = 0.02, 0.01
"""Contrast under which a frame has no structure; film log raises the noise of dark frames."""
_FULL_STRUCTURE = 0.03
_FLAT_SAME = 0.3


@dataclass(frozen=True, slots=True)
class _Map:
    """A plane prepared for correlation: spectrum, and sums over what each shift leaves."""

    spectrum: NDArray[np.complex64]
    sums: Plane
    power: Plane


@dataclass(frozen=True, slots=True)
class Features:
    """One frame as cut finding sees it."""

    tone: Plane
    """(h, 48) film log, dirt taken out by a median."""
    level: float
    """Mean film log."""
    flat: bool
    """No structure to compare."""
    structure: float
    """0..1, how much of what is compared is picture and not noise."""
    maps: tuple[_Map, _Map]
    """Of ``tone``, and of its detail: the local mean taken off, over the local contrast."""

    @property
    def black(self) -> bool:
        """Flat and dark."""
        return self.flat and self.level < _BLACK_LEVEL


def thumbnail(luma: Plane) -> Plane:
    """(h, w) film log luma to (rows, 48); specks smaller than about 3 px vanish."""
    clean = cv2.medianBlur(np.ascontiguousarray(luma, dtype=np.float32), _MEDIAN_PX)
    height, width = luma.shape
    rows = max(_MIN_ROWS_PX, round(COLUMNS_PX * height / width))
    small = cv2.resize(clean, (COLUMNS_PX, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.float32)


def features(tone: Plane) -> Features:
    """Features of a thumbnail, (h, 48) film log."""
    mean = cv2.GaussianBlur(tone, (0, 0), _LOCAL_SIGMA_PX)
    variance = cv2.GaussianBlur((tone - mean) ** 2, (0, 0), _LOCAL_SIGMA_PX)
    detail = (tone - mean) / np.sqrt(variance + np.float32(_CONTRAST_FLOOR**2))
    level, contrast = float(tone.mean()), float(tone.std())
    flat = contrast < (_FLAT_DARK if level < _BLACK_LEVEL else _FLAT_LIGHT)
    structure = (contrast - _FLAT_LIGHT) / (_FULL_STRUCTURE - _FLAT_LIGHT)
    maps = (_prepared(tone - np.float32(level)), _prepared(detail))
    return Features(tone, level, flat, min(1.0, max(0.0, structure)), maps)


def distance(one: Features, other: Features) -> float:
    """0 for the same picture, about 0.8 for unrelated ones, up to 2."""
    if one.flat and other.flat:
        return 0.0 if abs(one.level - other.level) < _FLAT_SAME else 1.0
    structure = max(one.structure, other.structure)
    if one.flat or other.flat:
        return structure
    both = _alike(one.maps[0], other.maps[0], one.tone.shape)
    both = 0.5 * (both + _alike(one.maps[1], other.maps[1], one.tone.shape))
    alike = float((both - _shifts(one.tone.shape).cost).max())
    # Two pictures of little contrast differ by their noise alone.
    return (1.0 - alike) * (0.5 + 0.5 * structure)


@dataclass(frozen=True, slots=True)
class _Shifts:
    """All shifts tried for one size of thumbnail, as index tables."""

    size: tuple[int, int]
    reach: tuple[int, int]
    corners: tuple[NDArray[np.intp], ...]
    """Top, bottom, left, right of what each shift leaves, into sums of a plane."""
    count: Plane
    cost: Plane


@lru_cache(maxsize=8)
def _shifts(shape: tuple[int, ...]) -> _Shifts:
    h, w = shape
    ry, rx = round(h * _REACH), round(w * _REACH)
    dy, dx = np.arange(-ry, ry + 1), np.arange(-rx, rx + 1)
    top, bottom = np.maximum(0, dy), np.minimum(h, h + dy)
    left, right = np.maximum(0, dx), np.minimum(w, w + dx)
    count = (bottom - top)[:, None] * (right - left)[None, :]
    far = np.hypot(dy[:, None] / ry, dx[None, :] / rx)
    size = (scipy.fft.next_fast_len(h + ry, True), scipy.fft.next_fast_len(w + rx, True))
    return _Shifts(
        size,
        (ry, rx),
        (top[:, None], bottom[:, None], left[None, :], right[None, :]),
        count.astype(np.float32),
        (_SHIFT_COST * np.minimum(1.0, far)).astype(np.float32),
    )


def _prepared(plane: Plane) -> _Map:
    at = _shifts(plane.shape)
    spectrum = scipy.fft.rfft2(plane, s=at.size)
    return _Map(spectrum, _box_sums(plane, at), _box_sums(plane * plane, at))


def _box_sums(plane: Plane, at: _Shifts) -> Plane:
    total = np.zeros((plane.shape[0] + 1, plane.shape[1] + 1), np.float64)
    total[1:, 1:] = plane.cumsum(axis=0, dtype=np.float64).cumsum(axis=1)
    top, bottom, left, right = at.corners
    box = total[bottom, right] - total[top, right] - total[bottom, left] + total[top, left]
    return np.asarray(box, dtype=np.float32)


def _alike(one: _Map, other: _Map, shape: tuple[int, ...]) -> Plane:
    """Normalised correlation, -1..1, of each shift: ``one`` at p + shift against ``other`` at p."""
    at = _shifts(shape)
    ry, rx = at.reach
    product = scipy.fft.irfft2(one.spectrum * np.conj(other.spectrum), s=at.size)
    rows, columns = np.arange(-ry, ry + 1), np.arange(-rx, rx + 1)
    product = product[rows[:, None], columns[None, :]]
    sums, power = other.sums[::-1, ::-1], other.power[::-1, ::-1]
    shared = product - one.sums * sums / at.count
    spread = (one.power - one.sums**2 / at.count) * (power - sums**2 / at.count)
    return np.asarray(shared / (np.sqrt(np.maximum(spread, 0)) + _TINY), dtype=np.float32)
