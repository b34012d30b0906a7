"""Weave of a shot: the path of the picture, without what the camera did.

The picture's motion between near frames is what most of its cells agree on (``agree``): a
background behind whatever the actors do. All pairs together give its path. Where no two parts of
the picture move alike (a street from a moving car), every cell first loses its own calm motion:
what weave does to them, all of them do at once. The path is split into the camera, jumps of
splices and weave (``camera``), each axis and the turn by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter, uniform_filter1d
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from media.frames import FrameRange
from restore.smoothing import Curve, solve_path
from restore.weave.agree import Motions, agreed
from restore.weave.camera import Camera, camera_path

_FEWEST = 6
"""Frames; fewer, and a path cannot be told from weave."""
_AS_ONE = 0.3
"""Share of the cells that must move as one for their motion to be that of the picture."""
_NO_SAY, _FULL_SAY = 0.12, 0.35
"""Shares at which a pair of frames has no say in the path, and all of it."""
_LEAST_ERROR = (0.005, 0.005, 1e-5)
"""px, px, rad: what is taken to be known of a pair's motion at best."""
_ODD = (0.1, 0.1, 3e-4)
"""A pair that is off the path by this much loses half its say."""
_CALM_FRAMES = 11
_STEADY = "of the shot can be followed from frame to frame"


