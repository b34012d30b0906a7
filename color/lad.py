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

from color.cdl import LAD_LOG, PRINTER_POINT_LOG, Triple, triple
from color.protect import is_sure

F64 = NDArray[np.float64]

PATCH_EVEN_LOG = 0.004
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


def grey_patch(log: F64, even: F64) -> dict[str, object] | None:
    """The largest even grey near the aim, or None where there is none or two are as large.

    log: (rows, columns, 3) block means, film log. even: (rows, columns) deviation inside them.
    Keys: ``log`` [3] film log, ``spread_log`` over the patch, ``share`` of the picture.
    """
    flat = log[even < PATCH_EVEN_LOG]
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
