"""What to add to each frame of a shot so that its light no longer flickers.

The joint solve (``joint``) says what each frame did, ``intent`` what of it was meant. All
channels together are solved first, then how each channel differs from that. The correction has
zero mean over the shot, because the level of a shot belongs to the color balance.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, replace
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from media.encoding import STOP
from media.frames import FrameRange, counted
from restore.flicker.field import CLASSES, NODES, TONES, Curve, place_shapes, tone_shapes
from restore.flicker.intent import Flicker, Trust, flicker_of, trust_in
from restore.flicker.joint import Effects, Measured, solve_effects
from restore.flicker.measure import DEAD, GRID

_CHANNEL_SHAPES = CLASSES[1]
"""Channels differ from each other by the smoothest surfaces only."""
_MOST_CONTRAST, _MOST_BEND = 0.4, 0.08
"""Limits that keep the corrected tone rising with the tone it comes from."""
_LEAST_PICTURE = 0.1
"""Share of the picture that must be usable in the middle frame by that measure."""
_LEAST_FRAMES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class FlickerOptions:
    """When and how strongly flicker is corrected."""

    local: bool = True
    """Also correct exposure that changes unevenly over the frame."""
    per_channel: bool = True
    """Correct each channel by its own curve (color breathing)."""
    tones: bool = True
    """Also correct contrast that changes (gamma-like flicker)."""
    limit_stops: float = 1.0
    """No correction of exposure is ever larger, by frame or by place."""
    flash_stops: float = 0.6
    """A deviation at least this large on up to three frames is a flash: kept."""
    floor_stops: float = 0.004
    """Flicker below this rms is under the accuracy of the measurement: left alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlickerSolution:
    """Correction of a shot in log2 units (stops), to be added."""

    exposure_stops: Curve
    """(n, C) correction of the whole frame."""
    contrast: Curve
    """(n, C) stops for each stop that a tone lies above the pivot."""
    bend: Curve
    """(n, C) stops times (square of the stops above the pivot, less one)."""
    pivot: float
    """Film log."""
    grid_stops: Curve
    """(n, *NODES) further correction at nodes from border to border, alike for all channels."""
    channel_grid_stops: Curve
    """(n, C, *NODES) what channels need beyond that; (n, 0, *NODES) when they need nothing."""
    confidence: float
    kept_flashes: tuple[int, ...]
    """Frame numbers taken for an intended flash and left alone."""
    unseen: tuple[int, ...]
    """Frame numbers left alone because too little of them is usable (black, clipped)."""
    reason: str
    """Empty when applied; otherwise why the shot was left alone."""

    @property
    def applied(self) -> bool:
        """False when the shot was left alone."""
        return not self.reason

    def rms_stops(self) -> float:
        """Size of the correction over frames, channels and places."""
        parts = (self.exposure_stops, self.contrast, self.bend, self.grid_stops)
        power = sum(float(np.square(p).mean()) for p in parts if p.size)
        if self.channel_grid_stops.size:
            power += float(np.square(self.channel_grid_stops).mean())
        return float(np.sqrt(power))


def solve_flicker(
    evidence: dict[str, object], frames: FrameRange, options: FlickerOptions
) -> FlickerSolution:
    """Flicker of a shot from the evidence of ``FlickerProbe``."""
    n = len(frames)
    channels = np.asarray(evidence["difference"]).shape[2]
    fit = _fitted(evidence, frames, options)
    if isinstance(fit, str):
        return _alone(n, channels, fit)
    rms = float(np.sqrt(fit.common.rms() ** 2 + np.mean([o.rms() ** 2 for o in fit.own])))
    if rms < max(options.floor_stops, fit.noise):
        return _alone(n, channels, f"flicker of {rms:.4f} stops rms is below what can be measured")
    return _solution(fit, rms / (rms + fit.noise), options)


@dataclass(frozen=True, slots=True)
class _Fit:
    """What each frame of a shot did, before it is asked whether that is worth correcting."""

    common: Flicker
    own: list[Flicker]
    """By channel, beyond what is common."""
    pivot: float
    seen: Curve
    noise: float
    trust: Trust
    alive: NDArray[np.bool_]
    """(C,) channels that hold a picture; the others are left as they are."""


_LAST: OrderedDict[bytes, _Fit | str] = OrderedDict()
_LAST_KEPT = 4
_lock = Lock()


def _fitted(evidence: dict[str, object], frames: FrameRange, options: FlickerOptions) -> _Fit | str:
    """The fit, or why there is none. The same evidence is fitted once, and then once more when
    its result is checked: the last few fits are remembered, by all that decides them."""
    asked = (frames.start, frames.stop, options.local, options.per_channel, options.flash_stops)
    known = hashlib.blake2b(repr(asked).encode(), digest_size=16)
    for name in ("pairs", "difference", "level", "weight", "spread", "clipped"):
        array = np.ascontiguousarray(np.asarray(evidence[name]))
        known.update(f"{array.dtype} {array.shape}".encode())
        known.update(array.tobytes())
    key = known.digest()
    with _lock:
        found = _LAST.get(key)
    if found is None:
        found = _fit(evidence, frames, options)
        with _lock:
            _LAST[key] = found
            while len(_LAST) > _LAST_KEPT:
                _LAST.popitem(last=False)
    return found


