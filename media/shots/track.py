"""What cut finding remembers of a reel: one small picture and a few figures a frame."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from media.shots.cards import text_of
from media.shots.fades import spread_of
from media.shots.features import Features, Plane, distance, features, thumbnail

LAGS = 3


@dataclass(slots=True)
class Track:
    """Frames in the order they were seen; positions count from 0."""

    tones: list[NDArray[np.float16]] = field(default_factory=list)
    """(h, 48) film log each."""
    levels: list[float] = field(default_factory=list)
    """Mean film log."""
    spreads: list[float] = field(default_factory=list)
    """See ``cut_fades.spread_of``."""
    texts: list[float] = field(default_factory=list)
    """See ``cut_cards.text_of``."""
    breaks: list[int] = field(default_factory=list)
    """Positions before which frames are missing."""
    _distances: list[list[float]] = field(default_factory=list)
    _recent: deque[Features] = field(default_factory=lambda: deque(maxlen=LAGS))

    def __len__(self) -> int:
        return len(self.tones)

    def add(self, codes_proxy: Plane) -> None:
        """One more frame, (h, w) float32 film log luma."""
        seen = features(thumbnail(codes_proxy))
        self._distances.append([distance(old, seen) for old in reversed(self._recent)])
        self._recent.append(seen)
        self.tones.append(seen.tone.astype(np.float16))
        self.levels.append(seen.level)
        self.spreads.append(spread_of(seen.tone))
        self.texts.append(text_of(codes_proxy))

    def apart(self, one: int, other: int) -> float:
        """Distance of two positions up to three apart; infinite outside the reel."""
        if one < 0 or other >= len(self):
            return float("inf")
        return self._distances[other][other - one - 1]

    def features(self, position: int) -> Features:
        """Features of a frame seen earlier."""
        return features(self.tones[position].astype(np.float32))
