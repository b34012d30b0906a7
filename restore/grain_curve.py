"""How strong grain is at each level of each channel, and what that makes of a frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TABLE = 4096
RANGE = (-0.5, 2.0)
"""Film log over which curves are tabulated; what lies beyond is left as it is."""
FLOOR = 1e-4
"""Film log: no grain is taken to be weaker than this, so that nothing is divided by zero."""


@dataclass(frozen=True, slots=True)
class GrainCurve:
    """Standard deviation of grain by level, film log; linear between knots, held at the ends."""

    levels: tuple[float, ...]
    """(K,) rising, film log."""
    sigma: tuple[tuple[float, ...], ...]
    """(C, K) film log."""

    @classmethod
    def flat(cls, sigma: Sequence[float]) -> GrainCurve:
        """The same strength at all levels. sigma: (C,)."""
        return cls((0.5,), tuple((float(s),) for s in sigma))

    def scaled(self, factor: float) -> GrainCurve:
        """Every strength times ``factor``."""
        return GrainCurve(self.levels, tuple(tuple(v * factor for v in c) for c in self.sigma))

    def as_json(self) -> dict[str, list[object]]:
        """For keys."""
        return {"levels": list(self.levels), "sigma": [list(c) for c in self.sigma]}

    @property
    def strongest(self) -> float:
        """The largest of all knots."""
        return max((max(c) for c in self.sigma), default=0.0)

    def tables(self) -> Stabiliser:
        """The scale on which this grain has unit strength at every level."""
        low, high = RANGE
        at = np.linspace(low, high, TABLE)
        step = (high - low) / (TABLE - 1)
        forward, backward, ends = [], [], []
        for strengths in self.sigma:
            slope = 1.0 / np.maximum(np.interp(at, self.levels, strengths), FLOOR)
            value = np.concatenate([[0.0], np.cumsum(0.5 * (slope[1:] + slope[:-1]) * step)])
            # Near zero where pictures are, so that float32 keeps its digits there.
            value -= np.interp(0.45, at, value)
            ends.append((value[0], value[-1]))
            forward.append(value)
            backward.append(np.interp(np.linspace(value[0], value[-1], TABLE), value, at))
        return Stabiliser(
            np.stack(forward).astype(np.float32),
            np.stack(backward).astype(np.float32),
            np.array(ends, np.float32),
        )


@dataclass(frozen=True, eq=False)
class Stabiliser:
    """Tables from film log to units of grain and back; linear between knots, held at the ends."""

    forward: NDArray[np.float32]
    """(C, 4096) over ``RANGE``, film log."""
    backward: NDArray[np.float32]
    """(C, 4096) film log over ``ends``."""
    ends: NDArray[np.float32]
    """(C, 2) units of grain."""
