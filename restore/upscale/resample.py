"""Lanczos enlargement made consistent with the scan by back-projection, no weights needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from media.encoding import Domain
from media.passes import Effect, Needs, Window
from restore.upscale.bounds import bounded, extremes, repeated
from restore.upscale.kernels import Kernel, reach_px
from restore.upscale.sampling import EDGE_REACH_PX, along_edges, enlarge, reduce

__all__ = ["ResampleUpscale", "enlarge", "enlarged", "enlarged_alone", "reduce"]

EDGES = 0.3
"""Step along the edges in each round: 0.5 is where it would overshoot."""


@dataclass(frozen=True)
class ResampleUpscale:
    """Lanczos, then a few rounds that put back what reducing the result would have lost.

    Between the rounds stairs on slanted edges are smoothed along the edge. Sources: Irani and
    Peleg 1991 (back-projection), Weickert 1999 (diffusion along edges).
    """

    scale: int
    rounds: int = 4
    ringing: float = 0.01
    """Overshoot allowed beyond the local range of the scan, film log."""
    kernel: Kernel = "mixed"

    name = "upscale"
    version = 2
    radius = 0
    domain = Domain.LOG_DENSITY
    effect = Effect.ADJUSTED

    @property
    def needs(self) -> Needs:
        """Kernel support of every round, in source pixels."""
        once = 2 * reach_px(self.kernel) + -(-EDGE_REACH_PX // self.scale) + 1
        return Needs(reach_px=once * (self.rounds + 1))

    def key(self, frames: Sequence[int]) -> Mapping[str, object]:
        """The same for every frame."""
        del frames
        return {
            "scale": self.scale,
            "rounds": self.rounds,
            "ringing": self.ringing,
            "kernel": self.kernel,
        }

    def __call__(self, window: Window) -> Window:
        """(T, C, H, W) to (T, C, H*scale, W*scale)."""
        source, scale = window.pixels, self.scale
        large = enlarged_alone(source, scale, self.kernel, self.rounds)
        if self.kernel == "area":
            # The only kernel whose pixels do not overlap: what is left over goes back exactly.
            large = large + repeated(source - reduce(large, scale), scale)
        low, high = extremes(source, self.ringing)
        return enlarged(window, bounded(large, low, high, scale), scale, self.effect)


def enlarged_alone(pixels: Tensor, scale: int, kernel: Kernel, rounds: int) -> Tensor:
    """(T, C, H, W) to (T, C, H*scale, W*scale) from each frame by itself; may overshoot."""
    large = enlarge(pixels, scale)
    for _ in range(rounds):
        large = along_edges(large, EDGES)
        large = large + enlarge(pixels - reduce(large, scale, kernel), scale)
    return large


def enlarged(window: Window, pixels: Tensor, scale: int, effect: Effect) -> Window:
    """The window at its new size; every pixel carries at least ``effect``."""
    return replace(
        window,
        pixels=pixels,
        touch=repeated(window.touch, scale).clamp_min(int(effect)),
        origin_px=(window.origin_px[0] * scale, window.origin_px[1] * scale),
        size_px=(window.size_px[0] * scale, window.size_px[1] * scale),
    )
