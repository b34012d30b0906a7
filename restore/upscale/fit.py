"""The last step to a size that no whole enlargement makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from media.encoding import Domain
from media.passes import Effect, Needs, Window
from restore.upscale.fitting import fit, strongest


@dataclass(frozen=True)
class FitOperator:
    """Brings pictures to a stated size by one resample, in film log as they were enlarged.

    Lanczos-3 whose footprint grows with the reduction, so nothing aliases (Turkowski 1990). What
    the enlargement held to the scan's range stays in it; a pixel bears the strongest of the marks
    it covers.
    """

    size_px: tuple[int, int]
    """Height and width of the result."""

    name = "fit"
    version = 1
    radius = 0
    domain = Domain.LOG_DENSITY
    scale = 0
    effect = Effect.ADJUSTED
    needs = Needs(reach_px=-1)

    def key(self, frames: Sequence[int]) -> Mapping[str, object]:
        """The size, the same for every frame."""
        del frames
        return {"size_px": list(self.size_px)}

    def __call__(self, window: Window) -> Window:
        """(T, C, H, W) of whole frames to (T, C, *size_px)."""
        return replace(
            window,
            pixels=fit(window.pixels, self.size_px),
            touch=strongest(window.touch, self.size_px).clamp_min(int(self.effect)),
            marks=None,
            memos=(),
            origin_px=(0, 0),
            size_px=self.size_px,
        )
