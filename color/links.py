"""Which shots show the same things, and with what colors.

SIFT with ratio and mutual check (Lowe 2004) inside the best-matching frames of two shots, then
one homography or epipolar geometry (MAGSAC++, Barath 2020) that most matches must obey. That
geometry lays the two views on each other, and whatever is even enough is compared block by block.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from color.grid import Grid, agreeing, resting, shared_colors, thinned, zoom
from color.records import Link, protection

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkPolicy:
    """How hard to look, and what counts."""

    max_pairs: int = 3000
    """Pairs compared in full. Titles with more are ranked first by their strongest features."""
    ratio: float = 0.8
    """Best over second-best descriptor distance."""
    reach_px: float = 3.0
    """How far a match may be off the common geometry, analysis pixels."""
    min_inliers: int = 14
    min_colors: int = 10
    min_share: float = 0.25
    """Inliers over mutual matches; look-alikes by chance stay below."""


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    points: F32
    roots: F32
    colors: F32
    grid: Grid


@dataclass(frozen=True, slots=True, eq=False)
class _Shot:
    views: tuple[_View, ...]
    best: F32
    """(M, 128) the strongest features of the whole shot, for ranking pairs."""
    clip: tuple[float, float]


_QUICK = 200
_RANK_FEATURES = 48
_ALIKE_ZOOM = 0.25
_ENOUGH_BLOCKS = 40
_ENOUGH_KNOWN = 60


def find_links(
    evidence: Mapping[str, Mapping[str, object]],
    policy: LinkPolicy | None = None,
    *,
    workers: int = 1,
) -> list[Link]:
    """Links between all shots whose evidence carries features; sorted by (a, b).

    evidence: shot id -> result of ``ColorProbe.finish``. Shots protected from matching are left
    out. workers: pairs compared at once. The answer depends neither on these nor on the order of
    the mapping.
    """
    policy = policy or LinkPolicy()
    shots = {
        name: shot
        for name in sorted(evidence)
        if protection(evidence[name], "match") is None
        and (shot := _shot(evidence[name])) is not None
    }

    def link(pair: tuple[str, str]) -> Link | None:
        a, b = pair
        return _link(a, b, shots[a], shots[b], policy)

    with ThreadPoolExecutor(workers, thread_name_prefix="links") as pool:
        return [k for k in pool.map(link, _pairs(shots, policy.max_pairs)) if k is not None]


def _shot(evidence: Mapping[str, object]) -> _Shot | None:
    features = evidence.get("features")
    if not isinstance(features, Mapping):
        return None
    view = np.asarray(features["view"])
    frames = np.asarray(features["grid_view"])
    grids = zip(features["grid_log"], features["grid_even"], strict=True)
    roots = np.asarray(features["descriptors"], dtype=np.float32)
    # RootSIFT, Arandjelovic and Zisserman 2012: Hellinger distance finds more true matches.
    roots = np.sqrt(roots / np.maximum(roots.sum(axis=1, keepdims=True), 1.0))
    points = np.asarray(features["points_px"], dtype=np.float32)
    colors = np.asarray(features["colors_log"], dtype=np.float32)
    groups = [np.flatnonzero(view == v) for v in frames]
    views = tuple(
        _View(points[g], roots[g], colors[g], Grid(log, even))
        for g, (log, even) in zip(groups, grids, strict=True)
    )
    clip = evidence.get("clip_log", (0.03, 0.97))
    low, high = np.asarray(clip, dtype=np.float64)
    return _Shot(views, roots[groups[len(groups) // 2]][:_RANK_FEATURES], (float(low), float(high)))


def _pairs(shots: Mapping[str, _Shot], cap: int) -> list[tuple[str, str]]:
    names = list(shots)
    if len(names) * (len(names) - 1) // 2 <= cap:
        return list(itertools.combinations(names, 2))
    owner = np.concatenate([np.full(len(s.best), k) for k, s in enumerate(shots.values())])
    everything = np.concatenate([s.best for s in shots.values()])
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    scores: list[tuple[float, str, str]] = []
    for k, shot in enumerate(shots.values()):
        nearest = np.maximum.reduceat(shot.best @ everything.T, starts, axis=1)
        # 0.85: below this a nearest neighbour says nothing.
        votes = np.maximum(nearest - 0.85, 0.0).sum(axis=0)
        scores += [(-float(votes[j]), names[k], names[j]) for j in range(k + 1, len(names))]
    return sorted((a, b) for _, a, b in sorted(scores)[:cap])


def _mutual(a: F32, b: F32, ratio: float) -> NDArray[np.intp]:
    """(M, 2) index pairs that pass the ratio test and are each other's best."""
    if len(a) < 2 or len(b) < 2:
        return np.zeros((0, 2), dtype=np.intp)
    similar = a @ b.T
    rows, best = np.arange(len(a)), similar.argmax(axis=1)
    most = similar[rows, best]
    # Maxima of whole rows and columns, and the slower argmax only for what may be kept: this is
    # most of the time of a title of many shots.
    may = most == similar.max(axis=0)[best]
    similar[rows, best] = -np.inf
    # unit vectors: squared distance is 2 - 2 * similarity
    may &= 2.0 - 2.0 * most < ratio**2 * (2.0 - 2.0 * similar.max(axis=1))
    similar[rows, best] = most
    rows, best = rows[may], best[may]
    # Of rows that are as like to a column, the first is its best.
    keep = similar[:, best].argmax(axis=0) == rows
    return np.stack([rows[keep], best[keep]], axis=1)


