"""Take dirt away by borrowing the same place from a neighbouring frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from media.encoding import Domain
from media.passes import Effect, Mark, Needs, Window
from restore.dirt.detect import DirtOptions, Suspects, suspects
from restore.motion import (
    blur,
    distinct_neighbours,
    find_flow,
    flow_tensor,
    luma,
    steering_image,
    warp,
)


@dataclass(frozen=True)
class DirtOperator:
    """Replaces dirt with the matching pixels of one neighbouring frame; nothing else changes."""

    sigma: float
    """Grain of the luma, film log."""
    options: DirtOptions
    protected: frozenset[int] = frozenset()
    """Frame numbers left alone."""

    name = "dirt"
    version = 2
    radius = 2
    domain = Domain.LOG_DENSITY
    scale = 1
    effect = Effect.BORROWED
    needs = Needs(reach_px=-1)

    def key(self, frames: Sequence[int]) -> Mapping[str, object]:
        """Thresholds, and which of these frames are protected."""
        inner = frames[self.radius : len(frames) - self.radius]
        return {
            "sigma": self.sigma,
            "options": dict(self.options.as_key()),
            "protected": [f for f in inner if f in self.protected],
        }

    def __call__(self, window: Window) -> Window:
        """(T, C, H, W) to (T - 4, C, H, W)."""
        out, marks = [], []
        caveats = window.caveats
        images: dict[int, NDArray[np.uint8]] = {}
        for center in range(self.radius, len(window.frames) - self.radius):
            pixels, mark, caveat = self._repair(window, center, images)
            out.append(pixels)
            marks.append(mark)
            caveats += caveat
        return replace(
            window.middle(self.radius),
            pixels=torch.stack(out),
            touch=torch.stack(marks),
            caveats=caveats,
        )

    def _repair(
        self, window: Window, center: int, images: dict[int, NDArray[np.uint8]]
    ) -> tuple[Tensor, Tensor, tuple[str, ...]]:
        own, touch = window.pixels[center], window.touch[center]
        given = window.marked(Mark.DAMAGED)
        told = None if given is None else given[center, 0].cpu().numpy()
        seen = (
            None if window.frames[center] in self.protected else self._look(window, center, images)
        )
        if seen is None:
            return own, touch, ()
        fetched, found = seen
        where = found.mask if told is None else found.mask | told
        too_much = told is not None and float(told.mean()) > self.options.max_area_share
        if found.refused or too_much:
            limit = 100 * self.options.max_area_share
            return own, touch, (f"more than {limit:.1f} % looks like dirt, left alone",)
        if not where.any():
            return own, touch, ()
        mask = torch.from_numpy(where).to(own.device)
        repaired = borrow(own, fetched, where)
        return repaired, torch.where(mask, touch.clamp_min(int(self.effect)), touch), ()

    def _look(
        self, window: Window, center: int, images: dict[int, NDArray[np.uint8]]
    ) -> tuple[Tensor, Suspects] | None:
        """Neighbours (N, C, H, W) fetched along the motion, and what they say is dirt.

        None without two neighbours: what differs from a single one may be dirt over there.
        """
        around = window.frames[center - self.radius : center + self.radius + 1]
        near = [center - self.radius + k for k in distinct_neighbours(around, self.radius)][:4]
        if len(near) < 2:
            return None
        for k in (center, *near):
            if k not in images:
                images[k] = steering_image(luma(window.pixels[k]))
        own = window.pixels[center]
        flows = [find_flow(images[center], images[k]) for k in near]
        fetched, _ = warp(window.pixels[near], torch.cat([flow_tensor(f, own) for f in flows]))
        nearest = [window.pixels[k] for k in near[:2]]
        sides = {window.frames[k] > window.frames[center] for k in near}
        return fetched, suspects(
            own,
            fetched,
            nearest,
            flows[:2],
            self.sigma,
            self.options,
            one_sided=len(sides) == 1,
        )

    def count_suspects(self, window: Window) -> list[Suspects]:
        """Detection only, for reports and tests: one entry per middle frame that has
        neighbours enough to judge by."""
        images: dict[int, NDArray[np.uint8]] = {}
        looks = [
            self._look(window, center, images)
            for center in range(self.radius, len(window.frames) - self.radius)
        ]
        return [look[1] for look in looks if look is not None]


_FEATHER_PX = 6.0
"""How far around a speck the neighbours are compared with the frame."""


def borrow(own: Tensor, fetched: Tensor, mask: NDArray[np.bool_]) -> Tensor:
    """The picture with what is under the mask taken from the neighbour that agrees best there.

    own: (C, H, W); fetched: (N, C, H, W) motion compensated; mask: (H, W). Pixels outside the
    mask come back as they are. Works on one box around each group of specks.
    """
    out = own.clone()
    reach = int(3 * _FEATHER_PX) + 1
    near = cv2.dilate(mask.astype(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(near, connectivity=8)
    for x, y, w, h in stats[1:count, :4].tolist():
        box = (..., slice(y, y + h), slice(x, x + w))
        part = torch.from_numpy(mask[y : y + h, x : x + w]).to(own.device)
        filled = _best_neighbour(own[box], fetched[box], part)
        out[box] = torch.where(part, filled, out[box])
    return out


def _best_neighbour(own: Tensor, fetched: Tensor, mask: Tensor) -> Tensor:
    """(C, h, w) from one neighbour per pixel, brought to the level around the mask.

    Taking one frame rather than a mean keeps its grain. A slow difference in level between
    the frames is carried in from around the mask (membrane fill by normalised blur).
    """
    sound = (~mask).float()[None, None]
    weight = blur(sound, _FEATHER_PX) + 1e-4
    difference = (own.unsqueeze(0) - fetched) * sound
    level = blur(difference, _FEATHER_PX) / weight
    squared = ((difference - level * sound) ** 2).mean(dim=1, keepdim=True)
    misfit = blur(squared, _FEATHER_PX) / weight
    best = misfit.argmin(dim=0, keepdim=True)
    corrected = fetched + level
    return corrected.gather(0, best.expand(1, *corrected.shape[1:]))[0]
