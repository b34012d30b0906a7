"""The equations of the match: what edges, wishes, hints and priors say about corrections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix

from color.cdl import CDL
from color.curve import BEND, GAIN, PIVOT_LOG, SATURATION, SHIFT, SIZE, evaluate, from_cdl

F64 = NDArray[np.float64]

LOCKED_STD = 1e-5
"""Of a parameter that is held at the identity."""
LINK_SHIFT_STD_LOG = 0.005
"""Exposure error that all matches of a link share: the few frames compared are not their shots."""
_LEVEL_STD = 0.001
"""Of the mean correction of shots that only meet each other; any small number does."""
_SCALE_FLOOR_LOG = 0.006
_NOISE_FLOOR_LOG = 0.004
_FULL_LINK = 60.0
"""Matches of one link err together (same patch, same shading), so more than this add nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Edge:
    """Matched colors (N, 3) film log of two shots; held shots come already corrected."""

    a: str
    b: str
    x: F64
    y: F64
    confidence: float


@dataclass(frozen=True, slots=True, eq=False)
class WeakEdge:
    """A wish: what ``a`` (a reel or a shot) shows as ``x`` looks as ``b`` shows ``y``, or so.

    ``b`` None: as ``y`` itself. Only gain and shift answer to it.
    """

    a: str
    x: F64
    """(3, Q) film log."""
    y: F64
    std_log: F64
    """(3, Q)."""
    b: str | None = None
    joins: bool = False
    """The two are of one scene by a person's word."""


