"""How fast a network learns, from the beginning of a course to its end."""

from __future__ import annotations

import numpy as np


def share_of_rate(done: float, warm: float = 0.03) -> float:
    """Of the highest rate: up in a straight line while warming, then down along a cosine.

    done: 0..1 of the course.
    """
    if done < warm:
        return max(done / warm, 0.01)
    left = (1.0 - done) / (1.0 - warm)
    return float(0.5 - 0.5 * np.cos(np.pi * min(max(left, 0.0), 1.0)))


def done_share(step: int, steps: int, spent_s: float, minutes: float) -> float:
    """0..1 of a course that is told in steps, or where ``minutes`` is not 0 in time."""
    return spent_s / (60.0 * minutes) if minutes else step / steps
