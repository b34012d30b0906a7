"""Film damage with known truth: for tests, benchmarks and the demo.

Damage is laid on in the order film meets it: dyes fade in the can, the emulsion has grain,
printing breathes (flicker), dirt settles, the gate lets the picture weave, and what sticks in
the gate scratches. Everything is drawn from one seed, and everything that was done is returned.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from media.encoding import STOP

Frames = NDArray[np.float32]
"""(T, C, H, W) film log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """How much of what. Zero switches a kind off."""

    flicker_stops: float = 0.12
    """Standard deviation of the whole frame's exposure."""
    flicker_channel_stops: float = 0.02
    """Standard deviation per channel on top (color breathing)."""
    flicker_local_stops: float = 0.06
    """Standard deviation at the knots of a 3 x 4 grid on top."""
    weave_px: tuple[float, float] = (1.2, 0.9)
    """Standard deviation, x and y."""
    grain_sigma: float = 0.012
    """Standard deviation of grain at mid density, film log."""
    grain_size_px: float = 0.6
    """Gaussian radius of a grain."""
    dirt_per_frame: float = 8.0
    """Mean number of specks, hairs and fibres."""
    dirt_size_px: tuple[float, float] = (2.0, 12.0)
    scratches: int = 0
    """Vertical lines over the whole height that stay through the shot."""
    scratch_strength: tuple[float, float] = (0.04, 0.10)
    """Smallest and largest offset, film log, lighter or darker."""
    scratch_width_px: tuple[float, float] = (1.0, 4.0)
    fade_slope: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Density left in each layer; dye fading is proportional to density."""
    fade_offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Base stain and printing error, film log."""
    crosstalk: float = 0.0
    """Share of the other layers that leaks into each layer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What was done to each frame."""

    flicker_stops: NDArray[np.float32]
    """(T, C, H, W) exposure laid on, before weave."""
    weave_px: NDArray[np.float64]
    """(T, 2) dx, dy by which the picture was moved."""
    dirt: NDArray[np.bool_]
    """(T, H, W) pixels visibly changed by dirt, where they lie in the damaged frame."""
    scratches: NDArray[np.bool_]
    """(T, H, W) pixels visibly changed by scratches."""
    scratch_x_px: NDArray[np.float64]
    """(T, scratches) centre of each line."""


def damage_shot(
    clean: Frames, damage: Damage, seed: int, margin_px: int = 8
) -> tuple[Frames, Truth]:
    """Damage one shot.

    clean: (T, C, H + 2m, W + 2m) film log with a margin, so that weave brings in real picture.
    returns: damaged (T, C, H, W) film log, unclipped, and what was done.
    """
    # Dirt and scratches have generators of their own: the rest of the damage is the same with
    # and without them.
    rng, dirt_rng, scratch_rng = (np.random.default_rng((seed, k)) for k in range(3))
    t, c, h, w = clean.shape
    weave = rng.normal(size=(t, 2)) * np.array(damage.weave_px)
    weave = np.clip(weave, -margin_px + 2.0, margin_px - 2.0)
    flicker = _flicker(rng, (t, c, h, w), damage)
    faded = _fade(clean, damage)
    inner = (slice(margin_px, h - margin_px), slice(margin_px, w - margin_px))
    damaged, dirt = [], []
    for k in range(t):
        grain = _grain(rng, faded[k], damage)
        exposed = faded[k] + grain + flicker[k] * np.float32(STOP)
        dirty = _dirt(dirt_rng, exposed, damage)
        moved = _shift(dirty, weave[k])
        visible = np.abs(moved - _shift(exposed, weave[k])).max(axis=0) > 0.03
        damaged.append(moved[:, *inner])
        dirt.append(visible[inner])
    inner_shape = (t, h - 2 * margin_px, w - 2 * margin_px)
    lines, scratch_x_px = _scratches(scratch_rng, inner_shape, damage)
    truth = Truth(
        flicker_stops=flicker[:, :, *inner],
        weave_px=weave,
        dirt=np.stack(dirt),
        scratches=np.abs(lines) > 0.01,
        scratch_x_px=scratch_x_px,
    )
    return (np.stack(damaged) + lines[:, None]).astype(np.float32), truth


def _flicker(
    rng: np.random.Generator, shape: tuple[int, int, int, int], damage: Damage
) -> NDArray[np.float32]:
    t, c, h, w = shape
    whole = rng.normal(size=(t, 1)) * damage.flicker_stops
    channel = rng.normal(size=(t, c)) * damage.flicker_channel_stops
    knots = rng.normal(size=(t, 3, 4)) * damage.flicker_local_stops
    field = np.stack(
        [cv2.resize(k.astype(np.float32), (w, h), interpolation=cv2.INTER_CUBIC) for k in knots]
    )
    total = (whole + channel)[:, :, None, None] + field[:, None]
    stops: NDArray[np.float32] = total.astype(np.float32)
    return stops


def _fade(clean: Frames, damage: Damage) -> Frames:
    """Density per layer: gain, leak between layers, stain. Identity when nothing is set."""
    slope, offset = np.array(damage.fade_slope), np.array(damage.fade_offset)
    c = clean.shape[1]
    if c != 3 or (np.all(slope == 1) and np.all(offset == 0) and damage.crosstalk == 0):
        return clean
    mix = np.full((3, 3), damage.crosstalk / 2) + np.eye(3) * (1 - 1.5 * damage.crosstalk)
    mixed = np.einsum("ij,tjhw->tihw", mix, clean)
    base = 95.0 / 1023.0
    faded = (mixed - base) * slope[None, :, None, None] + base + offset[None, :, None, None]
    layers: Frames = faded.astype(np.float32)
    return layers


