"""Dissolves between cuts.

A dissolve is a stretch whose frames are each a sum of its two ends, in light, with weights that
rest, move over in a straight line, and rest again, while the ends have nothing in common.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from media.encoding import CODES, CODES_PER_DECADE, WHITE_CODE
from media.shots.features import Features, distance, features

Curve = NDArray[np.float64]
Light = NDArray[np.float32]
Tones = list[NDArray[np.float16]]

_WINDOWS_FRAMES = (10, 14, 20, 28, 40, 56, 64)
_STEP_FRAMES = 2
_MIN_FRAMES = 5
_COLUMNS_PX = 16
_UNRELATED = 0.5
_STRUCTURE = 0.35
_AROUND_FRAMES = 12
_CHANGED, _MOVED_WEIGHT, _MOVED_MOST = 0.45, 0.3, 0.9
_LENGTH_WEIGHT = 0.21
_EVIDENCE = (-0.46, 0.2, 1.77, 0.32, 0.06)
"""Added to the score: unexplained, change, change beyond motion, structure, log2 of length."""
_MOST = (0.9, 0.15, 0.5)
"""More change, change beyond motion or structure says no more."""
_NEEDED = 0.923
_DARKEST = 0.05
_TINY = 1e-4
_REST_FRAMES = 2
_ROUNDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Dissolve:
    """A linear mixture of two pictures; positions count from 0."""

    start: int
    """First frame that carries the new picture."""
    stop: int
    """First frame that no longer carries the old one."""
    score: float
    unexplained: float
    """0..1, see ``_Fit``."""

    @property
    def weight(self) -> float:
        """What decides between dissolves that overlap."""
        return self.score + _LENGTH_WEIGHT * math.log2(self.stop - self.start)

    @property
    def middle(self) -> int:
        """First frame that shows more of the new picture than of the old."""
        return (self.start + self.stop) // 2


@dataclass(frozen=True, slots=True)
class _Limits:
    rounds: int
    score: float
    unexplained: float


_ROUGH = _Limits(0, -0.25, 1.2)
_FINE = _Limits(3, 0.4, 0.97)


@dataclass(frozen=True, slots=True)
class _Fit:
    start: int
    stop: int
    crooked: float
    """Root mean square distance of the weights from the ramp."""
    unexplained: float
    """What the sum of two pictures leaves, as a share of what the better one alone leaves."""

    @property
    def score(self) -> float:
        return 1.0 - 3.0 * self.crooked - 0.5 * self.unexplained


def find_dissolves(tones: Tones, start: int, stop: int) -> list[Dissolve]:
    """Dissolves among thumbnails ``start`` to ``stop`` (one shot as far as cuts tell).

    tones: (h, 48) film log each. returns: in order, positions counted like ``start``.
    """
    if stop - start <= _WINDOWS_FRAMES[0]:
        return []
    light = np.stack([_light(tone) for tone in tones[start:stop]])
    seen: dict[int, Features] = {}
    found: list[Dissolve] = []
    for window in _WINDOWS_FRAMES:
        for first in range(0, stop - start - window, max(_STEP_FRAMES, window // 8)):
            if _fit(light, first, window, _ROUGH) is None:
                continue
            fit = _refined(light, first, window)
            if fit is None:
                continue
            made = Dissolve(
                start=start + fit.start,
                stop=start + fit.stop,
                score=fit.score,
                unexplained=fit.unexplained,
            )
            ends = (made.start - _REST_FRAMES, made.stop + _REST_FRAMES - 1)
            for end in ends:
                if end not in seen:
                    seen[end] = features(tones[end].astype(np.float32))
            if made not in found and _unrelated(seen[ends[0]], seen[ends[1]]):
                found.append(made)
    return _best([d for d in found if _believed(d, tones, seen, start, stop)])


def _unrelated(one: Features, other: Features) -> bool:
    # An object that crosses an empty ground looks like a mixture too.
    return min(one.structure, other.structure) > _STRUCTURE and distance(one, other) > _UNRELATED


def _believed(
    found: Dissolve, tones: Tones, seen: dict[int, Features], start: int, stop: int
) -> bool:
    """Whether the ramp, and how much more changes in it than beside it, say enough together.

    No single figure decides: a straight ramp makes up for ends that look alike, a complete
    change for a crooked ramp. Weights and level were fitted on joined reels of the tuned half.
    """
    before, after = found.start - _REST_FRAMES, found.stop + _REST_FRAMES - 1
    span = min(after - before, _AROUND_FRAMES)
    sides = ((max(start, before - span), before), (after, min(stop - 1, after + span)))
    for pair in sides:
        for end in pair:
            if end not in seen:
                seen[end] = features(tones[end].astype(np.float32))
    moved = max(distance(seen[a], seen[b]) for a, b in sides)
    changed = distance(seen[before], seen[after])
    beyond = changed - _CHANGED - _MOVED_WEIGHT * min(moved, _MOVED_MOST)
    structure = min(seen[before].structure, seen[after].structure)
    figures = (
        found.unexplained,
        min(changed, _MOST[0]),
        min(beyond, _MOST[1]),
        min(structure, _MOST[2]),
        math.log2(found.stop - found.start),
    )
    evidence = sum(w * f for w, f in zip(_EVIDENCE, figures, strict=True))
    return found.score + evidence > _NEEDED


def _fit(light: Light, first: int, window: int, limits: _Limits) -> _Fit | None:
    """The ramp inside a window, None when what happens there is no dissolve."""
    weights, left = _mixture(light[first : first + window + 1], limits.rounds)
    bank, places = _ramps(window)
    errors = np.square(bank - weights).mean(axis=1)
    best = int(errors.argmin())
    begin, length = places[best]
    crooked = float(np.sqrt(errors[best]))
    middle = slice(begin + length // 4, begin + length - length // 4)
    unexplained = float(np.median(left[middle]))
    fit = _Fit(first + begin, first + begin + length, crooked, unexplained)
    good = fit.score >= limits.score and unexplained <= limits.unexplained
    return fit if good else None


def _refined(light: Light, first: int, window: int) -> _Fit | None:
    """Measured again, carefully, from pictures that stand close to the ends of the dissolve."""
    last = first + window
    fit: _Fit | None = None
    for _ in range(_ROUNDS):
        again = _fit(light, first, last - first, _FINE)
        if again is None or (
            fit is not None and (again.start, again.stop) == (fit.start, fit.stop)
        ):
            return again
        fit = again
        first = max(0, fit.start - _REST_FRAMES - 1)
        last = min(len(light) - 1, fit.stop + _REST_FRAMES)
    return fit


def _mixture(light: Light, rounds: int) -> tuple[Curve, Curve]:
    """Weight of the last frame in each frame, and what the mixture leaves unexplained.

    light: (T, px). The unexplained part is a share of what the better end alone leaves. Pixels
    are weighted by their light, because flicker and grain are in proportion to it. Each round
    trusts pixels less that do not fit: things that move (iterated reweighting, Cauchy weights).
    """
    one, other = light[0], light[-1]
    floor = _DARKEST * max(float(one.mean()), float(other.mean()))
    scale = 1.0 / np.sqrt((one**2 + other**2) / 2 + floor**2)
    a, b, shown = one * scale, other * scale, light * scale
    products = np.stack([a * a, b * b, a * b], axis=1)
    trust = np.ones_like(shown)
    for turn in range(rounds + 1):
        aa, bb, ab = (trust @ products).T
        weighed = trust * shown
        to_a, to_b = weighed @ a, weighed @ b
        det = np.maximum(aa * bb - ab * ab, _TINY)
        share_a = np.maximum((to_a * bb - to_b * ab) / det, 0)
        share_b = np.maximum((to_b * aa - to_a * ab) / det, 0)
        rest = np.abs(shown - share_a[:, None] * a - share_b[:, None] * b)
        if turn < rounds:
            spread = np.median(rest, axis=1, keepdims=True) * 2.2 + _TINY
            trust = 1.0 / (1.0 + np.square(rest / spread))
    alone = np.minimum(
        np.median(np.abs(shown - (to_a / aa)[:, None] * a), axis=1),
        np.median(np.abs(shown - (to_b / bb)[:, None] * b), axis=1),
    )
    left = np.median(rest, axis=1) / np.maximum(alone, _TINY)
    weights = share_b / (share_a + share_b + _TINY)
    return np.asarray(weights, np.float64), np.asarray(left, np.float64)


@lru_cache(maxsize=128)
def _ramps(window: int) -> tuple[Curve, list[tuple[int, int]]]:
    """All ramps that rest before and after inside a window: weights (N, window + 1), places."""
    at = np.arange(window + 1)
    places = [
        (begin, length)
        for length in range(_MIN_FRAMES, window)
        for begin in range(_REST_FRAMES, window + 2 - length - _REST_FRAMES)
    ]
    rows = [np.clip((at - begin + 1) / (length + 1), 0, 1) for begin, length in places]
    return np.stack(rows), places


def _light(tone: NDArray[np.float16]) -> Light:
    """Scene light of a thumbnail, (16 columns x rows,) float32."""
    light = 10.0 ** ((tone.astype(np.float32) * CODES - WHITE_CODE) / CODES_PER_DECADE)
    rows = max(5, round(_COLUMNS_PX * tone.shape[0] / tone.shape[1]))
    small = cv2.resize(light, (_COLUMNS_PX, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(small.ravel(), dtype=np.float32)


def _best(found: list[Dissolve]) -> list[Dissolve]:
    chosen: list[Dissolve] = []
    # A part of a dissolve is a straighter ramp than the whole: the longer one is preferred.
    for one in sorted(found, key=lambda d: -d.weight):
        if all(one.start > other.stop or one.stop < other.start for other in chosen):
            chosen.append(one)
    return sorted(chosen, key=lambda d: d.middle)
