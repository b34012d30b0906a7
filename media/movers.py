"""Small things that move in a scene and look like dirt: what a repair must leave alone.

Birds, confetti, snow, thrown balls, rain and glints on water, drawn from a seed over a stretch of
frames with the place of each known. Tests, training and the planted trial put them into copies of
a picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]
Mover = Literal["birds", "confetti", "snow", "balls", "rain", "glints"]
MOVERS: tuple[Mover, ...] = get_args(Mover)
_SEEN = 0.03
"""Film log by which a pixel must change to count as covered."""


def plant_movers(rng: np.random.Generator, frames: F32, kind: Mover, density: float = 1.0) -> Mask:
    """Things of one kind, in place, through all frames.

    frames: (T, C, H, W) film log. density: 1 is a dozen birds in a frame of 640 x 360.
    returns: (T, H, W) the pixels they visibly change.
    """
    before = frames.copy()
    draw_movers(rng, frames, kind, density)
    seen: Mask = np.abs(frames - before).max(axis=1) > _SEEN
    return seen


def draw_movers(rng: np.random.Generator, frames: F32, kind: Mover, density: float = 1.0) -> None:
    """The same, for whoever does not ask where."""
    area = frames.shape[-2] * frames.shape[-1] / (640 * 360)
    _KINDS[kind](rng, frames, max(0.2, density * area))


def _birds(rng: np.random.Generator, frames: F32, amount: float) -> None:
    """Dark wings that beat; a flock shares its heading."""
    heading, speed = rng.uniform(0, 2 * math.pi), rng.uniform(2.0, 14.0)
    tone = rng.uniform(0.10, 0.35)
    for _ in range(1 + rng.poisson(11 * amount)):
        at, own = _anywhere(rng, frames), heading + rng.normal() * 0.2
        step = np.array([math.cos(own), math.sin(own)]) * speed * rng.uniform(0.8, 1.2)
        span, beat, phase = rng.uniform(3, 14), rng.uniform(0.6, 2.2), rng.uniform(0, 6)
        for k, frame in enumerate(frames):
            lift = 0.6 * span * math.sin(beat * k + phase)
            x, y = at + step * k
            wings = np.array([[x - span / 2, y - lift / 2], [x, y], [x + span / 2, y - lift / 2]])
            _line(frame, wings, tone, rng.uniform(0.9, 1.0), max(1, round(span / 6)))


def _confetti(rng: np.random.Generator, frames: F32, amount: float) -> None:
    """Bright tumbling scraps: their width changes as they turn."""
    for _ in range(1 + rng.poisson(25 * amount)):
        at = _anywhere(rng, frames)
        step = np.array([rng.normal() * 3.0, rng.uniform(1.0, 9.0)])
        size, turn, spin = rng.uniform(2, 8), rng.uniform(0, 6), rng.uniform(0.3, 1.6)
        tone = np.array(rng.uniform(0.25, 0.85, frames.shape[1]), np.float32)
        for k, frame in enumerate(frames):
            x, y = at + step * k + np.array([math.sin(spin * k) * 2.0, 0.0])
            wide = size * max(0.15, abs(math.cos(turn + spin * k)))
            corners = cv2.boxPoints(((float(x), float(y)), (wide, size), math.degrees(turn + k)))
            _fill(frame, corners.astype(np.float64), tone, 1.0)


def _snow(rng: np.random.Generator, frames: F32, amount: float) -> None:
    """Soft white flakes that drift down together."""
    drift = np.array([rng.normal() * 2.0, rng.uniform(1.5, 8.0)])
    tone = rng.uniform(0.6, 0.85)
    for _ in range(1 + rng.poisson(60 * amount)):
        at, size = _anywhere(rng, frames), rng.uniform(0.8, 4.0)
        step = drift * (0.4 + size / 4.0) + rng.normal(size=2) * 0.4
        for k, frame in enumerate(frames):
            _disc(frame, at + step * k, size, tone, rng.uniform(0.5, 0.9))


def _balls(rng: np.random.Generator, frames: F32, amount: float) -> None:
    """Thrown or rolling things, fast for their size, smeared by the shutter."""
    for _ in range(1 + rng.poisson(3 * amount)):
        at, angle = _anywhere(rng, frames), rng.uniform(0, 2 * math.pi)
        step = np.array([math.cos(angle), math.sin(angle)]) * rng.uniform(4.0, 28.0)
        radius = rng.uniform(2, 10)
        tone = rng.uniform(0.1, 0.35) if rng.random() < 0.5 else rng.uniform(0.55, 0.85)
        for k, frame in enumerate(frames):
            centre = at + step * k
            shutter = np.linspace(-0.25, 0.25, 5) if rng.random() < 0.7 else np.zeros(1)
            for part in shutter:
                _disc(frame, centre + step * part, radius, tone, 1.2 / len(shutter))


def _rain(rng: np.random.Generator, frames: F32, amount: float) -> None:
    """Thin slanting streaks, new ones in every frame, all alike."""
    slant = rng.normal() * 0.25
    way = np.array([math.sin(slant), math.cos(slant)])
    tone, opacity = rng.uniform(0.55, 0.75), rng.uniform(0.15, 0.5)
    length = rng.uniform(8, 40)
    for frame in frames:
        for _ in range(10 + rng.poisson(80 * amount)):
            start = _anywhere(rng, frames)
            end = start + way * length * rng.uniform(0.5, 1.3)
            _line(frame, np.stack([start, end]), tone, opacity, 1)


def _glints(rng: np.random.Generator, frames: F32, amount: float) -> None:
    """Sparkle on water: short bright dashes in one band of the picture, gone in the next frame."""
    h, w = frames.shape[-2:]
    top = rng.uniform(0, 0.7) * h
    tall = rng.uniform(0.1, 0.4) * h
    left, wide = rng.uniform(0, 0.5) * w, rng.uniform(0.3, 1.0) * w
    for frame in frames:
        for _ in range(8 + rng.poisson(50 * amount)):
            at = np.array([left + rng.uniform(0, wide), top + rng.uniform(0, tall)])
            half = np.array([rng.uniform(0.5, 4.0), rng.normal() * 0.3])
            _line(frame, np.stack([at - half, at + half]), rng.uniform(0.7, 0.95), 0.9, 1)


def _anywhere(rng: np.random.Generator, frames: F32) -> NDArray[np.float64]:
    h, w = frames.shape[-2:]
    return rng.uniform((-20.0, -20.0), (w + 20.0, h + 20.0))


def _disc(
    frame: F32, centre: NDArray[np.float64], radius: float, tone: float, opacity: float
) -> None:
    angles = np.linspace(0, 2 * math.pi, 24, endpoint=False)
    ring = centre + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    _fill(frame, ring, np.full(frame.shape[0], tone, np.float32), opacity)


def _fill(frame: F32, points: NDArray[np.float64], tone: F32, opacity: float) -> None:
    _painted(frame, points, tone, opacity, None)


def _line(
    frame: F32, points: NDArray[np.float64], tone: float, opacity: float, thick_px: int
) -> None:
    _painted(frame, points, np.full(frame.shape[0], tone, np.float32), opacity, thick_px)


def _painted(
    frame: F32, points: NDArray[np.float64], tone: F32, opacity: float, thick_px: int | None
) -> None:
    """Paint a polygon, or a line of ``thick_px``, into one frame; only its box is touched."""
    _, h, w = frame.shape
    margin = 3 + (thick_px or 0)
    low = np.maximum(np.floor(points.min(axis=0)).astype(int) - margin, 0)
    high = np.minimum(np.ceil(points.max(axis=0)).astype(int) + margin, (w, h))
    if (high <= low).any():
        return
    canvas = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
    fixed = [np.round((points - low) * 16).astype(np.int32)]
    if thick_px is None:
        cv2.fillPoly(canvas, fixed, 255, cv2.LINE_AA, 4)
    else:
        cv2.polylines(canvas, fixed, False, 255, thick_px, cv2.LINE_AA, 4)
    cover = cv2.GaussianBlur(canvas.astype(np.float32) / 255.0, (0, 0), 0.6) * np.float32(opacity)
    part = frame[:, low[1] : high[1], low[0] : high[0]]
    part += (tone[:, None, None] - part) * cover


_KINDS: dict[Mover, Callable[[np.random.Generator, F32, float], None]] = {
    "birds": _birds,
    "confetti": _confetti,
    "snow": _snow,
    "balls": _balls,
    "rain": _rain,
    "glints": _glints,
}
