"""Codes below 1024, three to a 32-bit word: a third less to write, to read and to hash."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import DTypeLike, NDArray
from torch import Tensor

from media.encoding import ColorEncoding
from media.log_planes import CodedFrame, word_means
from media.reel import PictureFormat, SampleType
from media.write import AnyCodes, empty_codes

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

    @property
    def words(self) -> NDArray[np.uint32]:
        """(T, H, words)."""
        return self._words

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


@dataclass(frozen=True)
class PackedFrame:
    """One of these frames to look at in film log, unpacked no further than it is asked for."""

    frames: Packed
    at: int
    format: PictureFormat
    space: ColorEncoding

    @property
    def size_px(self) -> tuple[int, int]:
        """Height and width."""
        return self.frames.shape[1], self.frames.shape[2]

    @cached_property
    def _unpacked(self) -> CodedFrame:
        return CodedFrame(self.frames[self.at], self.format, self.space)

    @property
    def whole(self) -> Tensor:
        """(C, H, W) float32 film log."""
        return self._unpacked.whole

    def part(self, rows: slice, cols: slice) -> Tensor:
        """(C, rows, cols) of it."""
        return self._unpacked.part(rows, cols)

    def means(self, step: int) -> Tensor:
        """(C, H/step, W/step) means over step x step pixels."""
        if step == 1 or self.frames.shape[3] != 3 or self.space.mixes:
            return self._unpacked.means(step)
        return word_means(self.frames.words[self.at], self.format, self.space, step)


Codes = NDArray[np.generic] | Packed
"""(T, H, W, C) code values, got frame by frame."""


class Room:
    """Room for frames of codes, which are packed as they come in where they will fit."""

    def __init__(self, fmt: PictureFormat, frames: int) -> None:
        self._frame = empty_codes(fmt)
        self._shape = (frames, *self._frame.shape)
        self._fits = fmt.sample is SampleType.UINT and 8 < fmt.bits <= 10
        if self._fits:
            row = -(-fmt.width * fmt.channels // 3)
            self._words = np.empty((frames, fmt.height, row), np.uint32)
        else:
            self._codes = empty_codes(fmt, frames)

    def frame(self, at: int) -> AnyCodes:
        """(H, W, C) to be filled before ``filled`` is told."""
        found: AnyCodes = self._frame if self._fits else self._codes[at]
        return found

    def filled(self, at: int) -> None:
        """The frame is there. raises: ValueError for codes that its format cannot have."""
        if self._fits and not _pack(self._frame, self._words[at]):
            raise ValueError("a frame of ten bits holds codes of more")

    def codes(self, frames: int) -> Codes:
        """The first so many frames; they are there until the next ones come."""
        shape = (frames, *self._shape[1:])
        return Packed(self._words[:frames], shape) if self._fits else self._codes[:frames]


def packed(codes: NDArray[np.generic]) -> NDArray[np.uint32] | None:
    """(T, H, W, C) codes as (T, H, words); None for those that do not fit."""
    if codes.dtype != np.uint16 or not codes.size or int(codes[0].max()) >= _TEN_BITS:
        return None
    frames, height, width, channels = codes.shape
    words = np.empty((frames, height, -(-width * channels // 3)), np.uint32)
    fits = all(_pack(frame, into) for frame, into in zip(codes, words, strict=True))
    return words if fits else None


def _pack(frame: NDArray[np.generic], into: NDArray[np.uint32]) -> bool:
    """(H, W, C) into (H, words). returns: whether all codes fit."""
    from media.dpx import compiled

    flat = np.ascontiguousarray(frame).reshape(len(frame), -1)
    return bool(compiled.pack(flat, into, False, False, _SHIFTS, into) < _TEN_BITS)
