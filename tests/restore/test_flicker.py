"""Flicker: known exposure errors taken out, light that was meant kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from media.encoding import STOP
from media.frames import FrameRange
from media.synthetic import Damage
from restore.flicker.apply import FlickerOperator, FrameFlicker
from restore.flicker.measure import FlickerProbe
from restore.flicker.solve import FlickerOptions, FlickerSolution, solve_flicker
from tests.restore.conftest import (
    CLEAN,
    F32,
    FRAMES,
    MARGIN_PX,
    SHOT,
    damage,
    observed,
    rendered,
    scene,
)

FLICKER = replace(CLEAN, flicker_stops=0.12, flicker_channel_stops=0.02, flicker_local_stops=0.06)
EVERYTHING = replace(FLICKER, weave_px=(1.2, 0.9), grain_sigma=0.012, dirt_per_frame=4.0)


def solved(frames: F32, options: FlickerOptions | None = None) -> FlickerSolution:
    evidence = observed(FlickerProbe(), frames)
    return solve_flicker(evidence, SHOT, options or FlickerOptions())


def operator(solution: FlickerSolution) -> FlickerOperator:
    """What the product makes of a solution."""
    frames = {
        f: FrameFlicker(
            tuple(solution.exposure_stops[k].tolist()),
            tuple(solution.contrast[k].tolist()),
            tuple(solution.bend[k].tolist()),
            solution.grid_stops[k].tolist(),
            solution.channel_grid_stops[k].tolist(),
        )
        for k, f in enumerate(SHOT)
    }
    return FlickerOperator(frames, solution.pivot)


def correction(solution: FlickerSolution, like: F32) -> NDArray[np.float64]:
    """(T, C, H, W) stops that are added."""
    fixed, _ = rendered([operator(solution)], like)
    return np.asarray((fixed - like) / STOP, np.float64)


def rms_of_change(stops: NDArray[np.floating]) -> float:
    """Around the mean over time of each place and channel."""
    return float((stops - stops.mean(axis=0)).std())


@pytest.mark.parametrize("kind", ["still", "pan", "foreground"])
@pytest.mark.parametrize("what", [FLICKER, EVERYTHING], ids=["flicker", "everything"])
def test_flicker_is_taken_out(kind: str, what: Damage) -> None:
    frames, truth = damage(scene(kind), what)
    solution = solved(frames)
    assert solution.applied
    left = rms_of_change(truth.flicker_stops + correction(solution, frames))
    assert left < 0.25 * rms_of_change(truth.flicker_stops)


@pytest.mark.parametrize(
    ("what", "share"),
    [
        (replace(CLEAN, flicker_stops=0.12), 0.12),
        (replace(CLEAN, flicker_channel_stops=0.05), 0.25),
        (replace(CLEAN, flicker_local_stops=0.08), 0.25),
    ],
    ids=["whole", "channel", "local"],
)
def test_each_kind_by_itself(what: Damage, share: float) -> None:
    frames, truth = damage(scene("drift", 2), what, seed=4)
    left = rms_of_change(truth.flicker_stops + correction(solved(frames), frames))
    assert left < share * rms_of_change(truth.flicker_stops)


def test_contrast_that_flickers_is_taken_out_by_tone() -> None:
    clean, _ = damage(scene("drift", 3), CLEAN)
    # Without a slow part, which nobody could tell from intention in so few frames.
    size = np.random.default_rng(8).uniform(0.02, 0.1, FRAMES) * (-1.0) ** np.arange(FRAMES)
    slope = np.exp(size - size.mean()).astype(np.float32)
    frames = (clean - np.float32(0.42)) * slope[:, None, None, None] + np.float32(0.42)
    solution = solved(frames)
    assert float(solution.contrast.std()) == pytest.approx(0.06, rel=0.3)
    fixed, _ = rendered([operator(solution)], frames)
    assert rms_of_change(fixed - clean) < 0.25 * rms_of_change(frames - clean)
    plain = solved(frames, FlickerOptions(tones=False))
    assert not plain.contrast.any()
    assert not plain.bend.any()


def test_contrast_is_left_alone_where_only_exposure_flickers() -> None:
    frames, _ = damage(scene("still"), replace(CLEAN, flicker_stops=0.15, grain_sigma=0.008))
    assert float(solved(frames).contrast.std()) < 0.005


def test_uneven_breathing_of_one_channel_is_taken_out() -> None:
    clean, _ = damage(scene("still"), CLEAN)
    tilt = np.random.default_rng(9).normal(0.0, 0.12, FRAMES)
    field = np.linspace(-1.0, 1.0, clean.shape[-1])
    frames = clean.copy()
    frames[:, 2] += (tilt[:, None] * field * STOP).astype(np.float32)[:, None, :]
    fixed, _ = rendered([operator(solved(frames))], frames)
    before, after = frames[:, 2] - clean[:, 2], fixed[:, 2] - clean[:, 2]
    assert rms_of_change(after) < 0.3 * rms_of_change(before)


def test_clipped_picture_is_not_lifted() -> None:
    frames, _ = damage(scene("still"), replace(CLEAN, flicker_stops=0.2))
    frames[:, :, :20, :30] = 1.0
    frames[:, :, -20:, :30] = 0.0
    fixed, _ = rendered([operator(solved(frames))], frames)
    assert np.array_equal(fixed[:, :, :20, :30], frames[:, :, :20, :30])
    assert np.array_equal(fixed[:, :, -20:, :30], frames[:, :, -20:, :30])
    assert not np.array_equal(fixed, frames)


def test_frames_without_picture_are_left_and_named() -> None:
    frames, _ = damage(scene("still"), FLICKER)
    frames[6:8] = 0.0
    solution = solved(frames)
    assert solution.unseen == (SHOT.start + 6, SHOT.start + 7)
    assert not solution.exposure_stops[6:8].any()
    assert solution.exposure_stops[:6].any()
    # What lies on both sides of the gap is still one shot, at one level.
    fixed, _ = rendered([operator(solution)], frames)
    level = fixed.mean(axis=(1, 2, 3)) / STOP
    assert abs(float(level[:6].mean() - level[8:].mean())) < 0.1


def test_pixels_follow_the_solution() -> None:
    clean, _ = damage(scene("still"), CLEAN)
    frames, _ = damage(scene("still"), FLICKER)
    solution = solved(frames)
    fixed, _ = rendered([operator(solution)], frames)
    assert rms_of_change(fixed - clean) < 0.25 * rms_of_change(frames - clean)


def test_a_fade_is_kept() -> None:
    clean = scene("still").copy()
    fade = np.linspace(0.0, -1.0, FRAMES)
    clean += (fade * STOP).astype(np.float32)[:, None, None, None]
    frames, truth = damage(clean, replace(FLICKER, flicker_local_stops=0.0))
    solution = solved(frames)
    left = truth.flicker_stops + correction(solution, frames)
    whole = left.mean(axis=(1, 2, 3))
    slope = np.polyfit(np.arange(FRAMES), whole, 1)[0] * (FRAMES - 1)
    assert abs(float(slope)) < 0.1
    assert rms_of_change(left) < 0.4 * rms_of_change(truth.flicker_stops)


def test_a_fade_without_flicker_is_left_alone() -> None:
    clean = scene("still").copy()
    fade = np.linspace(0.0, -1.0, FRAMES)
    clean += (fade * STOP).astype(np.float32)[:, None, None, None]
    frames, _ = damage(clean, replace(CLEAN, grain_sigma=0.008))
    solution = solved(frames)
    assert float(np.abs(correction(solution, frames)).max()) < 0.02


def test_a_flash_is_kept() -> None:
    clean = scene("pan").copy()
    clean[10:12] += np.float32(1.0 * STOP)
    frames, _ = damage(clean, FLICKER)
    solution = solved(frames)
    flash = (SHOT.start + 10, SHOT.start + 11)
    assert solution.kept_flashes == flash
    others = np.abs(np.delete(solution.exposure_stops, [10, 11], axis=0)).max()
    assert float(np.abs(solution.exposure_stops[10:12]).max()) < 0.2
    assert float(others) > 0.05


def lit(place_px: NDArray[np.float64], stops: NDArray[np.float64]) -> tuple[F32, F32]:
    """(T, 3, H, W) the still scene under a light of one stop, and the light in stops (T, H, W)."""
    clean = scene("still").copy()
    h, w = clean.shape[-2:]
    y, x = np.mgrid[0:h, 0:w]
    light = np.stack(
        [
            s * np.exp(-((x - at) ** 2 + (y - 60) ** 2) / (2 * 20.0**2))
            for at, s in zip(place_px, stops, strict=True)
        ]
    ).astype(np.float32)
    clean += (light * np.float32(STOP))[:, None]
    inner = slice(MARGIN_PX, -MARGIN_PX)
    return clean, np.asarray(light[:, inner, inner], np.float32)


def kept_share(clean: F32, light: F32) -> float:
    """Of the light, when the shot flickers and is corrected."""
    frames, truth = damage(clean, FLICKER)
    left = truth.flicker_stops + correction(solved(frames), frames)
    change = light - light.mean(axis=0)
    left = (left - left.mean(axis=0)).mean(axis=1)
    return 1.0 + float((left * change).sum() / np.square(change).sum())


def test_a_lamp_that_is_switched_on_stays() -> None:
    on = (np.arange(FRAMES) >= FRAMES // 2).astype(np.float64)
    clean, light = lit(np.full(FRAMES, 60.0), on)
    assert kept_share(clean, light) > 0.8
    # Without flicker nothing is done about it at all.
    frames, _ = damage(clean, CLEAN)
    assert not solved(frames).applied


@pytest.mark.parametrize("px_a_frame", [12.0, 20.0, 30.0])
def test_headlights_that_pass_keep_their_light(px_a_frame: float) -> None:
    """They cross a place in three frames to one, as flicker does, but stand out from it."""
    clean, light = lit(np.linspace(10.0, px_a_frame * FRAMES, FRAMES), np.ones(FRAMES))
    assert kept_share(clean, light) > 0.85


def test_clean_picture_is_left_alone() -> None:
    frames, _ = damage(scene("pan"), replace(CLEAN, grain_sigma=0.008, weave_px=(0.8, 0.6)))
    solution = solved(frames)
    assert float(np.abs(correction(solution, frames)).max()) < 0.02


def test_short_and_blank_shots_are_left_alone() -> None:
    frames, _ = damage(scene("still"), FLICKER)
    evidence = observed(FlickerProbe(), frames[:4])
    short = solve_flicker(evidence, FrameRange(SHOT.start, SHOT.start + 4), FlickerOptions())
    assert "only 4 pictures" in short.reason
    black = solved(np.zeros_like(frames))
    assert "too little usable picture" in black.reason


def test_the_level_of_the_shot_is_not_touched() -> None:
    frames, _ = damage(scene("still"), FLICKER)
    solution = solved(frames)
    assert solution.exposure_stops.mean(axis=0) == pytest.approx(0.0, abs=1e-9)
    assert solution.grid_stops.mean(axis=0) == pytest.approx(0.0, abs=1e-9)


def test_options_limit_what_is_done() -> None:
    frames, _ = damage(scene("still"), FLICKER)
    gray = solved(frames, FlickerOptions(per_channel=False, local=False, limit_stops=0.05))
    assert float(np.ptp(gray.exposure_stops, axis=1).max()) == pytest.approx(0.0, abs=1e-9)
    assert float(np.abs(gray.grid_stops).max()) == 0.0
    assert float(np.abs(gray.exposure_stops).max()) < 0.1


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_a_channel_without_a_picture_says_nothing_and_stays(level: float) -> None:
    damaged, truth = damage(scene("pan"), FLICKER)
    frames = damaged.copy()
    frames[:, 2] = level
    solution = solved(frames)
    assert solution.applied
    assert not solution.exposure_stops[:, 2].any()
    added, stops = correction(solution, frames), truth.flicker_stops[:, :2]
    assert not added[:, 2].any()
    assert rms_of_change(stops + added[:, :2]) < 0.25 * rms_of_change(stops)
