"""Seeded scenes and damage for the color tests: film log pictures with known truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from color.stats import ColorProbe

F64 = NDArray[np.float64]

_HEIGHT_PX, _WIDTH_PX, _MARGIN_PX = 240, 320, 40


def _scene(seed: int) -> F64:
    rng = np.random.default_rng(seed)
    h, w = _HEIGHT_PX + _MARGIN_PX, _WIDTH_PX + _MARGIN_PX
    y, x = np.mgrid[0:h, 0:w]
    image = np.empty((h, w, 3))
    image[:] = 0.36 + 0.1 * (y / h)[..., None] + rng.normal(0.0, 0.03, 3)
    for _ in range(110):
        luma = rng.uniform(0.2, 0.6)
        color = luma + rng.normal(0.0, 0.06, 3) * (rng.random() < 0.7)
        cy, cx, size = rng.uniform(0, h), rng.uniform(0, w), rng.uniform(6, 45)
        if rng.random() < 0.5:
            inside = (y - cy) ** 2 + (x - cx) ** 2 < (size / 2) ** 2
        else:
            inside = (abs(y - cy) < size / 2) & (abs(x - cx) < size * rng.uniform(0.3, 1.0))
        image[inside] = np.clip(color, 0.14, 0.66)
    fine = rng.normal(0.0, 1.0, (h, w))
    smooth = (fine + np.roll(fine, 1, 0) + np.roll(fine, 1, 1) + np.roll(fine, (1, 1), (0, 1))) / 4
    return np.asarray(image + 0.02 * smooth[..., None])


@pytest.fixture(scope="session")
def view() -> Callable[[int, int, int], F64]:
    """view(seed, dy, dx): (240, 320, 3), what a camera standing there sees of scene ``seed``."""

    def make(seed: int, dy: int, dx: int) -> F64:
        return _scene(seed)[dy : dy + _HEIGHT_PX, dx : dx + _WIDTH_PX]

    return make


@pytest.fixture(scope="session")
def faded() -> Callable[[F64], F64]:
    """A print whose red layer lost contrast, with shifted layers and mild cross-talk."""
    leak = np.array([[0.94, 0.04, 0.02], [0.02, 0.95, 0.03], [0.01, 0.04, 0.95]])
    return lambda image: (
        (image @ leak.T) * np.array([0.7, 0.9, 0.82]) + np.array([0.05, 0.03, 0.09])
    )


@pytest.fixture(scope="session")
def observed() -> Callable[[F64, int], Mapping[str, object]]:
    """observed(picture, seed): probe evidence of a 3-frame shot of it, fresh grain per frame."""

    def make(image: F64, seed: int) -> Mapping[str, object]:
        rng = np.random.default_rng(seed)
        probe = ColorProbe()
        for frame in range(3):
            grainy = (image + rng.normal(0.0, 0.004, image.shape)).astype(np.float32)
            probe.observe(frame, torch.from_numpy(grainy).permute(2, 0, 1))
        return probe.finish()

    return make
