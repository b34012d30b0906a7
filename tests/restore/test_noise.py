"""Noise: grain goes down along the motion, detail and clean pictures stay."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from media.frames import FrameRange
from media.passes import Window
from media.pictures import all_own
from restore.alignment import FlowMemory, Steering, chained_flows, interleaved
from restore.grain.measure import GrainProbe
from restore.grain_curve import RANGE, TABLE, GrainCurve
from restore.noise.apply import NoiseOperator
from restore.noise.guide import Guide
from restore.noise.transform import Effort, Filter, GrainModel
from tests.restore.conftest import CLEAN, F32, SHOT, damage, observed, rendered, scene
from tests.strategies import add_grain, psnr_db
from wetgate.chain import noise_operator
from wetgate.decisions import NoiseDecision
from wetgate.executor import ShotRenderer
from wetgate.stages.propose import measured_noise

SIGMA = 0.012
EFFORT = Effort(radius=2)


def operator(
    sigma: float = SIGMA, grain_kept: float = 0.0, strength: float = 1.0, channels: int = 3
) -> NoiseOperator:
    """For white grain, alike in the channels and at all levels."""
    curve = GrainCurve.flat((sigma,) * channels)
    return NoiseOperator(curve, GrainModel.white(channels), strength, grain_kept, EFFORT)


def cleaned(frames: F32, grain_kept: float = 0.0, sigma: float = SIGMA) -> F32:
    """The middle of the shot, without the frames at its ends."""
    window = Window.whole(torch.from_numpy(frames), tuple(SHOT)[: len(frames)])
    done: F32 = operator(sigma, grain_kept)(window).pixels.numpy()
    return done


def measured_operator(noisy: F32) -> NoiseOperator:
    """As the line makes it: from what the probe says."""
    evidence = observed(GrainProbe(), noisy)
    return noise_operator(NoiseDecision(applied=True, **measured_noise(evidence)), 0.0)


@pytest.mark.parametrize(
    ("kind", "gain_db"), [("still", 8.0), ("pan", 7.5), ("drift", 7.0), ("foreground", 6.5)]
)
@pytest.mark.parametrize("size_px", [0.0, 0.6, 1.0])
def test_grain_goes_down(kind: str, gain_db: float, size_px: float) -> None:
    clean = damage(scene(kind), CLEAN)[0][:9]
    noisy = add_grain(clean, SIGMA, 4, size_px)
    fixed, _ = rendered([measured_operator(noisy)], noisy)
    inner = slice(3, -3)
    gained = psnr_db(fixed[inner], clean[inner]) - psnr_db(noisy[inner], clean[inner])
    assert gained >= gain_db - 2.0 * size_px


def test_ends_of_the_shot_gain_too() -> None:
    clean = damage(scene("drift"), CLEAN)[0][:7]
    noisy = add_grain(clean, SIGMA, 4)
    fixed, _ = rendered([operator()], noisy)
    for k in (0, -1):
        assert psnr_db(fixed[k], clean[k]) >= psnr_db(noisy[k], clean[k]) + 4.0


def test_a_shot_of_one_frame_gains_by_its_blocks_alone() -> None:
    clean = damage(scene("drift"), CLEAN)[0][:1]
    noisy = add_grain(clean, SIGMA, 4)
    fixed, _ = rendered([operator()], noisy)
    assert psnr_db(fixed, clean) >= psnr_db(noisy, clean) + 2.0


def test_all_grain_kept_gives_the_frame_back() -> None:
    noisy = add_grain(damage(scene("pan"), CLEAN)[0][:6], SIGMA, 4)
    assert np.array_equal(cleaned(noisy, grain_kept=1.0), noisy[2:-2])


def test_part_of_the_grain_is_given_back() -> None:
    clean = damage(scene("still"), CLEAN)[0][:6]
    noisy = add_grain(clean, SIGMA, 4)
    none, half = cleaned(noisy), cleaned(noisy, grain_kept=0.5)
    assert np.allclose(half, 0.5 * (none + noisy[2:-2]), atol=1e-6)


@pytest.mark.parametrize("kind", ["still", "drift", "foreground"])
def test_a_nearly_clean_picture_is_not_hurt(kind: str) -> None:
    clean = damage(scene(kind), CLEAN)[0][:6]
    quiet = add_grain(clean, 0.001, 4)
    assert psnr_db(cleaned(quiet, sigma=0.001), quiet[2:-2]) >= 50.0


def test_detail_is_not_smeared() -> None:
    """What is taken out looks like grain, not like the scene."""
    clean = damage(scene("drift"), CLEAN)[0][:7]
    noisy = add_grain(clean, SIGMA, 4)
    taken = (noisy[2:-2] - cleaned(noisy))[:, 1].astype(np.float64)
    edges = np.gradient(clean[2:-2, 1].astype(np.float64), axis=2)
    related = np.corrcoef(taken.ravel(), edges.ravel())[0, 1]
    assert abs(float(related)) < 0.1
    assert float(taken.std()) < 1.1 * SIGMA
    neighbours = np.corrcoef(taken[:, :, 1:].ravel(), taken[:, :, :-1].ravel())[0, 1]
    assert abs(float(neighbours)) < 0.1


def test_no_measured_grain_leaves_the_frame_alone() -> None:
    noisy = add_grain(damage(scene("pan"), CLEAN)[0][:6], SIGMA, 4)
    assert np.array_equal(cleaned(noisy, sigma=0.0), noisy[2:-2])


def test_values_beyond_the_tables_pass_through() -> None:
    frames = np.full((5, 1, 48, 64), 3.0, np.float32)
    frames[..., 32:] = -2.0
    window = Window.whole(torch.from_numpy(frames), tuple(SHOT)[:5])
    assert np.allclose(operator(channels=1)(window).pixels.numpy(), frames[2:3], atol=1e-5)


def test_chunks_and_order_do_not_matter() -> None:
    """Remembered flow and mirrored ends included: any frame first gives the same bits."""
    noisy = add_grain(damage(scene("pan"), CLEAN)[0][:7], SIGMA, 4)
    whole, _ = rendered([operator()], noisy)
    shot = FrameRange(SHOT.start, SHOT.start + 7)
    for k in (4, 0, 6):
        fresh = ShotRenderer(
            "s0001", all_own(shot), lambda n: torch.from_numpy(noisy[n - SHOT.start]), [operator()]
        )
        assert np.array_equal(fresh.frame(SHOT.start + k).pixels.numpy(), whole[k])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("effort", "guide", "shown"),
    [
        (Effort(first_px=6, second_px=4), None, ()),
        (Effort(), Guide("grain-along"), (0, 1, 2, 0, 0)),
        (Effort(flow="none", coarse=False), Guide("grain-beside"), (0, 1, 2)),
    ],
)
def test_compiled_and_torch_agree(
    channels: int, effort: Effort, guide: Guide | None, shown: tuple[int, ...]
) -> None:
    """What runs on the CPU and what runs on other devices, on a frame of odd size."""
    noisy = add_grain(damage(scene("pan"), CLEAN)[0][:3, :channels, :101, :149], SIGMA, 4, 0.6)
    model = GrainModel(
        np.linspace(2.0, 0.2, 64).reshape(8, 8), np.full((8, 8), 0.4), np.eye(channels)
    )
    curve = GrainCurve((0.2, 0.6), ((0.01, 0.014),) * channels)
    bound = Filter(curve, model, effort, guide)
    frames = torch.from_numpy(np.ascontiguousarray(noisy))
    units = [bound.in_units(interleaved(f)) for f in frames]
    compiled = bound.on_cpu(frames[0], units, shown)
    plain = bound.on_device(frames[0], bound.in_units_on_device(frames), shown)
    difference = (compiled - plain).abs()
    assert float(difference.mean()) < 2e-6
    assert float(difference.quantile(0.999)) < 1e-4
    assert float((compiled - frames[0]).abs().mean()) > 1e-3


def test_a_curve_makes_grain_of_unit_strength() -> None:
    curve = GrainCurve((0.1, 0.5, 0.9), ((0.004, 0.012, 0.006),))
    tables = curve.tables()
    at = np.linspace(*RANGE, TABLE)
    slope = np.gradient(tables.forward[0].astype(np.float64), at)
    for level, sigma in ((0.1, 0.004), (0.3, 0.008), (0.5, 0.012), (0.9, 0.006)):
        assert slope[np.searchsorted(at, level)] * sigma == pytest.approx(1.0, rel=0.02)
    knots = np.linspace(float(tables.ends[0, 0]), float(tables.ends[0, 1]), TABLE)
    back = np.interp(np.interp([0.2, 0.7], at, tables.forward[0]), knots, tables.backward[0])
    assert back == pytest.approx([0.2, 0.7], abs=1e-4)


def test_flow_finds_motion_under_coarse_grain() -> None:
    """A blur leaves grain of its own size standing, and flow follows it."""
    noisy = add_grain(damage(scene("drift"), CLEAN)[0][:9], SIGMA, 4, 1.0)
    told = measured_operator(noisy)
    bound = Filter(told.curve, told.model, Effort(flow="fine"))
    pictures = [interleaved(torch.from_numpy(f)) for f in noisy[:2]]

    def error_px(steering: list[Steering]) -> float:
        found = chained_flows(dict(enumerate(steering)), 0, [1], FlowMemory("fine"))[1]
        x, y = found[24:-24, 24:-24].transpose(2, 0, 1)
        return float(np.sqrt(np.square(np.abs(x) - 1.37).mean() + np.square(y).mean()))

    filtered = error_px([bound.steering(bound.in_units(p)) for p in pictures])
    assert filtered < 0.25
    assert filtered < 0.93 * error_px([Steering(p) for p in pictures])


def test_flow_is_chained_through_the_nearer_frame() -> None:
    frames = [interleaved(torch.from_numpy(f)) for f in damage(scene("pan"), CLEAN)[0][:4]]
    steering = dict(enumerate(Steering(f) for f in frames))
    found = chained_flows(steering, 0, [1, 2, 3], FlowMemory())
    inner = (slice(30, -30), slice(30, -30), 0)
    moved = [abs(float(np.median(found[k][inner]))) for k in (1, 2, 3)]
    assert moved == pytest.approx([2.0, 4.0, 6.0], abs=0.2)
