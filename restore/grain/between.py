"""A frame laid over the one before it, to parts of a pixel, so that grain is what differs.

What lies between pixels is a weighted sum of them: of grain it has a known share of the variance,
near to all, and of the picture what a wide kernel gives, which is near to all of it too. Where
whole pixels do better (drawings, pictures that stand still) they are taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from restore.grain.cells import BLOCK, blocks_of, middle, with_luma

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
STEPS = 32
"""To the pixel: OpenCV fetches from places that many."""
_EVERY = 4
_REACH = 4
"""Pixels to each side, of a Lanczos kernel."""
_MAD = 1.4826
"""From the median absolute value to sigma."""
_CLEARLY = 0.9
"""Whole pixels are taken where they leave less than this share of what parts of pixels leave."""


@dataclass(frozen=True, eq=False)
class Between:
    """Places of one frame in another."""

    x_px: F32
    """(H, W) where each pixel is found."""
    y_px: F32

    @classmethod
    def along(cls, flow: F32) -> Between:
        """flow: (H, W, 2) px, x then y."""
        h, w = flow.shape[:2]
        rows, columns = np.mgrid[:h, :w].astype(np.float32)
        return cls(columns + flow[..., 0], rows + flow[..., 1])

    def fetch(self, planes: F32) -> F32:
        """(C, H, W) from those places; beyond its edges a plane goes on as it is there."""
        return np.stack(
            [
                cv2.remap(
                    np.ascontiguousarray(p),
                    self.x_px,
                    self.y_px,
                    cv2.INTER_LANCZOS4,
                    borderMode=cv2.BORDER_REPLICATE,
                )
                for p in planes
            ]
        )

    def kept(self, correlation: float) -> F32:
        """(blocks,) share of the variance of grain that comes out.

        correlation: between neighbours; it is taken to fall off like a Gaussian blur's.
        """
        shares = _shares(min(max(correlation, 0.0), 0.95)).astype(np.float32)
        h, w = (n // BLOCK * BLOCK for n in self.x_px.shape)
        # Flow is smooth: some places of a block speak for all.
        x_px, y_px = (p[:h:_EVERY, :w:_EVERY] for p in (self.x_px, self.y_px))
        at_places = shares[_part(x_px)] * shares[_part(y_px)]
        side = BLOCK // _EVERY
        cells = at_places.reshape(h // BLOCK, side, w // BLOCK, side)
        found: F32 = cells.mean(axis=(1, 3)).reshape(-1)
        return found


def laid_over(
    pixels: F32, one: F32, whole: F32, exact: F32, correlation: float
) -> tuple[Between, F32]:
    """Where the next frame lies to parts of a pixel, and its difference (C + 1, H, W) from ``one``.

    whole: the difference over whole pixels, which is taken where it is clearly the smaller.
    exact: (H, W, 2) flow.
    """
    laid = Between.along(exact)
    fine = with_luma(laid.fetch(pixels) - one)
    kept = laid.kept(correlation)
    luma_blocks = blocks_of(np.stack([fine[-1], whole[-1]]))
    by_part, by_whole = luma_blocks - middle(luma_blocks)
    drawn = strength_of(by_whole, np.ones_like(kept)) < _CLEARLY * strength_of(by_part, kept)
    if not drawn.any():
        return laid, fine
    h, w = exact.shape[:2]
    there = np.zeros((h, w), np.bool_)
    grid = drawn.reshape(h // BLOCK, w // BLOCK)
    there[: h // BLOCK * BLOCK, : w // BLOCK * BLOCK] = np.kron(
        grid, np.ones((BLOCK, BLOCK), np.bool_)
    )
    flow = np.where(there[..., None], np.rint(exact), exact)
    return Between.along(flow), np.where(there, whole, fine)


def strength_of(blocks: F32, kept: F32) -> F64:
    """(..., blocks) sigma of one frame, from differences (..., blocks, pixels) without a middle.

    kept: (blocks,) share of the variance of the other frame that is in them.
    """
    found: F64 = _MAD * middle(np.abs(blocks))[..., 0] / np.sqrt(1.0 + kept)
    return found


def _part(places: F32) -> NDArray[np.int64]:
    """The part of a pixel, in steps."""
    found: NDArray[np.int64] = np.rint(np.mod(places, 1.0) * STEPS).astype(np.int64)
    return found


def _shares(correlation: float) -> F64:
    """(33) of the variance that a Lanczos kernel keeps at each part of a pixel along one axis."""
    offset = np.arange(STEPS + 1)[:, None] / STEPS - np.arange(1 - _REACH, _REACH + 1)[None]
    taps = np.sinc(offset) * np.sinc(offset / _REACH) * (np.abs(offset) < _REACH)
    taps /= taps.sum(axis=1, keepdims=True)
    apart = np.subtract.outer(np.arange(2 * _REACH), np.arange(2 * _REACH))
    found: F64 = np.einsum("fi,ij,fj->f", taps, correlation ** np.square(apart), taps)
    return found
