"""Cover dirt with the same place of a neighbouring frame, so that nobody sees where.

On the CPU, whatever device the picture is on: pieces are a few pixels each, and a GPU would wait
for every one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from restore.alignment import pixel_grid
from restore.dirt.closer import Closer
from restore.motion import LUMA

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]
_FEATHER_PX = 4.0
"""How far around a piece the neighbours are compared with the frame."""
_REACH_PX = int(3 * _FEATHER_PX) + 1
_TRUSTED = 0.05
"""Share of sound pixels near by from which on nothing further away is asked."""
_BETTER = 0.8
"""Share of the misfit down to which a second look must bring it."""
_PEEL_PX, _PEEL_SIGMA_PX = 4, 0.8
"""How much of the rim of a piece may be given back, and over what it is compared."""
_LIKELY_SAME = 0.5
"""Weight of what the neighbours say among themselves against what is seen around the piece."""


@dataclass(frozen=True, slots=True)
class Covered:
    """A frame with its dirt covered, and where that could not be done."""

    pixels: Tensor
    """(C, H, W)."""
    filled: Mask
    """(H, W) what was covered."""
    unknown: Mask
    """(H, W) left as it was: no neighbour agrees with what is around it."""


def cover(
    own: Tensor,
    near: Sequence[Tensor],
    flows: Sequence[F32],
    mask: Mask,
    worst: float,
    spoilt: Sequence[Mask] | None = None,
    *,
    by_pixel: bool = False,
    doubtful: Mask | None = None,
    alike: float = 0.0,
    closer: Closer | None = None,
) -> Covered:
    """The picture with what is under the mask taken from the neighbour that fits best.

    own: (C, H, W) film log, on the CPU; near: each (C, H, W), as they are, there too; flows:
    (H, W, 2) px from the frame to each. worst: rms misfit around a piece, film log, from which on
    the neighbours are taken to show something else. spoilt: (H, W) for each neighbour, where it is
    known to be dirty itself; nothing is borrowed from there. by_pixel: a piece is no whole, and is
    covered where a neighbour fits. doubtful: (H, W) where the rim of a piece stays as it is if what
    would be put there differs by less than ``alike``, film log of luma. Pixels outside the mask
    come back as they are. Only boxes around groups of pieces are worked on.
    """
    out, filled, unknown = own.clone(), np.zeros_like(mask), np.zeros_like(mask)
    scan, pictures, made = own.numpy(), [p.numpy() for p in near], out.numpy()
    square = np.ones((2 * _REACH_PX + 1, 2 * _REACH_PX + 1), np.uint8)
    around = cv2.dilate(mask.astype(np.uint8), square)
    count, groups, stats, _ = cv2.connectedComponentsWithStats(around, connectivity=8)
    for k, (x, y, w, h) in enumerate(stats[1:count, :4].tolist(), 1):
        box = (slice(y, y + h), slice(x, x + w))
        # Pieces of another group that reach into the box are covered in their own.
        dirty = mask[box]
        part = dirty & (groups[box] == k)
        own_part = _merged(scan[:, y : y + h, x : x + w])
        rough = [flow[box] for flow in flows]
        best, misfit = _fitted(own_part, pictures, rough, dirty, spoilt, (y, x))
        if closer is not None and float(misfit[part].mean()) > closer.misfit:
            found = closer.flows((y, x), rough)
            again, left = _fitted(own_part, pictures, found, dirty, spoilt, (y, x))
            whole = float(left[part].mean()) < _BETTER * float(misfit[part].mean())
            nearer = left < misfit if by_pixel else np.full_like(dirty, whole)
            best, misfit = np.where(nearer[..., None], again, best), np.where(nearer, left, misfit)
        lost = part & (misfit > worst) if by_pixel else _lost(part, misfit, worst)
        take = part & ~lost
        if doubtful is not None:
            take = _needed(own_part - best, take, doubtful[box], alike)
        unknown[box] |= lost
        filled[box] |= take
        made[:, y : y + h, x : x + w][:, take] = best[take].T
    return Covered(out, filled, unknown)


def _fitted(
    own: F32,
    pictures: Sequence[F32],
    flows: Sequence[F32],
    dirty: Mask,
    spoilt: Sequence[Mask] | None,
    at: tuple[int, int],
) -> tuple[F32, F32]:
    """``_best`` for a box that begins ``at`` (y, x), and that motion. own: (h, w, C)."""
    ways = _carried(flows, dirty)
    there = [_fetched(p, way, at) for p, way in zip(pictures, ways, strict=True)]
    bad = None if spoilt is None else _spoilt(spoilt, ways, at)
    # The last of a soft rim is no dirt and no ground either.
    sound = cv2.erode((~dirty).astype(np.uint8), np.ones((3, 3), np.uint8))
    return _best(own, there, sound.astype(np.float32), bad)


def _needed(gain: F32, take: Mask, doubtful: Mask, alike: float) -> Mask:
    """What of ``take`` is changed by more than grain: its rim is peeled off where it is not.

    gain: (h, w, C) film log, what is taken away; take, doubtful: (h, w). The rim of a piece is
    found by likelihood; only beside what was behind it is it seen where the piece ends.
    """
    weights = np.array(LUMA if gain.shape[2] == 3 else (1.0,), np.float32)
    held = take.astype(np.float32)
    soft = cv2.GaussianBlur((gain @ weights) * held, (0, 0), _PEEL_SIGMA_PX)
    within = cv2.GaussianBlur(held, (0, 0), _PEEL_SIGMA_PX)
    needless = doubtful & (np.abs(soft) < alike * within)
    left = take.astype(np.uint8)
    for _ in range(_PEEL_PX):
        inner = cv2.erode(left, np.ones((3, 3), np.uint8))
        left[(left != inner) & needless] = 0
    return left > 0


def _carried(flows: Sequence[F32], mask: Mask) -> list[F32]:
    """Motion under the dirt from what moves around it: what lies there was looked for in vain."""
    from restore.dirt import boxes  # compiled on first use, not at import

    margin = cv2.dilate(mask.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    if margin.all():
        return list(flows)
    every = np.stack(flows)
    boxes.fill(every, ~margin)
    small = np.zeros((-(-mask.shape[0] // 2), -(-mask.shape[1] // 2), 2 * len(flows)), np.float32)
    boxes.halved(every, small)
    boxes.spread(cv2.GaussianBlur(small, (0, 0), 2.0), margin, every)
    return list(every)


def _fetched(other: F32, flow: F32, at: tuple[int, int]) -> F32:
    """(h, w, C) of ``other``, (C, H, W), at p + flow for the box that begins ``at`` (y, x).

    Cubic, edges held.
    """
    height, width = other.shape[1:]
    places = pixel_grid(*flow.shape[:2]) + flow
    # What a cubic kernel sees from there; where that is cut off, the frame ends.
    left, right = _seen(places[..., 0], at[1], width)
    top, bottom = _seen(places[..., 1], at[0], height)
    places += np.array((at[1] - left, at[0] - top), np.float32)
    part = _merged(other[:, top:bottom, left:right])
    hold = cv2.BORDER_REPLICATE
    found: F32 = cv2.remap(part, places, None, cv2.INTER_CUBIC, borderMode=hold)
    return found.reshape(*flow.shape[:2], -1)


def _seen(places: F32, start: int, size: int) -> tuple[int, int]:
    """From where to where, of ``size`` px, ``places`` counted from ``start`` look."""
    low, high = int(np.floor(places.min())) + start - 2, int(np.ceil(places.max())) + start + 3
    low = min(max(low, 0), size - 1)
    return low, max(min(high, size), low + 1)


def _merged(planes: F32) -> F32:
    """(C, h, w) as (h, w, C)."""
    merged: F32 = cv2.merge([np.ascontiguousarray(p) for p in planes])
    return merged.reshape(*planes.shape[1:], -1)


def _spoilt(spoilt: Sequence[Mask], ways: Sequence[F32], at: tuple[int, int]) -> F32:
    """(h, w, N) 1 where what would be fetched is dirty over there, or beside it."""
    planes = [m.astype(np.float32)[None] for m in spoilt]
    found = [_fetched(p, way, at) for p, way in zip(planes, ways, strict=True)]
    return (np.concatenate(found, axis=2) > 0.05).astype(np.float32)


def _best(own: F32, there: Sequence[F32], sound: F32, bad: F32 | None) -> tuple[F32, F32]:
    """(h, w, C) from one neighbour per pixel at the level around the mask, and (h, w) its misfit.

    own and each of there: (h, w, C); sound: (h, w) 0 or 1; bad: (h, w, N), 1 where a neighbour is
    dirty itself. The misfit is an rms, film log.
    Taking one frame rather than a mean keeps its grain. A slow difference in level between the
    frames is carried in from around the mask (membrane fill by normalised blur). Of the
    neighbours the one is taken that fits around the mask and is not alone with what it shows
    under it: dirt over there is an outlier among them.
    """
    from restore.dirt import boxes  # compiled on first use, not at import

    # Which neighbour: by luma.
    stacked = np.stack(there)
    count, h, w, channels = stacked.shape
    weights = np.array(LUMA if channels == 3 else (1.0,), np.float32)
    seen, difference, alone = (np.empty((h, w, count), np.float32) for _ in range(3))
    boxes.differences(own, stacked, sound, weights, seen, difference)
    level = _around(difference, sound)
    boxes.doubts(difference, level, sound, seen, alone)
    misfit = _around(difference, sound)
    if bad is not None:
        misfit += bad
    edge = cv2.BORDER_REPLICATE
    alone = cv2.GaussianBlur(alone, (11, 11), 1.5, borderType=edge).reshape(alone.shape)
    best, left = np.empty((h, w, channels), np.float32), np.empty((h, w), np.float32)
    boxes.chosen(stacked, level, misfit, alone, _LIKELY_SAME, best, left)
    # Its pixels: at the level of each channel.
    return best + level_around(own - best, sound), left


def level_around(difference: F32, sound: F32) -> F32:
    """(h, w, C) of a difference as seen around each pixel where ``sound``, (h, w), is 1."""
    return _around(difference * sound[..., None], sound)


def _around(values: F32, weight: F32) -> F32:
    """(h, w, K) as seen around each pixel: the mean of what is sound, near by if possible.

    values: already 0 where weight, (h, w), is 0. Smooth, so it is worked out on means over
    2 x 2 px, and on 8 x 8 px for places deep inside a large piece, whose rim is out of sight.
    """
    from restore.dirt import boxes  # compiled on first use, not at import

    near, near_weight = _blurred(values, 2), _blurred(weight[..., None], 2)[..., 0]
    if float(near_weight.min()) >= _TRUSTED:
        boxes.mixed(near, near_weight, near, near_weight, _TRUSTED)
    else:
        far, far_weight = _blurred(values, 8), _blurred(weight[..., None], 8)[..., 0]
        boxes.mixed(near, near_weight, far, far_weight, _TRUSTED)
    return near


def _blurred(values: F32, step: int) -> F32:
    """(h, w, K) blurred by half the feather times ``step``, worked out on step x step means.

    K at most 4, which is as many as OpenCV resizes.
    """
    h, w = values.shape[:2]
    size = (-(-w // step), -(-h // step))
    small = cv2.resize(values, size, interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(small, (0, 0), 0.5 * _FEATHER_PX, borderType=cv2.BORDER_REPLICATE)
    large: F32 = cv2.resize(soft, (w, h), interpolation=cv2.INTER_LINEAR)
    return large.reshape(values.shape)


def _lost(mask: Mask, misfit: F32, worst: float) -> Mask:
    """Pieces of (h, w) mask around which even the best neighbour shows something else."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    under, label = misfit[mask], labels[mask]
    found = np.zeros(count)
    for k in range(1, count):
        found[k] = np.median(under[label == k])
    lost: Mask = (found > worst)[labels]
    return lost
