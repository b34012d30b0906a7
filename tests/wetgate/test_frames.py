"""Destroyed frames end to end: found, decided on, rebuilt or left, and said so."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from media.errors import ConfigError
from media.write import AnyCodes
from tests.reels import TEN_BIT, project_of, put_reel, put_shot_list, run_here
from tests.strategies import add_grain, pan
from tests.wetgate.test_doubled import ONE_SHOT, decided, delivered, touched
from wetgate.job import open_job
from wetgate.review import doubts

FIRST, HEIGHT_PX, WIDTH_PX = 1001, 120, 168
FORMAT = replace(TEN_BIT, width=WIDTH_PX, height=HEIGHT_PX)
ALLOWED = "policy.allow_invented=true"


def panned(frames: int, seed: int = 4) -> AnyCodes:
    """(T, H, W, 3) 10-bit codes of an undamaged, grainy pan."""
    values = add_grain(pan(seed, frames, HEIGHT_PX, WIDTH_PX, 1.7), 0.006, seed + 1, 0.7)
    codes: AnyCodes = np.rint(values.transpose(0, 2, 3, 1) * 1023).clip(0, 1023).astype(np.uint16)
    return codes


def fogged(codes: AnyCodes, *places: int) -> AnyCodes:
    """With frames over which light has fallen: hardly any picture left."""
    out = codes.copy()
    for at in places:
        out[at] = np.rint(codes[at] * 0.04 + 760)
    return out


def scanned(root: Path, codes: AnyCodes) -> Path:
    return put_reel(root / "R1", codes, FIRST, fmt=FORMAT)


def mean_error(one: AnyCodes, other: AnyCodes) -> float:
    return float(np.abs(one.astype(np.float64) - other.astype(np.float64)).mean())


def test_destroyed_frames_are_rebuilt_and_marked(tmp_path: Path) -> None:
    clean = panned(14)
    scan = scanned(tmp_path, fogged(clean, 5, 9, 10))
    out = tmp_path / "out"
    outcome = run_here(project_of([scan], ALLOWED, ONE_SHOT, only="frames"), out)
    assert outcome.failed == ()
    said = decided(out)["frame_damage"]
    assert [d["frame"] for d in said] == [FIRST + 5, FIRST + 9, FIRST + 10]
    assert {d["done"] for d in said} == {"rebuilt"}
    page = (out / "reels/R1/ingest.txt").read_text("utf-8")
    assert f"{FIRST + 9}-{FIRST + 10}  overexposed" in page
    assert {d["kind"] for d in said} == {"overexposed"}
    made, planes = delivered(out), touched(out)
    for at in range(14):
        if at in (5, 9, 10):
            assert bool((planes[FIRST + at] == 3).all())
            assert mean_error(made[FIRST + at], clean[at]) < 0.5 * mean_error(
                clean[at - 2], clean[at]
            )
        else:
            assert not planes[FIRST + at].any()
            np.testing.assert_array_equal(made[FIRST + at], clean[at])


def test_beside_a_destroyed_frame_a_slow_scene_is_not_called_doubled(tmp_path: Path) -> None:
    values = add_grain(pan(4, 8, HEIGHT_PX, WIDTH_PX, 0.1), 0.002, 5, 0.7)
    codes = np.rint(values.transpose(0, 2, 3, 1) * 1023).clip(0, 1023).astype(np.uint16)
    scan = scanned(tmp_path, fogged(codes, 4))
    out = tmp_path / "out"
    assert run_here(project_of([scan], ALLOWED, ONE_SHOT, only="frames"), out).held == ()
    record = json.loads((out / "reels/R1/ingest.json").read_text("utf-8"))
    assert record["doubled"] == []


@pytest.mark.parametrize("frames", [True, False])
@pytest.mark.parametrize("places", [(7,), (7, 8, 9, 10)])
def test_destroyed_frames_that_stay_are_no_flicker_and_no_weave(
    tmp_path: Path, places: tuple[int, ...], frames: bool
) -> None:
    """Nor is the way a pan goes on meanwhile; also where nothing is done about frames."""
    scan = scanned(tmp_path, fogged(panned(20), *places))
    sets = (ONE_SHOT, "restore.flicker.floor_stops=0.0", "restore.weave.floor_px=0.0")
    out = tmp_path / "out"
    only = "weave,flicker,frames" if frames else "weave,flicker"
    run_here(project_of([scan], *sets, only=only), out)
    said = decided(out)
    steps = np.array(said["flicker"]["exposure_stops"] or [[0.0]])
    assert float(np.abs(steps).max()) < 0.05
    assert max(np.abs(said["weave"]["dx_px"] or [0.0])) < 0.3
    planes, pictures = touched(out), delivered(out)
    for at in places:
        assert not planes[FIRST + at].any()
        np.testing.assert_array_equal(pictures[FIRST + at], fogged(panned(20), *places)[at])


@pytest.mark.parametrize("gaps", ["hold", "rebuild"])
@pytest.mark.parametrize("places", [(7,), (7, 8, 9)])
def test_a_pan_goes_on_over_missing_frames(
    tmp_path: Path, places: tuple[int, ...], gaps: str
) -> None:
    """What it has moved by meanwhile is no jump of the film: what follows stays where it is."""
    scan = scanned(tmp_path, panned(20))
    for at in places:
        (scan / f"R1.{FIRST + at:07d}.dpx").unlink()
    out = tmp_path / "out"
    sets = (ONE_SHOT, ALLOWED, f"reels.gaps={gaps}", "restore.weave.floor_px=0.0")
    run_here(project_of([scan], *sets, only="weave"), out)
    said = decided(out)["weave"]
    assert max(np.abs(said["dx_px"] or [0.0])) < 0.3
    assert said["jumps"] == []


def test_limits_by_class_count_frames_that_are_made(tmp_path: Path) -> None:
    scan = scanned(tmp_path, fogged(panned(14), 5, 9, 10))
    tight = ("policy.max_invented_share=0.5", "policy.max_borrowed_share=0.5")
    out = tmp_path / "out"
    sets = (ONE_SHOT, "restore.frames.longest_run=1", "restore.frames.beyond=hold", *tight)
    assert run_here(project_of([scan], ALLOWED, *sets, only="frames"), out).held == ("R1_0010",)
    why = json.loads((out / "reels/R1/verify/R1_0010.json").read_text("utf-8"))["held_because"]
    assert why == [
        f"frame {FIRST + 9}: 100.0 % of the picture is borrowed, "
        "policy.max_borrowed_share allows 50 %",
        f"frame {FIRST + 5}: 100.0 % of the picture is invented, "
        "policy.max_invented_share allows 50 %",
    ]


def test_without_leave_to_invent_they_stay_and_the_shot_is_held(tmp_path: Path) -> None:
    frames = fogged(panned(12), 5)
    scan = scanned(tmp_path, frames)
    out = tmp_path / "out"
    outcome = run_here(project_of([scan], ONE_SHOT, only="frames"), out)
    assert len(outcome.held) == 1
    (said,) = decided(out)["frame_damage"]
    assert said["done"] == "left"
    assert "policy.allow_invented is false" in said["reason"]
    (doubt,) = doubts(open_job(out))
    assert said["reason"] in doubt.held_because[0]
    assert not set(doubt.held_because) & set(doubt.reasons)
    np.testing.assert_array_equal(delivered(out)[FIRST + 5], frames[5])
    assert not touched(out)[FIRST + 5].any()


@pytest.mark.parametrize("beyond", ["lost", "hold"])
def test_a_run_beyond_the_limit_is_lost_or_held(tmp_path: Path, beyond: str) -> None:
    frames = fogged(panned(12), 5, 6)
    scan = scanned(tmp_path, frames)
    out = tmp_path / "out"
    sets = (ALLOWED, ONE_SHOT, "restore.frames.longest_run=1", f"restore.frames.beyond={beyond}")
    outcome = run_here(project_of([scan], *sets, only="frames"), out)
    done = {"lost": "lost", "hold": "held"}[beyond]
    assert [d["done"] for d in decided(out)["frame_damage"]] == [done, done]
    assert len(outcome.held) == (beyond == "lost")
    made, planes = delivered(out), touched(out)
    for at in (5, 6):
        want = frames[at] if beyond == "lost" else frames[4]
        np.testing.assert_array_equal(made[FIRST + at], want)
        assert set(np.unique(planes[FIRST + at])) == {0 if beyond == "lost" else 2}


def test_people_overrule(tmp_path: Path) -> None:
    frames = fogged(panned(14), 5)
    scan = scanned(tmp_path, frames)
    out = tmp_path / "out"
    out.mkdir()
    words = f'["R1_0010".frames]\nleave = [{FIRST + 5}]\nrebuild = [{FIRST + 8}]\n'
    (out / "overrides.toml").write_text(words, "utf-8")
    run_here(project_of([scan], ALLOWED, ONE_SHOT, only="frames"), out)
    said = {d["frame"]: (d["done"], d["origin"]) for d in decided(out)["frame_damage"]}
    assert said == {FIRST + 5: ("left", "human"), FIRST + 8: ("rebuilt", "human")}
    planes = touched(out)
    assert not planes[FIRST + 5].any()
    assert bool((planes[FIRST + 8] == 3).all())


@pytest.mark.parametrize(
    ("word", "sets"),
    [
        (f"rebuild = [{FIRST}]", (ALLOWED,)),
        (f"rebuild = [{FIRST + 3}]", ()),
        (f"hold = [{FIRST}]", (ALLOWED,)),
        (f"leave = [{FIRST + 99}]", (ALLOWED,)),
        (f"hold = [{FIRST + 3}]\nlost = [{FIRST + 3}]", (ALLOWED,)),
        (f"hold = [{FIRST + 3}]", ('policy.protected_shots=["R1_0010"]',)),
    ],
)
def test_a_persons_word_that_cannot_be_kept_is_refused(
    tmp_path: Path, word: str, sets: tuple[str, ...]
) -> None:
    scan = scanned(tmp_path, panned(6))
    out = tmp_path / "out"
    out.mkdir()
    (out / "overrides.toml").write_text(f'["R1_0010".frames]\n{word}\n', "utf-8")
    with pytest.raises(ConfigError, match=r"R1_0010\.frames"):
        run_here(project_of([scan], *sets, ONE_SHOT, only="frames"), out)


def test_a_torn_part_alone_is_made(tmp_path: Path) -> None:
    clean = panned(12)
    frames = clean.copy()
    y, x = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX]
    hole = x > 120 + 0.3 * y
    frames[6][hole] = 1023
    scan = scanned(tmp_path, frames)
    out = tmp_path / "out"
    sets = (ALLOWED, ONE_SHOT, "policy.max_repaired_share=0.5")
    run_here(project_of([scan], *sets, only="frames"), out)
    (said,) = decided(out)["frame_damage"]
    assert (said["kind"], said["done"]) == ("torn", "rebuilt")
    plane, made = touched(out)[FIRST + 6], delivered(out)[FIRST + 6]
    assert bool((plane[hole] == 3).all())
    assert 0.0 < float((plane == 3).mean()) < 0.5
    np.testing.assert_array_equal(made[plane == 0], frames[6][plane == 0])
    assert mean_error(made[hole], clean[6][hole]) < 40.0


def test_nothing_is_made_across_a_cut(tmp_path: Path) -> None:
    frames = np.concatenate([panned(8, 4), panned(8, 9)])
    scan = scanned(tmp_path, fogged(frames, 7, 8))
    out = tmp_path / "out"
    run_here(project_of([scan], ALLOWED, only="frames"), out)
    for plane in touched(out).values():
        assert not (plane == 3).any()


def test_a_fogged_frame_at_a_cut_is_said_and_the_cut_stands(tmp_path: Path) -> None:
    frames = fogged(np.concatenate([panned(8, 4), panned(8, 9)]), 7)
    scan = scanned(tmp_path, frames)
    out = tmp_path / "out"
    outcome = run_here(project_of([scan], ALLOWED, only="frames"), out)
    assert outcome.held == ("R1_0010",)
    first = json.loads((out / "reels/R1/decisions/R1_0010.json").read_text("utf-8"))
    assert first["frames"] == [FIRST, FIRST + 7]
    (said,) = first["frame_damage"]
    assert (said["frame"], said["done"]) == (FIRST + 7, "left")
    assert "nothing is made from one side of a cut" in said["reason"]
    np.testing.assert_array_equal(delivered(out)[FIRST + 7], frames[7])


def test_a_torn_part_is_made_where_the_weave_has_put_it(tmp_path: Path) -> None:
    frames = panned(12)
    y, x = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX]
    hole = x > 120 + 0.3 * y
    frames[6][hole] = 1023
    scan = scanned(tmp_path, frames)
    out = tmp_path / "out"
    out.mkdir()
    shifts = ", ".join(f"{FIRST + k} = [-9.0, 0.0]" for k in range(12))
    words = f'["R1_0010".weave]\nshift_px = {{ {shifts} }}\n'
    (out / "overrides.toml").write_text(words, "utf-8")
    sets = (ALLOWED, ONE_SHOT, "policy.max_repaired_share=0.5")
    run_here(project_of([scan], *sets, only="frames"), out)
    moved = np.roll(hole, -9, axis=1)
    moved[:, -10:] = False
    assert bool((touched(out)[FIRST + 6][moved] == 3).all())


def test_a_persons_word_counts_in_a_leader_too(tmp_path: Path) -> None:
    codes = panned(8)
    scan = scanned(tmp_path, codes)
    listed = put_shot_list(tmp_path / "cuts.csv", [(FIRST, FIRST + 7)], kind="leader")
    out = tmp_path / "out"
    out.mkdir()
    (out / "overrides.toml").write_text(f'["R1_0010".frames]\nhold = [{FIRST + 3}]\n', "utf-8")
    run_here(project_of([scan], f"reels.shots={listed}", only="frames"), out)
    assert decided(out)["kind"] == "leader"
    np.testing.assert_array_equal(delivered(out)[FIRST + 3], codes[2])
    assert bool((touched(out)[FIRST + 3] == 2).all())
