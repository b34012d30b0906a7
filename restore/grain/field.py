"""Random numbers by place: the same pixel of the same frame always gets the same one.

Counter-based: a number is a hash of seed, frame, channel, row and column, so tiles, chunks,
restarts and workers agree to the bit, whatever the order they work in.
"""

from __future__ import annotations

from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
_MASK = 0xFFFFFFFF
_OFFSET = 1 << 20
"""Added to places, so that those left of and above the frame count up too."""
_BITS = 16


@lru_cache(maxsize=1)
def quantiles() -> F32:
    """(65536,) standard normal values, rising, of unit variance."""
    normal = NormalDist()
    half = [normal.inv_cdf((k + 0.5) / 2**_BITS) for k in range(2 ** (_BITS - 1))]
    table = np.array(half + [-v for v in reversed(half)])
    found: F32 = (table / table.std()).astype(np.float32)
    return found


def white(
    seed: int, frame: int, channel: int, top_px: int, left_px: int, shape: tuple[int, int]
) -> F32:
    """(H, W) independent standard normal values from row ``top_px`` and column ``left_px`` on."""
    start = _mixed(np.array([seed & _MASK], np.uint32))
    for part in (channel, frame & _MASK):
        start = _mixed(start + np.uint32(part))
    rows = np.arange(top_px + _OFFSET, top_px + _OFFSET + shape[0]).astype(np.uint32)
    columns = np.arange(left_px + _OFFSET, left_px + _OFFSET + shape[1]).astype(np.uint32)
    # Rows are scattered before columns are added: neighbours in one are strangers in the other.
    counters = _mixed(start + rows)[:, None] + _mixed(columns * np.uint32(0x9E3779B1))[None]
    found: F32 = quantiles()[_mixed(counters) >> np.uint32(32 - _BITS)]
    return found


def _mixed(values: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """A hash of 32 bits in which every bit of the input moves every bit of the output
    (lowbias32, Wellons 2018, public domain)."""
    found: NDArray[np.uint32] = values ^ (values >> np.uint32(16))
    found *= np.uint32(0x7FEB352D)
    found ^= found >> np.uint32(15)
    found *= np.uint32(0x846CA68B)
    found ^= found >> np.uint32(16)
    return found
