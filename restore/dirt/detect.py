"""Find what is on one frame only.

A pixel is suspect when it lies outside everything its motion-compensated neighbours show
around it (ROD, after Kokaram 1998; two-sided test after Storey, BBC RD 1985/4), by more than
grain explains. Suspects are grown by hysteresis into blobs, and a blob that can be found again
somewhere near in a neighbouring frame is a moving thing, not dirt.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from restore.motion import luma

_DOUBT = 0.5
"""Share of the neighbours' disagreement that a speck must exceed on top of their range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DirtOptions:
    """How sure to be before a pixel is called dirt."""

    threshold_sigma: float = 5.5
    """A blob starts where the deviation exceeds this many grain sigmas."""
    threshold_floor: float = 0.035
    """... and at least this much film log (a third of a stop)."""
    grow_share: float = 0.4
    """A blob grows down to this share of the starting threshold."""
    max_blob_px: int = 4000
    """Larger blobs are damage of another kind: left alone."""
    max_area_share: float = 0.03
    """A frame with more suspect area than this is left alone and held for review."""
    search_px: int = 24
    """How far a blob is looked for in the neighbouring frames before it is called dirt."""

    def as_key(self) -> Mapping[str, object]:
        """For the operator's key."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Suspects:
    """Result of detection on one frame."""

    mask: NDArray[np.bool_]
    """(H, W) pixels to repair."""
    blobs: int
    moving: int
    """Blobs found again in a neighbour and therefore left alone."""
    refused: bool
    """True when the frame was left alone because too much was suspect."""


def deviation(center: Tensor, neighbours: Tensor) -> Tensor:
    """How far each pixel lies outside all that its neighbours show around it.

    center: (C, H, W) film log. neighbours: (N, C, H, W), motion compensated, N >= 2.
    returns: (H, W) signed film log luma; 0 inside the range. Where the neighbours disagree
    among themselves the range is wide and the deviation small: no evidence, no repair.
    """
    own = luma(center)
    near = luma(neighbours).unsqueeze(1)
    high = F.max_pool2d(near, 3, stride=1, padding=1).amax(dim=(0, 1))
    low = -F.max_pool2d(-near, 3, stride=1, padding=1).amax(dim=(0, 1))
    # Where the nearest two disagree, motion is lost or something moves: ask for more.
    doubt = F.max_pool2d((near[0] - near[1]).abs(), 5, stride=1, padding=2)[0]
    above = (own - high - _DOUBT * doubt).clamp_min(0.0)
    below = (low - own - _DOUBT * doubt).clamp_min(0.0)
    return above - below


def suspects(
    center: Tensor,
    neighbours: Tensor,
    unaligned: list[Tensor],
    sigma: float,
    options: DirtOptions,
) -> Suspects:
    """Dirt on one frame.

    center: (C, H, W) film log; neighbours: (N, C, H, W) motion compensated; unaligned: the same
    neighbours as they are. sigma: grain of the luma, film log.
    """
    score = deviation(center, neighbours).cpu().numpy()
    high = max(options.threshold_sigma * sigma * math.sqrt(0.5), options.threshold_floor)
    seeds = np.abs(score) > high
    if not seeds.any():
        return Suspects(seeds, 0, 0, False)
    grown = np.abs(score) > max(options.grow_share * high, 1.5 * sigma)
    # Grow from a seed to its whole blob, dark and bright apart.
    mask = np.zeros(score.shape, np.bool_)
    blobs = moving = 0
    own = luma(center).cpu().numpy()
    others = [luma(u).cpu().numpy() for u in unaligned]
    for sign in (1, -1):
        body = (grown & (np.sign(score) == sign)).astype(np.uint8)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(body, connectivity=8)
        hit = np.unique(labels[seeds & (body > 0)])
        for label in hit[hit > 0]:
            if stats[label, cv2.CC_STAT_AREA] > options.max_blob_px:
                continue
            blob = _cut(labels, stats[label], label)
            if _seen_elsewhere(blob, own, others, sigma, options):
                moving += 1
                continue
            blobs += 1
            mask |= labels == label
        del count
    # The rim of a speck is half dirt: take one more pixel all around.
    mask = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=2) > 0
    refused = bool(mask.mean() > options.max_area_share)
    return Suspects(np.zeros_like(mask) if refused else mask, blobs, moving, refused)


@dataclass(frozen=True, slots=True)
class _Blob:
    top: int
    left: int
    inside: NDArray[np.bool_]
    """Blob pixels in its bounding box with a margin of 2 px."""


def _cut(labels: NDArray[np.int32], stats: NDArray[np.int32], label: int) -> _Blob:
    x, y, w, h = (int(v) for v in stats[:4])
    top, left = max(0, y - 2), max(0, x - 2)
    box = labels[top : y + h + 2, left : x + w + 2]
    return _Blob(top, left, box == label)


def _seen_elsewhere(
    blob: _Blob,
    own: NDArray[np.float32],
    others: list[NDArray[np.float32]],
    sigma: float,
    options: DirtOptions,
) -> bool:
    """True when the blob, with the rim that sets it off, is found near in every neighbour side.

    A speck of dirt has no like in other frames; a ball, a bird or a lamp does. One neighbour
    that shows it is enough to let it live.
    """
    h, w = blob.inside.shape
    template = np.ascontiguousarray(own[blob.top : blob.top + h, blob.left : blob.left + w])
    rim = ~blob.inside
    if not rim.any():
        return False
    contrast = abs(float(template[blob.inside].mean() - template[rim].mean()))
    reach = options.search_px
    top, left = max(0, blob.top - reach), max(0, blob.left - reach)
    for other in others:
        area = np.ascontiguousarray(other[top : blob.top + h + reach, left : blob.left + w + reach])
        if area.shape[0] < h or area.shape[1] < w:
            continue
        best = float(cv2.matchTemplate(area, template, cv2.TM_SQDIFF).min()) / template.size
        allowed = 2.2 * sigma * sigma + (0.18 * contrast) ** 2 * float(blob.inside.mean())
        if best < allowed:
            return True
    return False
