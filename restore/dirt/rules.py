"""Dirt by rule: what lies outside everything the neighbouring frames show.

A pixel is suspect when it lies outside everything its motion-compensated neighbours show
around it (ROD, after Kokaram 1998; two-sided test after Storey, BBC RD 1985/4), by more than
grain explains.
"""

from __future__ import annotations

from torch import Tensor

from restore.motion import highest

_DOUBT = 0.5
"""Share of the neighbours' disagreement that a speck must exceed on top of their range."""


def deviation(own: Tensor, near: Tensor) -> Tensor:
    """How far each pixel lies outside all that its neighbours show around it.

    own: (H, W) film log luma. near: (N, 1, H, W) motion compensated and levelled, N >= 2.
    returns: (H, W) signed film log; 0 inside the range. Where the neighbours disagree among
    themselves the range is wide and the deviation small: no evidence, no repair.
    """
    high = highest(near, 3).amax(dim=(0, 1))
    low = -highest(-near, 3).amax(dim=(0, 1))
    # Where the nearest two disagree, motion is lost or something moves: ask for more.
    doubt = highest((near[:1] - near[1:2]).abs(), 5)[0, 0]
    above = (own - high - _DOUBT * doubt).clamp_min(0.0)
    below = (low - own - _DOUBT * doubt).clamp_min(0.0)
    return above - below
