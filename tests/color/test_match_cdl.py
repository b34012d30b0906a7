"""The joint solve with whole CDLs: power and saturation, nothing held, and one shot overruled."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from color.cdl import CDL, IDENTITY, apply_cdl
from color.match import MatchOptions, solve_match
from color.records import Link, ShotColor, ShotInput
from media.errors import ConfigError

F64 = NDArray[np.float64]


def linked(
    grades: dict[str, CDL], pairs: list[tuple[str, str]], noise_log: float = 0.002, seed: int = 1
) -> list[Link]:
    """Links whose colors are those of one scene each, under the grades of the two shots."""
    rng = np.random.default_rng(seed)
    links = []
    for a, b in pairs:
        scene = rng.uniform(0.2, 0.6, (150, 1)) + rng.normal(0.0, 0.05, (150, 3))
        x, y = (
            apply_cdl(scene, grades[s], clamp=False) + rng.normal(0.0, noise_log, scene.shape)
            for s in (a, b)
        )
        links.append(Link(a=a, b=b, x=x, y=y, inliers=150, confidence=0.95))
    return links


def apart(a: CDL, b: CDL, colors: F64) -> float:
    """Mean distance of what two corrections make of the same colors."""
    one, other = (apply_cdl(colors, c, clamp=False) for c in (a, b))
    return float(np.abs(one - other).mean())


COLORS = np.random.default_rng(9).uniform(0.2, 0.6, (200, 3))


def test_power_and_saturation_are_found_where_they_are_and_nowhere_else() -> None:
    bent = CDL((1.1, 1.0, 0.95), (-0.02, 0.01, 0.02), (1.12, 1.08, 1.1), 0.85)
    plain = CDL((1.1, 1.0, 0.95), (-0.02, 0.01, 0.02))
    grades = {"A_1": IDENTITY, "B_1": bent, "C_1": plain}
    shots = [ShotInput(id=n, reel=n[0]) for n in grades]
    links = linked(grades, [("A_1", "B_1"), ("A_1", "C_1")])
    colors = solve_match(shots, links, MatchOptions(anchor_reel="A"))
    found = colors["B_1"].cdl
    assert found.saturation == pytest.approx(1 / 0.85, rel=0.04)
    assert min(found.power) < 0.97
    back = apply_cdl(apply_cdl(COLORS, bent, clamp=False), found, clamp=False)
    assert np.abs(back - COLORS).mean() < 0.004
    assert colors["C_1"].cdl.power == (1.0, 1.0, 1.0)
    assert colors["C_1"].cdl.saturation == 1.0


def test_power_and_saturation_can_be_switched_off() -> None:
    grades = {"A_1": IDENTITY, "B_1": CDL(power=(1.12, 1.08, 1.1), saturation=0.85)}
    shots = [ShotInput(id=n, reel=n[0]) for n in grades]
    options = MatchOptions(anchor_reel="A", fit_power=False, fit_saturation=False)
    found = solve_match(shots, linked(grades, [("A_1", "B_1")]), options)["B_1"].cdl
    assert (found.power, found.saturation) == ((1.0, 1.0, 1.0), 1.0)
    with pytest.raises(ConfigError, match="power limits"):
        MatchOptions(power_limits=(1.1, 1.2))


def test_shots_that_may_all_move_do_not_lose_contrast() -> None:
    rng = np.random.default_rng(4)
    grades = {f"A_{k}": CDL(offset=(o, o, o)) for k, o in enumerate(rng.normal(0, 0.02, 6))}
    pairs = [(f"A_{i}", f"A_{j}") for i in range(6) for j in range(i + 1, 6)]
    # Much noise: agreeing would be easiest with no contrast at all.
    links = linked(grades, pairs, noise_log=0.04)
    colors = solve_match([ShotInput(id=n, reel="A") for n in grades], links)
    slopes = np.array([c.cdl.slope for c in colors.values()])
    assert slopes.mean() == pytest.approx(1.0, abs=0.01)


def _two_scenes() -> tuple[dict[str, CDL], list[ShotInput], list[Link]]:
    """Two scenes of three shots that are tied among themselves, and a shot nothing is like."""
    rng = np.random.default_rng(6)
    names = [f"A_{scene}{k}" for scene in (1, 2) for k in range(3)]
    grades = {
        n: CDL(offset=(o, -o, 0.5 * o)) for n, o in zip(names, rng.normal(0, 0.02, 6), strict=True)
    }
    pairs = [
        (names[3 * s + i], names[3 * s + j]) for s in (0, 1) for i, j in ((0, 1), (0, 2), (1, 2))
    ]
    shots = [ShotInput(id=n, reel="A") for n in [*names, "A_30"]]
    return grades, shots, linked(grades, pairs)


def test_one_shot_overruled_moves_what_is_tied_to_it_and_nothing_else() -> None:
    _, shots, links = _two_scenes()
    before = solve_match(shots, links)
    mine = CDL((1.05, 1.0, 0.97), (0.03, 0.0, -0.03))
    overruled = [replace(s, fixed=mine) if s.id == "A_10" else s for s in shots]
    after = solve_match(overruled, links)
    assert after["A_10"].cdl == mine
    assert after["A_10"].reason == "set by a person"
    for name in ("A_11", "A_12"):
        assert apart(before[name].cdl, after[name].cdl, COLORS) > 0.01
    # tied shots look like the overruled one as they did before
    for link in links[:2]:
        x = apply_cdl(link.x, after[link.a].cdl, clamp=False)
        y = apply_cdl(link.y, after[link.b].cdl, clamp=False)
        assert np.abs(x - y).mean() < 0.004
    for name in ("A_20", "A_21", "A_22", "A_30"):
        assert apart(before[name].cdl, after[name].cdl, COLORS) < 1e-3


def test_a_hero_is_what_its_scene_comes_to() -> None:
    grades, shots, links = _two_scenes()
    colors = solve_match(shots, links, MatchOptions(pinned={"A_20": IDENTITY}))
    assert colors["A_20"].cdl == IDENTITY
    for name in ("A_21", "A_22"):
        undone = apply_cdl(
            apply_cdl(COLORS, grades[name], clamp=False), colors[name].cdl, clamp=False
        )
        there = apply_cdl(COLORS, grades["A_20"], clamp=False)
        assert np.abs(undone - there).mean() < 0.004


def _tones(shift: float, bend: float = 0.0) -> F64:
    base = np.array([0.15, 0.2, 0.3, 0.4, 0.47, 0.57, 0.62])
    return np.tile(base + shift + bend * (base - 0.4) ** 2, (3, 1))


def test_shots_of_a_named_scene_are_drawn_together_a_little_and_only_when_alike() -> None:
    def solved(scene: str | None, bend: float = 0.0) -> dict[str, ShotColor]:
        return solve_match(
            [
                ShotInput(id="A_1", reel="A", quantiles_log=_tones(-0.02), scene=scene),
                ShotInput(id="A_2", reel="A", quantiles_log=_tones(0.02, bend), scene=scene),
            ],
            [],
            MatchOptions(min_confidence=0.0),
        )

    alone, together = solved(None), solved("kitchen")
    assert alone["A_1"].cdl == IDENTITY
    moved = apply_cdl(np.full((1, 3), 0.4), together["A_1"].cdl, clamp=False)[0, 0] - 0.4
    assert 0.001 < moved < 0.02
    assert "scene kitchen" in together["A_1"].reason
    assert together["A_1"].confidence < 0.5
    assert solved("kitchen", bend=3.0)["A_1"].cdl == IDENTITY
