"""From likelihood to whole pieces of dirt: hysteresis, size, and what moves elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
_ALIKE = 0.3
"""Rms difference, as a share of its contrast, up to which a thing elsewhere is the same thing."""

_ON_BOTH = 0.4
"""Share of the difference from one frame that a piece may have from another that shows it too."""
_MARK_OFF_PX = 4
"""By which the cue marks of following frames may be off each other."""


@dataclass(frozen=True, slots=True)
class Blob:
    """One piece, in a box with a margin of 2 px, cut off at the frame's edges."""

    top: int
    left: int
    inside: NDArray[np.bool_]
    sign: int
    """1 where it is brighter than its neighbours, -1 where darker, 0 where that is not known."""
    area_px: int


def pieces(
    seeds: NDArray[np.bool_],
    bodies: NDArray[np.bool_],
    sign: int,
    keep: Callable[[Blob], bool],
    mask: NDArray[np.bool_],
    whole: Callable[[Blob], Blob | None] | None = None,
) -> tuple[int, int]:
    """Grow each seed to its whole body; those that ``keep`` says yes to are added to ``mask``.

    seeds, bodies, mask: (H, W); mask is changed in place. whole: a piece with what else belongs to
    it; None where that is too much. returns: kept, and left.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        bodies.astype(np.uint8), connectivity=8
    )
    del count
    kept = left = 0
    hit = np.unique(labels[seeds & bodies])
    for label in hit[hit > 0]:
        blob = _cut(labels, stats[label], int(label), sign)
        there = None
        if keep(blob):
            there = blob if whole is None else whole(blob)
        if there is None:
            left += 1
            continue
        kept += 1
        h, w = there.inside.shape
        mask[there.top : there.top + h, there.left : there.left + w] |= there.inside
    return kept, left


def _cut(labels: NDArray[np.int32], stats: NDArray[np.int32], label: int, sign: int) -> Blob:
    x, y, w, h, area = (int(v) for v in stats[:5])
    top, left = max(0, y - 2), max(0, x - 2)
    box = labels[top : y + h + 2, left : x + w + 2]
    return Blob(top, left, box == label, sign, area)


def where_cue_marks_are(blob: Blob, size_px: tuple[int, ...]) -> bool:
    """Something small in the upper right corner, where reels are marked for the changeover.

    size_px: height and width of the frame. Its shape says nothing: marks of following frames lie
    a little off each other, and only the rim by which they differ may have been found.
    """
    height, width = size_px[0], size_px[1]
    rows, cols = np.nonzero(blob.inside)
    tall, wide = int(np.ptp(rows)) + 1, int(np.ptp(cols)) + 1
    y, x = blob.top + float(rows.mean()), blob.left + float(cols.mean())
    return x > 0.82 * width and y < 0.22 * height and max(tall, wide) <= 0.12 * height


def stays_on(blob: Blob, own: F32, others: Sequence[F32]) -> bool:
    """True when one of the other frames shows it too where it lies: cue marks last four frames.

    own, others: (H, W) film log luma, not moved onto each other; a mark may lie a few px off.
    """
    margin = 2 * _MARK_OFF_PX
    shape = np.pad(blob.inside.astype(np.uint8), margin)
    near = cv2.dilate(shape, np.ones((2 * _MARK_OFF_PX + 1,) * 2, np.uint8)) > 0

    def beyond(plane: F32, at: NDArray[np.bool_]) -> F32:
        """Film log of some px over what is around them."""
        part = _part(plane, blob.top - margin, blob.left - margin, near.shape)
        return part[at] - middle(part[~near])

    contrast = float(beyond(own, shape > 0).mean())
    shown = (beyond(o, near) * np.sign(contrast) > 0.5 * abs(contrast) for o in others)
    return any(int(there.sum()) > 0.5 * blob.area_px for there in shown)


def lies_on_both(blob: Blob, own: F32, one: F32, other: F32) -> bool:
    """True when ``one`` shows a piece where it lies on the film, and ``other`` does not.

    own, one, other: (H, W) film log luma, not moved onto each other.
    """
    h, w = blob.inside.shape
    at = (slice(blob.top, blob.top + h), slice(blob.left, blob.left + w))
    here = own[at][blob.inside]
    to_one, to_other = (abs(float((here - p[at][blob.inside]).mean())) for p in (one, other))
    return to_one < _ON_BOTH * to_other


def seen_elsewhere(
    blob: Blob, own: F32, other: F32, flow: F32, sigma: float, reach_px: int
) -> bool:
    """True when the other frame shows the same thing at another place near by.

    Looking alike is not enough: a dark speck is like any dark corner of the scene. The place
    found must look like the blob, must not look so in this frame (something arrived there or
    left), and what surrounds it must not have changed with it (it has the blob's size).
    own, other: (H, W) film log luma. flow: (H, W, 2) px from this frame to the other.
    """
    h, w = blob.inside.shape
    top, left = max(0, blob.top - reach_px), max(0, blob.left - reach_px)
    bottom, right = blob.top + h + reach_px, blob.left + w + reach_px
    here = own[top:bottom, left:right]
    # The background's own motion is taken out, so that only things that move otherwise count.
    drift = [middle(flow[top:bottom:4, left:right:4, k]) for k in (0, 1)]
    there = _part(other, top + round(drift[1]), left + round(drift[0]), here.shape)
    at = (slice(blob.top - top, blob.top - top + h), slice(blob.left - left, blob.left - left + w))
    difference = there - here
    sign = blob.sign or (1 if float(difference[at][blob.inside].mean()) < 0.0 else -1)
    arrived = difference * sign
    contrast = -float(arrived[at][blob.inside].mean())
    if contrast <= 0.0:
        return True
    count = int(blob.inside.sum())
    if int((arrived > 0.5 * contrast).sum()) < 0.5 * count:
        return False
    # Hardly anything passes: what costs most is asked last.
    inside = blob.inside.astype(np.float32)
    change = cv2.matchTemplate(arrived, inside, cv2.TM_CCORR) / count
    places = change > 0.5 * contrast
    if not places.any():
        return False
    rim = cv2.dilate(inside, np.ones((5, 5), np.uint8)) - inside
    around = cv2.matchTemplate(arrived, rim, cv2.TM_CCORR) / max(float(rim.sum()), 1.0)
    # A thing that moves by less than its own size shows as a part of itself: then the rim
    # changes here as well, and may change as much over there.
    rim_here = -float(arrived[at][rim > 0].mean()) if bool((rim > 0).any()) else 0.0
    places &= around < np.maximum(0.5 * change, rim_here + 0.25 * change)
    if not places.any():
        return False
    misfit = cv2.matchTemplate(
        np.ascontiguousarray(there), np.ascontiguousarray(here[at]), cv2.TM_SQDIFF, mask=inside
    )
    alike = misfit / count < 2.2 * sigma * sigma + (_ALIKE * contrast) ** 2
    return bool((alike & places).any())


def middle(values: F32) -> float:
    """Their median."""
    ordered, count = np.sort(values, axis=None), values.size
    return 0.5 * (float(ordered[(count - 1) // 2]) + float(ordered[count // 2]))


def _part(plane: F32, top: int, left: int, size: tuple[int, ...]) -> F32:
    """(h, w) of ``size`` from there on; what lies beyond the edges is as it is at the edges."""
    bottom, right = top + size[0], left + size[1]
    if min(top, left) >= 0 and bottom <= plane.shape[0] and right <= plane.shape[1]:
        return plane[top:bottom, left:right]
    rows = np.clip(np.arange(top, bottom), 0, plane.shape[0] - 1)
    columns = np.clip(np.arange(left, right), 0, plane.shape[1] - 1)
    return plane[rows[:, None], columns[None, :]]
