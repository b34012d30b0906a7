"""Deflicker and gate weave against known truth, and against peers in the same run.

    python -m benchmarks.steady [--quick] [--ours] [--out benchmarks/results/steady.json]

Real footage gets seeded damage (``media.synthetic``), our chain and the peers of the installed
FFmpeg repair it, and what is left is measured against the truth. docs/steady.md says what the
figures mean. Processor time is that of this process, one thread inside each call.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch

from benchmarks import steady_clips as clips
from benchmarks.steady_cases import Case, cases, groups
from benchmarks.steady_measures import border_db, exposure, path_error, psnr_db
from benchmarks.steady_ours import restored
from benchmarks.steady_peers import (
    DEFLICKER,
    DEFLICKER_QUICK,
    DESHAKE,
    NOT_BUILT,
    built,
    deflickered,
    shown,
    steadied,
)
from benchmarks.steady_vidstab import VIDSTAB, installed, stabilised
from media.synthetic import Frames
from wetgate.numerics import pin_numerics, profile

RESULTS = Path(__file__).parent / "results" / "steady.json"

GOALS = (
    # condition, column, what it is, goal, best peer measured elsewhere
    ("whole", "whole_share", "whole, share of input", 0.06, "0.12"),
    ("local", "local_share", "local, share of input", 0.10, "0.56"),
    ("local, grain, dirt", "local_share", "local, share of input", 0.13, "-"),
    ("display", "psnr_db", "PSNR dB", 44.0, "38"),
    ("clean", "psnr_db", "PSNR dB", 54.0, "51"),
    ("fade", "psnr_db", "PSNR dB", 54.0, "51.6"),
    ("fade, held", "psnr_db", "PSNR dB", 54.0, "46.5"),
    ("foreground", "jitter_px", "px rms", 0.03, "0.20"),
    ("foreground", "turn_deg", "degree rms", 0.01, "0.07"),
    ("foreground, grain, dirt", "jitter_px", "px rms", 0.03, "-"),
    ("pan", "jitter_px", "px rms", 0.08, "0.33"),
    ("pan", "total_px", "pan altered, px rms", 0.20, "-"),
    ("hand-held, perforations", "jitter_px", "px rms", 0.02, "-"),
    ("no weave", "largest_shift_px", "largest shift, px", 0.02, "-"),
    ("pan, no weave", "largest_shift_px", "largest shift, px", 0.02, "-"),
    ("hand-held, no weave", "largest_shift_px", "largest shift, px", 0.02, "-"),
)


def figures(case: Case, found: Frames) -> dict[str, float]:
    """What is left, in the measures of the case's table."""
    if case.table == "harm":
        level = exposure(found, case.truth)
        return {"psnr_db": psnr_db(found, case.truth), "local": level.local, "whole": level.whole}
    if case.table == "flicker":
        level = exposure(found, case.truth)
        return {
            "local": level.local,
            "whole": level.whole,
            "breathing": level.breathing,
            "psnr_db": psnr_db(found, case.truth),
        }
    truth = case.truth
    path = path_error(found, truth)
    row = {"jitter_px": path.jitter_px, "total_px": path.total_px, "turn_deg": path.turn_deg}
    row["border_db"], row["inside_db"] = border_db(found, truth)
    return row


def measured(case: Case, quick: bool, ours_only: bool) -> list[dict[str, Any]]:
    """Input, ours, and the best setting of each peer (unless ``ours_only``)."""
    head = {"table": case.table, "condition": case.condition, "clip": case.clip}
    head_frames: dict[str, Any] = {**head, "frames": len(case.scan)}
    before = figures(case, case.scan)
    rows = [{**head_frames, "method": "input", **_rounded(before)}]
    ours = restored(case.scan, weave=case.weave, flicker=case.flicker)
    row = {**head_frames, "method": "Wetgate", **_rounded(figures(case, ours.frames))}
    row["s_per_frame"] = round(ours.seconds / len(case.scan), 3)
    if case.weave:
        row["largest_shift_px"] = round(float(np.abs(ours.shifts_px).max()), 3)
    rows.append({**row, "note": ours.note})
    if not ours_only:
        rows += best_peers(case, quick, head_frames)
    for found in rows[1:]:
        for key in ("local", "whole", "breathing", "jitter_px", "total_px", "turn_deg"):
            if key in found and case.table != "harm" and before[key] > 1e-3:
                found[f"{key}_share"] = round(found[key] / before[key], 4)
    return rows


def best_peers(case: Case, quick: bool, head_frames: dict[str, Any]) -> list[dict[str, Any]]:
    """The best setting of each peer."""
    weave_only = case.weave and not case.flicker
    settings = (
        DESHAKE[: 1 if quick or case.condition != "foreground" else 3]
        if weave_only
        else DEFLICKER_QUICK
        if quick or case.condition != "local"
        else DEFLICKER
    )
    best: dict[str, dict[str, Any]] = {}
    given = None if weave_only else shown(case.scan)
    for setting in filter(built, settings):
        out = steadied(case.scan, setting) if given is None else deflickered(given, setting)
        name = setting.partition("=")[0]
        found = {**head_frames, "method": name, **_rounded(figures(case, out.frames))}
        found |= {"s_per_frame": round(out.seconds / len(case.scan), 4), "note": setting}
        if name not in best or _badness(found) < _badness(best[name]):
            best[name] = found
    if weave_only and installed():
        for name, detect, transform in VIDSTAB:
            out = stabilised(case.scan, detect, transform)
            found = {**head_frames, "method": name, **_rounded(figures(case, out.frames))}
            found |= {"s_per_frame": round(out.seconds / len(case.scan), 4), "note": transform}
            if name not in best or _badness(found) < _badness(best[name]):
                best[name] = found
    return list(best.values())


