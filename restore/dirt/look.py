"""One frame and its neighbours, aligned: what dirt detection starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from restore.alignment import and_then, pixel_grid
from restore.dirt.evidence import believed, fetched, told_apart
from restore.motion import Search, distinct_neighbours, find_flow, luma, steering_image

F32 = NDArray[np.float32]
Memos = Sequence[dict[str, Any]]
"""For each place of a window, what was worked out from its frame already."""
RADIUS = 2
_MOST = 4
_SEARCH = Search(finest=1, patch_px=8, stride_px=5, steps=8, rounds=1)
"""Few, close patches at half size: at the time of DIS's fast preset for four frames, things that
move far are followed."""
_HALF = 0.5


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


def beyond_view(look: Look) -> NDArray[np.bool_]:
    """(H, W) what lies beyond the edge of every neighbour: a pan has just brought it into view."""
    h, w = look.own.shape
    places = pixel_grid(h, w)
    out = np.ones((h, w), np.bool_)
    for flow in look.flows:
        x, y = places[..., 0] + flow[..., 0], places[..., 1] + flow[..., 1]
        out &= (x < -0.5) | (y < -0.5) | (x > w - 0.5) | (y > h - 0.5)
    return out


def neighbours(frames: Sequence[int], center: int) -> list[int]:
    """Positions of the neighbours of one frame of a window, nearest first.

    None where there are fewer than two: what differs from a single one may be dirt over there.
    """
    around = frames[center - RADIUS : center + RADIUS + 1]
    near = [center - RADIUS + k for k in distinct_neighbours(around, RADIUS)][:_MOST]
    return near if len(near) >= 2 else []


def look_at(
    pixels: Tensor,
    frames: Sequence[int],
    center: int,
    near: Sequence[int],
    memos: Memos,
    *,
    chained: bool = True,
) -> Look:
    """pixels: (T, C, H, W) film log of the window; frames: its numbers. chained: motion from frame
    to frame; otherwise each is looked at by itself, which is nearer over many frames."""
    planes = {k: _seen(pixels, k, memos) for k in (center, *near)}
    sides = {frames[k] > frames[center] for k in near}
    if chained:
        flows = _chained(frames, center, near, memos)
    else:
        own = memos[center]["steering"]
        flows = {k: find_flow(own, memos[k]["steering"]) for k in near}
    return Look(
        own=planes[center],
        near=[planes[k].cpu().numpy() for k in near],
        flows=[flows[k] for k in near],
        one_sided=len(sides) == 1,
    )


def _chained(
    frames: Sequence[int], center: int, near: Sequence[int], memos: Memos
) -> dict[int, F32]:
    """(H, W, 2) px to each place in ``near``, those further away through those between.

    What moves far is found again from frame to frame, and a pair of frames is looked at once
    although several windows need it.
    """
    h, w = memos[center]["steering"].shape
    found: dict[int, F32] = {}
    for side in (-1, 1):
        so_far: F32 | None = None
        at = center
        for place in sorted((k for k in near if (k - center) * side > 0), key=lambda k: k * side):
            step = _step(frames[place], memos[at], memos[place])
            so_far = step if so_far is None else and_then(so_far, step, _HALF)
            at = place
            found[at] = cv2.resize(so_far, (w, h), interpolation=cv2.INTER_LINEAR)
    return found


def _step(target: int, memo: dict[str, Any], target_memo: dict[str, Any]) -> F32:
    """Motion from one frame to frame ``target``, px of the frame, kept at half its size."""
    key = f"flow {target}"
    if key not in memo:
        flow = _SEARCH.flow(memo["steering"], target_memo["steering"])
        size = (-(-flow.shape[1] // 2), -(-flow.shape[0] // 2))
        memo[key] = cv2.resize(flow, size, interpolation=cv2.INTER_AREA)
    found: F32 = memo[key]
    return found


def _seen(pixels: Tensor, place: int, memos: Memos) -> Tensor:
    """(H, W) luma of a frame; beside it, what its motion is found by."""
    memo = memos[place]
    if "luma" not in memo:
        memo["luma"] = luma(pixels[place])
        memo["steering"] = steering_image(memo["luma"])
    found: Tensor = memo["luma"]
    return found
