"""Where shots meet when nobody named a hero: at what most of them agree on, if they do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from color.cdl import CDL, IDENTITY, apply_cdl, triple
from color.match import MatchOptions, solve_match
from color.records import Link, ShotColor, ShotInput

F64 = NDArray[np.float64]

PRINTER_POINT_LOG = 0.0122
SCENES, SHOTS = 4, 6
COLORS = np.random.default_rng(9).uniform(0.2, 0.6, (200, 3))


def names() -> list[str]:
    """24 shots of four scenes, turn by turn on two reels."""
    return [f"R{1 + k % 2}_{s}{k}" for s in range(SCENES) for k in range(SHOTS)]


def wrong(rng: np.random.Generator) -> CDL:
    """A grade that is off by 3 to 6 printer points, and contrast with it."""
    slope = 1.0 + rng.uniform(-0.08, 0.08, 3)
    away = rng.uniform(3.0, 6.0, 3) * rng.choice([-1.0, 1.0], 3) * PRINTER_POINT_LOG
    return CDL(triple(slope), triple(0.4 * (1.0 - slope) + away))


def linked(grades: dict[str, CDL], noise_log: float = 0.003) -> list[Link]:
    """Shots of one scene show the same 150 colors, each under its grade."""
    links = []
    for s in range(SCENES):
        rng = np.random.default_rng(20 + s)
        scene = rng.uniform(0.2, 0.6, (150, 1)) + rng.normal(0.0, 0.05, (150, 3))
        mine = sorted(n for n in names() if n[3] == str(s))
        for i, a in enumerate(mine):
            for b in mine[i + 1 :]:
                x, y = (
                    apply_cdl(scene, grades[n], clamp=False) + rng.normal(0.0, noise_log, (150, 3))
                    for n in (a, b)
                )
                links.append(Link(a=a, b=b, x=x, y=y, inliers=150, confidence=0.95))
    return links


def shots() -> list[ShotInput]:
    return [ShotInput(id=n, reel=n[:2]) for n in names()]


def left_over(grades: dict[str, CDL], colors: dict[str, ShotColor]) -> dict[str, float]:
    """How far each shot ends from the picture without a grade, film log."""
    out = {}
    for n in names():
        graded = apply_cdl(COLORS, grades[n], clamp=False)
        out[n] = float(np.abs(apply_cdl(graded, colors[n].cdl, clamp=False) - COLORS).mean())
    return out


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_most_shots_agree_and_the_others_come_to_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    off = {names()[SHOTS * s + k] for s in range(SCENES) for k in rng.permutation(SHOTS)[:2]}
    grades = {n: wrong(rng) if n in off else IDENTITY for n in names()}
    colors = solve_match(shots(), linked(grades), MatchOptions(slope_limits=(0.6, 1.6)))
    left = left_over(grades, colors)
    assert max(left.values()) < 0.3 * PRINTER_POINT_LOG
    for n in names():
        said = "comes to what 4 of 6 shots agree on" if n in off else "one of 4 of 6 shots"
        assert said in colors[n].reason


def test_a_reel_that_is_off_is_no_minority_among_its_shots() -> None:
    """The other reel is off as a whole, and one of its shots besides."""
    rng = np.random.default_rng(4)
    reel = CDL((1.1, 1.0, 0.92), (-0.01, 0.0, 0.06))
    grades = {n: reel if n.startswith("R2") else IDENTITY for n in names()}
    grades["R1_02"] = wrong(rng)
    quantiles = np.sort(rng.uniform(0.2, 0.6, (3, 7)), axis=1)
    # The first reel has more range, and so sets the level.
    inputs = [
        replace(s, quantiles_log=quantiles * (1.0 if s.reel == "R1" else 0.9)) for s in shots()
    ]
    colors = solve_match(inputs, linked(grades), MatchOptions(slope_limits=(0.6, 1.6)))
    left = left_over(grades, colors)
    assert max(left.values()) < 0.5 * PRINTER_POINT_LOG


def test_where_all_are_off_nobody_is_taken_for_right() -> None:
    rng = np.random.default_rng(5)
    grades = {n: wrong(rng) for n in names()}
    colors = solve_match(shots(), linked(grades), MatchOptions(slope_limits=(0.6, 1.6)))
    assert not any("agree" in c.reason for c in colors.values())
    for s in range(SCENES):
        mine = [n for n in names() if n[3] == str(s)]
        after = [
            apply_cdl(apply_cdl(COLORS, grades[n], clamp=False), colors[n].cdl, clamp=False)
            for n in mine
        ]
        assert np.std(after, axis=0).mean() < 0.3 * PRINTER_POINT_LOG


@pytest.mark.parametrize("overruled", ["R1_10", "R2_23"])
def test_a_persons_word_on_one_of_24_shots_moves_its_scene_and_nothing_else(
    overruled: str,
) -> None:
    rng = np.random.default_rng(6)
    grades = {n: wrong(rng) for n in names()}
    links = linked(grades)
    alone = ShotInput(id="R2_99", reel="R2")
    before = solve_match([*shots(), alone], links)
    mine = CDL((1.05, 1.0, 0.97), (0.03, 0.0, -0.03))
    told = [replace(s, fixed=mine) if s.id == overruled else s for s in shots()]
    after = solve_match([*told, alone], links)
    assert (after[overruled].cdl, after[overruled].reason) == (mine, "set by a person")
    scene = [n for n in names() if n[3] == overruled[3]]
    for n in names():
        if n not in scene:
            assert after[n] == before[n]
    # Its scene looks as that shot looks now.
    there = apply_cdl(apply_cdl(COLORS, grades[overruled], clamp=False), mine, clamp=False)
    for n in scene:
        looks = apply_cdl(apply_cdl(COLORS, grades[n], clamp=False), after[n].cdl, clamp=False)
        assert np.abs(looks - there).mean() < 0.4 * PRINTER_POINT_LOG
    # To a shot that nothing is like, a word about its reel is a hint.
    hinted = overruled.startswith("R2")
    assert (after[alone.id].cdl != before[alone.id].cdl) == hinted


def test_saying_what_was_found_anyway_moves_nothing() -> None:
    rng = np.random.default_rng(7)
    grades = {n: wrong(rng) for n in names()}
    links = linked(grades)
    before = solve_match(shots(), links)
    told = [replace(s, fixed=before[s.id].cdl) if s.id == "R1_10" else s for s in shots()]
    after = solve_match(told, links)
    moved = {n: _apart(before[n].cdl, after[n].cdl) for n in names()}
    assert max(moved.values()) < 0.3 * PRINTER_POINT_LOG


def _apart(a: CDL, b: CDL) -> float:
    one, other = (apply_cdl(COLORS, c, clamp=False) for c in (a, b))
    return float(np.abs(one - other).mean())
