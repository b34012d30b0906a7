"""Scratches: found while the picture moves or shows through, told from poles, lifted off."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from media.frames import FrameRange
from media.passes import Effect, Window
from media.synthetic import Damage, Truth
from restore.scratch.apply import ScratchOperator
from restore.scratch.ends import STANDS
from restore.scratch.measure import FIELDS, ScratchProbe, find_lines
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
from tests.strategies import psnr_db, with_pole

LINES = replace(CLEAN, grain_sigma=0.010, scratches=3)
EVERYTHING = replace(
    LINES, flicker_stops=0.1, flicker_local_stops=0.05, weave_px=(1.0, 0.8), dirt_per_frame=2.0
)


def solved(frames: F32) -> ScratchSolution:
    return solve_scratch(observed(ScratchProbe(), frames), SHOT, ScratchOptions())


def found(solution: ScratchSolution, truth: Truth) -> int:
    """How many true lines are among the lines to repair."""
    hits = 0
    for centre in truth.scratch_x_px.T:
        off = [
            float(
                np.mean(
                    np.abs(
                        np.array(line.x_px) - centre[line.first - SHOT.start :][: len(line.x_px)]
                    )
                )
            )
            for line in solution.lines
        ]
        hits += min(off, default=99.0) < 1.5
    return hits


def repaired(frames: F32, solution: ScratchSolution) -> F32:
    return rendered([ScratchOperator(solution.places)], frames)[0]


@pytest.mark.parametrize("kind", ["pan", "drift", "foreground"])
@pytest.mark.parametrize("what", [LINES, EVERYTHING], ids=["lines", "everything"])
def test_lines_over_a_moving_picture(kind: str, what: Damage) -> None:
    frames, truth = damage(scene(kind), what)
    clean, _ = damage(scene(kind), replace(what, scratches=0))
    solution = solved(frames)
    assert found(solution, truth) == 3
    assert len(solution.lines) == 3
    fixed = repaired(frames, solution)
    before = psnr_db(frames, clean, truth.scratches)
    assert psnr_db(fixed, clean, truth.scratches) >= before + 4.0
    assert psnr_db(fixed, clean) >= psnr_db(frames, clean) + 1.5


def test_recall_and_precision_with_a_pole_in_the_scene() -> None:
    """A dark pole that moves with the scene, or by itself, is listed and left alone."""
    true = hits = kept = 0
    for kind, step_px in (("pan", -2.0), ("pan", 1.0), ("still", 1.0), ("drift", -1.37)):
        for seed in (1, 3):
            clean = with_pole(scene(kind, seed), step_px)
            frames, truth = damage(clean, LINES, seed)
            solution = solved(frames)
            true, hits, kept = true + 3, hits + found(solution, truth), kept + len(solution.lines)
    assert hits / true >= 0.9
    assert hits / kept >= 0.85


@pytest.mark.parametrize(
    ("kind", "step_px", "words"),
    [
        ("pan", -2.0, "in the scene"),
        ("drift", -0.35, "in the scene"),
        ("still", 1.0, "in the scene"),
        ("still", 0.0, "hides the picture"),
    ],
)
def test_a_pole_is_listed_with_the_reason(kind: str, step_px: float, words: str) -> None:
    clean = scene(kind)
    if step_px == -0.35:
        # A slow pan whose pole is slower than what counts as moving by itself.
        clean = np.stack(
            [np.roll(scene("still")[0], -round(0.35 * k), axis=2) for k in range(FRAMES)]
        )
    frames, _ = damage(with_pole(clean, step_px), replace(LINES, scratches=0))
    solution = solved(frames)
    assert not solution.applied
    assert any(words in line.reason for line in solution.rejected)
    assert solution.places == {}


@pytest.mark.parametrize("kind", ["still", "pan", "drift", "foreground", "ball"])
@pytest.mark.parametrize("seed", [1, 2])
def test_no_lines_no_repair(kind: str, seed: int) -> None:
    frames, _ = damage(scene(kind, seed), replace(EVERYTHING, scratches=0), seed)
    solution = solved(frames)
    assert not solution.applied
    assert solution.lines == ()


def test_a_full_height_line_over_a_still_picture() -> None:
    frames, truth = damage(scene("still"), LINES, 1)
    clean, _ = damage(scene("still"), replace(LINES, scratches=0), 1)
    solution = solved(frames)
    assert found(solution, truth) == 3
    fixed = repaired(frames, solution)
    assert psnr_db(fixed, clean, truth.scratches) >= psnr_db(frames, clean, truth.scratches) + 4.0


def test_only_the_columns_of_the_line_change() -> None:
    frames, truth = damage(scene("pan"), LINES)
    solution = solved(frames)
    fixed, touch = rendered([ScratchOperator(solution.places)], frames)
    changed = (fixed != frames).any(axis=1)
    assert set(np.unique(touch)) == {0, int(Effect.ADJUSTED)}
    assert np.array_equal(changed, touch > 0)
    for k in range(FRAMES):
        columns = np.flatnonzero(changed[k].any(axis=0))
        far = np.abs(columns[:, None] - truth.scratch_x_px[k][None]).min(axis=1)
        assert float(far.max()) <= 8.0


def test_detail_below_the_line_stays() -> None:
    """An offset over fine detail: what remains follows the detail, not a smooth fill."""
    clean, _ = damage(scene("drift"), CLEAN)
    frames = clean.copy()
    frames[:, :, :, 120:123] += 0.08
    place = ScratchPlace(x_px=121.0, width_px=3.0, top_px=0, bottom_px=HEIGHT_PX)
    fixed, _ = rendered([ScratchOperator(dict.fromkeys(SHOT, (place,)))], frames)
    under = np.s_[:, 1, :, 121]
    kept = [
        np.corrcoef(np.diff(a), np.diff(b))[0, 1]
        for a, b in zip(fixed[under], clean[under], strict=True)
    ]
    assert float(np.mean(kept)) > 0.95


def test_a_line_that_ends_inside_the_frame() -> None:
    frames, _ = damage(scene("pan"), CLEAN)
    place = ScratchPlace(x_px=80.0, width_px=2.0, top_px=40, bottom_px=100)
    _, touch = rendered([ScratchOperator(dict.fromkeys(SHOT, (place,)))], frames)
    rows = np.flatnonzero(touch.any(axis=(0, 2)))
    assert (int(rows.min()), int(rows.max())) == (40, 99)


@pytest.mark.parametrize("x_px", [0.0, 1.0, 238.0, 239.0, 500.0, -9.0])
def test_a_line_at_the_edge(x_px: float) -> None:
    frames, _ = damage(scene("pan"), CLEAN)
    place = ScratchPlace(x_px=x_px, width_px=2.0, top_px=0, bottom_px=HEIGHT_PX)
    window = Window.whole(torch.from_numpy(frames[:1]), (SHOT.start,))
    done = ScratchOperator({SHOT.start: (place,)})(window)
    assert bool(torch.isfinite(done.pixels).all())


def test_a_step_edge_is_no_line() -> None:
    plane = np.full((160, 240), 0.3, np.float32)
    plane[:, 120:] = 0.5
    assert find_lines(plane) == []
    plane[:, 60:62] += 0.05
    lines = find_lines(plane)
    assert len(lines) == 1
    assert lines[0][0] == pytest.approx(60.5, abs=0.6)
    assert lines[0][2] == pytest.approx(0.05, abs=0.01)


def test_short_shots_and_small_frames_are_left_alone() -> None:
    frames, _ = damage(scene("pan"), LINES)
    shot = FrameRange(SHOT.start, SHOT.start + 4)
    short = solve_scratch(observed(ScratchProbe(), frames[:4]), shot, ScratchOptions())
    assert "only 4 pictures" in short.reason
    assert find_lines(np.zeros((20, 20), np.float32)) == []
    gray = observed(ScratchProbe(), frames[:, :1])
    assert solve_scratch(gray, SHOT, ScratchOptions()).applied


def lifted(frame: F32, *places: ScratchPlace) -> F32:
    window = Window.whole(torch.from_numpy(frame[None]), (0,))
    return ScratchOperator({0: places})(window).pixels[0].numpy()


def test_a_line_beside_another_is_no_ground_for_it() -> None:
    clean = damage(scene("pan"), CLEAN)[0][3]
    frame = clean.copy()
    frame[:, :, 60:62] += 0.10
    frame[:, :, 65:67] -= 0.10
    lines = [
        ScratchPlace(x_px=x, width_px=2.0, top_px=0, bottom_px=HEIGHT_PX) for x in (60.5, 65.5)
    ]
    left = np.abs((lifted(frame, *lines) - clean).mean(axis=(0, 1)))
    alone = np.abs((lifted(frame, lines[0]) - clean).mean(axis=(0, 1)))
    assert left[60:67].max() < 0.015
    assert left[60:62].max() < 0.3 * alone[60:62].max()


def test_two_lines_that_are_found_as_one_do_not_darken_what_lies_between() -> None:
    clean = damage(scene("pan"), CLEAN)[0][3]
    frame = clean.copy()
    frame[:, :, 60:62] += 0.08
    frame[:, :, 64:66] += 0.08
    both = ScratchPlace(x_px=62.5, width_px=6.0, top_px=0, bottom_px=HEIGHT_PX, strength=0.05)
    left = (lifted(frame, both) - clean).mean(axis=(0, 1))
    assert np.abs(left[62:64]).max() < 0.005
    assert np.abs(left[60:66]).max() < 0.01


def boxed(frames: F32, rows: tuple[int, int], columns: tuple[int, int], px: int, to: float) -> F32:
    """The shot with a frame of this width laid over it that stands still."""
    out = frames.copy()
    (top, bottom), (left, right) = rows, columns
    for there in (np.s_[top:bottom, left : left + px], np.s_[top:bottom, right - px : right]):
        out[:, :, there[0], there[1]] = to
    for there in (np.s_[top : top + px, left:right], np.s_[bottom - px : bottom, left:right]):
        out[:, :, there[0], there[1]] = to
    return out


@pytest.mark.parametrize("kind", ["pan", "drift"])
@pytest.mark.parametrize(
    ("rows", "columns", "px", "to"),
    [
        ((20, 140), (60, 180), 3, 0.8),
        ((8, 152), (60, 180), 3, 0.1),
        ((20, 140), (60, 180), 2, 0.55),
        ((10, 150), (150, 158), 4, 0.1),
        ((6, 154), (150, 154), 2, 0.9),
        ((0, 120), (150, 156), 3, 0.1),
    ],
    ids=["title card", "large, dark", "faint", "bar of 8 px", "nearly full height", "from the top"],
)
def test_a_box_over_a_moving_picture_is_no_scratch(
    kind: str, rows: tuple[int, int], columns: tuple[int, int], px: int, to: float
) -> None:
    clean, _ = damage(scene(kind), replace(CLEAN, grain_sigma=0.010))
    frames = boxed(clean, rows, columns, px, to)
    solution = solved(frames)
    assert solution.lines == ()
    sides = 1 if columns[1] - columns[0] == 2 * px else 2
    assert [line.reason for line in solution.rejected].count(STANDS) == sides
    assert np.array_equal(repaired(frames, solution), frames)


def test_a_line_that_is_seen_again_beyond_a_gap_has_no_end_there() -> None:
    """What crosses it hides it over a still picture at the same rows on every frame."""
    plane = np.full((HEIGHT_PX, WIDTH_PX), 0.4, np.float32)
    plane[:, :60] = 0.6
    plane += np.random.default_rng(1).normal(0.0, 0.004, plane.shape).astype(np.float32)
    plane[64:, 120:122] += 0.07
    (ending,) = find_lines(plane)
    plane[:24, 120:122] += 0.045
    (again,) = find_lines(plane)
    step = FIELDS.index("first_step") - 1
    assert ending[step] > 0.5
    assert again[step] == 0.0


@pytest.mark.parametrize("kind", ["pan", "drift"])
@pytest.mark.parametrize("strength", [0.1, -0.1, 0.05])
@pytest.mark.parametrize("what", ["fades", "comes and goes", "in a mask"])
def test_a_line_that_ends_inside_some_frames_is_still_one(
    kind: str, strength: float, what: str
) -> None:
    frames, _ = damage(scene(kind), replace(CLEAN, grain_sigma=0.010))
    line = frames[:, :, :, 120:122]
    if what == "fades":
        line += strength * np.clip((150.0 - np.arange(HEIGHT_PX)) / 40.0, 0.0, 1.0)[:, None]
    elif what == "in a mask":
        line += strength
        frames[:, :, :16] = frames[:, :, -16:] = 0.09
    else:
        line[5, :, 90:] += strength
        line[6:18] += strength
        line[18, :, :40] += strength
    solution = solved(frames)
    assert len(solution.lines) == 1
    assert solution.lines[0].x_px[0] == pytest.approx(120.5, abs=1.0)


def edged(x_px: int, strength: float, seed: int = 1) -> tuple[F32, F32]:
    """A moving shot, and the same with a line of 2 px from this column on."""
    clean, _ = damage(scene("pan", seed), replace(CLEAN, grain_sigma=0.006))
    frames = clean.copy()
    frames[..., x_px : x_px + 2] += strength
    return clean, frames


@pytest.mark.parametrize("x_px", [3, 4, 5, WIDTH_PX - 7, WIDTH_PX - 6, WIDTH_PX - 5])
@pytest.mark.parametrize("strength", [0.09, -0.09])
def test_a_line_near_the_edge_is_lifted_where_the_picture_goes_on_behind_it(
    x_px: int, strength: float
) -> None:
    clean, frames = edged(x_px, strength)
    solution = solved(frames)
    places = [float(np.median(line.x_px)) for line in solution.lines]
    assert places == [pytest.approx(x_px + 0.5, abs=0.5)]
    fixed = repaired(frames, solution)
    columns = np.s_[..., max(0, x_px - 3) : x_px + 5]
    assert np.abs(fixed - clean)[columns].mean() < 0.4 * np.abs(frames - clean)[columns].mean()


@pytest.mark.parametrize("x_px", [0, 1, WIDTH_PX - 3, WIDTH_PX - 2])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_line_at_the_very_edge_is_never_passed_over(x_px: int, seed: int) -> None:
    _, frames = edged(x_px, 0.09, seed)
    solution = solved(frames)
    seen = [
        line for line in (*solution.lines, *solution.rejected) if line.x_px[0] // 8 == x_px // 8
    ]
    assert len(seen) == 1
    assert seen[0] in solution.lines or "edge of the frame" in seen[0].reason


@pytest.mark.parametrize("mask_px", [2, 3, 8])
def test_a_narrow_mask_is_no_scratch(mask_px: int) -> None:
    clean, _ = damage(scene("pan"), replace(CLEAN, grain_sigma=0.006))
    clean[..., :mask_px] = 0.09
    clean[..., mask_px : mask_px + 2] += 0.2
    solution = solved(clean)
    assert solution.lines == ()
    assert any("edge of the frame" in line.reason for line in solution.rejected)


@pytest.mark.parametrize("strengths", [(0.08, 0.08), (-0.07, -0.05), (0.08, -0.08)])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_lines_that_cross_are_lifted_or_listed_on_every_frame(
    strengths: tuple[float, float], seed: int
) -> None:
    clean, _ = damage(scene("pan", seed), replace(CLEAN, grain_sigma=0.006))
    frames = clean.copy()
    k, x = np.arange(FRAMES)[:, None], np.arange(WIDTH_PX)[None]
    paths = (100.0 + 0.35 * k, 100.0 + 0.35 * (FRAMES - 1 - k))
    for path, strength in zip(paths, strengths, strict=True):
        frames += (strength * np.clip(1.5 - np.abs(x - path), 0.0, 1.0))[:, None, None]
    solution = solved(frames)
    for path in paths:
        said = np.zeros(FRAMES, np.bool_)
        for line in (*solution.lines, *solution.rejected):
            here = np.arange(line.first, line.first + len(line.x_px)) - SHOT.start
            said[here] |= np.abs(np.array(line.x_px) - path[here, 0]) < 0.5 * line.width_px + 1.5
        assert said.mean() > 0.8
    there = np.broadcast_to((x > 96) & (x < 113), (FRAMES, HEIGHT_PX, WIDTH_PX))
    assert psnr_db(repaired(frames, solution), clean, there) > psnr_db(frames, clean, there) + 4.5
