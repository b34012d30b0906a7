"""Code values as film log planes, by a table of one value a code.

A table holds what ``media.write`` and ``media.encoding`` make of every code there is, so no other
arithmetic stands beside theirs, and a curve costs no more than none. Floating-point pictures and
encodings that mix channels go without.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from media.encoding import ColorEncoding
from media.reel import PictureFormat, SampleType
from media.write import AnyCodes, to_values

F32 = NDArray[np.float32]
_KEPT = 8
_tables: OrderedDict[tuple[str, str, int], F32] = OrderedDict()
_lock = Lock()


def log_planes(codes: AnyCodes, fmt: PictureFormat, space: ColorEncoding) -> Tensor:
    """(H, W, C) codes as stored to (C, H, W) float32 film log, on the CPU."""
    from media import compiled  # compiled on first use, not at import

    height, width, channels = codes.shape
    # Large arrays of numpy lie in large pages, which are there sooner than those of torch.
    planes = np.empty((channels, height, width), np.float32)
    if fmt.sample is SampleType.UINT:
        compiled.looked_up(codes, _table(fmt, space), planes)
        log = torch.from_numpy(planes)
        return space.to_log(log) if space.mixes else log
    planes[:] = codes.transpose(2, 0, 1)
    return space.to_log(torch.from_numpy(planes))


def log_means(codes: AnyCodes, fmt: PictureFormat, space: ColorEncoding, step: int) -> Tensor:
    """Means of ``log_planes`` over step x step pixels, a rest at the edges left out.

    returns: (C, H/step, W/step) float32 film log, on the CPU. A step of 1 gives ``log_planes``.
    """
    if step == 1 or fmt.sample is not SampleType.UINT or space.mixes:
        return plane_means(log_planes(codes, fmt, space), step)
    from media import compiled

    height, width, channels = codes.shape
    means = np.empty((channels, height // step, width // step), np.float32)
    compiled.looked_up_means(codes, _table(fmt, space), step, means)
    return torch.from_numpy(means)


class LogFrame(Protocol):
    """A frame to look at in film log, as much of it as is asked for."""

    @property
    def size_px(self) -> tuple[int, int]:
        """Height and width."""

    @property
    def whole(self) -> Tensor:
        """(C, H, W) float32 film log."""

    def part(self, rows: slice, cols: slice) -> Tensor:
        """(C, rows, cols) of it."""

    def means(self, step: int) -> Tensor:
        """(C, H/step, W/step) means over step x step pixels."""


@dataclass(frozen=True)
class CodedFrame:
    """A frame as it is stored."""

    codes: AnyCodes
    """(H, W, C)."""
    format: PictureFormat
    space: ColorEncoding

    @property
    def size_px(self) -> tuple[int, int]:
        """Height and width."""
        return self.codes.shape[0], self.codes.shape[1]

    @cached_property
    def whole(self) -> Tensor:
        """(C, H, W) float32 film log."""
        return log_planes(self.codes, self.format, self.space)

    def part(self, rows: slice, cols: slice) -> Tensor:
        """(C, rows, cols) of it."""
        codes: AnyCodes = self.codes[rows, cols].copy()
        return log_planes(codes, self.format, self.space)

    def means(self, step: int) -> Tensor:
        """(C, H/step, W/step) means over step x step pixels."""
        return self.whole if step == 1 else log_means(self.codes, self.format, self.space, step)


@dataclass(frozen=True)
class PlaneFrame:
    """A frame that is film log already."""

    whole: Tensor
    """(C, H, W) float32, on the CPU."""

    @property
    def size_px(self) -> tuple[int, int]:
        """Height and width."""
        return self.whole.shape[-2], self.whole.shape[-1]

    def part(self, rows: slice, cols: slice) -> Tensor:
        """(C, rows, cols) of it."""
        return self.whole[:, rows, cols]

    def means(self, step: int) -> Tensor:
        """(C, H/step, W/step) means over step x step pixels."""
        return plane_means(self.whole, step)


def word_means(
    words: NDArray[np.uint32], fmt: PictureFormat, space: ColorEncoding, step: int
) -> Tensor:
    """``log_means`` of (H, W) words of three ten-bit codes, the first one uppermost."""
    from media import compiled

    height, width = words.shape
    means = np.empty((3, height // step, width // step), np.float32)
    compiled.word_means(words, _table(fmt, space), step, means)
    return torch.from_numpy(means)


def plane_means(planes: Tensor, step: int) -> Tensor:
    """(C, H, W) on the CPU to (C, H/step, W/step) means, a rest at the edges left out."""
    if step == 1:
        return planes
    from media import compiled

    channels, height, width = planes.shape
    means = np.empty((channels, height // step, width // step), np.float32)
    compiled.means(np.ascontiguousarray(planes.numpy()), step, means)
    return torch.from_numpy(means)


def _table(fmt: PictureFormat, space: ColorEncoding) -> F32:
    """(codes,) film log of every code of an integer format; its value, where channels mix."""
    name = (space.name, space.key, fmt.bits)
    with _lock:
        found = _tables.pop(name, None)
        if found is None:
            every = np.arange(fmt.full_scale + 1, dtype=np.uint16)
            values = to_values(every.reshape(1, 1, -1), fmt)
            if not space.mixes:
                values = space.to_log(torch.from_numpy(values)).numpy()
            found = values.ravel()
        _tables[name] = found
        while len(_tables) > _KEPT:
            _tables.popitem(last=False)
    return found
