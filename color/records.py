"""What passes between measuring, linking, solving and reporting: plain records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from color.cdl import CDL, IDENTITY, Triple
from color.protect import is_sure, switched_off

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Link:
    """Two shots that show the same things, and the colors of those things in each.

    ``a`` sorts before ``b``, so a link reads the same whatever order shots came in.
    """

    a: str
    b: str
    x: NDArray[np.float64]
    """(N, 3) film log in shot ``a``, unclipped."""
    y: NDArray[np.float64]
    """(N, 3) film log of the same things in shot ``b``."""
    inliers: int
    """Matches that agree with one geometry, before clipped colors were taken out."""
    confidence: float
    """0..1: how likely the two shots truly show the same thing."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShotInput:
    """A shot as the solver sees it."""

    id: str
    reel: str
    quantiles_log: NDArray[np.float64] | None = None
    """(3, 7) film log per channel at ``QUANTILES``; None when nothing could be measured."""
    chroma_spread_log: float = 0.0
    """How far colors spread around the shot's own tone curve, film log."""
    samples_log: NDArray[np.floating] | None = None
    """(N, 3) film log block means; None when nothing could be measured."""
    place: int | None = None
    """Which shot of its reel it is, counting all of them; None where that is not known."""
    low_key: bool = False
    """Dark on purpose (night, day for night), with confidence."""
    scene: str | None = None
    """The scene a person put it into."""
    protected: str | None = None
    """Why the shot must not be matched, in words; None when it may be."""
    fixed: CDL | None = None
    """A decision a person made; kept as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotColor:
    """The decision for one shot."""

    cdl: CDL = IDENTITY
    confidence: float = 0.0
    """0..1; 1 for decisions a person made and for anchors."""
    slope_std: Triple = (0.0, 0.0, 0.0)
    offset_std: Triple = (0.0, 0.0, 0.0)
    """Standard deviations, film log for the offset; 0 where nothing was estimated."""
    power_std: Triple = (0.0, 0.0, 0.0)
    saturation_std: float = 0.0
    limited: bool = False
    """Cut back to the allowed limits."""
    reason: str = ""
    links: tuple[str, ...] = field(default=())
    """The shots this one was compared with, sorted."""
    tied: tuple[str, ...] = field(default=())
    """Those and the shots whose tones draw it, of its scene or beside it; sorted."""

    def as_dict(self) -> dict[str, object]:
        """JSON values."""
        return {
            "slope": list(self.cdl.slope),
            "offset": list(self.cdl.offset),
            "power": list(self.cdl.power),
            "saturation": self.cdl.saturation,
            "confidence": self.confidence,
            "slope_std": list(self.slope_std),
            "offset_std": list(self.offset_std),
            "power_std": list(self.power_std),
            "saturation_std": self.saturation_std,
            "reason": self.reason,
            "links": list(self.links),
        }


def protection(evidence: Mapping[str, object], what: str) -> str | None:
    """Why ``what`` (``match`` or ``balance``) is switched off for a shot, or None.

    evidence: the result of ``ColorProbe.finish`` (``color.stats``).
    """
    return switched_off(evidence.get("flags", []), what)


def shot_input(
    shot: str,
    reel: str,
    evidence: Mapping[str, object],
    *,
    fixed: CDL | None = None,
    scene: str | None = None,
    place: int | None = None,
) -> ShotInput:
    """A solver input from the evidence ``ColorProbe.finish`` gave for a shot."""
    quantiles = evidence.get("quantiles_log")
    spread = evidence.get("chroma_spread_log", 0.0)
    samples = evidence.get("samples_log")
    return ShotInput(
        id=shot,
        reel=reel,
        quantiles_log=None if quantiles is None else np.asarray(quantiles, dtype=np.float64),
        chroma_spread_log=float(spread) if isinstance(spread, int | float) else 0.0,
        protected=protection(evidence, "match"),
        fixed=fixed,
        scene=scene,
        samples_log=None if samples is None else np.asarray(samples),
        place=place,
        low_key=is_sure(evidence.get("flags", []), "day_for_night"),
    )
