"""Windows of five frames with known grain, for the networks that guide the grain filter.

What the networks see is made the way the filter makes it: grain of some size, strength by level
and correlation between channels is laid on a moving picture; motion is found through that grain;
neighbours are brought onto the frame; and all of it is put on the scale of the grain *as it would
be measured*, which is a little off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from media.encoding import STOP
from restore.alignment import FlowMemory, Steering, brought_onto, chained_flows
from restore.grain.measure import dct_spectrum
from restore.grain_curve import GrainCurve
from restore.models.train.moving import Sources, from_film, from_photographs
from restore.noise import guide
from restore.noise.transform import USUAL, Filter, GrainModel

F32 = NDArray[np.float32]
FRAMES = 5
RIM_PX = 16
_KNOTS = np.linspace(0.0, 1.1, 12)
_CENTER = FRAMES // 2


@dataclass(frozen=True, slots=True)
class GrainWindow:
    """One place to learn from; planes in units of grain, less the slow part of the frame."""

    given: NDArray[np.float16]
    """(7 * 3, h, w): the frame, four neighbours brought onto it, the two beside it as they are."""
    truth: NDArray[np.float16]
    """(3, h, w) the frame without grain."""
    told: F32
    """(CONDITIONS,)"""


def window(rng: np.random.Generator, sources: Sources) -> GrainWindow:
    """Made at random."""
    filmed = len(sources.films) > 0 and rng.random() < 0.35
    make = from_film if filmed else from_photographs
    clean = _toned(rng, make(rng, sources, FRAMES))
    noisy, curve, model = _grained(rng, clean)
    pictures = [np.ascontiguousarray(f.transpose(1, 2, 0)) for f in noisy]
    steering = {k: Steering(p) for k, p in enumerate(pictures)}
    # The nearest first: the order the networks know neighbours by.
    near = sorted(set(range(FRAMES)) - {_CENTER}, key=lambda k: (abs(k - _CENTER), k))
    found = chained_flows(steering, _CENTER, near, FlowMemory("usual"))
    bound = Filter(curve, model, USUAL)
    units = [bound.in_units(p) for p in pictures]
    own = units[_CENTER]
    around = brought_onto(own, [units[k] for k in near], [found[k] for k in near])
    beside = [units[_CENTER - 1], units[_CENTER + 1]]
    if rng.random() < 0.08:
        # At the ends of a short shot there are fewer neighbours: the frame stands in for them.
        for k in rng.choice(4, int(rng.integers(1, 5)), replace=False):
            around[int(k)] = own
        beside[int(rng.integers(2))] = own
    truth = bound.in_units(np.ascontiguousarray(clean[_CENTER].transpose(1, 2, 0)))
    planes = np.stack([truth, own, *around, *beside]).transpose(0, 3, 1, 2).copy()
    if rng.random() < 0.25:
        planes[:, 1:] = 0.0
    slow = guide.slow_part(planes[1])
    planes = np.clip(planes - slow, -guide.RANGE, guide.RANGE)
    inner = planes[:, :, RIM_PX:-RIM_PX, RIM_PX:-RIM_PX].astype(np.float16)
    given = inner[1:].reshape(-1, *inner.shape[2:])
    told = guide.conditions(model.spectrum, model.coarse_spectrum)
    told += rng.normal(size=told.shape).astype(np.float32) * 0.1
    return GrainWindow(given, inner[0], told)


def _toned(rng: np.random.Generator, clean: F32) -> F32:
    """Contrast and density, and what flicker is left between frames."""
    slope, lift = rng.uniform(0.6, 1.1), rng.uniform(-0.05, 0.1)
    toned = (clean - 0.45) * np.float32(slope) + np.float32(0.45 + lift)
    if rng.random() < 0.25:
        for frame in toned:
            knots = rng.normal(size=(3, 4)).astype(np.float32) * 0.02
            frame += cv2.resize(knots, frame.shape[:0:-1], interpolation=cv2.INTER_CUBIC) * STOP
    return toned


def _grained(rng: np.random.Generator, clean: F32) -> tuple[F32, GrainCurve, GrainModel]:
    """Frames with grain, and what a measurement would say of it."""
    level = float(np.exp(rng.uniform(math.log(0.002), math.log(0.08))))
    size_px = 0.0 if rng.random() < 0.25 else float(rng.uniform(0.4, 1.2))
    strengths = np.stack([_by_level(rng) * rng.uniform(0.85, 1.2) for _ in range(3)]) * level
    if rng.random() < 0.5:
        strengths[:] = strengths[:1]
    together = float(rng.choice([0.0, 0.0, 0.3, 0.8, 1.0]))
    white = rng.standard_normal(clean.shape, dtype=np.float32)
    if together > 0.0:
        white *= np.float32(math.sqrt(1.0 - together))
        white += np.float32(math.sqrt(together)) * rng.standard_normal(
            (clean.shape[0], 1, *clean.shape[2:]), dtype=np.float32
        )
    if size_px:
        for planes in white:
            for plane in planes:
                cv2.GaussianBlur(plane, (0, 0), size_px, dst=plane)
        white /= white.std()
    noisy = np.empty_like(clean)
    for channel in range(3):
        values = clean[:, channel]
        by_level = np.interp(values.ravel(), _KNOTS, strengths[channel]).reshape(values.shape)
        noisy[:, channel] = values + by_level.astype(np.float32) * white[:, channel]
    spectra = [dct_spectrum(_cells(p)) for p in (white[0], _halved(white[0]))]
    mean = spectra[0].mean()
    model = GrainModel(spectra[0] / mean, spectra[1] / mean, _together(white))
    off = np.exp(rng.normal() * 0.1 + rng.normal(size=strengths.shape) * 0.04)
    told = strengths * off
    curve = GrainCurve(tuple(float(v) for v in _KNOTS), tuple(tuple(map(float, c)) for c in told))
    return noisy, curve, model


def _by_level(rng: np.random.Generator) -> NDArray[np.float64]:
    """(K,) about 1: strongest at mid gray, rising, or strong in the dark, and between."""
    x = _KNOTS
    middle, slope, dark = rng.uniform(0, 1.2), rng.uniform(-0.4, 0.5), rng.uniform(0, 1.5)
    found = 0.55 + middle * 4 * x * (1.1 - x) / 1.21 + slope * x
    if rng.random() < 0.4:
        found = found + dark * np.exp(-np.maximum(x - 0.1, 0.0) / 0.12)
    found = np.maximum(found, 0.15)
    about_one: NDArray[np.float64] = found / found.mean()
    return about_one


def _halved(planes: F32) -> F32:
    c, h, w = planes.shape
    halved: F32 = planes.reshape(c, h // 2, 2, w // 2, 2).mean(axis=(2, 4))
    return halved


def _cells(planes: F32) -> NDArray[np.float64]:
    """(C, H, W) to (N, 8, 8)."""
    c, h, w = planes.shape
    cut = planes[:, : h - h % 8, : w - w % 8].reshape(c, h // 8, 8, w // 8, 8)
    cells: NDArray[np.float64] = cut.transpose(0, 1, 3, 2, 4).reshape(-1, 8, 8).astype(np.float64)
    return cells


def _together(white: F32) -> NDArray[np.float64]:
    some = white.transpose(1, 0, 2, 3).reshape(3, -1)[:, ::7]
    found: NDArray[np.float64] = np.corrcoef(some.astype(np.float64))
    return found
