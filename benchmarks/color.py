"""Matching, unfading and hand-over of color against known truth, peers in the same run.

    python -m benchmarks.color [--quick] [--ours] [--job] [--sheets DIR] [--out FILE]

Real footage gets seeded grades and fading; our solve and the peers that are installed
(color-matcher and scikit-image, neither a dependency) bring it back, and what is left is the mean
CIEDE2000 to the ungraded picture, by colour-science. --job also times ``wetgate prebalance``
against a full restore of the same title. docs/color.md says what the figures mean.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import color_clips as clips
from benchmarks.color_beside import title_without_links, unrelated_neighbours
from benchmarks.color_checks import fading_cases, golden, recovery, tints
from benchmarks.color_peers import peers
from benchmarks.color_title import mean_of_grades, shots, solved, spread_and_contrast
from color.cdl import CDL, IDENTITY, apply_cdl
from color.difference import delta_e_2000, subsample
from color.links import find_links
from color.match import MatchOptions, solve_match
from color.records import ShotColor, shot_input

F64 = NDArray[np.float64]

_COUNTED = 15000
GOALS = {
    "pairs": (2.0, 3.5),
    "later": (1.0, 2.0),
    "closer": (1.5, 4.0),
}
"""Mean and worst Delta E."""
OPTIONS = MatchOptions(anchor_reel="A", slope_limits=(0.7, 1.45), offset_limit_log=0.12)


@dataclass(frozen=True)
class Case:
    """A reference shot, and a shot with a wrong grade whose truth is known."""

    group: str
    name: str
    reference: tuple[F64, ...]
    truth: tuple[F64, ...]
    scanned: tuple[F64, ...]


def cases(quick: bool) -> Iterator[Case]:
    """Groups: pairs, later, closer, their like in video code, changing light, unrelated."""
    have = clips.available()
    yield from _pairs([n for n in ("dog", "bunny", "bikes") if n in have], 2 if quick else 5)
    yield from _framings(have, 2 if quick else 4)
    yield from _unrelated(have)


def _pairs(names: list[str], grades: int) -> Iterator[Case]:
    """One frame against one frame, 40 apart; graded in film log, and in video code."""
    for name in names:
        truth, reference = (clips.frame(name, 0),), (clips.frame(name, 40),)
        for k in range(grades):
            for group, make in (("pairs", clips.scan), ("pairs, video grade", clips.scan_of_video)):
                scanned = tuple(make(t, clips.grade(100 + k)) for t in truth)
                yield Case(group, f"{name} {k}", reference, truth, scanned)


def _framings(have: list[str], grades: int) -> Iterator[Case]:
    """A later part of the shot, and the same closer; three frames of each."""
    for name in have:
        step = clips.CLIPS[name].step
        length = clips.CLIPS[name].last - clips.CLIPS[name].first
        steps = (0, step // 4, step // 2)
        reference = tuple(clips.frame(name, d) for d in steps)
        light = ", light changes" if name in ("street", "cars") else ""
        for k in range(grades):
            at = min((2, 3, 4, 3)[k] * step, length - step // 2)
            later = tuple(clips.frame(name, at + d) for d in steps)
            near = tuple(clips.closer(f) for f in later)
            for group, truth in (("later", later), ("closer", near)):
                scanned = tuple(clips.scan(t, clips.grade(200 + k)) for t in truth)
                yield Case(group + light, f"{name} {k}", reference, truth, scanned)


def _unrelated(have: list[str]) -> Iterator[Case]:
    """A graded shot of one film beside a shot of another."""
    for k, name in enumerate(have):
        for away in (1, 2):
            other = have[(k + away) % len(have)]
            if clips.CLIPS[name].file != clips.CLIPS[other].file:
                truth = (clips.frame(name, 0),)
                scanned = tuple(clips.scan(t, clips.grade(300 + k)) for t in truth)
                reference = (clips.frame(other, 0),)
                yield Case("unrelated", f"{name} to {other}", reference, truth, scanned)


def ours(case: Case) -> ShotColor:
    """What the solve decides for the graded shot, the reference being the named reel."""
    found = {"A_1": clips.evidence(*case.reference), "B_1": clips.evidence(*case.scanned)}
    inputs = [shot_input(n, n[0], e) for n, e in found.items()]
    return solve_match(inputs, find_links(found), OPTIONS)["B_1"]


def measured(
    case: Case, others: Mapping[str, Callable[[F64, F64], F64]], sheets: Path | None = None
) -> dict[str, Any]:
    """Delta E of the middle frame, corrected by each. sheets: where to put pictures of it."""
    middle = len(case.truth) // 2
    truth, scanned, reference = case.truth[middle], case.scanned[middle], case.reference[middle]

    def error(picture: F64) -> float:
        return round(delta_e_2000(subsample(picture, _COUNTED), subsample(truth, _COUNTED)), 3)

    row: dict[str, Any] = {"group": case.group, "case": case.name, "none": error(scanned)}
    started = time.process_time()
    color = ours(case)
    row["seconds"] = round(time.process_time() - started, 2)
    corrected = apply_cdl(scanned, color.cdl.rounded(), clamp=False)
    row["ours"] = error(corrected)
    row["confidence"] = round(color.confidence, 3)
    row["reason"] = color.reason
    for name, peer in others.items():
        row[name] = error(peer(scanned, reference))
    if sheets is not None:
        _picture(sheets, case, (reference, scanned, corrected, truth))
    return row


def _picture(folder: Path, case: Case, pictures: tuple[F64, ...]) -> None:
    """Reference, scan, ours and truth side by side, 8 bit, for looking."""
    small = [cv2.resize(clips.to_display(p), (400, 225)) for p in pictures]
    shown = np.rint(np.hstack(small)[:, :, ::-1] * 255.0).astype(np.uint8)
    folder.mkdir(parents=True, exist_ok=True)
    name = "".join(c if c.isalnum() else "_" for c in f"{case.group} {case.name}")
    cv2.imwrite(str(folder / f"{name}.jpg"), shown)


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Per group: mean, worst and the worst harm done, of all that were measured."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["group"]].append(row)
    out = []
    for group, mine in groups.items():
        found: dict[str, Any] = {"group": group, "cases": len(mine), "goal": GOALS.get(group)}
        methods = [k for k in mine[0] if k in ("none", "ours") or ", " in k]
        for name in methods:
            values = np.array([r[name] for r in mine])
            harm = values - np.array([r["none"] for r in mine])
            found[name] = [round(float(v), 3) for v in (values.mean(), values.max(), harm.max())]
        rest = {n: v for n, v in found.items() if n in methods and n not in ("none", "ours")}
        found["best_peer"] = min(rest, key=lambda n: rest[n][0]) if rest else None
        out.append(found)
    return out


def _few_wrong(titles: int) -> dict[str, Any]:
    """Titles in which most shots of a scene are right: mean, and worst of the differences."""
    before, after = [], []
    for seed in range(titles):
        title = shots(few_wrong=seed)
        before.append(spread_and_contrast(title, {s.id: CDL() for s in title}))
        colors = solved(title)
        after.append(spread_and_contrast(title, {n: c.cdl for n, c in colors.items()}))
    return {
        "titles": titles,
        "none_within": float(np.mean([f["within"] for f in before])),
        "none_between_worst": max(f["between_worst"] for f in before),
        "within": float(np.mean([f["within"] for f in after])),
        "within_worst_scene": max(f["within_worst_scene"] for f in after),
        "between_worst": max(f["between_worst"] for f in after),
    }


def title_figures(quick: bool) -> dict[str, Any]:
    """The twenty-shot title: untouched, with heroes, without, and with most shots right."""
    title = shots()
    nothing = {s.id: CDL() for s in title}
    found: dict[str, Any] = {"shots": len(title), "none": spread_and_contrast(title, nothing)}
    for label, heroes, balance in (
        ("one hero a scene", True, False),
        ("no hero", False, False),
        ("no hero, balanced", False, True),
    ):
        started = time.process_time()
        colors = solved(title, heroes=heroes, balance=balance)
        found[label] = spread_and_contrast(title, {n: c.cdl for n, c in colors.items()})
        found[label]["seconds"] = round(time.process_time() - started, 1)
        found[label]["untouched_shots"] = sum(c.cdl == IDENTITY for c in colors.values())
    found["agreeing on the mean of grades"] = {"between_worst": mean_of_grades(title)}
    found["two wrong shots a scene, no hero"] = _few_wrong(1 if quick else 4)
    found["neighbours instead of links"] = title_without_links(title)
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer grades")
    parser.add_argument("--job", action="store_true", help="also time prebalance and run")
    parser.add_argument("--ours", action="store_true", help="keep peers and job of the last run")
    parser.add_argument("--sheets", type=Path, help="folder for pictures of every case")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/color.json"))
    given = parser.parse_args()
    before = json.loads(given.out.read_text()) if given.ours else {}
    told = {(r["group"], r["case"]): r for r in before.get("rows", [])}
    others = {} if given.ours else peers()
    rows = []
    for case in cases(given.quick):
        row = measured(case, others, given.sheets)
        kept = told.get((row["group"], row["case"]), {})
        row |= {k: v for k, v in kept.items() if ", " in k}
        rows.append(row)
        print(
            f"{row['group']:28} {row['case']:20} none {row['none']:6.2f}  ours {row['ours']:6.2f}"
            f"  {row['reason'][:70]}",
            flush=True,
        )
    groups = summary(rows)
    print(f"\n{'group':28} {'none':>12} {'ours':>12} {'harm':>7}  best peer")
    for g in groups:
        best = g["best_peer"]
        said = f"{best} {g[best][0]:.2f} ({g[best][1]:.2f})" if best else "none is installed"
        print(
            f"{g['group']:28} {g['none'][0]:5.2f} ({g['none'][1]:5.2f}) {g['ours'][0]:5.2f}"
            f" ({g['ours'][1]:5.2f}) {g['ours'][2]:7.2f}  {said}"
        )
    have_all = {"dog", "blocks", "coffee"} <= set(clips.available())
    result = {
        "schema": 1,
        "quick": given.quick,
        "clips": clips.available(),
        "peers": before.get("peers") or sorted(others),
        "groups": groups,
        "title": title_figures(given.quick) if have_all else None,
        "unrelated_neighbours": unrelated_neighbours(2 if given.quick else 4),
        "recovery": recovery(),
        "fading": fading_cases(),
        "golden": golden(),
        "tints": tints(),
        "rows": rows,
    }
    if given.job:
        from benchmarks.color_job import prebalance_against_run

        result["job"] = prebalance_against_run()
    elif "job" in before:
        result["job"] = before["job"]
    for name in ("title", "unrelated_neighbours", "recovery", "fading", "golden", "tints", "job"):
        if result.get(name) is not None:
            print(f"{name}: {json.dumps(result[name])}")
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
