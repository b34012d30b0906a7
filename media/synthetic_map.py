"""The infra-red plane that a scanner would have seen of a damaged shot."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
_BASE, _DIRT = 0.06, 0.5
"""Densities of the film's base and of dirt."""
_DENSITY = 1023.0 / 500.0
"""Densities in one unit of film log."""


def infrared(
    frames: F32,
    dirt: NDArray[np.bool_],
    seed: int,
    *,
    shift_px: tuple[float, float] = (1.3, -2.6),
    crosstalk: float = 0.05,
    noise: float = 0.006,
    bright: bool = False,
) -> F32:
    """(T, H, W) 0..1.

    frames: (T, C, H, W) film log. dirt: (T, H, W) pixels that dirt covers. shift_px: how far the
    plane lies right of the picture and below it. crosstalk: density for each density of the
    picture: a few hundredths for dyes, about 1 for silver.
    """
    rng = np.random.default_rng(seed)
    out = np.empty(dirt.shape, np.float32)
    h, w = dirt.shape[1:]
    move = np.array([[1.0, 0.0, shift_px[0]], [0.0, 1.0, shift_px[1]]])
    for k, (frame, covered) in enumerate(zip(frames, dirt, strict=True)):
        cover = cv2.GaussianBlur(covered.astype(np.float32), (0, 0), 0.7)
        density = _BASE + _DIRT * cover + crosstalk * _DENSITY * frame.mean(axis=0)
        moved = cv2.warpAffine(
            density.astype(np.float32), move, (w, h), flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        seen = np.clip(10.0**-moved + noise * rng.standard_normal((h, w)), 0.0, 1.0)
        out[k] = 1.0 - seen if bright else seen
    return out
