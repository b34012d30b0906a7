"""The CDL arithmetic against OpenColorIO's numbers, and what CDLs do among themselves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from color.cdl import (
    CDL,
    IDENTITY,
    PRINTER_POINT_LOG,
    apply_cdl,
    compose,
    interpolate,
    saturation_matrix,
)
from media.encoding import PRINTER_POINT
from media.errors import ConfigError

OCIO_1 = CDL((1.0, 1.0, 0.9), (-0.03, -0.02, 0.0), (1.25, 1.0, 1.0), 1.7)
CLF = CDL((1.35, 1.1, 0.71), (0.05, -0.23, 0.11), (0.93, 0.81, 1.27), 1.239)
GOLDEN = Path(__file__).parents[2] / "../shared/golden/asc_cdl_ocio.json"

finite = st.floats(-2.0, 2.0)
gains = st.floats(0.0, 3.0)


def affine(slope: tuple[float, float, float], offset: tuple[float, float, float]) -> CDL:
    return CDL(slope, offset)


@pytest.mark.parametrize(
    ("cdl", "clamp", "expected"),
    [
        (OCIO_1, True, (0.0, 0.1874739, 0.7994739)),
        (OCIO_1, False, (-0.1057401, 0.1874739, 0.7994739)),
        (CLF, True, (0.1543729, 0.0, 0.5464393)),
        (CLF, False, (0.1560822, -0.0254323, 0.5481486)),
        (CDL(saturation=0.0), False, (0.19699, 0.19699, 0.19699)),
        (CDL(slope=(0.0, 1.0, 1.0), offset=(0.2, 0.0, 0.0)), True, (0.2, 0.2, 0.6)),
    ],
)
def test_values_of_opencolorio(cdl: CDL, clamp: bool, expected: tuple[float, float, float]) -> None:
    out = apply_cdl(np.array([0.05, 0.2, 0.6]), cdl, clamp=clamp)
    np.testing.assert_allclose(out, expected, atol=1e-6)


@pytest.mark.reference
def test_all_golden_vectors() -> None:
    if not GOLDEN.exists():
        pytest.skip("the golden CDL vectors are not beside the checkout")
    golden = json.loads(GOLDEN.read_text())
    inputs = np.array(golden["inputs"])
    checked = 0
    for result in golden["results"]:
        if result["direction"] != "forward":
            continue
        case = golden["cases"][result["case"]]
        cdl = CDL(tuple(case["slope"]), tuple(case["offset"]), tuple(case["power"]), case["sat"])
        out = apply_cdl(inputs, cdl, clamp=result["style"] == "asc_v1_2")
        np.testing.assert_allclose(out, result["outputs"], atol=1e-6)
        checked += 1
    assert checked == 26


def test_identity_unclamped_moves_nothing_and_clamped_clamps() -> None:
    values = np.array([[-0.1, 0.5, 1.5]])
    np.testing.assert_array_equal(apply_cdl(values, IDENTITY, clamp=False), values)
    np.testing.assert_allclose(apply_cdl(values, IDENTITY, clamp=True), [[0.0, 0.5, 1.0]])
    assert IDENTITY.is_identity()
    assert not CDL(saturation=0.99).is_identity()


@pytest.mark.parametrize(
    "bad",
    [
        {"slope": (-0.1, 1.0, 1.0)},
        {"slope": (1.0, float("nan"), 1.0)},
        {"offset": (float("inf"), 0.0, 0.0)},
        {"power": (0.0, 1.0, 1.0)},
        {"saturation": -0.01},
        {"saturation": float("nan")},
    ],
)
def test_unusable_values_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        CDL(**bad)  # type: ignore[arg-type]


def test_printer_points_count_offsets() -> None:
    assert pytest.approx(PRINTER_POINT, abs=1e-15) == PRINTER_POINT_LOG
    points = CDL(offset=(0.012218964, -0.024437928, 0.0)).printer_points()
    assert points == pytest.approx((1.0, -2.0, 0.0), abs=1e-6)
    # a change of contrast about the aim grey moves no printer light
    grey = 445 / 1023
    still = CDL((1.2, 1.2, 1.2), (-0.2 * grey,) * 3)
    assert still.printer_points() == pytest.approx((0.0, 0.0, 0.0), abs=1e-9)


def test_rounding_keeps_a_file_and_a_picture_alike() -> None:
    cdl = CDL((1.0000004, 0.99999951, 1.0), (-1e-9, 0.1234567, 0.0), (1e-9, 1.0, 1.0), 1.0)
    rounded = cdl.rounded()
    assert rounded.slope == (1.0, 1.0, 1.0)
    assert rounded.offset == (0.0, 0.123457, 0.0)
    assert str(rounded.offset[0]) == "0.0"
    assert rounded.power[0] == 1e-6
    assert rounded.rounded() == rounded


@given(st.tuples(gains, gains, gains), st.tuples(finite, finite, finite), st.floats(0.0, 1.0))
def test_interpolated_affine_is_the_mix_of_pictures(
    slope: tuple[float, float, float], offset: tuple[float, float, float], t: float
) -> None:
    a, b = affine(slope, offset), CDL((1.1, 0.8, 1.0), (0.1, 0.0, -0.1))
    x = np.array([[0.1, 0.4, 0.7], [-0.1, 1.2, 0.0]])
    mixed = (1.0 - t) * apply_cdl(x, a, clamp=False) + t * apply_cdl(x, b, clamp=False)
    np.testing.assert_allclose(apply_cdl(x, interpolate(a, b, t), clamp=False), mixed, atol=1e-12)


def test_interpolation_ends_are_exact() -> None:
    assert interpolate(OCIO_1, CLF, 0.0) is OCIO_1
    assert interpolate(OCIO_1, CLF, 1.0) is CLF
    assert interpolate(IDENTITY, CDL(), 0.3).is_identity()


@given(
    st.tuples(gains, gains, gains),
    st.tuples(finite, finite, finite),
    st.floats(0.2, 2.0),
    st.floats(0.5, 1.5),
)
def test_composition_is_exact(
    slope: tuple[float, float, float],
    offset: tuple[float, float, float],
    saturation: float,
    second_slope: float,
) -> None:
    first = CDL(slope, offset, saturation=saturation)
    second = CDL((second_slope,) * 3, (0.05, -0.02, 0.0), saturation=1.1)
    x = np.array([[0.1, 0.4, 0.7], [-0.1, 1.2, 0.0]])
    twice = apply_cdl(apply_cdl(x, first, clamp=False), second, clamp=False)
    once = apply_cdl(x, compose(first, second), clamp=False)
    np.testing.assert_allclose(once, twice, atol=1e-9)


def test_what_cannot_be_one_cdl_is_refused() -> None:
    with pytest.raises(ConfigError):
        compose(OCIO_1, CDL(slope=(1.1, 1.0, 1.0)))
    with pytest.raises(ConfigError):
        compose(CDL(saturation=0.9), CDL(slope=(1.1, 1.0, 1.0)))
    assert compose(IDENTITY, OCIO_1) is OCIO_1
    assert compose(OCIO_1, IDENTITY) is OCIO_1


def test_saturation_matrices_multiply() -> None:
    np.testing.assert_allclose(
        saturation_matrix(1.3) @ saturation_matrix(0.7), saturation_matrix(0.91), atol=1e-12
    )
