"""What ``benchmarks.color`` measures without peers: recovery, fading, golden vectors, tints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.color_clips import (
    CLIPS,
    OTHER_SHOTS,
    available,
    evidence,
    frame,
    grade,
    other,
    scan,
)
from color.cdl import CDL, apply_cdl
from color.difference import delta_e_2000, subsample
from color.fade import ABSORPTION, fading, unfade
from color.fit import fit_cdl
from color.links import find_links
from color.match import MatchOptions, solve_match
from color.records import shot_input

F64 = NDArray[np.float64]

_GOLDEN = Path(__file__).resolve().parents[2] / "shared" / "golden" / "asc_cdl_ocio.json"
_GRAIN_LOG = 0.002


def recovery() -> dict[str, float]:
    """Apply twenty CDLs to noise-free colors and find them again: largest parameter error."""
    rng = np.random.default_rng(1)
    worst = 0.0
    for seed in range(20):
        cdl = grade(700 + seed)
        x = rng.uniform(0.12, 0.7, (300, 3))
        found = fit_cdl(x, apply_cdl(x, cdl, clamp=False)).cdl
        error = np.abs(np.array(found.as_list()) - np.array(cdl.as_list())).max()
        worst = max(worst, float(error))
    return {"cdls": 20, "worst_parameter_error": worst}


def fading_cases() -> dict[str, Any]:
    """Cyan loses 30, 50, 70 %, the others less; layers leak, as the model does not know; stain.

    With five neutrals each picture stands alone. With none, ten scenes make a reel.
    """
    rng = np.random.default_rng(3)
    pictures = {n: frame(n, 0) for n in available()} | {n: other(n) for n in OTHER_SHOTS}
    five: list[tuple[float, float]] = []
    none: list[tuple[float, float]] = []
    for loss in (0.3, 0.5, 0.7):
        for name in (n for n in CLIPS if n in pictures):
            matrix, offset = _damage(loss, rng)
            faded = _scanned(pictures[name], matrix, offset, rng)
            greys = np.linspace(0.2, 0.62, 5)[:, None] * np.ones(3)
            greys = greys @ matrix.T + offset + rng.normal(0.0, 0.003, (5, 3))
            found = unfade([subsample(faded, 1000)], np.full(3, _GRAIN_LOG), greys)
            five.append(_before_after(faded, found.apply(faded), pictures[name]))
        for _ in range(3):
            matrix, offset = _damage(loss, rng)
            reel = {n: _scanned(p, matrix, offset, rng) for n, p in pictures.items()}
            samples = [subsample(f, 1000) for f in reel.values()]
            found = unfade(samples, np.full(3, _GRAIN_LOG))
            none += [_before_after(f, found.apply(f), pictures[n]) for n, f in reel.items()]
    return {"five neutrals": _stated(five), "no neutral": _stated(none)}


def _damage(loss: float, rng: np.random.Generator) -> tuple[F64, F64]:
    leak = 1.0 + rng.uniform(-0.3, 0.3, (3, 3)) * (1.0 - np.eye(3))
    left = np.array([1.0 - loss, 1.0 - rng.uniform(0.0, 0.08), 1.0 - rng.uniform(0.05, 0.25)])
    stain = np.array([rng.uniform(-0.01, 0.01), rng.uniform(-0.02, 0.0), rng.uniform(-0.06, -0.02)])
    return fading(left, ABSORPTION * leak, stain)


def _scanned(picture: F64, matrix: F64, offset: F64, rng: np.random.Generator) -> F64:
    faded = picture @ matrix.T + offset + rng.normal(0.0, _GRAIN_LOG, picture.shape)
    return np.asarray(np.rint(faded * 1023.0) / 1023.0)


def _before_after(faded: F64, restored: F64, truth: F64) -> tuple[float, float]:
    few = subsample(truth, 6000)
    return delta_e_2000(subsample(faded, 6000), few), delta_e_2000(subsample(restored, 6000), few)


def _stated(pairs: list[tuple[float, float]]) -> dict[str, float]:
    before, after = np.array(pairs).T
    return {
        "cases": len(pairs),
        "none_mean": round(float(before.mean()), 2),
        "mean": round(float(after.mean()), 2),
        "worst": round(float(after.max()), 2),
    }


def golden() -> dict[str, float] | None:
    """Largest difference to OpenColorIO's numbers, both styles; None without the vectors."""
    if not _GOLDEN.exists():
        return None
    told = json.loads(_GOLDEN.read_text())
    inputs, worst, count = np.array(told["inputs"]), 0.0, 0
    for result in told["results"]:
        if result["direction"] != "forward":
            continue
        case = told["cases"][result["case"]]
        cdl = CDL(tuple(case["slope"]), tuple(case["offset"]), tuple(case["power"]), case["sat"])
        out = apply_cdl(inputs, cdl, clamp=result["style"] == "asc_v1_2")
        worst = max(worst, float(np.abs(out - np.array(result["outputs"])).max()))
        count += len(inputs)
    return {"values": count, "worst": worst}


def tints() -> dict[str, Any]:
    """Tinted, toned and gray copies of scenes, on a reel whose color shots are matched."""
    names = [n for n in ("dog", "bunny", "coffee", "blocks") if n in available()]
    pictures: dict[str, F64] = {}
    for k, name in enumerate(names):
        picture = frame(name, 0)
        gray = np.repeat(picture.mean(axis=2, keepdims=True), 3, axis=2)
        pictures[f"A_{name}"] = picture
        pictures[f"B_{name}"] = scan(frame(name, 30), grade(800 + k))
        pictures[f"B_{name}_tinted"] = gray + np.array([0.07, 0.0, -0.06])
        pictures[f"B_{name}_toned"] = gray + (0.6 - gray) * np.array([-0.2, 0.0, 0.2])
        pictures[f"B_{name}_gray"] = gray
    found = {n: evidence(p, p + 1e-4) for n, p in pictures.items()}
    options = MatchOptions(anchor_reel="A")
    inputs = [shot_input(n, n[0], e) for n, e in found.items()]
    colors = solve_match(inputs, find_links(found), options)
    kept, moved = [], 0
    for shot, color in colors.items():
        if shot.count("_") == 2:
            few = subsample(pictures[shot], 4000)
            kept.append(delta_e_2000(apply_cdl(few, color.cdl, clamp=False), few))
        elif shot.startswith("B_"):
            moved += color.cdl != CDL()
    return {
        "protected_shots": len(kept),
        "worst_change": round(max(kept), 4),
        "color_shots_matched": f"{moved} of {len(names)}",
    }
