"""Enlargement from several frames: more than one frame has, and never what it does not show."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from media.frames import FrameRange
from media.passes import Effect, Operator, Window
from media.pictures import all_own
from restore.geometry import Placement, placed
from restore.upscale import bounds, frames, fused, resample, sampling
from restore.upscale.frames import FramesUpscale
from restore.upscale.fused import fetched, fetched_by_torch
from restore.upscale.kernels import Kernel, enlarging_taps
from restore.upscale.measure import SteadinessProbe, UpscaleProbe, change_along_motion
from restore.upscale.placed import PlacedUpscale
from restore.upscale.resample import ResampleUpscale
from restore.upscale.sampling import reduce
from restore.upscale.solve import solve_upscale
from tests.restore.conftest import SHOT, observed, rendered
from tests.strategies import add_grain, pan, psnr_db, texture
from tests.tolerances import CUDA_PARITY
from wetgate.executor import ShotRenderer

LARGE = torch.from_numpy(pan(3, 7, 192, 256, 1.37))
"""(7, 3, 192, 256): the camera moves by 0.685 px of a scan at half the size."""
INNER = np.s_[2:-2, :, 12:-12, 12:-12]


def scanned(kernel: str = "area", scale: int = 2) -> Tensor:
    """What a scanner of a fraction of the resolution makes of it."""
    return reduce(LARGE, scale, "area" if kernel == "area" else "bicubic")


def enlarged_shot(operator: Operator, small: Tensor) -> np.ndarray[tuple[int, ...], np.dtype]:
    """Through the executor, ends of the shot included."""
    return rendered([operator], small.numpy())[0]


@pytest.mark.parametrize("kernel", ["area", "bicubic"])
def test_several_frames_show_more_than_one(kernel: str) -> None:
    small, truth = scanned(kernel), LARGE.numpy()
    several = enlarged_shot(FramesUpscale(2), small)
    single = enlarged_shot(ResampleUpscale(2), small)
    gained = psnr_db(several[INNER], truth[INNER]) - psnr_db(single[INNER], truth[INNER])
    assert gained >= 0.5
    moved = [change_along_motion(torch.from_numpy(v), LARGE) for v in (several, single)]
    assert moved[0] <= 0.9 * moved[1]


def test_ends_of_the_shot_are_no_worse_than_single_frames() -> None:
    small, truth = scanned(), LARGE.numpy()
    several = enlarged_shot(FramesUpscale(2), small)
    single = enlarged_shot(ResampleUpscale(2), small)
    for k in (0, -1):
        assert psnr_db(several[k], truth[k]) >= psnr_db(single[k], truth[k])


def test_four_times_gains_too() -> None:
    small, truth = scanned(scale=4), LARGE.numpy()
    several = enlarged_shot(FramesUpscale(4), small)
    single = enlarged_shot(ResampleUpscale(4), small)
    assert psnr_db(several[INNER], truth[INNER]) > psnr_db(single[INNER], truth[INNER])


def test_neighbours_that_show_something_else_have_no_say() -> None:
    """A frame among others of another scene comes out as it does alone, and is not borrowed."""
    strangers = [torch.from_numpy(texture(20 + k, 96, 128)) for k in range(5)]
    window = Window.whole(torch.stack(strangers), tuple(range(5)))
    several = FramesUpscale(2)(window)
    single = ResampleUpscale(2)(window.middle(2))
    assert psnr_db(several.pixels.numpy(), single.pixels.numpy()) >= 40.0
    assert float((several.touch == int(Effect.BORROWED)).float().mean()) < 0.25


def test_marks_say_what_neighbours_gave() -> None:
    still = scanned()[:1].expand(5, -1, -1, -1).contiguous()
    touch = FramesUpscale(2)(Window.whole(still, tuple(range(5)))).touch
    assert float((touch == int(Effect.BORROWED)).float().mean()) > 0.95
    alone = FramesUpscale(2)(Window.whole(still, (1, 1, 1, 1, 1))).touch
    assert bool((alone == int(Effect.ADJUSTED)).all())


@pytest.mark.parametrize("scale", [2, 4])
def test_color_and_brightness_stay_those_of_the_frame(scale: int) -> None:
    """Neighbours of another exposure do not pull the frame along."""
    small = scanned(scale=4)
    stops = torch.tensor([0.02, -0.01, 0.0, 0.015, -0.02]).view(-1, 1, 1, 1)
    window = Window.whole(small[:5] + stops, tuple(range(5)))
    done = FramesUpscale(scale, kernel="area")(window).pixels
    gap = reduce(done, scale) - window.pixels[2:3]
    assert float(gap.mean(dim=(-2, -1)).abs().max()) < 2e-4
    assert float(F.avg_pool2d(gap, 8).abs().max()) < 2e-3


def test_nothing_overshoots_the_range_of_the_scan() -> None:
    step = torch.full((5, 3, 40, 60), 0.2)
    for k in range(5):
        step[k, ..., 30 + k % 2 :] = 0.8
    done = FramesUpscale(2, ringing=0.02)(Window.whole(step, tuple(range(5)))).pixels
    assert float(done.max()) <= 0.82 + 1e-5
    assert float(done.min()) >= 0.18 - 1e-5


def test_grain_stays_the_grain_of_the_frame() -> None:
    """Several frames are not a denoiser: at the scan's size the grain is what it was."""
    noisy = torch.from_numpy(add_grain(scanned().numpy(), 0.012, 4, 0.6))
    done = torch.from_numpy(enlarged_shot(FramesUpscale(2, kernel="area"), noisy))
    gap = (reduce(done, 2) - noisy)[2:-2]
    assert float(gap.std()) < 0.25 * 0.012
    truth = LARGE.numpy()
    single = enlarged_shot(ResampleUpscale(2, kernel="area"), noisy)
    assert psnr_db(done.numpy()[INNER], truth[INNER]) > psnr_db(single[INNER], truth[INNER])


