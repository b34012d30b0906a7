"""Who is done when: shots handed to workers in their order, and what that makes of a deadline."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from wetgate.night import Windows, after_work


@dataclass(frozen=True, slots=True)
class Work:
    """What a shot will take one worker, in seconds."""

    shot: str
    low: float
    likely: float
    high: float


def finish_times(seconds: Sequence[float], workers: int) -> list[float]:
    """Seconds from now until each is done, when every worker takes the next one in order.

    With fewer shots than workers each is worked on by several (``render_shot``).
    """
    if not seconds:
        return []
    lanes = max(1, workers // len(seconds))
    free = [0.0] * max(1, min(workers, len(seconds)))
    done = []
    for each in seconds:
        end = heapq.heappop(free) + each / lanes
        heapq.heappush(free, end)
        done.append(end)
    return done


@dataclass(frozen=True, slots=True)
class Promise:
    """A deadline against the plan: shots that will be restored by then, may be, or will not."""

    deadline: datetime
    fits: tuple[str, ...]
    may_fit: tuple[str, ...]
    left_out: tuple[str, ...]
    delivered: str
    """``yes``, ``maybe`` or ``no``: is the whole title delivered by then?"""

    @property
    def possible(self) -> bool:
        """Is anything restored by then?"""
        return bool(self.fits or self.may_fit) or self.delivered != "no"


def promise(
    deadline: datetime,
    now: datetime,
    windows: Windows,
    ends: Sequence[tuple[str, float, float]],
    whole: tuple[float, float],
) -> Promise:
    """ends: shot, and seconds of work until it is restored, at best and at worst.

    whole: the same for the delivery.
    """
    fits, may, out = list[str](), list[str](), list[str]()
    for shot, low, high in ends:
        if after_work(windows, now, high) <= deadline:
            fits.append(shot)
        elif after_work(windows, now, low) <= deadline:
            may.append(shot)
        else:
            out.append(shot)
    best, worst = (after_work(windows, now, s) <= deadline for s in whole)
    delivered = "yes" if worst else "maybe" if best else "no"
    return Promise(deadline, tuple(fits), tuple(may), tuple(out), delivered)
