"""Lines that hide the picture: what lies under them is borrowed from frames near by."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from media.passes import Effect, Mark, Window
from media.pictures import all_own
from restore.dirt.lines import HiddenLine, LineCoverOperator
from restore.scratch.apply import ScratchOperator
from restore.scratch.measure import ScratchProbe
from restore.scratch.options import ScratchOptions
from restore.scratch.solve import ScratchSolution, solve_scratch
from tests.restore.conftest import CLEAN, F32, FRAMES, SHOT, damage, observed, rendered, scene
from tests.strategies import psnr_db
from wetgate.executor import ShotRenderer

GRAIN = replace(CLEAN, grain_sigma=0.006)


def scraped(clean: F32, level: float = 0.9) -> tuple[F32, NDArray[np.bool_]]:
    """A line of 3 px down to the base that drifts over the film, and where it is."""
    rng = np.random.default_rng(7)
    frames, where = clean.copy(), np.zeros((len(clean), *clean.shape[2:]), np.bool_)
    for k in range(len(clean)):
        away = np.abs(np.arange(clean.shape[3]) - (130.0 + 0.08 * k))
        alpha = np.clip(2.0 - away, 0.0, 1.0).astype(np.float32)
        base = (level + rng.normal(0.0, 0.006, clean.shape[1:3])).astype(np.float32)
        frames[k] += (base[..., None] - frames[k]) * alpha
        where[k] |= alpha > 0.0
    return frames, where


def solved(frames: F32) -> ScratchSolution:
    return solve_scratch(observed(ScratchProbe(), frames), SHOT, ScratchOptions())


def operators(solution: ScratchSolution) -> tuple[ScratchOperator, LineCoverOperator]:
    hidden = {
        n: tuple(HiddenLine(p.x_px, p.width_px, p.top_px, p.bottom_px) for p in lines if p.hides)
        for n, lines in solution.places.items()
    }
    return ScratchOperator(solution.places), LineCoverOperator(hidden, 0.006)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("level", [0.9, 0.1])
def test_what_a_line_hides_is_borrowed_while_the_picture_moves(channels: int, level: float) -> None:
    clean = damage(scene("pan"), GRAIN)[0][:, :channels]
    frames, where = scraped(clean, level)
    lift, cover = operators(solved(frames))
    assert any(cover.places.values())
    lifted, _ = rendered([lift], frames)
    fixed, touch = rendered([lift, cover], frames)
    assert psnr_db(fixed, clean, where) > psnr_db(lifted, clean, where) + 4.0
    changed = (fixed != lifted).any(axis=1)
    assert (touch[changed] == int(Effect.BORROWED)).all()
    columns = np.abs(np.arange(frames.shape[3])[None] - (130.0 + 0.08 * np.arange(FRAMES))[:, None])
    assert not changed.any(axis=1)[columns > 4.0].any()
    assert (fixed == frames).all(axis=1)[touch == 0].all()


def test_a_line_that_lets_the_picture_through_is_only_lifted() -> None:
    frames, _ = damage(scene("pan"), replace(GRAIN, scratches=3))
    solution = solved(frames)
    assert solution.applied
    assert not any(p.hides for lines in solution.places.values() for p in lines)


def test_where_no_frame_shows_more_the_lifted_line_stays() -> None:
    moving = damage(scene("pan"), GRAIN)[0]
    frames, _ = scraped(moving)
    lift, cover = operators(solved(frames))
    still = scraped(damage(scene("still"), GRAIN)[0])[0]
    lifted, _ = rendered([lift], still)
    fixed, touch = rendered([lift, cover], still)
    borrowed = touch == int(Effect.BORROWED)
    assert float(borrowed.mean()) < 0.002
    assert np.array_equal(fixed.transpose(0, 2, 3, 1)[~borrowed],
                          lifted.transpose(0, 2, 3, 1)[~borrowed])  # fmt: skip


def test_order_does_not_matter_and_kept_pixels_stay() -> None:
    frames, where = scraped(damage(scene("pan"), GRAIN)[0])
    lift, cover = operators(solved(frames))
    kept = torch.zeros(frames.shape[2:], dtype=torch.uint8)
    kept[:80] = int(Mark.KEPT)

    def renderer() -> ShotRenderer:
        return ShotRenderer(
            "s0001",
            all_own(SHOT),
            lambda n: torch.from_numpy(frames[n - SHOT.start]),
            [lift, cover],
            marks=lambda number: kept if number in SHOT else torch.zeros_like(kept),
        )

    whole = renderer()
    done = [whole.frame(n).pixels.numpy() for n in SHOT]
    for n in (SHOT.start + 11, SHOT.start, SHOT.stop - 1):
        assert np.array_equal(renderer().frame(n).pixels.numpy(), done[n - SHOT.start])
    for k in range(FRAMES):
        assert np.array_equal(done[k][:, :80], frames[k][:, :80])
        assert (done[k][:, 80:] != frames[k][:, 80:])[:, where[k][80:]].any()


def test_its_key_knows_the_lines_of_neighbours_too() -> None:
    """What may be borrowed from a frame depends on the lines that lie on it."""
    frames, _ = scraped(damage(scene("pan"), GRAIN)[0])
    _, cover = operators(solved(frames))
    around = all_own(SHOT).around(SHOT.start + 12, cover.radius)
    fewer = {n: lines for n, lines in cover.places.items() if n != SHOT.start + 15}
    assert cover.key(around) != LineCoverOperator(fewer, cover.sigma).key(around)


def test_what_stays_is_said() -> None:
    frames, _ = scraped(damage(scene("pan"), GRAIN)[0])
    lift, cover = operators(solved(frames))
    still, _ = scraped(damage(scene("still"), GRAIN)[0])

    def caveats(shown: F32) -> tuple[str, ...]:
        reading = ShotRenderer(
            "s0001", all_own(SHOT), lambda n: torch.from_numpy(shown[n - SHOT.start]), [lift, cover]
        )
        return reading.frame(SHOT.start + 12).caveats

    assert any("no frame near by shows what lies there" in said for said in caveats(still))
    without = replace_places(cover)
    window = Window.whole(torch.from_numpy(frames), tuple(SHOT))
    assert without(window).caveats == ()


def replace_places(cover: LineCoverOperator) -> LineCoverOperator:
    """The same, for a shot without such lines."""
    return LineCoverOperator({}, cover.sigma)
