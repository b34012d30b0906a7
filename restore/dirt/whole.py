"""The whole of a piece of dirt of which a part was found.

Parts of a large stain are like things of the scene, and where a dark drop lies over something dark
little speaks of it; but what lies beside a plain piece and differs from every neighbour as it does
belongs to it.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from restore.alignment import pixel_grid
from restore.dirt.blobs import Blob, middle

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]
_LEAST_PX, _LARGE_PX = 40, 400
"""Smaller pieces are found whole; only larger ones have holes."""
_BESIDE_PX = 24
"""How far beyond a piece its rest is looked for at most; half its size where that is less."""
_PART_OF_LARGE = 0.25
"""Share of the contrast of a large piece that what lies within its outline has at least."""
_SOFT_PX, _SOFT_LARGE_PX = 0.7, 1.5
_PLAIN, _PLAIN_SIGMAS, _PART_OF_PLAIN = 0.06, 6.0, 0.6
"""Film log and sigmas by which a piece is plain; share of it that what lies beside it has."""
_SEEN, _SEEN_SIGMAS, _RIM_PX = 0.02, 1.5, 2
"""Film log and sigmas that are left of it in its soft rim, and how wide that is."""


def made_whole(
    blob: Blob, own: F32, near: Sequence[F32], flows: Sequence[F32], sigma: float
) -> Blob:
    """The piece, and what else belongs to it, in a box that may be larger.

    own, near: (H, W) film log luma. flows: (H, W, 2) px from the frame to each of ``near``. sigma:
    grain of the luma, film log.
    """
    if blob.area_px < _LEAST_PX:
        return blob
    large, plain = blob.area_px >= _LARGE_PX, max(_PLAIN, _PLAIN_SIGMAS * sigma)
    piece = _widened(blob, min(round(0.5 * blob.area_px**0.5), _BESIDE_PX), own.shape)
    outline = np.zeros(piece.inside.shape, np.uint8)
    cv2.fillConvexPoly(outline, cv2.convexHull(cv2.findNonZero(piece.inside.astype(np.uint8))), 1)
    apart = _apart(piece, outline == 0, own, near, flows, 0.0 if large else plain)
    if apart is None:
        return blob
    share, contrast = apart
    whole = piece.inside.copy()
    if large:
        whole |= (outline > 0) & (share > _PART_OF_LARGE)
    if contrast >= plain:
        whole = _connected(whole | (share > _PART_OF_PLAIN), piece.inside)
        seen = share * contrast > max(_SEEN, _SEEN_SIGMAS * sigma)
        for _ in range(_RIM_PX):
            whole |= (cv2.dilate(whole.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0) & seen
    return Blob(piece.top, piece.left, whole, blob.sign, int(whole.sum()))


def _widened(blob: Blob, by_px: int, size: tuple[int, ...]) -> Blob:
    """The same piece in a box that is wider by so many px all around, as far as the frame goes."""
    h, w = blob.inside.shape
    top, left = min(by_px, blob.top), min(by_px, blob.left)
    bottom = min(by_px, size[0] - blob.top - h)
    right = min(by_px, size[1] - blob.left - w)
    inside = np.pad(blob.inside, ((top, bottom), (left, right)))
    return Blob(blob.top - top, blob.left - left, inside, blob.sign, blob.area_px)


def _apart(
    piece: Blob,
    around: Mask,
    own: F32,
    near: Sequence[F32],
    flows: Sequence[F32],
    least_contrast: float,
) -> tuple[F32, float] | None:
    """By which share of the piece's contrast each place of its box differs from the neighbour that
    it differs least from, and the least contrast, film log; None where that is too little.

    around: (h, w) what lies around the piece.
    """
    h, w = piece.inside.shape
    around = around if bool(around.any()) else ~piece.inside
    if not around.any():
        return None
    at = (slice(piece.top, piece.top + h), slice(piece.left, piece.left + w))
    soft_px = _SOFT_LARGE_PX if piece.area_px >= _LARGE_PX else _SOFT_PX
    least, contrast = np.full((h, w), np.inf, np.float32), np.inf
    for plane, flow in zip(near, flows, strict=True):
        # Under a piece motion was looked for in vain: that around it is carried in.
        way = [middle(flow[at][..., k][around]) for k in (0, 1)]
        places = pixel_grid(h, w) + np.array((piece.left + way[0], piece.top + way[1]), np.float32)
        there = cv2.remap(plane, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        gap = cv2.GaussianBlur(own[at] - there, (0, 0), soft_px)
        # Flicker that is left over is no contrast.
        gap -= middle(gap[around])
        here = middle(gap[piece.inside])
        contrast = min(contrast, abs(here))
        if contrast <= least_contrast:
            return None
        np.minimum(least, gap / (here if here != 0.0 else np.inf), out=least)
    return least, contrast


def _connected(where: Mask, core: Mask) -> Mask:
    """What of ``where`` hangs together with ``core``."""
    _, labels = cv2.connectedComponents(where.astype(np.uint8), connectivity=4)
    found: Mask = np.isin(labels, np.unique(labels[core])) & where
    return found
