"""The network that guides the block filter: what the frame may look like without its grain.

It paints nothing. Its estimate stands where the filter's own first pass would: from it the filter
takes how strongly each frequency of each block is to be kept (0 to 1) and how far a neighbour is
to be believed. What is delivered is the scan's own frequencies, and its neighbours', times that.

Frames come in units of grain (``restore.grain_curve``), less the slow part of the frame itself, in
cells of 4 x 4 px. Weights and their card lie beside this file; they were trained by
``restore.models.train.grain``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from restore.models.fused import conv_relu
from restore.models.own import card_of, with_weights

F32 = NDArray[np.float32]
PLANES = 3
"""Colour pictures as opponent planes; monochrome ones have two empty planes."""
FOLD = 4
"""Px, edge of the cells a frame is folded into."""
SLOW_PX = 16
"""Px of the means that make a frame's slow part."""
RANGE = 32.0
"""Units of grain: further from the slow part than this is held."""
SCALE = 0.25
_RINGS = ((1, 2), (3, 5), (6, 9), (10, 14))
_COARSE_RINGS = ((1, 3), (4, 14))
CONDITIONS = len(_RINGS) + len(_COARSE_RINGS)


@dataclass(frozen=True, slots=True)
class Shape:
    """Of a network: the frames it sees and how wide and deep it is."""

    frames: int
    widths: tuple[int, int]
    before: int
    below: int
    after: int


ALONG = Shape(5, (80, 96), 2, 4, 3)
"""Sees two frames on each side, brought onto the frame along the motion."""
BESIDE = Shape(3, (48, 64), 2, 3, 2)
"""Sees one frame on each side as it is."""
GuideName = Literal["grain-along", "grain-beside"]
SHAPES: dict[GuideName, Shape] = {"grain-along": ALONG, "grain-beside": BESIDE}
FOLDER = Path(__file__).parent / "weights"
SHA256: dict[GuideName, str] = {
    "grain-along": "ea1a5cea7fd5d36089e3ca03d92f93c5285e160eb86558d6ba9e089e87d79242",
    "grain-beside": "c8621e22de400db630e9743c2ff3f2a531b72bd47661ba05e916498d089464ba",
}


class GuideNet(nn.Module):
    """(N, frames * 48 + CONDITIONS, H / 4, W / 4) to (N, answers, H / 4, W / 4).

    H / 4 and W / 4 must be even. ``combined`` makes a picture of the answers: what it takes to
    average (how far each neighbour counts at each pixel, how far their mean stands) is said in
    few numbers, where the grain itself would have to be carried through every layer.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        wide, low = shape.widths
        cells = PLANES * FOLD**2
        self.first = nn.Conv2d(shape.frames * cells + CONDITIONS, wide, 3, padding=1)
        self.before = _row(wide, shape.before)
        self.down = nn.Conv2d(wide, low, 2, stride=2)
        self.below = _row(low, shape.below)
        self.up = nn.Conv2d(low, 4 * wide, 1)
        self.after = _row(wide, shape.after)
        self.last = nn.Conv2d(wide, (shape.frames - 1) * FOLD**2 + 2 * cells, 3, padding=1)

    def forward(self, folded: Tensor) -> Tensor:
        """Answers: for each pixel of a cell the weights of neighbours; then for each pixel of
        each plane what stands of the mean; then what is added to it, in units of grain."""
        x = conv_relu(self.first, folded)
        for layer in self.before:
            x = conv_relu(layer, x)
        y = conv_relu(self.down, x)
        for layer in self.below:
            y = conv_relu(layer, y)
        x = x + F.pixel_shuffle(self.up(y), 2)
        for layer in self.after:
            x = conv_relu(layer, x)
        answers: Tensor = self.last(x)
        return answers


def combined(frames: Tensor, answers: Tensor) -> Tensor:
    """(N, 3, H, W) the first frame without its grain, less its slow part.

    frames: (N, T, 3, H, W) units of grain less the slow part of the first.
    """
    near = frames.shape[1] - 1
    said = F.pixel_shuffle(answers.float(), FOLD)
    weights = _share(said[:, :near, None])
    merged = frames[:, 0] + (weights * frames[:, 1:]).sum(dim=1)
    merged = merged / (1.0 + weights.sum(dim=1))
    return _share(said[:, near : near + PLANES]) * merged + said[:, near + PLANES :]


def _share(said: Tensor) -> Tensor:
    """0..1 of any number; cheaper than an exponential."""
    return 0.5 + 0.5 * said / (1.0 + said.abs())


def _row(width: int, layers: int) -> nn.ModuleList:
    return nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(layers))


def conditions(spectrum: NDArray[np.float64], coarse: NDArray[np.float64]) -> F32:
    """(CONDITIONS,) what the network is told of the grain's spectra: natural logs of rings."""
    ring = np.add.outer(np.arange(8), np.arange(8))
    found = [
        np.log(np.maximum(power[(ring >= low) & (ring <= high)].mean(), 1e-3))
        for power, rings in ((spectrum, _RINGS), (coarse, _COARSE_RINGS))
        for low, high in rings
    ]
    return np.array(found, np.float32)


