"""The network that tells dirt from the scene: a small U-Net over the planes of the evidence.

It says where dirt is and paints nothing: what is put there comes from the neighbouring frames.
Its weights (about 0.2 M parameters) and their card lie beside this file; they were trained by
``restore.models.train.dirt``.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load
from torch import Tensor, nn

from media.errors import ModelRefused
from restore.dirt.evidence import PLANES

WEIGHTS = Path(__file__).parent / "weights" / "dirt-net.safetensors"
WEIGHTS_SHA256 = "f637a340c346a50a1b996a04ee2582609c6a2a02fa7736f4d0b6af6508fd09b9"
WIDTHS = (24, 40, 56, 64)
REACH_PX = 96
"""Further away than this a pixel has no say (five scales, two 3x3 layers on each)."""
_FOLD = 2
MULTIPLE_PX = _FOLD * 2 ** (len(WIDTHS) - 1)


class DirtNet(nn.Module):
    """(N, PLANES, H, W) to (N, H, W) log odds of dirt; H and W multiples of ``MULTIPLE_PX``."""

    def __init__(self) -> None:
        super().__init__()
        first = PLANES * _FOLD**2
        self.down = nn.ModuleList(
            _pair(first if k == 0 else WIDTHS[k - 1], width) for k, width in enumerate(WIDTHS)
        )
        self.narrow = nn.ModuleList(
            nn.Conv2d(a, b, 1) for a, b in zip(WIDTHS[1:], WIDTHS[:-1], strict=True)
        )
        self.up = nn.ModuleList(_pair(width, width) for width in WIDTHS[:-1])
        self.last = nn.Conv2d(WIDTHS[0], _FOLD**2, 1)

    def forward(self, given: Tensor) -> Tensor:
        """Log odds."""
        x = F.pixel_unshuffle(given, _FOLD)
        kept: list[Tensor] = []
        for k, layer in enumerate(self.down):
            x = layer(x)
            if k + 1 < len(WIDTHS):
                kept.append(x)
                x = F.max_pool2d(x, 2)
        for k in reversed(range(len(WIDTHS) - 1)):
            x = F.interpolate(self.narrow[k](x), scale_factor=2.0, mode="nearest") + kept[k]
            x = self.up[k](x)
        odds: Tensor = F.pixel_shuffle(self.last(x).float(), _FOLD)[:, 0]
        return odds


def _pair(before: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, width, 3, padding=1),
        nn.LeakyReLU(0.1, inplace=True),
        nn.Conv2d(width, width, 3, padding=1),
        nn.LeakyReLU(0.1, inplace=True),
    )


@lru_cache(maxsize=2)
def dirt_network(device: str) -> nn.Module:
    """The trained network on a device.

    raises: ModelRefused where the weights are missing or are not those the program was made with.
    """
    try:
        data = WEIGHTS.read_bytes()
    except OSError as error:
        raise ModelRefused(
            f"the dirt network's weights cannot be read: {error}",
            hint='install the package again, or set restore.dirt.detector = "rules"',
        ) from error
    found = hashlib.sha256(data).hexdigest()
    if found != WEIGHTS_SHA256:
        raise ModelRefused(
            f"the dirt network's weights have SHA-256 {found}, not {WEIGHTS_SHA256}",
            hint='install the package again, or set restore.dirt.detector = "rules"',
        )
    network = DirtNet()
    network.load_state_dict(load(data))
    return network.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


@lru_cache(maxsize=1)
def dirt_card() -> Mapping[str, str]:
    """What the network is for, its licence and what it was trained on, as reports say it."""
    table = tomllib.loads(WEIGHTS.with_suffix(".toml").read_text("utf-8"))
    words = {k: str(v) for k, v in table.items() if k != "schema"}
    return {**words, "weights_sha256": WEIGHTS_SHA256}


def probability(network: nn.Module, given: Tensor, *, half: bool = False) -> Tensor:
    """(H, W) how likely each pixel is dirt, from the (PLANES, H, W) evidence on one frame."""
    h, w = given.shape[-2:]
    pad = (0, -w % MULTIPLE_PX, 0, -h % MULTIPLE_PX)
    padded = F.pad(given[None], pad, mode="replicate")
    padded = padded.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode(), torch.autocast(given.device.type, torch.bfloat16, enabled=half):
        odds = network(padded)
    return torch.sigmoid(odds.float())[0, :h, :w].clone()
