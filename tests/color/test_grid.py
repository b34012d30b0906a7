"""Blocks of two views: the same places, under zoom and motion, and nothing else."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from color.grid import Grid, agreeing, measure_grid, resting, shared_colors, thinned

F64 = NDArray[np.float64]

CLIP = (0.03, 0.97)


def scene(seed: int, height: int = 360, width: int = 480) -> NDArray[np.float32]:
    """Smooth color fields with a few hard shapes."""
    rng = np.random.default_rng(seed)
    small = rng.uniform(0.2, 0.6, (9, 12, 3)).astype(np.float32)
    image = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(30):
        x, y = int(rng.uniform(0, width)), int(rng.uniform(0, height))
        cv2.circle(image, (x, y), int(rng.uniform(8, 30)), rng.uniform(0.2, 0.6, 3).tolist(), -1)
    return np.asarray(image)


def grid_of(image: NDArray[np.float32]) -> Grid:
    return measure_grid(image, CLIP, 0.1)


def points(plane: F64) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Matches all over the picture that obey a plane."""
    x, y = np.meshgrid(np.linspace(20, 460, 12), np.linspace(20, 340, 9))
    p = np.stack([x.ravel(), y.ravel()], axis=1)
    moved = np.c_[p, np.ones(len(p))] @ plane.T
    return p.astype(np.float32), (moved[:, :2] / moved[:, 2:]).astype(np.float32)


def test_places_are_found_again_under_zoom_either_way() -> None:
    wide = scene(1)
    plane = np.array([[2.2, 0.0, -288.0], [0.0, 2.2, -216.0], [0.0, 0.0, 1.0]])
    near = cv2.warpAffine(wide, plane[:2], (480, 360), flags=cv2.INTER_CUBIC)
    p, q = points(plane)
    x, y = shared_colors(grid_of(wide), grid_of(near), plane, p, q, deep=False)
    assert len(x) > 60
    assert np.quantile(np.abs(x - y).max(axis=1), 0.9) < 0.02
    back_y, back_x = shared_colors(
        grid_of(near), grid_of(wide), np.linalg.inv(plane), q, p, deep=False
    )
    np.testing.assert_allclose(back_x, x)
    np.testing.assert_allclose(back_y, y)


def test_clipped_black_and_busy_blocks_say_nothing() -> None:
    image = scene(2)
    image[64:128, 64:128] = 0.99
    image[128:192, 64:128] = 0.02
    rng = np.random.default_rng(3)
    image[192:256, 64:128] += rng.normal(0, 0.2, (64, 64, 1)).astype(np.float32)
    grid = grid_of(image)
    assert (grid.even[9:15, 9:15] > 1.0).all()
    assert (grid.even[17:23, 9:15] > 1.0).all()
    assert (grid.even[25:31, 9:15] > 0.05).all()
    assert measure_grid(image[:4], CLIP, 0.1).log.size == 0


def test_what_moved_does_not_agree() -> None:
    rng = np.random.default_rng(4)
    known = rng.uniform(0.2, 0.6, (40, 3))
    grade = np.array([1.1, 0.9, 1.0]), np.array([-0.03, 0.02, 0.05])
    x = rng.uniform(0.2, 0.6, (200, 3))
    y = x * grade[0] + grade[1]
    y[:80] = rng.uniform(0.1, 0.7, (80, 3))
    same = agreeing(x, y, known, known * grade[0] + grade[1])
    assert same[80:].all()
    assert same[:80].mean() < 0.1


def test_a_standing_camera_is_found_without_keypoints_and_another_scene_is_not() -> None:
    a, other = scene(5), scene(6)
    b = np.roll(a, 8, axis=1) * np.float32(0.8) + np.float32(0.05)
    found = resting(grid_of(a), grid_of(b))
    assert found is not None
    assert found[0][0, 2] == 8.0
    assert found[1] > 0.9
    assert resting(grid_of(a), grid_of(other)) is None


def test_a_large_wall_does_not_outvote_the_rest() -> None:
    rng = np.random.default_rng(7)
    wall = np.full((500, 3), 0.41) + rng.normal(0, 0.001, (500, 3))
    rest = rng.uniform(0.15, 0.65, (40, 3))
    x, y = thinned(np.concatenate([wall, rest]), np.concatenate([wall, rest]) + 0.1)
    assert len(x) < 80
    np.testing.assert_allclose(y - x, 0.1)
    kept = {tuple(np.round(v, 9)) for v in x}
    assert sum(tuple(np.round(v, 9)) in kept for v in rest) >= 36
