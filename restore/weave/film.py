"""The path of the film itself, from marks in its overscan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from media.frames import FrameRange
from restore.smoothing import Curve
from restore.weave.overscan import EDGE, HOLE

KINDS: Mapping[str, int] = {"perforation": HOLE, "edge": EDGE}
_SEEN = 0.8
"""Share of the frames on which a mark must be found to count."""
_ODD_PX = 0.15
"""A mark this far off what the others say loses half its say."""
_CALM = (0.03 / 0.003) ** 2
"""Turns of 0.003 rad are expected of marks known to 0.03 px."""
_SPREAD = 0.25
"""Marks must lie this share of the frame apart to tell a turn."""


@dataclass(frozen=True, slots=True)
class FilmPath:
    """How the film lay in each frame."""

    path: Curve
    """(n, 3) px, px, rad against its median place; 0 where unseen."""
    seen: NDArray[np.bool_]
    """(n,)."""
    error_px: float
    """Standard error of a frame's shift."""
    marks: int
    """How many tell it."""


def film_path(
    evidence: Mapping[str, object], frames: FrameRange, kind: str, size_px: Curve
) -> FilmPath | None:
    """The path told by ``perforation`` or ``edge`` marks; None where they do not tell one.

    evidence: of ``OverscanProbe``. size_px: height and width of the frame.
    """
    chosen = np.asarray(evidence["kinds"], np.int64) == KINDS[kind]
    places = np.asarray(evidence["places_px"], np.float64)
    n = len(frames)
    if not chosen.any() or len(places) != n:
        return None
    chosen &= np.isfinite(places).mean(axis=0) >= _SEEN
    along_x = np.asarray(evidence["along_x"], np.bool_)[chosen]
    if not along_x.any() or along_x.all():
        return None
    at = np.asarray(evidence["marks_px"], np.float64)[chosen]
    moved = places[:, chosen]
    moved = moved - np.nanmedian(moved, axis=0)
    design = np.stack(
        [along_x.astype(float), (~along_x).astype(float), np.where(along_x, -at[:, 1], at[:, 0])],
        axis=1,
    )
    path, off = np.zeros((n, 3)), np.full(moved.shape, np.nan)
    seen = np.zeros(n, np.bool_)
    for k in range(n):
        found = np.isfinite(moved[k])
        if not (found & along_x).any() or not (found & ~along_x).any():
            continue
        turns = _tell_turns(at[found], along_x[found], size_px)
        path[k], off[k, found] = _fitted(design[found], moved[k, found], turns)
        seen[k] = True
    if seen.mean() < _SEEN:
        return None
    scatter = 1.4826 * float(np.nanmedian(np.abs(off)))
    fewer = min(int(along_x.sum()), int((~along_x).sum()))
    return FilmPath(path, seen, scatter / np.sqrt(fewer), len(along_x))


def _tell_turns(at: Curve, along_x: NDArray[np.bool_], size_px: Curve) -> bool:
    """Whether marks of one direction lie far enough apart across it."""
    across = np.ptp(at[along_x, 1]) if along_x.sum() > 1 else 0.0
    down = np.ptp(at[~along_x, 0]) if (~along_x).sum() > 1 else 0.0
    return bool(max(across, down) > _SPREAD * size_px.min())


def _fitted(design: Curve, moved: Curve, turns: bool) -> tuple[Curve, Curve]:
    """(3,) shift and turn that explain most marks, and what is left of each (Cauchy weights)."""
    columns = slice(0, 3 if turns else 2)
    step = np.zeros(3)
    weight = np.ones(len(moved))
    for _ in range(6):
        known = weight[:, None] * design[:, columns]
        normal = known.T @ design[:, columns]
        if turns:
            normal[2, 2] += _CALM
        step[columns] = np.linalg.solve(normal, known.T @ moved)
        off = moved - design @ step
        weight = 1.0 / (1.0 + np.square(off / _ODD_PX))
    return step, moved - design @ step
