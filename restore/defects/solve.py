"""Take a defect map or refuse it, by name; and where it lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FOLLOWS_LIMIT = 0.35
"""Density of the map for each density of the picture: dyes give a few hundredths, silver 1."""
ECHO_LIMIT = 0.3
_DENSEST = 2.0
"""Median density of a map from which on it is no map: one hundredth of the light comes through."""
_MEANS = "reels.defect_map_means may be the wrong way round"
_SURE = 10.0
_AGREE = 0.5
_AGREED_PX = 1.5
_MATTERS_PX = 20
"""Defects of fewer pixels, over all frames looked at, are too few to be placed, and to matter."""

_TURNED = 10
"""Times as many pixels clearer than their surroundings as denser ones: dirt stops infra-red."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapFit:
    """A map as it is to be used."""

    applied: bool
    reason: str
    dx_px: float = 0.0
    """How far to the right of the map the picture lies."""
    dy_px: float = 0.0
    confidence: float = 1.0


def solve_defects(evidence: Mapping[str, Any], channels: int) -> MapFit:
    """channels: of the picture, which tells what it was most likely shot on."""
    if not evidence["frames"]:
        return MapFit(applied=False, reason="no frame has a map", confidence=0.0)
    follows, echo = float(evidence["follows"]), abs(float(evidence["echo"]))
    if follows > FOLLOWS_LIMIT or echo > ECHO_LIMIT:
        film = "silver black-and-white" if channels == 1 else "Kodachrome or silver"
        how = f"{follows:.2f} of the picture's density" if follows > FOLLOWS_LIMIT else "its detail"
        return MapFit(
            applied=False,
            reason=f"the map shows the picture ({how}): {film} film stops infra-red as dirt does, "
            "or an alpha holds the picture's own matte or was multiplied with it",
            confidence=0.0,
        )
    if float(evidence["density"]) > _DENSEST:
        return MapFit(
            applied=False,
            reason=f"the map says that nearly all of the picture is dirt: it is empty, or {_MEANS}",
            confidence=0.0,
        )
    if int(evidence["gaps_px"]) > _TURNED * max(int(evidence["spots_px"]), _MATTERS_PX):
        return MapFit(
            applied=False,
            reason=f"what stands out in the map is the other way round: {_MEANS}",
            confidence=0.0,
        )
    if int(evidence["spots_px"]) < _MATTERS_PX:
        return MapFit(applied=True, reason="next to no defects in the map")
    surface = np.asarray(evidence["surface"], np.float64)
    row, column, sure = _peak(surface)
    reach = surface.shape[0] // 2
    places = np.asarray(evidence["places"], np.float64).reshape(-1, 2)
    near = np.abs(places - [row - reach, column - reach]).max(axis=1) <= _AGREED_PX
    agree = float(near.mean()) if len(places) else 0.0
    at_rim = {row, column} & {0, 1, 2 * reach - 1, 2 * reach}
    if sure < _SURE or at_rim or agree < _AGREE:
        return MapFit(
            applied=False,
            reason="the map cannot be placed on the picture: its defects are not seen there; "
            f"it may be of other frames, or {_MEANS}",
            confidence=0.0,
        )
    through = np.asarray(evidence["through"], np.float64)
    near_row, near_column, seen = _peak(through)
    if seen >= _SURE and max(abs(near_row - row), abs(near_column - column)) <= 1:
        # What shines through of the picture has finer detail than dirt: it says where, exactly.
        surface, row, column = through, near_row, near_column
    return MapFit(
        applied=True,
        reason="",
        dx_px=round(column - reach + _between(surface[row, column - 1 : column + 2]), 3),
        dy_px=round(row - reach + _between(surface[row - 1 : row + 2, column]), 3),
        confidence=round(min(1.0, sure / (2 * _SURE)) * (0.5 + 0.5 * agree), 3),
    )


def _peak(surface: NDArray[np.float64]) -> tuple[int, int, float]:
    """Row and column of the highest value, and how many deviations it stands out."""
    row, column = (int(v) for v in np.unravel_index(int(surface.argmax()), surface.shape))
    away = surface.copy()
    away[max(0, row - 4) : row + 5, max(0, column - 4) : column + 5] = np.nan
    middle = float(np.nanmedian(away))
    spread = 1.4826 * float(np.nanmedian(np.abs(away - middle)))
    return row, column, (float(surface[row, column]) - middle) / max(spread, 1e-9)


def _between(three: NDArray[np.float64]) -> float:
    """Where the top of a bell through three values lies, -0.5..0.5."""
    before, top, after = (float(v) for v in np.log(np.maximum(three, 1e-6 * three.max())))
    bend = before - 2.0 * top + after
    return float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5)) if bend < 0.0 else 0.0
