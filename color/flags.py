"""What a shot is, as far as its colors tell, and what that switches off.

Monochrome, tinted and toned pictures carry one dye recipe: their chroma is a function of
density alone, whatever they show. A faded color picture has a cast too, but things of equal
density still differ in hue. That difference, measured around the shot's own tone curve, is
what separates the two; the strength of the cast says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

ONE_DYE_LOG = 0.012
"""Chroma spread below this (one printer point) is one dye recipe plus grain."""
FAR_LOG = 0.03
FAR_SHARE = 0.002
"""One red coat in a grey street is enough: that much of the picture this far off the curve is
color, since grain has no such tail."""
NEUTRAL_CAST_LOG = 0.02
BLACK_LUMA_LOG = 0.105
"""Just above code 95 (film base of a negative, black of video) in film log."""
_FLAT_RANGE_LOG = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """One finding about a shot."""

    name: str
    """``monochrome``, ``tinted``, ``black``, ``flat`` or ``title``."""
    confidence: float
    """0..1."""
    reason: str
    protects: tuple[str, ...] = ("match", "balance")
    """What it switches off."""

    def as_dict(self) -> dict[str, object]:
        """JSON values."""
        return {
            "name": self.name,
            "confidence": round(self.confidence, 3),
            "reason": self.reason,
            "protects": list(self.protects),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ChromaCurve:
    """Chroma as a function of density, and what is left around it."""

    spread_log: float
    """90th percentile distance of chroma from the curve; film log."""
    far_share: float
    """Share of colors further than ``FAR_LOG`` from the curve."""
    cast_log: tuple[float, float]
    """Median of red minus green and blue minus green; film log."""


def chroma_curve(colors: F64) -> ChromaCurve:
    """Fit (red-green, blue-green) as a parabola over density. colors: (N, 3) film log, N >= 8.

    Two rounds: the second leaves out the worst tenth, so a stray object or a splice does not
    bend the curve.
    """
    chroma = colors[:, [0, 2]] - colors[:, 1:2]
    luma = colors.mean(axis=1)
    base = np.stack([np.ones_like(luma), luma, luma**2], axis=1)
    keep = np.ones(len(luma), dtype=np.bool_)
    distance = np.zeros_like(luma)
    for _ in range(2):
        fit = np.linalg.lstsq(base[keep], chroma[keep], rcond=None)[0]
        distance = np.hypot(*(chroma - base @ fit).T)
        keep = distance <= np.quantile(distance, 0.9)
    red, blue = np.median(chroma, axis=0)
    return ChromaCurve(
        spread_log=float(np.quantile(distance, 0.9)),
        far_share=float((distance > FAR_LOG).mean()),
        cast_log=(float(red), float(blue)),
    )


def single_channel_flag() -> Flag:
    """A reel scanned as one channel has no color to match."""
    return Flag(name="monochrome", confidence=1.0, reason="the scan has one channel")


def color_flags(curve: ChromaCurve) -> list[Flag]:
    """Monochrome or tinted, or nothing."""
    if curve.spread_log >= ONE_DYE_LOG or curve.far_share > FAR_SHARE:
        return []
    confidence = 0.5 + 0.5 * (1.0 - curve.spread_log / ONE_DYE_LOG)
    cast = max(abs(v) for v in (*curve.cast_log, curve.cast_log[0] - curve.cast_log[1]))
    if cast < NEUTRAL_CAST_LOG:
        reason = "all densities are neutral"
        return [Flag(name="monochrome", confidence=confidence, reason=reason)]
    reason = "one hue follows density in the whole picture (tinting or toning)"
    return [Flag(name="tinted", confidence=confidence, reason=reason)]


def tone_flags(luma: F64, frame_change_log: float | None) -> list[Flag]:
    """Black, flat (leader) and title, from all pixels inside the border.

    luma: (N,) film log of one or more frames. frame_change_log: largest mean difference between
    sampled frames, None when only one frame was seen.
    """
    low, median, high = np.quantile(luma, (0.01, 0.5, 0.99))
    if high < BLACK_LUMA_LOG:
        return [Flag(name="black", confidence=1.0, reason="nothing rises above black")]
    if high - low < _FLAT_RANGE_LOG:
        reason = f"one even field at {median:.2f} film log (leader or slug)"
        return [Flag(name="flat", confidence=0.9, reason=reason)]
    title = _title(luma, frame_change_log)
    return [] if title is None else [title]


def _title(luma: F64, frame_change_log: float | None) -> Flag | None:
    counts, edges = np.histogram(luma, bins=64)
    centers = (edges[:-1] + edges[1:]) / 2.0
    share = counts / counts.sum()
    # Otsu 1979: the split with the largest variance between the two sides.
    weight = np.cumsum(share)[:-1]
    mean = np.cumsum(share * centers)[:-1]
    total = float((share * centers).sum())
    spread = weight * (1.0 - weight)
    between = np.where(spread > 0.0, (total * weight - mean) ** 2 / np.maximum(spread, 1e-12), 0.0)
    cut = int(between.argmax())
    variance = float((share * (centers - total) ** 2).sum())
    separable = float(between[cut]) / max(variance, 1e-12)
    dark, bright = luma[luma <= edges[cut + 1]], luma[luma > edges[cut + 1]]
    if len(dark) < 0.55 * len(luma) or len(bright) < 0.004 * len(luma):
        return None
    distance = float(np.median(bright) - np.median(dark))
    even = float(np.quantile(dark, 0.95) - np.quantile(dark, 0.05))
    if separable < 0.85 or distance < 0.18 or even > 0.06:
        return None
    if frame_change_log is not None and frame_change_log > 0.012:
        return None
    confidence = 0.9 if frame_change_log is not None else 0.6
    return Flag(
        name="title",
        confidence=confidence,
        reason="bright shapes stand still on an even dark ground (lettering)",
    )