@dataclass(frozen=True, slots=True)
class Level:
    """Shots whose corrections have zero weighted mean: they meet where they stand on the mean.

    Else agreeing would be easiest where there is least to agree on: without saturation, and with
    the channels drawn towards each other.
    """

    shots: tuple[str, ...]
    own: bool
    """Only what is the shots' own counts, so that their reels may still be off."""
    weights: tuple[float, ...] = ()
    """Of the shots, any sum above 0; empty: all count alike."""

    def shares(self) -> F64:
        """(len(shots),) weights that add up to 1."""
        weights = np.array(self.weights) if self.weights else np.ones(len(self.shots))
        return np.asarray(weights / weights.sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Priors:
    """Standard deviations of the correction, before anything was seen."""

    reel_gain: float = 0.3
    reel_shift: float = 0.1
    """Film log."""
    reel_bend: float = 0.1
    reel_saturation: float = 0.12
    shot_gain: float = 0.05
    shot_shift: float = 0.02
    shot_bend: float = 0.05
    shot_saturation: float = 0.05
    power: bool = True
    saturation: bool = True

    def stds(self, *, reel: bool) -> F64:
        """(SIZE,)."""
        gain, shift, bend, saturation = (
            (self.reel_gain, self.reel_shift, self.reel_bend, self.reel_saturation)
            if reel
            else (self.shot_gain, self.shot_shift, self.shot_bend, self.shot_saturation)
        )
        out = np.empty(SIZE)
        out[GAIN], out[SHIFT] = gain, shift
        out[BEND] = bend if self.power else LOCKED_STD
        out[SATURATION] = saturation if self.saturation else LOCKED_STD
        return out


class Index:
    """Columns of the unknowns: ``SIZE`` for each reel that moves, then for each shot."""

    def __init__(self, free: Mapping[str, str], still: AbstractSet[str]) -> None:
        self.reels = sorted(set(free.values()) - still)
        self.shots = sorted(free)
        self._reel_of = free
        self._first = {("reel", r): SIZE * k for k, r in enumerate(self.reels)}
        start = SIZE * len(self.reels)
        self._first |= {("shot", s): start + SIZE * k for k, s in enumerate(self.shots)}
        self.size = start + SIZE * len(self.shots)

    def of_reel(self, reel: str) -> list[int]:
        found = self._first.get(("reel", reel))
        return [] if found is None else [found]

    def of_shot(self, shot: str) -> list[int]:
        """First columns of all groups that add up to this shot's correction."""
        found = self._first.get(("shot", shot))
        return [] if found is None else [*self.of_reel(self._reel_of[shot]), found]

    def of(self, name: str) -> list[int]:
        """Of a shot, or of a reel."""
        return self.of_shot(name) or self.of_reel(name)


def correction_of(index: Index, theta: F64, shot: str) -> F64:
    total = np.zeros(SIZE)
    for k in index.of_shot(shot):
        total += theta[k : k + SIZE]
    return total


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """Part of the normal equations that no round changes: sparse entries and right side."""

    row: list[NDArray[np.intp]]
    column: list[NDArray[np.intp]]
    value: list[F64]
    right: F64

    def add(self, columns: NDArray[np.intp], block: F64) -> None:
        """block: (K, K) at the crossings of ``columns``."""
        k = len(columns)
        self.row.append(np.repeat(columns, k))
        self.column.append(np.tile(columns, k))
        self.value.append(block.ravel())

    def matrix(self) -> csc_matrix:
        """(n, n)."""
        n = len(self.right)
        if n == 0:
            return csc_matrix((0, 0))
        entries = (np.concatenate(self.row), np.concatenate(self.column))
        return csc_matrix((np.concatenate(self.value), entries), shape=(n, n))


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The equations of one edge, linear around where it stands."""

    columns: NDArray[np.intp]
    """(K,) distinct."""
    design: F64
    """(N, 3, K)."""
    difference: F64
    """(N, 3)."""
    confidence: float


def edge_rows(edge: Edge, index: Index, theta: F64) -> Rows:
    difference = np.zeros_like(edge.x)
    parts: dict[int, F64] = {}
    for values, shot, sign in ((edge.x, edge.a, 1.0), (edge.y, edge.b, -1.0)):
        groups = index.of_shot(shot)
        if not groups:
            difference = difference + sign * values
            continue
        found = evaluate(values, correction_of(index, theta, shot))
        difference = difference + sign * found.value
        for k in groups:
            # Two shots of one reel share the reel's columns: there the terms add up.
            parts[k] = parts[k] + sign * found.slope if k in parts else sign * found.slope
    firsts = sorted(parts)
    columns = np.concatenate([k + np.arange(SIZE) for k in firsts]).astype(np.intp)
    design = np.concatenate([parts[k] for k in firsts], axis=2)
    if index.of_shot(edge.a) and index.of_shot(edge.b):
        difference, design = _by_contrast(edge, index, theta, columns, difference, design)
    return Rows(columns, design, difference, edge.confidence)


def _by_contrast(
    edge: Edge,
    index: Index,
    theta: F64,
    columns: NDArray[np.intp],
    difference: F64,
    design: F64,
) -> tuple[F64, F64]:
    """Differences as shares of the contrast the two shots are given.

    Two shots that may both move would else agree best with no contrast at all.
    """
    place = {int(k): n for n, k in enumerate(columns)}
    scale = np.ones(3)
    for shot in (edge.a, edge.b):
        scale += 0.5 * correction_of(index, theta, shot)[GAIN]
    scale = np.maximum(scale, 0.05)
    design = design / scale[:, None]
    for shot in (edge.a, edge.b):
        for k in index.of_shot(shot):
            for c in range(3):
                design[:, c, place[k + c]] -= 0.5 * difference[:, c] / scale[c] ** 2
    return difference / scale, design


def match_weights(rows: Sequence[Rows], *, plain: bool) -> list[F64]:
    """Cauchy weights per match, capped per link, times the precision of one match."""
    if not rows:
        return []
    distances = [np.linalg.norm(r.difference, axis=1) for r in rows]
    typical = float(np.median(np.concatenate(distances)))
    weights = []
    for row, d in zip(rows, distances, strict=True):
        # 1.54: median of the length of a 3-vector of unit normal errors. A link that errs more
        # than most says less than most, and one with few matches is taken to err as most do.
        own = float(np.median(d))
        share = len(d) / (len(d) + _FULL_LINK)
        sigma = max(typical, own * share + typical * (1.0 - share)) / 1.54
        scale = 2.0 * max(sigma, _SCALE_FLOOR_LOG)
        precision = max(sigma, _NOISE_FLOOR_LOG) ** -2
        w = np.ones_like(d) if plain else 1.0 / (1.0 + (d / scale) ** 2)
        weights.append(w * precision * row.confidence * min(1.0, _FULL_LINK / len(d)))
    return weights


def fixed_terms(
    index: Index,
    weak: Sequence[WeakEdge],
    hints: Sequence[tuple[str, CDL]],
    stds: F64,
    priors: Priors,
    levels: Sequence[Level] = (),
) -> Terms:
    """Priors, weak edges, human hints, and the level of what nothing held is linked to."""
    terms = Terms([], [], [], np.zeros(index.size))
    everything = np.arange(index.size)
    terms.row.append(everything)
    terms.column.append(everything)
    terms.value.append(stds**-2.0)
    for edge in weak:
        for c in range(3):
            _add_weak(terms, index, edge, c)
    precision = priors.stds(reel=False) ** -2.0
    for reel, cdl in hints:
        for k in index.of_reel(reel):
            columns = k + np.arange(SIZE)
            terms.add(columns, np.diag(precision))
            terms.right[columns] += precision * from_cdl(cdl)
    for level in levels:
        _keep_level(terms, index, level)
    return terms


def _keep_level(terms: Terms, index: Index, level: Level) -> None:
    for parameter in range(SIZE):
        shares: dict[int, float] = {}
        for shot, share in zip(level.shots, level.shares(), strict=True):
            firsts = index.of_shot(shot)
            for k in firsts[-1:] if level.own else firsts:
                column = k + parameter
                shares[column] = shares.get(column, 0.0) + float(share)
        columns = np.array(sorted(shares), dtype=np.intp)
        row = np.array([shares[k] for k in columns])
        terms.add(columns, np.outer(row, row) / _LEVEL_STD**2)


def _add_weak(terms: Terms, index: Index, edge: WeakEdge, channel: int) -> None:
    """gain (x - p) + shift on the one side, less the same on the other, is y - x."""
    parts: dict[int, F64] = {}
    for values, name, sign in ((edge.x, edge.a, 1.0), (edge.y, edge.b, -1.0)):
        for k in index.of(name) if name is not None else []:
            for column, entry in (
                (k + channel, values[channel] - PIVOT_LOG),
                (k + 3 + channel, np.ones_like(values[channel])),
            ):
                parts[column] = parts.get(column, np.zeros_like(entry)) + sign * entry
    if not parts:
        return
    columns = np.array(sorted(parts), dtype=np.intp)
    design = np.stack([parts[k] for k in columns])
    weighted = design / edge.std_log[channel] ** 2
    terms.add(columns, weighted @ design.T)
    terms.right[columns] += weighted @ (edge.y[channel] - edge.x[channel])
