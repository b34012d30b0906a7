"""What every operator promises, asked of every operator."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from color.apply import BalanceOperator
from color.cdl import CDL
from media.frames import FrameRange
from media.passes import Effect, Operator, Window
from media.pictures import all_own
from restore.dirt.apply import DirtOperator
from restore.dirt.detect import DirtOptions
from restore.flicker.apply import FlickerOperator, FrameFlicker
from restore.geometry import Placement
from restore.grain.apply import GrainOperator
from restore.grain_curve import GrainCurve
from restore.noise.apply import NoiseOperator
from restore.noise.transform import GrainModel
from restore.scratch.apply import ScratchOperator
from restore.scratch.solve import ScratchPlace
from restore.upscale.fit import FitOperator
from restore.upscale.fitting import strongest
from restore.upscale.frames import FramesUpscale
from restore.upscale.placed import PlacedUpscale
from restore.upscale.resample import ResampleUpscale
from restore.weave.apply import WeaveOperator
from tests.contract.conftest import (
    FIRST,
    FRAMES,
    HEIGHT_PX,
    NAMES,
    SHOT,
    WIDTH_PX,
    damaged,
    grain_look,
    network,
    operator,
)
from tests.tolerances import CUDA_PARITY, TILED_NETWORK_CPU
from wetgate.tiles import apply_tiled

every = pytest.mark.parametrize("name", NAMES)


def whole_window(pixels: Tensor) -> Window:
    """All frames of the shot, some pixels marked before."""
    window = Window.whole(pixels, tuple(SHOT))
    touch = window.touch.clone()
    touch[:, :, 4:12, 4:12] = int(Effect.INVENTED)
    touch[:, :, 20:24, :] = int(Effect.ADJUSTED)
    return replace(window, touch=touch)


def made_px(repair: Operator) -> tuple[int, int]:
    """Height and width of what it makes of a frame of the shot."""
    if isinstance(repair, FitOperator):
        return repair.size_px
    return HEIGHT_PX * repair.scale, WIDTH_PX * repair.scale


def noise(sigma: float, strength: float, grain_kept: float) -> NoiseOperator:
    """For one channel."""
    return NoiseOperator(GrainCurve.flat((sigma,)), GrainModel.white(1), strength, grain_kept)


def window_around(pixels: Tensor, frame: int, radius: int) -> Window:
    """What the executor gives for one frame: mirrored at the ends of the shot."""
    numbers = all_own(SHOT).around(frame, radius)
    return Window.whole(torch.stack([pixels[n - FIRST] for n in numbers]), numbers)


@every
@pytest.mark.parametrize("channels", [1, 3])
def test_is_pure_and_says_the_same_twice(name: str, channels: int) -> None:
    repair = operator(name, channels)
    pixels = damaged(channels)
    window = whole_window(pixels)
    before = (window.pixels.clone(), window.touch.clone())
    first = repair(window)
    second = repair(window)
    assert torch.equal(window.pixels, before[0])
    assert torch.equal(window.touch, before[1])
    assert torch.equal(first.pixels, second.pixels)
    assert torch.equal(first.touch, second.touch)


@every
@pytest.mark.parametrize("channels", [1, 3])
def test_gives_the_middle_frames_at_its_scale(name: str, channels: int) -> None:
    repair = operator(name, channels)
    done = repair(whole_window(damaged(channels)))
    r = repair.radius
    frames, size = FRAMES - 2 * r, made_px(repair)
    assert isinstance(repair, Operator)
    assert done.frames == tuple(SHOT)[r : FRAMES - r]
    assert done.pixels.shape == (frames, channels, *size)
    assert done.pixels.dtype == torch.float32
    assert done.touch.shape == (frames, 1, *size)
    assert done.touch.dtype == torch.uint8
    assert done.size_px == size


@every
@pytest.mark.parametrize("level", [-0.2, 0.0, 0.5, 1.0, 1.4])
def test_constant_frames_stay_finite(name: str, level: float) -> None:
    repair = operator(name)
    flat = torch.full((FRAMES, 3, HEIGHT_PX, WIDTH_PX), level)
    assert bool(torch.isfinite(repair(whole_window(flat)).pixels).all())


@every
def test_nothing_is_clipped(name: str) -> None:
    repair = operator(name)
    pixels = damaged()
    done = repair(whole_window(pixels)).pixels
    assert bool(torch.isfinite(done).all())
    assert float(pixels.min()) == pytest.approx(-0.2)
    # Dirt may have been the very extremes, and is gone; the scene's own ends are still there.
    assert float(done.max()) > 1.03
    assert float(done.min()) < -0.05


@every
def test_touch_marks_exactly_what_changed(name: str) -> None:
    repair = operator(name)
    window = whole_window(damaged())
    done = repair(window)
    source = window.middle(repair.radius)
    if isinstance(repair, FitOperator):
        covered = strongest(source.touch, repair.size_px)
        assert torch.equal(done.touch, covered.clamp_min(int(repair.effect)))
        return
    if repair.scale > 1:
        s = repair.scale
        before = source.touch.repeat_interleave(s, dim=-2).repeat_interleave(s, dim=-1)
        # What neighbours gave little of is adjusted only.
        least = min(repair.effect, Effect.ADJUSTED) if "frames" in name else repair.effect
        assert bool((done.touch >= before.clamp_min(int(least))).all())
        assert bool((done.touch <= before.clamp_min(int(repair.effect))).all())
        return
    differs = (done.pixels != source.pixels).any(dim=1, keepdim=True)
    rose = done.touch > source.touch
    assert bool(differs.any())
    assert bool((done.touch >= source.touch).all())
    assert bool((done.touch[differs] > 0).all())
    assert torch.equal(done.touch[~differs & ~rose], source.touch[~differs & ~rose])
    assert int(done.touch[rose].max()) <= int(repair.effect)
    if repair.effect is Effect.ADJUSTED:
        assert not bool((rose & ~differs).any())


@every
def test_marks_are_honest_about_what_is_only_looked_at(name: str) -> None:
    """A pixel whose mark rose without a change may only be one that was borrowed to the bit."""
    repair = operator(name)
    window = Window.whole(damaged(), tuple(SHOT))
    done = repair(window)
    if repair.scale != 1:
        return
    same = (done.pixels == window.middle(repair.radius).pixels).all(dim=1, keepdim=True)
    assert float((same & (done.touch > 0)).float().mean()) < 1e-3


@every
def test_frames_in_a_batch_come_out_as_one_by_one(name: str) -> None:
    repair = operator(name)
    pixels = damaged()
    r = repair.radius
    batch = repair(Window.whole(pixels, tuple(SHOT)))
    for k, frame in enumerate(batch.frames):
        alone = repair(Window.whole(pixels[k : k + 2 * r + 1], tuple(SHOT)[k : k + 2 * r + 1]))
        assert alone.frames == (frame,)
        assert torch.equal(alone.pixels[0], batch.pixels[k])
        assert torch.equal(alone.touch[0], batch.touch[k])


@every
def test_frames_beyond_the_radius_have_no_say(name: str) -> None:
    repair = operator(name)
    pixels, other = damaged(), damaged(seed=8)
    middle = FIRST + 3
    r = repair.radius
    changed = other.clone()
    inner = slice(middle - FIRST - r, middle - FIRST + r + 1)
    changed[inner] = pixels[inner]
    a = repair(window_around(pixels, middle, r))
    b = repair(window_around(changed, middle, r))
    assert torch.equal(a.pixels, b.pixels)
    key = repair.key(all_own(SHOT).around(middle, r))
    assert key == repair.key(all_own(SHOT).around(middle, r))


@every
def test_key_is_json_and_repeats(name: str) -> None:
    repair, again = operator(name), operator(name)
    frames = all_own(SHOT).around(FIRST + 1, repair.radius)
    key = json.dumps(repair.key(frames), sort_keys=True, allow_nan=False)
    assert key == json.dumps(again.key(frames), sort_keys=True, allow_nan=False)
    assert "confidence" not in key
    assert "tiny.safetensors" not in key


_LIGHT = FrameFlicker((0.1,) * 3)
_PLACE = ScratchPlace(x_px=20.0, width_px=2.0, top_px=0, bottom_px=64)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (WeaveOperator({FIRST: (0.1, 0.0)}), WeaveOperator({FIRST: (0.1, 0.01)})),
        (WeaveOperator({}, {FIRST: 0.1}), WeaveOperator({}, {FIRST: 0.2})),
        (WeaveOperator({}), WeaveOperator({}, border="mirror")),
        (
            WeaveOperator({}, border="matte", matte_px=(1, 1, 1, 1)),
            WeaveOperator({}, border="matte", matte_px=(1, 1, 2, 1)),
        ),
        *(
            (FlickerOperator({FIRST: _LIGHT}, 0.4), FlickerOperator({FIRST: other}, 0.4))
            for other in (
                FrameFlicker((0.1, 0.1, 0.2)),
                FrameFlicker((0.1,) * 3, (0.1, 0.0, 0.0)),
                FrameFlicker((0.1,) * 3, (), (0.1, 0.0, 0.0)),
                FrameFlicker((0.1,) * 3, (), (), ((0.1, 0.0), (0.0, 0.0))),
                FrameFlicker((0.1,) * 3, (), (), (), (((0.1, 0.0), (0.0, 0.0)),) * 3),
            )
        ),
        (FlickerOperator({FIRST: _LIGHT}, 0.4), FlickerOperator({FIRST: _LIGHT}, 0.5)),
        (ScratchOperator({FIRST: (_PLACE,)}), ScratchOperator({FIRST: (_PLACE, _PLACE)})),
        (
            ScratchOperator({FIRST: (_PLACE,)}),
            ScratchOperator({FIRST: (replace(_PLACE, width_px=3.0),)}),
        ),
        (DirtOperator(0.01, DirtOptions()), DirtOperator(0.02, DirtOptions())),
        (
            DirtOperator(0.01, DirtOptions()),
            DirtOperator(0.01, DirtOptions(threshold_sigma=6.0)),
        ),
        (
            DirtOperator(0.01, DirtOptions()),
            DirtOperator(0.01, DirtOptions(), protected=frozenset({FIRST})),
        ),
        (noise(0.01, 1.0, 0.2), noise(0.01, 1.0, 0.3)),
        (noise(0.01, 1.0, 0.2), noise(0.01, 1.2, 0.2)),
        (noise(0.01, 1.0, 0.2), noise(0.02, 1.0, 0.2)),
        (
            GrainOperator(grain_look(1), 0.5, 17),
            GrainOperator(grain_look(1), 0.5, 18),
        ),
        (GrainOperator(grain_look(1), 0.5, 17), GrainOperator(grain_look(1), 0.4, 17)),
        (GrainOperator(grain_look(1), 0.5, 17), GrainOperator(grain_look(1), 0.5, 17, size=2)),
        (ResampleUpscale(2), ResampleUpscale(4)),
        (ResampleUpscale(2), ResampleUpscale(2, ringing=0.03)),
        (ResampleUpscale(2), ResampleUpscale(2, kernel="area")),
        (PlacedUpscale(2, {}), PlacedUpscale(2, {}, kernel="area")),
        (FramesUpscale(2), FramesUpscale(4)),
        (FramesUpscale(2), FramesUpscale(2, share=0.5)),
        (FramesUpscale(2), FramesUpscale(2, kernel="bicubic")),
        (FramesUpscale(2), FramesUpscale(2, {FIRST: Placement(0.1, 0.0)})),
        (network(5), network(6)),
        (FitOperator((45, 61)), FitOperator((45, 60))),
        (BalanceOperator(CDL(), SHOT), BalanceOperator(CDL(saturation=0.9), SHOT)),
    ],
)
def test_key_changes_with_what_decides_pixels(one: Operator, other: Operator) -> None:
    frames = all_own(FrameRange(FIRST - 5, FIRST + 6)).around(FIRST, one.radius)
    assert one.key(frames) != other.key(frames)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            WeaveOperator({FIRST: (0.1, 0.0)}),
            WeaveOperator({FIRST: (0.1, 0.0), FIRST + 9: (3.0, 0.0)}),
        ),
        (
            FlickerOperator({FIRST: _LIGHT}),
            FlickerOperator({FIRST: _LIGHT, FIRST + 9: FrameFlicker((1.0,) * 3)}),
        ),
        (
            DirtOperator(0.01, DirtOptions()),
            DirtOperator(0.01, DirtOptions(), protected=frozenset({FIRST + 9})),
        ),
        (FramesUpscale(2), FramesUpscale(2, {FIRST + 9: Placement(0.1, 0.0)})),
        (
            ScratchOperator({FIRST: (_PLACE,)}),
            ScratchOperator({FIRST: (_PLACE,), FIRST + 9: (_PLACE,)}),
        ),
    ],
)
def test_key_leaves_out_other_frames(one: Operator, other: Operator) -> None:
    frames = all_own(FrameRange(FIRST - 5, FIRST + 6)).around(FIRST, one.radius)
    assert one.key(frames) == other.key(frames)


@every
def test_a_shot_of_one_frame(name: str) -> None:
    repair = operator(name)
    pixels = damaged()[:1]
    numbers = all_own(FrameRange(FIRST, FIRST + 1)).around(FIRST, repair.radius)
    window = Window.whole(pixels.expand(len(numbers), -1, -1, -1).contiguous(), numbers)
    done = repair(window)
    assert done.frames == (FIRST,)
    if repair.scale != 1:
        assert int(done.touch.max()) <= int(repair.effect)
    elif repair.radius and name != "noise":  # grain is told from a frame's own blocks too
        assert torch.equal(done.pixels, pixels)
        assert not bool(done.touch.any())


@every
@pytest.mark.parametrize("tile_px", [24, 40])
def test_tiles_join_without_a_seam(name: str, tile_px: int) -> None:
    repair = operator(name)
    window = whole_window(damaged())
    whole = repair(window)
    tiled = apply_tiled(repair, window, tile_px)
    assert tiled.size_px == whole.size_px
    assert torch.equal(tiled.touch, whole.touch)
    if name.startswith("upscale-network"):
        assert float((tiled.pixels - whole.pixels).abs().max()) <= TILED_NETWORK_CPU
    else:
        assert torch.equal(tiled.pixels, whole.pixels)


@pytest.mark.device
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device: none here")
@every
def test_cuda_agrees_with_the_cpu(name: str) -> None:
    repair: Callable[[Window], Window] = operator(name)
    window = whole_window(damaged())
    on_cpu = repair(window)
    on_cuda = repair(replace(window, pixels=window.pixels.cuda(), touch=window.touch.cuda()))
    off = (on_cuda.pixels.cpu() - on_cpu.pixels).abs()
    allowed = CUDA_PARITY[name.split("-")[0]]
    if name in ("dirt", "noise"):
        # A threshold may fall to the other side at single pixels.
        assert float((off > allowed).float().mean()) < 1e-3
    else:
        assert float(off.max()) <= allowed


@pytest.mark.device
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device: none here")
@every
def test_cuda_gives_the_same_bits_twice_in_tiles_and_one_by_one(name: str) -> None:
    repair = operator(name)
    window = whole_window(damaged())
    window = replace(window, pixels=window.pixels.cuda(), touch=window.touch.cuda())
    whole, again = repair(window), operator(name)(window)
    assert torch.equal(whole.pixels, again.pixels)
    assert torch.equal(whole.touch, again.touch)
    r = repair.radius
    for k in range(len(whole.frames)):
        inner = slice(k, k + 2 * r + 1)
        alone = repair(
            replace(
                window,
                pixels=window.pixels[inner],
                touch=window.touch[inner],
                frames=window.frames[inner],
            )
        )
        assert torch.equal(alone.pixels[0], whole.pixels[k])
        assert torch.equal(alone.touch[0], whole.touch[k])
    tiled = apply_tiled(repair, window, 40)
    assert torch.equal(tiled.touch, whole.touch)
    if name.startswith("upscale-network"):
        assert float((tiled.pixels - whole.pixels).abs().max()) <= TILED_NETWORK_CPU
    else:
        assert torch.equal(tiled.pixels, whole.pixels)
