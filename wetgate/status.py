"""How far a job is, from its event file alone: works while it runs, and after it died."""

from __future__ import annotations

import time
from dataclasses import dataclass

from wetgate.events import read_events
from wetgate.job import Job

_QUIET_S = 60.0


@dataclass(frozen=True)
class Status:
    """State of a job."""

    state: str
    """running, finished, stopped or not started."""
    stage: str
    frames_done: int
    frames_planned: int
    seconds_left: tuple[float, float] | None
    """Low and high; None while nothing has been rendered yet."""
    held: tuple[str, ...]
    failed: tuple[str, ...]
    last_event_age_s: float | None


def status(job: Job) -> Status:
    """Read events.jsonl of the newest run in the folder."""
    events = all_events(job)
    starts = [i for i, e in enumerate(events) if e.get("event") == "run_started"]
    events = events[starts[-1] :] if starts else events
    if not events:
        return Status("not started", "", 0, 0, None, (), (), None)
    names = [str(e.get("event")) for e in events]
    planned = next((e for e in reversed(events) if e.get("event") == "planned"), {})
    total = _int(planned.get("frames_missing"))
    rendered = [e for e in events if e.get("event") == "chunk_rendered"]
    done = sum(_int(e.get("frames")) for e in rendered)
    end = next((e for e in reversed(events) if e.get("event") == "finished"), None)
    age = max(0.0, time.time() - _float(events[-1].get("time")))
    failed = tuple(str(e.get("shot")) for e in events if e.get("event") == "shot_failed")
    held: tuple[str, ...] = ()
    if end is not None:
        found = end.get("held")
        held = tuple(str(h) for h in found) if isinstance(found, list) else ()
    over = names[-1] in ("interrupted", "stopped")
    state = "running" if age < _QUIET_S and not over else "stopped"
    if end is not None:
        state = "finished"
    left = None
    if rendered and total > done and end is None:
        begun = next(_float(e.get("time")) for e in events if e.get("event") == "planned")
        rate = done / max(1e-3, _float(rendered[-1].get("time")) - begun)
        left = (0.8 * (total - done) / rate, 1.4 * (total - done) / rate)
    return Status(state, _stage(names), done, total, left, held, failed, round(age, 1))


def all_events(job: Job) -> list[dict[str, object]]:
    """The leader's events, and those of helpers among them by the time they give."""
    found = read_events(job.folder.events)
    helped = [e for p in sorted(job.folder.root.glob("events.*.jsonl")) for e in read_events(p)]
    if not helped:
        return found
    return sorted([*found, *helped], key=lambda e: _float(e.get("time")))


def _stage(names: list[str]) -> str:
    for name, stage in (
        ("finished", "done"),
        ("delivered", "deliver"),
        ("planned", "render"),
        ("analysed", "analyse"),
        ("ingest_started", "ingest"),
    ):
        if name in names:
            return stage
    return "starting"


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0


def _float(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
