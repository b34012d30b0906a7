"""Tables people read on the terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from wetgate.config import Project
from wetgate.dryrun import DryRun, operators_of
from wetgate.size import size_of
from wetgate.status import Status


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


def status_lines(found: Status) -> list[str]:
    """How far a job is, for people."""
    waits = f" ({found.waiting_for})" if found.waiting_for else ""
    until = f", until {found.waiting_until.replace('T', ' ')}" if found.waiting_until else ""
    lines = [f"{found.state}: {found.stage}{waits}{until}"]
    lines.append(f"frames rendered in this run: {found.frames_done} of {found.frames_planned}")
    counts = (found.shots_done, found.shots_under_way, found.shots_waiting)
    if any(counts):
        done, going, waiting = map(len, counts)
        lines.append(f"shots: {done} restored, {going} under way, {waiting} waiting")
    if len(found.kinds) > 1:
        lines.append("made by: " + ", ".join(f"{k} {n}" for k, n in sorted(found.kinds.items())))
    lines += [f"  {shot} waits for {kind}, which began it" for shot, kind in found.left_to.items()]
    if found.helpers:
        lines.append(f"helpers: {found.helpers}")
    if found.state in ("running", "paused", "waiting"):
        rest = "" if found.with_delivery or not found.seconds_left else ", and the delivery"
        lines.append(f"time left: {time_range(found.seconds_left)}{rest}")
    if found.finish is not None and found.state in ("running", "waiting"):
        begin, end = (t[:16].replace("T", " ") for t in found.finish)
        lines.append(f"finished: between {begin} and {end}")
    if found.deadline:
        will = f" will be {found.deadline_will_be}" if found.deadline_will_be else ""
        lines.append(f"deadline: {found.deadline[:16].replace('T', ' ')}{will}")
    for label, shots in (("failed", found.failed), ("held for a look", found.held)):
        if shots:
            lines.append(f"{label}: {len(shots)}")
            lines += [f"  {shot}: {found.why.get(shot, '')}" for shot in shots]
    return lines


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
        "sizes": {
            name: list(reversed(size_of(project, r.reel.format, name).out_px))
            for name, r in found.title.reels.items()
        },
        "chunks": {"total": found.chunks, "cached": found.cached},
        "chunks_missing": found.chunks - found.cached,
        "frames_missing": found.estimate.frames_missing,
        "worker": found.worker,
        "seconds": found.estimate.timing.seconds,
        "seconds_by_stage": dict(found.estimate.timing.stages),
        "seconds_basis": found.estimate.timing.basis,
        "not_timed": list(found.estimate.timing.unknown),
        "begins": found.begins.isoformat(),
        "finish": [t.isoformat() for t in found.finish] if found.finish else None,
        "deadline": _promise_dict(found),
        "disk_bytes": found.estimate.disk_bytes,
        "disk_free_bytes": found.free_bytes,
        "memory_bytes": found.estimate.memory_bytes,
        "memory_basis": found.estimate.memory_basis,
        "vram_bytes": found.estimate.vram_bytes,
    }


def _promise_dict(found: DryRun) -> dict[str, Any] | None:
    if found.promise is None:
        return None
    told = found.promise
    return {
        "time": told.deadline.isoformat(),
        "possible": told.possible,
        "title_delivered": told.delivered,
        "fits": list(told.fits),
        "may_fit": list(told.may_fit),
        "left_out": list(told.left_out),
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
    for name, ingested in found.title.reels.items():
        size = size_of(project, ingested.reel.format, name).text
        if size:
            console.print(f"size: reel {name} {size}", markup=False)
    console.print("settings in force that differ from the defaults:", markup=False)
    for line in changed_settings(project) or ["  none"]:
        console.print(f"  {line}", markup=False)
    console.print(
        f"chunks: {found.cached} cached, {found.chunks - found.cached} missing "
        f"({found.estimate.frames_missing} frames)",
        markup=False,
    )
    for line in (*_time_lines(project, found), *_room_lines(found)):
        console.print(line, markup=False)


def _time_lines(project: Project, found: DryRun) -> list[str]:
    timing = found.estimate.timing
    lines = [f"time: {time_range(timing.seconds)} of work ({timing.basis})"]
    for name, span in timing.stages.items():
        lines.append(f"  {name}: {time_range(span)}")
    for piece in timing.unknown:
        lines.append(f"  not known yet on this kind of worker, not counted: {piece}")
    if found.finish is not None:
        begin, end = (f"{t:%Y-%m-%d %H:%M}" for t in found.finish)
        window = f" in the window {project.night.window}" if project.night.window else ""
        rest = ", and what is not known" if timing.unknown else ""
        lines.append(f"finished: between {begin} and {end}{rest}, if it is begun now{window}")
    return lines + _deadline_lines(project, found)


def _deadline_lines(project: Project, found: DryRun) -> list[str]:
    told = found.promise
    if told is None:
        unknown = "deadline: the time is not known yet, nothing can be promised"
        return [unknown] if project.night.deadline else []
    by = f"deadline {told.deadline:%Y-%m-%d %H:%M}"
    if not told.possible:
        return [f"{by}: impossible, no shot is restored by then"]
    word = {"yes": "will be", "maybe": "may be", "no": "will not be"}[told.delivered]
    lines = [f"{by}: the whole title {word} delivered by then"]
    for label, shots in (
        ("restored by then", told.fits),
        ("perhaps restored by then", told.may_fit),
        ("not restored by then", told.left_out),
    ):
        if shots and told.delivered != "yes":
            lines.append(f"  {label}: {len(shots)} shots: {', '.join(shots)}")
    return lines


def _room_lines(found: DryRun) -> list[str]:
    needs = found.estimate
    short = needs.disk_bytes - found.free_bytes
    room = f", {short / 1e9:.2f} GB SHORT" if short > 0 else ""
    return [
        f"disk: {needs.disk_bytes / 1e9:.2f} GB of {found.free_bytes / 1e9:.2f} GB free{room}   "
        f"memory: about {needs.memory_bytes / 1e9:.2f} GB ({needs.memory_basis})   "
        f"GPU memory: {_gigabytes(needs.vram_bytes)}"
    ]


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
