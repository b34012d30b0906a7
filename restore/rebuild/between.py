"""The picture between two others, along the motion between them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from restore.motion import Search, blur, flow_tensor, luma, steering_image, warp

_STEPS = 3
_MISMATCH_PX = 2.5
_MISMATCH = 0.012
"""Film log: a way that fits worse than another by this much counts a third as much."""
_SEARCHES = (
    Search(finest=0, patch_px=8, stride_px=4, steps=32, rounds=8),
    Search(finest=1, patch_px=12, stride_px=4, steps=40, rounds=5),
)
"""The second loses fine edges and finds fast things."""

U8 = NDArray[np.uint8]


class Between:
    """Two pictures and the motion between them; makes any picture in the middle."""

    def __init__(self, before: Tensor, after: Tensor) -> None:
        """before, after: (C, H, W) film log, on any device."""
        self._before, self._after = before.unsqueeze(0), after.unsqueeze(0)
        images = [steering_image(luma(p)) for p in (before, after)]
        # A fine search follows edges, one with large patches follows what moves far: for each
        # pixel the better one is found out below.
        self._flows = [
            (
                flow_tensor(search.flow(images[0], images[1]), before),
                flow_tensor(search.flow(images[1], images[0]), before),
            )
            for search in _SEARCHES
        ]

    def at(self, share: float) -> Tensor:
        """(C, H, W): ``share`` of the way from ``before`` (0) to ``after`` (1).

        Several motions are tried for each pixel: those found from either side, carried to the
        time that is wanted, their mean, and none. A motion along which the two pictures show
        different things counts the less. Where none fits (something was covered, or moves too
        fast to be followed) the two are blended.
        """
        mismatches, early, late = [], [], []
        for motion in self._motions(share):
            first, first_inside = warp(self._before, -share * motion)
            last, last_inside = warp(self._after, (1.0 - share) * motion)
            apart = blur((last - first).abs().mean(dim=1, keepdim=True), _MISMATCH_PX)
            mismatches.append(apart + (~(first_inside & last_inside)).float())
            early.append(first)
            late.append(last)
        mismatch = torch.stack(mismatches)
        trust = torch.exp((mismatch.amin(dim=0, keepdim=True) - mismatch) / _MISMATCH)
        trust = trust / trust.sum(dim=0, keepdim=True)
        both = (1.0 - share) * torch.stack(early) + share * torch.stack(late)
        return (trust * both).sum(dim=0)[0]

    def _motions(self, share: float) -> list[Tensor]:
        """(1, 2, H, W) px from ``before`` to ``after``, for the pixels of the picture between."""
        found = []
        for forward, backward in self._flows:
            ahead, back = forward, -backward
            for _ in range(_STEPS):
                # A flow belongs to where it begins; it is wanted where it passes half way.
                ahead = warp(forward, -share * ahead, cubic=False)[0]
                back = -warp(backward, (1.0 - share) * back, cubic=False)[0]
            found += [ahead, back, 0.5 * (ahead + back)]
        return [*found, torch.zeros_like(self._flows[0][0])]


def between(before: Tensor, after: Tensor, share: float) -> Tensor:
    """The picture ``share`` of the way from ``before`` to ``after``; all (C, H, W) film log."""
    return Between(before, after).at(share)
