"""A CDL written around its mid-tone: the same CDL, and derivatives that are right."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from color.cdl import CDL, IDENTITY, apply_cdl
from color.curve import SIZE, bounded, evaluate, from_cdl, to_cdl
from color.fit import fit_cdl
from media.errors import ConfigError

near_one = st.floats(0.7, 1.4)
small = st.floats(-0.12, 0.12)
cdls = st.builds(
    CDL,
    st.tuples(near_one, near_one, near_one),
    st.tuples(small, small, small),
    st.tuples(near_one, near_one, near_one),
    near_one,
)


@given(cdls)
def test_there_and_back(cdl: CDL) -> None:
    np.testing.assert_allclose(to_cdl(from_cdl(cdl)).as_list(), cdl.as_list(), atol=1e-9)


def test_no_parameter_is_the_identity() -> None:
    np.testing.assert_allclose(to_cdl(np.zeros(SIZE)).as_list(), IDENTITY.as_list(), atol=1e-15)


@given(cdls)
def test_it_does_what_the_cdl_does_and_knows_its_slopes(cdl: CDL) -> None:
    theta = from_cdl(cdl)
    colors = np.random.default_rng(3).uniform(0.25, 0.7, (6, 3))
    found = evaluate(colors, theta)
    np.testing.assert_allclose(found.value, apply_cdl(colors, cdl, clamp=False), atol=1e-9)
    for k in range(SIZE):
        step = np.zeros(SIZE)
        step[k] = 1e-6
        both = evaluate(colors, theta + step).value - evaluate(colors, theta - step).value
        np.testing.assert_allclose(found.slope[:, :, k], both / 2e-6, atol=1e-5)


def test_any_parameters_give_a_usable_cdl() -> None:
    rng = np.random.default_rng(4)
    for _ in range(50):
        wild = rng.normal(0.0, 3.0, SIZE)
        assert np.isfinite(to_cdl(wild).as_list()).all()
        np.testing.assert_array_equal(bounded(bounded(wild)), bounded(wild))


@given(cdls)
def test_a_cdl_is_recovered_from_clean_colors(cdl: CDL) -> None:
    colors = np.random.default_rng(5).uniform(0.15, 0.7, (200, 3))
    target = apply_cdl(colors, cdl, clamp=False)
    if target.min() < 0.01:
        return
    found = fit_cdl(colors, target)
    np.testing.assert_allclose(found.cdl.as_list(), cdl.as_list(), atol=1e-3)
    assert found.rms_log < 1e-4


def test_robust_fitting_forgets_strangers() -> None:
    rng = np.random.default_rng(6)
    cdl = CDL((1.1, 0.95, 1.0), (-0.03, 0.02, 0.0), (1.05, 1.0, 0.95), 1.1)
    x = rng.uniform(0.15, 0.7, (200, 3))
    y = apply_cdl(x, cdl, clamp=False)
    y[:40] = rng.uniform(0.1, 0.7, (40, 3))
    found = fit_cdl(x, y, robust_log=0.005).cdl
    np.testing.assert_allclose(found.as_list(), cdl.as_list(), atol=5e-3)
    assert np.abs(np.array(fit_cdl(x, y).cdl.as_list()) - cdl.as_list()).max() > 0.02


def test_too_few_colors_are_refused() -> None:
    with pytest.raises(ConfigError, match="5 colors"):
        fit_cdl(np.zeros((5, 3)), np.zeros((5, 3)))
