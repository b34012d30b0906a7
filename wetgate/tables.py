"""Tables people read on the terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from wetgate.config import Project
from wetgate.dryrun import DryRun, operators_of


def truth_table(truth: dict[str, Any]) -> Table:
    """The demo against what is known: before, after, goal."""
    table = Table(title="Against the truth (the damage was ours, so it is known)")
    for name in ("measure", "unit", "before", "after", "goal", ""):
        table.add_column(name, justify="left" if name in ("measure", "unit", "goal") else "right")
    for row in truth["rows"]:
        before = "" if row["before"] is None else f"{row['before']:.4g}"
        mark = "reached" if row["reached"] else "missed"
        if row["goal"] == "-":
            mark = ""
        table.add_row(row["measure"], row["unit"], before, f"{row['after']:.4g}", row["goal"], mark)
    return table


def time_range(seconds: tuple[float, float] | None) -> str:
    """A range in the unit people would use; honest when nothing is known."""
    if seconds is None:
        return "not known yet"
    low, high = seconds
    if high < 90:
        return f"{low:.0f} to {high:.0f} s"
    if high < 5400:
        return f"{low / 60:.0f} to {high / 60:.0f} min"
    return f"{low / 3600:.1f} to {high / 3600:.1f} h"


def plan_dict(project: Project, found: DryRun) -> dict[str, Any]:
    """The plan for machines."""
    shots = [s for r in found.title.reels.values() for s in r.shots]
    return {
        "schema": 1,
        "title": project.title,
        "settings": project.model_dump(mode="json"),
        "shots": [
            {
                "shot": s.id,
                "reel": s.reel,
                "frames": [s.frames.start, s.frames.stop - 1],
                "kind": s.kind.value,
                "operators": operators_of(
                    project, found.title.planned[s.id][0], found.title.decisions[s.id]
                ),
                "settings_from": list(found.title.decisions[s.id].settings_from),
                "left_alone": list(found.title.decisions[s.id].reasons),
                "confidence": found.title.decisions[s.id].confidence,
            }
            for s in shots
        ],
        "chunks": {"total": found.chunks, "cached": found.cached},
        "chunks_missing": found.chunks - found.cached,
        "frames_missing": found.estimate.frames_missing,
        "seconds": found.estimate.seconds,
        "seconds_basis": found.estimate.basis,
        "disk_bytes": found.estimate.disk_bytes,
        "memory_bytes": found.estimate.memory_bytes,
        "vram_bytes": found.estimate.vram_bytes,
    }


def print_plan(console: Console, project: Project, found: DryRun) -> None:
    """The plan for people."""
    table = Table(title=f"{project.title}: what a run would do")
    for name in ("shot", "frames", "operators", "confidence", "left alone"):
        table.add_column(name)
    plan = plan_dict(project, found)
    for shot in plan["shots"]:
        first, last = shot["frames"]
        table.add_row(
            shot["shot"],
            f"{first}-{last}",
            ", ".join(shot["operators"]) or "pass through",
            f"{shot['confidence']:.2f}",
            "; ".join(shot["left_alone"]),
        )
    console.print(table)
    console.print("settings in force that differ from the defaults:", markup=False)
    for line in changed_settings(project) or ["  none"]:
        console.print(f"  {line}", markup=False)
    console.print(
        f"chunks: {found.cached} cached, {found.chunks - found.cached} missing "
        f"({found.estimate.frames_missing} frames)",
        markup=False,
    )
    console.print(
        f"time: {time_range(found.estimate.seconds)} ({found.estimate.basis})", markup=False
    )
    console.print(
        f"disk: {found.estimate.disk_bytes / 1e9:.2f} GB   "
        f"memory: about {found.estimate.memory_bytes / 1e9:.2f} GB   "
        f"GPU memory: {_gigabytes(found.estimate.vram_bytes)}",
        markup=False,
    )


def _gigabytes(count: int) -> str:
    return f"about {count / 1e9:.2f} GB" if count else "none, the CPU does it"


def changed_settings(project: Project) -> list[str]:
    """``restore.dirt.enabled = false`` and the like, for all that is not a default."""
    return _changes(project.model_dump(mode="json"), Project().model_dump(mode="json"), "")


def _changes(value: dict[str, Any], default: dict[str, Any], prefix: str) -> list[str]:
    lines = []
    for key, now in value.items():
        was = default.get(key)
        if isinstance(now, dict) and isinstance(was, dict):
            lines += _changes(now, was, f"{prefix}{key}.")
        elif now != was:
            lines.append(f"{prefix}{key} = {now!r}")
    return lines
