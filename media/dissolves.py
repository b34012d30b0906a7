"""Gradual changes: dissolves between cuts, fades at the ends of shots."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from media.cut_features import distance, features
from media.encoding import CODES, CODES_PER_DECADE, WHITE_CODE

Curve = NDArray[np.float64]

_LENGTHS_FRAMES = (10, 16, 24, 36, 54)
_STEP_FRAMES = 2
_UNRELATED = 0.6
_EXPLAINED = 0.9
_LINEAR_WITHIN = 0.2
_FADE_LIGHT = 0.9
_FADE_MIN_FRAMES = 4
_FADE_END = 0.35


@dataclass(frozen=True, slots=True, kw_only=True)
class Dissolve:
    """A linear mixture of two pictures; positions count from 0."""

    middle: int
    """First frame that shows more of the new picture than of the old."""
    before: int
    """Frames before ``middle`` that already carry the new picture."""
    after: int
    """Frames from ``middle`` on that still carry the old picture."""
    score: float


def find_dissolves(tones: list[NDArray[np.float16]], start: int, stop: int) -> list[Dissolve]:
    """Dissolves among thumbnails ``start`` to ``stop`` (one shot as far as cuts tell).

    A dissolve is a stretch whose frames are each a sum of its two ends, with weights that move
    over in a straight line, while the ends have nothing in common.
    """
    found: list[Dissolve] = []
    # All lengths are even, so every end lies on the same grid.
    ends_at = {k: features(tones[k].astype(np.float32)) for k in range(start, stop, _STEP_FRAMES)}
    for length in _LENGTHS_FRAMES:
        for first in range(start, stop - length, _STEP_FRAMES):
            ends = (ends_at[first], ends_at[first + length])
            # An object that crosses an empty ground looks like a mixture too.
            if min(e.structure for e in ends) < 1 or distance(ends[0], ends[1]) < _UNRELATED:
                continue
            weights, explained = _mixture(tones, first, length)
            line = np.arange(1, length) / length
            # Trimmed ends: the stretch may be longer than the dissolve.
            bent = float(np.abs(_straightened(weights) - weights).max())
            rises = float(weights[-1] - weights[0]) > 1 - 4 / length - _LINEAR_WITHIN
            if explained < _EXPLAINED or bent > _LINEAR_WITHIN or not rises:
                continue
            middle = first + 1 + int(np.searchsorted(np.maximum.accumulate(weights), 0.5))
            mixed = (weights > 0.05) & (weights < 0.95)
            frames = first + 1 + np.flatnonzero(mixed)
            found.append(
                Dissolve(
                    middle=middle,
                    before=int(np.count_nonzero(frames < middle)),
                    after=int(np.count_nonzero(frames >= middle)),
                    score=explained - 0.2 * float(np.abs(weights - line).mean()),
                )
            )
    return _best(found)


def _mixture(tones: list[NDArray[np.float16]], first: int, length: int) -> tuple[Curve, float]:
    """Weight of the last frame in each frame between, and the share of variance explained."""
    light = [_light(tones[first + k]) for k in range(length + 1)]
    basis = np.stack([light[0], light[-1], np.ones_like(light[0])], axis=1)
    between = np.stack(light[1:-1], axis=1)
    # Three unknowns: the normal equations are exact enough, and far faster than a general solver.
    solved = np.linalg.solve(basis.T @ basis + 1e-9 * np.eye(3), basis.T @ between)
    rest = between - basis @ solved
    variance = between.var(axis=0) + 1e-9
    explained = 1 - np.square(rest).mean(axis=0) / variance
    shares = np.clip(solved[:2], 0, None)
    return shares[1] / (shares.sum(axis=0) + 1e-9), float(np.quantile(explained, 0.2))


def _straightened(weights: Curve) -> Curve:
    """The straight ramp, flat at both ends, closest to the weights."""
    inner = np.flatnonzero((weights > 0.1) & (weights < 0.9))
    if len(inner) < 3:
        return np.full_like(weights, 2.0)
    slope, offset = np.polyfit(inner, weights[inner], 1)
    return np.asarray(np.clip(offset + slope * np.arange(len(weights)), 0, 1))


def _light(tone: NDArray[np.float16]) -> Curve:
    code = tone.astype(np.float64).ravel() * CODES
    return np.asarray(10.0 ** ((code - WHITE_CODE) / CODES_PER_DECADE))


def _best(found: list[Dissolve]) -> list[Dissolve]:
    chosen: list[Dissolve] = []
    for one in sorted(found, key=lambda d: -d.score):
        if all(
            one.middle - one.before > other.middle + other.after
            or one.middle + one.after < other.middle - other.before
            for other in chosen
        ):
            chosen.append(one)
    return sorted(chosen, key=lambda d: d.middle)


def fade_frames(levels: Curve, black: float) -> int:
    """Frames at the end of ``levels`` (mean film log per frame) that fade to ``black``.

    For a fade in give the levels backwards. 0 when the end is not dark or the drop is a cut.
    """
    if len(levels) < _FADE_MIN_FRAMES:
        return 0
    padded = np.pad(levels, 2, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 5)
    smooth = np.median(windows, axis=1)
    smooth[-2:] = levels[-2:]
    plateau = float(np.quantile(smooth, 0.75))
    if levels[-1] > black + _FADE_END * (plateau - black):
        return 0
    light = 10.0 ** ((smooth - plateau) * CODES / CODES_PER_DECADE)
    count = misses = 0
    for k in range(len(light) - 1, -1, -1):
        misses = 0 if light[k] < _FADE_LIGHT else misses + 1
        if misses > 2:
            break
        count = len(light) - k - misses
    return count if count >= _FADE_MIN_FRAMES else 0
