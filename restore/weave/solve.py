"""Separate weave from what the camera and the actors do.

Where a good part of the cells moves as one (a background behind whatever the actors do), the
common path is the motion most cells agree on. Otherwise (zoom, parallax) every cell is taken to
move by its own smooth motion plus one jitter common to all; the common part is found by
alternating a robust median over cells with a smooth fit over time in each cell. What is left of
the common path after its own smooth part (pan, tilt, hand-held sway) is weave.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from media.frames import FrameRange
from restore.smoothing import Curve, smooth_part, solve_path

_AGREE_PX = 0.15
"""Cells within this of each other move as one."""
_RIGID_SHARE = 0.35
"""Share of the cells that must move as one for their motion to be that of the picture."""

_TOGETHER_PX = 0.3
"""Cells whose jolts typically differ by less than this belong to the same rigid thing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeaveOptions:
    """When weave is corrected."""

    limit_px: float = 16.0
    """A larger excursion is a splice or a lost registration, not weave: left alone."""
    floor_px: float = 0.04
    """Weave below this rms is under the accuracy of the measurement: left alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeaveSolution:
    """Shift to apply, per frame of the shot."""

    dx_px: NDArray[np.float64]
    """(n,) positive moves the picture to the right."""
    dy_px: NDArray[np.float64]
    """(n,) positive moves the picture down."""
    confidence: float
    reason: str
    """Empty when applied; otherwise why the shot was left alone."""

    @property
    def applied(self) -> bool:
        """False when the shot was left alone."""
        return not self.reason


def solve_weave(
    evidence: dict[str, object], frames: FrameRange, options: WeaveOptions
) -> WeaveSolution:
    """Weave of a shot from the evidence of ``WeaveProbe``."""
    n = len(frames)
    pairs = np.asarray(evidence["pairs"], np.int64) - frames.start
    motion = np.asarray(evidence["motion_px"], np.float64)
    spread = np.asarray(evidence["spread_px"], np.float64)
    if n < 6:
        return _alone(n, f"only {n} frames: a path cannot be told from weave", 0.0)
    path, agreement_px, share = _rigid_path(pairs, motion, spread, n)
    if share < _RIGID_SHARE:
        path, agreement_px = _common_path(pairs, motion, spread, n)
    # Each axis by itself: a pan is no reason to expect a tilt.
    weave = path - np.hstack([smooth_part(path[:, :1]), smooth_part(path[:, 1:])])
    rms_px = float(np.sqrt((weave**2).sum(axis=1).mean()))
    peak_px = float(np.abs(weave).max())
    confidence = float(np.clip(rms_px / (rms_px + 2.0 * agreement_px + 1e-6), 0.0, 1.0))
    if peak_px > options.limit_px:
        return _alone(n, f"excursion of {peak_px:.1f} px is over the limit", confidence)
    if rms_px < max(options.floor_px, 0.5 * agreement_px):
        return _alone(n, f"weave of {rms_px:.3f} px rms is below what can be measured", confidence)
    shift = -weave
    return WeaveSolution(dx_px=shift[:, 0], dy_px=shift[:, 1], confidence=confidence, reason="")


def _alone(n: int, reason: str, confidence: float) -> WeaveSolution:
    return WeaveSolution(dx_px=np.zeros(n), dy_px=np.zeros(n), confidence=confidence, reason=reason)


def _rigid_path(
    pairs: NDArray[np.int64], motion: Curve, spread: Curve, n: int
) -> tuple[Curve, float, float]:
    """(n, 2) path in px of the cells that move as one, their disagreement (px), their share.

    Per pair, the motion with most support among the cells (a mode: more than half of the cells
    may follow a foreground in as many directions), refined by redescending means.
    """
    weights = 1.0 / np.square(0.03 + spread)
    gaps = np.linalg.norm(motion[:, :, None, :] - motion[:, None, :, :], axis=3)
    support = np.einsum("mij,mj->mi", np.exp(-0.5 * (gaps / _AGREE_PX) ** 2), weights)
    best = support.argmax(axis=1)
    steps = motion[np.arange(len(motion)), best]
    share = np.zeros(len(motion))
    off = np.zeros_like(spread)
    for _ in range(4):
        off = np.linalg.norm(motion - steps[:, None, :], axis=2)
        say = weights * np.square(np.clip(1.0 - np.square(off / (2.0 * _AGREE_PX)), 0.0, None))
        steps = (say[:, :, None] * motion).sum(axis=1) / say.sum(axis=1)[:, None]
        share = (off < _AGREE_PX + 2.0 * np.minimum(spread, 0.1)).mean(axis=1)
    trust = np.repeat(np.maximum(share, 1e-3)[:, None], 2, axis=1)
    path = solve_path(pairs, steps, trust, n, robust_scale=0.1)
    agreeing = off[off < _AGREE_PX]
    noise_px = float(np.median(agreeing)) * 1.4826 if len(agreeing) else _AGREE_PX
    agreement_px = noise_px / float(np.sqrt(motion.shape[1] * share.mean() + 1e-9))
    return path, agreement_px, float(np.median(share))


def _common_path(
    pairs: NDArray[np.int64], motion: Curve, spread: Curve, n: int
) -> tuple[Curve, float]:
    """(n, 2) common path of the picture in px, and how well the cells agree on it (px).

    A cell without texture, or one that an actor walks through, measures nonsense on some pairs;
    taking the median over cells pair by pair keeps that from spreading along its path.
    """
    weights = 1.0 / np.square(0.03 + spread)
    gap = (pairs[:, 1] - pairs[:, 0]).astype(np.float64)
    middle = (0.5 * (pairs[:, 0] + pairs[:, 1]) - 0.5).astype(np.float64)
    near = np.flatnonzero(gap == 1)
    jitter = np.zeros((n, 2))
    own = np.zeros_like(motion)
    velocity = np.zeros((len(near), motion.shape[1], 2))
    trust = weights
    for _ in range(5):
        shaken = jitter[pairs[near, 1]] - jitter[pairs[near, 0]]
        velocity = _calm(motion[near] - shaken[:, None, :])
        own = gap[:, None, None] * _at(velocity, middle)
        trust = weights * _together(motion - own)
        steps = _weighted_median(motion - own, trust)
        jitter = solve_path(pairs, steps, np.ones_like(steps), n, robust_scale=0.3)
    residual = motion - own - (jitter[pairs[:, 1]] - jitter[pairs[:, 0]])[:, None, :]
    agreement_px = float(np.median(np.abs(residual))) * 1.4826 / np.sqrt(motion.shape[1] / 2)
    drift = _weighted_median(velocity, trust[near])
    camera = np.vstack([np.zeros((1, 2)), np.cumsum(drift, axis=0)])
    return jitter + camera, agreement_px


def _together(jolts: Curve) -> Curve:
    """(cells,) trust in each cell: 1 where it is jolted in time with most others, else next to 0.

    jolts: (m, cells, 2) px, motion of each cell without its smooth part. Weave jolts all that is
    fixed to the film by the same amount at the same time; what an actor or a wave does on a
    frame is not shared. The largest group of cells that agree over time is the film.
    """
    apart = np.median(np.linalg.norm(jolts[:, :, None] - jolts[:, None, :], axis=3), axis=0)
    near = apart < max(_TOGETHER_PX, float(np.quantile(apart, 0.1)))
    group = near[int(near.sum(axis=1).argmax())]
    return np.where(group, 1.0, 1e-3)


def _calm(velocity: Curve) -> Curve:
    """Each cell's own velocity over time without its jumps: running median, then a mean.

    velocity: (m, cells, 2) px a frame; the same shape is returned.
    """
    m = len(velocity)
    calm = np.empty_like(velocity)
    for t in range(m):
        calm[t] = np.median(velocity[max(0, t - 5) : t + 6], axis=0)
    again = np.empty_like(velocity)
    for t in range(m):
        again[t] = calm[max(0, t - 3) : t + 4].mean(axis=0)
    return again


def _at(velocity: Curve, position: Curve) -> Curve:
    """(m, cells, 2) velocities at fractional positions in time."""
    at = np.clip(position, 0, len(velocity) - 1)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, len(velocity) - 1)
    share = (at - low)[:, None, None]
    between: Curve = velocity[low] * (1 - share) + velocity[high] * share
    return between


def _weighted_median(values: Curve, weights: Curve) -> Curve:
    """Over cells: values (n, cells, 2), weights (n, cells); returns (n, 2)."""
    order = np.argsort(values, axis=1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=1)
    say = np.repeat(weights[:, :, None], values.shape[2], axis=2)
    cumulative = np.cumsum(np.take_along_axis(say, order, axis=1), axis=1)
    middle = (cumulative >= 0.5 * cumulative[:, -1:, :]).argmax(axis=1)
    return np.take_along_axis(ordered, middle[:, None, :], axis=1)[:, 0, :]
