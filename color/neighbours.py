"""Weak edges between shots that stand beside each other in a reel and share no link.

Shots beside each other are often of one scene, and as often not. What tells is whether they hold
the same colors in the same amounts once level and contrast of each are taken off: then they are
drawn together, by a fraction of what a link has. A shot of another palette is never drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from color.cdl import CDL, apply_cdl
from color.equations import WeakEdge
from color.records import QUANTILES, Link, ShotInput
from color.weak import QUANTILE_PICK, UNLIKE_LOG, shape_difference

F64 = NDArray[np.float64]

LIKE_PALETTE = 0.01
"""Energy distance of two palettes that may be of one scene. Of pairs of graded shots of seven
films, 16 of 42 of one scene and 7 of 419 of two lie below it; 3 of the 7 have tones alike too."""
_STD_LOG = 0.014
_STD_BY_DISTANCE = 3.4
"""How far the tones of two such shots are apart when their grade is the same: 0.024 film log at a
distance of 0.003, 0.042 at 0.008 (22 pairs)."""
_COMPARED = 340


def neighbour_edges(
    shots: Sequence[ShotInput], links: Sequence[Link], held: Mapping[str, CDL]
) -> list[WeakEdge]:
    """An edge from each shot without a link to the shots right before and after it.

    shots: all of the title, protected ones too: nothing reaches across them. held: shots that do
    not move, and what they look like then. No edge where either is protected or dark on purpose
    (``ShotInput.low_key``), between shots of differently named scenes, within a named scene
    (``color.weak.scene_edges`` speaks there), or where palette or tone curve differ.
    """
    linked = {name for k in links for name in (k.a, k.b)}
    palettes: dict[str, F64 | None] = {}
    found: list[WeakEdge] = []
    placed = sorted((s for s in shots if s.place is not None), key=lambda s: (s.reel, s.place))
    for a, b in pairwise(placed):
        # What is no shot (leader, slug) has a place too, and is not in the list.
        beside = a.reel == b.reel and b.place == (a.place or 0) + 1
        if not beside or a.protected or b.protected or a.low_key or b.low_key:
            continue
        if a.scene is not None and b.scene is not None:
            continue
        # What is linked has better evidence, and its scene keeps its level.
        if not any(s.id not in linked and s.id not in held for s in (a, b)):
            continue
        for s in (a, b):
            if s.id not in palettes:
                palettes[s.id] = _palette(s)
        mine, other = palettes[a.id], palettes[b.id]
        if mine is None or other is None:
            continue
        distance = palette_distance(mine, other)
        x, y = _tones(a, held.get(a.id)), _tones(b, held.get(b.id))
        if distance > LIKE_PALETTE or shape_difference(x, y) > UNLIKE_LOG:
            continue
        # quantiles of one curve move together: all of them count as one
        std = np.sqrt(len(QUANTILE_PICK)) * (_STD_LOG + _STD_BY_DISTANCE * distance)
        if a.id in held:
            a, b, x, y = b, a, y, x
        found.append(WeakEdge(a.id, x, y, np.full_like(x, std), b.id))
    return found


def palette_distance(a: F64, b: F64) -> float:
    """Energy distance (Szekely 2013) of two sets of colors (N, 3), 0 for the same palette."""
    return float(2.0 * cdist(a, b).mean() - cdist(a, a).mean() - cdist(b, b).mean())


def _palette(shot: ShotInput) -> F64 | None:
    """Colors (N, 3) with level and contrast of each channel taken off; None: not measured."""
    if shot.samples_log is None or len(shot.samples_log) < _COMPARED // 4:
        return None
    step = np.linspace(0, len(shot.samples_log) - 1, min(_COMPARED, len(shot.samples_log)))
    colors = np.asarray(shot.samples_log, np.float64)[step.round().astype(np.intp)]
    low, middle, high = np.quantile(colors, (0.1, 0.5, 0.9), axis=0)
    if (high - low).min() < UNLIKE_LOG:
        return None
    return np.asarray((colors - middle) / (high - low))


def _tones(shot: ShotInput, cdl: CDL | None) -> F64:
    """(3, Q) film log, as the shot looks with what it is held at."""
    assert shot.samples_log is not None
    colors = np.asarray(shot.samples_log, np.float64)
    if cdl is not None:
        colors = apply_cdl(colors, cdl, clamp=False)
    picked = np.array(QUANTILES)[list(QUANTILE_PICK)]
    return np.asarray(np.quantile(colors, picked, axis=0).T)
