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

from color.cdl import LAD_LOG
from color.lad import even_patches, steps_in_a_row
from color.protect import RULES

F64 = NDArray[np.float64]

ONE_DYE_LOG = 0.009
"""Chroma spread below this is one dye recipe plus grain; a grey street has a little more."""
FAR_LOG = 0.03
FAR_SHARE = 0.002
"""One red coat in a grey street is enough: that much of the picture this far off the curve is
color, since grain has no such tail."""
NEUTRAL_CAST_LOG = 0.02
BLACK_LUMA_LOG = 0.105
"""Just above code 95 (film base of a negative, black of video) in film log."""
_FLAT_RANGE_LOG = 0.03
_TWO_DYES_LOG = 0.05
_LEAST_PATCHES, _LEAST_STEPS = 5, 3
_STROKES = 3.0
_LOW_MIDDLE_LOG, _LOW_HIGH_LOG = 0.26, 0.50


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """One finding about a shot."""

    name: str
    """One of ``color.protect.RULES``."""
    confidence: float
    """0..1."""
    reason: str

    def as_dict(self) -> dict[str, object]:
        """JSON values."""
        return {
            "name": self.name,
            "confidence": round(self.confidence, 3),
            "reason": self.reason,
            "protects": list(RULES[self.name].protects),
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
    dark_log: tuple[float, float]
    """The same where the curve passes the darkest twentieth."""
    light_log: tuple[float, float]
    """The same where it passes the lightest."""


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
    ends = np.quantile(luma, (0.05, 0.95))
    dark, light = np.stack([np.ones(2), ends, ends**2], axis=1) @ fit
    return ChromaCurve(
        spread_log=float(np.quantile(distance, 0.9)),
        far_share=float((distance > FAR_LOG).mean()),
        cast_log=(float(red), float(blue)),
        dark_log=(float(dark[0]), float(dark[1])),
        light_log=(float(light[0]), float(light[1])),
    )


def single_channel_flag() -> Flag:
    """A reel scanned as one channel has no color to match."""
    return Flag(name="monochrome", confidence=1.0, reason="the scan has one channel")


def color_flags(curve: ChromaCurve) -> list[Flag]:
    """Monochrome or tinted, or nothing."""
    if curve.spread_log >= ONE_DYE_LOG or curve.far_share > FAR_SHARE:
        return []
    confidence = 0.5 + 0.5 * (1.0 - curve.spread_log / ONE_DYE_LOG)
    dark, light = _strength(curve.dark_log), _strength(curve.light_log)
    if max(dark, light, _strength(curve.cast_log)) < NEUTRAL_CAST_LOG:
        reason = "all densities are neutral"
        return [Flag(name="monochrome", confidence=confidence, reason=reason)]
    one = "one hue follows density in the whole picture"
    # A dyed base colors the lights; a toned silver image colors the darks and leaves the base.
    if light < NEUTRAL_CAST_LOG or dark > 2.0 * light:
        return [Flag(name="toned", confidence=confidence, reason=f"{one}, lights stay clear")]
    apart = _strength(
        (curve.light_log[0] - curve.dark_log[0], curve.light_log[1] - curve.dark_log[1])
    )
    found = [Flag(name="tinted", confidence=confidence, reason=f"{one}, lights too")]
    if apart > _TWO_DYES_LOG:
        found.append(
            Flag(name="toned", confidence=confidence, reason="darks have another hue than lights")
        )
    return found


def _strength(cast: tuple[float, float]) -> float:
    """Largest difference between two channels of a cast given against green."""
    return max(abs(cast[0]), abs(cast[1]), abs(cast[0] - cast[1]))


def low_key_flag(quantiles: F64, cast_log: tuple[float, float]) -> Flag | None:
    """A dark picture that never gets light; blue besides is day for night.

    quantiles: (3, 7) film log at ``records.QUANTILES``.
    """
    middle, high = float(quantiles[:, 3].mean()), float(quantiles[:, 6].mean())
    darker = min((_LOW_MIDDLE_LOG - middle) / 0.06, (_LOW_HIGH_LOG - high) / 0.08)
    if darker <= 0.0:
        return None
    blue = cast_log[1] - max(0.0, cast_log[0])
    reason = f"dark throughout, 99 % below {high:.2f} film log"
    if blue > 0.02:
        return Flag(
            name="day_for_night",
            confidence=_share(0.6 + 0.4 * darker),
            reason=reason + ", and blue",
        )
    return Flag(name="day_for_night", confidence=_share(0.4 + 0.3 * darker), reason=reason)


def _share(value: float) -> float:
    return float(np.clip(value, 0.0, 1.0))


def lad_flag(log: F64, even: F64, frame_change_log: float | None) -> Flag | None:
    """A laboratory aim frame: even rectangles, one of them near code 445 in all channels.

    log: (rows, columns, 3) block means, film log. even: (rows, columns) deviation inside them.
    Source: Kodak H-387 (LAD), ST 268 code values.
    """
    if log.size == 0 or (frame_change_log is not None and frame_change_log > 0.01):
        return None
    patches = even_patches(log, even)
    if len(patches) < _LEAST_PATCHES:
        return None
    colors, sizes = np.array([p.log for p in patches]), np.array([p.blocks for p in patches])
    neutral = np.ptp(colors, axis=1) < 0.03
    near = neutral & (np.abs(colors.mean(axis=1) - LAD_LOG) < 0.03)
    steps = steps_in_a_row([p for p, is_grey in zip(patches, neutral, strict=True) if is_grey])
    saturated = int((np.ptp(colors, axis=1) > 0.08).sum())
    share = float(sizes[near].sum()) / even.size
    # A chart has a row of grey steps and color bars; a wall has neither.
    if steps < _LEAST_STEPS or saturated < 2 or not 0.01 < share < 0.5:
        return None
    r, g, b = (round(float(v) * 1023.0) for v in colors[near][sizes[near].argmax()])
    return Flag(
        name="lad",
        confidence=_share(0.5 + 0.05 * len(patches)),
        reason=f"{len(patches)} even patches, the middle grey reads {r} {g} {b} (aim 445)",
    )


def tone_flags(luma: F64, frame_change_log: float | None, picture: F64 | None = None) -> list[Flag]:
    """Black, leader and intertitle, from all pixels inside the border.

    luma: (N,) film log of one or more frames. frame_change_log: largest mean difference between
    sampled frames, None when only one frame was seen. picture: (H, W) luma of one frame.
    """
    low, median, high = np.quantile(luma, (0.01, 0.5, 0.99))
    if high < BLACK_LUMA_LOG:
        return [Flag(name="black", confidence=1.0, reason="nothing rises above black")]
    if high - low < _FLAT_RANGE_LOG:
        reason = f"one even field at {median:.2f} film log (leader or slug)"
        return [Flag(name="leader", confidence=0.9, reason=reason)]
    title = _title(luma, frame_change_log, picture)
    return [] if title is None else [title]


def _title(luma: F64, frame_change_log: float | None, picture: F64 | None) -> Flag | None:
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
    if picture is not None:
        # Letters are many strokes on a line; a car or a face is one shape.
        lit = (picture > edges[cut + 1]).astype(np.int8)
        strokes = (np.diff(lit, axis=1) > 0).sum(axis=1)
        lines = strokes[strokes > 0]
        if len(lines) == 0 or float(np.quantile(lines, 0.75)) < _STROKES:
            return None
    confidence = 0.9 if frame_change_log is not None else 0.6
    return Flag(
        name="intertitle",
        confidence=confidence,
        reason="bright shapes stand still on an even dark ground (lettering)",
    )
