"""The robust least-squares system behind the match. Numpy and scipy only.

A correction is written around a mid-tone pivot p: f(x) = x + gain * (x - p) + shift, per
channel. Gain and shift are then nearly independent, so a prior on one does not move the other.
Channels share the robust weights and nothing else, so each is a linear system of its own.
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

from color.cdl import CDL, saturation_matrix

F64 = NDArray[np.float64]

PIVOT_LOG = 0.4
"""Near the code of a mid grey (445/1023)."""
_ROUNDS = 30
_CONVERGED_LOG = 1e-7
_SCALE_FLOOR_LOG = 0.006
_NOISE_FLOOR_LOG = 0.008
_FULL_LINK = 40.0
"""Matches of one link err together (same patch, same shading), so more than this add nothing."""
_PLAIN_ROUNDS = 2


@dataclass(frozen=True, slots=True, eq=False)
class Edge:
    """Matched colors (N, 3) film log of two shots; held shots come already corrected."""

    a: str
    b: str
    x: F64
    y: F64
    confidence: float


@dataclass(frozen=True, slots=True, eq=False)
class ReelEdge:
    """A weak wish: reel ``reel`` moves ``x`` to ``y``, each (3, Q) film log, give or take."""

    reel: str
    x: F64
    y: F64
    std_log: F64
    """(3, Q)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Priors:
    """Standard deviations of the correction, before anything was seen."""

    reel_gain: float = 0.3
    reel_shift: float = 0.1
    """Film log."""
    shot_gain: float = 0.05
    shot_shift: float = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """What the solve says about one shot."""

    gain: F64
    """(3,)."""
    shift: F64
    """(3,) film log."""
    covariance: F64
    """(3, 2, 2) of (gain, shift) per channel."""


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """All shots."""

    shots: dict[str, Node]
    residual: dict[tuple[str, str], float]
    """Median distance of matched colors after the solve, film log, per edge that was used."""
    prior_std: float
    """What ``mean_std`` gives before anything was seen."""
    weak_reels: frozenset[str] = field(default=frozenset())


def mean_std(covariance: F64) -> F64:
    """(3,) standard deviation of a corrected value, over shadow, middle and light; film log."""
    levels = np.array([0.2, 0.4, 0.6]) - PIVOT_LOG
    rows = np.stack([levels, np.ones(3)], axis=1)
    variance = np.einsum("li,cij,lj->cl", rows, covariance, rows)
    return np.asarray(np.sqrt(np.maximum(variance, 0.0).mean(axis=1)))


class _Factor(Protocol):
    """A factored matrix of ``scipy.sparse.linalg.splu``."""

    def solve(self, right: F64) -> F64:
        """(n,) or (n, m) in and out."""


class _Index:
    """Columns of the unknowns: (gain, shift) pairs of reels, then of shots."""

    def __init__(self, free: Mapping[str, str], still: AbstractSet[str]) -> None:
        self.reels = sorted(set(free.values()) - still)
        self.shots = sorted(free)
        self._reel_of = free
        self._reel = {r: 2 * k for k, r in enumerate(self.reels)}
        self._shot = {s: 2 * (len(self.reels) + k) for k, s in enumerate(self.shots)}
        self.size = 2 * (len(self.reels) + len(self.shots))

    def of_reel(self, reel: str) -> list[int]:
        return [self._reel[reel]] if reel in self._reel else []

    def of_shot(self, shot: str) -> list[int]:
        """First columns of all pairs that add up to this shot's correction."""
        if shot not in self._shot:
            return []
        return [*self.of_reel(self._reel_of[shot]), self._shot[shot]]


