"""The color difference of film-log pictures."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from color.difference import delta_e_2000, delta_e_2000_each, lab_from_log, subsample
from color.science import colour_science
from media.encoding import light_to_log


def test_lab_of_known_light() -> None:
    rng = np.random.default_rng(3)
    light = rng.uniform(0.0, 1.2, (200, 3))
    log = light_to_log(torch.from_numpy(light)).numpy()
    science = colour_science()
    space = science.RGB_COLOURSPACES["ITU-R BT.709"]
    expected = science.XYZ_to_Lab(light @ space.matrix_RGB_to_XYZ.T, space.whitepoint)
    # the standard's matrix is rounded to four digits
    np.testing.assert_allclose(lab_from_log(log), expected, atol=0.05)


def test_a_printer_point_of_red_is_seen_and_equal_pictures_are_not() -> None:
    grey = np.full((5, 3), 0.45)
    shifted = grey + np.array([12.5 / 1023.0, 0.0, 0.0])
    assert delta_e_2000(grey, grey) == pytest.approx(0.0, abs=1e-9)
    assert 1.0 < delta_e_2000(grey, shifted) < 6.0


def test_loading_colour_science_leaves_openimageio_alone_and_exits_quietly() -> None:
    code = (
        "import OpenImageIO, torch\n"
        "from color.science import colour_science\n"
        "colour_science()\n"
        "import OpenImageIO as again\n"
        "assert again is OpenImageIO and again.ImageSpec(2, 2, 3, 'uint8').width == 2\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "leaked" not in done.stderr


def test_neutral_codes_are_neutral() -> None:
    lab = lab_from_log(np.array([[0.2] * 3, [685.0 / 1023.0] * 3]))
    np.testing.assert_allclose(lab[:, 1:], 0.0, atol=1e-5)
    np.testing.assert_allclose(lab[1, 0], 100.0, atol=1e-5)


def test_same_is_zero_and_difference_is_symmetric() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.uniform(0.1, 0.8, (2, 6, 5, 3))
    assert delta_e_2000(a, a) == 0.0
    np.testing.assert_allclose(delta_e_2000_each(a, b), delta_e_2000_each(b, a), atol=1e-9)
    assert np.isfinite(delta_e_2000(a - 0.5, b + 1.0))


def test_a_subsample_is_small_even_and_repeatable() -> None:
    image = np.arange(300.0).reshape(10, 10, 3)
    few = subsample(image, 7)
    assert few.shape == (7, 3)
    np.testing.assert_array_equal(few[[0, -1]], image.reshape(-1, 3)[[0, -1]])
    assert subsample(image, 1000).shape == (100, 3)
