"""Joined reels with known truth: built the same each time, and found as they were built."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from media.encoding import light_to_log, rec709_decode
from media.shots.cuts import Boundary, CutFinder
from media.shots.truth import CLEAN, HEAVY, Take, Truth, Wear, build_reel

WEIGHTS = np.array([0.2126, 0.7152, 0.0722], np.float32)


def takes() -> list[Take]:
    """Three drawn takes that drift slowly."""
    made = []
    for seed in range(3):
        random = np.random.default_rng(seed)
        wide = cv2.GaussianBlur(random.random((240, 420, 3)).astype(np.float32), (0, 0), 12)
        wide = np.clip((wide - wide.mean()) / wide.std() * 0.16 + 0.4, 0, 1)
        bytes_ = np.rint(wide * 255).astype(np.uint8)
        frames = np.stack([bytes_[10:210, 5 + n // 4 : 365 + n // 4] for n in range(80)])
        made.append(Take(f"drawn {seed}", frames))
    return made


def found(wear: Wear, seed: int) -> tuple[list[Boundary], Truth]:
    pictures, truth = build_reel(takes(), wear, seed, pieces=5)
    finder = CutFinder()
    for n, picture in enumerate(pictures):
        small = cv2.resize(
            picture.astype(np.float32) / 255, (144, 81), interpolation=cv2.INTER_AREA
        )
        log = light_to_log(rec709_decode(torch.from_numpy(small))).numpy()
        finder.observe(n, np.asarray(log @ WEIGHTS, np.float32))
    return finder.finish(), truth


@pytest.mark.parametrize(("wear", "seed"), [(CLEAN, 2000), (CLEAN, 2001), (HEAVY, 2002)])
def test_what_was_joined_is_found(wear: Wear, seed: int) -> None:
    boundaries, truth = found(wear, seed)
    soft = [(a - 1, b + 1) for _, a, b in truth.fades] + [(a - 1, b + 1) for a, b in truth.slugs]
    cuts = [b.frame for b in boundaries if b.kind == "cut"]
    sharp = [c for c in cuts if c in truth.cuts or not any(a <= c <= b for a, b in soft)]
    assert sharp == truth.cuts
    dissolves = [
        (b.frame - b.dissolve_out, b.frame + b.dissolve_in)
        for b in boundaries
        if b.kind == "dissolve"
    ]
    assert len(dissolves) == len(truth.dissolves)
    for (a, b), (c, d) in zip(dissolves, truth.dissolves, strict=True):
        assert max(abs(a - c), abs(b - d)) <= 4


def test_the_same_seed_makes_the_same_reel() -> None:
    one, first = build_reel(takes(), CLEAN, 5, pieces=3)
    two, second = build_reel(takes(), CLEAN, 5, pieces=3)
    assert np.array_equal(one, two)
    assert first == second
    other, _ = build_reel(takes(), CLEAN, 6, pieces=3)
    assert one.shape != other.shape or not np.array_equal(one, other)
