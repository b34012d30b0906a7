"""Find what is on one frame only.

A pixel is suspect when it lies outside everything its motion-compensated neighbours show
around it (ROD, after Kokaram 1998; two-sided test after Storey, BBC RD 1985/4), by more than
grain explains. Suspects are grown by hysteresis into blobs, and a blob that can be found again
somewhere near in a neighbouring frame is a moving thing, not dirt.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import cv2
import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from restore.motion import blur, highest, luma

_DOUBT = 0.5
"""Share of the neighbours' disagreement that a speck must exceed on top of their range."""

_SLOW_PX = 8
_SLOW_LIMIT = 0.15
"""Film log; no speck may pull the slow difference further than this."""
_ONE_SIDED = 1.5
_ONE_SIDED_BLOB_PX = 300

_ALIKE = 0.3
"""Rms difference, as a share of its contrast, up to which a thing elsewhere is the same thing."""


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
    near = near + _slow(own - near)
    high = highest(near, 3).amax(dim=(0, 1))
    low = -highest(-near, 3).amax(dim=(0, 1))
    # Where the nearest two disagree, motion is lost or something moves: ask for more.
    doubt = highest((near[:1] - near[1:2]).abs(), 5)[0, 0]
    above = (own - high - _DOUBT * doubt).clamp_min(0.0)
    below = (low - own - _DOUBT * doubt).clamp_min(0.0)
    return above - below


def _slow(difference: Tensor) -> Tensor:
    """What changes slowly over (N, 1, H, W): flicker and shading, not specks. Same shape."""
    h, w = difference.shape[-2:]
    if min(h, w) < 4 * _SLOW_PX:
        return difference.mean(dim=(-2, -1), keepdim=True).expand_as(difference)
    bounded = difference.clamp(-_SLOW_LIMIT, _SLOW_LIMIT)
    coarse = blur(F.avg_pool2d(bounded, _SLOW_PX), 3.0)
    return F.interpolate(coarse, size=(h, w), mode="bilinear", align_corners=False)


def suspects(
    center: Tensor,
    neighbours: Tensor,
    unaligned: Sequence[Tensor],
    flows: Sequence[NDArray[np.float32]],
    sigma: float,
    options: DirtOptions,
    *,
    one_sided: bool = False,
) -> Suspects:
    """Dirt on one frame.

    center: (C, H, W) film log; neighbours: (N, C, H, W) motion compensated; unaligned: the
    nearest of them as they are, and flows: the (H, W, 2) px motion to each; these are where a
    blob is looked for before it is called dirt. sigma: grain of the luma, film log.
    one_sided: all neighbours lie before, or all after: what has just come into view looks
    like dirt then, so a blob must stand out more and be smaller.
    """
    score = deviation(center, neighbours).cpu().numpy()
    high = max(options.threshold_sigma * sigma * math.sqrt(0.5), options.threshold_floor)
    largest_px = options.max_blob_px
    if one_sided:
        high, largest_px = _ONE_SIDED * high, min(largest_px, _ONE_SIDED_BLOB_PX)
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
            if stats[label, cv2.CC_STAT_AREA] > largest_px:
                continue
            blob = _cut(labels, stats[label], label, sign)
            if any(
                _seen_elsewhere(blob, own, other, flow, sigma, options)
                for other, flow in zip(others, flows, strict=True)
            ):
                moving += 1
                continue
            blobs += 1
            mask |= labels == label
        del count
    if float(mask.mean()) > options.max_area_share:
        return Suspects(np.zeros_like(mask), blobs, moving, True)
    # The rim of a speck is half dirt: take two more pixels all around.
    mask = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=2) > 0
    return Suspects(mask, blobs, moving, False)


@dataclass(frozen=True, slots=True)
class _Blob:
    top: int
    left: int
    inside: NDArray[np.bool_]
    """Blob pixels in its bounding box with a margin of 2 px, cut off at the frame's edges."""
    sign: int
    """1 where it is brighter than its neighbours, -1 where it is darker."""


def _cut(labels: NDArray[np.int32], stats: NDArray[np.int32], label: int, sign: int) -> _Blob:
    x, y, w, h = (int(v) for v in stats[:4])
    top, left = max(0, y - 2), max(0, x - 2)
    box = labels[top : y + h + 2, left : x + w + 2]
    return _Blob(top, left, box == label, sign)


def _seen_elsewhere(
    blob: _Blob,
    own: NDArray[np.float32],
    other: NDArray[np.float32],
    flow: NDArray[np.float32],
    sigma: float,
    options: DirtOptions,
) -> bool:
    """True when the other frame shows the same thing at another place near by.

    Looking alike is not enough: a dark speck is like any dark corner of the scene. The place
    found must look like the blob, must not look so in this frame (something arrived there or
    left), and what surrounds it must not have changed with it (it has the blob's size).
    own, other: (H, W) film log luma. flow: (H, W, 2) px from this frame to the other.
    """
    h, w = blob.inside.shape
    reach = options.search_px
    top, left = max(0, blob.top - reach), max(0, blob.left - reach)
    bottom, right = blob.top + h + reach, blob.left + w + reach
    here = own[top:bottom, left:right]
    # The background's own motion is taken out, so that only things that move otherwise count.
    drift = np.median(flow[top:bottom:4, left:right:4].reshape(-1, 2), axis=0)
    rows = np.clip(np.arange(top, top + here.shape[0]) + round(float(drift[1])), 0, len(own) - 1)
    cols = np.arange(left, left + here.shape[1]) + round(float(drift[0]))
    there = other[rows[:, None], np.clip(cols, 0, own.shape[1] - 1)[None, :]]
    arrived = (there - here) * blob.sign
    at = (slice(blob.top - top, blob.top - top + h), slice(blob.left - left, blob.left - left + w))
    contrast = -float(arrived[at][blob.inside].mean())
    if contrast <= 0.0:
        return True
    count = int(blob.inside.sum())
    if int((arrived > 0.5 * contrast).sum()) < 0.5 * count:
        return False
    inside = blob.inside.astype(np.float32)
    rim = cv2.dilate(inside, np.ones((5, 5), np.uint8)) - inside
    misfit = cv2.matchTemplate(
        np.ascontiguousarray(there), np.ascontiguousarray(here[at]), cv2.TM_SQDIFF, mask=inside
    )
    change = cv2.matchTemplate(arrived, inside, cv2.TM_CCORR) / count
    around = cv2.matchTemplate(arrived, rim, cv2.TM_CCORR) / max(float(rim.sum()), 1.0)
    alike = misfit / count < 2.2 * sigma * sigma + (_ALIKE * contrast) ** 2
    # A thing that moves by less than its own size shows as a part of itself: then the rim
    # changes here as well, and may change as much over there.
    rim_here = -float(arrived[at][rim > 0].mean()) if bool((rim > 0).any()) else 0.0
    own_size = around < np.maximum(0.5 * change, rim_here + 0.25 * change)
    return bool((alike & (change > 0.5 * contrast) & own_size).any())
