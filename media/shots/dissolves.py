"""Dissolves between cuts.

A dissolve is a stretch whose frames are each a sum of its two ends, in light, with weights that
move over in a straight line. ``mixtures`` measures what frames have in common, ``dissolve_net``
reads it; here the answers of the frames of a dissolve are brought together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from media.shots import dissolve_net, mixtures
from media.shots.dissolve_net import Reading
from media.shots.features import distance, features

Curve = NDArray[np.float32]
Tones = list[NDArray[np.float16]]

_SHORTEST_SHOT_FRAMES = 10
_MIN_FRAMES = 4
_NEEDED = 0.5
_COVERED = 0.4
"""Share of its length in which a dissolve must show."""
_NEAR_FRAMES = 6
_BESIDE_FRAMES = 2
_BELIEVED = 1.6
"""Least sum of score and of how unlike the pictures before and after are."""
_CHUNK_FRAMES = 384
_MARGIN_FRAMES = mixtures.REACH_FRAMES + dissolve_net.REACH_FRAMES


@dataclass(frozen=True, slots=True, kw_only=True)
class Dissolve:
    """A linear mixture of two pictures; positions count from 0."""

    start: int
    """First frame that carries the new picture."""
    stop: int
    """First frame that no longer carries the old one."""
    score: float
    """0..1."""

    @property
    def middle(self) -> int:
        """First frame that shows more of the new picture than of the old."""
        return (self.start + self.stop) // 2


def find_dissolves(tones: Tones, start: int, stop: int) -> list[Dissolve]:
    """Dissolves among thumbnails ``start`` to ``stop`` (one shot as far as cuts tell).

    tones: (h, 48) film log each. returns: in order, positions counted like ``start``.
    """
    if stop - start <= _SHORTEST_SHOT_FRAMES:
        return []
    parts = list(_readings(tones, start, stop))
    reading = Reading(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in Reading.__slots__)
    )
    found: list[Dissolve] = []
    for first, last in _runs(reading.inside > _NEEDED):
        made = _gathered(reading, first, last, start, stop)
        apart = not found or (made is not None and made.start >= found[-1].stop)
        if made is not None and apart and _believed(made, tones, start, stop):
            found.append(made)
    return found


def _believed(made: Dissolve, tones: Tones, start: int, stop: int) -> bool:
    """Things that cross the picture look like two pictures too, but leave the old one there."""
    places = (made.start - _BESIDE_FRAMES, made.stop + _BESIDE_FRAMES - 1)
    before, after = (
        features(tones[min(max(k, start), stop - 1)].astype(np.float32)) for k in places
    )
    return made.score + distance(before, after) > _BELIEVED


def _readings(tones: Tones, start: int, stop: int) -> Iterator[Reading]:
    """Long shots in pieces, each with as much around it as its answers depend on."""
    for first in range(start, stop, _CHUNK_FRAMES):
        last = min(first + _CHUNK_FRAMES, stop)
        low, high = max(start, first - _MARGIN_FRAMES), min(stop, last + _MARGIN_FRAMES)
        seen = tones[low:high]
        reading = dissolve_net.read(mixtures.mixing(seen), mixtures.mixing(seen[::-1]))
        own = slice(first - low, last - low)
        yield Reading(*(getattr(reading, name)[own] for name in Reading.__slots__))


def _runs(on: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], on.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def _gathered(reading: Reading, first: int, last: int, start: int, stop: int) -> Dissolve | None:
    """Each end halfway between where the frames of one run place it and where the run ends.

    The first is the median of their trust. Both estimates err, but not together; where they lie
    far apart a part of the dissolve was not seen, and the first holds.
    """
    run = slice(first, last)
    at = np.arange(first, last)
    sure = reading.inside[run]
    begin = _median(at - reading.since[run], reading.trust_since[run] * sure)
    end = _median(at + reading.until[run], reading.trust_until[run] * sure)
    begin, end = (
        (placed + edge) / 2 if abs(placed - edge) <= _NEAR_FRAMES else placed
        for placed, edge in ((begin, first), (end, last))
    )
    begin, end = max(0, round(begin)), min(stop - start, round(end))
    if end - begin < _MIN_FRAMES or last - first < _COVERED * (end - begin):
        return None
    return Dissolve(start=start + begin, stop=start + end, score=float(sure.mean()))


def _median(values: Curve, weights: Curve) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][int(np.searchsorted(total, total[-1] / 2))])
