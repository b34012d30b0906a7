"""Look again, at full size and from near by, where motion that was found for a whole frame shows
another place around a piece of dirt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from restore.motion import Search

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
_SEARCH = Search(finest=0, patch_px=8, stride_px=5, steps=8, rounds=2)
_MARGIN_PX = 8
"""Around a box, so that patches lie whole on its edge."""


@dataclass(frozen=True, slots=True)
class Closer:
    """A frame and its neighbours as motion is found by (``steering_image``), all (H, W)."""

    own: U8
    near: Sequence[U8]
    misfit: float = 0.0
    """Rms of luma around a piece, film log, from which on it is worth the time."""

    def flows(self, at: tuple[int, int], rough: Sequence[F32]) -> list[F32]:
        """(h, w, 2) px to each neighbour, for the box of the frame that begins ``at`` (y, x).

        rough: the same as it was found before; the search begins from its middle.
        """
        height, width = self.own.shape
        (y, x), (h, w) = at, rough[0].shape[:2]
        top, left = max(0, y - _MARGIN_PX), max(0, x - _MARGIN_PX)
        bottom, right = min(height, y + h + _MARGIN_PX), min(width, x + w + _MARGIN_PX)
        here = np.ascontiguousarray(self.own[top:bottom, left:right])
        box = (slice(y - top, y - top + h), slice(x - left, x - left + w))
        found = []
        for picture, flow in zip(self.near, rough, strict=True):
            middle = np.rint(np.median(flow[::4, ::4].reshape(-1, 2), axis=0)).astype(np.int64)
            rows = np.clip(np.arange(top, bottom) + middle[1], 0, height - 1)
            columns = np.clip(np.arange(left, right) + middle[0], 0, width - 1)
            there = np.ascontiguousarray(picture[rows[:, None], columns])
            found.append(_SEARCH.flow(here, there)[box] + middle.astype(np.float32))
        return found
