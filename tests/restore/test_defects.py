"""A defect map: placed, cleaned of the picture, made masks that find dirt; refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from media.passes import Mark
from media.pictures import all_own
from media.synthetic_map import infrared
from restore.defects.masks import defect_mask
from restore.defects.measure import DefectProbe
from restore.defects.solve import MapFit, solve_defects
from restore.dirt.apply import DirtOperator
from restore.dirt.detect import DirtOptions
from tests.restore.conftest import F32, FRAMES, SHOT, damage, scene
from tests.restore.test_dirt import DIRT, NO_DIRT, SIGMA, scores
from wetgate.executor import ShotRenderer


def evidence(frames: F32, planes: F32, *, bright: bool = False) -> dict[str, Any]:
    probe = DefectProbe(bright=bright)
    pictures = [torch.from_numpy(f) for f in frames]
    for k in range(0, len(frames), 4):
        beside = [*pictures[max(k - 1, 0) : k], *pictures[k + 1 : k + 2]]
        probe.observe(SHOT.start + k, pictures[k], planes[k], beside)
    return dict(probe.finish())


def masks(frames: F32, planes: F32, fit: MapFit, *, bright: bool = False) -> NDArray[np.bool_]:
    return np.stack(
        [defect_mask(f, p, fit, bright=bright)[0] for f, p in zip(frames, planes, strict=True)]
    )


@pytest.mark.parametrize("kind", ["still", "pan", "foreground", "ball"])
def test_dirt_is_found_by_the_map(kind: str) -> None:
    frames, truth = damage(scene(kind), DIRT)
    planes = infrared(frames, truth.dirt, 9)
    fit = solve_defects(evidence(frames, planes), 3)
    assert fit.applied
    assert (fit.dx_px, fit.dy_px) == pytest.approx((-1.3, 2.6), abs=0.35)
    f1, spurious = scores(masks(frames, planes, fit), truth.dirt)
    assert f1 >= 0.97
    assert spurious <= 0.0006


@pytest.mark.parametrize(
    "more", [{"bright": True}, {"crosstalk": 0.1}, {"noise": 0.02}, {"shift_px": (0.0, 0.0)}]
)
def test_other_maps_do_as_well(more: dict[str, Any]) -> None:
    frames, truth = damage(scene("pan"), DIRT)
    planes = infrared(frames, truth.dirt, 4, **more)
    bright = bool(more.get("bright"))
    fit = solve_defects(evidence(frames, planes, bright=bright), 3)
    assert fit.applied
    assert scores(masks(frames, planes, fit, bright=bright), truth.dirt)[0] >= 0.97


@pytest.mark.parametrize(("kind", "channels"), [("pan", 3), ("foreground", 1)])
def test_a_map_that_shows_the_picture_is_refused(kind: str, channels: int) -> None:
    frames, truth = damage(scene(kind), DIRT)
    frames = frames[:, :channels]
    planes = infrared(frames, truth.dirt, 9, crosstalk=0.9)
    fit = solve_defects(evidence(frames, planes), channels)
    assert not fit.applied
    assert ("silver black-and-white" if channels == 1 else "Kodachrome") in fit.reason
    assert "alpha" in fit.reason
    assert "multiplied" in fit.reason
    assert not masks(frames[:2], planes[:2], fit).any()


def test_a_map_of_another_reel_is_refused() -> None:
    frames, _ = damage(scene("pan"), DIRT)
    other, truth = damage(scene("pan", 5), DIRT, seed=8)
    fit = solve_defects(evidence(frames, infrared(other, truth.dirt, 9)), 3)
    assert not fit.applied
    assert "cannot be placed" in fit.reason or "shows the picture" in fit.reason


@pytest.mark.parametrize("bright", [False, True])
def test_a_map_that_calls_all_of_the_picture_dirt_is_refused(bright: bool) -> None:
    frames, _ = damage(scene("pan"), DIRT)
    size = (len(frames), *frames.shape[2:])
    empty = np.full(size, 1.0 if bright else 0.0, np.float32)
    fit = solve_defects(evidence(frames, empty, bright=bright), 3)
    assert not fit.applied
    assert "defect_map_means" in fit.reason
    clear = np.full(size, 0.0 if bright else 1.0, np.float32)
    assert solve_defects(evidence(frames, clear, bright=bright), 3).applied


@pytest.mark.parametrize("bright", [False, True])
def test_a_map_the_wrong_way_round_is_refused(bright: bool) -> None:
    frames, truth = damage(scene("pan"), DIRT)
    planes = infrared(frames, truth.dirt, 4, bright=bright)
    fit = solve_defects(evidence(frames, planes, bright=not bright), 3)
    assert not fit.applied
    assert "defect_map_means" in fit.reason


def test_a_clean_map_marks_next_to_nothing() -> None:
    frames, truth = damage(scene("pan"), NO_DIRT)
    planes = infrared(frames, truth.dirt, 9)
    fit = solve_defects(evidence(frames, planes), 3)
    assert float(masks(frames, planes, fit).mean()) < 1e-4


def test_what_the_map_names_is_repaired_and_nothing_else() -> None:
    """Dirt in the same place on three frames, which motion says nothing about."""
    frames, _ = damage(scene("still"), NO_DIRT)
    dirty = frames.copy()
    y, x = np.mgrid[0 : frames.shape[2], 0 : frames.shape[3]]
    speck = (y - 70) ** 2 + (x - 100) ** 2 < 16
    known = np.zeros(frames.shape[0:1] + frames.shape[2:], np.bool_)
    for k in (9, 10, 11):
        dirty[k][:, speck] = 0.8
        known[k] = speck

    def marks(number: int) -> torch.Tensor:
        plane = known[number - SHOT.start].astype(np.uint8) * np.uint8(Mark.DAMAGED)
        return torch.from_numpy(plane)

    def read(number: int) -> torch.Tensor:
        return torch.from_numpy(dirty[number - SHOT.start])

    operator = DirtOperator(sigma=SIGMA, options=DirtOptions())
    renderer = ShotRenderer("R1_0010", all_own(SHOT), read, [operator], marks=marks)
    for number in SHOT:
        done = renderer.frame(number)
        touched = (done.touch > 0).numpy()
        k = number - SHOT.start
        assert bool(touched[known[k]].all())
        same = done.pixels.numpy()[:, ~touched]
        np.testing.assert_array_equal(same, dirty[k][:, ~touched])
    assert FRAMES > 12
