"""What holds a group of shots that only meet each other, and what neighbours say of one another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from color.cdl import CDL, IDENTITY, apply_cdl, triple
from color.curve import from_cdl
from color.match import MatchOptions, solve_match
from color.neighbours import neighbour_edges
from color.records import QUANTILES, Link, ShotInput

F64 = NDArray[np.float64]


def grade(rng: np.random.Generator) -> CDL:
    slope = 1.0 + rng.normal(0.0, 0.06, 3)
    offset = 0.4 * (1.0 - slope) + rng.normal(0.0, 0.02, 3)
    return CDL(triple(slope), triple(offset), (1.0, 1.0, 1.0), float(rng.uniform(0.88, 1.12)))


def palette(seed: int, count: int = 600) -> F64:
    """Colors of a scene: a few lumps of them."""
    rng = np.random.default_rng(seed)
    middles = rng.uniform(0.22, 0.62, (6, 1)) + rng.normal(0.0, 0.05, (6, 3))
    return np.asarray(middles[rng.integers(0, 6, count)] + rng.normal(0.0, 0.015, (count, 3)))


def shot(name: str, colors: F64, place: int, **more: str) -> ShotInput:
    levels = np.quantile(colors, QUANTILES, axis=0).T
    found = ShotInput(
        id=name, reel="A", quantiles_log=levels, samples_log=colors.astype(np.float32), place=place
    )
    return replace(found, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("reels", ["A", "AB"])
def test_shots_that_only_meet_each_other_stay_where_they_are_on_the_mean(reels: str) -> None:
    """With noise in the matches, agreeing without color would be easiest."""
    rng = np.random.default_rng(31)
    things = palette(32, 200)
    names = [f"{reels[k % len(reels)]}_{k}" for k in range(6)]
    grades = {n: grade(rng) for n in names}
    links = []
    for k, a in enumerate(names):
        for b in names[k + 1 :]:
            first, second = sorted((a, b))
            seen = [
                apply_cdl(things + rng.normal(0.0, 0.012, things.shape), grades[n], clamp=False)
                for n in (first, second)
            ]
            links.append(Link(a=first, b=second, x=seen[0], y=seen[1], inliers=200, confidence=0.9))
    shots = [ShotInput(id=n, reel=n[0]) for n in names]
    colors = solve_match(shots, links, MatchOptions(slope_limits=(0.5, 2.0)))
    # With two reels, those of the reel that does not move are on their mean.
    thetas = np.stack([from_cdl(colors[n].cdl) for n in names if n[0] == "A"])
    assert np.abs(thetas.mean(axis=0)).max() < 0.01
    after = np.stack(
        [
            apply_cdl(apply_cdl(things, grades[n], clamp=False), colors[n].cdl, clamp=False)
            for n in names
        ]
    )
    before = np.stack([apply_cdl(things, grades[n], clamp=False) for n in names])
    assert after.std(axis=0).mean() < 0.25 * before.std(axis=0).mean()
    mine = [k for k, n in enumerate(names) if n[0] == "A"]
    np.testing.assert_allclose(after.mean(axis=0), before[mine].mean(axis=0), atol=0.012)


def test_a_shot_without_a_link_comes_part_of_the_way_to_neighbours_of_its_palette() -> None:
    wrong = CDL(offset=(0.03, -0.02, 0.025))
    scene = [palette(5) + np.random.default_rng(k).normal(0, 0.002, (600, 3)) for k in range(3)]
    shots = [
        shot("A_0", scene[0], 0),
        shot("A_1", apply_cdl(scene[1], wrong, clamp=False), 1),
        shot("A_2", scene[2], 2),
    ]
    options = MatchOptions(pinned={"A_0": IDENTITY, "A_2": IDENTITY}, min_confidence=0.25)
    color = solve_match(shots, [], options)["A_1"]
    assert "beside it" in color.reason
    assert color.confidence < 0.7
    left = np.array(color.cdl.offset) + np.array(wrong.offset)
    moved = apply_cdl(np.full((1, 3), 0.4), color.cdl, clamp=False)[0] - 0.4
    assert (np.abs(moved + wrong.offset) < np.abs(wrong.offset)).all(), left
    assert (np.sign(moved) == -np.sign(wrong.offset)).all()
    # Held at another look, neighbours draw it to that look.
    warm = CDL(offset=(0.05, 0.0, -0.05))
    pinned = {"A_0": warm, "A_2": warm}
    there = solve_match(shots, [], replace(options, pinned=pinned))["A_1"].cdl
    assert there.offset[0] > color.cdl.offset[0] + 0.01
    assert there.offset[2] < color.cdl.offset[2] - 0.01


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"protected": "tinted"}, {}),
        ({}, {"protected": "intertitle"}),
        ({}, {"low_key": True}),
        ({}, {"reel": "B"}),
        ({}, {"place": 2}),
        ({}, {"place": None}),
        ({"scene": "kitchen"}, {"scene": "garden"}),
        ({}, {"samples_log": None}),
    ],
)
def test_nothing_reaches_across(first: dict[str, object], second: dict[str, object]) -> None:
    a, b = shot("A_0", palette(5), 0), shot("A_1", palette(5) + 0.02, 1)
    assert len(neighbour_edges([a, b], [], {})) == 1
    changed = [replace(a, **first), replace(b, **second)]  # type: ignore[arg-type]
    assert neighbour_edges(changed, [], {}) == []


def test_other_colors_are_another_scene() -> None:
    a, b = shot("A_0", palette(5), 0), shot("A_1", palette(6), 1)
    assert neighbour_edges([a, b], [], {}) == []
    # What a link or a person speaks for needs no neighbours.
    c = shot("A_2", palette(5) + 0.02, 1)
    link = Link(a="A_0", b="A_2", x=palette(5), y=palette(5), inliers=99, confidence=0.9)
    assert neighbour_edges([a, c], [link], {}) == []
    assert neighbour_edges([a, c], [], {"A_0": IDENTITY, "A_2": IDENTITY}) == []
    (edge,) = neighbour_edges([a, c], [], {"A_0": IDENTITY})
    assert (edge.a, edge.b) == ("A_2", "A_0")
