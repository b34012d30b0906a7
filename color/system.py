"""The robust least-squares system behind the match. Numpy and scipy only.

Corrections are written around a mid-tone (``color.curve``), so a prior on one parameter does not
move another. Gauss-Newton over all shots of all reels, with Cauchy weights on the matches; the
normal equations are sparse, since a shot meets few others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix
from scipy.sparse.linalg import splu

from color.cdl import CDL
from color.curve import BEND, GAIN, PIVOT_LOG, SATURATION, SHIFT, SIZE, evaluate, from_cdl

F64 = NDArray[np.float64]

_ROUNDS = 30
_CONVERGED = 1e-7
_SCALE_FLOOR_LOG = 0.006
_NOISE_FLOOR_LOG = 0.004
_FULL_LINK = 60.0
"""Matches of one link err together (same patch, same shading), so more than this add nothing."""
_PLAIN_ROUNDS = 2
_LOCKED_STD = 1e-5
_CLEAR = 2.5
"""Power and saturation of a shot stay 1 unless they stand out by this many deviations."""
_TINY = 0.005


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
        out[BEND] = bend if self.power else _LOCKED_STD
        out[SATURATION] = saturation if self.saturation else _LOCKED_STD
        return out


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """What the solve says about one shot."""

    theta: F64
    """(SIZE,) parameters, see ``color.curve``."""
    covariance: F64
    """(SIZE, SIZE)."""


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """All shots."""

    shots: dict[str, Node]
    residual: dict[tuple[str, str], float]
    """Median distance of matched colors after the solve, film log, per edge that was used."""
    prior_std: float
    """What ``mean_std`` gives before anything was seen."""
    weak: frozenset[str] = field(default=frozenset())
    """Reels and shots that a weak edge speaks for."""


def mean_std(covariance: F64) -> F64:
    """(3,) standard deviation of a corrected value, over shadow, middle and light; film log."""
    levels = np.array([0.2, 0.4, 0.6]) - PIVOT_LOG
    rows = np.stack([levels, np.ones(3)], axis=1)
    pairs = np.stack([covariance[np.ix_([c, 3 + c], [c, 3 + c])] for c in range(3)])
    variance = np.einsum("li,cij,lj->cl", rows, pairs, rows)
    return np.asarray(np.sqrt(np.maximum(variance, 0.0).mean(axis=1)))


class _Factor(Protocol):
    """A factored matrix of ``scipy.sparse.linalg.splu``."""

    def solve(self, right: F64) -> F64:
        """(n,) or (n, m) in and out."""


class _Index:
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


def solve_system(
    free: Mapping[str, str],
    still: AbstractSet[str],
    edges: Sequence[Edge],
    weak: Sequence[WeakEdge],
    hints: Sequence[tuple[str, CDL]],
    priors: Priors,
) -> Solution:
    """The corrections of all free shots.

    free: shot -> reel. still: reels whose own correction stays the identity. hints: decisions
    made for a shot of a reel. Power and saturation that the matches do not clearly ask for are
    held at 1, and the rest is solved again.
    """
    index = _Index(free, still)
    edges = [e for e in edges if index.of_shot(e.a) or index.of_shot(e.b)]
    stds = np.concatenate(
        [priors.stds(reel=True)] * len(index.reels) + [priors.stds(reel=False)] * len(index.shots)
    ) if index.size else np.zeros(0)
    theta, factor = _descend(index, edges, _fixed_terms(index, weak, hints, stds, priors))
    unclear = _unclear(index, theta, factor)
    if unclear.any():
        stds = np.where(unclear, _LOCKED_STD, stds)
        theta, factor = _descend(index, edges, _fixed_terms(index, weak, hints, stds, priors))
        theta[unclear] = 0.0
    return _solution(index, free, still, edges, weak, theta, factor, priors)


@dataclass(frozen=True, slots=True, eq=False)
class _Terms:
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
        entries = (np.concatenate(self.row), np.concatenate(self.column))
        return csc_matrix((np.concatenate(self.value), entries), shape=(n, n))


def _descend(index: _Index, edges: Sequence[Edge], terms: _Terms) -> tuple[F64, _Factor | None]:
    """Gauss-Newton from the identity."""
    theta: F64 = np.zeros(index.size)
    factor: _Factor | None = None
    still = terms.matrix() if index.size else None
    for step in range(_ROUNDS if index.size else 0):
        rows = [_rows(e, index, theta) for e in edges]
        weights = _weights(rows, plain=step < _PLAIN_ROUNDS)
        whole = _Terms([*terms.row], [*terms.column], [*terms.value], terms.right)
        right = terms.right - still @ theta
        for row, w in zip(rows, weights, strict=True):
            weighted = row.design * w[:, None, None]
            flat, plain = weighted.reshape(-1, len(row.columns)), row.design.reshape(
                -1, len(row.columns)
            )
            whole.add(row.columns, flat.T @ plain)
            right[row.columns] -= flat.T @ row.difference.ravel()
        factor = splu(
            whole.matrix(),
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )
        change = factor.solve(right)
        theta = theta + change
        if step > _PLAIN_ROUNDS and np.abs(change).max() < _CONVERGED:
            break
    return theta, factor


def _unclear(
    index: _Index, theta: F64, factor: _Factor | None
) -> NDArray[np.bool_]:
    """Powers and saturations that do not stand out from their uncertainty: (n,).

    A shot is judged by its whole correction, since evidence does not say which part of it is
    the reel's; a reel bends when any of its shots clearly does.
    """
    found = np.zeros(index.size, dtype=np.bool_)
    if factor is None:
        return found
    for first in range(0, index.size, SIZE):
        found[first + 6 : first + SIZE] = True
    asked = np.arange(6, SIZE)
    for shot in index.shots:
        groups = index.of_shot(shot)
        pick = np.zeros((index.size, len(asked)))
        for k in groups:
            pick[k + asked, np.arange(len(asked))] = 1.0
        variance = np.einsum("ni,ni->i", pick, factor.solve(pick))
        total = _node(index, theta, shot)[asked]
        clear = np.abs(total) > np.maximum(_CLEAR * np.sqrt(np.maximum(variance, 0.0)), _TINY)
        # Powers go together: as soon as one channel clearly bends, all three may.
        clear[:3] = clear[:3].any()
        for k in groups:
            found[k + asked] &= ~clear
    return found


def _node(index: _Index, theta: F64, shot: str) -> F64:
    total = np.zeros(SIZE)
    for k in index.of_shot(shot):
        total += theta[k : k + SIZE]
    return total


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """The equations of one edge, linear around where it stands."""

    columns: NDArray[np.intp]
    """(K,) distinct."""
    design: F64
    """(N, 3, K)."""
    difference: F64
    """(N, 3)."""
    confidence: float


def _rows(edge: Edge, index: _Index, theta: F64) -> _Rows:
    difference = np.zeros_like(edge.x)
    parts: dict[int, F64] = {}
    for values, shot, sign in ((edge.x, edge.a, 1.0), (edge.y, edge.b, -1.0)):
        groups = index.of_shot(shot)
        if not groups:
            difference = difference + sign * values
            continue
        found = evaluate(values, _node(index, theta, shot))
        difference = difference + sign * found.value
        for k in groups:
            # Two shots of one reel share the reel's columns: there the terms add up.
            parts[k] = parts[k] + sign * found.slope if k in parts else sign * found.slope
    firsts = sorted(parts)
    columns = np.concatenate([k + np.arange(SIZE) for k in firsts]).astype(np.intp)
    design = np.concatenate([parts[k] for k in firsts], axis=2)
    if index.of_shot(edge.a) and index.of_shot(edge.b):
        difference, design = _by_contrast(edge, index, theta, columns, difference, design)
    return _Rows(columns, design, difference, edge.confidence)


def _by_contrast(
    edge: Edge,
    index: _Index,
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
        scale += 0.5 * _node(index, theta, shot)[GAIN]
    scale = np.maximum(scale, 0.05)
    design = design / scale[:, None]
    for shot in (edge.a, edge.b):
        for k in index.of_shot(shot):
            for c in range(3):
                design[:, c, place[k + c]] -= 0.5 * difference[:, c] / scale[c] ** 2
    return difference / scale, design


def _weights(rows: Sequence[_Rows], *, plain: bool) -> list[F64]:
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


def _fixed_terms(
    index: _Index,
    weak: Sequence[WeakEdge],
    hints: Sequence[tuple[str, CDL]],
    stds: F64,
    priors: Priors,
) -> _Terms:
    """Priors, weak edges and human hints."""
    terms = _Terms([], [], [], np.zeros(index.size))
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
    return terms


def _add_weak(terms: _Terms, index: _Index, edge: WeakEdge, channel: int) -> None:
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


def _solution(
    index: _Index,
    free: Mapping[str, str],
    still: AbstractSet[str],
    edges: Sequence[Edge],
    weak: Sequence[WeakEdge],
    theta: F64,
    factor: _Factor | None,
    priors: Priors,
) -> Solution:
    groups = _floating_groups(free, still, edges)
    shots: dict[str, Node] = {}
    for shot in index.shots:
        terms = [(k, 1.0) for k in index.of_shot(shot)]
        group = groups.get(shot, ())
        # Shots that only meet each other meet around the identity by definition: how far their
        # common level is off cannot be known and is not held against them.
        terms += [(k, -1.0 / len(group)) for mate in group for k in index.of_shot(mate)]
        pick = np.zeros((index.size, SIZE))
        for k, u in terms:
            pick[k + np.arange(SIZE), np.arange(SIZE)] += u
        covariance = pick.T @ factor.solve(pick) if factor is not None else np.zeros((SIZE, SIZE))
        shots[shot] = Node(_node(index, theta, shot), covariance)
    alone = set(free.values()) <= still
    own, shared = priors.stds(reel=False) ** 2, priors.stds(reel=True) ** 2
    rows = [_rows(e, index, theta) for e in edges]
    return Solution(
        shots=shots,
        residual={
            (e.a, e.b): float(np.median(np.linalg.norm(r.difference, axis=1)))
            for e, r in zip(edges, rows, strict=True)
        },
        prior_std=float(mean_std(np.diag(own if alone else own + shared))[0]),
        weak=frozenset(name for e in weak for name in (e.a, e.b) if name is not None),
    )


def _floating_groups(
    free: Mapping[str, str], still: AbstractSet[str], edges: Sequence[Edge]
) -> dict[str, tuple[str, ...]]:
    """Shots of a still reel that are linked among themselves and to nothing held: shot -> group."""
    group = {s: {s} for s, reel in free.items() if reel in still}
    grounded: set[str] = set()
    for edge in edges:
        a, b = group.get(edge.a), group.get(edge.b)
        if a is None or b is None:
            grounded |= {edge.a, edge.b}
        elif a is not b:
            a |= b
            for shot in b:
                group[shot] = a
    return {
        s: tuple(sorted(mates))
        for s, mates in group.items()
        if len(mates) > 1 and not mates & grounded
    }
