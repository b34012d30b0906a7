"""The color difference against colour-science's own chain."""

from __future__ import annotations

import warnings

import numpy as np
import torch

from color.difference import ciede2000, delta_e_2000, delta_e_2000_each, lab_from_log, subsample
from media.encoding import light_to_log


def test_lab_is_that_of_colour_science() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import colour
    rng = np.random.default_rng(3)
    light = rng.uniform(0.0, 1.2, (200, 3))
    log = light_to_log(torch.from_numpy(light)).numpy()
    xyz = light @ colour.RGB_COLOURSPACES["ITU-R BT.709"].matrix_RGB_to_XYZ.T
    white = colour.RGB_COLOURSPACES["ITU-R BT.709"].whitepoint
    expected = colour.XYZ_to_Lab(xyz, white)
    # the standard's matrix is rounded to four digits there
    np.testing.assert_allclose(lab_from_log(log), expected, atol=0.05)


def test_ciede2000_is_that_of_colour_science() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from colour.difference import delta_E_CIE2000
    rng = np.random.default_rng(5)
    a = rng.uniform((0, -110, -110), (100, 110, 110), (20000, 3))
    near = a + rng.normal(0.0, 3.0, a.shape)
    far = rng.permutation(a)
    grey = a * (1.0, 0.0, 0.0)
    for b in (near, far, grey, a * (1.0, -1.0, -0.99)):
        np.testing.assert_allclose(ciede2000(a, b), delta_E_CIE2000(a, b), atol=1e-9)


def test_published_pairs() -> None:
    # Sharma, Wu, Dalal 2005, table 1, pairs 1, 7, 15, 20 and 34.
    a = [
        (50, 2.6772, -79.7751),
        (50, 0, 0),
        (50, -0.001, 2.49),
        (50, 2.5, 0),
        (2.0776, 0.0795, -1.135),
    ]
    b = [
        (50, 0, -82.7485),
        (50, -1, 2),
        (50, 0.0011, -2.49),
        (73, 25, -18),
        (0.9033, -0.0636, -0.5514),
    ]
    found = ciede2000(np.array(a, dtype=np.float64), np.array(b, dtype=np.float64))
    np.testing.assert_allclose(found, [2.0425, 2.3669, 4.7461, 27.1492, 0.9082], atol=1e-4)


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
