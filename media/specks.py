"""Dirt, hairs, flakes and stains as film carries them, drawn from a seed.

Shapes for tests, training and the planted trial. The kinds follow what scans of worn prints show
(dust and smut, hairs and lint, sprinkles, flakes of emulsion, stains, bundles of short scratches;
the naming follows Ivanova et al. 2023). Everything is a coverage mask; ``lay_on`` puts it on a
picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
DARK, BRIGHT = (0.08, 0.30), (0.62, 0.92)
"""Film log of what lies on a print (dark) and of what lay on its negative (bright)."""
_FINE = 16
"""Sub-pixel steps of OpenCV's fixed-point drawing (4 bits)."""


def draw_dirt(rng: np.random.Generator, largest_px: float = 120.0, kind: str | None = None) -> F32:
    """(h, w) coverage 0..1 of one piece, of a kind chosen at random unless it is said.

    largest_px: longest side of the large kinds. kind: speck, spots, sprinkles, hair, lint, smut,
    stain or scuffs.
    """
    if kind is None:
        kinds = list(_KINDS)
        weights = np.array([_KINDS[k][1] for k in kinds])
        kind = kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))]
    alpha = _KINDS[kind][0](rng, largest_px)
    return np.pad(np.clip(alpha, 0.0, 1.0).astype(np.float32), 1)


def draw_worn(rng: np.random.Generator) -> F32:
    """(h, w) coverage of one piece, up to 100 px, as thin and as faint as scans show them.

    Drawn up to four times too large and reduced: hairs become finer than a pixel, clouds of dust
    run together, and some pieces let most of the picture through.
    """
    times = rng.uniform(1.0, 4.0)
    large = draw_dirt(rng, 100.0 * times)
    size = (max(2, round(large.shape[1] / times)), max(2, round(large.shape[0] / times)))
    small = cv2.resize(large, size, interpolation=cv2.INTER_AREA)
    worn: F32 = (small * rng.uniform(0.3, 1.0)).astype(np.float32)
    return worn


def draw_dust(rng: np.random.Generator) -> F32:
    """(h, w) coverage of a grain of dust of 1 to 5 px, often so faint that only motion shows it."""
    size = _log_uniform(rng, 0.5, 2.2)
    radius = math.ceil(3 * size) + 1
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    turn, flat = rng.uniform(0, math.pi), rng.uniform(1.0, 2.2)
    along = x * math.cos(turn) + y * math.sin(turn)
    across = (y * math.cos(turn) - x * math.sin(turn)) * flat
    away = np.hypot(along, across) + rng.normal(size=y.shape) * 0.15
    strength = _log_uniform(rng, 0.1, 1.0)
    grain: F32 = (np.clip(size + 0.5 - away, 0.0, 1.0) * strength).astype(np.float32)
    return grain


def draw_blotch(rng: np.random.Generator, largest_px: float = 60.0) -> F32:
    """(h, w) coverage of a drop: round or oval, smooth, up to ``largest_px`` wide."""
    half = 0.5 * _log_uniform(rng, 5.0, largest_px)
    flat, turn = rng.uniform(0.6, 1.0), rng.uniform(0, math.pi)
    side = math.ceil(half) + 6
    y, x = np.mgrid[-side : side + 1, -side : side + 1]
    along = x * math.cos(turn) + y * math.sin(turn)
    across = (y * math.cos(turn) - x * math.sin(turn)) / flat
    soft_px = rng.uniform(0.7, 1.0 + 0.25 * half)
    drop = np.clip((half - np.hypot(along, across)) / soft_px + 0.5, 0.0, 1.0)
    blotch: F32 = (drop * rng.uniform(0.35, 1.0)).astype(np.float32)
    return blotch


def draw_dash(rng: np.random.Generator, longest_px: float = 140.0) -> F32:
    """(h, w) coverage of a scratch on one frame: thin, straight, mostly along the film."""
    half = 0.5 * _log_uniform(rng, 12.0, longest_px)
    turn = rng.normal() * 0.08 if rng.random() < 0.7 else rng.uniform(0, math.pi)
    way = np.array([math.sin(turn), math.cos(turn)]) * half
    thick_px = rng.uniform(0.6, 2.5)
    ends = np.stack([-way, way])
    return _drawn(ends, filled=False, thick_px=thick_px, soft_px=rng.uniform(0.3, 0.7))


