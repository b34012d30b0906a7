"""Noise: grain goes down along the motion, detail and clean pictures stay."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from media.passes import Window
from restore.noise.apply import NoiseOperator
from tests.restore.conftest import CLEAN, F32, SHOT, damage, rendered, scene
from tests.strategies import add_grain, psnr_db

SIGMA = 0.012


def cleaned(frames: F32, grain_kept: float = 0.0, sigma: float = SIGMA) -> F32:
    """The middle of the shot, without the frames at its ends."""
    operator = NoiseOperator(sigma=(sigma,) * 3, strength=1.0, grain_kept=grain_kept)
    window = Window.whole(torch.from_numpy(frames), tuple(SHOT)[: len(frames)])
    done: F32 = operator(window).pixels.numpy()
    return done


@pytest.mark.parametrize(
    ("kind", "gain_db"), [("still", 5.0), ("pan", 5.0), ("drift", 4.0), ("foreground", 3.0)]
)
@pytest.mark.parametrize("size_px", [0.0, 0.6])
def test_grain_goes_down(kind: str, gain_db: float, size_px: float) -> None:
    clean = damage(scene(kind), CLEAN)[0][:12]
    noisy = add_grain(clean, SIGMA, 4, size_px)
    inner = slice(3, -3)
    gained = psnr_db(cleaned(noisy), clean[inner]) - psnr_db(noisy[inner], clean[inner])
    assert gained >= gain_db


def test_ends_of_the_shot_gain_too() -> None:
    clean = damage(scene("drift"), CLEAN)[0][:9]
    noisy = add_grain(clean, SIGMA, 4)
    operator = NoiseOperator(sigma=(SIGMA,) * 3, strength=1.0, grain_kept=0.0)
    fixed, _ = rendered([operator], noisy)
    for k in (0, -1):
        assert psnr_db(fixed[k], clean[k]) >= psnr_db(noisy[k], clean[k]) + 3.0


def test_all_grain_kept_gives_the_frame_back() -> None:
    noisy = add_grain(damage(scene("pan"), CLEAN)[0][:8], SIGMA, 4)
    assert float(np.abs(cleaned(noisy, grain_kept=1.0) - noisy[3:-3]).max()) < 1e-6


def test_part_of_the_grain_is_given_back() -> None:
    clean = damage(scene("still"), CLEAN)[0][:8]
    noisy = add_grain(clean, SIGMA, 4)
    none, half = cleaned(noisy), cleaned(noisy, grain_kept=0.5)
    assert np.allclose(half, 0.5 * (none + noisy[3:-3]), atol=1e-6)


@pytest.mark.parametrize("kind", ["still", "drift", "foreground"])
def test_a_nearly_clean_picture_is_not_hurt(kind: str) -> None:
    clean = damage(scene(kind), CLEAN)[0][:9]
    quiet = add_grain(clean, 0.001, 4)
    assert psnr_db(cleaned(quiet, sigma=0.001), quiet[3:-3]) >= 50.0


def test_detail_is_not_smeared() -> None:
    """What is taken out looks like grain, not like the scene."""
    clean = damage(scene("drift"), CLEAN)[0][:9]
    noisy = add_grain(clean, SIGMA, 4)
    taken = (noisy[3:-3] - cleaned(noisy))[:, 1].astype(np.float64)
    edges = np.gradient(clean[3:-3, 1].astype(np.float64), axis=2)
    related = np.corrcoef(taken.ravel(), edges.ravel())[0, 1]
    assert abs(float(related)) < 0.1
    assert float(taken.std()) < 1.2 * SIGMA


def test_no_measured_grain_leaves_the_frame_alone() -> None:
    noisy = add_grain(damage(scene("pan"), CLEAN)[0][:8], SIGMA, 4)
    assert np.array_equal(cleaned(noisy, sigma=0.0), noisy[3:-3])