def _link(name_a: str, name_b: str, a: _Shot, b: _Shot, policy: LinkPolicy) -> Link | None:
    ranked = sorted(
        (
            (-len(_mutual(u.roots[:_QUICK], v.roots[:_QUICK], policy.ratio)), i, j)
            for i, u in enumerate(a.views)
            for j, v in enumerate(b.views)
        )
    )
    colors: list[tuple[F64, F64]] = []
    inliers, share = 0, 0.0
    # Two pairs of frames: more would repeat the same things.
    for _, i, j in ranked[:2]:
        u, v = a.views[i], b.views[j]
        pairs = _mutual(u.roots, v.roots, policy.ratio)
        if len(pairs) < policy.min_inliers:
            continue
        p, q = u.points[pairs[:, 0]], v.points[pairs[:, 1]]
        found = _geometry(p, q, policy.reach_px)
        here = float(found.obeys.mean())
        if found.obeys.sum() < policy.min_inliers or here < policy.min_share:
            continue
        kept = pairs[found.obeys]
        known = u.colors[kept[:, 0]].astype(np.float64), v.colors[kept[:, 1]].astype(np.float64)
        if found.plane is None:
            colors.append(known)
        else:
            p, q = p[found.obeys], q[found.obeys]
            x, y = shared_colors(u.grid, v.grid, found.plane, p, q, deep=found.deep)
            # Patches around keypoints cover the same thing only where both views are as large.
            alike = abs(np.log(zoom(found.plane, p))) < _ALIKE_ZOOM
            few = len(x) < _ENOUGH_BLOCKS
            trusted = known if alike or few or len(known[0]) >= _ENOUGH_KNOWN else (x, y)
            same = agreeing(x, y, *trusted)
            colors.append((x[same], y[same]))
            if alike or few:
                colors.append(known)
        inliers, share = max(inliers, len(kept)), max(share, here)
    if not colors:
        still = _still(a, b)
        if still is None:
            return None
        colors, inliers, share = [still[0]], len(still[0][0]), still[1]
    x = np.concatenate([c for c, _ in colors])
    y = np.concatenate([c for _, c in colors])
    good = ((x > a.clip[0]) & (x < a.clip[1]) & (y > b.clip[0]) & (y < b.clip[1])).all(axis=1)
    if good.sum() < policy.min_colors:
        return None
    x, y = thinned(x[good], y[good])
    confidence = share * (1.0 - float(np.exp(-inliers / 20.0)))
    return Link(a=name_a, b=name_b, x=x, y=y, inliers=inliers, confidence=confidence)


def _still(a: _Shot, b: _Shot) -> tuple[tuple[F64, F64], float] | None:
    """Colors of two shots of a standing camera that show no keypoints, and how alike they are."""
    u, v = (s.views[len(s.views) // 2].grid for s in (a, b))
    found = resting(u, v)
    if found is None:
        return None
    plane, likeness = found
    middle = np.array([[u.even.shape[1], u.even.shape[0]]], np.float32) * 4.0
    moved = middle + plane[:2, 2].astype(np.float32)
    return shared_colors(u, v, plane, middle, moved, deep=False), likeness


@dataclass(frozen=True, slots=True, eq=False)
class _Geometry:
    """How two views lie on each other."""

    obeys: NDArray[np.bool_]
    """(M,) matches that agree with it."""
    plane: F64 | None
    """(3, 3) from the one to the other, pixels."""
    deep: bool = False
    """The views differ by parallax: the plane is only what fits best."""


def _geometry(p: F32, q: F32, reach_px: float) -> _Geometry:
    """One homography, or one epipolar geometry where that explains far more.

    p, q: (M, 2) pixels. The epipolar test is weak (a point may lie anywhere on a line), so it
    must win clearly and on many points.
    """
    none = np.zeros(len(p), dtype=np.bool_)
    plane, mask = cv2.findHomography(p, q, cv2.USAC_MAGSAC, reach_px, None, 2000, 0.999)
    flat = none if plane is None or mask is None else mask.ravel().astype(np.bool_)
    if len(p) < 40 or flat.mean() > 0.6:
        return _Geometry(flat, plane)
    matrix, mask = cv2.findFundamentalMat(p, q, cv2.USAC_MAGSAC, reach_px / 2, 0.999, 2000)
    deep = none if matrix is None or mask is None else mask.ravel().astype(np.bool_)
    if deep.sum() > 1.5 * flat.sum() and deep.mean() > 0.6:
        affine, _ = cv2.estimateAffine2D(p[deep], q[deep], method=cv2.LMEDS)
        fits = None if affine is None else np.vstack([affine, [0.0, 0.0, 1.0]])
        return _Geometry(deep, fits, deep=True)
    return _Geometry(flat, plane)
