"""The network that tells dirt from the scene: a small U-Net over the planes of the evidence.

It says where dirt is and paints nothing: what is put there comes from the neighbouring frames.
Its weights (about 0.2 M parameters) and their card lie beside this file; they were trained by
``restore.models.train.dirt``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from restore.dirt.evidence import FOLD, MULTIPLE_PX, PLANES
from restore.models.fused import conv_leaky
from restore.models.own import card_of, with_weights

F32 = NDArray[np.float32]
WEIGHTS = Path(__file__).parent / "weights" / "dirt-net.safetensors"
WEIGHTS_SHA256 = "10dd7bbe4d8fe21176c5043c384e9003c78fc6dc3a30a7a7d7163465ed0503f0"
WIDTHS = (24, 40, 56, 64)
REACH_PX = 96
"""Further away than this a pixel has no say (five scales, two 3x3 layers on each)."""
_SLOPE = 0.1
assert FOLD * 2 ** (len(WIDTHS) - 1) == MULTIPLE_PX


class DirtNet(nn.Module):
    """(N, PLANES, H, W) to (N, H, W) log odds of dirt; H and W multiples of ``MULTIPLE_PX``."""

    def __init__(self) -> None:
        super().__init__()
        first = PLANES * FOLD**2
        self.down = nn.ModuleList(
            _pair(first if k == 0 else WIDTHS[k - 1], width) for k, width in enumerate(WIDTHS)
        )
        self.narrow = nn.ModuleList(
            nn.Conv2d(a, b, 1) for a, b in zip(WIDTHS[1:], WIDTHS[:-1], strict=True)
        )
        self.up = nn.ModuleList(_pair(width, width) for width in WIDTHS[:-1])
        self.last = nn.Conv2d(WIDTHS[0], FOLD**2, 1)

    def forward(self, given: Tensor) -> Tensor:
        """Log odds."""
        odds: Tensor = F.pixel_shuffle(self.of_cells(F.pixel_unshuffle(given, FOLD)), FOLD)[:, 0]
        return odds

    def of_cells(self, x: Tensor) -> Tensor:
        """(N, PLANES * 4, H / 2, W / 2), pixels folded into cells, to (N, 4, H / 2, W / 2)."""
        kept: list[Tensor] = []
        for k, pair in enumerate(self.down):
            x = _both(pair, x)
            if k + 1 < len(WIDTHS):
                kept.append(x)
                x = F.max_pool2d(x, 2)
        for k in reversed(range(len(WIDTHS) - 1)):
            x = F.interpolate(self.narrow[k](x), scale_factor=2.0, mode="nearest").add_(kept[k])
            x = _both(self.up[k], x)
        answers: Tensor = self.last(x)
        return answers


def _pair(before: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, width, 3, padding=1),
        nn.LeakyReLU(_SLOPE, inplace=True),
        nn.Conv2d(width, width, 3, padding=1),
        nn.LeakyReLU(_SLOPE, inplace=True),
    )


def _both(pair: nn.Module, x: Tensor) -> Tensor:
    assert isinstance(pair, nn.Sequential)
    return conv_leaky(pair[2], conv_leaky(pair[0], x, _SLOPE), _SLOPE)


@lru_cache(maxsize=2)
def dirt_network(device: str, half: bool = False) -> DirtNet:
    """The trained network on a device. half: weights and features in bf16.

    raises: ModelRefused where the weights are missing or are not those the program was made with.
    """
    return with_weights(
        DirtNet(),
        WEIGHTS,
        WEIGHTS_SHA256,
        device,
        half=half,
        without='restore.dirt.detector = "rules"',
    )


@lru_cache(maxsize=1)
def dirt_card() -> Mapping[str, str]:
    """What the network is for, its licence and what it was trained on, as reports say it."""
    return card_of(WEIGHTS, WEIGHTS_SHA256)


def probability(given: Tensor, *, half: bool = False) -> Tensor:
    """(H, W) how likely each pixel is dirt, from the (PLANES, H, W) evidence on one frame."""
    h, w = given.shape[-2:]
    pad = (0, -w % MULTIPLE_PX, 0, -h % MULTIPLE_PX)
    padded = F.pad(given[None], pad, mode="replicate").to(torch.bfloat16 if half else given.dtype)
    padded = padded.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        odds = dirt_network(given.device.type, half)(padded)
    return torch.sigmoid(odds.float())[0, :h, :w].clone()


def probability_of_cells(cells: Tensor, size_px: tuple[int, int]) -> F32:
    """The same, (H, W) of ``size_px``, from ``restore.dirt.evidence.folded`` on the CPU."""
    from restore.dirt.cells import unfold  # compiled on first use, not at import

    half = cells.dtype == torch.bfloat16
    with torch.inference_mode():
        said = dirt_network("cpu", half).of_cells(cells)[0].permute(1, 2, 0)
        full, short = (said[:0], said) if half else (said, said[:0])
        likely = np.empty(size_px, np.float32)
        bits = short.view(torch.uint16) if half else short.to(torch.uint16)
        unfold(half, full.float().numpy(), bits.numpy(), likely)
        torch.from_numpy(likely).sigmoid_()
    return likely
