"""What policy keeps repairs from: regions, and area by class; unmarked pixels are the scan's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from media.errors import ConfigError
from media.synthetic import Damage, damage_shot
from media.write import AnyCodes, to_codes
from tests.reels import HEIGHT_PX, MARGIN_PX, TEN_BIT, WIDTH_PX, project_of, put_reel, run_here
from tests.strategies import pan
from tests.wetgate.test_doubled import ONE_SHOT, decided, delivered, touched

FIRST, FRAMES = 1001, 6


def damaged(seed: int, damage: Damage) -> AnyCodes:
    """(T, H, W, 3) 10-bit codes."""
    wide = pan(seed, FRAMES, HEIGHT_PX + 2 * MARGIN_PX, WIDTH_PX + 2 * MARGIN_PX, 0.9)
    frames, _ = damage_shot(wide, damage, seed, MARGIN_PX)
    values = np.ascontiguousarray(frames.transpose(0, 2, 3, 1))
    codes: AnyCodes = np.stack([to_codes(v, TEN_BIT).astype(np.uint16) for v in values])
    return codes


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 10_000),
    dirt=st.floats(0.0, 6.0),
    scratches=st.integers(0, 2),
    weave=st.floats(0.0, 1.0),
    only=st.sampled_from(["dirt", "scratch", "frames", "dirt,scratch,frames"]),
)
def test_every_unmarked_pixel_is_the_scans_own_code(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    dirt: float,
    scratches: int,
    weave: float,
    only: str,
) -> None:
    root = tmp_path_factory.mktemp("gate")
    damage = Damage(
        dirt_per_frame=dirt, dirt_size_px=(2.0, 8.0), weave_px=(weave, weave), scratches=scratches
    )
    codes = damaged(seed, damage)
    scan = put_reel(root / "R1", codes, FIRST)
    out = root / "out"
    sets = (ONE_SHOT, "policy.allow_invented=true")
    assert run_here(project_of([scan], *sets, only=only), out).failed == ()
    pictures, planes = delivered(out), touched(out)
    assert len(planes) == FRAMES
    for k, code in enumerate(codes):
        plane = planes[FIRST + k]
        assert plane.shape == code.shape[:2]
        same = plane == 0
        np.testing.assert_array_equal(pictures[FIRST + k][same], code[same])


DIRTY = Damage(dirt_per_frame=3.0, dirt_size_px=(3.0, 7.0), weave_px=(0.0, 0.0), flicker_stops=0.0)


@pytest.mark.parametrize("by", ["reel", "shot", "person"])
def test_nothing_is_repaired_in_a_protected_region(tmp_path: Path, by: str) -> None:
    codes = damaged(2, DIRTY)
    scan = put_reel(tmp_path / "R1", codes, FIRST)
    plain, out = tmp_path / "plain", tmp_path / "out"
    run_here(project_of([scan], ONE_SHOT, only="dirt,scratch"), plain)
    half = WIDTH_PX // 2
    box = f"[[0, 0, {half}, {HEIGHT_PX}]]"
    sets = [ONE_SHOT]
    if by == "person":
        out.mkdir()
        (out / "overrides.toml").write_text(f'["R1_0010"]\nprotected_regions = {box}\n', "utf-8")
    else:
        name = {"reel": "R1", "shot": "R1_0010"}[by]
        sets.append(f"policy.protected_regions={{ {name} = {box} }}")
    run_here(project_of([scan], *sets, only="dirt,scratch"), out)
    assert decided(out)["protected_regions"] == [[0, 0, half, HEIGHT_PX]]
    before, after = touched(plain), touched(out)
    assert any(p[:, :half].any() for p in before.values())
    for k in range(FRAMES):
        assert not after[FIRST + k][:, :half].any()
        np.testing.assert_array_equal(delivered(out)[FIRST + k][:, :half], codes[k][:, :half])
        # A piece that lies across the edge is covered as if there were none.
        np.testing.assert_array_equal(after[FIRST + k][:, half:], before[FIRST + k][:, half:])


def test_what_lies_in_a_protected_region_counts_for_no_limit(tmp_path: Path) -> None:
    codes = damaged(2, replace(DIRTY, dirt_per_frame=0.0))
    codes[3, 4:16, 8:30] = 960
    codes[3, 40:45, 60:65] = 960
    scan = put_reel(tmp_path / "R1", codes, FIRST)
    sets = (ONE_SHOT, "policy.max_repaired_share=0.02")
    plain, out = tmp_path / "plain", tmp_path / "out"
    assert run_here(project_of([scan], *sets, only="dirt"), plain).held == ("R1_0010",)
    region = "policy.protected_regions={ R1 = [[0, 0, 96, 24]] }"
    assert run_here(project_of([scan], *sets, region, only="dirt"), out).held == ()
    plane = touched(out)[FIRST + 3]
    assert bool((plane[41:44, 61:64] == 2).all())
    assert not plane[:24].any()


@pytest.mark.parametrize(
    "regions", ["{ R9 = [[0, 0, 4, 4]] }", "{ R1 = [[90, 0, 40, 4]] }", "{ R1 = [[0, 0, 0, 4]] }"]
)
def test_a_region_that_is_nowhere_is_refused(tmp_path: Path, regions: str) -> None:
    scan = put_reel(tmp_path / "R1", damaged(2, DIRTY), FIRST)
    project = project_of([scan], ONE_SHOT, f"policy.protected_regions={regions}", only="dirt")
    with pytest.raises(ConfigError, match="region"):
        run_here(project, tmp_path / "out")


def test_area_over_the_limit_of_its_class_holds_the_shot(tmp_path: Path) -> None:
    scan = put_reel(tmp_path / "R1", damaged(2, DIRTY), FIRST)
    sets = (ONE_SHOT, "policy.max_borrowed_share=0.001", "policy.max_invented_share=0.0")
    outcome = run_here(project_of([scan], *sets, only="dirt"), tmp_path / "out")
    assert len(outcome.held) == 1
    verdict = (tmp_path / "out/reels/R1/verify/R1_0010.json").read_text("utf-8")
    assert "policy.max_borrowed_share allows 0.1 %" in verdict
    assert "max_invented_share" not in verdict


def test_a_shot_too_short_for_lines_does_not_say_that_it_has_none(tmp_path: Path) -> None:
    scan = put_reel(tmp_path / "R1", damaged(2, DIRTY)[:5], FIRST)
    out = tmp_path / "out"
    run_here(project_of([scan], ONE_SHOT, only="scratch"), out)
    why = "only 5 pictures: a scratch cannot be told from the scene"
    assert decided(out)["scratch"]["reason"] == why
    assert f"scratch: {why}" in decided(out)["reasons"]


def test_a_reel_that_begins_black_is_not_all_of_it(tmp_path: Path) -> None:
    codes = np.concatenate([np.full((3, HEIGHT_PX, WIDTH_PX, 3), 95, np.uint16), damaged(2, DIRTY)])
    scan = put_reel(tmp_path / "R1", codes, FIRST)
    out = tmp_path / "out"
    run_here(project_of([scan], ONE_SHOT, only="dirt"), out)
    assert decided(out)["kind"] == "shot"
    assert decided(out)["dirt"]["applied"]
    black = put_reel(tmp_path / "R2", codes[:3], FIRST)
    run_here(project_of([black], ONE_SHOT, only="dirt"), tmp_path / "black")
    verdict = next((tmp_path / "black/reels/R2/decisions").glob("*.json")).read_text("utf-8")
    assert '"kind": "black"' in verdict
