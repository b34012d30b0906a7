"""Codes to film log by table, and back: the same as value by value."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from media.encoding import ENCODING_NAMES, encoding, with_levels
from media.errors import NotFinite
from media.log_planes import CodedFrame, PlaneFrame, log_means, log_planes
from media.reel import PictureFormat, SampleType
from media.write import AnyCodes, codes_of_planes, empty_codes, to_codes, to_values

SIZE = (23, 37)


def picture(bits: int, channels: int, seed: int = 0) -> tuple[AnyCodes, PictureFormat]:
    fmt = PictureFormat(width=SIZE[1], height=SIZE[0], channels=channels, bits=bits)
    codes = np.random.default_rng(seed).integers(0, fmt.full_scale + 1, (*SIZE, channels))
    exact = empty_codes(fmt)
    exact[:] = codes
    return exact, fmt


@pytest.mark.parametrize("name", ENCODING_NAMES)
@pytest.mark.parametrize("levels", ["full", "limited"])
def test_the_table_says_what_the_curve_says(name: str, levels: str) -> None:
    for bits, channels in ((8, 1), (10, 3), (16, 3)):
        codes, fmt = picture(bits, channels)
        space = with_levels(encoding(name), levels, bits)
        values = torch.from_numpy(to_values(codes, fmt)).permute(2, 0, 1).contiguous()
        found = log_planes(codes, fmt, space)
        assert torch.allclose(found, space.to_log(values), atol=1e-6)


def test_film_codes_are_film_log_to_the_bit() -> None:
    codes, fmt = picture(10, 3)
    values = to_values(codes, fmt).transpose(2, 0, 1)
    assert np.array_equal(log_planes(codes, fmt, encoding("cineon")).numpy(), values)


@pytest.mark.parametrize("step", [1, 2, 3, 5])
@pytest.mark.parametrize("channels", [1, 3])
def test_means_of_codes_are_means_of_planes(step: int, channels: int) -> None:
    codes, fmt = picture(10, channels)
    space = encoding("rec709")
    planes = log_planes(codes, fmt, space)
    means = log_means(codes, fmt, space, step)
    assert torch.equal(means, PlaneFrame(planes).means(step))
    assert torch.equal(means, CodedFrame(codes, fmt, space).means(step))
    h, w = SIZE[0] // step, SIZE[1] // step
    blocks = planes[:, : h * step, : w * step].reshape(channels, h, step, w, step)
    assert torch.allclose(means, blocks.mean(dim=(2, 4)), atol=1e-6)


def test_floating_point_pictures_go_through_the_curve() -> None:
    fmt = PictureFormat(width=8, height=4, channels=3, bits=32, sample=SampleType.FLOAT)
    codes = np.random.default_rng(0).uniform(-0.1, 4.0, (4, 8, 3)).astype(np.float32)
    planes = log_planes(codes, fmt, encoding("linear"))
    want = encoding("linear").to_log(torch.from_numpy(codes).permute(2, 0, 1).contiguous())
    assert torch.equal(planes, want)


@pytest.mark.parametrize(("bits", "channels"), [(8, 3), (10, 1), (10, 3), (12, 3), (16, 3)])
def test_planes_become_the_nearest_codes(bits: int, channels: int) -> None:
    _, fmt = picture(bits, channels)
    random = np.random.default_rng(1)
    planes = random.uniform(-0.2, 1.2, (channels, *SIZE)).astype(np.float32)
    # Ties, and values far off.
    planes.flat[:50] = (random.integers(0, 200, 50) + 0.5) / np.float32(fmt.full_scale)
    planes.flat[50:54] = (-1e30, 1e30, -1e4, 3e4)
    want = to_codes(np.ascontiguousarray(planes.transpose(1, 2, 0)), fmt)
    out = empty_codes(fmt)
    codes_of_planes(planes, fmt, out)
    assert np.array_equal(out, want)
    own, _ = picture(bits, channels, seed=2)
    touch = random.integers(0, 3, SIZE).astype(np.uint8)
    codes_of_planes(planes, fmt, out, own, touch)
    assert np.array_equal(out, np.where(touch[:, :, None] == 0, own, want))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("bits", [10, 16])
def test_what_is_no_number_is_refused(value: float, bits: int) -> None:
    _, fmt = picture(bits, 3)
    planes = np.full((3, *SIZE), 0.5, np.float32)
    planes[1, 2, 3] = value
    with pytest.raises(NotFinite, match="1 samples"):
        codes_of_planes(planes, fmt, empty_codes(fmt))
