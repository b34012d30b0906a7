"""The shapes that flicker can take over the frame and over tones.

Over the frame: a smooth surface given by its values at nodes that reach from border to border,
cubic B-splines between them (de Boor 1978), straight on past the outermost. Over tones: exposure,
contrast about a pivot (what a changing gamma does), and a bend of that.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from media.encoding import STOP

Curve = NDArray[np.float64]

NODES = (6, 8)
"""Rows and columns of nodes, the outermost on the border of the frame."""
TONES = 3
"""Exposure, contrast, bend."""
REACH_STOPS = 2.5
"""Tones further from the pivot are treated like this one: nothing is extrapolated."""

CLASSES = (3, 8, 15, 26)
"""Surfaces in order of unevenness: the first three are tilts."""


def tone_shapes(level: Curve, pivot: float) -> Curve:
    """Stops of correction per unit of exposure, contrast and bend at film log ``level``.

    level: any shape. returns: the same with a last axis of TONES.
    """
    u: Curve = np.clip((level - pivot) / STOP, -REACH_STOPS, REACH_STOPS)
    return np.stack([np.ones_like(u), u, u * u - 1.0], axis=-1)


def node_weights(at: Curve, nodes: int) -> Curve:
    """(n, nodes) share of each node's value at positions ``at``, 0..1 from border to border.

    Each position is worked out by itself, element by element: tiles agree with the whole.
    """
    spline = _spline(np.asarray(at, np.float64), nodes)
    through = _through(nodes)
    out = np.zeros((len(spline), nodes))
    for k in range(nodes):
        out += spline[:, k : k + 1] * through[k]
    return out


@lru_cache(maxsize=8)
def _through(nodes: int) -> Curve:
    """(nodes, nodes) spline coefficients of values at the nodes."""
    spline = _spline(np.linspace(0.0, 1.0, nodes), nodes)
    return np.asarray(np.linalg.inv(spline), np.float64)


def _spline(at: Curve, nodes: int) -> Curve:
    """(n, nodes) uniform cubic B-splines; those past the ends go on in a straight line."""
    place = at * (nodes - 1)
    first = np.clip(np.floor(place).astype(int), 0, nodes - 2)
    f = place - first
    parts = ((1 - f) ** 3, 3 * f**3 - 6 * f**2 + 4, 3 * f + 3 * f**2 + 1 - 3 * f**3, f**3)
    padded = np.zeros((len(place), nodes + 2))
    rows = np.arange(len(place))
    for k, part in enumerate(parts):
        padded[rows, first + k] += part / 6.0
    out = padded[:, 1:-1].copy()
    out[:, 0] += 2 * padded[:, 0]
    out[:, 1] -= padded[:, 0]
    out[:, -1] += 2 * padded[:, -1]
    out[:, -2] -= padded[:, -1]
    return out


@lru_cache(maxsize=4)
def place_shapes(rows: int, cols: int) -> tuple[Curve, Curve, NDArray[np.int64]]:
    """Surfaces without a mean, from the smoothest to the most uneven.

    returns: their means in each of rows x cols cells (cells, k); their values at the nodes
    (NODES[0] * NODES[1], k); and the class of unevenness of each (k,), from 0 up.
    """
    cells = np.kron(_cell_means(rows, NODES[0]), _cell_means(cols, NODES[1]))
    bends = [np.diff(np.eye(n), 2, axis=0) for n in NODES]
    bending = [b.T @ b for b in bends]
    rough = np.kron(bending[0], np.eye(NODES[1])) + np.kron(np.eye(NODES[0]), bending[1])
    mass = cells.T @ cells / len(cells)
    level = cells.mean(axis=0)
    # No surface but the level itself may carry a mean over the cells.
    _, _, other = np.linalg.svd(level[None, :])
    free = other[1:].T
    shapes: Curve
    size, shapes = eigh(free.T @ rough @ free, free.T @ mass @ free)
    nodes = free @ shapes
    order = np.argsort(size, kind="stable")
    classes = np.searchsorted(CLASSES, np.arange(len(order)), side="right")
    means: Curve = cells @ nodes[:, order]
    return means, nodes[:, order], classes.astype(np.int64)


def _cell_means(cells: int, nodes: int) -> Curve:
    """(cells, nodes) weights that give the mean of a surface over each cell."""
    fine = 8
    at = (np.arange(cells * fine) + 0.5) / (cells * fine)
    means: Curve = node_weights(at, nodes).reshape(cells, fine, nodes).mean(axis=1)
    return means
