"""Everything that happens to the color of a shot: unfading of its reel, then its CDL."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from color.cdl import CDL, IDENTITY, apply_cdl
from color.fade import Unfading
from color.fit import fit_cdl

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotTransform:
    """Film log to film log, unclamped."""

    unfading: Unfading | None = None
    """None, or what undoes the fading of the reel; it comes first."""
    cdl: CDL = IDENTITY

    @property
    def is_cdl(self) -> bool:
        """True when the CDL says it all."""
        return self.unfading is None

    def is_identity(self) -> bool:
        """True when nothing moves."""
        return self.unfading is None and self.cdl.is_identity()

    def apply(self, values: F64) -> F64:
        """(..., 3) film log in and out, float64."""
        values = np.asarray(values, dtype=np.float64)
        unfaded = values if self.unfading is None else self.unfading.apply(values)
        return apply_cdl(unfaded, self.cdl, clamp=False)

    def nearest_cdl(self, colors: F64) -> CDL:
        """The CDL itself, or the one closest to the whole for hosts that take nothing else.

        colors: (N, 3) film log of the shot, what it should be close on.
        """
        if self.is_cdl:
            return self.cdl
        return fit_cdl(colors, self.apply(colors)).cdl.rounded()
