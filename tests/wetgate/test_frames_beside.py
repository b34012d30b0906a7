"""Destroyed frames beside others that are missing, torn, left, lost: none is made of another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from media.errors import ConfigError
from media.write import AnyCodes
from tests.reels import project_of, run_here
from tests.wetgate.test_doubled import ONE_SHOT, decided, delivered, touched
from tests.wetgate.test_frames import (
    ALLOWED,
    FIRST,
    HEIGHT_PX,
    WIDTH_PX,
    fogged,
    mean_error,
    panned,
    scanned,
)
from wetgate.job import open_job
from wetgate.review import doubts
from wetgate.stages.finish import Outcome


def run(
    root: Path, codes: AnyCodes, *sets: str, word: str = "", missing: tuple[int, ...] = ()
) -> tuple[Outcome, Path]:
    scan, out = scanned(root, codes), root / "out"
    for at in missing:
        (scan / f"R1.{FIRST + at:07d}.dpx").unlink()
    out.mkdir()
    if word:
        (out / "overrides.toml").write_text(f'["R1_0010".frames]\n{word}\n', "utf-8")
    return run_here(project_of([scan], ONE_SHOT, *sets, only="frames"), out), out


def done(out: Path) -> dict[int, str]:
    return {d["frame"] - FIRST: d["done"] for d in decided(out)["frame_damage"]}


@pytest.mark.parametrize("word", ["leave", "lost"])
def test_nothing_is_made_of_a_destroyed_frame_that_a_person_keeps(
    tmp_path: Path, word: str
) -> None:
    frames = fogged(panned(12), 5, 6)
    outcome, out = run(tmp_path, frames, ALLOWED, word=f"{word} = [{FIRST + 6}]")
    assert done(out) == {5: "left", 6: {"leave": "left", "lost": "lost"}[word]}
    assert outcome.held == ("R1_0010",)
    (doubt,) = doubts(open_job(out))
    assert f"frame {FIRST + 6} beside it is damaged" in doubt.held_because[0]
    np.testing.assert_array_equal(delivered(out)[FIRST + 5], frames[5])


def test_a_wish_that_needs_a_lost_frame_is_refused(tmp_path: Path) -> None:
    word = f"rebuild = [{FIRST + 5}]\nlost = [{FIRST + 6}]"
    with pytest.raises(ConfigError, match=f"would be made from frame {FIRST + 6}"):
        run(tmp_path, fogged(panned(12), 5, 6), ALLOWED, word=word)


def test_a_person_may_have_one_made_beside_what_they_leave(tmp_path: Path) -> None:
    word = f"rebuild = [{FIRST + 5}]\nleave = [{FIRST + 6}]"
    _, out = run(tmp_path, fogged(panned(12), 5, 6), ALLOWED, word=word)
    assert done(out) == {5: "rebuilt", 6: "left"}


def test_what_is_held_shows_the_last_sound_frame(tmp_path: Path) -> None:
    clean = panned(12)
    _, out = run(tmp_path, fogged(clean, 5, 6), word=f"hold = [{FIRST + 6}]")
    assert done(out) == {5: "left", 6: "held"}
    np.testing.assert_array_equal(delivered(out)[FIRST + 6], clean[4])
    assert bool((touched(out)[FIRST + 6] == 2).all())


@pytest.mark.parametrize("gaps", ["rebuild", "hold"])
def test_a_destroyed_frame_before_a_missing_one_is_found(tmp_path: Path, gaps: str) -> None:
    clean = panned(12)
    sets = (ALLOWED, f"reels.gaps={gaps}")
    _, out = run(tmp_path, fogged(clean, 5), *sets, missing=(6,))
    assert done(out) == {5: "rebuilt"}
    made = delivered(out)
    assert mean_error(made[FIRST + 5], clean[5]) < 15.0
    if gaps == "rebuild":
        assert mean_error(made[FIRST + 6], clean[6]) < 15.0
    else:
        np.testing.assert_array_equal(made[FIRST + 6], clean[4])
        assert bool((touched(out)[FIRST + 6] == 2).all())


def test_missing_frames_are_not_made_of_a_destroyed_one(tmp_path: Path) -> None:
    clean = panned(16)
    sets = (ALLOWED, "reels.gaps=rebuild")
    frames = fogged(clean, 8, 9)
    outcome, out = run(tmp_path, frames, *sets, missing=(6, 7))
    # Four in a row: one too many, together with those that are missing.
    assert done(out) == {8: "lost", 9: "lost"}
    assert outcome.held == ("R1_0010",)
    (doubt,) = doubts(open_job(out))
    assert any("missing, and not rebuilt" in why for why in doubt.held_because)
    for at in (6, 7):
        np.testing.assert_array_equal(delivered(out)[FIRST + at], clean[5])
        assert bool((touched(out)[FIRST + at] == 2).all())


def torn(codes: AnyCodes, at: int) -> AnyCodes:
    out = codes.copy()
    y, x = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX]
    out[at][x > 115 + 0.2 * y] = 1023
    return out


@pytest.mark.parametrize("beside", ["fogged", "missing"])
def test_a_torn_frame_beside_one_that_is_gone_is_said(tmp_path: Path, beside: str) -> None:
    frames = torn(panned(12), 5)
    sets = (ALLOWED, "reels.gaps=rebuild", "policy.max_repaired_share=0.6")
    if beside == "fogged":
        frames[6] = np.random.default_rng(9).normal(737, 10, frames[6].shape).astype(np.uint16)
        outcome, out = run(tmp_path, frames, *sets)
        assert done(out) == {5: "left", 6: "left"}
    else:
        outcome, out = run(tmp_path, frames, *sets, missing=(6,))
        assert done(out) == {5: "left"}
        np.testing.assert_array_equal(delivered(out)[FIRST + 6], panned(12)[4])
    assert outcome.held == ("R1_0010",)
    assert decided(out)["frame_damage"][0]["kind"] == "torn"
    assert not any(bool((plane == 3).any()) for plane in touched(out).values())


def test_a_sound_frame_between_two_destroyed_runs_is_not_accused(tmp_path: Path) -> None:
    clean = panned(14)
    outcome, out = run(tmp_path, fogged(clean, 4, 5, 7, 8), ALLOWED)
    assert done(out) == dict.fromkeys((4, 5, 7, 8), "rebuilt")
    assert outcome.held == ()
    np.testing.assert_array_equal(delivered(out)[FIRST + 6], clean[6])


def spliced(bands: bool) -> tuple[AnyCodes, dict[int, tuple[int, int]]]:
    """Two shots joined with cement on both sides of the cut, and a speck on each of some frames."""
    codes = np.concatenate([panned(10, 4), panned(10, 9)])
    rng = np.random.default_rng(3)
    for at, rows in ((9, slice(-12, None)), (10, slice(0, 12))):
        if bands:
            codes[at][rows] = rng.normal(840, 15, codes[at][rows].shape)
    specks = {7: (60, 90), 9: (20, 30), 12: (60, 90)}
    for at, (y, x) in specks.items():
        codes[at, y : y + 6, x : x + 6] = 950
    return codes, specks


def test_a_splice_that_is_left_keeps_no_dirt_beside_it(tmp_path: Path) -> None:
    codes, specks = spliced(bands=True)
    scan, out = scanned(tmp_path, codes), tmp_path / "out"
    # The band is more than dirt may take of a frame.
    sets = ("policy.max_repaired_share=0.05",)
    outcome = run_here(project_of([scan], *sets, only="frames,dirt"), out)
    (said,) = decided(out)["frame_damage"]
    assert (said["frame"], said["kind"], said["done"]) == (FIRST + 9, "splice", "left")
    planes = touched(out)
    for at, (y, x) in specks.items():
        assert float((planes[FIRST + at][y : y + 6, x : x + 6] == 2).mean()) > 0.9, at
    assert not planes[FIRST + 9][-12:].any()
    assert "R1_0010" not in outcome.held


def test_what_a_person_leaves_is_left_by_dirt_too(tmp_path: Path) -> None:
    codes, specks = spliced(bands=False)
    scan, out = scanned(tmp_path, codes), tmp_path / "out"
    out.mkdir()
    (out / "overrides.toml").write_text(f'["R1_0010".frames]\nleave = [{FIRST + 7}]\n', "utf-8")
    run_here(project_of([scan], only="frames,dirt"), out)
    y, x = specks[9]
    assert bool((touched(out)[FIRST + 9][y : y + 6, x : x + 6] == 2).any())
    assert not touched(out)[FIRST + 7].any()
