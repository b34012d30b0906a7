"""Full range and video levels are told apart where a scan gives itself away."""

from __future__ import annotations

import numpy as np
import pytest

from media.levels import LevelsProbe
from media.reel import PictureFormat, SampleType
from tests.strategies import add_grain, still

BITS = [8, 10, 12, 16]


def fmt(bits: int, sample: SampleType = SampleType.UINT) -> PictureFormat:
    return PictureFormat(width=64, height=48, channels=3, bits=bits, sample=sample)


def scene(low: float, high: float, bits: int) -> np.ndarray:
    """A picture whose codes fill low..high of full scale, cut off there."""
    values = add_grain(still(3, 1, 48, 64), 0.02, 1)[0].transpose(1, 2, 0)
    wide = (values - 0.2) / 0.4 * (high - low) + low
    codes = np.rint(np.clip(wide, low, high) * ((1 << bits) - 1))
    out: np.ndarray = codes.astype(np.uint8 if bits == 8 else np.uint16)
    return out


@pytest.mark.parametrize("bits", BITS)
def test_a_squeezed_scan_is_noticed(bits: int) -> None:
    probe = LevelsProbe()
    top = (1 << bits) - 1
    unit = 1 << (bits - 8)
    probe.observe(scene(16 * unit / top, 235 * unit / top, bits), fmt(bits))
    assert "video levels" in probe.notes("full")[0]
    assert probe.notes("limited") == ()
    assert probe.facts()["outside_video_levels"] == 0.0


@pytest.mark.parametrize("bits", BITS)
def test_a_full_scan_declared_limited_is_noticed(bits: int) -> None:
    probe = LevelsProbe()
    probe.observe(scene(0.0, 1.0, bits), fmt(bits))
    assert "lie outside" in probe.notes("limited")[0]
    assert probe.notes("full") == ()


def test_a_scan_that_stays_inside_by_itself_is_no_alarm() -> None:
    probe = LevelsProbe()
    soft = add_grain(still(3, 1, 48, 64), 0.01, 1)[0].transpose(1, 2, 0)
    probe.observe(np.rint(soft * 1023).astype(np.uint16), fmt(10))
    assert probe.notes("full") == probe.notes("limited") == ()


def test_floating_point_has_no_levels() -> None:
    probe = LevelsProbe()
    probe.observe(np.zeros((48, 64, 3), np.float32), fmt(32, SampleType.FLOAT))
    assert (probe.facts(), probe.notes("full")) == ({}, ())