def slow_part(planes: F32) -> F32:
    """(C, H, W) means over 16 x 16 px, straight lines between; H and W multiples of 16."""
    _, h, w = planes.shape
    small = (w // SLOW_PX, h // SLOW_PX)
    return np.stack(
        [
            cv2.resize(
                cv2.resize(p, small, interpolation=cv2.INTER_AREA),
                (w, h),
                interpolation=cv2.INTER_LINEAR,
            )
            for p in planes
        ]
    )


@dataclass(frozen=True, eq=False)
class Guide:
    """One of the networks, made ready."""

    name: GuideName
    half: bool = False
    """Features in bf16."""

    @property
    def shape(self) -> Shape:
        """How it is built."""
        return SHAPES[self.name]

    def as_json(self) -> list[object]:
        """For keys."""
        return [self.name, SHA256[self.name], self.half]

    def on_cpu(self, planes: F32, told: F32, seen: Sequence[int] | None = None) -> F32:
        """(C, H, W) the first of (N, C, H, W) planes as it may be without grain.

        planes: units of grain. told: see ``conditions``. seen: places of the frames that are
        shown, as many as the shape says; None shows the first of them.
        """
        # Compiled on first use, and kept beside the module: not at import.
        from restore.noise import guide_cells

        frames = self.shape.frames
        shown = np.arange(frames) if seen is None else np.array(seen, np.int64)
        h, w = planes.shape[-2:]
        tall, wide = h + -h % SLOW_PX, w + -w % SLOW_PX
        own = np.pad(planes[0], ((0, 0), (0, tall - h), (0, wide - w)), mode="edge")
        slow = slow_part(own)
        cells = (tall // FOLD, wide // FOLD, frames * PLANES * FOLD**2 + CONDITIONS)
        # Planes that a monochrome picture lacks are never written.
        make = np.empty if len(own) == PLANES else np.zeros
        full = make((0, 0, 0) if self.half else cells, np.float32)
        short = make(cells if self.half else (0, 0, 0), np.uint16)
        guide_cells.fold(planes, shown, slow, told, PLANES, self.half, full, short)
        given = torch.from_numpy(short if self.half else full)
        given = given.view(torch.bfloat16) if self.half else given
        with torch.inference_mode():
            answers = guide_network(self.name, "cpu", self.half)(given.permute(2, 0, 1)[None])
        said = answers[0].permute(1, 2, 0).contiguous()
        if self.half:
            short, full = said.view(torch.uint16).numpy(), full[:0]
        else:
            short, full = short[:0], said.numpy()
        found: F32 = guide_cells.combine(planes, shown, slow, PLANES, self.half, full, short)
        return found

    def on_device(self, planes: Tensor, told: F32) -> Tensor:
        """The same for tensors on any device: equal within rounding."""
        channels, h, w = planes.shape[1:]
        more = (0, -w % SLOW_PX, 0, -h % SLOW_PX)
        wide = F.pad(planes, more, mode="replicate")
        means = F.avg_pool2d(wide[:1], SLOW_PX)
        slow = F.interpolate(means, size=wide.shape[-2:], mode="bilinear", align_corners=False)
        frames = torch.zeros(
            (1, len(planes), PLANES, *wide.shape[-2:]), dtype=planes.dtype, device=planes.device
        )
        frames[0, :, :channels] = wide - slow
        folded = F.pixel_unshuffle(frames.clamp(-RANGE, RANGE).flatten(1, 2) * SCALE, FOLD)
        said = torch.from_numpy(told).to(planes.device).view(1, -1, 1, 1)
        folded = torch.cat([folded, said.expand(-1, -1, *folded.shape[-2:])], dim=1)
        folded = folded.contiguous(memory_format=torch.channels_last)
        if self.half:
            folded = folded.bfloat16()
        with torch.inference_mode():
            answers = guide_network(self.name, planes.device.type, self.half)(folded)
        found = combined(frames, answers)[0, :channels] + slow[0]
        return found[:, :h, :w].clone()


@lru_cache(maxsize=4)
def guide_network(name: GuideName, device: str, half: bool) -> nn.Module:
    """A trained network on a device.

    raises: ModelRefused where the weights are missing or are not those the program was made with.
    """
    return with_weights(
        GuideNet(SHAPES[name]),
        FOLDER / f"{name}.safetensors",
        SHA256[name],
        device,
        half=half,
        without='restore.noise.guide = "blocks"',
    )


@lru_cache(maxsize=2)
def guide_card(name: GuideName) -> Mapping[str, str]:
    """What a network is for, its licence and what it was trained on, as reports say it."""
    return card_of(FOLDER / f"{name}.safetensors", SHA256[name])
