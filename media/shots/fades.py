"""Frames with nothing on them, and the fades that lead into and out of them.

In a fade all light of the picture shrinks (to black) or drowns (to white) in a straight line; so
does the spread of light over the frame, whatever the exposure, and dirt hardly shows in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from media.encoding import CODES, CODES_PER_DECADE, WHITE_CODE
from media.shots.features import Plane

_DARK, _LIGHT = 0.2, 0.5
_FLAT_DARK, _FLAT_LIGHT = 0.025, 0.006
_OWN_SPREAD = 0.07
"""Film log between the tenths of an empty frame, dirt or not."""
_WHITE_SPREAD = 0.03
_LONGEST_FRAMES = 96
_MIN_FRAMES = 4
_AFTER_FRAMES = 8
_ERROR = 0.22
_MARGIN = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Empty:
    """A run of frames without a picture; positions count from 0, half-open."""

    start: int
    stop: int
    white: bool
    fade_out: int
    """Frames before ``start`` that fade."""
    fade_in: int
    """Frames from ``stop`` on that fade."""
    score_out: float
    score_in: float
    """0..1, how straight the fades are; 0 without one."""


def spread_of(tone: Plane) -> float:
    """Scene light between the darkest and the brightest tenth. tone: film log."""
    values = np.sort(tone.ravel())
    low, high = values[len(values) // 10], values[-len(values) // 10]
    light = 10.0 ** ((np.array([low, high]) * CODES - WHITE_CODE) / CODES_PER_DECADE)
    return float(light[1] - light[0])


def empty_frames(
    tones: Sequence[NDArray[np.float16]], levels: Sequence[float], spreads: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which frames are black, and which are white.

    tones: (h, 48) film log each; levels: their means; spreads: ``spread_of`` each. Dirt lies
    elsewhere in each frame, text does not: a frame is empty when the median of
    three frames around it is.
    """
    count = len(tones)
    flat = np.zeros(count, np.bool_)
    level = np.asarray(levels)
    candidates = (level < _DARK) | (level > _LIGHT)
    for t in np.flatnonzero(candidates).tolist():
        tone = tones[t].astype(np.float32)
        limit = _FLAT_DARK if level[t] < _DARK else _FLAT_LIGHT
        flat[t] = tone.std() < limit
        low, high = np.quantile(tone, (0.1, 0.9))
        if high - low > _OWN_SPREAD:
            continue
        for first in (t - 2, t - 1, t):
            if flat[t] or first < 0 or first + 3 > count:
                continue
            # Levels are taken off: flicker would make the median of one frame only.
            three = [tones[k].astype(np.float32) - level[k] for k in range(first, first + 3)]
            alike = np.all(candidates[first : first + 3])
            flat[t] = bool(alike) and np.median(three, axis=0).std() < limit
    white = flat & (level > _LIGHT)
    for start, stop in _runs(white):
        first, last = _trimmed(spreads, start, stop)
        white[start:first] = False
        white[last:stop] = False
    return flat & (level < _DARK), white


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return list(zip(edges[0::2].tolist(), edges[1::2].tolist(), strict=True))


def find_empty(
    black: NDArray[np.bool_],
    white: NDArray[np.bool_],
    spreads: NDArray[np.float64],
    cuts: Sequence[int],
) -> list[Empty]:
    """Runs of empty frames in order, with the fades at both ends.

    spreads: ``spread_of`` each frame. cuts: positions that no fade runs over; those in dark
    frames are to be left out, noise looks like cuts there.
    """
    found = []
    for mask, is_white in ((black, False), (white, True)):
        for start, stop in _runs(mask):
            before = max([0, *(c for c in cuts if c < start)])
            after = min([len(spreads), *(c for c in cuts if c > stop)])
            out, score_out = fade_length(spreads[before:start][::-1])
            into, score_in = fade_length(spreads[stop:after])
            found.append(
                Empty(
                    start=start,
                    stop=stop,
                    white=is_white,
                    fade_out=out,
                    fade_in=into,
                    score_out=score_out,
                    score_in=score_in,
                )
            )
    return sorted(found, key=lambda e: e.start)


def _trimmed(spreads: NDArray[np.float64], start: int, stop: int) -> tuple[int, int]:
    """Without the ends that still show something: film log hides faint pictures near white."""
    inside = spreads[start:stop]
    rest = np.flatnonzero(inside <= max(_WHITE_SPREAD, 2 * float(np.quantile(inside, 0.2))))
    return start + int(rest[0]), start + int(rest[-1]) + 1


def fade_length(spreads: NDArray[np.float64]) -> tuple[int, float]:
    """Frames at the start of ``spreads`` that rise from nothing in a straight line, and a score.

    spreads: outward from the empty frames. (0, 0.0) when it is a cut.
    """
    longest = min(_LONGEST_FRAMES, len(spreads) - 2)
    errors = []
    for length in range(longest + 1):
        seen = spreads[: length + _AFTER_FRAMES]
        plateau = float(np.median(spreads[length : length + _AFTER_FRAMES]))
        if plateau <= 0:
            errors.append(float("inf"))
            continue
        # Roots: flicker is in proportion to light, and shall not weigh most where it is bright.
        ramp = np.sqrt(np.minimum(1.0, (np.arange(len(seen)) + 1) / (length + 1)))
        seen = np.sqrt(np.minimum(seen / plateau, 2.0))
        errors.append(float(np.sqrt(np.square(seen - ramp).mean())))
    if not errors:
        return 0, 0.0
    best = int(np.argmin(errors))
    if best < _MIN_FRAMES or errors[best] > _ERROR or errors[best] > _MARGIN * errors[0]:
        return 0, 0.0
    return best, 1.0 - errors[best] / _ERROR / 2
