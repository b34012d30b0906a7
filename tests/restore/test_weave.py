"""Weave: known jitter found and taken out, the camera left alone."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from media.errors import RepairError
from media.frames import FrameRange
from media.passes import Effect, Window
from restore.border import BLACK
from restore.geometry import Placement, placed, sinc_taps
from restore.weave.apply import WeaveOperator
from restore.weave.measure import WeaveProbe
from restore.weave.overscan import OverscanProbe
from restore.weave.solve import WeaveOptions, WeaveSolution, solve_weave
from tests.restore.conftest import (
    CLEAN,
    F32,
    FRAMES,
    HEIGHT_PX,
    MARGIN_PX,
    SHOT,
    WIDTH_PX,
    damage,
    observed,
    rendered,
    scene,
)
from tests.strategies import psnr_db, zoom

WEAVE = replace(CLEAN, weave_px=(1.2, 0.9))
EVERYTHING = replace(
    WEAVE,
    flicker_stops=0.12,
    flicker_channel_stops=0.02,
    flicker_local_stops=0.06,
    grain_sigma=0.012,
    dirt_per_frame=4.0,
)


def solved(frames: F32) -> WeaveSolution:
    evidence = observed(WeaveProbe(1.0), frames)
    return solve_weave(evidence, SHOT, WeaveOptions())


def spread_px(evidence: dict[str, object]) -> NDArray[np.float64]:
    """(m, cells) standard error of the way that a cell went."""
    return np.asarray(np.sqrt(np.asarray(evidence["covariance_px2"])[..., ::2].sum(axis=-1)))


def covariance_px2(spread: NDArray[np.float64]) -> NDArray[np.float64]:
    """(m, cells, 3) the same standard error across and down."""
    return np.stack([spread**2, np.zeros_like(spread), spread**2], axis=-1)


def left_px(solution: WeaveSolution, weave_px: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T, 2) what is left of the weave, without its mean."""
    left = weave_px + np.stack([solution.dx_px, solution.dy_px], axis=1)
    return np.asarray(left - left.mean(axis=0))


def rms(values: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.square(values).mean()))


def without_trend(values: NDArray[np.float64]) -> NDArray[np.float64]:
    t = np.arange(len(values)) - (len(values) - 1) / 2
    return np.asarray(values - np.outer(t, t @ values / (t @ t)))


@pytest.mark.parametrize("kind", ["still", "foreground", "ball"])
@pytest.mark.parametrize("what", [WEAVE, EVERYTHING], ids=["weave", "everything"])
def test_locked_off_camera_stands_still(kind: str, what: object) -> None:
    assert isinstance(what, type(CLEAN))
    frames, truth = damage(scene(kind), what)
    solution = solved(frames)
    assert solution.applied
    assert solution.confidence > 0.5
    assert rms(left_px(solution, truth.weave_px)) < 0.06


