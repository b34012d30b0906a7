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
from scipy.sparse.linalg import splu

from color.cdl import CDL
from color.curve import PIVOT_LOG, SIZE
from color.equations import (
    LINK_SHIFT_STD_LOG,
    LOCKED_STD,
    Edge,
    Index,
    Priors,
    Terms,
    WeakEdge,
    correction_of,
    edge_rows,
    fixed_terms,
    match_weights,
)
from color.level import Agreed, agreed, agreed_levels, floating_levels

F64 = NDArray[np.float64]

_ROUNDS = 30
_CONVERGED = 1e-7
_PLAIN_ROUNDS = 2
_LEVEL_ROUNDS = 4
"""Which shots agree is seen better once those that do not have less of a say."""
_CLEAR = 2.5
"""Power and saturation of a shot stay 1 unless they stand out by this many deviations."""
_TINY = 0.005


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """What the solve says about one shot."""

    theta: F64
    """(SIZE,) parameters, see ``color.curve``."""
    of_reel: F64
    """(SIZE,) the part that is its reel's."""
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
    agreed: Mapping[str, Agreed] = field(default_factory=dict)
    """Shots of groups in which most shots were found to agree already."""


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
    index = Index(free, still)
    edges = [e for e in edges if index.of_shot(e.a) or index.of_shot(e.b)]
    stds = (
        np.concatenate(
            [priors.stds(reel=True)] * len(index.reels)
            + [priors.stds(reel=False)] * len(index.shots)
        )
        if index.size
        else np.zeros(0)
    )
    levels = floating_levels(index, free, edges, weak, {reel for reel, _ in hints})
    theta, factor = _descend(index, edges, fixed_terms(index, weak, hints, stds, priors, levels))
    for left in reversed(range(_LEVEL_ROUNDS if levels else 0)):
        levels = agreed_levels(levels, index, theta, last=left == 0)
        terms = fixed_terms(index, weak, hints, stds, priors, levels)
        theta, factor = _descend(index, edges, terms, theta)
    unclear = _unclear(index, theta, factor)
    if unclear.any():
        stds = np.where(unclear, LOCKED_STD, stds)
        terms = fixed_terms(index, weak, hints, stds, priors, levels)
        theta, factor = _descend(index, edges, terms)
        theta[unclear] = 0.0
    return _solution(index, free, still, edges, weak, theta, factor, priors, agreed(levels))


def _descend(
    index: Index, edges: Sequence[Edge], terms: Terms, start: F64 | None = None
) -> tuple[F64, _Factor | None]:
    """Gauss-Newton from the identity, or from ``start``."""
    theta: F64 = np.zeros(index.size) if start is None else start
    unweighted = _PLAIN_ROUNDS if start is None else 0
    factor: _Factor | None = None
    still = terms.matrix()
    for step in range(_ROUNDS if index.size else 0):
        rows = [edge_rows(e, index, theta) for e in edges]
        weights = match_weights(rows, plain=step < unweighted)
        whole = Terms([*terms.row], [*terms.column], [*terms.value], terms.right)
        right = terms.right - still @ theta
        for row, w in zip(rows, weights, strict=True):
            weighted = row.design * w[:, None, None]
            flat, plain = (
                weighted.reshape(-1, len(row.columns)),
                row.design.reshape(-1, len(row.columns)),
            )
            block, pull = flat.T @ plain, flat.T @ row.difference.ravel()
            # The frames that were compared may all be a little off their shots: each link has an
            # exposure error of its own, which is solved for and left out again.
            loose = float(w.sum()) + LINK_SHIFT_STD_LOG**-2.0
            for c in range(3):
                together = weighted[:, c].sum(axis=0)
                block -= np.outer(together, together) / loose
                pull -= together * float(w @ row.difference[:, c]) / loose
            whole.add(row.columns, block)
            right[row.columns] -= pull
        factor = splu(
            whole.matrix(),
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )
        change = factor.solve(right)
        theta = theta + change
        if step > unweighted and np.abs(change).max() < _CONVERGED:
            break
    return theta, factor


def _unclear(index: Index, theta: F64, factor: _Factor | None) -> NDArray[np.bool_]:
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
        total = correction_of(index, theta, shot)[asked]
        clear = np.abs(total) > np.maximum(_CLEAR * np.sqrt(np.maximum(variance, 0.0)), _TINY)
        # Powers go together: as soon as one channel clearly bends, all three may.
        clear[:3] = clear[:3].any()
        for k in groups:
            found[k + asked] &= ~clear
    return found


def _solution(
    index: Index,
    free: Mapping[str, str],
    still: AbstractSet[str],
    edges: Sequence[Edge],
    weak: Sequence[WeakEdge],
    theta: F64,
    factor: _Factor | None,
    priors: Priors,
    alike: Mapping[str, Agreed],
) -> Solution:
    shots: dict[str, Node] = {}
    for shot in index.shots:
        # Shots that only meet each other meet at their mean by definition: how far their common
        # level is off cannot be known and is not held against them.
        pick = np.zeros((index.size, SIZE))
        for k in index.of_shot(shot):
            pick[k + np.arange(SIZE), np.arange(SIZE)] += 1.0
        covariance = pick.T @ factor.solve(pick) if factor is not None else np.zeros((SIZE, SIZE))
        of_reel: F64 = np.zeros(SIZE)
        for k in index.of_reel(free[shot]):
            of_reel = of_reel + theta[k : k + SIZE]
        shots[shot] = Node(correction_of(index, theta, shot), of_reel, covariance)
    alone = set(free.values()) <= still
    own, shared = priors.stds(reel=False) ** 2, priors.stds(reel=True) ** 2
    rows = [edge_rows(e, index, theta) for e in edges]
    return Solution(
        shots=shots,
        residual={
            (e.a, e.b): float(np.median(np.linalg.norm(r.difference, axis=1)))
            for e, r in zip(edges, rows, strict=True)
        },
        prior_std=float(mean_std(np.diag(own if alone else own + shared))[0]),
        weak=frozenset(name for e in weak for name in (e.a, e.b) if name is not None),
        agreed=alike,
    )
