"""What holds for any flicker, any fade and any camera, not only for the examples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from media.encoding import STOP
from restore.flicker.measure import FlickerProbe
from restore.flicker.solve import FlickerOptions, FlickerSolution, solve_flicker
from restore.weave.camera import camera_path
from restore.weave.measure import WeaveProbe
from restore.weave.solve import WeaveOptions, solve_weave
from tests.restore.conftest import CLEAN, F32, FRAMES, SHOT, damage, observed, scene

SEEDS = st.integers(0, 10_000)
STILL = settings(max_examples=4)


def solved(frames: F32) -> FlickerSolution:
    return solve_flicker(observed(FlickerProbe(), frames), SHOT, FlickerOptions())


def faded(to_stops: float) -> F32:
    clean = scene("still").copy()
    fade = np.linspace(0.0, to_stops, FRAMES) * STOP
    clean += fade.astype(np.float32)[:, None, None, None]
    return clean


@STILL
@given(seed=SEEDS, stops=st.floats(0.03, 0.25), local=st.floats(0.0, 0.12))
def test_corrections_have_no_mean(seed: int, stops: float, local: float) -> None:
    what = replace(CLEAN, flicker_stops=stops, flicker_local_stops=local)
    frames, _ = damage(scene("still"), what, seed)
    solution = solved(frames)
    assert np.abs(solution.exposure_stops.mean(axis=0)).max() < 1e-9
    assert np.abs(solution.grid_stops.mean(axis=0)).max(initial=0.0) < 1e-9


@STILL
@given(seed=SEEDS, to_stops=st.floats(-1.3, -0.3))
def test_a_fade_is_what_it_was(seed: int, to_stops: float) -> None:
    frames, _ = damage(faded(to_stops), replace(CLEAN, grain_sigma=0.006), seed)
    solution = solved(frames)
    assert np.abs(solution.exposure_stops).max() < 0.02


@STILL
@given(seed=SEEDS, grain=st.floats(0.0, 0.012))
def test_a_steady_picture_is_not_harmed(seed: int, grain: float) -> None:
    frames, _ = damage(scene("pan"), replace(CLEAN, grain_sigma=grain), seed)
    assert np.abs(solved(frames).exposure_stops).max() < 0.02
    weave = solve_weave(observed(WeaveProbe(1.0), frames), SHOT, WeaveOptions())
    assert not weave.applied
    assert not weave.dx_px.any()
    assert not weave.turn_deg.any()


def _sway(
    t: NDArray[np.float64], size_px: float, period: float, drift: float
) -> NDArray[np.float64]:
    return np.asarray(size_px * np.sin(6.2832 * t / period) + drift * t)


@settings(max_examples=25)
@given(
    size_px=st.floats(0.0, 30.0), period=st.floats(40.0, 120.0), drift=st.floats(-3.0, 3.0),
    n=st.integers(24, 90),
)  # fmt: skip
def test_a_camera_without_weave_keeps_its_whole_path(
    size_px: float, period: float, drift: float, n: int
) -> None:
    path = _sway(np.arange(n, dtype=np.float64), size_px, period, drift)
    camera = camera_path(path, np.ones(n))
    assert camera.jumps == ()
    # Below what is corrected at all.
    assert np.sqrt(np.square(path - camera.meant).mean()) < WeaveOptions().floor_px


@settings(max_examples=25)
@given(seed=SEEDS, n=st.integers(20, 40), hole=st.integers(3, 8))
def test_frames_that_were_not_measured_are_no_evidence(seed: int, n: int, hole: int) -> None:
    """A camera that stood is not thought to have followed the weave because some are missing."""
    path = np.random.default_rng(seed).normal(0.0, 0.8, n)
    trust = np.ones(n)
    trust[8 : 8 + hole] = 0.0
    path[8 : 8 + hole] = np.linspace(path[7], path[8 + hole], hole + 2)[1:-1]
    meant = camera_path(path, trust).meant[trust > 0.0]
    assert np.sqrt(np.square(meant - meant.mean()).mean()) < 0.5


@settings(max_examples=25)
@given(seed=SEEDS, n=st.integers(30, 120), at=st.floats(0.3, 0.7), step_px=st.floats(5.0, 14.0))
def test_a_step_is_found_where_it_is(seed: int, n: int, at: float, step_px: float) -> None:
    k = round(at * n)
    path = np.random.default_rng(seed).normal(0.0, 0.6, n)
    path[k:] += step_px
    camera = camera_path(path, np.ones(n))
    assert camera.jumps == (k,)
    assert abs(camera.steps[-1] - step_px) < 0.8
