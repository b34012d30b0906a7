"""Cover dirt with the same place of a neighbouring frame, so that nobody sees where.

On the CPU, whatever device the picture is on: pieces are a few pixels each, and a GPU would wait
for every one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from restore.motion import blur, luma

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]
_FEATHER_PX = 4.0
"""How far around a piece the neighbours are compared with the frame."""
_REACH_PX = int(3 * _FEATHER_PX) + 1
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
) -> Covered:
    """The picture with what is under the mask taken from the neighbour that fits best.

    own: (C, H, W) film log, on the CPU; near: each (C, H, W), as they are, there too; flows:
    (H, W, 2) px from the frame to each. worst: rms misfit around a piece, film log, from which on
    the neighbours are taken to show something else. spoilt: (H, W) for each neighbour, where it is
    known to be dirty itself; nothing is borrowed from there. Pixels outside the mask come back as
    they are. Only boxes around groups of pieces are worked on.
    """
    out, filled, unknown = own.clone(), mask.copy(), np.zeros_like(mask)
    square = np.ones((2 * _REACH_PX + 1, 2 * _REACH_PX + 1), np.uint8)
    around = cv2.dilate(mask.astype(np.uint8), square)
    count, _, stats, _ = cv2.connectedComponentsWithStats(around, connectivity=8)
    for x, y, w, h in stats[1:count, :4].tolist():
        box = (slice(y, y + h), slice(x, x + w))
        part = mask[box]
        ways = _carried([flow[box] for flow in flows], part)
        there = torch.stack(
            [_fetched(other, way, (y, x)) for other, way in zip(near, ways, strict=True)]
        )
        bad = _spoilt(spoilt, ways, (y, x), there)
        sound = torch.from_numpy(~part)
        best, misfit = _best(own[:, y : y + h, x : x + w], there, sound, bad)
        lost = _lost(part, misfit.numpy(), worst)
        unknown[box] |= lost
        filled[box] &= ~lost
        take = torch.from_numpy(part & ~lost)
        out[:, y : y + h, x : x + w] = torch.where(take, best, out[:, y : y + h, x : x + w])
    return Covered(out, filled, unknown)


def _carried(flows: Sequence[F32], mask: Mask) -> list[F32]:
    """Motion under the dirt from what moves around it: what lies there was looked for in vain."""
    margin = cv2.dilate(mask.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    if margin.all():
        return list(flows)
    known, carried = (~margin).astype(np.float32), list[F32]()
    for first in range(0, len(flows), 2):
        # Two at a time: OpenCV resizes at most four channels.
        pair = np.concatenate(flows[first : first + 2], axis=-1)
        spread = cv2.GaussianBlur(_pulled(pair, known), (0, 0), 4.0)
        filled = np.where(margin[..., None], spread, pair)
        carried += [np.ascontiguousarray(f) for f in np.split(filled, filled.shape[-1] // 2, -1)]
    return carried


def _pulled(values: F32, known: F32) -> F32:
    """(h, w, k) with what is not known filled from around it, coarse to fine (push and pull)."""
    if min(known.shape) < 2 or bool((known > 0).all()):
        return values
    size = ((known.shape[1] + 1) // 2, (known.shape[0] + 1) // 2)
    weight = cv2.resize(known, size, interpolation=cv2.INTER_AREA)
    mean = cv2.resize(values * known[..., None], size, interpolation=cv2.INTER_AREA)
    mean = mean.reshape(size[1], size[0], -1) / np.maximum(weight, 1e-6)[..., None]
    coarse = _pulled(mean, (weight > 0).astype(np.float32))
    large = cv2.resize(coarse, known.shape[::-1], interpolation=cv2.INTER_LINEAR)
    filled: F32 = np.where(known[..., None] > 0, values, large.reshape(values.shape))
    return filled


def _fetched(other: Tensor, flow: F32, at: tuple[int, int]) -> Tensor:
    """(C, h, w) of ``other``, (C, H, W), at p + flow for the box that begins ``at`` (y, x).

    Cubic, edges held.
    """
    h, w = flow.shape[:2]
    ys = np.arange(h, dtype=np.float32)[:, None] + at[0] + flow[..., 1]
    xs = np.arange(w, dtype=np.float32)[None, :] + at[1] + flow[..., 0]
    hold = cv2.BORDER_REPLICATE
    planes = [cv2.remap(p, xs, ys, cv2.INTER_CUBIC, borderMode=hold) for p in other.numpy()]
    return torch.from_numpy(np.stack(planes))


def _spoilt(
    spoilt: Sequence[Mask] | None, ways: Sequence[F32], at: tuple[int, int], like: Tensor
) -> Tensor:
    """(N, 1, h, w) 1 where what would be fetched is dirty over there, or beside it."""
    if spoilt is None:
        return torch.zeros_like(like[:, :1])
    planes = [torch.from_numpy(m.astype(np.float32))[None] for m in spoilt]
    found = [_fetched(p, way, at) for p, way in zip(planes, ways, strict=True)]
    return (torch.stack(found) > 0.05).float()


def _best(own: Tensor, there: Tensor, sound: Tensor, bad: Tensor) -> tuple[Tensor, Tensor]:
    """(C, h, w) from one neighbour per pixel at the level around the mask, and (h, w) its misfit.

    own: (C, h, w); there: (N, C, h, w); sound: (h, w) bool; bad: (N, 1, h, w), 1 where a
    neighbour is dirty itself. The misfit is an rms, film log.
    Taking one frame rather than a mean keeps its grain. A slow difference in level between the
    frames is carried in from around the mask (membrane fill by normalised blur). Of the
    neighbours the one is taken that fits around the mask and is not alone with what it shows
    under it: dirt over there is an outlier among them.
    """
    weight = sound.float()[None, None]
    # Which neighbour: by luma.
    bright, seen = luma(own), luma(there)[:, None]
    difference = (bright - seen) * weight
    level = _around(difference, weight)
    misfit = _around((difference - level * weight).square(), weight) + bad
    alike = seen + level
    middle = (alike.sum(dim=0) - alike.amax(dim=0) - alike.amin(dim=0)) / max(len(alike) - 2, 1)
    if len(alike) == 2:
        middle = alike.mean(dim=0)
    alone = blur((alike - middle).square(), 1.5)
    choice = (misfit + _LIKELY_SAME * alone).argmin(dim=0, keepdim=True)
    # Its pixels: at the level of each channel.
    level = level.gather(0, choice)[0]
    best = there.gather(0, choice.expand(1, *there.shape[1:]))[0] + level
    best = best + level_around(own - best, sound)
    return best, misfit.gather(0, choice)[0, 0].clamp_min(0.0).sqrt()


def level_around(difference: Tensor, sound: Tensor) -> Tensor:
    """(C, h, w) of a difference as seen around each pixel where ``sound``, (h, w), is true."""
    weight = sound.float()[None, None]
    return _around(difference[None] * weight, weight)[0]


def _around(values: Tensor, weight: Tensor) -> Tensor:
    """(N, K, h, w) as seen around each pixel: the mean of what is sound, near by if possible.

    values: already 0 where weight, (1, 1, h, w), is 0. Smooth, so it is worked out on means over
    2 x 2 px, and on 8 x 8 px for places deep inside a large piece, whose rim is out of sight.
    """
    near, near_weight = _blurred(values, 2), _blurred(weight, 2)
    trust = (near_weight / 0.05).clamp(0.0, 1.0)
    near = near / (near_weight + 1e-4)
    if float(trust.amin()) == 1.0:
        return near
    far, far_weight = _blurred(values, 8), _blurred(weight, 8)
    return trust * near + (1.0 - trust) * (far / (far_weight + 1e-4))


def _blurred(values: Tensor, step: int) -> Tensor:
    """(N, K, h, w) blurred by half the feather times ``step``, worked out on step x step means."""
    h, w = values.shape[-2:]
    size = (-(-w // step), -(-h // step))
    out = np.empty((values.shape[0] * values.shape[1], h, w), np.float32)
    for plane, large in zip(values.reshape(-1, h, w).numpy(), out, strict=True):
        small = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
        soft = cv2.GaussianBlur(small, (0, 0), 0.5 * _FEATHER_PX, borderType=cv2.BORDER_REPLICATE)
        cv2.resize(soft, (w, h), dst=large, interpolation=cv2.INTER_LINEAR)
    return torch.from_numpy(out).view(values.shape)


def _lost(mask: Mask, misfit: F32, worst: float) -> Mask:
    """Pieces of (h, w) mask around which even the best neighbour shows something else."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    found = np.zeros(count)
    found[1:] = ndimage.median(misfit, labels, np.arange(1, count))
    lost: Mask = (found > worst)[labels]
    return lost
