"""Lift a semi-transparent line off the picture below it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from media.encoding import Domain
from media.passes import Effect, Needs, Window
from restore.motion import luma
from restore.scratch.lean import sheared, shifts
from restore.scratch.solve import ScratchPlace

_SIDE_PX = 4
"""Columns beside the line that tell what it should be."""
_SOFT_PX = 1.5
"""How far the flank of a line reaches beyond its measured width."""
_FLANK_PX = 1.0
"""How far from another line a column still says nothing."""
_ALONG_PX = 16.0
"""Gaussian radius along the line over which its offset is taken to be the same."""
_TAPER_PX = 6
_ALIKE_LEAN_PX = 2.0
"""Lines that lean otherwise cross this one, and lie beside it in a few rows only."""
_NARROW_PX = 3.0
"""Wider lines have a shape of their own."""
_ABSENT = 0.3
"""Share of its usual strength below which a line is not there in this frame, and none is made."""


@dataclass(frozen=True)
class ScratchOperator:
    """Subtracts each line's own offset, smooth along the line, column by column and channel by
    channel. The detail under the line is what remains; no pixel comes from elsewhere."""

    places: Mapping[int, tuple[ScratchPlace, ...]]
    """Frame number to the lines on it; frames not named stay."""

    name = "scratch"
    version = 4
    radius = 0
    domain = Domain.LOG_DENSITY
    scale = 1
    effect = Effect.ADJUSTED
    needs = Needs(reach_px=-1)

    def key(self, frames: Sequence[int]) -> Mapping[str, object]:
        """Lines of these frames."""
        return {
            "places": [
                [
                    [p.x_px, p.width_px, float(p.top_px), float(p.bottom_px), p.strength, p.lean_px]
                    for p in self.places.get(f, ())
                ]
                for f in frames
            ]
        }

    def __call__(self, window: Window) -> Window:
        """(T, C, H, W) film log to the same shape."""
        out = []
        for frame, pixels in zip(window.frames, window.pixels, strict=True):
            places = self.places.get(frame, ())
            for place in places:
                others = [other for other in places if other is not place]
                lift = _lifted_aslant if place.lean_px else _lifted
                pixels = lift(pixels, place, others)
            out.append(pixels)
        return window.changed(torch.stack(out), self.effect)


def _lifted_aslant(
    pixels: Tensor, place: ScratchPlace, others: Sequence[ScratchPlace] = ()
) -> Tensor:
    """(C, H, W) without a line that leans: what is lifted is worked out with the line upright, and
    laid back along it. Only its own columns in each row differ."""
    _, h, w = pixels.shape
    half = place.width_px / 2 + _SOFT_PX
    reach = math.ceil(half) + 4 * _SIDE_PX
    way = place.x_px + torch.from_numpy(shifts(h, place.lean_px)).to(pixels.device)
    straight = sheared(pixels, way - reach, 2 * reach + 1)
    beside = [
        replace(other, x_px=other.x_px - place.x_px + reach, lean_px=0.0)
        for other in others
        if abs(other.lean_px - place.lean_px) < _ALIKE_LEAN_PX
    ]
    lifted = _lifted(straight, replace(place, x_px=float(reach), lean_px=0.0), beside)
    first = (way - half).round()
    columns = 2 * math.ceil(half) + 1
    offset = sheared(straight - lifted, first - way + reach, columns)
    at = first.long()[:, None] + torch.arange(columns, device=pixels.device)
    inside = (at >= 0) & (at < w)
    at = at.clamp(0, w - 1).expand(len(pixels), -1, -1)
    return pixels.scatter_add(-1, at, torch.where(inside, -offset, 0.0))


def _lifted(pixels: Tensor, place: ScratchPlace, others: Sequence[ScratchPlace] = ()) -> Tensor:
    """(C, H, W) without the one line; only its own columns and rows differ.

    others: lines that may lie beside it, and say nothing of what it should be.
    """
    _, h, w = pixels.shape
    half = place.width_px / 2 + _SOFT_PX
    left, right = max(0, round(place.x_px - half)), min(w, round(place.x_px + half) + 1)
    top, bottom = max(0, place.top_px), min(h, place.bottom_px)
    if right - left < 1 or bottom - top < 8 or (left == 0 and right == w):
        return pixels
    band = pixels[:, top:bottom, left:right]
    offset = _along(band - _expected(pixels[:, top:bottom], left, right, _busy(others, w)))
    if place.strength:
        offset = _steadied(offset, place, left)
    out = pixels.clone()
    out[:, top:bottom, left:right] = band - offset * _taper(top, bottom, h, pixels)
    return out


def _busy(places: Sequence[ScratchPlace], width_px: int) -> set[int]:
    """Columns that lines cover."""
    found: set[int] = set()
    for place in places:
        half = place.width_px / 2 + _FLANK_PX
        found |= set(range(math.ceil(place.x_px - half), math.floor(place.x_px + half) + 1))
    return {x for x in found if 0 <= x < width_px}


def _expected(rows: Tensor, left: int, right: int, busy: Set[int]) -> Tensor:
    """(C, rows, columns) straight line between the means of both sides; one side at an edge.

    busy: columns of other lines; the nearest ones beyond them are asked instead.
    """
    w = rows.shape[-1]
    before, after = range(left - 1, -1, -1), range(right, w)
    sides = []
    for side in (before, after):
        free = [x for x in side[: 3 * _SIDE_PX] if x not in busy] or list(side[:_SIDE_PX])
        sides.append(sorted(free[:_SIDE_PX]))
    first, second = (side or sides[1 - k] for k, side in enumerate(sides))
    a, b = (torch.stack([rows[..., x] for x in side], dim=-1) for side in (first, second))
    a, b = a.mean(dim=-1, keepdim=True), b.mean(dim=-1, keepdim=True)
    here, there = sum(first) / len(first), sum(second) / len(second)
    at = torch.arange(left, right, device=rows.device, dtype=rows.dtype)
    return a + (b - a) * ((at - here) / max(there - here, 1.0))


def _along(difference: Tensor) -> Tensor:
    """The part of (C, rows, columns) that is smooth along the rows, robust to what crosses it.

    An edge of the scene that crosses the line gives a few rows of large difference; a Cauchy
    weight around the column's median keeps them from counting. Offsets no larger than their
    own uncertainty are drawn to zero.
    """
    middle = difference.median(dim=1, keepdim=True).values
    residual = difference - middle
    scale = 1.4826 * residual.abs().median(dim=1, keepdim=True).values + 1e-5
    weight = 1.0 / (1.0 + (residual / (2.0 * scale)) ** 2)
    total = _smooth(weight) + 1e-6
    offset = _smooth(weight * difference) / total
    samples = _ALONG_PX * 2.0
    doubt = scale**2 / samples
    return offset * (offset**2 / (offset**2 + doubt))


def _steadied(offset: Tensor, place: ScratchPlace, left: int) -> Tensor:
    """(C, rows, columns) offset, led back to the line's usual one where it is far from it.

    A pole, or the edge of a thing, that passes under or beside the line is taken for a part of
    it in a single frame. Over the whole shot the line's strength is known: rows whose own offset
    is half of it away are trusted half. The color of the line is that of the rows that can be
    trusted.
    """
    columns = torch.arange(offset.shape[-1], device=offset.device, dtype=offset.dtype)
    away = (columns + left - place.x_px).abs()
    shape = (0.5 * place.width_px + 0.5 - away).clamp(0.0, 1.0)
    core = shape / shape.sum().clamp_min(1e-3)
    own = (luma(offset[:, None])[0] * core).sum(dim=-1)
    usually = place.strength * shape.square().sum() / shape.sum().clamp_min(1e-3)
    ratio = own / usually
    if abs(float(ratio.median())) < _ABSENT:
        return offset
    trust = 1.0 / (1.0 + ((ratio - 1.0) / 0.5).square()).square()
    by_channel = (offset * core).sum(dim=-1) * trust
    cast = by_channel.sum(dim=1) / (own * trust).sum()
    told = bool(trust.sum() > 0.1 * len(trust))
    cast = torch.where(cast.isfinite() & told, cast, 1.0).clamp(0.0, 3.0)
    flat = place.strength * cast[:, None, None] * shape
    usual = flat
    if told and place.width_px > _NARROW_PX:
        # Two lines side by side, or one that fades to its sides, are found as one: what is usual
        # is how the trusted rows run across it.
        across = (offset * trust[:, None]).sum(dim=1, keepdim=True) / trust.sum()
        seen = (luma(across[:, None])[0] * core).sum()
        usual = torch.where(
            (seen / usually).isfinite() & (seen / usually > _ABSENT),
            across * (usually / seen),
            flat,
        )
    return trust[:, None] * offset + (1.0 - trust[:, None]) * usual


def _smooth(values: Tensor) -> Tensor:
    """Gaussian along the rows of (C, rows, columns), edges held."""
    radius = int(3 * _ALONG_PX)
    x = torch.arange(-radius, radius + 1, device=values.device, dtype=torch.float32)
    k = torch.exp(-0.5 * (x / _ALONG_PX) ** 2)
    k = (k / k.sum()).view(1, 1, -1)
    c, rows, columns = values.shape
    lines = values.permute(0, 2, 1).reshape(c * columns, 1, rows)
    smooth = F.conv1d(F.pad(lines, (radius, radius), mode="replicate"), k)
    return smooth.view(c, columns, rows).permute(0, 2, 1)


def _taper(top: int, bottom: int, height: int, like: Tensor) -> Tensor:
    """(rows, 1) 1 along the line, falling to 0 where it ends inside the frame."""
    rows = torch.arange(bottom - top, device=like.device, dtype=torch.float32)
    weight = torch.ones_like(rows)
    if top > 0:
        weight = torch.minimum(weight, (rows + 1) / _TAPER_PX)
    if bottom < height:
        weight = torch.minimum(weight, (bottom - top - rows) / _TAPER_PX)
    return weight.clamp(0.0, 1.0).unsqueeze(-1)
