"""Lights that pass over a part of the picture: not flicker, and not to be evened out.

A flash in one place. What headlights, lightning behind a window, a torch, or a tear across much
of a frame do to some cells for a few frames stands far out from what the rest of the shot does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, generate_binary_structure, label

from restore.flicker.field import place_shapes
from restore.smoothing import Curve, smooth_part

_STANDS_OUT = 7.5
"""Times the typical disturbance of the shot, at the peak: near traffic comes to 6 at most, a light
of one stop to 9."""
_EDGE = 2.5
"""The same, down to where what stands out ends."""
_LOOKS = 2
"""A light hides a part of itself in the smooth part; without that it is seen to its end."""
_LEAST_FRAMES = 4
"""Fewer frames without a light, and a cell has no smooth part of its own."""


def restless_surface(
    surface: Curve, trust: Curve, grid: tuple[int, int], least_stops: float
) -> Curve:
    """What a surface does over time that is not smooth, and nothing of it where a light passes.

    surface: (n, shapes) stops of ``place_shapes`` of this grid. trust: (n,) frames, 0 or 1.
    least_stops: smaller than this, nothing is taken for a light.
    returns: (n, shapes), mean zero over trusted frames, zero elsewhere.
    """
    shapes = place_shapes(*grid)[0][:, : surface.shape[1]]
    plain = surface - smooth_part(surface, trust)
    plain -= np.average(plain, axis=0, weights=trust)
    plain[trust == 0.0] = 0.0
    field, rest = surface @ shapes.T, plain @ shapes.T
    everywhere = np.repeat(trust[:, None], field.shape[1], axis=1)
    weights = everywhere
    for _ in range(_LOOKS):
        lit = _lights(rest, weights, grid, least_stops)
        if not lit.any():
            break
        weights = np.where(lit, 0.0, weights)
        rest = _restless(field, weights, trust)
    if weights is everywhere:
        return plain
    back: Curve = rest @ np.linalg.pinv(shapes).T
    return back


def _restless(field: Curve, weights: Curve, trust: Curve) -> Curve:
    """(n, cells) without the smooth part, which goes on beneath a light as if it were not there."""
    rest = field - smooth_part(field, trust)
    for cell in np.flatnonzero((weights != trust[:, None]).any(axis=0)):
        own = weights[:, cell]
        if own.sum() >= _LEAST_FRAMES:
            column = field[:, cell : cell + 1]
            rest[:, cell] = (column - smooth_part(column, own))[:, 0]
    rest -= (rest * weights).sum(axis=0) / np.maximum(weights.sum(axis=0), 1.0)
    rest[weights == 0.0] = 0.0
    return rest


def _lights(
    rest: Curve, weights: Curve, grid: tuple[int, int], least_stops: float
) -> NDArray[np.bool_]:
    """(n, cells) where something stands out, from its peak down to its edge."""
    seen = np.abs(rest[weights > 0.0])
    typical = 1.4826 * float(np.median(seen)) if len(seen) else 0.0
    peak = max(least_stops, _STANDS_OUT * typical)
    edge = peak * _EDGE / _STANDS_OUT
    lit = np.zeros(rest.shape, np.bool_)
    near = generate_binary_structure(3, 1)
    for sign in (1.0, -1.0):
        odd = (sign * rest).reshape(-1, *grid)
        places, _ = label(odd > edge, structure=near)
        high = np.unique(places[odd > peak])
        if len(high):
            lit |= binary_dilation(np.isin(places, high), structure=near).reshape(rest.shape)
    return lit
