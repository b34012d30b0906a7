"""Any size: closer to a known truth than a direct resize, in place, without ringing or aliases."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from media.frames import FrameRange
from media.passes import Effect, Operator, Window
from media.pictures import all_own
from restore.geometry import Placement, placed
from restore.upscale.fit import FitOperator
from restore.upscale.fitting import (
    FitKernel,
    axis_of,
    covered,
    fit,
    fit_by_torch,
    fitted_part,
    pixels_of,
    strongest,
)
from restore.upscale.frames import FramesUpscale
from restore.upscale.placed import PlacedUpscale
from restore.upscale.resample import ResampleUpscale
from restore.weave.apply import WeaveOperator
from tests.restore.test_upscale import network
from tests.strategies import pan, psnr_db, texture
from wetgate.executor import ShotRenderer

SIZE = (240, 360)
SHOT = FrameRange(10, 18)


def brought(pixels: Tensor, *operators: Operator, frames: Sequence[int] = (1,)) -> Window:
    """A window of whole frames through operators that need no neighbours."""
    window = Window.whole(pixels, frames)
    for op in operators:
        window = op(window)
    return window


@pytest.mark.parametrize("kernel", ["area", "bicubic"])
@pytest.mark.parametrize(("ratio", "scale"), [(1.5, 2), (1.875, 2), (3.0, 2), (3.0, 4)])
def test_closer_to_the_truth_than_resizing_straight_to_the_size(
    kernel: FitKernel, ratio: float, scale: int
) -> None:
    truth = texture(6, *SIZE)[None]
    small = fit(torch.from_numpy(truth), (round(SIZE[0] / ratio), round(SIZE[1] / ratio)), kernel)
    done = brought(small, ResampleUpscale(scale), FitOperator(SIZE))
    assert done.pixels.shape[-2:] == done.size_px == SIZE
    plain = np.ascontiguousarray(small[0].numpy().transpose(1, 2, 0))
    peers = [
        cv2.resize(plain, SIZE[::-1], interpolation=flag).transpose(2, 0, 1)[None]
        for flag in (cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)
    ]
    best = max(psnr_db(p, truth) for p in peers)
    # Finer than this texture is grain to a scan of a third of its size: there is less to win.
    assert psnr_db(done.pixels.numpy(), truth) > best + (0.5 if ratio < 2 else 0.1)


@pytest.mark.parametrize("size", [(45, 61), (97, 131), (64, 88), (30, 200)])
@pytest.mark.parametrize("kernel", ["lanczos", "area", "bicubic"])
def test_compiled_and_torch_agree(size: tuple[int, int], kernel: FitKernel) -> None:
    source = torch.from_numpy(texture(4, 64, 88)[None].copy())
    down, across = axis_of(64, size[0], kernel), axis_of(88, size[1], kernel)
    apart = fit(source, size, kernel) - fit_by_torch(source, down, across)
    assert float(apart.abs().max()) < 1e-6


def test_the_same_size_is_the_same_picture() -> None:
    source = torch.from_numpy(texture(4, 40, 56)[None].copy())
    assert float((fit(source, (40, 56)) - source).abs().max()) < 1e-6


@pytest.mark.parametrize("size", [(160, 240), (171, 256), (96, 122), (270, 400)])
def test_every_pixel_lies_at_its_place(size: tuple[int, int]) -> None:
    """Soft waves, known everywhere: an error of a tenth of a pixel would show."""

    def waves(height: int, width: int) -> NDArray[np.float64]:
        y = (np.arange(height)[:, None] + 0.5) / height
        x = (np.arange(width)[None] + 0.5) / width
        found: NDArray[np.float64] = 0.4 + 0.1 * np.sin(31 * x + 4 * y) + 0.1 * np.cos(23 * y - x)
        return found

    large = torch.from_numpy(waves(200, 300).astype(np.float32))[None, None]
    truth = waves(*size)
    inner = np.s_[8:-8, 8:-8]
    off = np.abs(fit(large, size)[0, 0].double().numpy() - truth)[inner].max()
    steps = np.abs(np.gradient(truth, axis=1)).max(), np.abs(np.gradient(truth, axis=0)).max()
    assert off < 0.07 * min(steps)


def test_a_mirrored_picture_comes_out_mirrored() -> None:
    source = torch.from_numpy(texture(2, 64, 88)[None].copy())
    there = fit(source, (45, 61))
    back = fit(source.flip(-1, -2), (45, 61)).flip(-1, -2)
    assert float((there - back).abs().max()) < 1e-6


@pytest.mark.parametrize("ratio", [1.5, 1.875, 2.7])
def test_an_edge_does_not_ring(ratio: float) -> None:
    step = torch.full((1, 3, 40, 60), 0.2)
    step[..., 30:] = 0.8
    size = (int(40 * ratio), int(60 * ratio))
    done = brought(step, ResampleUpscale(2, ringing=0.01), FitOperator(size)).pixels
    assert float(done.max()) <= 0.8 + 0.01 + 1e-6
    assert float(done.min()) >= 0.2 - 0.01 - 1e-6


def test_what_the_size_cannot_hold_does_not_come_back_as_something_else() -> None:
    """Stripes finer than the result can show: an even ground, not coarser stripes."""
    x = np.arange(400, dtype=np.float32)
    stripes = 0.4 + 0.2 * np.cos(2 * np.pi * 0.45 * x)
    source = torch.from_numpy(np.tile(stripes, (64, 1))[None, None])
    done = fit(source, (64, 216))[..., 16:-16]
    assert float((done - 0.4).abs().max()) < 0.01
    # Straight cubic, as a peer does it, shows them.
    straight = cv2.resize(source[0, 0].numpy(), (216, 64), interpolation=cv2.INTER_CUBIC)
    assert float(np.abs(straight - 0.4)[:, 16:-16].max()) > 0.1


@pytest.mark.parametrize("kernel", ["lanczos", "area", "bicubic"])
def test_a_flat_picture_stays_flat(kernel: FitKernel) -> None:
    flat = torch.full((1, 3, 20, 30), 0.37)
    assert float((fit(flat, (31, 43), kernel) - 0.37).abs().max()) < 1e-6


def test_color_and_brightness_stay_those_of_the_scan() -> None:
    source = torch.from_numpy(texture(4, 96, 144)[None].copy())
    done = brought(source, ResampleUpscale(2), FitOperator((144, 216))).pixels
    gap = fit(done, (96, 144), "area") - source
    assert float(gap.mean(dim=(-2, -1)).abs().max()) < 1e-4
    assert float(torch.nn.functional.avg_pool2d(gap, 16).abs().max()) < 2e-3


@pytest.mark.parametrize("scale", [2, 4])
def test_a_network_s_picture_is_brought_to_size_with_its_color(scale: int) -> None:
    source = torch.from_numpy(texture(4, 96, 128)[None].copy())
    done = brought(source, network(scale), FitOperator((144, 192)))
    assert done.size_px == (144, 192)
    assert int(done.touch.min()) == int(Effect.INVENTED)
    gap = fit(done.pixels, (96, 128), "area") - source
    assert float(gap.mean(dim=(-2, -1)).abs().max()) < 2e-3


@pytest.mark.parametrize("size", [(45, 61), (33, 80), (64, 100)])
def test_a_pixel_bears_the_strongest_mark_it_covers(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    marks = (rng.random((64, 88)) < 0.02) * rng.integers(1, 4, (64, 88))
    touch = torch.from_numpy(marks.astype(np.uint8))[None, None]
    found = strongest(touch, size)[0, 0].numpy()
    for y in range(size[0]):
        rows = range(int(y * 64 / size[0]), int(np.ceil((y + 1) * 64 / size[0] - 1e-9)))
        for x in range(0, size[1], 7):
            columns = range(int(x * 88 / size[1]), int(np.ceil((x + 1) * 88 / size[1] - 1e-9)))
            assert found[y, x] == marks[np.ix_(rows, columns)].max()
    done = FitOperator(size)(
        Window(pixels=torch.rand(1, 3, 64, 88), frames=(1,), touch=touch, size_px=(64, 88))
    )
    assert int(done.touch.min()) == int(Effect.ADJUSTED)
    assert set(np.unique(marks)) <= {0, *np.unique(done.touch.numpy())}


def test_pixels_are_covered_without_gaps() -> None:
    for size, out in ((1000, 667), (88, 61), (64, 64), (40, 60)):
        places = covered(size, out)
        assert places[0, 0] == 0
        assert places[-1, 1] == size - 1
        assert (places[1:, 0] <= places[:-1, 1] + 1).all()
        assert (places[:, 0] <= places[:, 1]).all()


def test_a_part_is_the_part_of_the_whole() -> None:
    source = torch.from_numpy(texture(8, 144, 216)[None].copy())
    whole = fitted_part(source[0], pixels_of(144, 96, 0, 96), pixels_of(216, 144, 0, 144))
    rows, columns = pixels_of(144, 96, 20, 50), pixels_of(216, 144, 33, 64)
    part = source[0, :, rows.begin : rows.end, columns.begin : columns.end]
    assert torch.equal(fitted_part(part, rows, columns), whole[:, 20:70, 33:97])
    # Without the bound it is what fitting makes, but for what would overshoot.
    assert float((whole - fit(source, (96, 144))[0]).abs().mean()) < 1e-3


def chain(moved: bool, method: str) -> list[Operator]:
    rng = np.random.default_rng(2)
    places = {n: Placement(float(rng.normal()), float(rng.normal()), 0.2) for n in SHOT}
    first: Operator = (
        FramesUpscale(2, places if moved else {})
        if method == "frames"
        else PlacedUpscale(2, places)
        if moved
        else ResampleUpscale(2)
    )
    return [first, FitOperator((72, 105))]


@pytest.mark.parametrize("method", ["frames", "single"])
@pytest.mark.parametrize("moved", [False, True])
def test_chunks_of_any_length_and_tiles_give_the_same_bits(moved: bool, method: str) -> None:
    pixels = torch.from_numpy(pan(3, len(SHOT), 48, 70, 1.3))

    def renderer(tile_px: int = 0) -> ShotRenderer:
        return ShotRenderer(
            "s", all_own(SHOT), lambda n: pixels[n - SHOT.start], chain(moved, method), tile_px
        )

    whole = renderer()
    expected = {n: whole.frame(n) for n in SHOT}
    for number in (SHOT.stop - 1, SHOT.start + 3):
        for part in (renderer(), renderer(tile_px=24)):
            done = part.frame(number)
            assert done.pixels.shape == (3, 72, 105)
            assert torch.equal(done.pixels, expected[number].pixels)
            assert torch.equal(done.touch, expected[number].touch)


def test_moved_and_enlarged_in_one_resample_is_closer_than_in_two() -> None:
    """A fine picture that lay 0.37 and -0.42 px off when it was scanned at two thirds of it."""
    truth = torch.from_numpy(texture(6, 330, 480)[None])
    place = Placement(-0.37, 0.42)
    scanned = fit(
        placed(truth[0], Placement(1.5 * 0.37, -1.5 * 0.42), (0, 0), (330, 480))[None],
        (220, 320),
        "area",
    )
    together = brought(scanned, PlacedUpscale(2, {1: place}), FitOperator((330, 480)))
    weave = WeaveOperator({1: (place.dx_px, place.dy_px)})
    apart = brought(scanned, weave, ResampleUpscale(2), FitOperator((330, 480)))
    still = brought(scanned, ResampleUpscale(2), FitOperator((330, 480)))
    inner = np.s_[..., 16:-16, 16:-16]
    one, two, none = (
        psnr_db(w.pixels[inner].numpy(), truth[inner].numpy()) for w in (together, apart, still)
    )
    assert one > two + 0.1
    assert one > none + 3.0
