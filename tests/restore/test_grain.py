"""Grain: its strength measured through motion, texture and other damage."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from media.encoding import light_to_log, log_to_light
from restore.grain.measure import GrainProbe
from tests.restore.conftest import CLEAN, damage, observed, scene
from tests.strategies import add_grain, pan


@pytest.mark.parametrize("kind", ["still", "pan", "drift", "foreground"])
@pytest.mark.parametrize("size_px", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("sigma", [0.006, 0.012])
def test_sigma_is_found(kind: str, size_px: float, sigma: float) -> None:
    frames, _ = damage(scene(kind), CLEAN)
    evidence = observed(GrainProbe(), add_grain(frames[:10], sigma, 5, size_px))
    assert evidence["sigma"] == pytest.approx([sigma] * 3, rel=0.1)
    luma = sigma * np.sqrt(0.2126**2 + 0.7152**2 + 0.0722**2)
    assert evidence["sigma_luma"] == pytest.approx(luma, rel=0.1)
    assert evidence["frames_used"] == 10


def test_curve_and_spectrum_are_found() -> None:
    """Grain that grows with level, alike in the channels to a half, blurred by 0.8 px."""
    frames, _ = damage(scene("drift"), CLEAN)
    clean = frames[:10]
    rng = np.random.default_rng(9)
    common = rng.normal(size=(*clean.shape[:1], 1, *clean.shape[2:]))
    white = np.sqrt(0.5) * (rng.normal(size=clean.shape) + common)
    soft = np.stack([cv2.GaussianBlur(p, (0, 0), 0.8) for p in white.reshape(-1, *clean.shape[2:])])
    strength = 0.004 + 0.016 * clean
    noisy = clean + strength * (soft / soft.std()).reshape(clean.shape)
    evidence = observed(GrainProbe(), noisy.astype(np.float32))
    levels, found = np.array(evidence["levels"]), np.array(evidence["level_sigma"])
    for c in range(3):
        seen = (levels > np.quantile(clean[:, c], 0.2)) & (levels < np.quantile(clean[:, c], 0.8))
        assert found[c][seen] == pytest.approx(0.004 + 0.016 * levels[seen], rel=0.15)
    together = np.array(evidence["channel_correlation"])
    assert together[np.triu_indices(3, 1)] == pytest.approx([0.5] * 3, abs=0.06)
    spectrum = np.array(evidence["spectrum"])
    assert spectrum.mean() == pytest.approx(1.0, abs=0.01)
    assert spectrum[1, 1] > 3.0
    assert spectrum[7, 7] < 0.05
    assert np.array(evidence["coarse_spectrum"]).mean() > 0.5


def test_other_damage_does_not_count_as_grain() -> None:
    frames, _ = damage(
        scene("pan"),
        replace(CLEAN, flicker_stops=0.1, weave_px=(1.0, 0.7), dirt_per_frame=4.0),
    )
    evidence = observed(GrainProbe(), add_grain(frames, 0.01, 5))
    assert evidence["sigma"] == pytest.approx([0.01] * 3, rel=0.25)


def test_correlation_tells_white_from_grain() -> None:
    frames, _ = damage(scene("still"), CLEAN)
    white = observed(GrainProbe(), add_grain(frames[:8], 0.01, 5))
    soft = observed(GrainProbe(), add_grain(frames[:8], 0.01, 5, size_px=1.0))
    assert abs(white["correlation"]) < 0.08
    assert soft["correlation"] > 0.5


def test_strength_by_band_follows_the_picture() -> None:
    frames, _ = damage(scene("still", 4), replace(CLEAN, grain_sigma=0.015, grain_size_px=0.0))
    evidence = observed(GrainProbe(), frames[:12])
    bands = np.array(evidence["band_sigma"])
    assert bands.shape == (5,)
    assert len(evidence["band_edges"]) == 6
    seen = bands[bands > 0]
    assert len(seen) >= 2
    assert 0.004 < float(seen.max()) < 0.015


def test_a_clean_picture_has_next_to_none() -> None:
    frames, _ = damage(scene("drift"), CLEAN)
    assert max(observed(GrainProbe(), frames[:8])["sigma"]) < 0.004


def test_nothing_to_measure() -> None:
    frames, _ = damage(scene("still"), CLEAN)
    one = observed(GrainProbe(), frames[:1])
    assert (one["frames_used"], one["sigma_luma"]) == (0, 0.0)
    clipped = observed(GrainProbe(), np.ones_like(frames[:4]))
    assert clipped["frames_used"] == 0


def drawn(frames: int = 8) -> np.ndarray:
    """(T, 3, 96, 128) flat ground and a square that moves: no two frames alike, no grain at all."""
    shown = np.full((frames, 3, 96, 128), 0.4, np.float32)
    shown[..., 64:] = 0.55
    for k in range(frames):
        shown[k, :, 20:40, 10 + 6 * k : 30 + 6 * k] = 0.7
    return shown


def test_a_drawing_has_none_to_the_last_bit() -> None:
    evidence = observed(GrainProbe(), drawn())
    assert evidence["sigma"] == [0.0, 0.0, 0.0]
    assert evidence["frames_used"] == 8
    for name in ("spectrum", "coarse_spectrum", "autocorrelation", "channel_correlation"):
        assert np.isfinite(evidence[name]).all(), name


def test_grain_in_one_channel_alone() -> None:
    shown = drawn()
    shown[:, 2] = add_grain(shown[:, 2], 0.02, 5)
    evidence = observed(GrainProbe(), shown)
    assert evidence["sigma"] == pytest.approx([0.0, 0.0, 0.02], abs=0.001)
    together = np.array(evidence["channel_correlation"])
    assert together[2, :2] == pytest.approx([0.0, 0.0], abs=0.05)


@pytest.mark.parametrize("size_px", [0.6, 1.0])
def test_grain_that_grows_with_exposure_is_found_in_the_bright_too(size_px: float) -> None:
    """Strong grain makes a flat place rough: it is flat all the same."""
    ramp = np.linspace(0.15, 0.7, 384, dtype=np.float32)
    clean = np.broadcast_to(ramp, (8, 3, 256, 384))
    strength = 0.002 + 0.03 * clean
    noisy = clean + strength * add_grain(np.zeros_like(clean), 1.0, 3, size_px)
    evidence = observed(GrainProbe(), noisy.astype(np.float32))
    levels, found = np.array(evidence["levels"]), np.array(evidence["level_sigma"])
    for curve in found:
        assert curve == pytest.approx(0.002 + 0.03 * levels, rel=0.15)


def test_noise_of_a_sensor_is_not_taken_to_be_as_strong_in_the_bright() -> None:
    """Even in light it falls with exposure in film log. Levels seen in texture only have at most
    what is seen there."""
    light = 4.0 * log_to_light(torch.from_numpy(pan(3, 8, 256, 384, 0.7)))
    noise = torch.from_numpy(add_grain(np.zeros(light.shape, np.float32), 0.03, 4))
    evidence = observed(GrainProbe(), light_to_log(light + noise).numpy())
    levels, found = np.array(evidence["levels"]), np.array(evidence["level_sigma"])
    wanted = 0.03 / 10 ** ((1023 * levels - 685) / 300) * 300 / (np.log(10) * 1023)
    for curve in found:
        assert (curve[5:] < 1.5 * wanted[5:]).all()
        assert (curve[5:] > 0.6 * wanted[5:]).all()


@pytest.mark.parametrize("step_px", [(0.0, 0.0), (0.5, 0.3), (1.3, 0.0), (2.5, 1.5)])
@pytest.mark.parametrize("size_px", [0.0, 0.6, 1.0])
def test_weak_grain_is_told_from_fine_texture(step_px: tuple[float, float], size_px: float) -> None:
    """Texture a pixel fine, eight times as strong, all over the frame: whole pixels cannot."""
    rng = np.random.default_rng(7)
    wide = cv2.GaussianBlur(rng.normal(size=(220, 360)).astype(np.float32), (0, 0), 1.0)
    wide *= 0.06 / wide.std()
    moves = [np.array([[1, 0, 4 + k * step_px[0]], [0, 1, 4 + k * step_px[1]]]) for k in range(8)]
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    clean = np.stack([cv2.warpAffine(wide, m, (320, 180), flags=flags) for m in moves])
    clean = np.repeat(0.5 + clean[:, None], 3, axis=1)
    evidence = observed(GrainProbe(), add_grain(clean, 2.0 / 255.0, 5, size_px))
    assert evidence["sigma"] == pytest.approx([2.0 / 255.0] * 3, rel=0.12)


def test_a_drawing_that_moves_by_whole_pixels_has_none() -> None:
    """Flow is off by parts of a pixel; that is not grain."""
    rng = np.random.default_rng(7)
    wide = np.kron(rng.integers(200, 800, (30, 48)), np.ones((8, 8))).astype(np.float32) / 1023.0
    frames = np.stack([wide[4:184, 4 + k : 324 + k] for k in range(6)])[:, None]
    evidence = observed(GrainProbe(), np.repeat(frames, 3, axis=1))
    assert max(evidence["sigma"]) < 1e-4
