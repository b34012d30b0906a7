"""Walking along the pictures of a shot, past frames that repeat or stand in for one."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.frames import FrameRange
from media.pictures import all_own, pictures_of
from media.reel import MadeBy, PictureFormat, Reel, SourceFrame

SHOT = FrameRange(100, 110)


def reel_of(doubled: tuple[int, ...] = (), made: dict[int, MadeBy] | None = None) -> Reel:
    frames = tuple(
        SourceFrame(
            number=n,
            path=Path(f"{n}.dpx"),
            index=n - SHOT.start,
            sha256=str(n),
            size_bytes=1,
            mtime_ns=1,
            made_by=(made or {}).get(n),
        )
        for n in SHOT
    )
    return Reel(
        id="R1",
        rate=Fraction(24),
        encoding="cineon",
        format=PictureFormat(width=8, height=8, channels=3, bits=10),
        kind="dpx",
        frames=frames,
        doubled=doubled,
    )


@given(st.integers(100, 109), st.integers(0, 7))
def test_without_repeats_a_window_is_the_plain_one(number: int, radius: int) -> None:
    padded = (
        np.pad(np.array(list(SHOT)), radius, mode="reflect") if radius else np.array(list(SHOT))
    )
    at = number - SHOT.start
    assert all_own(SHOT).around(number, radius) == tuple(padded[at : at + 2 * radius + 1])


@given(st.sets(st.integers(101, 109)), st.integers(100, 109), st.integers(1, 4))
def test_no_window_shows_a_picture_twice_on_one_side(
    doubled: set[int], number: int, radius: int
) -> None:
    pictures = pictures_of(reel_of(tuple(sorted(doubled))), SHOT)
    window = pictures.around(number, radius)
    assert window[radius] == number
    others = window[:radius] + window[radius + 1 :]
    assert not doubled.intersection(set(others) - {number})
    if number in pictures.repeats:
        # The picture that this frame repeats is no second witness.
        assert pictures.own[pictures.place(number)] not in others


@given(st.sets(st.integers(101, 109)), st.integers(100, 109), st.integers(1, 6), st.integers(0, 5))
def test_a_chunk_reads_no_more_than_its_key_says(
    doubled: set[int], first: int, length: int, radius: int
) -> None:
    pictures = pictures_of(reel_of(tuple(sorted(doubled))), SHOT)
    chunk = FrameRange(first, min(first + length, SHOT.stop))
    said = set(pictures.reach(chunk, 2 * radius))
    for number in chunk:
        for near in pictures.around(number, radius):
            assert set(pictures.around(near, radius)) <= said


def test_repeats_get_what_their_picture_got() -> None:
    pictures = pictures_of(reel_of((102, 103, 107)), SHOT)
    assert pictures.own == (100, 101, 104, 105, 106, 108, 109)
    values = np.arange(7.0)
    assert pictures.spread(values).tolist() == [0, 1, 1, 1, 2, 3, 4, 4, 5, 6]
    assert pictures.number(pictures.strip.start + 2) == 104
    assert pictures.repeats == (102, 103, 107)


def test_rebuilt_frames_lie_between_their_neighbours() -> None:
    made = {103: MadeBy.REBUILD, 104: MadeBy.REBUILD}
    pictures = pictures_of(reel_of(made=made), SHOT)
    assert pictures.between == {103: pytest.approx(1 / 3), 104: pytest.approx(2 / 3)}
    assert pictures.around(103, 1) == (102, 103, 105)
    assert pictures.around(104, 2) == (101, 102, 104, 105, 106)
    spread = pictures.spread(np.array([0.0, 0, 3, 6, 0, 0, 0, 0]))
    assert spread[2:6].tolist() == pytest.approx([3, 4, 5, 6])


def test_time_goes_on_over_what_is_gone_and_not_over_repeats() -> None:
    held = {104: MadeBy.HOLD, 105: MadeBy.REBUILD}
    pictures = pictures_of(reel_of((102,), held), SHOT)
    assert pictures.own == (100, 101, 103, 106, 107, 108, 109)
    assert pictures.moments == (0, 1, 2, 5, 6, 7, 8)
    assert all_own(SHOT).moments == tuple(range(10))


def test_destroyed_frames_are_set_aside_and_given_nothing() -> None:
    pictures = all_own(SHOT).without({100, 104, 105, 300})
    assert pictures.own == (101, 102, 103, 106, 107, 108, 109)
    assert pictures.moments == (0, 1, 2, 5, 6, 7, 8)
    assert pictures.spread(np.arange(1.0, 8.0)).tolist() == [0, 1, 2, 3, 0, 0, 4, 5, 6, 7]
    assert pictures.given_nothing((pictures.strip.start + 3,)) == (100, 104, 105, 106)
    assert all_own(SHOT).without(set(SHOT)) == all_own(SHOT)


def test_a_gap_at_a_cut_is_not_bridged() -> None:
    made = {103: MadeBy.REBUILD}
    before = pictures_of(reel_of(made=made), FrameRange(100, 104))
    assert before.between == {}
    assert before.own == (100, 101, 102)


def test_a_shot_that_opens_on_a_repeat_has_a_picture() -> None:
    pictures = pictures_of(reel_of((104,)), FrameRange(104, 108))
    assert pictures.own[0] == 104


def test_a_kept_gap_splits_a_reel_into_stretches() -> None:
    whole = reel_of()
    holed = replace(whole, frames=tuple(f for f in whole.frames if f.number not in (103, 104, 107)))
    assert holed.gaps == (FrameRange(103, 105), FrameRange(107, 108))
    assert holed.stretches == (FrameRange(100, 103), FrameRange(105, 107), FrameRange(108, 110))
    assert holed.frame(105).number == 105
    with pytest.raises(KeyError, match="104"):
        holed.frame(104)
