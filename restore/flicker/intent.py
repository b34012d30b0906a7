"""Tell flicker from light that was meant to change: fades, clouds, flashes, practicals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from media.frames import FrameRange
from restore.flicker.field import TONES
from restore.flicker.joint import Effects
from restore.flicker.lights import restless_surface
from restore.smoothing import Curve, smooth_part

_CERTAIN = 2.0
"""Times its own error: smaller contrast, bend and surfaces are left alone."""
_SEEN = 0.03
"""Share of the picture that must be usable for a frame to be corrected."""
_AROUND_FRAMES = 5
_FLASH_FRAMES = 3
_STANDS_OUT = 5.0
_LIGHT = 0.5
"""Of a flash: a light that passes over a part of the picture is taken for one from here on."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Which frames may be corrected."""

    weights: Curve
    """(n,) 1 where a frame may be corrected, else 0."""
    flashes: tuple[int, ...]
    """Frame numbers taken for an intended flash."""
    unseen: tuple[int, ...]
    """Frame numbers of which too little is usable."""


@dataclass(frozen=True, slots=True)
class Flicker:
    """What each frame has too much of, in stops; nothing in frames that are not trusted."""

    tones: Curve
    """(n, TONES)."""
    surface: Curve
    """(n, shapes)."""

    def rms(self) -> float:
        """Stops, over frames and places; a bend counts like contrast one stop off the pivot."""
        power = np.square(self.tones).mean(axis=0).sum() + np.square(self.surface).mean(0).sum()
        return float(np.sqrt(power))


def trust_in(level: Curve, seen: Curve, frames: FrameRange, flash_stops: float) -> Trust:
    """level: (n,) stops. seen: (n,) usable share of each frame."""
    n = len(level)
    reach = _AROUND_FRAMES
    around = [np.median(level[max(0, t - reach) : min(n, t + reach + 1)]) for t in range(n)]
    off = np.abs(level - np.array(around))
    # Where light flickers wildly, a flash must stand out from that too.
    odd = off > max(flash_stops, _STANDS_OUT * 1.4826 * float(np.median(off)))
    # Longer than three frames is a change of light, and the smooth part follows that itself.
    flash = np.zeros(n, bool)
    start = 0
    for t in range(n + 1):
        if t < n and odd[t]:
            continue
        if 0 < t - start <= _FLASH_FRAMES:
            flash[start:t] = True
        start = t + 1
    dark = seen < _SEEN
    return Trust(
        weights=np.where(flash | dark, 0.0, 1.0),
        flashes=_numbers(flash & ~dark, frames),
        unseen=_numbers(dark, frames),
    )


def _numbers(chosen: NDArray[np.bool_], frames: FrameRange) -> tuple[int, ...]:
    return tuple(int(t) + frames.start for t in np.flatnonzero(chosen))


def flicker_of(
    effects: Effects, trust: Trust, grid: tuple[int, int], flash_stops: float
) -> Flicker:
    """The part of each effect that does not change smoothly, where it is certain enough."""
    exposure = _restless(effects.tones[:, :1], trust.weights)
    tones = np.concatenate([exposure, np.zeros((len(exposure), TONES - 1))], axis=1)
    for k in range(1, TONES):
        part = _restless(effects.tones[:, k : k + 1], trust.weights)
        if _rms(part) > _CERTAIN * effects.error[k]:
            tones[:, k] = part[:, 0]
    surface = np.zeros_like(effects.surface)
    if surface.shape[1]:
        part = restless_surface(effects.surface, trust.weights, grid, _LIGHT * flash_stops)
        if _rms(part) > _CERTAIN * float(np.sqrt(np.square(effects.error[TONES:]).mean())):
            surface = part
    return Flicker(tones, surface)


def _restless(curves: Curve, trust: Curve) -> Curve:
    """(n, k) curves without their smooth part, mean zero over trusted frames, zero elsewhere."""
    rest = curves - smooth_part(curves, trust)
    rest -= np.average(rest, axis=0, weights=trust)
    rest[trust == 0.0] = 0.0
    return rest


def _rms(curves: Curve) -> float:
    return float(np.sqrt(np.square(curves).mean()))
