"""Patches that are alike: what the finest way of taking grain down adds to the filter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from media.frames import FrameRange
from media.pictures import Pictures, all_own
from restore.grain.measure import GrainProbe, dct_spectrum
from restore.grain_curve import GrainCurve
from restore.noise.alike import bettered, through, whitening
from restore.noise.alike_torch import bettered_on_device, through_on_device
from restore.noise.apply import NoiseOperator
from restore.noise.efforts import EFFORTS
from restore.noise.transform import Effort, GrainModel
from tests.restore.conftest import CLEAN, F32, SHOT, damage, observed, rendered, scene
from tests.strategies import add_grain, psnr_db
from wetgate.chain import noise_operator
from wetgate.decisions import NoiseDecision
from wetgate.executor import ShotRenderer
from wetgate.stages.propose import measured_noise

SIGMA = 0.012
FINEST = EFFORTS["finest"]


def operator(effort: Effort = FINEST, channels: int = 3, sigma: float = SIGMA) -> NoiseOperator:
    """For white grain, alike in the channels and at all levels."""
    curve = GrainCurve.flat((sigma,) * channels)
    return NoiseOperator(curve, GrainModel.white(channels), 1.0, 0.0, effort)


def facade(frames: int, channels: int = 3) -> F32:
    """Rows of windows, each frame moved by more than the flow follows: only places alike help."""
    rng = np.random.default_rng(2)
    pane = rng.uniform(0.25, 0.65, (5, 6)).astype(np.float32)
    wall = np.tile(pane, (30, 50))[:130, :250]
    shown = [np.roll(wall, (47 * k, 61 * k), (0, 1))[:96, :144] for k in range(frames)]
    return np.repeat(np.stack(shown)[:, None], channels, axis=1)


def gain_db(clean: F32, noisy: F32, effort: Effort) -> float:
    fixed, _ = rendered([operator(effort, clean.shape[1])], noisy)
    return psnr_db(fixed, clean) - psnr_db(noisy, clean)


@pytest.mark.parametrize("channels", [1, 3])
def test_places_that_are_alike_help_where_motion_is_lost(channels: int) -> None:
    clean = facade(5, channels)
    noisy = add_grain(clean, 0.05, 4)
    curve = GrainCurve.flat((0.05,) * channels)
    found = []
    for effort in (EFFORTS["fine"], FINEST):
        repair = NoiseOperator(curve, GrainModel.white(channels), 1.0, 0.0, effort)
        found.append(psnr_db(rendered([repair], noisy)[0], clean))
    assert found[1] > found[0] + 1.0


@pytest.mark.parametrize("kind", ["still", "pan", "foreground"])
@pytest.mark.parametrize("size_px", [0.0, 0.8])
def test_is_never_worse_than_the_filter_by_much(kind: str, size_px: float) -> None:
    clean = damage(scene(kind), CLEAN)[0][:9]
    noisy = add_grain(clean, SIGMA, 4, size_px)
    said = measured_noise(observed(GrainProbe(), noisy))
    found = []
    for effort in ("fine", "finest"):
        decision = NoiseDecision(applied=True, guide="blocks", effort=effort, **said)
        found.append(psnr_db(rendered([noise_operator(decision, 0.0)], noisy)[0], clean))
    assert found[1] > found[0] - 0.1


@pytest.mark.parametrize("frames", [1, 2])
def test_a_short_shot_gains_too(frames: int) -> None:
    clean = damage(scene("drift"), CLEAN)[0][:frames]
    assert gain_db(clean, add_grain(clean, SIGMA, 4), FINEST) >= 4.0


@pytest.mark.parametrize("size", [(3, 40), (4, 4), (5, 9), (33, 6)])
def test_small_pictures_come_out_whole(size: tuple[int, int]) -> None:
    clean = np.full((3, 3, *size), 0.4, np.float32)
    noisy = add_grain(clean, SIGMA, 4)
    fixed, _ = rendered([operator()], noisy)
    assert np.isfinite(fixed).all()
    assert psnr_db(fixed, clean) > psnr_db(noisy, clean) + 1.0


def test_a_nearly_clean_picture_is_not_hurt() -> None:
    clean = damage(scene("foreground"), CLEAN)[0][:5]
    fixed, _ = rendered([operator(sigma=0.001)], clean)
    assert psnr_db(fixed, clean) > 55.0


def test_any_frame_first_gives_the_same_bits() -> None:
    """What is kept beside frames, mirrored ends and frames that repeat one included."""
    noisy = add_grain(damage(scene("pan"), CLEAN)[0][:12, :, :72, :96], SIGMA, 4)
    noisy[7] = noisy[6]
    start = SHOT.start
    shot = FrameRange(start, start + 12)
    own = tuple(n for n in shot if n != start + 7)

    def renderer() -> ShotRenderer:
        return ShotRenderer(
            "s0001",
            Pictures(shot, own),
            lambda n: torch.from_numpy(noisy[n - start]),
            [operator(replace(FINEST, alike=2))],
        )

    through_all = renderer()
    whole = [through_all.frame(n).pixels for n in shot]
    for n in (start + 8, start, start + 7, start + 11):
        assert torch.equal(renderer().frame(n).pixels, whole[n - start])
    backwards = renderer()
    for n in sorted(shot, reverse=True):
        assert torch.equal(backwards.frame(n).pixels, whole[n - start])
    assert torch.equal(whole[6], whole[7])


def test_compiled_and_torch_agree() -> None:
    """What runs on the CPU and what runs on other devices, on frames of odd size."""
    rng = np.random.default_rng(1)
    basic = [rng.normal(size=(2, 75, 101)).astype(np.float32).cumsum(axis=2) for _ in range(3)]
    noisy = [b + rng.normal(size=b.shape).astype(np.float32) for b in basic]
    flows = [rng.normal(size=(75, 101, 2)).astype(np.float32) * 5 for _ in range(2)]
    compiled = bettered(noisy, basic, flows)
    seen, filtered = ([torch.from_numpy(v) for v in frames] for frames in (noisy, basic))
    plain = bettered_on_device(seen, filtered, flows).numpy()
    assert np.abs(compiled - basic[0]).mean() > 0.1
    assert np.abs(compiled - plain).max() < 1e-3
    kernel, _ = whitening(np.linspace(3.0, 0.2, 64).reshape(8, 8))
    beside = through_on_device(kernel, torch.from_numpy(basic[0])).numpy()
    assert np.allclose(through(kernel, basic[0]), beside, atol=1e-4)


def test_grain_of_a_known_spectrum_becomes_white_and_itself_again() -> None:
    rng = np.random.default_rng(6)
    white = rng.standard_normal((1, 512, 512)).astype(np.float32)
    grain = add_grain(np.zeros((1, 1, 512, 512), np.float32), 1.0, 4, 0.7)[0]
    cells = grain[0].reshape(64, 8, 64, 8).transpose(0, 2, 1, 3).reshape(-1, 8, 8)
    spectrum = dct_spectrum(cells.astype(np.float64))
    kernel, back = whitening(spectrum / spectrum.mean())
    made = through(kernel, grain)[0, 16:-16, 16:-16]
    beside = float(np.corrcoef(made[:, 1:].ravel(), made[:, :-1].ravel())[0, 1])
    before = float(np.corrcoef(grain[0][:, 1:].ravel(), grain[0][:, :-1].ravel())[0, 1])
    assert before > 0.5
    assert abs(beside) < 0.12
    again = through(back, through(kernel, white))[0, 16:-16, 16:-16]
    assert np.abs(again - white[0, 16:-16, 16:-16]).std() < 0.1


def test_its_key_names_the_step() -> None:
    """No chunk made without it is taken for one made with it."""
    frames = all_own(SHOT).around(SHOT.start, operator().radius)
    assert operator().key(frames) != operator(EFFORTS["fine"]).key(frames)
    assert operator().radius == EFFORTS["fine"].radius + FINEST.alike
