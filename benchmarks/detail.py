"""Denoising against known truth, and against peers in the same run.

    python -m benchmarks.detail [--quick] [--vapoursynth PYTHON] [--out results/detail.json]

Clean clips get seeded grain, film-like or white; our operator, which measures the grain itself,
and the peers, which are told it, take it out; what is left is compared with the truth.
docs/detail.md says what the figures mean. Seconds are processor time per megapixel-frame: of the
whole process for peers, of the operator for ours (reading and encoding left out of both, nearly:
an empty FFmpeg run is 0.01).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.detail_clips import CLIPS, F32, MOVING, Grain, available, psnr_db, with_grain
from benchmarks.detail_measures import left_over, sigma_rows, texture_kept
from benchmarks.detail_ours import Effort, Guided, cleaned
from benchmarks.detail_peers import FFMPEG, VAPOURSYNTH, Peer, by_ffmpeg, by_vapoursynth, installed
from benchmarks.detail_stills import stills_rows
from wetgate.numerics import pin_numerics, profile

RESULTS = Path(__file__).parent / "results" / "detail.json"
FILM = (Grain(8.0, 0.6), Grain(8.0, 1.0))
HEAVY = (Grain(16.0, 0.6), Grain(16.0, 1.0))
WHITE = (Grain(8.0, 0.0),)
Row = dict[str, Any]


WAYS: tuple[tuple[Effort, Guided], ...] = (
    ("fast", "network"),
    ("usual", "network"),
    ("fine", "network"),
    ("finest", "network"),
    ("fast", "blocks"),
    ("usual", "blocks"),
    ("fine", "blocks"),
)


def named(effort: Effort, guide: Guided) -> str:
    """As tables call a way of ours."""
    return f"Wetgate {effort}" if guide == "network" else f"Wetgate {effort}, no weights"


def ours(clean: F32, noisy: F32, effort: Effort, guide: Guided) -> Row:
    """One of our rows."""
    megapixels = clean[..., 0].size / 1e6
    out = cleaned(noisy, effort, guide)
    return {
        "method": named(effort, guide),
        "psnr_db": round(psnr_db(out.frames, clean), 2),
        "s_per_mp": round(out.seconds / megapixels, 3),
        "measure_s_per_mp": round(out.measure_seconds / megapixels, 3),
        "left_autocorrelation": round(left_over(out.frames, clean, noisy), 3),
    }


def peers(clean: F32, noisy: F32, sigma: float, quick: bool, python: Path | None) -> Iterator[Row]:
    """The best setting of each peer, told the strength of the grain."""
    megapixels = clean[..., 0].size / 1e6
    wanted: list[tuple[Peer, bool]] = []
    if installed():
        wanted += [(p, True) for p in FFMPEG if not (quick and p.slow)]
    if python is not None:
        wanted += [(p, False) for p in VAPOURSYNTH if not (quick and p.slow)]
    for peer, in_ffmpeg in wanted:
        best: Row | None = None
        for setting in peer.filled(sigma):
            if in_ffmpeg:
                out = by_ffmpeg(noisy, setting)
            else:
                assert python is not None
                out = by_vapoursynth(python, noisy, setting)
            row = {
                "method": peer.name,
                "psnr_db": round(psnr_db(out.frames, clean), 2),
                "s_per_mp": round(out.seconds / megapixels, 3),
                "note": setting,
            }
            if best is None or row["psnr_db"] > best["psnr_db"]:
                best = row
        if best is not None:
            yield best


def measured(
    name: str,
    grain: Grain,
    frames: int,
    quick: bool,
    python: Path | None,
    kept: list[Row] | None,
) -> list[Row]:
    """Input, ours and peers on one clip with one kind of grain.

    kept: rows of an earlier run, from which the peers' are taken over.
    """
    clean = CLIPS[name].load(CLIPS[name].path, frames)
    noisy = with_grain(clean, grain)
    head = {"clip": name, "grain": grain.name, "sigma": grain.sigma, "frames": len(clean)}
    rows = [{**head, "method": "input", "psnr_db": round(psnr_db(noisy, clean), 2)}]
    ways = WAYS[1:2] if quick else WAYS
    rows += [{**head, **ours(clean, noisy, *way)} for way in ways]
    if kept is None:
        brief = quick or grain not in FILM
        rows += [{**head, **row} for row in peers(clean, noisy, grain.sigma, brief, python)]
    else:
        rows += [
            row
            for row in kept
            if all(row[k] == head[k] for k in head)
            and row["method"] != "input"
            and not row["method"].startswith("Wetgate")
        ]
    for row in rows:
        show(row)
    return rows


def record(frames: int = 11, sigma: float = 20.0) -> list[Row]:
    """White noise, unclipped, on codes as they are: the terms of published figures.

    The operator works on codes here, not on film log: nothing is converted.
    """
    clean = CLIPS["reds"].load(CLIPS["reds"].path, frames)
    rng = np.random.default_rng(0)
    noisy = clean + rng.normal(0.0, sigma / 255.0, clean.shape).astype(np.float32)
    rows: list[Row] = []
    for effort, guide in WAYS:
        out = cleaned(noisy, effort, guide, as_codes=True)
        error = float(np.square(out.frames - clean, dtype=np.float64).mean())
        rows.append(
            {
                "clip": "reds", "grain": "white, unclipped", "sigma": sigma, "frames": len(clean),
                "method": named(effort, guide), "psnr_db": round(-10.0 * np.log10(error), 2),
                "s_per_mp": round(out.seconds / (clean[..., 0].size / 1e6), 3),
            }
        )  # fmt: skip
        show(rows[-1])
    return rows


def untouched(frames: int) -> list[Row]:
    """Clean clips through the automatic setting."""
    rows = []
    for name in available(MOVING):
        clean = CLIPS[name].load(CLIPS[name].path, frames)
        out = cleaned(clean, "usual")
        rows.append(
            {
                "clip": name, "grain": "none", "sigma": 0.0, "frames": len(clean),
                "method": "Wetgate usual", "psnr_db": round(psnr_db(out.frames, clean), 2),
                "texture_kept": round(texture_kept(out.frames, clean), 4),
                "sigma_found": [round(s, 5) for s in out.sigma],
            }
        )  # fmt: skip
        show(rows[-1])
    return rows


def show(row: Row) -> None:
    """One line."""
    cells = "  ".join(f"{k} {v}" for k, v in row.items() if k not in ("clip", "grain", "method"))
    print(f"{row['clip']:7} {row['grain']:16} {row['method']:16} {cells}", flush=True)


def means(rows: list[Row]) -> list[Row]:
    """Mean over the moving clips, by method, grain and strength."""
    groups: dict[tuple[str, str, float], list[Row]] = {}
    for row in rows:
        if row["clip"] in MOVING and row["sigma"]:
            groups.setdefault((row["method"], row["grain"], row["sigma"]), []).append(row)
    found = []
    for (method, grain, sigma), members in groups.items():
        row = {"method": method, "grain": grain, "sigma": sigma, "clips": len(members)}
        row["psnr_db"] = round(float(np.mean([m["psnr_db"] for m in members])), 2)
        if "s_per_mp" in members[0]:
            row["s_per_mp"] = round(float(np.mean([m["s_per_mp"] for m in members])), 3)
        found.append(row)
    return found


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="fewer frames and settings")
    parser.add_argument("--vapoursynth", type=Path, help="a Python that has VapourSynth")
    parser.add_argument("--ours", action="store_true", help="peers' rows stay as they are in --out")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    pin_numerics()
    frames = 10 if given.quick else 16
    kept = json.loads(given.out.read_text("utf-8"))["rows"] if given.ours else None
    rows: list[Row] = []
    warm = CLIPS["reds"].load(CLIPS["reds"].path, 3)
    cleaned(with_grain(warm, FILM[0]), "usual")  # compiles
    for name in available(MOVING):
        for grain in FILM if given.quick else (*FILM, *HEAVY, *WHITE):
            rows += measured(name, grain, frames, given.quick, given.vapoursynth, kept)
    rows += untouched(frames)
    if available(("reds",)):
        rows += record()
    stills = stills_rows()
    sigma = sigma_rows(available(), 8)
    for row in (*stills, *sigma):
        print(row)
    summary = means(rows)
    print()
    for row in summary:
        print(row)
    result = {
        "schema": 1,
        "quick": given.quick,
        "clips": {n: CLIPS[n].what for n in available()},
        "numerics": profile(torch.device("cpu")),
        "means": summary,
        "stills": stills,
        "sigma": sigma,
        "rows": rows,
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
