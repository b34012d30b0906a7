"""Separate flicker from light that was meant to change.

Exposure paths are solved from the measured differences: one per channel for the whole frame,
then one per cell for what the whole frame does not explain. The smooth part of each path (a
fade, a cloud, an iris) is kept; the rest is flicker. The correction has zero mean over the
shot, because the level of a shot belongs to the color balance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from media.encoding import STOP
from media.frames import FrameRange
from restore.flicker.measure import GRID
from restore.smoothing import Curve, smooth_part, solve_path

_CONTRADICTION_STOPS = 0.03
"""A pair that contradicts its cell's path by this much is half believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlickerOptions:
    """When and how strongly flicker is corrected."""

    local: bool = True
    """Also correct exposure that changes unevenly over the frame."""
    per_channel: bool = True
    """Correct each channel by its own curve (color breathing)."""
    limit_stops: float = 1.0
    """No correction is ever larger."""
    flash_stops: float = 0.6
    """A deviation at least this large on up to three frames is a flash: kept."""
    floor_stops: float = 0.004
    """Flicker below this rms is under the accuracy of the measurement: left alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlickerSolution:
    """Exposure correction of a shot, log2 units (stops), to be added."""

    exposure_stops: NDArray[np.float64]
    """(n, C) correction of the whole frame."""
    grid_stops: NDArray[np.float64]
    """(n, rows, cols) further correction by place, the same for all channels."""
    confidence: float
    kept_flashes: tuple[int, ...]
    """Frame numbers taken for an intended flash and left alone."""
    reason: str
    """Empty when applied; otherwise why the shot was left alone."""

    @property
    def applied(self) -> bool:
        """False when the shot was left alone."""
        return not self.reason


def solve_flicker(
    evidence: dict[str, object], frames: FrameRange, options: FlickerOptions
) -> FlickerSolution:
    """Flicker of a shot from the evidence of ``FlickerProbe``."""
    n = len(frames)
    difference = np.asarray(evidence["difference"], np.float64) / STOP
    channels = difference.shape[2] if difference.ndim == 3 else 3
    if n < 6:
        return _alone(n, channels, f"only {n} frames: flicker cannot be told from intention")
    pairs = np.asarray(evidence["pairs"], np.int64) - frames.start
    weight = np.asarray(evidence["weight"], np.float64)
    clipped = np.asarray(evidence["clipped"], np.float64).mean()
    if weight.mean() < 0.15:
        return _alone(
            n, channels, f"too little usable picture (clipped or black: {100 * clipped:.0f} %)"
        )
    whole, noise = _whole_frame(pairs, difference, weight, n, options)
    trust, flashes = _flash_trust(whole, frames, options)
    flicker = whole - smooth_part(whole, trust)
    flicker[trust == 0.0] = 0.0
    grid = np.zeros((n, *GRID))
    if options.local:
        grid = _by_place(pairs, difference, weight, whole, trust, n)
    rms = float(np.sqrt((flicker**2).mean() + (grid**2).mean()))
    confidence = float(np.clip(weight.mean() * 1.5, 0.0, 1.0) * rms / (rms + noise + 1e-9))
    if rms < max(options.floor_stops, noise):
        return _alone(n, channels, f"flicker of {rms:.4f} stops rms is below what can be measured")
    exposure = np.clip(-flicker, -options.limit_stops, options.limit_stops)
    return FlickerSolution(
        exposure_stops=exposure - exposure.mean(axis=0),
        grid_stops=-(grid - grid.mean(axis=0)),
        confidence=confidence,
        kept_flashes=flashes,
        reason="",
    )


def _alone(n: int, channels: int, reason: str) -> FlickerSolution:
    return FlickerSolution(
        exposure_stops=np.zeros((n, channels)),
        grid_stops=np.zeros((n, *GRID)),
        confidence=0.0,
        kept_flashes=(),
        reason=reason,
    )


def _whole_frame(
    pairs: NDArray[np.int64],
    difference: Curve,
    weight: Curve,
    n: int,
    options: FlickerOptions,
) -> tuple[Curve, float]:
    """(n, C) exposure path in stops, and the standard error of its steps."""
    channels = difference.shape[2]
    steps = np.zeros((len(pairs), channels))
    for m in range(len(pairs)):
        usable = weight[m] > 0.1
        if usable.any():
            steps[m] = np.median(difference[m, usable], axis=0)
    if not options.per_channel:
        steps = np.repeat(steps.mean(axis=1, keepdims=True), channels, axis=1)
    say = np.repeat(weight.mean(axis=1, keepdims=True) + 1e-4, channels, axis=1)
    path = solve_path(pairs, steps, say, n, robust_scale=0.05)
    residual = path[pairs[:, 1]] - path[pairs[:, 0]] - steps
    return path, float(np.median(np.abs(residual))) * 1.4826


def _flash_trust(
    whole: Curve, frames: FrameRange, options: FlickerOptions
) -> tuple[Curve, tuple[int, ...]]:
    """(n,) 1 for frames that may be corrected, 0 for flashes; and the flashes' frame numbers."""
    level = whole.mean(axis=1)
    n = len(level)
    around = np.array([np.median(level[max(0, t - 5) : min(n, t + 6)]) for t in range(n)])
    flash = np.abs(level - around) > options.flash_stops
    # Longer than three frames is a change of light, and the smooth part follows that itself.
    trust = np.ones(n)
    run: list[int] = []
    for t in range(n + 1):
        if t < n and flash[t]:
            run.append(t)
            continue
        if 0 < len(run) <= 3:
            trust[run] = 0.0
        run = []
    return trust, tuple(int(t) + frames.start for t in np.flatnonzero(trust == 0.0))


