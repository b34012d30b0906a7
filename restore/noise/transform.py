"""Grain taken down by blocks in frequency, merged along the motion, then shrunk.

Each 8 x 8 block of the frame is compared with the same block of every neighbour, frequency by
frequency. Where the two differ by no more than grain does, they are averaged; where they differ
by more, the frame's own value stands. What is left is shrunk by a Wiener filter whose gain comes
from a first pass of the same kind, or from a network (``restore.noise.guide``). Grain that is not
white is met by its own spectrum.

Sources: Dabov et al. 2007 (two passes, hard threshold, then Wiener), Hasinoff et al. 2016
(pairwise merging in frequency), Ehret and Arias 2020 (blocks along optical flow).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from restore.alignment import HALVED, Quality, Steering, interleaved
from restore.grain_curve import GrainCurve, Stabiliser
from restore.noise import alike, alike_torch, blocks_torch
from restore.noise.guide import Guide, conditions
from restore.noise.rules import COARSE_BLUR_PX, RIM, SIZE, STEERING_PX

_OPPONENT = np.array([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [0.5, -1.0, 0.5]], np.float64) / np.sqrt(
    np.array([[3.0], [2.0], [1.5]])
)
"""Orthonormal: grain that is alike in strength and independent stays so."""


@dataclass(frozen=True)
class Effort:
    """How much time a frame is given."""

    radius: int = 3
    """Frames looked at on each side."""
    first_px: int = 8
    second_px: int = 6
    """Px between blocks in the first and second pass: a smaller step costs its square."""
    flow: Quality | Literal["none"] = "usual"
    """"none": neighbours are taken as they lie, and count only where nothing moves."""
    coarse: bool = True
    """Is the filter run at half size too?"""
    alike: int = 0
    """Frames on each side on which patches that are alike are looked at after the filter; 0:
    they are not (``restore.noise.alike``)."""

    def as_json(self) -> list[object]:
        """For keys."""
        return [
            self.radius, self.first_px, self.second_px, self.flow, self.coarse, self.alike
        ]  # fmt: skip


USUAL = Effort()


@dataclass(frozen=True, eq=False)
class GrainModel:
    """What the filter knows of grain, beside its strength at each level."""

    spectrum: NDArray[np.float64]
    """(8, 8) power of each DCT frequency over that of white grain of the same variance."""
    coarse_spectrum: NDArray[np.float64]
    """(8, 8) the same after taking means over 2 x 2 px."""
    correlation: NDArray[np.float64]
    """(C, C) between channels."""

    @classmethod
    def white(cls, channels: int) -> GrainModel:
        """Grain without neighbours: every frequency and channel by itself."""
        ones = np.ones((SIZE, SIZE))
        return cls(ones, 0.25 * ones, np.eye(channels))

    def as_json(self) -> dict[str, object]:
        """For keys."""
        found = (self.spectrum, self.coarse_spectrum, self.correlation)
        return dict(
            zip(("spectrum", "coarse", "correlation"), (v.tolist() for v in found), strict=True)
        )


@dataclass(frozen=True, eq=False)
class Filter:
    """The filter made ready for a kind of grain."""

    curve: GrainCurve
    model: GrainModel
    effort: Effort
    guide: Guide | None = None
    """What the first pass is replaced by."""

    def in_units(self, picture: NDArray[np.float32]) -> NDArray[np.float32]:
        """(H, W, C) film log on the scale of its grain: (H, W, C) planes of unit grain."""
        from restore.noise import scale

        mix, _, _, tables = self.prepared
        found: NDArray[np.float32] = scale.in_units(picture, tables.forward, mix)
        return found

    def steering(self, units: NDArray[np.float32]) -> Steering:
        """What flow looks at: luma of a frame without its grain, as far as the frame alone tells.

        units: (H, W, C) planes of unit grain. A blur that hides as much grain hides the texture
        that tells motion; the quick way has to do with one.
        """
        from restore.noise import blocks

        _, _, sigma, _ = self.prepared
        luma, power = cv2.extractChannel(units, 0), sigma[0]
        if self.effort.flow in HALVED:
            h, w = luma.shape
            size = (max(w // 2, 1), max(h // 2, 1))
            luma, power = cv2.resize(luma, size, interpolation=cv2.INTER_AREA), sigma[1]
        if self.effort.flow == "quick":
            return Steering(luma[..., None])
        rim = (RIM, RIM, RIM, RIM)
        planes = cv2.copyMakeBorder(luma, *rim, cv2.BORDER_REFLECT_101)[None, None]
        flat, dct, window = power.reshape(-1), _dct(), _window()
        pilot = blocks.filtered(planes, planes[0], False, STEERING_PX[0], flat, dct, window)
        clean = blocks.filtered(planes, pilot, True, STEERING_PX[1], flat, dct, window)[0]
        return Steering(clean[RIM:-RIM, RIM:-RIM, None], blurred=False)

    def on_cpu(
        self,
        own: Tensor,
        frames: Sequence[NDArray[np.float32]],
        seen: Sequence[int] = (),
    ) -> Tensor:
        """(C, H, W) film log without its grain.

        own: (C, H, W) film log. frames: (H, W, C) planes of unit grain, the frame's first, then
        those of neighbours brought onto it. seen: those shown to the guide.
        """
        # Compiled on first use, and kept beside the module: not at import.
        from restore.noise import blocks, scale

        _, back, sigma, tables = self.prepared
        h, w, c = frames[0].shape
        planes = np.empty((len(frames), c, h + 2 * RIM, w + 2 * RIM), np.float32)
        for frame, target in zip(frames, planes, strict=True):
            scale.bordered(frame, RIM, target)
        first_px, second_px = self.effort.first_px, self.effort.second_px
        pilot: NDArray[np.float32] | None = None
        if self.guide is not None:
            pilot = self.guide.on_cpu(planes, self.told, seen)

        def filtered(
            planes: NDArray[np.float32],
            sigma: NDArray[np.float32],
            pilot: NDArray[np.float32] | None,
        ) -> NDArray[np.float32]:
            flat, dct, window = sigma.reshape(-1), _dct(), _window()
            if pilot is None:
                pilot = blocks.filtered(planes, planes[0], False, first_px, flat, dct, window)
            found: NDArray[np.float32] = blocks.filtered(
                planes, pilot, True, second_px, flat, dct, window
            )
            return found

        clean = filtered(planes, sigma[0], pilot)
        if self.effort.coarse:
            half = None if pilot is None else _halved(pilot[None])[0]
            clean = _with_coarse(clean, filtered(_halved(planes), sigma[1], half))
        planar = np.ascontiguousarray(own.numpy())
        found = scale.restored(
            planar, clean, RIM, tables.forward, tables.backward, tables.ends, back
        )
        return torch.from_numpy(found)

    def in_units_on_device(self, frames: Tensor) -> Tensor:
        """(T, C, H, W) film log as planes of unit grain."""
        mix, _, _, tables = self.prepared
        return blocks_torch.in_units(frames, tables, mix)

    def on_device(self, own: Tensor, units: Tensor, seen: Sequence[int] = ()) -> Tensor:
        """The same for tensors on any device: equal within rounding.

        own: (C, H, W) film log. units: (T, C, H, W) planes of unit grain, the frame's first.
        """
        _, back, sigma, tables = self.prepared
        guide, told, effort = self.guide, self.told, self.effort
        return blocks_torch.filtered_frame(
            own,
            units,
            tables,
            back,
            sigma,
            (effort.first_px, effort.second_px),
            None if guide is None else lambda planes: guide.on_device(planes[list(seen)], told),
            coarse=effort.coarse,
        )

    def units(self, picture: Tensor) -> Tensor:
        """(C, H, W) film log as (C, H, W) planes of unit grain, on the device it is on."""
        if picture.device.type != "cpu":
            return self.in_units_on_device(picture[None])[0]
        return torch.from_numpy(self.in_units(interleaved(picture))).permute(2, 0, 1)

    def white(self, units: Tensor) -> Tensor:
        """(C, H, W) planes of unit grain, made white."""
        kernel, _ = self.whitening
        if units.device.type != "cpu":
            return alike_torch.through_on_device(kernel, units)
        return torch.from_numpy(alike.through(kernel, np.ascontiguousarray(units.numpy())))

    def again(
        self,
        own: Tensor,
        clean: Tensor,
        noisy: Sequence[Tensor],
        basic: Sequence[Tensor],
        flows: Sequence[NDArray[np.float32]],
    ) -> Tensor:
        """(C, H, W) film log: what patches that are alike make of a filtered frame.

        own, clean: (C, H, W) film log before and after the filter. noisy, basic: planes made
        ``white`` before and after it, the frame's first, then its neighbours', nearest first.
        flows: (H, W, 2) px from the frame to each neighbour.
        """
        _, back, _, tables = self.prepared
        _, gray = self.whitening
        units = self.units(clean)
        if own.device.type != "cpu":
            gap = alike_torch.bettered_on_device(noisy, basic, flows) - basic[0]
            more = alike_torch.through_on_device(gray, gap)
            return blocks_torch.restored(own, units + more, tables, back)
        from restore.noise import scale

        better = alike.bettered([f.numpy() for f in noisy], [f.numpy() for f in basic], flows)
        planes = units.numpy() + alike.through(gray, better - basic[0].numpy())
        found = scale.restored(
            np.ascontiguousarray(own.numpy()),
            np.ascontiguousarray(planes),
            0,
            tables.forward,
            tables.backward,
            tables.ends,
            back,
        )
        return torch.from_numpy(found)

    @cached_property
    def whitening(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Kernels that make its grain white and back."""
        return alike.whitening(self.model.spectrum)

    @property
    def told(self) -> NDArray[np.float32]:
        """What a guide is told of the grain."""
        return conditions(self.model.spectrum, self.model.coarse_spectrum)

    @cached_property
    def prepared(
        self,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], Stabiliser]:
        """Channels to planes and back, grain of each frequency, tables by level.

        On their scale grain has unit strength: at every level, in each plane, each frequency.
        """
        channels = len(self.curve.sigma)
        turn = _OPPONENT if channels == 3 else np.eye(channels)
        power = np.clip(np.diag(turn @ self.model.correlation @ turn.T), 0.05, None)
        mix = (turn / np.sqrt(power)[:, None]).astype(np.float32)
        back = (turn.T * np.sqrt(power)).astype(np.float32)
        spectra = np.stack([self.model.spectrum, self.model.coarse_spectrum])
        sigma = np.sqrt(np.maximum(spectra, 1e-3)).astype(np.float32)
        return mix, np.ascontiguousarray(back), sigma, self.curve.tables()


