"""When work may be done, and by when it should be: windows and deadlines on the wall clock.

Times are those of the clock on the wall of each machine, without a zone: a farm that stands in one
place works by one clock. In the night the clocks change, a window is an hour longer or shorter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK = r"([01]?\d|2[0-4]):([0-5]\d)"
_WINDOW = re.compile(rf"(?:([a-z]{{3}})(?:-([a-z]{{3}}))? )?{_CLOCK}-{_CLOCK}")
_DEADLINE = re.compile(rf"(?:([a-z]{{3}}) )?{_CLOCK}")
_WEEK = timedelta(days=8)
_DAY_MIN = 24 * 60


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of the day, on some days of the week; it may go on past midnight."""

    days: frozenset[int]
    """Of its beginning; Monday is 0."""
    begins_min: int
    """Minutes after midnight."""
    length_min: int

    def spans(self, around: datetime) -> list[tuple[datetime, datetime]]:
        """Beginning and end of each time it comes round, from the day before to a week on."""
        midnight = around.replace(hour=0, minute=0, second=0, microsecond=0)
        found = []
        for day in range(-1, 9):
            begins = midnight + timedelta(days=day, minutes=self.begins_min)
            if (midnight + timedelta(days=day)).weekday() in self.days:
                found.append((begins, begins + timedelta(minutes=self.length_min)))
        return found


Windows = tuple[Window, ...]
"""None at all: work may always be done."""


def parse_windows(text: str) -> Windows:
    """``20:00-07:00``, ``mon-fri 20:00-07:00, sat-sun 00:00-24:00``; empty for always.

    raises: ValueError that says what is wrong.
    """
    found = []
    for part in filter(None, (p.strip().lower() for p in text.split(","))):
        told = _WINDOW.fullmatch(part)
        if told is None:
            raise ValueError(f"{part!r} is no window: write 20:00-07:00 or mon-fri 20:00-07:00")
        begins, ends = (_minutes(told[k], told[k + 1], part) for k in (3, 5))
        if begins in (ends, _DAY_MIN):
            raise ValueError(f"{part!r} is no window: it ends when it begins")
        length = ends - begins if ends > begins else ends - begins + _DAY_MIN
        found.append(Window(_days(told[1], told[2], part), begins, length))
    return tuple(found)


def is_open(windows: Windows, at: datetime) -> bool:
    """May work be begun at this time?"""
    return not windows or any(a <= at < b for w in windows for a, b in w.spans(at))


def next_opening(windows: Windows, at: datetime) -> datetime:
    """When work may be begun: at once, or when the next window opens."""
    if is_open(windows, at):
        return at
    return min(a for w in windows for a, _ in w.spans(at) if a > at)


def after_work(windows: Windows, at: datetime, seconds: float) -> datetime:
    """When work begun at ``at`` is over, if it takes so many seconds inside the windows."""
    while True:
        at = next_opening(windows, at)
        closes = _closing(windows, at)
        room = (closes - at).total_seconds() if closes is not None else seconds
        if seconds <= room:
            return at + timedelta(seconds=seconds)
        assert closes is not None
        seconds, at = seconds - room, closes


def _closing(windows: Windows, at: datetime) -> datetime | None:
    """End of the opening that holds ``at``; None where no end comes within a week."""
    if not windows:
        return None
    end = at
    while end - at < _WEEK:
        later = [b for w in windows for a, b in w.spans(end) if a <= end < b]
        if not later:
            return end
        end = max(later)
    return None


def parse_deadline(text: str, now: datetime) -> datetime | None:
    """``07:00`` (the next one), ``mon 07:00`` or ``2026-11-30 07:00``; empty for none.

    raises: ValueError that says what is wrong.
    """
    text = text.strip().lower()
    if not text:
        return None
    told = _DEADLINE.fullmatch(text)
    if told is None:
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            found = None
        if found is None or found.tzinfo is not None or len(text) <= len("2026-11-30"):
            raise ValueError(
                f"{text!r} is no time: write 07:00, mon 07:00 or 2026-11-30 07:00"
            ) from None
        return found
    days = _days(told[1], None, text)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    minutes = _minutes(told[2], told[3], text)
    times = [midnight + timedelta(days=d, minutes=minutes) for d in range(9)]
    return next(t for t in times if t > now and (t.weekday() in days or minutes == _DAY_MIN))


def check_windows(text: str) -> str:
    """For settings: the text itself. raises: ValueError."""
    parse_windows(text)
    return text


def check_deadline(text: str) -> str:
    """For settings: the text itself. raises: ValueError."""
    parse_deadline(text, datetime(2000, 1, 3))
    return text


def _minutes(hour: str, minute: str, part: str) -> int:
    total = 60 * int(hour) + int(minute)
    if total > _DAY_MIN:
        raise ValueError(f"{part!r}: there is no {hour}:{minute}")
    return total


def _days(first: str | None, last: str | None, part: str) -> frozenset[int]:
    if first is None:
        return frozenset(range(7))
    for name in (first, last or first):
        if name not in _DAYS:
            raise ValueError(f"{part!r}: {name!r} is no day: {' '.join(_DAYS)}")
    begin, end = _DAYS.index(first), _DAYS.index(last or first)
    length = (end - begin) % 7 + 1
    return frozenset((begin + k) % 7 for k in range(length))
