"""Hours and deadlines on the wall clock."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wetgate.night import (
    after_work,
    is_open,
    next_opening,
    parse_deadline,
    parse_windows,
)

THURSDAY = datetime(2026, 11, 26, 12)


@pytest.mark.parametrize(
    ("text", "at", "opens"),
    [
        ("", THURSDAY, THURSDAY),
        ("20:00-07:00", THURSDAY, datetime(2026, 11, 26, 20)),
        ("20:00-07:00", datetime(2026, 11, 26, 6, 59), datetime(2026, 11, 26, 6, 59)),
        ("20:00-07:00", datetime(2026, 11, 26, 7), datetime(2026, 11, 26, 20)),
        ("mon-fri 20:00-07:00", datetime(2026, 11, 28, 6), datetime(2026, 11, 28, 6)),
        ("mon-fri 20:00-07:00", datetime(2026, 11, 28, 8), datetime(2026, 11, 30, 20)),
        ("mon 01:00-02:00, sat-sun 00:00-24:00", THURSDAY, datetime(2026, 11, 28)),
        ("fri-mon 08:00-09:00", THURSDAY, datetime(2026, 11, 27, 8)),
    ],
)
def test_when_work_may_be_begun(text: str, at: datetime, opens: datetime) -> None:
    windows = parse_windows(text)
    assert next_opening(windows, at) == opens
    assert is_open(windows, at) == (at == opens)


def test_work_is_spread_over_the_hours_it_is_given() -> None:
    night = parse_windows("20:00-07:00")
    assert after_work(night, THURSDAY, 3600) == datetime(2026, 11, 26, 21)
    assert after_work(night, THURSDAY, 12 * 3600) == datetime(2026, 11, 27, 21)
    weekend = parse_windows("sat-sun 00:00-24:00")
    assert after_work(weekend, THURSDAY, 30 * 3600) == datetime(2026, 11, 29, 6)
    assert after_work(weekend, THURSDAY, 50 * 3600) == datetime(2026, 12, 5, 2)
    assert after_work((), THURSDAY, 60) == THURSDAY + timedelta(minutes=1)
    always = parse_windows("mon-sun 00:00-24:00")
    assert after_work(always, THURSDAY, 1e6) == THURSDAY + timedelta(seconds=1e6)


@given(
    begins=st.integers(0, 23),
    ends=st.integers(0, 23),
    at=st.integers(0, 7 * 24 * 60),
    seconds=st.integers(1, 400_000),
)
def test_work_is_over_no_sooner_than_it_takes(
    begins: int, ends: int, at: int, seconds: int
) -> None:
    if begins == ends:
        return
    windows = parse_windows(f"{begins}:00-{ends}:00")
    now = THURSDAY + timedelta(minutes=at)
    done = after_work(windows, now, seconds)
    worked = sum(is_open(windows, now + timedelta(minutes=m)) for m in range(_minutes(done - now)))
    assert abs(worked * 60 - seconds) <= 120
    assert is_open(windows, done - timedelta(seconds=1))


def _minutes(span: timedelta) -> int:
    return int(span.total_seconds() // 60)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("", None),
        ("07:00", datetime(2026, 11, 27, 7)),
        ("13:30", datetime(2026, 11, 26, 13, 30)),
        ("mon 7:00", datetime(2026, 11, 30, 7)),
        ("2026-11-30 07:00", datetime(2026, 11, 30, 7)),
        ("2026-11-30T07:00:00", datetime(2026, 11, 30, 7)),
    ],
)
def test_which_time_a_deadline_means(text: str, meant: datetime | None) -> None:
    assert parse_deadline(text, THURSDAY) == meant


@pytest.mark.parametrize(
    ("parse", "text", "why"),
    [
        ("window", "20-7", "no window"),
        ("window", "20:00-25:00", "no window"),
        ("window", "20:00-24:30", "there is no 24:30"),
        ("window", "20:00-20:00", "ends when it begins"),
        ("window", "abc 20:00-21:00", "'abc' is no day"),
        ("deadline", "tomorrow", "is no time"),
        ("deadline", "2026-11-30", "is no time"),
        ("deadline", "2026-11-30 07:00+01:00", "is no time"),
    ],
)
def test_what_is_no_time_is_refused(parse: str, text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_windows(text) if parse == "window" else parse_deadline(text, THURSDAY)
