"""Shots that no link speaks for, drawn to their neighbours: what it mends, and what it harms."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import color_clips as clips
from benchmarks.color_title import HEROES, TitleShot
from color.cdl import CDL, IDENTITY, apply_cdl
from color.difference import delta_e_2000, subsample
from color.links import find_links
from color.match import MatchOptions, solve_match
from color.records import shot_input

F64 = NDArray[np.float64]

_OPTIONS = MatchOptions(min_confidence=0.25, slope_limits=(0.7, 1.45), offset_limit_log=0.12)
_COUNTED = 4000
_SAME = {frozenset(("street", "bikes 5"))}
"""One shot of the film under two names."""


def title_without_links(title: list[TitleShot]) -> dict[str, Any]:
    """Each shot of the title in turn loses its links; all are of one reel, in running order.

    Mean Delta E to the truth of shots that neighbours moved, without and with neighbours, and the
    most that any of all got worse.
    """
    found = {s.id: clips.evidence(*s.scanned) for s in title}
    links = find_links(found)
    inputs = [shot_input(s.id, "R", found[s.id], place=n) for n, s in enumerate(title)]
    options = replace(_OPTIONS, pinned={title[n].id: IDENTITY for n in HEROES})
    errors = []
    for shot in (s for n, s in enumerate(title) if n not in HEROES):
        left = [k for k in links if shot.id not in (k.a, k.b)]
        alone = solve_match([replace(i, place=None) for i in inputs], left, options)
        beside = solve_match(inputs, left, options)
        errors.append(
            [_error(shot.scanned[0], c[shot.id].cdl, shot.truth[0]) for c in (alone, beside)]
        )
    return _figures(np.array(errors))


def unrelated_neighbours(grades: int) -> dict[str, Any]:
    """A graded shot of one film beside a held shot of another, in one reel, and nothing else."""
    names = [*clips.available(), *(clips.OTHER_SHOTS if "bikes" in clips.available() else ())]
    pictures = {n: clips.other(n) if n in clips.OTHER_SHOTS else clips.frame(n, 0) for n in names}
    seen = {n: clips.evidence(p) for n, p in pictures.items()}
    options = replace(_OPTIONS, pinned={"A": IDENTITY})
    errors = []
    for number, name in enumerate(names):
        for k in range(grades):
            scanned = clips.scan(pictures[name], clips.grade(700 + k + 17 * number))
            mine = shot_input("B", "R", clips.evidence(scanned), place=1)
            for other in names:
                if other == name or {name, other} in _SAME:
                    continue
                held = shot_input("A", "R", seen[other], place=0)
                cdl = solve_match([held, mine], [], options)["B"].cdl
                before = _error(scanned, IDENTITY, pictures[name])
                after = before if cdl == IDENTITY else _error(scanned, cdl, pictures[name])
                errors.append([before, after])
    return _figures(np.array(errors))


def _error(scanned: F64, cdl: CDL, truth: F64) -> float:
    corrected = apply_cdl(subsample(scanned, _COUNTED), cdl, clamp=False)
    return delta_e_2000(corrected, subsample(truth, _COUNTED))


def _figures(errors: F64) -> dict[str, Any]:
    """errors: (N, 2), without and with neighbours."""
    moved = errors[np.abs(errors[:, 1] - errors[:, 0]) > 1e-6]
    return {
        "cases": len(errors),
        "moved": len(moved),
        "without": round(float(moved[:, 0].mean()), 2) if len(moved) else None,
        "with": round(float(moved[:, 1].mean()), 2) if len(moved) else None,
        "worst_harm": round(float((errors[:, 1] - errors[:, 0]).max()), 3),
    }
