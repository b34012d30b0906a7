"""Seeded shots with known damage, and how to look at them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from media.frames import FrameRange
from media.passes import Operator, Probe
from media.pictures import all_own
from media.synthetic import Damage, Truth, damage_shot
from tests.strategies import pan, still, with_ball, with_foreground
from wetgate.executor import ShotRenderer
from wetgate.numerics import pin_numerics

F32 = NDArray[np.float32]
HEIGHT_PX, WIDTH_PX, FRAMES, MARGIN_PX = 160, 240, 24, 8
SHOT = FrameRange(1001, 1001 + FRAMES)
CLEAN = Damage(
    flicker_stops=0.0,
    flicker_channel_stops=0.0,
    flicker_local_stops=0.0,
    weave_px=(0.0, 0.0),
    grain_sigma=0.0,
    dirt_per_frame=0.0,
)
"""No damage at all: tests replace what they need."""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The arithmetic the product runs with."""
    threads = torch.get_num_threads()
    pin_numerics()
    yield
    torch.set_num_threads(threads)


@cache
def scene(kind: str, seed: int = 1) -> F32:
    """(T, 3, H + 2m, W + 2m) clean film log. kind: still, pan (2 px a frame), drift (1.37 px),
    foreground (25 % of the frame, moving), ball (12 px a frame)."""
    h, w = HEIGHT_PX + 2 * MARGIN_PX, WIDTH_PX + 2 * MARGIN_PX
    if kind in ("pan", "drift"):
        return pan(seed, FRAMES, h, w, 2.0 if kind == "pan" else 1.37)
    base = still(seed, FRAMES, h, w)
    if kind == "foreground":
        return with_foreground(base, seed)[0]
    return with_ball(base, 12.0)[0] if kind == "ball" else base


def damage(clean: F32, what: Damage, seed: int = 3) -> tuple[F32, Truth]:
    """(T, 3, H, W) damaged, and the truth."""
    return damage_shot(clean, what, seed, MARGIN_PX)


def observed(probe: Probe, frames: F32) -> dict[str, Any]:
    """Evidence of a probe over a whole shot."""
    for number, frame in zip(SHOT, frames, strict=False):
        probe.observe(number, torch.from_numpy(frame))
    return dict(probe.finish())


def rendered(chain: Sequence[Operator], frames: F32) -> tuple[F32, NDArray[np.uint8]]:
    """The shot through the executor: pixels (T, C, H, W) film log and touch (T, H, W)."""
    shot = FrameRange(SHOT.start, SHOT.start + len(frames))
    renderer = ShotRenderer(
        "s0001", all_own(shot), lambda n: torch.from_numpy(frames[n - SHOT.start]), chain
    )
    done = [renderer.frame(n) for n in shot]
    return (
        np.stack([d.pixels.numpy() for d in done]),
        np.stack([d.touch.numpy() for d in done]),
    )


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Two photographs of noise in many sizes."""
    rng = np.random.default_rng(6)
    there = tmp_path / "photographs"
    there.mkdir()
    for k in range(2):
        coarse = rng.uniform(0, 255, (40, 40, 3)).astype(np.uint8)
        cv2.imwrite(str(there / f"{k}.png"), cv2.resize(coarse, (640, 640)))
    return there
