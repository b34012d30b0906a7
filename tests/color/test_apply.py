"""The color operator: exact where nothing is to do, and continuous across dissolves."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from color.apply import BalanceOperator, apply_cdl_tensor
from color.cdl import CDL, IDENTITY, apply_cdl
from color.stats import ColorProbe
from color.unfade import UnfadeOperator
from media.encoding import Domain
from media.errors import RepairError
from media.frames import FrameRange
from media.passes import Effect, Operator, Window

WARM = CDL((1.1, 1.0, 0.9), (0.02, 0.0, -0.03))
FULL = CDL((1.35, 1.1, 0.71), (0.05, -0.23, 0.11), (0.93, 0.81, 1.27), 1.239)


def pixels(frames: int, channels: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(7)
    return torch.rand((frames, channels, 6, 5), generator=generator) * 1.4 - 0.2


def test_it_is_an_operator() -> None:
    operator = BalanceOperator(WARM, FrameRange(10, 20))
    assert isinstance(operator, Operator)
    assert (operator.name, operator.version, operator.radius, operator.scale) == ("color", 1, 0, 1)
    assert operator.domain is Domain.LOG_DENSITY
    assert operator.effect is Effect.ADJUSTED
    assert operator.needs.reach_px == 0


@pytest.mark.parametrize("cdl", [WARM, FULL, CDL(saturation=0.4), CDL(power=(1.2, 1.0, 0.8))])
def test_it_does_what_the_reference_does_without_clamp(cdl: CDL) -> None:
    window = Window.whole(pixels(2), [10, 11])
    out = BalanceOperator(cdl, FrameRange(10, 20))(window)
    expected = apply_cdl(window.pixels.permute(0, 2, 3, 1).double().numpy(), cdl, clamp=False)
    np.testing.assert_allclose(out.pixels.permute(0, 2, 3, 1).numpy(), expected, atol=3e-6)
    assert out.pixels.min() < 0.0
    assert out.frames == (10, 11)
    assert bool((out.touch == int(Effect.ADJUSTED)).any())


def test_identity_returns_the_very_pixels() -> None:
    window = Window.whole(pixels(3), [10, 11, 12])
    out = BalanceOperator(IDENTITY, FrameRange(10, 20))(window)
    assert out.pixels is window.pixels
    assert not out.touch.any()


def test_a_dissolve_is_linear_and_meets_at_one_half() -> None:
    n = 4
    left = BalanceOperator(IDENTITY, FrameRange(0, 20), after=WARM, dissolve_out=n)
    right = BalanceOperator(WARM, FrameRange(20, 40), before=IDENTITY, dissolve_in=n)
    weights = [left.cdl_at(f).slope[0] - 1.0 for f in range(12, 20)]
    weights += [right.cdl_at(f).slope[0] - 1.0 for f in range(20, 28)]
    share = np.array(weights) / 0.1
    expected = [0.0] * 4 + [(k + 0.5) / (2 * n) for k in range(2 * n)] + [1.0] * 4
    np.testing.assert_allclose(share, expected, atol=1e-9)
    assert left.cdl_at(5) is IDENTITY
    window = Window.whole(pixels(2), [5, 19])
    out = left(window)
    assert torch.equal(out.pixels[0], window.pixels[0])
    assert not out.touch[0].any()
    assert out.touch[1].any()


def test_a_fade_runs_from_black_as_it_is_to_the_shot_and_back() -> None:
    cdl = CDL((1.2, 1.0, 0.9), (0.05, 0.0, -0.02))
    operator = BalanceOperator(cdl, FrameRange(10, 30), fade_in=4, fade_out=5)
    offsets = [operator.cdl_at(n).offset[0] for n in range(10, 30)]
    assert offsets[0] == pytest.approx(0.05 * 0.125)
    assert offsets[4:15] == pytest.approx([0.05] * 11)
    assert offsets[-1] == pytest.approx(0.05 * 0.1)
    assert offsets[:5] == sorted(offsets[:5])
    assert offsets[-6:] == sorted(offsets[-6:], reverse=True)


def test_the_key_holds_what_moves_pixels_and_nothing_else() -> None:
    plain = BalanceOperator(WARM, FrameRange(0, 20))
    longer = BalanceOperator(WARM, FrameRange(0, 30), after=FULL, dissolve_out=4)
    assert plain.key([3, 4, 5]) == longer.key([3, 4, 5]) == {"cdl": [WARM.as_list()]}
    mixed = longer.key([25, 26, 27, 26])["cdl"]
    assert isinstance(mixed, list)
    assert len(mixed) == 3


def test_one_channel_takes_only_equal_values() -> None:
    gray = pixels(1, channels=1)
    equal = CDL((1.1, 1.1, 1.1), (0.02, 0.02, 0.02), saturation=0.5)
    torch.testing.assert_close(apply_cdl_tensor(gray, equal), gray * 1.1 + 0.02)
    with pytest.raises(RepairError):
        apply_cdl_tensor(gray, WARM)


def test_a_frame_outside_the_shot_is_an_error() -> None:
    with pytest.raises(RepairError):
        BalanceOperator(WARM, FrameRange(0, 10)).key([10])


@given(st.floats(-4.0, 4.0), st.floats(0.3, 3.0), st.floats(0.0, 2.0))
def test_finite_in_finite_out(value: float, power: float, saturation: float) -> None:
    cdl = CDL((1.2, 0.0, 1.0), (0.0, -0.2, 0.1), (power, 1.0, 1.0), saturation)
    assert torch.isfinite(apply_cdl_tensor(torch.full((1, 3, 2, 2), value), cdl)).all()


OPERATORS = (
    BalanceOperator(FULL, FrameRange(10, 20)),
    BalanceOperator(WARM, FrameRange(10, 20), before=FULL, dissolve_in=4, fade_out=3),
    UnfadeOperator([[1.2, -0.1, 0.0], [0.0, 1.1, 0.0], [-0.05, 0.0, 1.3]], (0.0, 0.01, -0.02)),
)


@pytest.mark.parametrize("operator", OPERATORS, ids=["cdl", "dissolve", "unfade"])
def test_no_pixel_leaves_its_device(operator: Operator) -> None:
    """A device that holds no numbers: whatever fetched or mixed in a value would fail."""
    window = Window.whole(pixels(10).to("meta"), list(range(10, 20)))
    out = operator(window)
    assert out.pixels.device.type == out.touch.device.type == "meta"
    assert out.pixels.shape == window.pixels.shape


@pytest.mark.device
@pytest.mark.parametrize("operator", OPERATORS, ids=["cdl", "dissolve", "unfade"])
def test_a_gpu_makes_the_same_picture(operator: Operator) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    here, frames = pixels(10), list(range(10, 20))
    there = operator(Window.whole(here.cuda(), frames)).pixels
    assert there.device.type == "cuda"
    assert (there.cpu() - operator(Window.whole(here, frames)).pixels).abs().max() <= 1e-5


@pytest.mark.device
def test_a_probe_takes_frames_of_a_gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    found = []
    for device in ("cpu", "cuda"):
        probe = ColorProbe()
        generator = torch.Generator().manual_seed(3)
        frame = torch.rand((3, 120, 160), generator=generator) * 0.5 + 0.15
        probe.observe(0, frame.to(device))
        found.append(probe.finish())
    assert found[0]["quantiles_log"] == found[1]["quantiles_log"]
    assert found[0]["flags"] == found[1]["flags"]
