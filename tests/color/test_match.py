"""Two reels of one title, one of them faded: from pictures through links to one CDL per shot."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from color.balance import BalanceOptions, balance_shot
from color.cdl import CDL, IDENTITY, PRINTER_POINT_LOG, apply_cdl, compose
from color.difference import delta_e_2000, subsample
from color.links import LinkPolicy, find_links
from color.match import MatchOptions, solve_match
from color.records import Link, ShotColor, ShotInput, shot_input
from media.errors import ConfigError

F64 = NDArray[np.float64]
View = Callable[[int, int, int], F64]
Fade = Callable[[F64], F64]
Observed = Callable[[F64, int], Mapping[str, object]]
Title = dict[str, tuple[F64, F64, Mapping[str, object]]]


@pytest.fixture(scope="module")
def title(view: View, faded: Fade, observed: Observed) -> Title:
    """id -> (truth, scanned, evidence). Scenes 0..2 are on both reels; A_3 and B_4 stand alone."""
    truth = {f"A_{k}": view(k, 0, 0) for k in range(4)}
    truth |= {f"B_{k}": view(k, 18, 25) for k in range(3)}
    truth["B_4"] = view(4, 5, 5)
    gray = np.repeat(view(5, 0, 0).mean(axis=2, keepdims=True), 3, axis=2)
    truth["B_5tint"] = gray + np.array([0.08, 0.0, -0.05])
    truth["B_6gray"] = gray
    scanned = {n: faded(t) if n.startswith("B_") and len(n) == 3 else t for n, t in truth.items()}
    return {n: (truth[n], scanned[n], observed(scanned[n], k)) for k, n in enumerate(truth)}


@pytest.fixture(scope="module")
def links(title: Title) -> list[Link]:
    return find_links({n: e for n, (_, _, e) in title.items()})


@pytest.fixture(scope="module")
def shots(title: Title) -> list[ShotInput]:
    return [shot_input(n, n[0], e) for n, (_, _, e) in title.items()]


def _error(title: Title, name: str, cdl: CDL) -> float:
    truth, scanned, _ = title[name]
    return delta_e_2000(
        apply_cdl(subsample(scanned, 4000), cdl, clamp=False), subsample(truth, 4000)
    )


def _same(a: ShotColor, b: ShotColor) -> None:
    np.testing.assert_allclose(a.cdl.as_list(), b.cdl.as_list(), atol=1e-9)
    assert a.confidence == pytest.approx(b.confidence, abs=1e-9)
    assert (a.reason, a.links) == (b.reason, b.links)


def test_links_are_exactly_the_true_ones(links: list[Link]) -> None:
    assert [(k.a, k.b) for k in links] == [("A_0", "B_0"), ("A_1", "B_1"), ("A_2", "B_2")]
    for link in links:
        assert link.inliers >= 100
        assert link.confidence > 0.8
        assert link.x.shape == link.y.shape


def test_links_do_not_depend_on_order_or_workers(title: Title, links: list[Link]) -> None:
    again = find_links({n: e for n, (_, _, e) in reversed(title.items())}, workers=4)
    for a, b in zip(links, again, strict=True):
        assert (a.a, a.b) == (b.a, b.b)
        np.testing.assert_array_equal(a.x, b.x)
        np.testing.assert_array_equal(a.y, b.y)


def test_ranking_keeps_true_pairs_when_there_are_too_many(title: Title, links: list[Link]) -> None:
    few = find_links({n: e for n, (_, _, e) in title.items()}, LinkPolicy(max_pairs=4))
    assert [(k.a, k.b) for k in few] == [(k.a, k.b) for k in links]


def test_a_faded_reel_comes_back(title: Title, shots: list[ShotInput], links: list[Link]) -> None:
    colors = solve_match(shots, links, MatchOptions(anchor_reel="A"))
    before = {n: _error(title, n, IDENTITY) for n in title}
    after = {n: _error(title, n, colors[n].cdl) for n in title}
    linked = ["B_0", "B_1", "B_2"]
    assert np.mean([before[n] for n in linked]) > 5.0
    for name in linked:
        assert after[name] <= 0.1 * before[name]
        assert colors[name].confidence > 0.85
        assert colors[name].links == (name.replace("B", "A"),)
    assert after["B_4"] <= 0.2 * before["B_4"]
    assert 0.3 < colors["B_4"].confidence < min(colors[n].confidence for n in linked)
    assert colors["B_4"].slope_std[0] > colors["B_0"].slope_std[0]
    assert "follows reel B" in colors["B_4"].reason
    assert colors["B_0"].cdl.slope[0] == pytest.approx(1 / 0.7, rel=0.05)


def test_anchors_and_protected_shots_stay(shots: list[ShotInput], links: list[Link]) -> None:
    colors = solve_match(shots, links, MatchOptions(anchor_reel="A"))
    for name in ("A_0", "A_1", "A_2", "A_3", "B_5tint", "B_6gray"):
        assert colors[name].cdl == IDENTITY
        assert colors[name].confidence == 1.0
    assert "tinted" in colors["B_5tint"].reason
    assert "monochrome" in colors["B_6gray"].reason
    assert "reference" in colors["A_3"].reason


def test_order_changes_nothing(shots: list[ShotInput], links: list[Link]) -> None:
    one = solve_match(shots, links)
    other = solve_match(shots[::-1], links[::-1])
    assert list(one) == list(other) == sorted(one)
    for name in one:
        _same(one[name], other[name])


def test_a_persons_decision_stays_and_speaks_for_its_reel(
    title: Title, shots: list[ShotInput], links: list[Link]
) -> None:
    mine = CDL((1.43, 1.12, 1.22), (-0.072, -0.034, -0.11), saturation=1.05)
    fixed = [replace(s, fixed=mine) if s.id == "B_0" else s for s in shots]
    colors = solve_match(fixed, links)
    assert colors["B_0"].cdl == mine
    assert colors["B_0"].reason == "set by a person"
    # alone, without any link, one such decision still carries the reel
    alone = solve_match(fixed, [])
    assert _error(title, "B_4", alone["B_4"].cdl) < 0.6 * _error(title, "B_4", IDENTITY)
    tint = [replace(s, fixed=mine) if s.id == "B_5tint" else s for s in shots]
    assert solve_match(tint, links)["B_5tint"].cdl == mine


def test_the_anchor_can_be_named_or_pinned(shots: list[ShotInput], links: list[Link]) -> None:
    other = solve_match(shots, links, MatchOptions(anchor_reel="B"))
    assert other["B_1"].cdl == IDENTITY
    assert other["A_1"].cdl.slope[0] == pytest.approx(0.7, rel=0.06)
    base = CDL((0.9, 0.9, 0.9), (0.05, 0.05, 0.05))
    pinned = solve_match(shots, links, MatchOptions(pinned={"A": base}))
    assert pinned["A_2"].cdl == base
    plain = solve_match(shots, links)
    ratio = pinned["B_1"].cdl.slope[0] / plain["B_1"].cdl.slope[0]
    assert ratio == pytest.approx(0.9, rel=0.03)
    with pytest.raises(ConfigError):
        solve_match(shots, links, MatchOptions(anchor_reel="C"))
    with pytest.raises(ConfigError):
        solve_match([shots[0], shots[0]], links)


def test_limits_hold_and_are_said(shots: list[ShotInput], links: list[Link]) -> None:
    narrow = MatchOptions(slope_limits=(0.9, 1.2), offset_limit_log=0.05)
    colors = solve_match(shots, links, narrow)
    for color in colors.values():
        assert max(color.cdl.slope) <= 1.2
        # the limit is on what happens to the mid-tone
        middle = apply_cdl(np.full(3, 0.4), replace(color.cdl, saturation=1.0), clamp=False)
        assert np.abs(middle - 0.4).max() <= 0.05 + 1e-9
    assert "limits" in colors["B_0"].reason
    assert colors["B_0"].limited
    assert not solve_match(shots, links, MatchOptions(slope_limits=(0.3, 3.0)))["B_0"].limited


def test_a_false_link_does_not_carry_the_reel(
    title: Title, shots: list[ShotInput], links: list[Link]
) -> None:
    rng = np.random.default_rng(2)
    wrong = Link(
        a="A_3",
        b="B_4",
        x=rng.uniform(0.2, 0.6, (30, 3)),
        y=rng.uniform(0.2, 0.6, (30, 3)),
        inliers=30,
        confidence=0.5,
    )
    colors = solve_match(shots, [*links, wrong])
    for name in ("B_0", "B_1", "B_2", "B_4"):
        assert _error(title, name, colors[name].cdl) <= 0.35 * _error(title, name, IDENTITY)


def test_unrelated_reels_are_left_alone(view: View, observed: Observed) -> None:
    good: Title = {}
    for k in range(6):
        name = f"{'AB'[k % 2]}_{k}"
        image = view(20 + k, 0, 0)
        good[name] = (image, image, observed(image, k))
    found = find_links({n: e for n, (_, _, e) in good.items()})
    assert found == []
    colors = solve_match([shot_input(n, n[0], e) for n, (_, _, e) in good.items()], found)
    for name in good:
        assert _error(good, name, colors[name].cdl) <= 0.3


def _quantiles(rng: np.random.Generator, spread: float) -> F64:
    base = np.array([0.15, 0.2, 0.3, 0.4, 0.47, 0.57, 0.62])
    return base + rng.normal(0.0, spread, (3, 1)) + rng.normal(0.0, spread / 2, (3, 7))


def test_long_reels_without_links_meet_weakly_and_unlike_ones_do_not() -> None:
    rng = np.random.default_rng(8)
    shots = [
        ShotInput(
            id=f"A_{k:02}", reel="A", quantiles_log=_quantiles(rng, 0.02), chroma_spread_log=0.1
        )
        for k in range(24)
    ]
    pale = [
        ShotInput(id=f"B_{k:02}", reel="B", quantiles_log=0.8 * _quantiles(rng, 0.02) + 0.02)
        for k in range(24)
    ]
    colors = solve_match([*shots, *pale], [])
    color = colors["B_07"]
    assert "overall tones" in color.reason
    assert 1.0 < color.cdl.slope[1] < 1.3
    assert 0.3 <= color.confidence < 0.7
    few = solve_match([*shots, *pale[:4]], [])
    assert few["B_02"].cdl == IDENTITY
    bent = [replace(s, quantiles_log=np.sort(rng.uniform(0.1, 0.7, (3, 7)) ** 3)) for s in pale]
    assert solve_match([*shots, *bent], [])["B_07"].cdl == IDENTITY


def test_shots_of_a_single_reel_meet() -> None:
    rng = np.random.default_rng(9)
    x = rng.uniform(0.2, 0.6, (60, 3))
    y = x * np.array([1.0, 0.95, 1.05]) + np.array([0.03, 0.02, -0.03])
    shots = [ShotInput(id=f"A_{k}", reel="A") for k in range(3)]
    link = Link(a="A_0", b="A_1", x=x, y=y, inliers=60, confidence=0.9)
    colors = solve_match(shots, [link])
    left = apply_cdl(x, colors["A_0"].cdl, clamp=False)
    right = apply_cdl(y, colors["A_1"].cdl, clamp=False)
    assert np.abs(left - right).mean() < 0.1 * np.abs(x - y).mean()
    # both give way, neither is dragged over
    assert 0.3 < np.abs(left - x).mean() / np.abs(x - y).mean() < 0.7
    assert colors["A_2"].cdl == IDENTITY


def test_a_known_transform_is_recovered_from_clean_matches() -> None:
    rng = np.random.default_rng(10)
    truth = CDL((1.25, 0.9, 1.1), (-0.08, 0.03, 0.01))
    shots = [ShotInput(id=f"{r}_{k}", reel=r) for r in "AB" for k in range(8)]
    links = []
    for k in range(8):
        y = rng.uniform(0.15, 0.6, (200, 3))
        x = apply_cdl(y, truth, clamp=False)
        links.append(Link(a=f"A_{k}", b=f"B_{k}", x=x, y=y, inliers=200, confidence=1.0))
    colors = solve_match(shots, links, MatchOptions(anchor_reel="A"))
    for k in range(8):
        np.testing.assert_allclose(colors[f"B_{k}"].cdl.as_list(), truth.as_list(), atol=1e-3)


def test_nothing_to_solve() -> None:
    assert solve_match([], []) == {}
    assert solve_match([ShotInput(id="A_0", reel="A")], [])["A_0"].cdl == IDENTITY


def test_balance_takes_off_part_of_a_cast(view: View, observed: Observed) -> None:
    image = view(1, 0, 0)
    neutral = balance_shot(observed(image, 1))
    cast = np.array([0.03, 0.0, -0.03])
    warm = balance_shot(observed(image + cast, 1))
    moved = np.array(warm.cdl.offset) - np.array(neutral.cdl.offset)
    assert -0.03 < moved[0] < -0.003
    assert 0.003 < moved[2] < 0.03
    assert warm.confidence >= 0.3
    assert len(set(warm.cdl.slope)) == 1


def test_balance_keeps_its_limits_and_its_hands_off(view: View, observed: Observed) -> None:
    image = view(1, 0, 0)
    options = BalanceOptions(offset_limit_points=1.0, cast_share=1.0)
    color = balance_shot(observed(image * 0.5 + np.array([0.3, 0.28, 0.24]), 1), options)
    assert max(abs(v) for v in color.cdl.offset) <= PRINTER_POINT_LOG + 1e-12
    assert 0.8 <= color.cdl.slope[0] <= 1.25
    gray = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2)
    assert balance_shot(observed(gray + np.array([0.08, 0.0, -0.06]), 1)).cdl == IDENTITY
    green = image * 0.3 + rng_field(1)
    assert balance_shot(observed(green, 1)).cdl.offset[1] > -2.0 * PRINTER_POINT_LOG
    assert compose(CDL((1.2, 1.0, 0.9), saturation=1.1), color.cdl).saturation == 1.1


def rng_field(seed: int) -> F64:
    """(240, 320, 3) a saturated green field with texture."""
    rng = np.random.default_rng(seed)
    return np.asarray(rng.normal(0.0, 0.03, (240, 320, 1)) + np.array([0.12, 0.3, 0.08]))


def test_solving_needs_neither_torch_nor_opencv() -> None:
    code = (
        "import sys, color.match, color.records, color.cdl_files;"
        "sys.exit(bool({'torch', 'cv2', 'colour', 'PyOpenColorIO'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_a_title_of_three_hundred_shots_is_solved() -> None:
    rng = np.random.default_rng(11)
    shots = [ShotInput(id=f"{r}_{k:03}", reel=r) for r in "ABC" for k in range(100)]
    gain = {"A": 1.0, "B": 1.15, "C": 0.85}
    links = []
    for _ in range(600):
        i, j = sorted(rng.choice(len(shots), 2, replace=False))
        t = rng.uniform(0.2, 0.6, (40, 3))
        x, y = (t / gain[shots[k].reel] + rng.normal(0.0, 0.002, t.shape) for k in (i, j))
        links.append(Link(a=shots[i].id, b=shots[j].id, x=x, y=y, inliers=40, confidence=0.9))
    colors = solve_match(shots, links, MatchOptions(anchor_reel="A"))
    slopes = np.array([c.cdl.slope[0] for n, c in colors.items() if n.startswith("B")])
    assert slopes.mean() == pytest.approx(1.15, abs=0.01)
    assert slopes.std() < 0.02