def _fit(evidence: dict[str, object], frames: FrameRange, options: FlickerOptions) -> _Fit | str:
    n = len(frames)
    difference = np.asarray(evidence["difference"], np.float64) / STOP
    channels = difference.shape[2]
    if n < _LEAST_FRAMES:
        return f"only {counted(n)}: flicker cannot be told from intention"
    pairs = np.asarray(evidence["pairs"], np.int64) - frames.start
    level = np.asarray(evidence["level"], np.float64)
    weight = np.asarray(evidence["weight"], np.float64)
    seen = _usable(pairs, weight, n)
    if float(np.median(seen)) < _LEAST_PICTURE:
        ends = 100 * float(np.asarray(evidence["clipped"], np.float64).mean())
        return f"too little usable picture (clipped or black: {ends:.0f} %)"
    alive = np.median(np.asarray(evidence["clipped"], np.float64), axis=0) < DEAD
    alive = alive if alive.any() else ~alive
    pivot = float(np.average(level[..., alive].mean(axis=2), weights=weight))
    shared = Measured(
        pairs=pairs,
        difference=difference[..., alive].mean(axis=2),
        level=level[..., alive].mean(axis=2),
        weight=weight,
        spread=np.asarray(evidence["spread"], np.float64) / STOP,
        grid=GRID,
    )
    whole = solve_effects(shared, n, pivot, shapes=None if options.local else 0)
    trust = trust_in(whole.tones[:, 0], seen, frames, options.flash_stops)
    if trust.weights.sum() < _LEAST_FRAMES:
        return "too few frames with usable picture"
    common = flicker_of(whole, trust, GRID, options.flash_stops)
    own = [Flicker(np.zeros((n, TONES)), np.zeros((n, 0)))] * channels
    if options.per_channel and alive.sum() > 1:
        shapes = _CHANNEL_SHAPES if options.local else 0
        own = [
            flicker_of(
                _beyond(whole, shared, d, v, pivot, shapes), trust, GRID, options.flash_stops
            )
            if lives
            else own[0]
            for d, v, lives in zip(
                difference.transpose(2, 0, 1), level.transpose(2, 0, 1), alive, strict=True
            )
        ]
    return _Fit(common, own, pivot, seen, float(whole.error[0]), trust, alive)


def _alone(n: int, channels: int, reason: str) -> FlickerSolution:
    return FlickerSolution(
        exposure_stops=np.zeros((n, channels)),
        contrast=np.zeros((n, channels)),
        bend=np.zeros((n, channels)),
        pivot=0.0,
        grid_stops=np.zeros((n, *NODES)),
        channel_grid_stops=np.zeros((n, 0, *NODES)),
        confidence=0.0,
        kept_flashes=(),
        unseen=(),
        reason=reason,
    )


def _usable(pairs: NDArray[np.int64], weight: Curve, n: int) -> Curve:
    """(n,) largest share of each frame that any pair could use."""
    share = weight.sum(axis=1) / (GRID[0] * GRID[1])
    seen = np.zeros(n)
    for end in (0, 1):
        np.maximum.at(seen, pairs[:, end], share)
    return seen


def _beyond(
    whole: Effects, shared: Measured, difference: Curve, level: Curve, pivot: float, shapes: int
) -> Effects:
    """How one channel differs from what all of them do. difference, level: (m, slots)."""
    step = (
        whole.tones[shared.pairs[:, 1]] - whole.tones[shared.pairs[:, 0]],
        whole.surface[shared.pairs[:, 1]] - whole.surface[shared.pairs[:, 0]],
    )
    places, _, _ = place_shapes(*GRID)
    explained = np.einsum("msa,ma->ms", tone_shapes(level, pivot), step[0])
    bands = difference.shape[1] // (GRID[0] * GRID[1])
    if step[1].shape[1]:
        explained += np.repeat(step[1] @ places.T, bands, axis=1)
    rest = replace(shared, difference=difference - explained, level=level)
    return solve_effects(rest, len(whole.tones), pivot, shapes=shapes)


def _solution(fit: _Fit, certainty: float, options: FlickerOptions) -> FlickerSolution:
    limit = options.limit_stops
    tones = np.stack([fit.common.tones + o.tones for o in fit.own], axis=1)
    tones[:, ~fit.alive] = 0.0
    if not options.tones:
        tones[:, :, 1:] = 0.0
    surfaces = np.stack([_at_nodes(o.surface) for o in fit.own], axis=1)
    return FlickerSolution(
        exposure_stops=-np.clip(tones[:, :, 0], -limit, limit),
        contrast=-np.clip(tones[:, :, 1], -_MOST_CONTRAST, _MOST_CONTRAST),
        bend=-np.clip(tones[:, :, 2], -_MOST_BEND, _MOST_BEND),
        pivot=fit.pivot,
        grid_stops=-np.clip(_at_nodes(fit.common.surface), -limit, limit),
        channel_grid_stops=-surfaces if surfaces.any() else surfaces[:, :0],
        confidence=float(min(1.0, 4.0 * np.median(fit.seen)) * certainty),
        kept_flashes=fit.trust.flashes,
        unseen=fit.trust.unseen,
        reason="",
    )


def _at_nodes(surface: Curve) -> Curve:
    """(n, *NODES) stops at the nodes, from (n, shapes)."""
    _, nodes, _ = place_shapes(*GRID)
    values: Curve = surface @ nodes[:, : surface.shape[1]].T
    return values.reshape(len(surface), *NODES)
