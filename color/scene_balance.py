"""Balance after a match: what was brought together is balanced together, by one correction.

A shot balanced by itself leaves its scene: half of a cast is taken off, and casts are read
differently in every framing. So the colors of all shots that were compared with each other are
pooled as the match leaves them, and what is found wrong with them is taken off all of them alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from color.balance import BalanceOptions, balance_shot
from color.cdl import CDL, IDENTITY, apply_cdl, compose
from color.fit import fit_cdl
from color.match import LEFT_AS_IT_IS, NO_CHANGE, MatchOptions, within_limits
from color.records import QUANTILES, ShotColor, protection
from media.errors import ConfigError

F64 = NDArray[np.float64]


def balance_scenes(
    colors: Mapping[str, ShotColor],
    evidence: Mapping[str, Mapping[str, object]],
    told: AbstractSet[str],
    limits: MatchOptions,
    options: BalanceOptions | None = None,
) -> dict[str, ShotColor]:
    """Matched colors, balanced by groups of shots that are tied to each other.

    colors: of ``solve_match``. evidence: by shot, of ``ColorProbe.finish``. told: shots whose level
    a person, a reference or a LAD frame sets; they and what is tied to them stay as matched. So do
    protected shots, and groups in which a shot is protected from balance (dark on purpose).
    """
    out = dict(colors)
    for group in _groups(colors):
        if group & told or any(n not in evidence for n in group):
            continue
        names = sorted(group)
        whys = {why for n in names if (why := protection(evidence[n], "balance")) is not None}
        if whys:
            continue
        found = balance_shot(_pooled(names, colors, evidence), options)
        together = f"together with {len(names) - 1} more: " if len(names) > 1 else ""
        for n in names:
            if found.cdl == IDENTITY:
                said = f"{colors[n].reason}; balance: {together}{found.reason}"
                out[n] = replace(colors[n], reason=said)
            else:
                matched = colors[n].reason.partition(LEFT_AS_IT_IS)[0].removesuffix(NO_CHANGE)
                cdl, cut = within_limits(
                    _then(colors[n].cdl, found.cdl, evidence[n]["samples_log"]), limits
                )
                out[n] = replace(
                    colors[n],
                    cdl=cdl,
                    reason=f"{matched}; balanced {together}{found.reason}",
                    confidence=_confidence(colors[n], found),
                    limited=colors[n].limited or cut,
                )
    return out


def _groups(colors: Mapping[str, ShotColor]) -> list[set[str]]:
    """Shots tied to each other, directly or through others."""
    left, groups = set(colors), []
    while left:
        group, reach = set(), {min(left)}
        while reach:
            group |= reach
            reach = {t for n in reach for t in colors[n].tied} & left - group
        left -= group
        groups.append(group)
    return groups


def _pooled(
    names: list[str],
    colors: Mapping[str, ShotColor],
    evidence: Mapping[str, Mapping[str, object]],
) -> dict[str, object]:
    """Evidence of all shots as one, each as the match leaves it."""
    samples = [
        apply_cdl(np.asarray(evidence[n]["samples_log"], np.float64), colors[n].cdl, clamp=False)
        for n in names
        if "samples_log" in evidence[n]
    ]
    if not samples:
        return {}
    levels = np.mean([np.quantile(s, QUANTILES, axis=0).T for s in samples], axis=0)
    return {"samples_log": np.concatenate(samples), "quantiles_log": levels}


def _then(first: CDL, second: CDL, samples: object) -> CDL:
    """One CDL for both; the nearest on the colors of the shot where no one CDL does the same."""
    try:
        return compose(first, second)
    except ConfigError:
        x = np.asarray(samples, np.float64)
        there = apply_cdl(apply_cdl(x, first, clamp=False), second, clamp=False)
        return fit_cdl(x, there).cdl


def _confidence(matched: ShotColor, balanced: ShotColor) -> float:
    """A match with an unsure balance is as sure as the less sure of the two."""
    alone = matched.cdl == IDENTITY and not matched.links
    return balanced.confidence if alone else min(matched.confidence, balanced.confidence)