def _grain(rng: np.random.Generator, frame: Frames, damage: Damage) -> Frames:
    """Correlated grain, strongest in the middle densities, weaker in black and white."""
    white = rng.normal(size=frame.shape).astype(np.float32)
    if damage.grain_size_px > 0:
        white = np.stack([cv2.GaussianBlur(p, (0, 0), damage.grain_size_px) for p in white])
        # Filtering takes power; the stated sigma is that of the grain as it is seen.
        white /= np.float32(_noise_gain(damage.grain_size_px))
    level = np.clip(frame, 0.0, 1.0)
    strength = 0.55 + 1.8 * level * (1.0 - level)
    return (white * damage.grain_sigma * strength).astype(np.float32)


def _noise_gain(sigma_px: float) -> float:
    """What a Gaussian filter leaves of the standard deviation of white noise."""
    impulse = np.zeros((65, 65), np.float32)
    impulse[32, 32] = 1.0
    kernel = cv2.GaussianBlur(impulse, (0, 0), sigma_px)
    return float(np.sqrt((kernel**2).sum()))


def _dirt(rng: np.random.Generator, frame: Frames, damage: Damage) -> Frames:
    """Specks and hairs, dark (dirt on the positive) or bright (dirt on the negative)."""
    _, h, w = frame.shape
    out = frame.copy()
    for _ in range(rng.poisson(damage.dirt_per_frame)):
        alpha = _hair(rng, h, w) if rng.random() < 0.2 else _speck(rng, h, w, damage.dirt_size_px)
        tone = 0.14 if rng.random() < 0.6 else 0.80
        opacity = rng.uniform(0.65, 1.0)
        out += (tone - out) * (alpha * np.float32(opacity))[None]
    return out


def _speck(
    rng: np.random.Generator, h: int, w: int, size_px: tuple[float, float]
) -> NDArray[np.float32]:
    """A ragged blob: a circle whose radius is a random Fourier series."""
    radius = float(np.exp(rng.uniform(math.log(size_px[0]), math.log(size_px[1])))) / 2
    angles = np.linspace(0, 2 * math.pi, 40, endpoint=False)
    outline = np.ones_like(angles)
    for k in range(2, 7):
        outline += rng.normal() * 0.35 / k * np.cos(k * angles + rng.uniform(0, 2 * math.pi))
    stretch = rng.uniform(0.6, 1.6)
    x = rng.uniform(0, w) + np.cos(angles) * radius * outline * stretch
    y = rng.uniform(0, h) + np.sin(angles) * radius * outline / stretch
    return _drawn(np.stack([x, y], axis=1), h, w, filled=True)


def _hair(rng: np.random.Generator, h: int, w: int) -> NDArray[np.float32]:
    """A thin curved line of 15 to 60 px."""
    length, heading, bend = rng.uniform(15, 60), rng.uniform(0, 2 * math.pi), rng.normal() * 0.05
    points = [np.array([rng.uniform(0, w), rng.uniform(0, h)])]
    for _ in range(int(length)):
        heading += bend + rng.normal() * 0.05
        points.append(points[-1] + np.array([math.cos(heading), math.sin(heading)]))
    return _drawn(np.array(points), h, w, filled=False)


def _scratches(
    rng: np.random.Generator, shape: tuple[int, int, int], damage: Damage
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """(T, H, W) film log offset of all lines, and (T, lines) their centres in px.

    A line drifts slowly, and its depth changes slowly along it; the picture shows through.
    """
    t, h, w = shape
    x = np.arange(w)
    total = np.zeros(shape)
    centres = np.zeros((t, damage.scratches))
    places = (np.arange(damage.scratches) + rng.uniform(0.25, 0.75, damage.scratches)) * (
        w / max(damage.scratches, 1)
    )
    for k in range(damage.scratches):
        depth = rng.uniform(*damage.scratch_strength) * (1 if rng.random() < 0.5 else -1)
        width_px = rng.uniform(*damage.scratch_width_px)
        phase = rng.uniform(0, 2 * math.pi, 2)
        centres[:, k] = places[k] + 0.8 * np.sin(0.15 * np.arange(t) + phase[0])
        along = 1.0 + 0.25 * np.sin(np.arange(h) * (4.0 / h) + phase[1])
        profile = np.clip(width_px / 2 + 0.5 - np.abs(x - centres[:, k, None]), 0.0, 1.0)
        total += depth * along[None, :, None] * profile[:, None, :]
    return total.astype(np.float32), centres


def _drawn(points: NDArray[np.float64], h: int, w: int, *, filled: bool) -> NDArray[np.float32]:
    """Anti-aliased coverage 0..1 of a polygon or a line."""
    canvas = np.zeros((h, w), np.uint8)
    fixed = np.round(points * 16).astype(np.int32)
    if filled:
        cv2.fillPoly(canvas, [fixed], 255, cv2.LINE_AA, 4)
    else:
        cv2.polylines(canvas, [fixed], False, 255, 2, cv2.LINE_AA, 4)
    soft: NDArray[np.float32] = cv2.GaussianBlur(canvas.astype(np.float32) / 255.0, (0, 0), 0.6)
    return soft


def _shift(frame: Frames, offset_px: NDArray[np.float64]) -> Frames:
    """Move (C, H, W) by an exact sub-pixel offset: phase ramp, edges wrap into the margin."""
    _, h, w = frame.shape
    fy = np.fft.fftfreq(h)[:, None]
    fx = np.fft.rfftfreq(w)[None, :]
    ramp = np.exp(-2j * math.pi * (fx * offset_px[0] + fy * offset_px[1]))
    pad = np.fft.irfft2(np.fft.rfft2(frame) * ramp, s=(h, w))
    return pad.astype(np.float32)