def test_flat_cells_claim_nothing() -> None:
    """Grain has slopes, but they tell nothing of where a cell went."""
    clean = scene("still").copy()
    clean[..., : WIDTH_PX // 2] = clean.mean()
    frames, truth = damage(clean, replace(WEAVE, grain_sigma=0.015))
    evidence = observed(WeaveProbe(1.0), frames)
    pairs = np.asarray(evidence["pairs"]) - SHOT.start
    moved = truth.weave_px[pairs[:, 1]] - truth.weave_px[pairs[:, 0]]
    off = np.linalg.norm(np.asarray(evidence["motion_px"]) - moved[:, None], axis=2)
    spread, cells = spread_px(evidence), np.asarray(evidence["cells_px"])
    flat = cells[:, 0] < -0.2 * WIDTH_PX
    textured = cells[:, 0] > 0.1 * WIDTH_PX
    assert float(np.median(spread[:, flat])) > 1.0
    assert float(np.median(spread[:, textured])) < 0.3
    sure = spread < 0.5
    assert float(np.median(off[sure] / spread[sure])) < 2.5


def test_edges_that_run_one_way_tell_of_the_other() -> None:
    """A fence says how far the picture went across, stairs how far it went down; neither both."""
    clean = np.full_like(scene("still"), 0.45)
    y, x = np.arange(clean.shape[2])[:, None], np.arange(clean.shape[3])[None, :]
    fence, stairs = 0.06 * np.sin(x / 12.0), 0.06 * np.sin(y / 12.0)
    clean += np.where(x < 0.58 * clean.shape[3], fence, stairs).astype(np.float32)
    frames, truth = damage(clean, replace(WEAVE, grain_sigma=0.008))
    evidence = observed(WeaveProbe(1.0), frames)
    covariance, cells = np.asarray(evidence["covariance_px2"]), np.asarray(evidence["cells_px"])
    left, right = cells[:, 0] < -0.2 * WIDTH_PX, cells[:, 0] > 0.25 * WIDTH_PX
    across, down = (
        np.median(np.sqrt(covariance[..., 0]), 0),
        np.median(np.sqrt(covariance[..., 2]), 0),
    )
    assert across[left].max() < 0.3 < 1.0 < down[left].min()
    assert down[right].max() < 0.3 < 1.0 < across[right].min()
    solution = solve_weave(evidence, SHOT, WeaveOptions())
    assert solution.applied
    assert rms(left_px(solution, truth.weave_px)) < 0.1


def test_edges_that_all_run_one_way_slantwise_are_no_accident() -> None:
    """Drawn without grain they leave not the least to hold to along them."""
    y, x = np.arange(HEIGHT_PX)[:, None], np.arange(WIDTH_PX)[None, :]
    frames = [0.45 + 0.2 * np.sin((x + y + 1.7 * (k % 3)) / 9.0) for k in range(len(SHOT))]
    planes = np.stack([np.broadcast_to(f, (3, HEIGHT_PX, WIDTH_PX)) for f in frames])
    evidence = observed(WeaveProbe(1.0), planes.astype(np.float32))
    covariance = np.asarray(evidence["covariance_px2"])
    assert np.isfinite(covariance).all()
    assert np.isfinite(np.asarray(evidence["motion_px"])).all()
    assert np.isfinite(solve_weave(evidence, SHOT, WeaveOptions()).dx_px).all()


def test_a_car_over_bare_asphalt_does_not_take_the_picture_along() -> None:
    """Few cells know well where the car went, many know badly that the ground stood."""
    rng = np.random.default_rng(7)
    n = 36
    pairs, row, column, cells_px = pairs_and_cells(n)
    lag = pairs[:, 1] - pairs[:, 0]
    car = (row > 1) & (column > 2) & (column < 5)
    spread = np.where(car, 0.03, 0.6) * np.ones((len(pairs), 1))
    motion = np.zeros((len(pairs), len(row), 2))
    motion[:, car, 1] = -np.minimum(6.0 * lag, 40.0)[:, None]
    motion += rng.normal(0.0, 0.6, motion.shape) * spread[..., None]
    assert not solved_cells(pairs, motion, spread, cells_px).applied


def test_scratches_do_not_hold_the_picture() -> None:
    """They stand still in the scan, and in a soft picture they are all there is to hold to."""
    soft = scene("still")
    soft = soft.mean() + np.float32(0.3) * (soft - soft.mean())
    frames, truth = damage(soft, replace(WEAVE, grain_sigma=0.008, scratches=8))
    solution = solved(frames)
    assert solution.applied
    assert rms(left_px(solution, truth.weave_px)) < 0.06


def pairs_and_cells(
    n: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Pairs of n frames, then the row, the column and the place of every cell of a picture."""
    pairs = np.array([(b - lag, b) for b in range(n) for lag in (1, 2, 8) if b >= lag])
    row, column = np.divmod(np.arange(40), 8)
    return pairs, row, column, np.stack([80.0 * column - 280.0, 70.0 * row - 140.0], axis=1)


def solved_cells(
    pairs: NDArray[np.int64],
    motion_px: NDArray[np.float64],
    spread_px: NDArray[np.float64],
    cells_px: NDArray[np.float64],
) -> WeaveSolution:
    """From what cells of a picture of 640 x 352 px are said to have measured."""
    evidence: dict[str, object] = {
        "pairs": pairs + SHOT.start,
        "motion_px": motion_px,
        "covariance_px2": covariance_px2(spread_px),
        "cells_px": cells_px,
        "size_px": np.array([352.0, 640.0]),
    }
    frames = FrameRange(SHOT.start, SHOT.start + int(pairs.max()) + 1)
    return solve_weave(evidence, frames, WeaveOptions())


def test_slow_actor_before_most_of_the_picture() -> None:
    """Between two frames he moves little, and like a turn of the picture; not over eight."""
    rng = np.random.default_rng(2)
    n = 36
    pairs, row, column, cells_px = pairs_and_cells(n)
    weave_px = rng.normal(0.0, [1.2, 0.9], (n, 2))
    actor = (row < 4) & (column > 0) & (column < 6)
    pace = np.where(actor, 1.5 - 0.22 * column, 0.0)
    lag = pairs[:, 1] - pairs[:, 0]
    motion = (weave_px[pairs[:, 1]] - weave_px[pairs[:, 0]])[:, None].repeat(40, axis=1)
    motion[..., 1] += lag[:, None] * pace
    spread = np.full(motion.shape[:2], 0.08)
    spread[:, row == 4] = 5.0
    motion += rng.normal(0.0, 1.0, motion.shape) * spread[..., None]
    solution = solved_cells(pairs, motion, spread, cells_px)
    assert solution.applied
    assert rms(left_px(solution, weave_px)) < 0.04


@pytest.mark.parametrize("kind", ["pan", "drift"])
@pytest.mark.parametrize("seed", [3, 5])
def test_pan_is_kept(kind: str, seed: int) -> None:
    frames, truth = damage(scene(kind), EVERYTHING, seed)
    solution = solved(frames)
    left = left_px(solution, truth.weave_px)
    assert solution.applied
    # The jitter is gone; what may remain is a trend that no one can tell from the pan.
    assert rms(without_trend(left)) < 0.08
    assert float(np.abs(left).max()) < 0.5
    moved = np.abs(left).mean(axis=0)
    assert float(moved.max()) < 0.3


def test_zoom_is_kept() -> None:
    """No two cells move alike in a zoom: what they share is the weave."""
    clean = zoom(2, FRAMES, HEIGHT_PX + 2 * MARGIN_PX, WIDTH_PX + 2 * MARGIN_PX, 0.01)
    frames, truth = damage(clean, WEAVE)
    solution = solved(frames)
    assert solution.applied
    left = without_trend(left_px(solution, truth.weave_px))
    assert rms(left) < 0.3 * rms(without_trend(truth.weave_px))


@pytest.mark.parametrize("kind", ["still", "pan", "foreground"])
def test_steady_picture_is_left_alone(kind: str) -> None:
    frames, _ = damage(scene(kind), replace(CLEAN, grain_sigma=0.01, flicker_stops=0.1))
    solution = solved(frames)
    assert not solution.applied
    assert "below what can be measured" in solution.reason
    assert float(np.abs(solution.dx_px).max()) == 0.0


def test_pixels_come_back_to_their_places() -> None:
    clean, _ = damage(scene("still"), CLEAN)
    frames, truth = damage(scene("still"), WEAVE)
    solution = solved(frames)
    # The weave of the whole shot has a mean that nobody can know: compare around it.
    mean = truth.weave_px.mean(axis=0)
    shifts = {
        f: (float(solution.dx_px[k] - mean[0]), float(solution.dy_px[k] - mean[1]))
        for k, f in enumerate(SHOT)
    }
    fixed, _ = rendered([WeaveOperator(shifts)], frames)
    inner = np.s_[:, :, 12:-12, 12:-12]
    assert psnr_db(fixed[inner], clean[inner]) > psnr_db(frames[inner], clean[inner]) + 12.0
    assert psnr_db(fixed[inner], clean[inner]) > 42.0


def test_turns_are_found_and_undone() -> None:
    turn_deg = np.random.default_rng(4).normal(0.0, 0.06, FRAMES)
    clean = scene("foreground").copy()
    h, w = clean.shape[-2:]
    for frame, turn in zip(clean, turn_deg, strict=True):
        moved = placed(torch.from_numpy(frame), Placement(0.0, 0.0, float(turn)), (0, 0), (h, w))
        frame[:] = moved.numpy()
    frames, truth = damage(clean, WEAVE)
    solution = solved(frames)
    left = turn_deg + solution.turn_deg
    assert rms(left - left.mean()) < 0.01
    assert rms(left_px(solution, truth.weave_px)) < 0.03


def test_a_splice_is_a_step_and_taken_out() -> None:
    """From one frame on the picture stands 6 px lower; no frame near it is bent towards that."""
    half = FRAMES // 2
    clean = scene("still").copy()
    clean[half:] = np.roll(clean[half:], 6, axis=-2)
    frames, truth = damage(clean, WEAVE)
    jump = np.zeros((FRAMES, 2))
    jump[half:, 1] = 6.0
    solution = solved(frames)
    assert solution.jumps == (SHOT.start + half,)
    assert rms(left_px(solution, truth.weave_px + jump)) < 0.05
    # A jump over the limit is kept, as a step.
    tight = solve_weave(observed(WeaveProbe(1.0), frames), SHOT, WeaveOptions(limit_px=5.0))
    assert tight.jumps == solution.jumps
    assert (solution.kept_jumps, tight.kept_jumps) == ((), tight.jumps)
    # Its size is known as well as the mean of either half of the weave is.
    assert rms(left_px(tight, truth.weave_px)) < 0.3


def test_one_frame_thrown_far_off_does_not_bend_the_rest() -> None:
    thrown = FRAMES // 3
    clean = scene("pan").copy()
    clean[thrown] = np.roll(clean[thrown], 7, axis=-2)
    frames, truth = damage(clean, replace(WEAVE, weave_px=(0.5, 0.4)))
    weave_px = truth.weave_px.copy()
    weave_px[thrown, 1] += 7.0
    solution = solved(frames)
    assert rms(without_trend(left_px(solution, weave_px))) < 0.08
    tight = solve_weave(observed(WeaveProbe(1.0), frames), SHOT, WeaveOptions(limit_px=4.0))
    assert tight.unseen == (SHOT.start + thrown,)
    assert tight.dy_px[thrown] == 0.0
    rest = np.arange(FRAMES) != thrown
    assert np.allclose(tight.dy_px[rest], solution.dy_px[rest])


def test_frames_without_a_picture_are_named_and_not_moved() -> None:
    frames, truth = damage(scene("still"), WEAVE)
    blank = FRAMES // 2
    frames[blank] = 0.3
    solution = solved(frames)
    assert solution.applied
    assert solution.unseen == (SHOT.start + blank,)
    assert solution.dx_px[blank] == solution.dy_px[blank] == 0.0
    rest = np.arange(FRAMES) != blank
    left = truth.weave_px + np.stack([solution.dx_px, solution.dy_px], axis=1)
    assert rms(left[rest] - left[rest].mean(axis=0)) < 0.05


def overscanned(holes: bool) -> F32:
    """A hand-held camera's picture within black film, with perforations beside it or not."""
    t = np.arange(FRAMES)
    sway = np.stack([3.0 * np.sin(0.2 * t), 2.0 * np.cos(0.16 * t)], axis=1)
    clean = np.full_like(scene("still"), 0.12)
    h, w = clean.shape[-2:]
    for k, picture in enumerate(scene("still")):
        moved = placed(torch.from_numpy(picture), Placement(*sway[k]), (0, 0), (h, w)).numpy()
        clean[k, :, 22:-22, 44:-24] = moved[:, 22:-22, 44:-24]
    if holes:
        for top in range(18, h - 40, 48):
            clean[:, :, top : top + 22, 18:32] = 0.9
    blurred = [cv2.GaussianBlur(f.transpose(1, 2, 0), (0, 0), 0.8) for f in clean]
    return np.stack(blurred).transpose(0, 3, 1, 2)


@pytest.mark.parametrize(("holes", "kind"), [(True, "perforation"), (False, "edge")])
def test_what_is_fixed_to_the_film_tells_weave_from_the_hand_that_holds_the_camera(
    holes: bool, kind: str
) -> None:
    frames, truth = damage(overscanned(holes), replace(WEAVE, grain_sigma=0.008))
    overscan = observed(OverscanProbe(1.0), frames)
    evidence = observed(WeaveProbe(1.0), frames)
    found = solve_weave(evidence, SHOT, WeaveOptions(), overscan)
    assert found.reference == kind
    assert rms(left_px(found, truth.weave_px)) < 0.05
    picture = solve_weave(evidence, SHOT, WeaveOptions(reference="picture"), overscan)
    assert picture.reference == "picture"
    assert rms(left_px(picture, truth.weave_px)) > 0.1


@pytest.mark.parametrize("kind", ["pan", "still"])
def test_a_scan_without_overscan_has_no_film_to_hold_on_to(kind: str) -> None:
    frames, _ = damage(scene(kind), WEAVE)
    overscan = observed(OverscanProbe(1.0), frames)
    evidence = observed(WeaveProbe(1.0), frames)
    assert solve_weave(evidence, SHOT, WeaveOptions(), overscan).reference == "picture"
    asked = solve_weave(evidence, SHOT, WeaveOptions(reference="perforation"), overscan)
    assert asked.reason == "no perforation can be followed"


def test_a_picture_that_moves_in_pieces_is_left_alone() -> None:
    random = np.random.default_rng(3)
    frames = random.uniform(0.2, 0.7, (FRAMES, 3, HEIGHT_PX, WIDTH_PX)).astype(np.float32)
    solution = solved(frames)
    assert "does not move as one" in solution.reason
    assert not solution.dx_px.any()


def cells_of_a_street(told: bool, seed: int) -> tuple[dict[str, object], NDArray[np.float64]]:
    """Evidence of a picture in which every cell goes its own way, and the weave of it.

    told: the film jolts half of the cells alike. Otherwise each is jolted by itself.
    """
    random = np.random.default_rng(seed)
    t, cells = 40, 40
    speed = random.normal(0.0, 5.0, (cells, 2))
    sway = random.normal(0.0, 4.0, (cells, 2))
    weave = random.normal(0.0, 1.0, (t, 2))
    own = random.normal(0.0, 1.5, (t, cells, 2))
    follows = (np.arange(cells) % 2 == 0) & told
    at = np.arange(t)[:, None, None]
    place = at * speed + 6.0 * np.sin(at / 9.0) * sway
    place = place + np.where(follows[None, :, None], weave[:, None, :], own)
    pairs = np.array([(a, a + lag) for lag in (1, 2, 8) for a in range(t - lag)], np.int64)
    motion = place[pairs[:, 1]] - place[pairs[:, 0]] + random.normal(0, 0.2, (len(pairs), cells, 2))
    x, y = np.meshgrid(np.linspace(-280, 280, 8), np.linspace(-110, 110, 5))
    return {
        "pairs": pairs,
        "motion_px": motion,
        "covariance_px2": covariance_px2(np.full((len(pairs), cells), 0.2)),
        "cells_px": np.stack([x.ravel(), y.ravel()], axis=1),
        "size_px": np.array([256.0, 624.0]),
    }, weave


@pytest.mark.parametrize("seed", range(4))
def test_where_nothing_moves_alike_what_jolts_all_at_once_is_weave(seed: int) -> None:
    evidence, weave = cells_of_a_street(True, seed)
    solution = solve_weave(evidence, FrameRange(0, len(weave)), WeaveOptions())
    assert solution.applied
    left = weave + np.stack([solution.dx_px, solution.dy_px], axis=1)
    assert rms(left - left.mean(axis=0)) < 0.5 * rms(weave - weave.mean(axis=0))


@pytest.mark.parametrize("seed", range(4))
def test_jolts_that_nothing_shares_are_no_weave(seed: int) -> None:
    evidence, weave = cells_of_a_street(False, seed)
    solution = solve_weave(evidence, FrameRange(0, len(weave)), WeaveOptions())
    assert "does not move as one" in solution.reason
    assert not solution.dx_px.any()


def test_short_shot_and_excursion_are_refused() -> None:
    frames, _ = damage(scene("still"), WEAVE)
    evidence = observed(WeaveProbe(1.0), frames[:4])
    short = solve_weave(evidence, FrameRange(SHOT.start, SHOT.start + 4), WeaveOptions())
    assert "only 4 pictures" in short.reason
    evidence = observed(WeaveProbe(1.0), frames)
    tight = solve_weave(evidence, SHOT, WeaveOptions(limit_px=0.5))
    assert "over the limit" in tight.reason


def test_proxy_motion_is_reported_in_full_size_px() -> None:
    frames, _ = damage(scene("pan"), CLEAN)
    evidence = observed(WeaveProbe(0.5), frames[:4])
    assert float(np.median(evidence["motion_px"][..., 0])) == pytest.approx(-4.0, abs=0.1)


def test_whole_pixel_shift_is_a_copy() -> None:
    ramp = torch.rand(3, 20, 30, generator=torch.Generator().manual_seed(1))
    moved = placed(ramp, Placement(dx_px=3.0), (0, 0), (20, 30))
    assert torch.allclose(moved[..., 3:], ramp[..., :-3], atol=1e-6)
    assert sinc_taps(0.25) == pytest.approx(sinc_taps(0.75)[::-1])
    assert float(sinc_taps(0.37).sum()) == pytest.approx(1.0)


@pytest.mark.parametrize("turn_deg", [0.06, -0.15, 0.5])
def test_turned_and_shifted_picture_is_that_of_the_turned_scene(turn_deg: float) -> None:
    """A scene known as a formula: what a camera turned and shifted would have seen."""
    h, w, dx, dy = 180, 320, 1.37, -2.21
    y, x = np.mgrid[0:h, 0:w].astype(np.float64)

    def seen(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(0.5 + 0.2 * np.sin(0.9 * x + 0.3 * np.cos(0.21 * y)) * np.cos(0.7 * y))

    turn = np.radians(turn_deg)
    right, below = x - (w - 1) / 2 - dx, y - (h - 1) / 2 - dy
    truth = seen(
        np.cos(turn) * right + np.sin(turn) * below + (w - 1) / 2,
        np.cos(turn) * below - np.sin(turn) * right + (h - 1) / 2,
    )
    scan = torch.from_numpy(seen(x, y).astype(np.float32)).unsqueeze(0)
    found = placed(scan, Placement(dx, dy, turn_deg), (0, 0), (h, w))[0].numpy()
    inner = np.s_[12:-12, 12:-12]
    # The bound that the module states, times the steepest slope of this scene (0.2 a px).
    bound = 0.2 * turn**2 / 2 * np.hypot(h, w) / 2 + 1.5e-4
    assert float(np.abs(found - truth)[inner].max()) < bound


def test_pixels_without_a_source_keep_the_scan() -> None:
    frames = torch.rand(1, 3, 20, 30, generator=torch.Generator().manual_seed(1))
    done = WeaveOperator({7: (4.0, 0.0)})(Window.whole(frames, (7,)))
    assert torch.equal(done.pixels[..., :4], frames[..., :4])
    assert not bool(done.touch[..., :4].any())
    assert int(done.touch[..., 4:].max()) == int(Effect.ADJUSTED)


def test_matte_is_one_rectangle_on_every_frame() -> None:
    frames = torch.rand(2, 3, 20, 30, generator=torch.Generator().manual_seed(1)) * 0.5 + 0.2
    operator = WeaveOperator({7: (2.5, -1.5)}, border="matte", matte_px=(1, 2, 3, 4))
    done = operator(Window.whole(frames, (7, 8)))
    shown = torch.zeros(20, 30, dtype=torch.bool)
    shown[1:-2, 3:-4] = True
    assert bool(((done.pixels == BLACK).all(dim=(0, 1)) == ~shown).all())
    assert torch.equal(done.pixels[1][:, shown], frames[1][:, shown])


def test_mirrored_border_is_marked_as_made_up() -> None:
    frames = torch.rand(1, 3, 20, 30, generator=torch.Generator().manual_seed(1))
    operator = WeaveOperator({7: (4.0, 0.0)}, border="mirror")
    done = operator(Window.whole(frames, (7,)))
    assert operator.effect is Effect.INVENTED
    assert torch.allclose(done.pixels[..., 3], frames[..., 1], atol=1e-6)
    assert bool((done.touch[..., :4] == int(Effect.INVENTED)).all())
    assert not bool((done.touch[..., 4:] == int(Effect.INVENTED)).any())


def test_shift_larger_than_the_frame_is_an_error() -> None:
    with pytest.raises(RepairError, match="larger than the frame"):
        WeaveOperator({7: (40.0, 0.0)})(Window.whole(torch.zeros(1, 3, 20, 30), (7,)))


def test_reach_covers_the_largest_shift() -> None:
    still, moved = WeaveOperator({}), WeaveOperator({1: (0.0, 5.5)})
    turned = WeaveOperator({1: (0.0, 5.5)}, {1: 0.1})
    assert still.needs.reach_px < moved.needs.reach_px < turned.needs.reach_px


def test_number_of_frames_matches_the_shot() -> None:
    frames, _ = damage(scene("still"), WEAVE)
    assert len(solved(frames).dx_px) == FRAMES
