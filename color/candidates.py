"""Which colors of a shot are likely skin, sky or something neutral, softly.

Chroma in film log, relative to green: a ratio of light, whatever the exposure. Skin of every
tone lies along one hue from yellowish to pinkish (the vectorscope's I line); clear sky is blue,
light and even. These are candidates with weights, nothing is decided by them alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

_SKIN = ((0.075, 0.045), (-0.055, 0.040))
"""Center and width of red minus green, and of blue minus green."""
_SKIN_LUMA_LOG = (0.26, 0.60)
_SKY = ((-0.05, 0.05), (0.07, 0.05))
_SKY_LUMA_LOG = (0.42, 0.70)
_NEUTRAL_WIDTH_LOG = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Weights 0..1 of each color."""

    skin: F64
    sky: F64
    neutral: F64

    def as_dict(self, colors: F64) -> dict[str, object]:
        """JSON values: share of the picture and mean color of each kind, film log."""
        out: dict[str, object] = {}
        for name, weight in (("skin", self.skin), ("sky", self.sky), ("neutral", self.neutral)):
            total = float(weight.sum())
            mean = (weight @ colors / total).round(5).tolist() if total > 1.0 else None
            out[name] = {"share": round(total / max(len(colors), 1), 4), "mean_log": mean}
        return out


def candidates(colors: F64, cast_log: tuple[float, float] = (0.0, 0.0)) -> Candidates:
    """colors: (N, 3) film log. cast_log: red and blue minus green of what passes for neutral."""
    luma = colors.mean(axis=1)
    red = colors[:, 0] - colors[:, 1] - cast_log[0]
    blue = colors[:, 2] - colors[:, 1] - cast_log[1]

    def near(value: F64, center: float, width: float) -> F64:
        return np.asarray(np.exp(-0.5 * ((value - center) / width) ** 2))

    def inside(low: float, high: float) -> F64:
        away = np.maximum(low - luma, luma - high)
        return np.asarray(np.clip(1.0 - away / 0.05, 0.0, 1.0))

    skin = near(red, *_SKIN[0]) * near(blue, *_SKIN[1]) * inside(*_SKIN_LUMA_LOG)
    sky = near(red, *_SKY[0]) * near(blue, *_SKY[1]) * inside(*_SKY_LUMA_LOG)
    neutral = near(np.hypot(red, blue), 0.0, _NEUTRAL_WIDTH_LOG)
    return Candidates(skin=skin, sky=sky * (1.0 - neutral), neutral=neutral)