def lay_on(
    rng: np.random.Generator,
    frame: F32,
    alpha: F32,
    at: tuple[int, int] | None = None,
    bright: bool | None = None,
) -> None:
    """Cover part of ``frame``, (C, H, W) film log, in place.

    alpha: (h, w) coverage; at: its top left corner, may hang over the edge, anywhere if None.
    """
    _, h, w = frame.shape
    ah, aw = alpha.shape
    y, x = at or (
        int(rng.integers(-ah // 2, h - ah // 2)),
        int(rng.integers(-aw // 2, w - aw // 2)),
    )
    is_bright = rng.random() < 0.4 if bright is None else bright
    tone = rng.uniform(*(BRIGHT if is_bright else DARK))
    opacity = np.float32(rng.uniform(0.7, 1.0))
    top, left, bottom, right = max(0, y), max(0, x), min(h, y + ah), min(w, x + aw)
    if top >= bottom or left >= right:
        return
    part = frame[:, top:bottom, left:right]
    cover = alpha[top - y : bottom - y, left - x : right - x] * opacity
    part += (np.float32(tone) - part) * cover


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(math.log(low), math.log(max(high, low)))))


def _speck(rng: np.random.Generator, largest_px: float) -> F32:
    """A ragged dot: a circle whose radius is a random Fourier series, with a torn rim."""
    return _blob(rng, _log_uniform(rng, 1.5, 0.25 * largest_px))


def _blob(rng: np.random.Generator, size_px: float) -> F32:
    angles = np.linspace(0, 2 * math.pi, 64, endpoint=False)
    outline = np.ones_like(angles)
    for k in range(2, 14):
        outline += rng.normal() * 0.45 / k * np.cos(k * angles + rng.uniform(0, 2 * math.pi))
    stretch = rng.uniform(0.55, 1.8)
    radius = 0.5 * size_px * np.clip(outline, 0.15, None)
    points = np.stack([np.cos(angles) * radius * stretch, np.sin(angles) * radius / stretch], 1)
    turn = rng.uniform(0, math.pi)
    spin = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    return _drawn(points @ spin, filled=True, soft_px=rng.uniform(0.3, 0.9))


def _spots(rng: np.random.Generator, largest_px: float) -> F32:
    """A few tiny specks far apart."""
    size = _log_uniform(rng, 24.0, largest_px)
    return _scattered(rng, size, int(rng.integers(2, 14)), (0.6, 2.2), spread=0.5)


def _sprinkles(rng: np.random.Generator, largest_px: float) -> F32:
    """A cloud of fine dust, dense in its middle."""
    size = _log_uniform(rng, 20.0, largest_px)
    return _scattered(rng, size, int(rng.integers(30, 400)), (0.4, 1.5), spread=0.22)


def _scattered(
    rng: np.random.Generator, size: float, count: int, radius_px: tuple[float, float], spread: float
) -> F32:
    side = math.ceil(size) + 4
    canvas = np.zeros((side, side), np.uint8)
    if spread >= 0.5:
        places = rng.uniform(0, side, (count, 2))
    else:
        axes = np.array([rng.uniform(0.4, 1.0), rng.uniform(0.4, 1.0)])
        places = side / 2 + rng.normal(size=(count, 2)) * spread * size * axes
    for x, y in places:
        radius = rng.uniform(*radius_px)
        axes_px = (round(radius * _FINE * rng.uniform(0.6, 1.6)), round(radius * _FINE))
        centre = (round(float(x) * _FINE), round(float(y) * _FINE))
        angle = float(rng.uniform(0, 180))
        shade = int(rng.integers(110, 256))
        spot = cv2.ellipse2Poly(centre, axes_px, round(angle), 0, 360, 30)
        cv2.fillConvexPoly(canvas, spot, shade, cv2.LINE_AA, 4)
    return canvas.astype(np.float32) / 255.0


def _hair(rng: np.random.Generator, largest_px: float) -> F32:
    """A long thin curve."""
    length = _log_uniform(rng, 15.0, 2.0 * largest_px)
    thick = rng.uniform(0.6, 2.4)
    return _drawn(_curve(rng, length), filled=False, thick_px=thick, soft_px=rng.uniform(0.3, 0.7))


def _lint(rng: np.random.Generator, largest_px: float) -> F32:
    """A fibre that branches and frays."""
    length = _log_uniform(rng, 20.0, 1.5 * largest_px)
    stem = _curve(rng, length)
    strands = [stem]
    for _ in range(int(rng.integers(1, 5))):
        start = stem[int(rng.integers(len(stem)))]
        strands.append(_curve(rng, length * rng.uniform(0.1, 0.5)) + start)
    return _drawn(
        strands[0],
        filled=False,
        thick_px=rng.uniform(1.0, 4.0),
        soft_px=rng.uniform(0.4, 0.9),
        more=strands[1:],
    )


def _curve(rng: np.random.Generator, length: float) -> NDArray[np.float64]:
    heading, bend = rng.uniform(0, 2 * math.pi), rng.normal() * 0.03
    steps = max(3, int(length / 2))
    points = [np.zeros(2)]
    for _ in range(steps):
        bend = 0.95 * bend + rng.normal() * 0.02
        heading += 2 * bend + rng.normal() * 0.05
        points.append(points[-1] + 2.0 * np.array([math.cos(heading), math.sin(heading)]))
    return np.array(points)


def _smut(rng: np.random.Generator, largest_px: float) -> F32:
    """Clumps of soot: noise above a level inside a soft outline."""
    size = _log_uniform(rng, 10.0, 0.6 * largest_px)
    return _clouds(rng, size, grain_px=max(0.7, size / rng.uniform(10, 30)), level=0.55, flat=True)


def _stain(rng: np.random.Generator, largest_px: float) -> F32:
    """A dried drop or a flake of emulsion: even inside, half transparent, with a darker rim."""
    size = _log_uniform(rng, 16.0, largest_px)
    body = _clouds(rng, size, grain_px=size / rng.uniform(4, 9), level=0.5, flat=True)
    core = cv2.GaussianBlur(body, (0, 0), max(0.8, size / 20))
    rim = np.clip(body - core, 0.0, 1.0) * 2.0
    clear = np.float32(rng.uniform(0.4, 1.0))
    shaded: F32 = np.clip(body * clear + rim * (1 - clear), 0.0, 1.0)
    return shaded


def _clouds(
    rng: np.random.Generator, size: float, grain_px: float, level: float, *, flat: bool
) -> F32:
    side = math.ceil(size) + 6
    coarse = cv2.GaussianBlur(rng.normal(size=(side, side)).astype(np.float32), (0, 0), size / 7)
    fine = cv2.GaussianBlur(rng.normal(size=(side, side)).astype(np.float32), (0, 0), grain_px)
    noise = coarse / (coarse.std() + 1e-9) + 0.8 * fine / (fine.std() + 1e-9)
    y, x = (np.mgrid[0:side, 0:side] - side / 2) / (size / 2)
    field = noise * 0.45 + (1.0 - (x**2 + y**2) * 1.3) - level
    # Half a pixel of ramp around the outline.
    slope = np.maximum(
        cv2.GaussianBlur(np.abs(cv2.Laplacian(field, cv2.CV_64F)), (0, 0), 1.5), 0.05
    )
    covered: F32 = np.clip(field / slope * 0.5 + 0.5, 0.0, 1.0).astype(np.float32)
    inside = (x**2 + y**2 < 1.0).astype(np.float32)
    return covered * inside if flat else covered


def _scuffs(rng: np.random.Generator, largest_px: float) -> F32:
    """A bundle of short, broken, nearly straight scratches."""
    size = _log_uniform(rng, 24.0, largest_px)
    side = math.ceil(size) + 4
    canvas = np.zeros((side, side), np.uint8)
    main = rng.uniform(0, math.pi)
    for _ in range(int(rng.integers(4, 40))):
        angle = main + rng.normal() * 0.5
        centre = side / 2 + rng.normal(size=2) * size * 0.18
        half = size * rng.uniform(0.05, 0.35)
        way = np.array([math.cos(angle), math.sin(angle)]) * half
        broken = np.linspace(-1, 1, int(rng.integers(3, 14)))
        for a, b in zip(broken[:-1:2], broken[1::2], strict=False):
            ends = np.round(np.stack([centre + way * a, centre + way * b]) * _FINE).astype(np.int32)
            cv2.polylines(canvas, [ends], False, int(rng.integers(90, 256)), 1, cv2.LINE_AA, 4)
    return canvas.astype(np.float32) / 255.0


def _drawn(
    points: NDArray[np.float64],
    *,
    filled: bool,
    soft_px: float,
    thick_px: float = 1.0,
    more: list[NDArray[np.float64]] | None = None,
) -> F32:
    """Anti-aliased coverage of a polygon or of lines, in their bounding box."""
    every = [points, *(more or [])]
    margin = 4 + math.ceil(thick_px)
    low = np.min([p.min(axis=0) for p in every], axis=0) - margin
    size = np.ceil(np.max([p.max(axis=0) for p in every], axis=0) - low).astype(int) + margin
    # Drawn at four times the size, so that lines may be thinner than a pixel or lie between two.
    canvas = np.zeros((4 * int(size[1]), 4 * int(size[0])), np.uint8)
    fixed = [np.round((p - low) * 4 * _FINE).astype(np.int32) for p in every]
    if filled:
        cv2.fillPoly(canvas, fixed, 255, cv2.LINE_AA, 4)
    else:
        cv2.polylines(canvas, fixed, False, 255, max(1, round(4 * thick_px)), cv2.LINE_AA, 4)
    small = cv2.resize(canvas, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    soft: F32 = cv2.GaussianBlur(small.astype(np.float32) / 255.0, (0, 0), soft_px)
    return soft


_KINDS: dict[str, tuple[Callable[[np.random.Generator, float], F32], float]] = {
    "speck": (_speck, 3.0),
    "spots": (_spots, 1.0),
    "sprinkles": (_sprinkles, 1.0),
    "hair": (_hair, 2.0),
    "lint": (_lint, 1.0),
    "smut": (_smut, 1.0),
    "stain": (_stain, 1.0),
    "scuffs": (_scuffs, 1.0),
}
