"""Enlargement: the scan comes back when the result is reduced, and nothing rings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from media.passes import Effect, Window
from restore.border import BLACK
from restore.geometry import Placement, placed
from restore.models.basicsr_bridge import srvgg
from restore.models.card import ModelCard
from restore.upscale import bounds, sampling
from restore.upscale.kernels import Kernel, enlarging_taps
from restore.upscale.network import NetworkUpscale
from restore.upscale.placed import PlacedUpscale
from restore.upscale.resample import ResampleUpscale
from restore.upscale.sampling import enlarge, reduce
from restore.weave.apply import WeaveOperator
from tests.strategies import add_grain, psnr_db, texture


def window(height_px: int = 90, width_px: int = 120, channels: int = 3) -> Window:
    frames = texture(4, height_px, width_px)[None, :channels]
    return Window.whole(torch.from_numpy(frames.copy()), (1,))


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("channels", [1, 3])
def test_reducing_gives_the_scan_back(scale: int, channels: int) -> None:
    source = window(channels=channels)
    done = ResampleUpscale(scale, kernel="area")(source)
    assert float((reduce(done.pixels, scale) - source.pixels).abs().max()) <= 1e-3


@pytest.mark.parametrize("kernel", ["mixed", "bicubic"])
def test_reducing_by_overlapping_pixels_gives_the_scan_back_nearly(kernel: Kernel) -> None:
    """Exactly it may not: the bound on ringing stands above it."""
    source = window()
    done = ResampleUpscale(2, kernel=kernel)(source)
    gap = reduce(done.pixels, 2, kernel) - source.pixels
    assert float(gap.square().mean().sqrt()) <= 1e-3
    areas = torch.nn.functional.avg_pool2d(gap, 10)
    assert float(areas.abs().max()) <= 1e-3


@pytest.mark.parametrize("kernel", ["area", "bicubic"])
def test_the_true_kernel_comes_closest_and_the_mixed_one_near(kernel: Kernel) -> None:
    original = texture(6, 160, 240)[None]
    small = Window.whole(reduce(torch.from_numpy(original), 2, kernel), (1,))
    kernels: tuple[Kernel, ...] = ("area", "bicubic", "mixed")
    found = {
        k: psnr_db(ResampleUpscale(2, kernel=k)(small).pixels.numpy(), original) for k in kernels
    }
    wrong: Kernel = "bicubic" if kernel == "area" else "area"
    assert found[kernel] >= found[wrong]
    assert found["mixed"] >= 0.5 * (found[kernel] + found[wrong]) - 0.05


def test_compiled_and_torch_agree() -> None:
    """What runs on the CPU and what runs on other devices, on a frame of odd size."""
    source = torch.from_numpy(texture(4, 61, 83)[None].copy())
    meta = {"enlarge": enlarge(source, 4), "reduce": reduce(enlarge(source, 4), 4, "mixed")}
    taps, first = enlarging_taps(4)
    plain = source
    for dim in (-1, -2):
        plain = sampling.enlarge_axis(plain, taps.tolist(), first.tolist(), dim)
    assert float((plain - meta["enlarge"]).abs().max()) < 1e-6
    small = sampling.reduce_by_torch(plain, 4, "mixed")
    assert float((small - meta["reduce"]).abs().max()) < 1e-6
    edges = sampling.along_edges_by_torch(plain, 0.25)
    assert float((edges - sampling.along_edges(plain, 0.25)).abs().max()) < 1e-5
    low, high = bounds.extremes(source, 0.01)
    assert torch.equal(low, -torch.nn.functional.max_pool2d(-source, 3, 1, 1) - 0.01)
    held = bounds.bounded_by_torch(plain, low, high, 4)
    assert float((held - bounds.bounded(plain, low, high, 4)).abs().max()) < 1e-5


@pytest.mark.parametrize("scale", [2, 4])
def test_no_overshoot_beyond_the_ringing_allowed(scale: int) -> None:
    step = torch.full((1, 3, 40, 60), 0.2)
    step[..., 30:] = 0.8
    done = ResampleUpscale(scale, ringing=0.02)(Window.whole(step, (1,))).pixels
    assert float(done.max()) <= 0.8 + 0.02 + 1e-6
    assert float(done.min()) >= 0.2 - 0.02 - 1e-6


def test_a_flat_picture_stays_flat() -> None:
    flat = torch.full((1, 3, 20, 30), 0.37)
    assert float((ResampleUpscale(4)(Window.whole(flat, (1,))).pixels - 0.37).abs().max()) < 1e-6


@pytest.mark.parametrize("scale", [2, 4])
def test_closer_to_the_original_than_plain_lanczos(scale: int) -> None:
    original = texture(6, 160, 240)[None]
    small = reduce(torch.from_numpy(original), scale)
    plain = psnr_db(enlarge(small, scale).numpy(), original)
    done = ResampleUpscale(scale)(Window.whole(small, (1,)))
    assert psnr_db(done.pixels.numpy(), original) >= plain + 0.3


def test_the_picture_is_not_shifted() -> None:
    rows = np.linspace(0.2, 0.6, 24, dtype=np.float32)
    ramp = torch.from_numpy(np.tile(rows, (16, 1))[None, None])
    done = ResampleUpscale(2)(Window.whole(ramp, (1,))).pixels[0, 0, 16]
    inner = done[8:-8].double()
    step = float(rows[1] - rows[0])
    expected = float(rows[0]) + (torch.arange(8, 40).double() + 0.5) * step / 2 - step / 2
    assert float((inner - expected).abs().max()) < 0.05 * step


def test_marks_and_size_grow_with_the_picture() -> None:
    source = window(20, 30)
    source.touch[0, 0, 3, 4] = int(Effect.BORROWED)
    done = ResampleUpscale(2)(source)
    assert done.size_px == (40, 60)
    assert int(done.touch.min()) == int(Effect.ADJUSTED)
    assert int((done.touch == int(Effect.BORROWED)).sum()) == 4


def network(scale: int, seed: int = 2) -> NetworkUpscale:
    torch.manual_seed(seed)
    module = srvgg(8, 2, scale)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.05)
    card = ModelCard(
        path=Path("seeded.pth"),
        sha256="0" * 64,
        licence="MIT",
        arch="srvgg",
        scale=scale,
        trained_on="nothing",
        settings=(("features", 8), ("layers", 2)),
    )
    return NetworkUpscale(module, card)


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_network_keeps_the_color_of_the_scan(scale: int, channels: int) -> None:
    """Whatever the network paints, large areas keep the level they have in the scan."""
    source = window(96, 128, channels)
    done = network(scale)(source)
    assert done.pixels.shape[1] == channels
    assert int(done.touch.min()) == int(Effect.INVENTED)
    shift = (reduce(done.pixels, scale) - source.pixels).mean(dim=(-2, -1))
    assert float(shift.abs().max()) < 1e-3
    areas = torch.nn.functional.avg_pool2d(reduce(done.pixels, scale) - source.pixels, 16)
    assert float(areas.abs().max()) < 0.01


def test_noise_is_not_lifted() -> None:
    noisy = add_grain(np.full((1, 3, 60, 80), 0.4, np.float32), 0.01, 3)
    done = ResampleUpscale(2)(Window.whole(torch.from_numpy(noisy), (1,))).pixels
    assert float(done.std()) < 1.2 * float(noisy.std())


def test_moved_and_enlarged_in_one_resample_is_closer_than_in_two() -> None:
    """A fine picture that lay 0.37 and -0.42 px off when it was scanned at half its size."""
    original = torch.from_numpy(texture(6, 320, 480)[None])
    place = Placement(-0.37, 0.42)
    scanned = reduce(placed(original[0], Placement(0.74, -0.84), (0, 0), (320, 480))[None], 2)
    together = PlacedUpscale(2, {1: place})(Window.whole(scanned, (1,)))
    moved = WeaveOperator({1: (place.dx_px, place.dy_px)})(Window.whole(scanned, (1,)))
    apart = ResampleUpscale(2)(moved)
    inner = np.s_[..., 16:-16, 16:-16]
    truth = original[inner].numpy()
    one = psnr_db(together.pixels[inner].numpy(), truth)
    assert one > psnr_db(apart.pixels[inner].numpy(), truth) + 0.1
    assert together.size_px == (320, 480)


def test_placed_without_a_move_is_an_enlargement_like_the_other() -> None:
    source = window()
    done = PlacedUpscale(2, {})(source)
    assert float((reduce(done.pixels, 2) - source.pixels)[..., 8:-8, 8:-8].abs().max()) < 0.02
    plain = ResampleUpscale(2)(source)
    assert psnr_db(done.pixels.numpy(), plain.pixels.numpy()) > 38.0


def test_borders_of_what_is_moved_and_enlarged() -> None:
    source = window()
    place = {1: Placement(4.0, 0.0)}
    kept = PlacedUpscale(2, place)(source).pixels
    assert torch.equal(kept[..., :8], enlarge(source.pixels, 2)[..., :8])
    matte = PlacedUpscale(2, place, "matte", (0, 0, 4, 0))(source).pixels
    assert bool((matte[..., :8] == BLACK).all())
    mirror = PlacedUpscale(2, place, "mirror")(source)
    assert bool((mirror.touch[..., :8] == int(Effect.INVENTED)).all())
    assert not bool((mirror.touch[..., 8:] == int(Effect.INVENTED)).any())
