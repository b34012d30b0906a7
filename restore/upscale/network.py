"""Enlargement by a learned model: labelled as invented, locked to the scan's own color."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from media.encoding import Domain
from media.passes import Effect, Needs, Window
from restore.models.card import ModelCard
from restore.upscale.resample import enlarge, enlarged, reduce


@dataclass(frozen=True, eq=False)
class NetworkUpscale:
    """Runs a super-resolution network and keeps its low frequencies equal to the scan's.

    The network sees display-referred RGB in fp32. Whatever it paints, reducing the result
    gives back the scan (one back-projection): no color shift, no change of brightness.
    """

    network: nn.Module
    card: ModelCard

    name = "upscale"
    version = 1
    radius = 0
    domain = Domain.DISPLAY
    effect = Effect.INVENTED

    @property
    def scale(self) -> int:
        """As the card says."""
        return self.card.scale

    @property
    def needs(self) -> Needs:
        """The network's receptive field and the color lock's."""
        return Needs(reach_px=self.card.reach_px + 4)

    def key(self, frames: Sequence[int]) -> Mapping[str, object]:
        """Weights by digest; the path they came from does not matter."""
        del frames
        return {
            "weights_sha256": self.card.sha256,
            "arch": self.card.arch,
            "scale": self.card.scale,
        }

    def __call__(self, window: Window) -> Window:
        """(T, 3, H, W) to (T, 3, H*scale, W*scale)."""
        device = window.pixels.device
        network = self.network.to(device)
        with torch.inference_mode():
            frames = [self._enlarge(network, p.unsqueeze(0)) for p in window.pixels]
        return enlarged(window, torch.cat(frames).clone(), self.scale, self.effect)

    def _enlarge(self, network: nn.Module, pixels: Tensor) -> Tensor:
        rgb = pixels if pixels.shape[1] == 3 else pixels.expand(-1, 3, -1, -1)
        large: Tensor = network(rgb)
        if pixels.shape[1] == 1:
            large = large.mean(dim=1, keepdim=True)
        return large + enlarge(pixels - reduce(large, self.scale), self.scale)