def _by_place(
    pairs: NDArray[np.int64],
    difference: Curve,
    weight: Curve,
    whole: Curve,
    trust: Curve,
    n: int,
) -> Curve:
    """(n, rows, cols) what each cell does beyond the whole frame, in stops, smooth part gone."""
    explained = (whole[pairs[:, 1]] - whole[pairs[:, 0]])[:, None, :]
    steps = (difference - explained).mean(axis=2)
    paths = solve_path(pairs, steps, weight + 1e-4, n, robust_scale=0.04)
    local = paths - smooth_part(paths, trust)
    seen = _reliability(pairs, paths[pairs[:, 1]] - paths[pairs[:, 0]] - steps, weight, n)
    grid = _spread_over_neighbours(local.reshape(n, *GRID), seen.reshape(n, *GRID))
    grid[trust == 0.0] = 0.0
    return grid


def _reliability(pairs: NDArray[np.int64], residual: Curve, weight: Curve, n: int) -> Curve:
    """(n, cells) how far each cell can be believed on each frame, 0..1.

    residual: (m, cells) stops, by how much a pair contradicts the path. Pairs over one, two and
    three frames that contradict each other have followed the wrong thing, an actor for instance.
    """
    belief = weight / (1.0 + np.square(residual / _CONTRADICTION_STOPS))
    total, count = np.zeros((n, weight.shape[1])), np.zeros((n, 1))
    for end in (0, 1):
        np.add.at(total, pairs[:, end], belief)
        np.add.at(count, pairs[:, end], 1.0)
    return total / np.maximum(count, 1.0)


def _spread_over_neighbours(grid: Curve, seen: Curve) -> Curve:
    """Cells of (n, rows, cols) that can be believed little lean on their neighbours.

    Cells that were seen well keep their own value: smoothing them would leave a share of the
    flicker behind at every place where it bends.
    """
    kernel = np.array([0.25, 0.5, 0.25])
    w = np.square(seen) + 1e-4
    top, bottom = grid * w, w
    for axis in (1, 2, 1, 2, 1, 2):
        top, bottom = _filter(top, kernel, axis), _filter(bottom, kernel, axis)
    own = np.square(seen) / (np.square(seen) + 0.1)
    settled: Curve = own * grid + (1.0 - own) * top / bottom
    return settled


def _filter(values: Curve, kernel: Curve, axis: int) -> Curve:
    padding = [(1, 1) if a == axis else (0, 0) for a in range(values.ndim)]
    padded = np.pad(values, padding, mode="edge")
    size = values.shape[axis]
    parts = [np.take(padded, range(k, k + size), axis=axis) * kernel[k] for k in range(3)]
    total: Curve = parts[0] + parts[1] + parts[2]
    return total
