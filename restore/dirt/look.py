"""One frame and its neighbours, aligned: what dirt detection starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from restore.dirt.evidence import believed, fetched, told_apart
from restore.motion import distinct_neighbours, find_flow, luma, steering_image

F32 = NDArray[np.float32]
Memos = Sequence[dict[str, Any]]
"""For each place of a window, what was worked out from its frame already."""
RADIUS = 2
_MOST = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One frame and its neighbours, ready to be judged. Luma planes (H, W) film log."""

    own: Tensor
    near: Sequence[F32]
    """As they are, nearest first; 2 to 4."""
    flows: Sequence[F32]
    """(H, W, 2) px from the frame to each."""
    one_sided: bool
    """All neighbours lie before, or all after: what has just come into view looks like dirt."""

    def compensated(self, sigma: float | None = None) -> Tensor:
        """(N, 1, H, W) the neighbours fetched along their motion, as far as they are believed.

        sigma: grain of the luma, film log. Without it dirt that lies on two frames stays there.
        """
        return torch.from_numpy(self.fetched(sigma))[:, None].to(self.own.device)

    def fetched(self, sigma: float | None = None) -> F32:
        """(N, H, W) the same."""
        found = np.empty((len(self.near), *self.near[0].shape), np.float32)
        for plane, flow, into in zip(self.near, self.flows, found, strict=True):
            fetched(plane, flow, into)
        own = self.own.cpu().numpy()
        if sigma is not None:
            told_apart(own, found, self.flows, sigma)
        believed(own, found)
        return found


def neighbours(frames: Sequence[int], center: int) -> list[int]:
    """Positions of the neighbours of one frame of a window, nearest first.

    None where there are fewer than two: what differs from a single one may be dirt over there.
    """
    around = frames[center - RADIUS : center + RADIUS + 1]
    near = [center - RADIUS + k for k in distinct_neighbours(around, RADIUS)][:_MOST]
    return near if len(near) >= 2 else []


def look_at(
    pixels: Tensor, frames: Sequence[int], center: int, near: Sequence[int], memos: Memos
) -> Look:
    """pixels: (T, C, H, W) film log of the window; frames: its numbers."""
    planes = {k: _seen(pixels, k, memos) for k in (center, *near)}
    sides = {frames[k] > frames[center] for k in near}
    return Look(
        own=planes[center],
        near=[planes[k].cpu().numpy() for k in near],
        flows=[find_flow(memos[center]["steering"], memos[k]["steering"]) for k in near],
        one_sided=len(sides) == 1,
    )


def _seen(pixels: Tensor, place: int, memos: Memos) -> Tensor:
    """(H, W) luma of a frame; beside it, what its motion is found by."""
    memo = memos[place]
    if "luma" not in memo:
        memo["luma"] = luma(pixels[place])
        memo["steering"] = steering_image(memo["luma"])
    found: Tensor = memo["luma"]
    return found
