"""Stretches that are no scene: cards of text anywhere, countdowns and bars at the ends.

Countdowns follow a clock: the SMPTE leader sweeps round once a second (24 frames, 8 to 2), the
Academy leader changes its number every foot of 16 frames (12 to 3). Only what keeps such a time
for several counts is called leader, and only near the ends of a reel.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from media.shots.spans import SpanKind
from media.shots.track import Track

_TITLE_FRAMES = 12
_TEXT = 0.55
_TEXT_SHARE = 0.7
_STILL = 0.9
_ENDS_FRAMES = 300
_PERIODS_FRAMES = (16, 24, 25, 30)
_COUNTS = 3
_SAME, _TURNED = 0.8, 0.12
_STEP, _HELD = 0.9, 0.93
_BARS_FRAMES = 12
_BARS_UPRIGHT = 0.12


@dataclass(frozen=True, slots=True)
class Card:
    """A stretch of frames with its meaning; positions count from 0, half-open."""

    kind: SpanKind
    start: int
    stop: int
    confidence: float
    reason: str


def find_cards(track: Track, edges: list[int]) -> list[Card]:
    """Titles, countdowns and bars. edges: 0, the positions of all boundaries, the length."""
    ends = _at_the_ends(track, edges)
    titles = [
        card
        for card in _titles(track, edges)
        if not any(card.start < e.stop and e.start < card.stop for e in ends)
    ]
    return sorted([*ends, *titles], key=lambda c: c.start)


def _titles(track: Track, edges: list[int]) -> list[Card]:
    found = []
    texts = np.asarray(track.texts)
    for start, stop in pairwise(edges):
        if stop - start < _TITLE_FRAMES:
            continue
        share = float(np.mean(texts[start:stop] >= _TEXT))
        if share < _TEXT_SHARE:
            continue
        still = _likeness(_planes(track, start, stop))
        held = float(np.median(np.diagonal(still, offset=_TITLE_FRAMES // 2)))
        if held >= _STILL:
            why = f"still text on a flat ground in {share:.0%} of the frames"
            found.append(Card(SpanKind.TITLE, start, stop, min(1.0, share * held), why))
    return found


def _at_the_ends(track: Track, edges: list[int]) -> list[Card]:
    count = len(track)
    ranges = [(0, min(count, _ENDS_FRAMES)), (max(0, count - _ENDS_FRAMES), count)]
    if count <= 2 * _ENDS_FRAMES:
        ranges = [(0, count)]
    found: list[Card] = []
    for low, high in ranges:
        planes = _planes(track, low, high)
        card = _sweep(planes) or _numbers(planes)
        if card is not None:
            start, stop, period = card
            counts = (stop - start) / period
            sure = min(1.0, 0.5 + 0.1 * counts)
            why = f"keeps time: {counts:.0f} counts of {period} frames"
            found.append(Card(SpanKind.LEADER, low + start, low + stop, sure, why))
        for start, stop in pairwise(edges):
            if stop - start >= _BARS_FRAMES and low <= start and stop <= high:
                upright = _bars(track, start, stop)
                if upright < _BARS_UPRIGHT:
                    why = "upright bars that stand still"
                    found.append(Card(SpanKind.LEADER, start, stop, 1 - 3 * upright, why))
    return found


def _planes(track: Track, start: int, stop: int) -> NDArray[np.float32]:
    """(T, h, w) film log."""
    return np.stack([t.astype(np.float32) for t in track.tones[start:stop]])


def _likeness(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """(T, T) correlation of all frames with all; frames without contrast are like nothing."""
    flat = planes.reshape(len(planes), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    size = np.sqrt(np.square(flat).sum(axis=1, keepdims=True))
    flat = flat / np.maximum(size, 0.01 * np.sqrt(flat.shape[1]))
    return np.asarray(flat @ flat.T, dtype=np.float32)


def _sweep(planes: NDArray[np.float32]) -> tuple[int, int, int] | None:
    """Start, stop and period of a picture that turns like a clock hand, if there is one."""
    like = _likeness(planes)
    best: tuple[int, int, int] | None = None
    for period in _PERIODS_FRAMES:
        if len(like) <= _COUNTS * period:
            continue
        again = np.diagonal(like, offset=period)
        half = np.diagonal(like, offset=period // 2)[: len(again)]
        turns = (again > _SAME) & (half < again - _TURNED)
        start, stop = _longest(turns, gap=period // 4)
        if stop - start >= (_COUNTS - 1) * period:
            found = (start, stop + period, period)
            if best is None or found[1] - found[0] > best[1] - best[0]:
                best = found
    return best


def _numbers(planes: NDArray[np.float32]) -> tuple[int, int, int] | None:
    """Start, stop and period of a still card whose middle changes like a clock."""
    _, h, w = planes.shape
    middle = planes[:, h // 4 : h - h // 4, w // 4 : w - w // 4]
    like = np.diagonal(_likeness(middle), offset=1)
    around = planes.copy()
    around[:, h // 4 : h - h // 4, w // 4 : w - w // 4] = planes.mean(axis=(1, 2), keepdims=True)
    held = np.diagonal(_likeness(around), offset=1)
    steps = [k + 1 for k in range(len(like)) if like[k] < _STEP and held[k] > _HELD]
    for period in _PERIODS_FRAMES:
        for first in steps:
            run = [first]
            # One number may look like the next: a change may be missed.
            while following := [
                s for s in steps for m in (1, 2) if abs(s - run[-1] - m * period) <= 1
            ]:
                run.append(following[0])
            between = [like[k] for a, b in pairwise(run) for k in range(a, b - 1)]
            if len(run) > _COUNTS and float(np.median(between)) > _HELD:
                return max(0, first - period), min(len(planes), run[-1] + period), period
    return None


def _bars(track: Track, start: int, stop: int) -> float:
    """Share of contrast that is not upright; 1 for anything that moves or has too few bars."""
    planes = _planes(track, start, stop)
    like = _likeness(planes)
    if float(np.median(np.diagonal(like, offset=_BARS_FRAMES // 2))) < _STILL:
        return 1.0
    picture = np.median(planes, axis=0)
    upper = picture[: 2 * len(picture) // 3]
    columns = upper.mean(axis=0)
    levels = np.unique(np.round(columns, 2))
    edges = int(np.count_nonzero(np.abs(np.diff(columns)) > 0.02))
    if float(columns.std()) < 0.05 or len(levels) < 5 or not 4 <= edges <= 24:
        return 1.0
    return float((upper - columns).std() / upper.std())


def _longest(mask: NDArray[np.bool_], gap: int) -> tuple[int, int]:
    """The longest run of True that is never False for more than ``gap``."""
    best = (0, 0)
    start: int | None = None
    last = 0
    for k in np.flatnonzero(mask).tolist():
        if start is None or k - last > gap + 1:
            start = k
        last = k
        if last + 1 - start > best[1] - best[0]:
            best = (start, last + 1)
    return best
