"""Codes below 1024, three to a 32-bit word: a third less to write, to read and to hash."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike, NDArray

WORDS = "words of three"
_TEN_BITS = 1 << 10
_SHIFTS = np.array((20, 10, 0), np.uint32)


class Packed:
    """(T, H, W, C) uint16 codes as they are kept, each frame unpacked when it is asked for."""

    dtype: np.dtype[np.generic] = np.dtype(np.uint16)

    def __init__(self, words: NDArray[np.uint32], shape: Sequence[int]) -> None:
        """words: (T, H, words) as ``packed`` gives them."""
        self._words = words
        self.shape = tuple(shape)

    def __getitem__(self, at: int) -> NDArray[np.uint16]:
        """(H, W, C) of one frame."""
        from media.dpx import compiled  # compiled on first use, not at import

        _, height, width, channels = self.shape
        codes = np.empty((height, width * channels), np.uint16)
        compiled.unpack(self._words[at], False, _SHIFTS, codes)
        return codes.reshape(height, width, channels)

    def __array__(
        self, dtype: DTypeLike | None = None, copy: bool | None = None
    ) -> NDArray[np.generic]:
        """All frames."""
        return np.stack([self[k] for k in range(self.shape[0])]).astype(dtype or self.dtype)


Codes = NDArray[np.generic] | Packed
"""(T, H, W, C) code values, got frame by frame."""


def packed(codes: NDArray[np.generic]) -> NDArray[np.uint32] | None:
    """(T, H, W, C) codes as (T, H, words); None for those that do not fit."""
    if codes.dtype != np.uint16 or not codes.size or int(codes[0].max()) >= _TEN_BITS:
        return None
    from media.dpx import compiled

    frames, height, width, channels = codes.shape
    words = np.empty((frames, height, -(-width * channels // 3)), np.uint32)
    nothing = np.zeros_like(words[0])
    for frame, into in zip(codes, words, strict=True):
        flat = np.ascontiguousarray(frame).reshape(height, -1)
        if compiled.pack(flat, nothing, False, _SHIFTS, into) >= _TEN_BITS:
            return None
    return words
