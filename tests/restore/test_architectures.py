"""basicsr's networks through the bridge: they run here, and run as they were meant to."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import Tensor

from restore.models.architectures import ARCHITECTURES, Architecture, Setting, Time, complete
from restore.models.deform import deform_conv2d, flow_warp
from restore.models.ladder import Ladder
from restore.models.precision import Runner, half_pays

SMALL: dict[str, dict[str, Setting]] = {
    "srvgg": {"features": 8, "layers": 2},
    "rrdb": {"features": 8, "blocks": 1, "growth": 4},
    "swinir": {"features": 12, "depths": (2,), "heads": (2,), "window": 8},
    "edvr": {"features": 16, "frames": 3, "groups": 2, "blocks": 1, "attention": True},
    "basicvsr": {"features": 8, "blocks": 1},
    "basicvsr++": {"features": 16, "blocks": 1},
}
ANSWERS = [(name, scale) for name, known in ARCHITECTURES.items() for scale in known.scales]


def small(name: str, scale: int) -> tuple[Architecture, torch.nn.Module, int]:
    """A seeded network of few weights, and its exact reach."""
    torch.manual_seed(7)
    known = ARCHITECTURES[name]
    settings = complete(known, SMALL[name])
    return known, known.build(settings, scale), known.reach_px(settings)


def frames(count: int, height: int = 64, width: int = 72) -> Tensor:
    torch.manual_seed(3)
    soft = torch.rand(count, 3, height // 4, width // 4)
    return torch.nn.functional.interpolate(soft, size=(height, width), mode="bicubic").clamp(0, 1)


@pytest.mark.parametrize(("name", "scale"), ANSWERS)
def test_every_architecture_runs_at_every_scale(name: str, scale: int) -> None:
    known, network, reach = small(name, scale)
    given = frames(1 if known.time is Time.FRAME else 3)
    made, note = Ladder(network, known, scale, reach, False, False)(given)
    kept = 1 if known.time is not Time.SEQUENCE else 3
    assert made.shape == (kept, 3, 64 * scale, 72 * scale)
    assert bool(torch.isfinite(made).all())
    assert not note


def test_nothing_is_left_behind_in_place_of_torchvision() -> None:
    small("edvr", 4)
    assert "torchvision" not in sys.modules or hasattr(sys.modules["torchvision"], "models")


@pytest.mark.parametrize("size", [(35, 41), (64, 72), (33, 100)])
@pytest.mark.parametrize(("name", "scale"), [("rrdb", 2), ("swinir", 2), ("basicvsr", 4)])
def test_odd_sizes_come_out_as_they_went_in(name: str, scale: int, size: tuple[int, int]) -> None:
    known, network, reach = small(name, scale)
    count = 2 if known.time is Time.SEQUENCE else 1
    made, _ = Ladder(network, known, scale, reach, False, False)(
        frames(count, 80, 120)[..., : size[0], : size[1]]
    )
    assert made.shape == (count, 3, size[0] * scale, size[1] * scale)


def test_basicvsr_plus_plus_aligns_without_cuda() -> None:
    """basicsr itself leaves the alignment out where there is no CUDA."""
    _, network, _ = small("basicvsr++", 4)
    keys = network.state_dict()
    assert "deform_align.backward_1.weight" in keys
    assert "deform_align.forward_2.conv_offset.6.weight" in keys


def test_a_clip_that_runs_forth_and_back_is_not_remembered() -> None:
    known, network, reach = small("basicvsr++", 4)
    run = Ladder(network, known, 4, reach, False, False)
    clip = frames(4)
    first, _ = run(clip)
    run(torch.cat([clip[:2], clip[:2].flip(0)]))
    again, _ = run(clip)
    assert torch.equal(first, again)


def slow_deform(x: Tensor, offset: Tensor, weight: Tensor, mask: Tensor, groups: int) -> Tensor:
    """Deformable 3x3 convolution by its definition, stride 1, padding 1."""
    n, channels, height, width = x.shape
    out = torch.zeros(n, len(weight), height, width)
    for row in range(height):
        for column in range(width):
            for tap in range(9):
                for c in range(channels):
                    k = 2 * (c // (channels // groups) * 9 + tap)
                    y = row - 1 + tap // 3 + float(offset[0, k, row, column])
                    z = column - 1 + tap % 3 + float(offset[0, k + 1, row, column])
                    value = bilinear(x[0, c], y, z)
                    value = value * float(mask[0, k // 2, row, column])
                    out[0, :, row, column] += weight[:, c, tap // 3, tap % 3] * value
    return out


def bilinear(plane: Tensor, y: float, x: float) -> float:
    total = 0.0
    for row in (int(y // 1), int(y // 1) + 1):
        for column in (int(x // 1), int(x // 1) + 1):
            share = max(0.0, 1 - abs(y - row)) * max(0.0, 1 - abs(x - column))
            if 0 <= row < plane.shape[0] and 0 <= column < plane.shape[1]:
                total += share * float(plane[row, column])
    return total


@pytest.mark.parametrize("groups", [1, 2])
def test_deformable_convolution_by_its_definition(groups: int) -> None:
    torch.manual_seed(2)
    x, weight = torch.randn(1, 4, 6, 7), torch.randn(3, 4, 3, 3)
    offset, mask = 2 * torch.randn(1, groups * 18, 6, 7), torch.rand(1, groups * 9, 6, 7)
    made = deform_conv2d(x, offset, weight, padding=1, mask=mask)
    assert float((made - slow_deform(x, offset, weight, mask, groups)).abs().max()) < 1e-4


def test_deformable_convolution_without_offsets_is_a_convolution() -> None:
    x, weight, bias = torch.randn(2, 6, 9, 11), torch.randn(4, 3, 3, 3), torch.randn(4)
    offset = torch.zeros(2, 18, 5, 6)
    made = deform_conv2d(x, offset, weight, bias, stride=2, padding=1)
    expected = torch.nn.functional.conv2d(x, weight, bias, stride=2, padding=1, groups=2)
    assert float((made - expected).abs().max()) < 1e-4


def test_warping_by_whole_pixels_moves_the_picture() -> None:
    x = torch.rand(1, 2, 12, 16)
    flow = torch.zeros(1, 12, 16, 2)
    flow[..., 0], flow[..., 1] = 3.0, -2.0
    assert torch.allclose(flow_warp(x, flow)[:, :, 2:, :-3], x[:, :, :-2, 3:], atol=1e-5)


@pytest.mark.parametrize("name", ["srvgg", "rrdb", "basicvsr", "edvr"])
def test_half_precision_stays_near(name: str) -> None:
    """It must run on any CPU, only slowly where the hardware is not made for it."""
    scale = 4
    known, network, reach = small(name, scale)
    given = frames(1 if known.time is Time.FRAME else 3)
    full, _ = Ladder(network, known, scale, reach, False, False)(given)
    half, _ = Ladder(network, known, scale, reach, True, True)(given)
    assert half.dtype is torch.float32
    # Not rounded to half at the end: that would leave at most 256 values between 0.5 and 1.
    assert len(torch.unique(half)) > 5000
    assert float((full - half).abs().max()) < 0.02 * float(full.abs().max())


def test_whether_half_precision_pays_is_answered_for_the_cpu() -> None:
    assert half_pays(torch.device("cpu")) in (True, False)


def test_a_runner_leaves_float32_alone() -> None:
    known, network, _ = small("srvgg", 2)
    given = frames(1)
    with torch.inference_mode():
        assert torch.equal(Runner(network, known, half=False)(given), network(given))
