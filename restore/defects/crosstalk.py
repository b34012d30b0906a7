"""Take the picture out of a defect map: dyes are not quite clear in infra-red.

In density, what dyes absorb of the infra-red is a share of what each absorbs of the light, so the
map's density is fitted by the film log of the picture's channels, place by place, without the
places that stand out: those are the defects.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

_ROWS, _COLUMNS = 3, 4
_ROUNDS = 4
_SAMPLES = 40_000
"""Pixels of a frame that are fitted, about."""
_KEPT = 2.5
_RIDGE = 1e-3
_DARKEST = 1.0 / 4096.0


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A map without the picture in it."""

    depth: F32
    """(H, W) density that the picture does not explain, relative to what is around; positive
    where a defect is."""
    sigma: float
    """Its noise, robust."""
    follows: float
    """Density of the map for each density of the picture (500 codes of 1023), largest over the
    frame: about 1 for silver, a few hundredths for dyes."""
    explained: float
    """Share of the map's variance that the picture explains, defects left out."""


def density_of(plane: F32, *, bright: bool) -> F32:
    """Density of a map whose values are 0..1; bright: defects are bright in it."""
    seen = 1.0 - plane if bright else plane
    found: F32 = -np.log10(np.maximum(seen, _DARKEST)).astype(np.float32)
    return found


def cleaned(density: F32, picture: F32) -> Cleaned:
    """density: (H, W) of the map, lying on the picture. picture: (C, H, W) film log."""
    h, w = density.shape
    columns = picture.shape[0] + 1
    fields = np.zeros((columns, _ROWS, _COLUMNS), np.float64)
    explained = np.zeros((_ROWS, _COLUMNS))
    rows = np.linspace(0, h, _ROWS + 1).astype(int)
    cols = np.linspace(0, w, _COLUMNS + 1).astype(int)
    step = max(1, round(math.sqrt(h * w / _SAMPLES)))
    for r in range(_ROWS):
        for c in range(_COLUMNS):
            # Tiles overlap by half, so that the fit changes slowly from one to the next.
            top, bottom = _wider(rows[r], rows[r + 1], h)
            left, right = _wider(cols[c], cols[c + 1], w)
            box = (slice(top, bottom, step), slice(left, right, step))
            part = picture[:, box[0], box[1]].reshape(columns - 1, -1).T
            fields[:, r, c], explained[r, c] = _fitted(part, density[box].ravel())
    smooth = [
        cv2.resize(f.astype(np.float32), (w, h), interpolation=cv2.INTER_LINEAR) for f in fields
    ]
    residue: F32 = density - smooth[0]
    for plane, slope in zip(picture, smooth[1:], strict=True):
        residue -= slope * plane
    # What the fit leaves of slow shading (light falls off to the corners of a scanner) goes too.
    residue -= _slow(residue)
    sigma = 1.4826 * float(np.median(np.abs(residue - np.median(residue))))
    # 500 codes of 1023 are one density of the picture.
    follows = float(np.abs(fields[1:].sum(axis=0)).max()) * 500.0 / 1023.0
    return Cleaned(
        residue.astype(np.float32), max(sigma, 1e-5), follows, float(np.median(explained))
    )


def _wider(start: int, stop: int, size: int) -> tuple[int, int]:
    more = (stop - start) // 4
    return max(0, start - more), min(size, stop + more)


def _fitted(picture: F32, density: F32) -> tuple[F64, float]:
    """Offset and slopes, and the share of variance they explain; outliers left out."""
    design = np.column_stack([np.ones(len(picture)), picture]).astype(np.float64)
    target = density.astype(np.float64)
    # Dirt is extreme in the picture as well: in the first fit it would pull its own way.
    middle = float(np.median(target))
    usual = 1.4826 * float(np.median(np.abs(target - middle)))
    kept = np.abs(target - middle) <= 3.0 * max(usual, 1e-5)
    found = np.zeros(design.shape[1])
    for _ in range(_ROUNDS):
        d, t = design[kept], target[kept]
        if len(t) < 8 * design.shape[1]:
            break
        centre = d.mean(axis=0)
        spread = d - centre
        gram = spread.T @ spread / len(t)
        # Channels of a grey picture are alike: the ridge keeps their slopes from running apart.
        gram += np.eye(len(gram)) * _RIDGE * max(float(np.trace(gram)), 1e-9)
        slopes = np.linalg.solve(gram, spread.T @ (t - t.mean()) / len(t))
        slopes[0] = 0.0
        found = slopes
        found[0] = t.mean() - float(centre @ slopes)
        left = target - design @ found
        scale = 1.4826 * float(np.median(np.abs(left - np.median(left))))
        kept = np.abs(left) < _KEPT * max(scale, 1e-5)
    total = float(target[kept].var())
    rest = float((target[kept] - design[kept] @ found).var())
    return found, (1.0 - rest / total if total > 1e-12 else 0.0)


def _slow(residue: F32) -> F32:
    """The residue's slow course: medians over areas, smoothed."""
    h, w = residue.shape
    # Larger than any dirt: a median must not be of dirt.
    size = max(64, min(h, w) // 12)
    rows, cols = max(1, h // size), max(1, w // size)
    areas = residue[: rows * (h // rows), : cols * (w // cols)]
    medians = np.median(
        areas.reshape(rows, h // rows, cols, w // cols)
        .transpose(0, 2, 1, 3)
        .reshape(rows, cols, -1),
        axis=-1,
    ).astype(np.float32)
    slow: F32 = cv2.resize(medians, (w, h), interpolation=cv2.INTER_LINEAR)
    return slow