@dataclass(frozen=True, slots=True, kw_only=True)
class WeaveOptions:
    """When weave is corrected."""

    limit_px: float = 16.0
    """A larger excursion is a lost registration, not weave: left alone. Larger jumps are kept."""
    floor_px: float = 0.04
    """Weave below this rms is under the accuracy of the measurement: left alone."""
    floor_deg: float = 0.004
    """The same for turns: below it the picture is shifted but not turned."""
    turns: bool = True
    """False leaves turns alone."""
    floor_errors: float = 2.0
    """Weave below this many errors of a pair of frames is left alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeaveSolution:
    """How to move each frame of the shot."""

    dx_px: NDArray[np.float64]
    """(n,) positive moves the picture to the right."""
    dy_px: NDArray[np.float64]
    """(n,) positive moves the picture down."""
    turn_deg: NDArray[np.float64]
    """(n,) positive turns the picture clockwise about the middle of the frame."""
    confidence: float
    reason: str
    """Empty when applied; otherwise why the shot was left alone."""
    jumps: tuple[int, ...] = ()
    """Frames from which on the picture stands elsewhere in the scan than before."""
    unseen: tuple[int, ...] = ()
    """Frames that could not be followed; they are not moved."""

    @property
    def applied(self) -> bool:
        """False when the shot was left alone."""
        return not self.reason


def solve_weave(
    evidence: dict[str, object], frames: FrameRange, options: WeaveOptions
) -> WeaveSolution:
    """Weave of a shot from the evidence of ``WeaveProbe``."""
    n = len(frames)
    if n < _FEWEST:
        return _alone(n, f"only {n} frames: a path cannot be told from weave", 0.0)
    pairs = np.asarray(evidence["pairs"], np.int64) - frames.start
    motions, pairs = _motions(evidence, pairs)
    share = float(np.median(motions.share)) if len(pairs) else 0.0
    if share < _AS_ONE:
        why = f"the picture does not move as one: {100 * share:.0f} % of it agrees"
        return _alone(n, why, 0.0)
    say = np.clip((motions.share - _NO_SAY) / (_FULL_SAY - _NO_SAY), 0.0, 1.0)
    parts = _followed(pairs, say, n)
    unseen = np.ones(n, np.bool_)
    moved, jumps = np.zeros((n, 3)), set[int]()
    for part in parts:
        unseen[part] = False
        found, at = _split(_path(pairs, motions, say, part, n), part, options)
        moved[part] = found[part]
        jumps |= {k for k in at if not unseen[k]}
    return _judged(moved, jumps, unseen, frames, np.median(motions.errors, axis=0), options)


def _judged(
    moved: Curve,
    jumps: set[int],
    unseen: NDArray[np.bool_],
    frames: FrameRange,
    errors: Curve,
    options: WeaveOptions,
) -> WeaveSolution:
    """Corrected, or left alone because. moved: (n, 3) px, px, rad. errors: of a pair, the same."""
    n = len(frames)
    if unseen.mean() > 0.5:
        return _alone(n, f"only {100 * (1 - unseen.mean()):.0f} % {_STEADY}", 0.0)
    weave_px, turn_deg, error_px = moved[:, :2], np.degrees(moved[:, 2]), float(errors[0])
    rms_px = float(np.sqrt((weave_px**2).sum(axis=1).mean()))
    peak_px = float(np.abs(weave_px).max())
    confidence = float(np.clip(rms_px / (rms_px + 2.0 * error_px + 1e-6), 0.0, 1.0))
    if peak_px > options.limit_px:
        return _alone(n, f"excursion of {peak_px:.1f} px is over the limit", confidence)
    turned_deg = float(np.sqrt(np.square(turn_deg).mean()))
    turns = options.turns and turned_deg >= max(
        options.floor_deg, options.floor_errors * float(np.degrees(errors[2]))
    )
    if rms_px < max(options.floor_px, options.floor_errors * error_px) and not turns:
        return _alone(n, f"weave of {rms_px:.3f} px rms is below what can be measured", confidence)
    return WeaveSolution(
        dx_px=-weave_px[:, 0],
        dy_px=-weave_px[:, 1],
        turn_deg=-turn_deg if turns else np.zeros(n),
        confidence=confidence,
        reason="",
        jumps=tuple(frames.start + k for k in sorted(jumps)),
        unseen=tuple(frames.start + int(k) for k in np.flatnonzero(unseen)),
    )


def _alone(n: int, reason: str, confidence: float) -> WeaveSolution:
    still = np.zeros(n)
    return WeaveSolution(
        dx_px=still, dy_px=still, turn_deg=still, confidence=confidence, reason=reason
    )


def _motions(
    evidence: dict[str, object], pairs: NDArray[np.int64]
) -> tuple[Motions, NDArray[np.int64]]:
    """The motion of the picture in each pair, and the pairs it was found in."""
    motion = np.asarray(evidence["motion_px"], np.float64)
    spread = np.asarray(evidence["spread_px"], np.float64)
    cells = np.asarray(evidence["cells_px"], np.float64)
    size = np.asarray(evidence["size_px"], np.float64)
    whole = agreed(motion, spread, cells, size)
    gap = pairs[:, 1] - pairs[:, 0]
    if not len(pairs) or float(np.median(whole.share)) >= _AS_ONE or (gap == 1).sum() < 2:
        return whole, pairs
    short = gap <= 2
    jolts = motion[short] - _calm(motion[gap == 1], pairs[short])
    return agreed(jolts, spread[short], cells, size), pairs[short]


def _calm(velocity: Curve, pairs: NDArray[np.int64]) -> Curve:
    """(m, cells, 2) px by which each cell moves in each pair when it is not jolted.

    velocity: (t, cells, 2) px between frame k and k + 1.
    """
    middle = median_filter(velocity, size=(_CALM_FRAMES, 1, 1), mode="nearest")
    calm = uniform_filter1d(middle, 7, axis=0, mode="nearest")
    way = np.concatenate([np.zeros((1, *calm.shape[1:])), np.cumsum(calm, axis=0)])
    last = len(way) - 1
    own: Curve = way[np.minimum(pairs[:, 1], last)] - way[np.minimum(pairs[:, 0], last)]
    return own


def _followed(pairs: NDArray[np.int64], say: Curve, n: int) -> list[NDArray[np.int64]]:
    """Stretches of frames that trusted pairs connect, long enough to tell weave from a path."""
    sure = say > 0.2
    a, b = pairs[sure].T
    graph = coo_array((np.ones(len(a)), (a, b)), shape=(n, n))
    _, label = connected_components(graph, directed=False)
    parts = [np.flatnonzero(label == k) for k in np.unique(label)]
    return [part for part in parts if len(part) >= _FEWEST]


def _path(
    pairs: NDArray[np.int64], motions: Motions, say: Curve, part: NDArray[np.int64], n: int
) -> Curve:
    """(n, 3) path of the picture over some frames: px, px, rad; 0 elsewhere."""
    inside = np.zeros(n, np.bool_)
    inside[part] = True
    own = inside[pairs].all(axis=1) & (say > 0.2)
    steps = motions.steps[own, :3]
    known = say[own, None] / np.square(np.array(_LEAST_ERROR) + motions.errors[own, :3])
    path = np.zeros((n, 3))
    for k, odd in enumerate(_ODD):
        column = slice(k, k + 1)
        weights = known[:, column] / known[:, k].max()
        path[:, column] = solve_path(pairs[own], steps[:, column], weights, n, robust_scale=odd)
    path[part] -= path[part].mean(axis=0)
    path[~inside] = 0.0
    return path


def _split(path: Curve, part: NDArray[np.int64], options: WeaveOptions) -> tuple[Curve, set[int]]:
    """(n, 3) what is not the camera's, and where it jumps."""
    first, last = int(part[0]), int(part[-1]) + 1
    trust = np.zeros(last - first)
    trust[part - first] = 1.0
    moved, jumps = np.zeros_like(path), set[int]()
    for k in range(3):
        # A turn jumps where the picture does.
        unit, at = (1e-3, sorted(jumps)) if k == 2 else (1.0, None)
        camera = camera_path(path[first:last, k], trust, unit=unit, jumps_at=at)
        jumps |= set(camera.jumps)
        meant = camera.meant + (camera.steps if k < 2 and _large(camera, options) else 0.0)
        moved[first:last, k] = path[first:last, k] - meant
    return moved, {first + at for at in jumps}


def _large(camera: Camera, options: WeaveOptions) -> bool:
    """True for jumps that are not taken out."""
    return float(np.ptp(camera.steps)) > options.limit_px