def _dct() -> NDArray[np.float32]:
    """(8, 8) orthonormal, frequencies by places."""
    k = np.arange(SIZE)
    rows = np.cos(np.pi * (2 * k[None] + 1) * k[:, None] / (2 * SIZE)) * np.sqrt(2.0 / SIZE)
    rows[0] /= np.sqrt(2.0)
    found: NDArray[np.float32] = rows.astype(np.float32)
    return found


def _window() -> NDArray[np.float32]:
    """(8,) whose products weigh the places of a block."""
    found: NDArray[np.float32] = np.kaiser(SIZE, 2.0).astype(np.float32)
    return found


def _halved(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """(T, C, H, W) means over 2 x 2 px; an odd last row or column is left out."""
    t, c, h, w = planes.shape
    size = (w // 2, h // 2)
    found = np.empty((t, c, h // 2, w // 2), np.float32)
    for n in range(t):
        for p in range(c):
            even = planes[n, p, : 2 * (h // 2), : 2 * (w // 2)]
            cv2.resize(even, size, dst=found[n, p], interpolation=cv2.INTER_AREA)
    return found


def _with_coarse(fine: NDArray[np.float32], coarse: NDArray[np.float32]) -> NDArray[np.float32]:
    """(C, H, W) with its lowest frequencies from the (C, H/2, W/2) result.

    A block's mean is only averaged along the motion, never shrunk; at half size the blocks see
    the frequencies between.
    """
    gap = coarse - _halved(fine[None])[0]
    out = fine.copy()
    _, h, w = gap.shape
    for p, plane in enumerate(gap):
        smooth = cv2.GaussianBlur(plane, (3, 3), COARSE_BLUR_PX, borderType=cv2.BORDER_REPLICATE)
        large = cv2.resize(smooth, (2 * w, 2 * h), interpolation=cv2.INTER_LINEAR)
        out[p, : 2 * h, : 2 * w] += large
    return out
