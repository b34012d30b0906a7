"""What every repair leans on, and the damage the tests are made of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from restore.alignment import brought_onto, brought_onto_on_device
from restore.motion import (
    blur,
    distinct_neighbours,
    find_flow,
    flow_tensor,
    highest,
    luma,
    steering_image,
    warp,
)
from restore.smoothing import smooth_part, solve_path
from tests.restore.conftest import CLEAN, damage, scene


def planes(seed: int = 1) -> torch.Tensor:
    return torch.rand(2, 3, 40, 50, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("sigma_px", [0.8, 1.5, 6.0])
def test_blur_is_the_gaussian_it_says(sigma_px: float) -> None:
    radius = max(1, int(3.0 * sigma_px + 0.5))
    x = torch.arange(-radius, radius + 1, dtype=torch.float64)
    k = torch.exp(-0.5 * (x / sigma_px) ** 2)
    k = k / k.sum()
    padded = F.pad(planes().double(), (radius,) * 4, mode="replicate").reshape(
        6, 1, 40 + 2 * radius, 50 + 2 * radius
    )
    expected = F.conv2d(F.conv2d(padded, k.view(1, 1, 1, -1)), k.view(1, 1, -1, 1))
    found = blur(planes(), sigma_px)
    assert float((found - expected.view(2, 3, 40, 50)).abs().max()) < 1e-6
    flat = torch.full((1, 1, 30, 30), 0.4)
    assert float((blur(flat, sigma_px) - 0.4).abs().max()) < 1e-6


@pytest.mark.parametrize("size_px", [3, 5])
def test_highest_is_the_maximum_around_each_pixel(size_px: int) -> None:
    signed = planes() - 0.5
    expected = F.max_pool2d(signed, size_px, stride=1, padding=size_px // 2)
    assert torch.equal(highest(signed, size_px), expected)


def test_flow_finds_a_pan_and_warp_follows_it() -> None:
    frames, _ = damage(scene("pan"), CLEAN)
    a, b = (torch.from_numpy(frames[k]) for k in (3, 5))
    flow = find_flow(steering_image(luma(a)), steering_image(luma(b)))
    assert float(np.median(flow[..., 0])) == pytest.approx(-4.0, abs=0.2)
    assert float(np.median(flow[..., 1])) == pytest.approx(0.0, abs=0.1)
    fetched, inside = warp(b.unsqueeze(0), flow_tensor(flow, b))
    assert float((fetched[0] - a).abs()[:, inside[0, 0]].mean()) < 0.004
    assert not bool(inside[0, 0, :, :2].any())


def test_steering_is_blind_to_flicker() -> None:
    frames, _ = damage(scene("still"), CLEAN)
    plane = luma(torch.from_numpy(frames[0]))
    again = steering_image(plane + 0.08)
    assert float(np.abs(again.astype(int) - steering_image(plane)).mean()) < 2.0


def test_a_frame_is_never_its_own_neighbour() -> None:
    assert distinct_neighbours((7, 7, 7), 1) == []
    assert distinct_neighbours((3, 2, 1, 2, 3), 2) == [1, 0]
    assert distinct_neighbours((1, 2, 3, 4, 5), 2) == [1, 3, 0, 4]


def test_smooth_part_keeps_intention_and_leaves_jitter() -> None:
    rng = np.random.default_rng(3)
    t = np.arange(80.0)
    meant = 20.0 * np.sin(t / 25.0)
    jitter = rng.normal(0.0, 1.0, 80)
    found = smooth_part((meant + jitter)[:, None])[:, 0]
    assert float(np.sqrt(np.mean((found - meant) ** 2))) < 0.6
    level = smooth_part((5.0 + jitter)[:, None])[:, 0]
    assert float(np.ptp(level)) == pytest.approx(0.0, abs=1e-9)


def test_path_survives_wrong_pairs() -> None:
    rng = np.random.default_rng(3)
    path = rng.normal(0.0, 1.0, 40)
    pairs = np.array([(a, a + lag) for lag in (1, 2, 3) for a in range(40 - lag)], np.int64)
    steps = (path[pairs[:, 1]] - path[pairs[:, 0]])[:, None]
    steps[::10] += 8.0
    found = solve_path(pairs, steps, np.ones_like(steps), 40, robust_scale=0.1)
    assert float(np.abs(found[:, 0] - (path - path.mean())).max()) < 0.1


def test_kinds_of_damage_do_not_change_each_other() -> None:
    what = replace(CLEAN, grain_sigma=0.01, flicker_stops=0.1, weave_px=(0.5, 0.5))
    plain, _ = damage(scene("still"), what)
    marked, truth = damage(scene("still"), replace(what, dirt_per_frame=3.0, scratches=2))
    assert truth.scratches.any()
    assert truth.dirt.any()
    assert truth.scratch_x_px.shape == (24, 2)
    touched = (np.abs(marked - plain) > 1e-5).any(axis=1)
    assert not touched[:, :, :2].all()
    clear = ~(truth.scratches | truth.dirt)
    # Dirt goes through the sub-pixel shift of the weave, whose sinc rings very faintly.
    assert float(np.median(np.abs(marked - plain).max(axis=1)[clear])) < 1e-4


def test_beyond_the_edge_a_frame_shows_its_own_pixels() -> None:
    """Each its own, not one beside it; in part where the kernel lies half outside."""
    rng = np.random.default_rng(4)
    own, other = (rng.uniform(0.2, 0.7, (48, 64, 3)).astype(np.float32) for _ in range(2))
    flow = np.zeros((48, 64, 2), np.float32)
    flow[..., 0], flow[..., 1] = -9.0, 2.25
    found = brought_onto(own, [other], [flow])[0]
    np.testing.assert_array_equal(found[:, :8], own[:, :8])
    planes = [torch.from_numpy(v.transpose(2, 0, 1).copy()) for v in (own, other)]
    there = brought_onto_on_device(planes[0], planes[1:], [flow])[0]
    np.testing.assert_allclose(found.transpose(2, 0, 1), there.numpy(), atol=2e-5)
