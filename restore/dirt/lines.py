"""Borrow what lies under a line that hides the picture.

A line that was scraped down to the base, or filled with dirt, leaves nothing under it to lift.
While the picture moves behind the line, frames near by show what it hides: that is put there, as
dirt is covered. Where none shows it, what was made of the line before stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from media.encoding import Domain
from media.passes import NOTED, Effect, Needs, Window
from restore.dirt.borrow import cover
from restore.dirt.closer import Closer
from restore.dirt.look import Memos, look_at
from restore.motion import distinct_neighbours

RADIUS = 6
_CORE_PX, _FLANK_PX = 0.75, 1.5
"""How far beyond its measured width a line is covered, and how far nothing is borrowed from it."""
_MOST = 4
_WORST_SIGMA, _WORST_FLOOR = 8.0, 0.10
"""Misfit beside the line from which on a neighbour shows something else, film log."""
_LEFT = (
    NOTED
    + "under a line that hides the picture some is drawn from its two sides: no frame near by "
    "shows what lies there"
)
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class HiddenLine:
    """An upright line on one frame, px at full size, under which nothing is seen."""

    x_px: float
    """Centre."""
    width_px: float
    top_px: int
    bottom_px: int
    """First row below the line."""
    lean_px: float = 0.0
    """How much further right it lies at the foot of the frame than at its head; ``x_px`` is
    half-way down."""


@dataclass(frozen=True)
class LineCoverOperator:
    """Puts what frames near by show under lines that hide the picture; nothing else changes."""

    places: Mapping[int, tuple[HiddenLine, ...]]
    """Frame number to the lines on it; frames not named stay."""
    sigma: float
    """Grain of the luma, film log."""

    name = "line-cover"
    version = 2
    radius = RADIUS
    domain = Domain.LOG_DENSITY
    scale = 1
    effect = Effect.BORROWED
    needs = Needs(reach_px=-1)

    def key(self, frames: Sequence[int]) -> Mapping[str, object]:
        """Lines of these frames: what may be borrowed from there depends on them too."""
        return {
            "sigma": self.sigma,
            "places": [
                [
                    [p.x_px, p.width_px, p.top_px, p.bottom_px, p.lean_px]
                    for p in self.places.get(f, ())
                ]
                for f in frames
            ],
        }

    def __call__(self, window: Window) -> Window:
        """(T, C, H, W) film log to (T - 2 * radius, C, H, W)."""
        memos = window.memos or tuple({} for _ in window.frames)
        inner = window.middle(self.radius)
        pixels, touch, left = list(inner.pixels), list(inner.touch), False
        for k, number in enumerate(inner.frames):
            if number not in self.places:
                continue
            found = self._covered(window, k + self.radius, memos)
            if found is None:
                left = True
                continue
            pixels[k], where, whole = found
            borrowed = torch.where(where, int(self.effect), touch[k]).to(touch[k].dtype)
            touch[k] = torch.maximum(touch[k], borrowed)
            left |= not whole
        return replace(
            inner,
            pixels=torch.stack(pixels),
            touch=torch.stack(touch),
            caveats=(*inner.caveats, _LEFT) if left else inner.caveats,
        )

    def _covered(
        self, window: Window, center: int, memos: Memos
    ) -> tuple[Tensor, Tensor, bool] | None:
        """The frame with its lines covered, (H, W) where, and whether that is all of them; None
        where there are too few frames to ask."""
        size = (window.pixels.shape[-2], window.pixels.shape[-1])
        places = self.places[window.frames[center]]
        core = _columns(places, size, _CORE_PX)
        around = window.frames[center - self.radius : center + self.radius + 1]
        near = [center - self.radius + k for k in distinct_neighbours(around, self.radius)]
        if not core.any() or len(near) < 2:
            return None
        look = look_at(window.pixels, window.frames, center, near, memos, chained=False)
        spoilt = [_columns(self.places.get(window.frames[k], ()), size, _FLANK_PX) for k in near]
        # Those first that show most of what is hidden here; the nearer of two that show the same.
        hidden = [_share_hidden(core, s, flow) for s, flow in zip(spoilt, look.flows, strict=True)]
        order = sorted(range(len(near)), key=lambda k: (round(hidden[k], 1), k))[:_MOST]
        done = cover(
            window.pixels[center].cpu(),
            [window.pixels[near[k]].cpu() for k in order],
            [look.flows[k] for k in order],
            core,
            max(_WORST_SIGMA * self.sigma, _WORST_FLOOR),
            [spoilt[k] for k in order],
            by_pixel=True,
            # So few columns cost little, and beside a line motion is often lost.
            closer=Closer(memos[center]["steering"], [memos[near[k]]["steering"] for k in order]),
        )
        device = window.pixels.device
        whole = not done.unknown.any()
        return done.pixels.to(device), torch.from_numpy(done.filled).to(device), whole


def _columns(places: Sequence[HiddenLine], size: tuple[int, int], beyond_px: float) -> Mask:
    """(H, W) the columns and rows of lines."""
    found = np.zeros(size, np.bool_)
    columns, down = np.arange(size[1]), (np.arange(size[0]) + 0.5) / size[0] - 0.5
    for place in places:
        rows = slice(max(place.top_px, 0), place.bottom_px)
        centre = place.x_px + place.lean_px * down[rows, None]
        found[rows] |= np.abs(columns - centre) <= place.width_px / 2 + beyond_px
    return found


def _share_hidden(core: Mask, spoilt: Mask, flow: NDArray[np.float32]) -> float:
    """0..1 of what a line hides here that it hides over there too."""
    height, width = core.shape
    rows, columns = np.nonzero(core)
    there = flow[rows, columns]
    y = np.clip(np.rint(rows + there[:, 1]), 0, height - 1).astype(np.int64)
    x = np.clip(np.rint(columns + there[:, 0]), 0, width - 1).astype(np.int64)
    return float(spoilt[y, x].mean())