def solve_system(
    free: Mapping[str, str],
    still: AbstractSet[str],
    edges: Sequence[Edge],
    weak: Sequence[ReelEdge],
    hints: Sequence[tuple[str, CDL]],
    saturation: Mapping[str, float],
    priors: Priors,
) -> Solution:
    """The corrections of all free shots.

    free: shot -> reel. still: reels whose own correction stays the identity. hints: decisions
    made for a shot of a reel. saturation: per reel, applied after these corrections; matches
    against held shots are compared before it.
    """
    index = _Index(free, still)
    edges = [e for e in edges if index.of_shot(e.a) or index.of_shot(e.b)]
    rows = [_rows(_before_saturation(e, free, saturation), index) for e in edges]
    terms = _fixed_terms(index, weak, hints, priors)
    theta: F64 = np.zeros((3, index.size))
    factors = _factors(terms, [], [], index.size)
    for step in range(_ROUNDS if index.size else 0):
        weights = _weights(rows, theta, plain=step < _PLAIN_ROUNDS)
        factors = _factors(terms, rows, weights, index.size)
        right = terms.right.copy()
        for row, w in zip(rows, weights, strict=True):
            right[:, row.columns] -= ((row.design * w) @ row.difference[..., None])[..., 0]
        before, theta = theta, np.stack([f.solve(r) for f, r in zip(factors, right, strict=True)])
        if step > _PLAIN_ROUNDS and np.abs(theta - before).max() < _CONVERGED_LOG:
            break
    return _solution(index, free, still, edges, rows, weak, theta, factors, priors)


@dataclass(frozen=True, slots=True, eq=False)
class _Terms:
    """Part of the normal equations that no round changes, as entries of sparse matrices."""

    row: list[NDArray[np.intp]]
    column: list[NDArray[np.intp]]
    value: list[F64]
    """(3, entries) each."""
    right: F64
    """(3, n)."""

    def add(self, columns: NDArray[np.intp], block: F64) -> None:
        """block: (3, K, K) at the crossings of ``columns``."""
        k = len(columns)
        self.row.append(np.repeat(columns, k))
        self.column.append(np.tile(columns, k))
        self.value.append(block.reshape(3, k * k))


def _factors(
    terms: _Terms, rows: Sequence[_Rows], weights: Sequence[F64], size: int
) -> list[_Factor]:
    """Each channel's normal equations, factored. Sparse: a shot meets few others."""
    if size == 0:
        return []
    whole = _Terms([*terms.row], [*terms.column], [*terms.value], terms.right)
    for row, w in zip(rows, weights, strict=True):
        whole.add(row.columns, (row.design * w) @ row.design.transpose(0, 2, 1))
    r, c = np.concatenate(whole.row), np.concatenate(whole.column)
    values = np.concatenate(whole.value, axis=1)
    return [
        splu(
            csc_matrix((v, (r, c)), shape=(size, size)),
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )
        for v in values
    ]


def _before_saturation(
    edge: Edge, free: Mapping[str, str], saturation: Mapping[str, float]
) -> Edge:
    sat_a = saturation.get(free[edge.a], 1.0) if edge.a in free else None
    sat_b = saturation.get(free[edge.b], 1.0) if edge.b in free else None
    x, y = edge.x, edge.y
    if sat_a is None and sat_b is not None and sat_b != 1.0:
        x = x @ saturation_matrix(1.0 / sat_b).T
    if sat_b is None and sat_a is not None and sat_a != 1.0:
        y = y @ saturation_matrix(1.0 / sat_a).T
    return Edge(edge.a, edge.b, x, y, edge.confidence)


def _node(index: _Index, theta: F64, shot: str) -> tuple[F64, F64]:
    gain, shift = np.zeros(3), np.zeros(3)
    for k in index.of_shot(shot):
        gain, shift = gain + theta[:, k], shift + theta[:, k + 1]
    return gain, shift


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """The equations of one edge: difference + theta[:, columns] . design = 0."""

    columns: NDArray[np.intp]
    """(K,) distinct."""
    design: F64
    """(3, K, N)."""
    difference: F64
    """(3, N)."""
    confidence: float


def _rows(edge: Edge, index: _Index) -> _Rows:
    x, y = edge.x.T, edge.y.T
    parts: dict[int, F64] = {}
    for values, shot, sign in ((x, edge.a, 1.0), (y, edge.b, -1.0)):
        for k in index.of_shot(shot):
            # Two shots of one reel share the reel's columns: there the terms add up.
            parts[k] = parts.get(k, np.zeros_like(x)) + sign * (values - PIVOT_LOG)
            parts[k + 1] = parts.get(k + 1, np.zeros_like(x)) + sign
    columns = sorted(parts)
    design = np.stack([parts[k] for k in columns], axis=1)
    return _Rows(np.array(columns, dtype=np.intp), design, x - y, edge.confidence)


