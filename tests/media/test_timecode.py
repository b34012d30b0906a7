"""SMPTE timecode against the standard's own arithmetic, in every rate that has one."""

from __future__ import annotations

from fractions import Fraction

import opentimelineio as otio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.errors import InputError
from media.timecode import (
    feet_and_frames,
    frames_to_timecode,
    nominal_rate,
    shifted_timecode,
    timecode_to_frames,
)

NTSC = Fraction(30000, 1001)
RATES = [Fraction(r) for r in (24, 25, 30, 48, 50, 60)] + [
    Fraction(24000, 1001),
    NTSC,
    Fraction(60000, 1001),
]


@given(st.sampled_from(RATES), st.integers(0, 3_000_000))
def test_there_and_back(rate: Fraction, count: int) -> None:
    day = 24 * 3600 * (nominal_rate(rate) or 0)
    assert timecode_to_frames(frames_to_timecode(count % day, rate), rate) == count % day


@given(st.sampled_from([NTSC, Fraction(60000, 1001)]), st.integers(0, 2_500_000))
def test_drop_frame_there_and_back(rate: Fraction, count: int) -> None:
    text = frames_to_timecode(count, rate, drop=True)
    day = timecode_to_frames(frames_to_timecode(-1, rate, drop=True), rate) + 1
    assert ";" in text
    assert timecode_to_frames(text, rate) == count % day


@given(st.integers(0, 2_500_000))
def test_drop_frame_as_another_library_counts(count: int) -> None:
    theirs = otio.opentime.RationalTime(count, 30000 / 1001)
    assert frames_to_timecode(count, NTSC, drop=True) == theirs.to_timecode(
        30000 / 1001, drop_frame=True
    )


@pytest.mark.parametrize(
    ("text", "rate", "count"),
    [
        ("01:00:00:00", Fraction(24), 86400),
        ("01:00:00:00", Fraction(24000, 1001), 86400),
        ("00:01:00;02", NTSC, 1800),
        ("00:10:00;00", NTSC, 17982),
        ("01:00:00;00", NTSC, 107892),
        ("23:59:59:24", Fraction(25), 2159999),
    ],
)
def test_known_times(text: str, rate: Fraction, count: int) -> None:
    assert timecode_to_frames(text, rate) == count
    assert frames_to_timecode(count, rate, drop=";" in text) == text


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("01:00:00:24", Fraction(24)),
        ("24:00:00:00", Fraction(24)),
        ("00:60:00:00", Fraction(24)),
        ("1:00:00:00", Fraction(24)),
        ("00:01:00;00", NTSC),
        ("00:01:00;02", Fraction(25)),
        ("00:00:01:00", Fraction(18)),
        ("00:00:01:00", Fraction(200, 11)),
    ],
)
def test_times_that_do_not_exist(text: str, rate: Fraction) -> None:
    with pytest.raises(InputError) as caught:
        timecode_to_frames(text, rate)
    assert caught.value.hint


@pytest.mark.parametrize("rate", [Fraction(16), Fraction(18), Fraction(200, 11), Fraction(240, 11)])
def test_silent_rates_have_no_timecode(rate: Fraction) -> None:
    assert nominal_rate(rate) is None
    with pytest.raises(InputError, match="no SMPTE timecode"):
        frames_to_timecode(0, rate)


def test_shifting_keeps_drop_frame() -> None:
    assert shifted_timecode("00:00:59;29", 1, NTSC) == "00:01:00;02"
    assert shifted_timecode("00:00:00:00", -1, Fraction(24)) == "23:59:59:23"


def test_footage() -> None:
    assert feet_and_frames(16 * 123 + 7) == "123+07"
    assert feet_and_frames(41, "16mm") == "1+01"
    with pytest.raises(InputError, match="gauge"):
        feet_and_frames(1, "65mm")
