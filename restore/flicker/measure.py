"""Measure exposure differences between near frames, along the motion, by place and tone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from restore.motion import luma, steering_image

GRID = (8, 12)
"""Rows and columns of cells in which exposure is summed up."""
BANDS = (0.25, 0.35, 0.45, 0.55)
"""Film log luma between one band of tones and the next."""
SLOTS = GRID[0] * GRID[1] * (len(BANDS) + 1)
"""Cells times bands, bands running fastest."""
LAGS = (1, 2, 3)
_WIDTH_PX = 480
"""Exposure is measured at no more than this width, and summed up from half of it: grain is
averaged away, and large motion comes into the reach of the flow."""
_HARM = 0.004
"""Film log that flow changes, there and back again, by missing its start: counts half."""
_LOST_PX = 2.5
"""Flow that misses its start by this much, at half size, counts half on any ground."""
_ENDS = (0.02, 0.97)
"""Film log beyond which a channel is taken for clipped."""
DEAD = 0.99
"""Share of a frame beyond the ends from which on a channel holds no picture there at all: it has
nothing to say, and does not speak for the others."""
_SAMPLES = 121
_ROUNDS = 5
_WIDE, _NARROW, _CLOSING = 0.04, 0.006, 0.6
"""Film log difference at which a pixel counts half, first and last, and how it closes in."""

Plane = NDArray[np.float32]


class FlickerProbe:
    """Robust film-log difference of each cell, tone band and channel, for pairs of near frames.

    Evidence: ``pairs`` (m, 2) frame numbers; ``difference`` (m, slots, C) film log, second frame
    minus first; ``level`` (m, slots, C) film log, mean of both; ``weight`` (m, slots) share of
    the cell's pixels behind it; ``spread`` (m, slots) film log, how far these disagree;
    ``clipped`` (n, C) share of pixels at the ends of the scale in each frame.
    """

    name = "flicker"

    def __init__(self) -> None:
        self._kept: list[_Seen] = []
        self._pairs: list[tuple[int, int]] = []
        self._found: list[_Sums] = []
        self._clipped: list[list[float]] = []
        # Both ways are looked, which finds occlusions; the fastest preset is precise enough.
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)

    def observe(self, frame: int, pixels: Tensor) -> None:
        """frame: scan number. pixels: (C, H, W) film log at analysis size."""
        seen = _seen(frame, pixels)
        planes = seen.small.transpose(2, 0, 1)
        self._clipped.append([float(((p <= 0.01) | (p >= 0.985)).mean()) for p in planes])
        for lag in LAGS:
            if lag <= len(self._kept):
                before = self._kept[-lag]
                self._pairs.append((before.frame, frame))
                self._found.append(_compared(before, seen, self._flow))
        self._kept = [*self._kept, seen][-max(LAGS) :]

    def finish(self) -> dict[str, object]:
        """The evidence; empty arrays for a one-frame shot."""
        channels = len(self._clipped[0]) if self._clipped else 3
        return {
            "pairs": np.array(self._pairs, np.int64).reshape(-1, 2),
            "difference": _stacked([f.difference for f in self._found], channels),
            "level": _stacked([f.level for f in self._found], channels),
            "weight": _stacked([f.weight for f in self._found], 1)[:, :, 0],
            "spread": _stacked([f.spread for f in self._found], 1)[:, :, 0],
            "clipped": np.array(self._clipped, np.float64).reshape(-1, channels),
        }


def _stacked(parts: Sequence[Plane], channels: int) -> Plane:
    return np.array(parts, np.float32).reshape(-1, SLOTS, channels)


@dataclass(frozen=True, slots=True)
class _Seen:
    frame: int
    steer: NDArray[np.uint8]
    small: Plane
    """(h, w, C) film log, half the size of what steers."""
    slope: Plane
    """(h, w) square of the film log change per px."""
    usable: Plane
    """(h, w) 1 where no channel that holds a picture is clipped."""
    alive: NDArray[np.bool_]
    """(C,) channels that hold a picture."""


@dataclass(frozen=True, slots=True)
class _Sums:
    difference: Plane
    level: Plane
    weight: Plane
    spread: Plane


def _seen(frame: int, pixels: Tensor) -> _Seen:
    planes = pixels.detach().to("cpu").numpy()
    h, w = planes.shape[1:]
    scale = min(1.0, _WIDTH_PX / w)
    size = (max(2, round(w * scale)), max(2, round(h * scale)))
    steer = steering_image(luma(pixels), size)
    half = (max(1, size[0] // 2), max(1, size[1] // 2))
    smaller = [cv2.resize(p, half, interpolation=cv2.INTER_AREA) for p in planes]
    small = np.stack(smaller, axis=2)
    within = (small > _ENDS[0]) & (small < _ENDS[1])
    alive = within.mean(axis=(0, 1)) > 1.0 - DEAD
    usable = np.asarray(within[..., alive].all(axis=2)) & alive.any()
    gray = _gray(small.reshape(-1, small.shape[2])).reshape(small.shape[:2])
    across, down = (cv2.Sobel(gray, cv2.CV_32F, 1 - k, k, ksize=3, scale=1 / 8) for k in (0, 1))
    slope = np.square(across) + np.square(down)
    return _Seen(frame, steer, small, slope, usable.astype(np.float32), alive)


def _compared(before: _Seen, after: _Seen, dis: cv2.DISOpticalFlow) -> _Sums:
    h, w, channels = before.small.shape
    there = _flow(dis, before.steer, after.steer, (w, h))
    back = _flow(dis, after.steer, before.steer, (w, h))
    x = there[..., 0] + np.arange(w, dtype=np.float32)
    y = there[..., 1] + np.arange(h, dtype=np.float32)[:, None]
    edge = cv2.BORDER_REPLICATE
    stray = there + cv2.remap(back, x, y, cv2.INTER_LINEAR, borderMode=edge)
    fetched = cv2.remap(after.small, x, y, cv2.INTER_LINEAR, borderMode=edge)
    fetched = fetched.reshape(h, w, channels)
    usable = cv2.remap(after.usable, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    # A stray flow on a flat ground does no harm: what counts is what it changes.
    miss = np.square(stray[..., 0]) + np.square(stray[..., 1])
    harm = before.slope * miss / np.float32(_HARM**2)
    lost = np.square(miss / np.float32(_LOST_PX**2))
    trust = before.usable * (usable > 0.99) / (1.0 + harm + lost)
    if not np.array_equal(before.alive, after.alive):
        trust = np.zeros_like(trust)
    difference = (fetched - before.small).reshape(h * w, channels)
    level = (0.5 * (fetched + before.small)).reshape(h * w, channels)
    return _summed(difference, level, trust.ravel(), _places(h, w))


def _flow(
    dis: cv2.DISOpticalFlow,
    source: NDArray[np.uint8],
    target: NDArray[np.uint8],
    size: tuple[int, int],
) -> Plane:
    """(h, w, 2) px at half the size."""
    if min(source.shape) < 32:
        return np.zeros((size[1], size[0], 2), np.float32)
    flow = cv2.resize(dis.calc(source, target, None), size, interpolation=cv2.INTER_AREA)
    flow *= np.array([size[0] / source.shape[1], size[1] / source.shape[0]], np.float32)
    half: Plane = flow
    return half


def _places(h: int, w: int) -> NDArray[np.int64]:
    """(h * w,) first slot of the cell of each pixel."""
    rows = np.arange(h) * GRID[0] // h
    cols = np.arange(w) * GRID[1] // w
    return ((rows[:, None] * GRID[1] + cols) * (len(BANDS) + 1)).ravel()


def _summed(difference: Plane, level: Plane, trust: Plane, places: NDArray[np.int64]) -> _Sums:
    """Robust mean of each slot: Cauchy weights about it that close in round by round.

    A tone band is chosen by the mean of both frames: chosen by one of them, grain would decide
    who gets in, and the difference would be biased.
    """
    from restore.flicker import compiled  # compiled on first use, not at import

    gray = _gray(difference)
    slots = places + np.searchsorted(np.array(BANDS, np.float32), _gray(level))
    centre = _start(gray, trust > 0.5, places)
    scales = [_WIDE]
    for _ in range(_ROUNDS):
        scales.append(max(_NARROW, scales[-1] * _CLOSING))
    compiled.closed_in(gray, trust, slots, centre, np.array(scales[:-1], np.float32))
    total, sums = compiled.slot_sums(difference, level, gray, trust, slots, centre, scales[-1])
    means = sums / (total + 1e-9)
    channels = difference.shape[1]
    return _Sums(
        difference=means[:channels].T.astype(np.float32),
        level=means[channels:-1].T.astype(np.float32),
        weight=(total * (GRID[0] * GRID[1] / len(gray))).astype(np.float32),
        spread=np.sqrt(means[-1]).astype(np.float32),
    )


def _start(gray: Plane, good: NDArray[np.bool_], places: NDArray[np.int64]) -> Plane:
    """(SLOTS,) median of each cell, where half of it or more is usable; else that of them all."""
    bands = len(BANDS) + 1
    chosen = _samples(places.tobytes(), len(places))
    overall = float(np.median(gray[good][::4])) if good.any() else 0.0
    middle = np.median(np.where(good, gray, np.float32(overall))[chosen], axis=1)
    enough = good[chosen].mean(axis=1) >= 0.5
    return np.repeat(np.where(enough, middle, overall), bands).astype(np.float32)


@lru_cache(maxsize=4)
def _samples(places: bytes, count: int) -> NDArray[np.int64]:
    """(cells, _SAMPLES) pixels spread over each cell."""
    cell = np.frombuffer(places, np.int64) // (len(BANDS) + 1)
    order = np.argsort(cell, kind="stable")
    start = np.searchsorted(cell[order], np.arange(GRID[0] * GRID[1] + 1))
    spread = (np.arange(_SAMPLES) + 0.5) / _SAMPLES
    at = start[:-1, None] + np.floor(spread * np.diff(start)[:, None]).astype(np.int64)
    return order[np.minimum(at, count - 1)]


def _gray(pixels: Plane) -> Plane:
    """(px,) Rec.709 luma of (px, 3), or the one channel there is."""
    if pixels.shape[1] == 1:
        return pixels[:, 0]
    gray: Plane = pixels @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    return gray
