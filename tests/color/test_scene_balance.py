"""Balance after a match: scenes as a whole, so that what was brought together stays together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from color.cdl import CDL, IDENTITY, PRINTER_POINT_LOG, apply_cdl
from color.fit import fit_cdl
from color.match import MatchOptions
from color.records import ShotColor
from color.scene_balance import balance_scenes

F64 = NDArray[np.float64]
CAST = np.array([0.03, 0.0, -0.024])
WIDE = MatchOptions(slope_limits=(0.5, 2.0), offset_limit_log=0.25)


def colors_of(seed: int) -> F64:
    """(400, 3) film log: mostly greys under one cast, some colors."""
    rng = np.random.default_rng(seed)
    grey = rng.uniform(0.25, 0.6, (300, 1)) + rng.normal(0.0, 0.003, (300, 3))
    color = rng.uniform(0.25, 0.6, (100, 1)) + rng.normal(0.0, 0.06, (100, 3))
    return np.asarray(np.concatenate([grey, color]) + CAST)


def evidence(samples: F64, *flags: dict[str, object]) -> dict[str, object]:
    levels = np.quantile(samples, (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99), axis=0).T
    return {"samples_log": samples, "quantiles_log": levels.tolist(), "flags": list(flags)}


NIGHT: dict[str, object] = {
    "name": "day_for_night",
    "confidence": 0.9,
    "reason": "dark throughout",
    "protects": ["balance"],
}


@pytest.mark.parametrize("power", [1.0, 1.08])
def test_what_was_matched_stays_matched_and_loses_part_of_its_cast(power: float) -> None:
    grades = {
        "A_1": CDL((1.08, 1.0, 0.95), (-0.03, 0.02, 0.03), (power, 1.0, 1.0), 0.9),
        "A_2": CDL((0.96, 1.02, 1.0), (0.02, -0.01, 0.0)),
        "A_3": IDENTITY,
    }
    scanned = {n: apply_cdl(colors_of(4), g, clamp=False) for n, g in grades.items()}
    # The match undoes the grades, as near as a CDL can.
    matched = {
        n: ShotColor(
            cdl=fit_cdl(s, colors_of(4)).cdl,
            confidence=0.9,
            tied=tuple(o for o in grades if o != n),
        )
        for n, s in scanned.items()
    }
    found = balance_scenes(matched, {n: evidence(s) for n, s in scanned.items()}, set(), WIDE)
    now = np.stack([apply_cdl(s, found[n].cdl, clamp=False) for n, s in scanned.items()])
    assert np.ptp(now, axis=0).mean() < 0.1 * PRINTER_POINT_LOG
    left = (now[0] - now[0].mean(axis=1, keepdims=True))[:300].mean(axis=0)
    before = CAST - CAST.mean()
    np.testing.assert_allclose(left, 0.5 * before, atol=0.004)
    assert all("balanced together with 2 more" in c.reason for c in found.values())


def test_a_shot_alone_is_balanced_alone() -> None:
    found = balance_scenes(
        {"A_1": ShotColor(reason="no link; left as it is: confidence 0.00 is below 0.25")},
        {"A_1": evidence(colors_of(4))},
        set(),
        WIDE,
    )["A_1"]
    assert found.cdl != IDENTITY
    assert found.reason.startswith("no link; balanced greys are")
    assert found.confidence > 0.5


@pytest.mark.parametrize(
    ("told", "flag"),
    [({"A_2"}, None), (set(), NIGHT), (set(), {**NIGHT, "name": "tinted"})],
)
def test_where_a_level_is_told_or_meant_nothing_is_balanced(
    told: set[str], flag: dict[str, object] | None
) -> None:
    matched = {
        "A_1": ShotColor(confidence=0.9, reason="compared with 1 shot", tied=("A_2",)),
        "A_2": ShotColor(confidence=0.9, reason="compared with 1 shot", tied=("A_1",)),
    }
    flags = [] if flag is None else [flag]
    seen = {"A_1": evidence(colors_of(4)), "A_2": evidence(colors_of(5), *flags)}
    assert balance_scenes(matched, seen, told, WIDE) == matched


def test_the_sum_of_both_stays_within_the_limits() -> None:
    limits = replace(WIDE, offset_limit_log=0.02)
    matched = {"A_1": ShotColor(cdl=CDL(offset=(-0.018, 0.0, 0.018)), confidence=0.9)}
    found = balance_scenes(matched, {"A_1": evidence(colors_of(4))}, set(), limits)["A_1"]
    assert found.limited
    middle = apply_cdl(np.full((1, 3), 0.4), found.cdl, clamp=False)[0] - 0.4
    assert np.abs(middle).max() <= 0.02 + 1e-9
