"""From a placed map to the pixels of a frame that are damaged."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from restore.defects.crosstalk import F32, cleaned, density_of
from restore.defects.measure import LEAST_DENSITY
from restore.defects.solve import MapFit

MASKS = 1
"""Rises when a mask would come out differently."""
_SEED, _GROW = 6.0, 3.0
_RIM_PX = 3


def defect_mask(
    picture: F32, plane: F32, fit: MapFit, *, bright: bool
) -> tuple[NDArray[np.bool_], F32]:
    """Damaged pixels of one frame, and how likely each pixel is to be one.

    picture: (C, H, W) film log. plane: (H, W) 0..1, the map. bright: defects are bright in it.
    returns: (H, W) bool, with the rim of each defect; (H, W) 0..1. All False and 0 where the fit
    was refused.
    """
    shape = plane.shape
    if not fit.applied:
        return np.zeros(shape, np.bool_), np.zeros(shape, np.float32)
    found = cleaned(_moved(density_of(plane, bright=bright), fit), picture)
    seed = max(_SEED * found.sigma, LEAST_DENSITY)
    grow = max(_GROW * found.sigma, 0.4 * LEAST_DENSITY)
    body = (found.depth > grow).astype(np.uint8)
    count, labels, _, _ = cv2.connectedComponentsWithStats(body, connectivity=8)
    hit = np.zeros(count, np.bool_)
    hit[np.unique(labels[found.depth > seed])] = True
    hit[0] = False
    mask = hit[labels].astype(np.uint8)
    # The picture is spoilt a little further than the map tells: light scatters at the rim.
    mask = cv2.dilate(mask, np.ones((_RIM_PX, _RIM_PX), np.uint8))
    middle, scale = 0.5 * (seed + grow), max(0.25 * (seed - grow), 1e-6)
    likely = 1.0 / (1.0 + np.exp(np.clip(-(found.depth - middle) / scale, -30.0, 30.0)))
    return mask > 0, likely.astype(np.float32)


def _moved(density: F32, fit: MapFit) -> F32:
    """The map's density brought to lie on the picture."""
    if not (fit.dx_px or fit.dy_px):
        return density
    move = np.array([[1.0, 0.0, fit.dx_px], [0.0, 1.0, fit.dy_px]])
    size = (density.shape[1], density.shape[0])
    moved: F32 = cv2.warpAffine(
        density, move, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return moved