def _distances(rows: Sequence[_Rows], theta: F64) -> list[F64]:
    """(N,) per edge: how far matched colors are apart, film log."""
    return [
        np.asarray(
            np.linalg.norm(r.difference + (theta[:, None, r.columns] @ r.design)[:, 0], axis=0)
        )
        for r in rows
    ]


def _weights(rows: Sequence[_Rows], theta: F64, *, plain: bool) -> list[F64]:
    """Cauchy weights per match, capped per link, times the precision of one match."""
    if not rows:
        return []
    distances = _distances(rows, theta)
    # 1.54: median of the length of a 3-vector of unit normal errors.
    sigma = float(np.median(np.concatenate(distances))) / 1.54
    scale = 2.0 * max(sigma, _SCALE_FLOOR_LOG)
    precision = max(sigma, _NOISE_FLOOR_LOG) ** -2
    weights = []
    for row, d in zip(rows, distances, strict=True):
        w = np.ones_like(d) if plain else 1.0 / (1.0 + (d / scale) ** 2)
        weights.append(w * precision * row.confidence * min(1.0, _FULL_LINK / len(d)))
    return weights


def _fixed_terms(
    index: _Index,
    weak: Sequence[ReelEdge],
    hints: Sequence[tuple[str, CDL]],
    priors: Priors,
) -> _Terms:
    """Priors, weak reel edges and human hints."""
    reels = 2 * len(index.reels)
    terms = _Terms([], [], [], np.zeros((3, index.size)))
    diagonal = np.empty(index.size)
    diagonal[0:reels:2], diagonal[1:reels:2] = priors.reel_gain**-2, priors.reel_shift**-2
    diagonal[reels::2], diagonal[reels + 1 :: 2] = priors.shot_gain**-2, priors.shot_shift**-2
    everything = np.arange(index.size)
    terms.row.append(everything)
    terms.column.append(everything)
    terms.value.append(np.tile(diagonal, (3, 1)))
    for edge in weak:
        for k in index.of_reel(edge.reel):
            design = np.stack([edge.x - PIVOT_LOG, np.ones_like(edge.x)], axis=1)
            weighted = design / edge.std_log[:, None] ** 2
            terms.add(np.array([k, k + 1]), weighted @ design.transpose(0, 2, 1))
            terms.right[:, k : k + 2] += (weighted @ (edge.y - edge.x)[..., None])[..., 0]
    precision = np.array([priors.shot_gain**-2, priors.shot_shift**-2])
    for reel, cdl in hints:
        for k in index.of_reel(reel):
            gain = np.array(cdl.slope) - 1.0
            wish = np.stack([gain, np.array(cdl.offset) + gain * PIVOT_LOG], axis=1)
            terms.add(np.array([k, k + 1]), np.tile(np.diag(precision), (3, 1, 1)))
            terms.right[:, k : k + 2] += precision * wish
    return terms


def _solution(
    index: _Index,
    free: Mapping[str, str],
    still: AbstractSet[str],
    edges: Sequence[Edge],
    rows: Sequence[_Rows],
    weak: Sequence[ReelEdge],
    theta: F64,
    factors: Sequence[_Factor],
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
        pick = np.zeros((index.size, 2))
        for k, u in terms:
            pick[k, 0] += u
            pick[k + 1, 1] += u
        covariance = np.stack([pick.T @ f.solve(pick) for f in factors])
        gain, shift = _node(index, theta, shot)
        shots[shot] = Node(gain, shift, covariance)
    alone = set(free.values()) <= still
    gain_std = priors.shot_gain if alone else float(np.hypot(priors.reel_gain, priors.shot_gain))
    shift_std = (
        priors.shot_shift if alone else float(np.hypot(priors.reel_shift, priors.shot_shift))
    )
    prior = np.repeat(np.diag([gain_std**2, shift_std**2])[None], 3, axis=0)
    return Solution(
        shots=shots,
        residual={
            (e.a, e.b): float(np.median(d))
            for e, d in zip(edges, _distances(rows, theta), strict=True)
        },
        prior_std=float(mean_std(prior)[0]),
        weak_reels=frozenset(e.reel for e in weak),
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