def test_order_and_chunks_do_not_matter() -> None:
    small = scanned().numpy()
    whole = enlarged_shot(FramesUpscale(2), torch.from_numpy(small))
    shot = FrameRange(SHOT.start, SHOT.start + len(small))
    for k in (4, 0, 6):
        fresh = ShotRenderer(
            "s0001",
            all_own(shot),
            lambda n: torch.from_numpy(small[n - SHOT.start]),
            [FramesUpscale(2)],
        )
        assert np.array_equal(fresh.frame(SHOT.start + k).pixels.numpy(), whole[k])


def test_weave_is_carried_out_in_the_same_resample() -> None:
    """Frames that lay off by parts of a pixel come to their place, with what neighbours add."""
    rng = np.random.default_rng(2)
    offsets = rng.normal(0.0, 0.6, (7, 2))
    size = (LARGE.shape[-2], LARGE.shape[-1])
    woven = torch.stack(
        [
            placed(p, Placement(2 * float(dx), 2 * float(dy)), (0, 0), size)
            for p, (dx, dy) in zip(LARGE, offsets, strict=True)
        ]
    )
    small = reduce(woven, 2)
    places = {
        SHOT.start + k: Placement(-float(dx), -float(dy)) for k, (dx, dy) in enumerate(offsets)
    }
    truth = LARGE.numpy()
    several = enlarged_shot(FramesUpscale(2, places, kernel="area"), small)
    single = enlarged_shot(PlacedUpscale(2, places, kernel="area"), small)
    gained = psnr_db(several[INNER], truth[INNER]) - psnr_db(single[INNER], truth[INNER])
    assert gained >= 0.4


def test_fetching_agrees_with_torch() -> None:
    picture = LARGE[0]
    grid = np.stack(np.meshgrid(np.arange(200), np.arange(150)), axis=-1).astype(np.float32)
    places = grid + np.float32(0.34375)
    assert float((fetched(picture, places) - fetched_by_torch(picture, places)).abs().max()) < 1e-5
    one, other = (f(picture, places + 0.01, smooth=False) for f in (fetched, fetched_by_torch))
    assert float((one - other).abs().max()) < 2e-3


def test_the_way_of_other_devices_comes_to_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs where there is no compiled code, step by step in torch, on this device."""
    window = Window.whole(scanned()[:5], tuple(range(5)))
    compiled = FramesUpscale(2)(window)

    def enlarge(pixels: Tensor, scale: int) -> Tensor:
        taps, first = enlarging_taps(scale)
        for dim in (-1, -2):
            pixels = sampling.enlarge_axis(pixels, taps.tolist(), first.tolist(), dim)
        return pixels

    def torch_reduce(pixels: Tensor, scale: int, kernel: Kernel = "area") -> Tensor:
        return sampling.reduce_by_torch(pixels, scale, kernel)

    for module in (frames, fused, resample):
        monkeypatch.setattr(module, "enlarge", enlarge)
        monkeypatch.setattr(module, "reduce", torch_reduce)
    monkeypatch.setattr(resample, "along_edges", sampling.along_edges_by_torch)
    monkeypatch.setattr(frames, "bounded", bounds.bounded_by_torch)
    monkeypatch.setattr(fused, "fetched", fetched_by_torch)
    plain = FramesUpscale(2)(window)
    assert float((plain.pixels - compiled.pixels).abs().max()) < CUDA_PARITY["upscale"]
    assert torch.equal(plain.touch, compiled.touch)


def test_the_probe_sees_what_several_frames_give() -> None:
    evidence = observed(UpscaleProbe(), LARGE.numpy())
    assert evidence["runs"] == 1
    assert evidence["gain_db"] > 0.15
    assert evidence["steadiness"] < 1.0
    assert solve_upscale(evidence).share == 1.0
    steady = observed(SteadinessProbe(), LARGE.numpy())
    assert steady["pairs"] == 6
    assert steady["unsteady"] < 0.02


def test_strangers_and_short_shots_are_enlarged_from_single_frames() -> None:
    strangers = np.stack([texture(20 + k, 128, 160) for k in range(6)])
    evidence = observed(UpscaleProbe(), strangers)
    assert solve_upscale(evidence).share < 0.5
    assert "dB" in solve_upscale(evidence).reason
    short = observed(UpscaleProbe(), LARGE.numpy()[:5])
    assert short == {"runs": 0}
    assert solve_upscale(short).share == 0.0
    assert solve_upscale({"runs": 1, "gain_db": 0.3, "steadiness": 1.1}).share == 0.0
    assert solve_upscale({"runs": 1, "gain_db": 0.06, "steadiness": 1.0}).share == 0.4
