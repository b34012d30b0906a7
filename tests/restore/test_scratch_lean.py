"""Lines that drift while the film runs, and so lean on each frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from media.passes import Window
from restore.scratch.apply import ScratchOperator
from restore.scratch.lean import goes_with, shifts
from restore.scratch.measure import ScratchProbe
from restore.scratch.options import ScratchOptions
from restore.scratch.solve import ScratchPlace, ScratchSolution, solve_scratch
from tests.restore.conftest import (
    CLEAN,
    F32,
    FRAMES,
    HEIGHT_PX,
    SHOT,
    WIDTH_PX,
    damage,
    observed,
    rendered,
    scene,
)
from tests.strategies import psnr_db

GRAINY = replace(CLEAN, grain_sigma=0.010)


def with_line(
    frames: F32, start_px: float, speed_px: float, lean_px: float, cover: float = 0.0
) -> tuple[F32, NDArray[np.bool_]]:
    """Frames with a light line 3 px wide, which moves and leans; and where it is. cover: 1 hides
    the picture."""
    out, where = frames.copy(), np.zeros((len(frames), *frames.shape[2:]), np.bool_)
    columns, way = np.arange(frames.shape[3]), shifts(frames.shape[2], lean_px)
    for k, frame in enumerate(out):
        centre = start_px + speed_px * (k + 0.5) + way
        alpha = np.clip(2.0 - np.abs(columns - centre[:, None]), 0.0, 1.0).astype(np.float32)
        lit = frame + np.float32(0.08)
        frame += alpha * ((1.0 - cover) * lit + cover * np.float32(0.75) - frame)
        where[k] = alpha > 0.1
    return out, where


def solved(frames: F32) -> ScratchSolution:
    return solve_scratch(observed(ScratchProbe(), frames), SHOT, ScratchOptions())


@pytest.mark.parametrize("kind", ["still", "pan", "drift"])
@pytest.mark.parametrize(
    ("start_px", "speed_px"), [(60.0, 0.7), (60.0, 2.0), (150.0, -2.0), (60.0, 3.0)]
)
def test_a_line_that_drifts_along_the_film_is_lifted(
    kind: str, start_px: float, speed_px: float
) -> None:
    """From the foot of one frame it goes on at the head of the next."""
    sound, _ = damage(scene(kind), GRAINY)
    frames, where = with_line(sound, start_px, speed_px, speed_px)
    solution = solved(frames)
    (line,) = solution.lines
    middle = start_px + speed_px * (np.arange(FRAMES) + 0.5)
    there = middle[line.first - SHOT.start :][: len(line.x_px)]
    assert float(np.abs(np.array(line.x_px) - there).mean()) < 0.6
    assert len(line.x_px) > 0.8 * FRAMES
    fixed = rendered([ScratchOperator(solution.places)], frames)[0]
    assert psnr_db(fixed, sound, where) > psnr_db(frames, sound, where) + 8.0
    assert psnr_db(fixed, sound, ~where) > 55.0


@pytest.mark.parametrize(
    ("speed_px", "lean_px", "cover"),
    [(2.0, 0.0, 0.0), (2.0, -2.0, 0.0), (2.0, 6.0, 0.0), (2.0, 2.0, 1.0), (0.9, 0.0, 1.0)],
    ids=["upright", "leans back", "leans too far", "hides, leaning", "hides, upright"],
)
def test_what_moves_and_does_not_lean_so_or_hides_the_picture_is_listed(
    speed_px: float, lean_px: float, cover: float
) -> None:
    sound, _ = damage(scene("still"), GRAINY)
    frames, _ = with_line(sound, 60.0, speed_px, lean_px, cover)
    solution = solved(frames)
    assert solution.lines == ()
    assert any("in the scene" in line.reason for line in solution.rejected)


@pytest.mark.parametrize("lean_px", [1.5, -4.0, 9.0])
def test_only_the_pixels_of_a_leaning_line_change(lean_px: float) -> None:
    sound, _ = damage(scene("pan"), CLEAN)
    frames, where = with_line(sound[:1], 120.0, 0.0, lean_px)
    place = ScratchPlace(x_px=120.0, width_px=3.0, top_px=0, bottom_px=HEIGHT_PX, lean_px=lean_px)
    window = Window.whole(torch.from_numpy(frames), (0,))
    done = ScratchOperator({0: (place,)})(window).pixels.numpy()
    columns = np.arange(WIDTH_PX)
    apart = np.abs(columns - (120.0 + shifts(HEIGHT_PX, lean_px))[:, None])
    assert np.array_equal(done[..., apart > 4.5], frames[..., apart > 4.5])
    assert psnr_db(done, sound[:1], where) > psnr_db(frames, sound[:1], where) + 8.0


def test_a_leaning_line_at_the_edge_of_the_frame_stays_inside_it() -> None:
    sound, _ = damage(scene("pan"), CLEAN)
    place = ScratchPlace(x_px=1.0, width_px=3.0, top_px=0, bottom_px=HEIGHT_PX, lean_px=6.0)
    window = Window.whole(torch.from_numpy(sound[:1]), (0,))
    done = ScratchOperator({0: (place,)})(window).pixels.numpy()
    assert np.array_equal(done[..., 12:], sound[:1, :, :, 12:])
    assert bool(np.isfinite(done).all())


def test_a_lean_that_goes_with_a_drift() -> None:
    assert goes_with(2.0, 2.0, 160)
    assert goes_with(-3.0, -4.0, 160)
    assert not goes_with(2.0, -2.0, 160)
    assert not goes_with(0.0, 3.0, 160)
    assert not goes_with(5.0, 0.0, 160)
    # A scan that is turned by a fifth of a degree.
    assert goes_with(3.5, 0.0, 1080)
