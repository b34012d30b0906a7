"""The grey of a laboratory aim frame, and what it says of its reel.

A LAD frame was shot or printed with every element so that its grey would come out at one density.
Where a scan of printing density holds one, the reel's exposure and balance are known: the grey
belongs at code 445 in all channels. Source: Kodak H-387 (LAD), ST 268 code values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from color.cdl import LAD_LOG, PRINTER_POINT_LOG, Triple, triple
from color.protect import is_sure

F64 = NDArray[np.float64]

_EVEN_LOG = 0.004
_GRAINY_LOG = 0.012
_STEP_LOG = 0.006
"""Blocks beside each other that differ by more are of two patches."""
_LEVEL_LOG = 0.012
"""A patch is one color: a sky or a wall changes by more over its width."""
_FILLED = 0.8
_SCALE_STEP_LOG = 0.05
_LEAST_BLOCKS, _LEAST_SIDE = 6, 2
_NEAR_LOG, _FAR_LOG = 0.03, 0.1
"""Where the grey is looked for around the aim: first near, then as far as scans are off."""
_CELL_LOG = 0.02
_LEAST_SHARE = 0.01
_RIVAL_SHARE = 0.5
_MOST_SPREAD_LOG = 0.01
_AGREE_LOG = 0.5 * PRINTER_POINT_LOG


@dataclass(frozen=True, slots=True)
class Aims:
    """What the LAD frames of a title say."""

    by_reel: Mapping[str, Triple]
    """The grey as each reel shows it, film log."""
    said: Mapping[str, str]
    """Per LAD shot, whether it is used and why not, for people."""


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """An upright rectangle of one color."""

    log: F64
    """(3,) film log."""
    blocks: int
    rows: tuple[int, int]
    """First and last."""
    columns: tuple[int, int]


def even_patches(log: F64, even: F64) -> list[Patch]:
    """Every upright rectangle of one color.

    log: (rows, columns, 3) block means, film log. even: (rows, columns) deviation inside them.
    """
    flat = _flat(even)
    number = np.arange(flat.size).reshape(flat.shape)
    pairs = []
    for here, there in (
        ((slice(None), slice(None, -1)), (slice(None), slice(1, None))),
        ((slice(None, -1), slice(None)), (slice(1, None), slice(None))),
    ):
        alike = np.abs(log[here] - log[there]).max(axis=2) < _STEP_LOG
        joined = alike & flat[here] & flat[there]
        pairs.append(np.stack([number[here][joined], number[there][joined]]))
    row, column = np.concatenate(pairs, axis=1)
    graph = coo_matrix((np.ones(len(row)), (row, column)), shape=(flat.size, flat.size))
    _, label = connected_components(graph, directed=False)
    label = label.reshape(flat.shape)
    found: list[Patch] = []
    names, counts = np.unique(label[flat], return_counts=True)
    for name in names[counts >= _LEAST_BLOCKS]:
        y, x = np.nonzero(label == name)
        rows, columns = (int(y.min()), int(y.max())), (int(x.min()), int(x.max()))
        height, width = rows[1] - rows[0] + 1, columns[1] - columns[0] + 1
        colors = log[y, x]
        low, middle, high = np.quantile(colors, (0.05, 0.5, 0.95), axis=0)
        one_color = float((high - low).max()) < _LEVEL_LOG
        if one_color and min(height, width) >= _LEAST_SIDE and len(y) >= _FILLED * height * width:
            found.append(Patch(middle, len(y), rows, columns))
    return found


def steps_in_a_row(patches: list[Patch]) -> int:
    """Most levels of patches that begin and end together, side by side or one below the other."""
    most = 0
    for spans in ([p.rows for p in patches], [p.columns for p in patches]):
        for a, b in spans:
            beside = [
                p.log.mean() / _SCALE_STEP_LOG
                for p, (c, d) in zip(patches, spans, strict=True)
                if max(abs(a - c), abs(b - d)) <= 1
            ]
            most = max(most, np.unique(np.round(beside)).size)
    return most


def _flat(even: F64) -> NDArray[np.bool_]:
    """Blocks as even as the grain lets a patch be."""
    if even.size == 0:
        return np.zeros(even.shape, np.bool_)
    limit = np.clip(1.5 * np.quantile(even, 0.1), _EVEN_LOG, _GRAINY_LOG)
    return np.asarray(even < limit)


def grey_patch(log: F64, even: F64) -> dict[str, object] | None:
    """The largest even grey near the aim, or None where there is none or two are as large.

    log: (rows, columns, 3) block means, film log. even: (rows, columns) deviation inside them.
    Keys: ``log`` [3] film log, ``spread_log`` over the patch, ``share`` of the picture.
    """
    flat = log[_flat(even)]
    for reach in (_NEAR_LOG, _FAR_LOG):
        grey = flat[(np.abs(flat.mean(axis=1) - LAD_LOG) < reach) & (np.ptp(flat, axis=1) < reach)]
        if len(grey) < max(6.0, _LEAST_SHARE * even.size):
            continue
        cells, counts = np.unique(
            np.round(grey / _CELL_LOG).astype(int), axis=0, return_counts=True
        )
        middle = np.median(
            grey[(np.round(grey / _CELL_LOG) == cells[counts.argmax()]).all(axis=1)], axis=0
        )
        distance = np.abs(grey - middle).max(axis=1)
        mine = grey[distance < _CELL_LOG]
        if (distance >= _CELL_LOG).sum() > _RIVAL_SHARE * len(mine):
            return None
        low, middle, high = np.quantile(mine, (0.1, 0.5, 0.9), axis=0)
        return {
            "log": [round(float(v), 6) for v in middle],
            "spread_log": round(float((high - low).max()), 6),
            "share": round(len(mine) / even.size, 4),
        }
    return None


def reel_aims(
    evidence: Mapping[str, Mapping[str, object]],
    reel_of: Mapping[str, str],
    left_out: Mapping[str, str],
    farthest_log: float,
) -> Aims:
    """The aim grey of every reel with LAD frames that agree with themselves and each other.

    evidence: by shot, of ``ColorProbe.finish``. left_out: reels whose LAD frames cannot be used,
    and why. farthest_log: a grey further off is not followed.
    """
    shots: dict[str, list[str]] = {}
    for name in sorted(evidence):
        if is_sure(evidence[name].get("flags", []), "lad"):
            shots.setdefault(reel_of[name], []).append(name)
    by_reel: dict[str, Triple] = {}
    said: dict[str, str] = {}
    for reel, names in shots.items():
        read = {n: evidence[n].get("grey_patch") for n in names}
        why = left_out.get(reel) or _unusable(read, farthest_log)
        if why is None:
            by_reel[reel] = triple(np.median([_log(p) for p in read.values()], axis=0))
            why = f"sets the level of reel {reel}"
        else:
            why = f"not used as an anchor: {why}"
        said |= dict.fromkeys(names, why)
    return Aims(by_reel, said)


def _unusable(read: Mapping[str, object], farthest_log: float) -> str | None:
    if any(not isinstance(p, Mapping) for p in read.values()):
        return "no even grey stands out near the aim, or two do"
    if any(p["spread_log"] > _MOST_SPREAD_LOG for p in read.values() if isinstance(p, Mapping)):
        return "its grey is uneven by more than 10 codes"
    greys = np.array([_log(p) for p in read.values()])
    apart = float(np.ptp(greys, axis=0).max())
    if apart > _AGREE_LOG:
        points = apart / PRINTER_POINT_LOG
        return f"the LAD frames of the reel differ by {points:.1f} printer points"
    off = float(np.abs(np.median(greys, axis=0) - LAD_LOG).max())
    if off > farthest_log:
        points, most = off / PRINTER_POINT_LOG, farthest_log / PRINTER_POINT_LOG
        return f"it is {points:.1f} printer points off, more than the {most:.1f} of max_offset"
    return None


def _log(patch: object) -> F64:
    assert isinstance(patch, Mapping)
    return np.asarray(patch["log"], dtype=np.float64)
