"""Grain made from what was measured of a shot's own: spectrum, tone curve, channels.

White noise by place (``restore.grain.field``) is filtered to the measured autocorrelation, mixed
to the measured correlation of the channels, and laid on as strong as the picture's level there
asks for. At an enlarged size grain grows with the picture: nothing finer than the scan showed is
made up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from restore.grain.field import white
from restore.grain_curve import GrainCurve

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
_FFT = 128
_RANKS = 6
"""Separable filters that one kernel is made of, at most."""
_TAIL = 1e-5
"""Of a kernel's energy that may be cut off at its rim."""


@dataclass(frozen=True, eq=False)
class GrainLook:
    """What grain looks like, at the size of the scan."""

    curve: GrainCurve
    """Strength by level and channel, film log."""
    autocorrelation: F64
    """(K, K) between pixels so many rows and columns apart; 1 at [0, 0]."""
    channels: F64
    """(C, C) correlation."""

    @classmethod
    def measured(cls, curve: GrainCurve, near: Sequence[Sequence[float]],
                 channels: Sequence[Sequence[float]]) -> GrainLook:  # fmt: skip
        """From the parts of a decision; empty parts mean white, and independent channels."""
        count = len(curve.sigma)
        return cls(
            curve,
            np.array(near, np.float64) if near else white_autocorrelation(),
            np.array(channels, np.float64) if channels else np.eye(count),
        )

    def as_json(self) -> Mapping[str, Any]:
        """For keys."""
        return {
            "curve": self.curve.as_json(),
            "autocorrelation": self.autocorrelation.tolist(),
            "channels": self.channels.tolist(),
        }


@dataclass(frozen=True, eq=False)
class GrainField:
    """Unit grain of one look at one size."""

    look: GrainLook
    scale: float
    seed: int

    @cached_property
    def filters(self) -> list[tuple[F32, F32]]:
        """Pairs of column and row taps, whose results add up to the kernel."""
        return separable(kernel(enlarged(self.look.autocorrelation, self.scale)))

    @property
    def reach_px(self) -> int:
        """Half the length of the longest filter."""
        return max(len(rows) // 2 for _, rows in self.filters)

    @cached_property
    def mix(self) -> F64:
        """(C, C) that gives independent channels the measured correlation."""
        return root(self.look.channels)

    def grain(self, frame: int, top_px: int, left_px: int, shape: tuple[int, int]) -> F32:
        """(C, H, W) of unit variance; the same at a place whatever the tile."""
        reach = self.reach_px
        count = len(self.mix)
        alone = np.zeros((count, *shape), np.float32)
        wide = (shape[0] + 2 * reach, shape[1] + 2 * reach)
        inner = np.s_[reach : reach + shape[0], reach : reach + shape[1]]
        for channel in range(count):
            noise = white(self.seed, frame, channel, top_px - reach, left_px - reach, wide)
            for down, across in self.filters:
                alone[channel] += cv2.sepFilter2D(noise, cv2.CV_32F, across, down)[inner]
        out = np.zeros_like(alone)
        for channel in range(count):
            for other in range(channel + 1):
                out[channel] += np.float32(self.mix[channel, other]) * alone[other]
        return out


def white_autocorrelation() -> F64:
    """(8, 8) of grain without neighbours."""
    found = np.zeros((8, 8))
    found[0, 0] = 1.0
    return found


def strength(curve: GrainCurve, pixels: Tensor) -> Tensor:
    """(C, H, W) sigma of grain at the level of each pixel, film log."""
    planes = []
    for plane, sigma in zip(pixels, curve.sigma, strict=True):
        # Stretch by stretch between knots: a sum of clamped ramps, held at both ends.
        found = torch.full_like(plane, sigma[0])
        for (low, high), (start, end) in zip(pairwise(curve.levels), pairwise(sigma), strict=True):
            if high > low:
                ramp = (plane - low).clamp_(0.0, high - low)
                found.add_(ramp, alpha=(end - start) / (high - low))
            else:
                # Of a picture that is all of one level, knots may coincide.
                found.add_((plane > low).to(plane.dtype), alpha=end - start)
        planes.append(found)
    return torch.stack(planes)


def enlarged(near: F64, scale: float) -> F64:
    """Autocorrelation of the same grain ``scale`` times larger: band-limited between lags."""
    if scale == 1:
        return near
    size = len(near)
    lags = np.arange(math.ceil(size * scale)) / scale
    # Mirrored: it is even. Lanczos over the known lags, nothing beyond them.
    known = np.arange(-size + 1, size)
    offset = lags[:, None] - known[None]
    taps = np.sinc(offset) * np.sinc(offset / 4.0) * (np.abs(offset) < 4.0)
    taps /= taps.sum(axis=1, keepdims=True)
    even = near[np.abs(known)][:, np.abs(known)]
    found: F64 = taps @ even @ taps.T
    found /= found[0, 0]
    return found


def kernel(near: F64) -> F64:
    """(n, n) odd, zero-phase, of unit energy, whose autocorrelation is ``near``.

    Its transform is the root of the power spectrum. Lags are faded out before they end.
    """
    size = len(near)
    fade = 0.5 + 0.5 * np.cos(np.pi * np.clip((np.arange(size) - size / 2) / (size / 2), 0.0, 1.0))
    faded = near * (fade[:, None] * fade[None] if size > 1 else 1.0)
    even = np.zeros((_FFT, _FFT))
    for dy in range(size):
        for dx in range(size):
            even[[dy, dy, -dy, -dy], [dx, -dx, dx, -dx]] = faded[dy, dx]
    power = np.maximum(np.fft.fft2(even).real, 0.0)
    taps = np.fft.fftshift(np.fft.ifft2(np.sqrt(power)).real)
    middle = _FFT // 2
    energy = np.square(taps).sum()
    for reach in range(_FFT // 2):
        part = taps[middle - reach : middle + reach + 1, middle - reach : middle + reach + 1]
        if np.square(part).sum() >= (1.0 - _TAIL) * energy:
            break
    found: F64 = part / np.sqrt(np.square(part).sum())
    return found


def separable(taps: F64) -> list[tuple[F32, F32]]:
    """Column and row filters whose sum is the kernel, the strongest first."""
    down, size, across = np.linalg.svd(taps)
    kept = [k for k in range(min(_RANKS, len(size))) if size[k] ** 2 >= _TAIL * (size**2).sum()]
    total = np.sqrt((size[kept] ** 2).sum())
    return [
        (
            (down[:, k] * np.sqrt(size[k] / total)).astype(np.float32),
            (across[k] * np.sqrt(size[k] / total)).astype(np.float32),
        )
        for k in kept
    ]


def root(correlation: F64) -> F64:
    """(C, C) lower triangle whose product with its transpose is the correlation."""
    values, vectors = np.linalg.eigh(0.5 * (correlation + correlation.T))
    sound = (vectors * np.maximum(values, 1e-6)) @ vectors.T
    size = np.sqrt(np.diag(sound))
    found: F64 = np.linalg.cholesky(sound / size[:, None] / size[None])
    return found