def worked(task: tuple[str, int, bool, bool]) -> list[dict[str, Any]]:
    """All rows of a group, in a process of its own."""
    pin_numerics()
    group, frames, quick, ours_only = task
    return [row for case in cases(group, frames, quick) for row in measured(case, quick, ours_only)]


def _badness(row: Mapping[str, Any]) -> float:
    """What decides which setting of a peer is its best."""
    if row["table"] == "harm":
        return -float(row["psnr_db"])
    if row["condition"] == "breathing":
        return float(row["breathing"])
    return float(row["jitter_px"] if row["table"] == "weave" else row["local"])


def _rounded(row: Mapping[str, float]) -> dict[str, float]:
    return {k: round(v, 2 if k.endswith("db") else 5) for k, v in row.items()}


_COLUMNS = {
    "flicker": ("local_share", "whole_share", "breathing_share", "psnr_db", "s_per_frame"),
    "harm": ("psnr_db", "local", "whole", "s_per_frame"),
    "weave": ("jitter_px", "total_px", "turn_deg", "border_db", "inside_db", "s_per_frame"),
}


def show(row: Mapping[str, Any]) -> None:
    """One line of a table."""
    cells = [f"{row[c]:10.4f}" if c in row else " " * 10 for c in _COLUMNS[str(row["table"])]]
    name = f"{row['condition']:24} {row['clip']:7} {row['method']:14}"
    print(name, *cells, row.get("note", ""), flush=True)


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each goal: the mean and the worst of ours over the clips, and the best peer of this run."""
    out = []
    for condition, column, what, goal, elsewhere in GOALS:
        higher = column == "psnr_db"
        by_method: dict[str, list[float]] = defaultdict(list)
        for row in rows:
            if row["condition"] == condition and column in row:
                by_method[str(row["method"])].append(float(row[column]))
        ours = by_method.pop("Wetgate", [])
        by_method.pop("input", None)
        if not ours:
            continue
        means = {m: float(np.mean(v)) for m, v in by_method.items()}
        peer = (max if higher else min)(means.items(), key=lambda item: item[1], default=("-", 0.0))
        worst = min(ours) if higher else max(ours)
        out.append(
            {
                "condition": condition, "measure": what, "goal": goal,
                "mean": round(float(np.mean(ours)), 4), "worst": round(worst, 4),
                "reached": worst >= goal if higher else worst <= goal,
                "best_peer": peer[0], "best_peer_mean": round(peer[1], 4),
                "best_peer_elsewhere": elsewhere,
            }
        )  # fmt: skip
    return out


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="fewer clips, frames and settings")
    parser.add_argument(
        "--ours", action="store_true", help="measure Wetgate again, keep the peers of the last run"
    )
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    started = time.perf_counter()
    rows: list[dict[str, Any]] = []
    frames = 32 if given.quick else 60
    work = [(group, frames, given.quick, given.ours) for group in groups(given.quick)]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        for found in pool.map(worked, work):
            rows += found
            print(".", end="", flush=True)
    if given.ours:
        last = json.loads(given.out.read_text("utf-8"))["rows"]
        rows += [row for row in last if row["method"] not in ("input", "Wetgate")]
    for table, columns in _COLUMNS.items():
        print(f"\n\n{table:47}", *(f"{c:>10}" for c in columns))
        for row in sorted(rows, key=lambda r: str(r["condition"])):
            if row["table"] == table:
                show(row)
    goals = summary(rows)
    print(
        f"\n{'goal':24} {'measure':24} {'goal':>7} {'mean':>8} {'worst':>8}  best peer (elsewhere)"
    )
    for g in goals:
        print(
            f"{g['condition']:24} {g['measure']:24} {g['goal']:7.2f} {g['mean']:8.3f}"
            f" {g['worst']:8.3f}  {g['best_peer']} {g['best_peer_mean']}"
            f" ({g['best_peer_elsewhere']})"
            f"{'' if g['reached'] else '  not reached'}"
        )
    if NOT_BUILT:
        print("not built in the installed FFmpeg:", ", ".join(NOT_BUILT))
    if not installed():
        print("vid.stab was not measured: pip install imageio-ffmpeg beside Wetgate")
    result = {
        "schema": 1,
        "quick": given.quick,
        "minutes": round((time.perf_counter() - started) / 60.0, 1),
        "size": [clips.WIDTH, clips.HEIGHT],
        "clips": {n: clips.CLIPS[n].what for n in clips.available()},
        "numerics": profile(torch.device("cpu")),
        "ffmpeg": {k: ".".join(map(str, v)) for k, v in av.library_versions.items()},
        "not_built": list(NOT_BUILT),
        "vidstab": installed(),
        "goals": goals,
        "rows": rows,
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
