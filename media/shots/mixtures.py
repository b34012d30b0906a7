"""What each frame of a shot has in common with frames before and after it, as figures.

In a dissolve every frame is a sum, in light, of a picture before and one after. Which frames
those are is not known, so many pairs are tried, near and far, even and uneven: how alike the two
are, what share of the later one the frame holds, and how much better both explain it than one.
All figures are products of small pictures; none says what is in the picture, so what is learned
from them on one film (``dissolve_net``) holds on another. Moving pictures are met in three ways:
coarse pictures hardly notice, each picture is tried at 35 small shifts, and the energy of detail
(which falls and rises again in a dissolve) does not depend on places at all.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import scipy.fft
import scipy.ndimage
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from media.encoding import CODES, CODES_PER_DECADE, WHITE_CODE

Frames = NDArray[np.float32]
Curve = NDArray[np.float32] | NDArray[np.float64]
Places = NDArray[np.intp]

REACH_FRAMES = 64
_LAGS = (2, 4, 6, 8, 12, 16, 20, 24, 32, 40, 52, REACH_FRAMES)
_UNEVEN: tuple[tuple[int, int], ...] = (
    (4, 12),
    (4, 24),
    (4, 40),
    (8, 20),
    (8, 32),
    (8, 52),
    (12, 24),
    (12, 40),
    (16, 32),
    (20, 40),
    (24, 52),
)
PAIRS = (*((d, d) for d in _LAGS), *_UNEVEN, *((b, a) for a, b in _UNEVEN))
_ALIKE_LAGS = (1, 2, 4, 8, 16, 32, REACH_FRAMES)
_COLUMNS_PX = 24
_LEVEL_FRAMES = 11
_SHIFT_PX = (2, 3)
"""Largest shift of a picture of 24 columns, down and across."""
_SHIFT_COST = 0.05
_ALIKE_PX = (6, 8)
_TINY = 1e-4


def mixing(tones: Sequence[NDArray[np.float16]]) -> Frames:
    """(T, F) figures of T thumbnails that follow one another without a cut.

    tones: (h, 48) film log each. Frames beyond either end are taken for the end itself.
    """
    tone = np.stack(tones).astype(np.float32)
    light, level, steady = _steady_light(tone)
    grey = cv2.GaussianBlur(light.mean(axis=0), (0, 0), 4) + 0.05 * light.mean()
    light /= grey
    rows = max(9, round(_COLUMNS_PX * tone.shape[1] / tone.shape[2]))
    whole = np.stack(
        [cv2.resize(p, (_COLUMNS_PX, rows), interpolation=cv2.INTER_AREA) for p in light]
    )
    coarse = _blurred(whole, 2.0)
    detail = _blurred(whole - coarse, 0.8)
    coarse = np.ascontiguousarray(coarse[:, ::2, ::2])
    fine = light - _blurred(light, 1.0)
    figures: list[Curve] = []
    for planes in (coarse, detail, whole):
        figures += _mixtures(planes.reshape(len(tone), -1))
    figures += _shifted_mixtures(_blurred(whole, 0.7))
    for planes in (coarse - coarse.mean(axis=(1, 2), keepdims=True), detail, fine):
        energy = np.square(planes).mean(axis=(1, 2))
        figures += _parabolas(np.asarray(np.log(energy + 1e-5), dtype=np.float32))
    figures += _levels(steady)
    flat = np.stack(
        [
            cv2.resize(p, (_COLUMNS_PX, rows), interpolation=cv2.INTER_AREA)
            for p in tone - _blurred(tone, 6.0)
        ]
    )
    figures += _likeness(flat)
    at = np.arange(len(tone))
    figures += [np.clip(2 * (level - steady), -2, 2)]
    figures += [np.minimum(side, REACH_FRAMES) / REACH_FRAMES for side in (at, at[::-1])]
    return np.asarray(np.stack(figures, axis=1), dtype=np.float32)


def _steady_light(tone: Frames) -> tuple[Frames, Frames, Frames]:
    """Scene light without flicker, and the log of its mean before and after."""
    light = 10.0 ** ((tone * CODES - WHITE_CODE) / CODES_PER_DECADE)
    level = light.mean(axis=(1, 2)) + 1e-5
    steady = scipy.ndimage.median_filter(level, size=_LEVEL_FRAMES, mode="nearest")
    return light * (steady / level)[:, None, None], np.log(level), np.log(steady)


def _blurred(planes: Frames, sigma_px: float) -> Frames:
    return np.stack([cv2.GaussianBlur(p, (0, 0), sigma_px) for p in planes])


def _typical(values: Frames) -> Frames:
    """The median of each three frames: without dirt, flashes and single ruined frames."""
    before = np.concatenate([values[:1], values[:-1]])
    after = np.concatenate([values[1:], values[-1:]])
    low, high = np.minimum(before, after), np.maximum(before, after)
    return np.asarray(np.maximum(low, np.minimum(high, values)), dtype=np.float32)


def _at(count: int, offset: int) -> Places:
    return np.clip(np.arange(count) + offset, 0, count - 1)


def _dot(one: Frames, other: Frames) -> Curve:
    return np.asarray(np.einsum("tp,tp->t", one, other), dtype=np.float32)


def _mixture(ii: Curve, aa: Curve, bb: Curve, ab: Curve, ia: Curve, ib: Curve) -> list[Curve]:
    """From products of a frame i, one before (a) and one after (b): the later one's share of
    it, and (log) what both leave of what the better one alone leaves, and what that leaves."""
    det = np.maximum(aa * bb - ab * ab, 1e-3 * aa * bb)
    x = np.clip((ia * bb - ib * ab) / det, 0, 2)
    y = np.clip((ib * aa - ia * ab) / det, 0, 2)
    least = 1e-5 * ii
    rest = np.maximum(ii - 2 * (x * ia + y * ib - x * y * ab) + x * x * aa + y * y * bb, least)
    alone = np.maximum(np.minimum(ii - ia * ia / aa, ii - ib * ib / bb), least)
    return [y / (x + y + _TINY), 0.25 * np.log(rest / alone), 0.1 * np.log(alone / ii)]


def _mixtures(values: Frames) -> list[Curve]:
    """values: (T, px). Shares, what is left, and how alike the frames are, for all pairs."""
    count = len(values)
    typical = _typical(values)
    own = _dot(values, values) + _TINY
    power = _dot(typical, typical) + _TINY
    level, spread = typical.mean(axis=1), typical.std(axis=1) + 1e-3
    own_level, own_spread = values.mean(axis=1), values.std(axis=1) + 1e-3
    pixels = values.shape[1]
    to: dict[int, Curve] = {}
    figures: list[Curve] = []
    for lag in (*(-d for d in _LAGS), *_LAGS):
        k = _at(count, lag)
        to[lag] = _dot(values, typical[k])
        figures.append((to[lag] / pixels - own_level * level[k]) / (own_spread * spread[k]))
    for before, after in PAIRS:
        a, b = _at(count, -before), _at(count, after)
        ab = _dot(typical[a], typical[b])
        figures.append((ab / pixels - level[a] * level[b]) / (spread[a] * spread[b]))
        figures += _mixture(own, power[a], power[b], ab, to[-before], to[after])
    return figures


def _shifted_mixtures(planes: Frames) -> list[Curve]:
    """As ``_mixtures``, each picture at the small shift where it fits the frame best."""
    count, rows, columns = planes.shape
    down, across = _SHIFT_PX
    shape = (rows - 2 * down, columns - 2 * across)
    sizes = (2 * down + 1, 2 * across + 1)
    shifts = sizes[0] * sizes[1]
    middle = shifts // 2
    typical = sliding_window_view(_typical(planes), shape, axis=(1, 2)).reshape(count, shifts, -1)
    own = sliding_window_view(planes, shape, axis=(1, 2))[:, down, across].reshape(count, -1)
    normal = _normal(typical)
    own_normal = _normal(own[:, None])[:, 0]
    far = np.hypot(
        (np.arange(sizes[0]) - down)[:, None] / down, (np.arange(sizes[1]) - across) / across
    ).ravel()
    every = np.arange(count)
    place: dict[int, tuple[Places, Places]] = {}
    figures: list[Curve] = []
    for lag in (*(-d for d in _LAGS), *_LAGS):
        k = _at(count, lag)
        alike = np.einsum("tsp,tp->ts", normal[k], own_normal)
        best = (alike - np.float32(_SHIFT_COST) * far).argmax(axis=1)
        place[lag] = (k, best)
        figures += [alike[every, best], alike[every, best] - alike[:, middle]]
    ii = _dot(own, own) + _TINY
    for before, after in PAIRS:
        one, other = typical[place[-before]], typical[place[after]]
        aa, bb = _dot(one, one) + _TINY, _dot(other, other) + _TINY
        ia, ib = _dot(own, one), _dot(own, other)
        figures += _mixture(ii, aa, bb, _dot(one, other), ia, ib)
        figures.append(_dot(normal[place[-before]], normal[place[after]]))
    return figures


def _normal(values: Frames) -> Frames:
    centred = values - values.mean(axis=-1, keepdims=True)
    length = np.sqrt(np.square(centred).sum(axis=-1, keepdims=True))
    return np.asarray(centred / (length + 1e-3), dtype=np.float32)


def _parabolas(energy: Frames) -> list[Curve]:
    """How much less energy a frame holds than its two sides, and how much that changes."""
    figures: list[Curve] = []
    for lag in _LAGS:
        before, after = energy[_at(len(energy), -lag)], energy[_at(len(energy), lag)]
        figures.append(0.5 * np.clip(energy - 0.5 * (before + after), -3, 3))
        figures.append(0.3 * np.clip(after - before, -4, 4))
    return figures


def _levels(steady: Frames) -> list[Curve]:
    """How far the mean light bends, and how far it changes."""
    figures: list[Curve] = []
    for lag in _LAGS:
        before, after = steady[_at(len(steady), -lag)], steady[_at(len(steady), lag)]
        straight = np.log(0.5 * (np.exp(before) + np.exp(after)))
        figures.append(np.clip(steady - straight, -2, 2))
        figures.append(0.4 * np.clip(after - before, -3, 3))
    return figures


def _likeness(tone: Frames) -> list[Curve]:
    """Correlation of detail in film log at the best shift up to a third: moving cameras."""
    count, rows, columns = tone.shape
    window = np.sqrt(np.outer(np.hanning(rows + 2)[1:-1], np.hanning(columns + 2)[1:-1]))
    faded = tone * window.astype(np.float32)
    length = np.sqrt(np.square(faded).sum(axis=(1, 2), keepdims=True))
    down, across = _ALIKE_PX
    size = (
        scipy.fft.next_fast_len(rows + down, True),
        scipy.fft.next_fast_len(columns + across, True),
    )
    spectra = scipy.fft.rfft2(faded / (length + 1e-3), s=size)
    y, x = np.arange(-down, down + 1)[:, None], np.arange(-across, across + 1)

    def best(one: Places, other: Places) -> Curve:
        product = scipy.fft.irfft2(spectra[one] * np.conj(spectra[other]), s=size)
        return np.asarray(product[:, y, x].reshape(count, -1).max(axis=1), dtype=np.float32)

    figures: list[Curve] = []
    for lag in _ALIKE_LAGS:
        before, after = _at(count, -lag), _at(count, lag)
        near = best(_at(count, 0), before)
        figures += [near, near[after], best(after, before)]
    return figures
