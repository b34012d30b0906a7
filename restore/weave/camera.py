"""Split the path of a picture into what the camera did, jumps of splices, and weave.

Weave is white over time. What the camera did is the least that the path asks for: it stood; or
it drifted steadily; or it moved along a curve whose smoothness is found by restricted maximum
likelihood (Wood 2011) under a penalty on second or third differences (Eilers 2003), whichever
predicts left-out frames better. More is only believed where likelihood outweighs what chance
does to white noise: a mean alone fits white noise worse than a line, and a line worse than a
curve, in every shot. A jump is a step of the whole path between two frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from restore.smoothing import Curve, penalty_bands, smoothed

_NO_SAY = 1e-6
"""Weight of frames that were not measured."""
_LAMBDAS = 10.0 ** np.arange(-6.0, 10.01, 0.5)
_DRIFT = 0.5
"""Units a frame: drifts of cameras are taken to be about this large when there are any."""
_STOOD = 2.0 * np.log(10.0)
"""Twice the log odds that a camera stood, before the path is looked at."""
_CURVED = 3.0
"""Twice the log likelihood by which a curve has to beat a line."""
_ORDERS = (2, 3)
_BETTER = 0.97
"""A penalty of higher order is taken where its prediction error is below this share."""
_MOST_JUMPS = 4
_THROWN, _ROUNDS = 3.0, 2
"""Frames further off than this many standard deviations lose their say, in so many rounds."""
_LEAST_JUMP = 0.3
"""px; a smaller step is of no account."""
_JUMP = 12.0
"""Twice the log likelihood by which a jump has to better the fit, beside 2 log n."""


@dataclass(frozen=True, slots=True)
class Camera:
    """What a path is made of, in its unit."""

    meant: Curve
    """(n,) what the camera did."""
    steps: Curve
    """(n,) jumps added up, 0 before the first."""
    jumps: tuple[int, ...]
    """Frames (0 is the first) that begin on another level."""
    what: str
    """stood, drifted or moved."""


@dataclass(frozen=True, slots=True)
class _Fit:
    meant: Curve
    steps: Curve
    cost: float
    """Minus twice the restricted log likelihood, up to what depends on n alone."""


def camera_path(
    path: Curve, trust: Curve, *, unit: float = 1.0, jumps_at: Sequence[int] | None = None
) -> Camera:
    """Camera and jumps of a path.

    path: (n,) float64, n >= 6. trust: (n,) weight of each frame, 1 = normal, 0 = not measured.
    unit: what counts as one px for drifts. jumps_at: frames at which the path may jump; None
    looks for them.
    """
    w = np.maximum(np.asarray(trust, np.float64), _NO_SAY)
    found = _camera(path, w, unit, jumps_at)
    for _ in range(_ROUNDS):
        # A frame that was thrown far off says little of where the camera looked.
        off = np.abs(path - found.meant - found.steps)
        far = max(_THROWN * 1.4826 * float(np.median(off[w > 0.01])), _LEAST_JUMP * unit)
        found = _camera(path, w * np.minimum(1.0, np.square(far / (off + 1e-12))), unit, jumps_at)
    return found


def _camera(path: Curve, w: Curve, unit: float, jumps_at: Sequence[int] | None) -> Camera:
    """Camera and jumps, given what each frame has to say."""
    jumps: list[int] = []
    best = _model(path, w, jumps, unit)
    for candidate in _candidates(path, w) if jumps_at is None else jumps_at:
        found = _model(path, w, sorted([*jumps, candidate]), unit)
        if found[0].cost < best[0].cost - _JUMP - 2.0 * np.log(len(path)):
            jumps, best = sorted([*jumps, candidate]), found
    fit, what = best
    return Camera(fit.meant, fit.steps, tuple(jumps), what)


def _candidates(path: Curve, w: Curve) -> list[int]:
    """Frames at which the path may jump, most likely first."""
    n = len(path)
    # Against the usual drift: a pan is no jump.
    path = path - np.arange(n) * float(np.median(np.diff(path)))
    change = np.diff(path)
    usual = 1.4826 * float(np.median(np.abs(change))) + 1e-9
    found = []
    for k in range(3, n - 2):
        before, after = slice(max(0, k - 6), k), slice(k, min(n, k + 6))
        level = np.median(path[after]) - np.median(path[before])
        # Chance makes a step of two medians of six about as large as the noise.
        if abs(change[k - 1]) > max(2.5 * usual, _LEAST_JUMP) and abs(level) > 1.2 * usual:
            found.append((abs(level) + abs(change[k - 1]), k))
    kept: list[int] = []
    for _, k in sorted(found, reverse=True):
        if w[k] > 0.01 and w[k - 1] > 0.01 and all(abs(k - other) > 2 for other in kept):
            kept.append(k)
    return kept[:_MOST_JUMPS]


def _model(path: Curve, w: Curve, jumps: list[int], unit: float) -> tuple[_Fit, str]:
    """The least that explains the path, given its jumps."""
    n = len(path)
    t = (np.arange(n) - (n - 1) / 2.0) / n
    leaps = np.array([np.arange(n) >= k for k in jumps], np.float64).reshape(len(jumps), n).T
    level = _fixed(path, w, np.ones((n, 1)), leaps)
    line = _fixed(path, w, np.stack([np.ones(n), t], axis=1), leaps)
    # The drift's own prior: what it costs to have one at all (Occam factor).
    rest = path - line.meant - line.steps
    noise = np.sqrt(float(np.average(rest**2, weights=w))) + 1e-12
    known = noise / np.sqrt(float((w * (t - np.average(t, weights=w)) ** 2).sum())) / n
    occam = 2.0 * np.log(max(_DRIFT * unit / known, 1.0))
    curved = [_curve(path, w, leaps, order) for order in _ORDERS]
    second, third = curved
    chosen = third if third.left_out < _BETTER * second.left_out else second
    gain = second.stiffest - second.fit.cost
    options = (
        (level, 0.0, "stood"),
        (line, occam + _STOOD, "drifted"),
        (replace(chosen.fit, cost=line.cost - gain), occam + _STOOD + _CURVED, "moved"),
    )
    fit, price, what = min(options, key=lambda option: option[0].cost + option[1])
    return replace(fit, cost=fit.cost + price), what


def _fixed(path: Curve, w: Curve, shape: Curve, leaps: Curve) -> _Fit:
    """Least squares of a polynomial and steps."""
    design = np.hstack([shape, leaps])
    root = np.sqrt(w)
    found = np.linalg.lstsq(root[:, None] * design, root * path, rcond=None)[0]
    meant, steps = shape @ found[: shape.shape[1]], leaps @ found[shape.shape[1] :]
    power = float((w * (path - meant - steps) ** 2).sum())
    n = _measured(w)
    return _Fit(meant, steps, n * float(np.log(power / n + 1e-12)))


def _measured(w: Curve) -> int:
    """How many frames were measured: what others happen to hold is no evidence of a good fit."""
    return int(np.count_nonzero(w > 2.0 * _NO_SAY))


@dataclass(frozen=True, slots=True)
class _Curved:
    fit: _Fit
    left_out: float
    """Mean square error on frames that a fit without them would make."""
    stiffest: float
    """Cost of the stiffest curve."""


def _curve(path: Curve, w: Curve, leaps: Curve, order: int) -> _Curved:
    """The curve, as smooth as restricted likelihood makes it, and steps."""
    n, k = len(path), leaps.shape[1]
    bands = penalty_bands(n, order)
    found: list[tuple[_Fit, float]] = []
    for lam in _LAMBDAS:
        solved, log_det = smoothed(np.column_stack([path, leaps]), w, bands, float(lam))
        smooth, shapes = solved[:, 0], solved[:, 1:]
        size: Curve = np.zeros(k)
        if k:
            inner = leaps.T @ (w[:, None] * (leaps - shapes))
            size = np.asarray(np.linalg.solve(inner, leaps.T @ (w * (path - smooth))))
            log_det += float(np.linalg.slogdet(inner)[1])
        meant: Curve = smooth - shapes @ size
        steps: Curve = leaps @ size
        free = max(_measured(w) - order - k, 1)
        power = float((w * path) @ (path - meant - steps)) / free
        cost = free * float(np.log(max(power, 1e-12))) + log_det - (n - order) * float(np.log(lam))
        found.append((_Fit(meant, steps, cost), float(lam)))
    fit, lam = min(found, key=lambda one: one[0].cost)
    return _Curved(fit, _left_out(path - fit.steps, w, bands, lam), found[-1][0].cost)


def _left_out(path: Curve, w: Curve, bands: Curve, lam: float) -> float:
    """Mean square error on frames that a fit without them would make."""
    hat, _ = smoothed(np.eye(len(path)), w, bands, lam)
    off = (path - hat @ path) / np.maximum(1.0 - np.diag(hat), 1e-3)
    return float(np.average(off**2, weights=w))
