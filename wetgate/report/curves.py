"""Curves of a shot as points for inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from wetgate.decisions import FlickerDecision, WeaveDecision

WIDTH, HEIGHT = 600, 120
_MOST_POINTS = 600
_MOST_MARKS = 40
_LEAST_STOPS, _LEAST_PX, _LEAST_CONTRAST, _LEAST_DEG = 0.05, 0.5, 0.02, 0.02
"""A curve smaller than this is drawn small: its axis does not shrink with it."""


@dataclass(frozen=True, slots=True)
class Line:
    """One polyline."""

    name: str
    style: str
    """CSS class."""
    points: str


@dataclass(frozen=True, slots=True)
class Curve:
    """A small plot around zero."""

    title: str
    unit: str
    lines: tuple[Line, ...]
    limit: float
    """Value at the upper edge; minus this at the lower."""
    first: int
    last: int
    marks: tuple[tuple[float, str], ...]
    """x position and meaning of frames worth a mark."""
    peak: float
    """Largest value, regardless of sign."""


def flicker_curve(decision: FlickerDecision, first: int, shown: int) -> Curve | None:
    """Exposure correction per channel over the frames of a shot."""
    if not decision.exposure_stops:
        return None
    values = np.array(decision.exposure_stops, np.float64)
    names = ("red", "green", "blue") if values.shape[1] == 3 else ("all",)
    flashes = [(n, "a flash that was kept") for n in decision.kept_flashes]
    return _curve(
        "Exposure correction",
        "stops",
        list(zip(names, names, values.T, strict=False)),
        _LEAST_STOPS,
        first,
        [(shown, "frame shown"), *flashes],
    )


def contrast_curve(decision: FlickerDecision, first: int, shown: int) -> Curve | None:
    """Contrast correction per channel over the frames of a shot."""
    if not decision.contrast:
        return None
    values = np.array(decision.contrast, np.float64)
    names = ("red", "green", "blue") if values.shape[1] == 3 else ("all",)
    return _curve(
        "Contrast correction",
        "stops for each stop",
        list(zip(names, names, values.T, strict=False)),
        _LEAST_CONTRAST,
        first,
        [(shown, "frame shown")],
    )


def local_curve(decision: FlickerDecision, first: int, shown: int) -> Curve | None:
    """The largest correction at any place, up and down, beyond that of the whole frame."""
    if not decision.grid_stops:
        return None
    values = np.array(decision.grid_stops, np.float64)
    lines = [
        ("up", "across", values.max(axis=(1, 2))),
        ("down", "down", values.min(axis=(1, 2))),
    ]
    return _curve(
        "By place, most and least", "stops", lines, _LEAST_STOPS, first, [(shown, "frame shown")]
    )


def weave_curve(decision: WeaveDecision, first: int, shown: int) -> Curve | None:
    """How far each frame was moved."""
    if not decision.dx_px:
        return None
    lines = [
        ("across", "across", np.array(decision.dx_px, np.float64)),
        ("down", "down", np.array(decision.dy_px, np.float64)),
    ]
    jumps = [(n, "the picture jumps here") for n in decision.jumps]
    lost = [
        (n, "not moved: could not be followed, or too far off")
        for n in decision.unseen[:_MOST_MARKS]
    ]
    marks = [(shown, "frame shown"), *jumps, *lost]
    return _curve("Picture moved", "px", lines, _LEAST_PX, first, marks)


def turn_curve(decision: WeaveDecision, first: int, shown: int) -> Curve | None:
    """How far each frame was turned."""
    if not decision.turn_deg:
        return None
    turn = np.array(decision.turn_deg, np.float64)
    lines = [("clockwise", "all", turn)]
    return _curve("Picture turned", "degree", lines, _LEAST_DEG, first, [(shown, "frame shown")])


def _curve(
    title: str,
    unit: str,
    lines: Sequence[tuple[str, str, NDArray[np.float64]]],
    least: float,
    first: int,
    marks: Sequence[tuple[int, str]],
) -> Curve:
    peak = max(float(np.abs(v).max()) for _, _, v in lines)
    limit = _rounded_up(max(peak, least))
    count = len(lines[0][2])
    return Curve(
        title=title,
        unit=unit,
        lines=tuple(Line(name, style, _points(v, limit)) for name, style, v in lines),
        limit=limit,
        first=first,
        last=first + count - 1,
        marks=tuple(
            (round(_x(n - first, count), 2), f"{n}: {what}")
            for n, what in marks
            if 0 <= n - first < count
        ),
        peak=peak,
    )


def _rounded_up(value: float) -> float:
    """The next of 1, 2, 5, 10 times a power of ten: axes a person can read."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(round(f * power, 9) for f in (1, 2, 5, 10) if f * power >= value * 0.999))


def _x(at: int, count: int) -> float:
    return WIDTH / 2 if count == 1 else at * WIDTH / (count - 1)


def _points(values: NDArray[np.float64], limit: float) -> str:
    """Polyline points; long curves keep the extremes of each stretch."""
    count = len(values)
    where = list(range(count))
    if count > _MOST_POINTS:
        edges = np.linspace(0, count, _MOST_POINTS // 2 + 1).astype(int)
        where = sorted({int(a + f(values[a:b])) for a, b in pairwise(edges) for f in _ENDS})
    middle = HEIGHT / 2
    return " ".join(
        f"{_x(k, count):.1f},{middle - float(values[k]) / limit * (middle - 4):.1f}" for k in where
    )


_ENDS = (np.argmin, np.argmax)
