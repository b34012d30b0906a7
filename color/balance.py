"""A careful balance of one shot on its own: black, white and grey where they belong.

For shots that nothing else speaks for. Grey-world fails on a green field, so only colors that
look neutral once the overall cast is off take part, and the answer is shrunk strongly towards
doing nothing. One slope for all channels, so it always composes with a match.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from color.candidates import candidates
from color.cdl import CDL, PRINTER_POINT_LOG, compose, triple
from color.records import ShotColor, protection

__all__ = ["BalanceOptions", "balance_shot", "compose"]

F64 = NDArray[np.float64]

_PIVOT_LOG = 0.4
_GREY_REACH_LOG = 0.02
"""Chroma this close to the cast is grey: about 1.6 printer points."""
_MIN_SAMPLES = 64
_NO_GREY = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceOptions:
    """How far a balance may go, and how much of the measured error it takes off."""

    offset_limit_points: float = 6.0
    slope_limits: tuple[float, float] = (0.8, 1.25)
    cast_share: float = 0.5
    exposure_share: float = 0.3
    contrast_share: float = 0.3
    middle_log: tuple[float, float] = (0.34, 0.50)
    """Medians in here are left alone: a low-key scene is not an error."""
    range_log: tuple[float, float] = (0.30, 0.56)
    """1 % to 99 % tonal ranges in here are left alone."""
    min_confidence: float = 0.3


def balance_shot(
    evidence: Mapping[str, object], options: BalanceOptions | None = None
) -> ShotColor:
    """A proposal for one shot from the evidence of ``ColorProbe.finish``.

    Power and saturation stay 1. Identity with the reason when the shot is protected, could not
    be measured, or too few colors agree on what is grey.
    """
    options = options or BalanceOptions()
    why = protection(evidence, "balance")
    if why is not None:
        return ShotColor(confidence=1.0, reason=f"protected: {why}")
    samples = np.asarray(evidence.get("samples_log", np.zeros((0, 3))), dtype=np.float64)
    quantiles = evidence.get("quantiles_log")
    if len(samples) < _MIN_SAMPLES or quantiles is None:
        return ShotColor(reason="too little of the picture can be measured")
    cast, confidence, cast_std = _cast(samples)
    if confidence < options.min_confidence:
        text = f"{confidence:.2f} is below {options.min_confidence:.2f}"
        return ShotColor(
            confidence=confidence, reason=f"left as it is: no clear grey, confidence {text}"
        )
    q = np.asarray(quantiles, dtype=np.float64).mean(axis=0)
    span = float(q[-1] - q[0])
    low, high = options.range_log
    ratio = np.clip(span, low, high) / max(span, 1e-3)
    slope = float(np.clip(ratio**options.contrast_share, *options.slope_limits))
    middle = float(q[3]) * slope + (1.0 - slope) * _PIVOT_LOG
    exposure = options.exposure_share * (float(np.clip(middle, *options.middle_log)) - middle)
    # Less sure, less done.
    shift = exposure - options.cast_share * confidence * cast
    limit = options.offset_limit_points * PRINTER_POINT_LOG
    offset = np.clip(shift + (1.0 - slope) * _PIVOT_LOG, -limit, limit)
    small = np.abs(shift).max() < 0.25 * PRINTER_POINT_LOG and abs(slope - 1.0) < 0.01
    if small:
        return ShotColor(confidence=confidence, reason="balanced already")
    std = options.cast_share * cast_std
    return ShotColor(
        cdl=CDL((slope, slope, slope), triple(offset)),
        confidence=confidence,
        offset_std=(std, std, std),
        reason=f"greys are {_words(cast)} off neutral, middle at {float(q[3]):.2f} film log",
    )


def _cast(samples: F64) -> tuple[F64, float, float]:
    """Cast (3,) relative to luma, how sure (0..1), and its standard deviation; film log."""
    luma = samples.mean(axis=1)
    low, high = np.quantile(luma, (0.2, 0.85))
    # What is likely skin or sky is no grey, however much of it there is.
    kinds = candidates(samples)
    grey = np.maximum(kinds.skin, kinds.sky) < _NO_GREY
    if grey.mean() < 0.2:
        grey[:] = True
    chroma = (samples - luma[:, None])[(luma >= low) & (luma <= high) & grey]
    # The densest chroma near the overall cast: start at the median, then a mean shift.
    center = np.median(chroma, axis=0)
    near = np.ones(len(chroma), dtype=np.bool_)
    for reach in (0.08, 0.05, 0.03, _GREY_REACH_LOG, _GREY_REACH_LOG):
        near = np.linalg.norm(chroma - center, axis=1) < reach
        if not near.any():
            return np.zeros(3), 0.0, 0.0
        center = chroma[near].mean(axis=0)
    share = float(near.mean())
    tight = float(np.linalg.norm(chroma[near].std(axis=0)))
    confidence = float(np.clip((share - 0.05) / 0.4, 0.0, 1.0))
    # A cast no scan has is content (a forest, a sunset), not an error.
    confidence *= float(np.clip((0.12 - np.abs(center).max()) / 0.07, 0.0, 1.0))
    return np.asarray(center), confidence, tight


def _words(cast: F64) -> str:
    points = cast / PRINTER_POINT_LOG
    return (
        ", ".join(f"{n} {p:+.1f}" for n, p in zip(("red", "green", "blue"), points, strict=True))
        + " points"
    )
