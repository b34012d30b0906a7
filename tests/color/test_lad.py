"""LAD frames as anchors of their reels, and shots that stay dark."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from color.cdl import CDL, IDENTITY, LAD_LOG, PRINTER_POINT_LOG, apply_cdl
from color.lad import grey_patch, reel_aims
from color.match import MatchOptions, solve_match
from color.protect import with_persons_flags
from color.records import QUANTILES, Link, ShotInput
from tests.color.test_protect import lad

F64 = NDArray[np.float64]
Observed = Callable[[F64, int], Mapping[str, object]]

OFF = (0.018, -0.006, 0.012)
GREY = (LAD_LOG + OFF[0], LAD_LOG + OFF[1], LAD_LOG + OFF[2])


def flagged(patch: object) -> dict[str, object]:
    flags = with_persons_flags([], {"lad": True}, "R1_0000")
    return {"flags": flags, "grey_patch": patch}


def patch(off: float = 0.0, spread: float = 0.001) -> dict[str, object]:
    return {"log": [LAD_LOG + off] * 3, "spread_log": spread, "share": 0.05}


def test_the_grey_of_a_frame_is_read_to_a_code(observed: Observed) -> None:
    evidence = observed(lad() + np.array(OFF), 3)
    found = reel_aims({"R1_0000": evidence}, {"R1_0000": "R1"}, {}, 0.075)
    np.testing.assert_allclose(found.by_reel["R1"], np.array(OFF) + 0.435, atol=1 / 1023)
    assert "sets the level of reel R1" in found.said["R1_0000"]


def test_two_greys_as_large_are_no_aim() -> None:
    image = np.full((30, 40, 3), 0.2)
    image[5:15, 5:15] = LAD_LOG + 0.05
    even = np.zeros((30, 40))
    one = grey_patch(image, even)
    assert one is not None
    assert one["log"] == pytest.approx([LAD_LOG + 0.05] * 3, abs=1e-6)
    image[18:28, 18:27] = LAD_LOG - 0.06
    assert grey_patch(image, even) is None
    assert grey_patch(np.full((30, 40, 3), 0.2), even) is None


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ({"R1_0": patch(), "R1_9": patch(0.02)}, "differ by 1.6 printer points"),
        ({"R1_0": patch(spread=0.02)}, "uneven"),
        ({"R1_0": None}, "no even grey"),
        ({"R1_0": patch(0.09)}, "7.4 printer points off"),
    ],
)
def test_an_aim_that_does_not_agree_is_not_used(found: dict[str, object], why: str) -> None:
    evidence = {n: flagged(p) for n, p in found.items()}
    aims = reel_aims(evidence, dict.fromkeys(found, "R1"), {}, 0.075)
    assert aims.by_reel == {}
    assert all(why in said and "not used" in said for said in aims.said.values())


def test_aims_that_agree_are_one_and_a_person_may_take_them_away() -> None:
    evidence = {"R1_0": flagged(patch(0.010)), "R1_9": flagged(patch(0.014))}
    reels = dict.fromkeys(evidence, "R1")
    assert reel_aims(evidence, reels, {}, 0.075).by_reel["R1"][0] == pytest.approx(LAD_LOG + 0.012)
    said = reel_aims(evidence, reels, {"R1": "the scan does not hold densities"}, 0.075)
    assert said.by_reel == {}
    assert "densities" in said.said["R1_9"]
    none = {n: {**e, "flags": []} for n, e in evidence.items()}
    assert reel_aims(none, reels, {}, 0.075).said == {}


def shots(*names: str) -> list[ShotInput]:
    return [ShotInput(id=n, reel=n[:2]) for n in names]


def test_a_reel_comes_to_its_aim() -> None:
    title = shots("R1_1", "R1_2", "R2_1", "R2_2")
    color = solve_match(title, [], MatchOptions(aims={"R1": GREY}))
    np.testing.assert_allclose(color["R1_2"].cdl.offset, -np.array(OFF), atol=2e-3)
    np.testing.assert_allclose(color["R1_2"].cdl.slope, 1.0, atol=0.02)
    assert "LAD" in color["R1_2"].reason
    assert color["R2_1"].cdl == IDENTITY
    # a single reel too, which else nothing moves
    alone = solve_match(title[:2], [], MatchOptions(aims={"R1": GREY}))["R1_1"]
    np.testing.assert_allclose(alone.cdl.offset, -np.array(OFF), atol=2e-3)
    assert alone.confidence > 0.3


def test_a_linked_reel_without_an_aim_follows() -> None:
    x = np.random.default_rng(2).uniform(0.2, 0.6, (80, 3))
    link = Link(a="R1_1", b="R2_1", x=x, y=x + 0.02, inliers=80, confidence=0.9)
    color = solve_match(
        shots("R1_1", "R1_2", "R2_1", "R2_2"), [link], MatchOptions(aims={"R1": GREY})
    )
    left = apply_cdl(x, color["R1_1"].cdl, clamp=False)
    right = apply_cdl(x + 0.02, color["R2_1"].cdl, clamp=False)
    np.testing.assert_allclose(left, right, atol=3e-3)
    np.testing.assert_allclose((left - x).mean(axis=0), -np.array(OFF), atol=8e-3)


def test_people_and_references_come_first() -> None:
    title = shots("R1_1", "R1_2", "R2_1")
    kept = MatchOptions(aims={"R1": GREY}, pinned={"R1_1": IDENTITY})
    assert solve_match(title, [], kept)["R1_2"].cdl == IDENTITY
    # a reference without an aim says nothing about 445, one with an aim is where others come to
    without = MatchOptions(aims={"R1": GREY}, anchor_reel="R2")
    assert solve_match(title, [], without)["R1_2"].cdl == IDENTITY
    there = (LAD_LOG + 0.01,) * 3
    both = MatchOptions(aims={"R1": GREY, "R2": there}, anchor_reel="R2")
    color = solve_match(title, [], both)
    np.testing.assert_allclose(color["R1_2"].cdl.offset, 0.01 - np.array(OFF), atol=2e-3)
    assert color["R2_1"].cdl == IDENTITY


@pytest.mark.parametrize("dark", [True, False])
def test_a_dark_shot_is_lifted_by_a_point_and_no_more(dark: bool) -> None:
    rng = np.random.default_rng(4)
    x = rng.uniform(0.12, 0.3, (100, 3))
    night = ShotInput(
        id="B_1", reel="B", quantiles_log=np.quantile(x, QUANTILES, axis=0).T, low_key=dark
    )
    lifted = x * 1.1 + np.array([0.05, 0.03, 0.04])
    link = Link(a="A_1", b="B_1", x=lifted, y=x, inliers=90, confidence=0.9)
    # Other shots say that the reel itself is right.
    same = [Link(a=f"A_{k}", b=f"B_{k}", x=x, y=x, inliers=90, confidence=0.9) for k in range(2, 8)]
    rest = [ShotInput(id=f"{r}_{k}", reel=r) for r in "AB" for k in range(1, 8)]
    title = [night, *(s for s in rest if s.id != "B_1")]
    color = solve_match(title, [link, *same], MatchOptions(anchor_reel="A"))["B_1"]
    tones = np.quantile(x, QUANTILES, axis=0)[1:]
    lift = (apply_cdl(tones, color.cdl, clamp=False) - tones) @ np.array([0.2126, 0.7152, 0.0722])
    if dark:
        # one point, and what the reel as a whole is lifted by
        assert lift.max() <= 2.0 * PRINTER_POINT_LOG
        assert "dark on purpose" in color.reason
        # What it does to the balance stays.
        assert color.cdl.offset[0] > color.cdl.offset[1]
    else:
        assert lift.min() > 2.0 * PRINTER_POINT_LOG
    kept = replace(night, fixed=CDL(offset=(0.1, 0.1, 0.1)))
    assert solve_match([kept, *title[1:]], [link, *same])["B_1"].cdl.offset[0] == 0.1
