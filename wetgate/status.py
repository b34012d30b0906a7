"""How far a job is, from the files of its folder alone: while it runs, and after it died.

No server is asked: events say what was done, ``plan.json`` what is to do, leases who is there,
``control.json`` what a person wants.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from wetgate.agenda import Agenda, read_agenda
from wetgate.control import Word, said
from wetgate.crew import leases_of
from wetgate.eta import Event, Left, Queue, look
from wetgate.events import read_events
from wetgate.files import read_json
from wetgate.job import Job
from wetgate.leases import LEAD
from wetgate.night import after_work, parse_windows
from wetgate.pins import pins_in


@dataclass(frozen=True)
class Status:
    """State of a job."""

    state: str
    """running, paused, waiting (for its hours), cancelled, stopped, finished or not started."""
    stage: str
    frames_done: int
    frames_planned: int
    seconds_left: tuple[float, float] | None
    """Low and high, of work; None while nothing has been rendered yet."""
    held: tuple[str, ...]
    failed: tuple[str, ...]
    last_event_age_s: float | None
    seconds_left_likely: float | None = None
    finish: tuple[str, str] | None = None
    """At best and at worst, local time, closed hours counted in."""
    with_delivery: bool = False
    """Is delivery in these times? Not before it has been timed on this kind of worker."""
    deadline: str = ""
    deadline_will_be: str = ""
    """kept, at risk or missed; empty where there is none, or nothing can be said."""
    waiting_for: str = ""
    waiting_until: str = ""
    shots_waiting: tuple[str, ...] = ()
    shots_under_way: tuple[str, ...] = ()
    shots_done: tuple[str, ...] = ()
    helpers: int = 0
    why: Mapping[str, str] = field(default_factory=dict)
    """Why shots were held or failed, by shot."""
    kinds: Mapping[str, int] = field(default_factory=dict)
    """Kinds of workers that have begun shots, and how many."""
    left_to: Mapping[str, str] = field(default_factory=dict)
    """Shots that wait for the kind of worker that has begun them."""


def status(job: Job) -> Status:
    """Read what the newest run in the folder has left so far."""
    mine = _newest_run(read_events(job.folder.events))
    if not mine:
        return Status("not started", "", 0, 0, None, (), (), None)
    others: list[list[Event]] = [
        list(read_events(p)) for p in sorted(job.folder.root.glob("events.*.jsonl"))
    ]
    return _status(job, mine, others, time.time())


def _status(job: Job, mine: list[Event], others: list[list[Event]], now: float) -> Status:
    begun = _time(mine[0])
    # Clocks of machines are not compared, but a helper's work of days ago is told by them.
    events = sorted([*mine, *(e for h in others for e in h if _time(e) >= begun)], key=_time)
    names = [str(e.get("event")) for e in mine]
    planned = next((e for e in reversed(mine) if e.get("event") == "planned"), {})
    done = _frames_done(events)
    end = next((e for e in reversed(mine) if e.get("event") == "finished"), None)
    verdicts = {str(e["shot"]): e.get("verdict") for e in events if e.get("event") == "shot_done"}
    told = end.get("held") if end is not None else None
    held = tuple(str(h) for h in told) if isinstance(told, list) else ()
    # Before the end as well: whoever comes in the morning looks at these first.
    held = held or tuple(n for n, v in verdicts.items() if v == "held")
    failures = {str(e.get("shot")): e for e in mine if e.get("event") == "shot_failed"}
    state, waiting = _state(job, mine, now)
    agenda = read_agenda(job.folder) if planned else None
    queue, left = Queue((), (), ()), None
    if agenda is not None:
        since = _time(planned)
        workers = [[e for e in w if _time(e) >= since] for w in (mine, *others)]
        queue, left = look(agenda, workers, now)
    left = left if end is None else None
    finish = _finish(job, left, now)
    return Status(
        state=state,
        stage=_stage(names),
        frames_done=done,
        frames_planned=_int(planned.get("frames_missing")),
        seconds_left=(left.low, left.high) if left is not None else None,
        held=held,
        failed=tuple(failures),
        last_event_age_s=round(max(0.0, now - _time(events[-1])), 1),
        seconds_left_likely=left.likely if left is not None else None,
        finish=tuple(t.isoformat() for t in finish) if finish else None,  # type: ignore[arg-type]
        with_delivery=agenda is not None and agenda.deliver_s is not None,
        deadline=agenda.deadline.isoformat() if agenda and agenda.deadline else "",
        deadline_will_be=_kept(agenda, finish, end),
        waiting_for=str(waiting.get("why", "")),
        waiting_until=str(waiting.get("until", "")),
        shots_waiting=queue.waiting,
        shots_under_way=queue.under_way,
        shots_done=queue.done,
        helpers=_helpers(job),
        kinds=dict(Counter(pins_in(job.folder).values())),
        left_to=_left_to(mine, frozenset(queue.done)) if end is None else {},
        why={**_held_because(job, held), **{n: _what(e) for n, e in failures.items()}},
    )


def _frames_done(events: list[Event]) -> int:
    """Frames rendered; of a shot that was begun anew, only those since."""
    done = Counter[str]()
    for event in events:
        shot = str(event.get("shot"))
        if event.get("event") == "chunk_rendered":
            done[shot] += _int(event.get("frames"))
        elif event.get("event") == "begun_anew":
            done[shot] = 0
    return done.total()


def _newest_run(events: list[dict[str, object]]) -> list[Event]:
    starts = [i for i, e in enumerate(events) if e.get("event") == "run_started"]
    return list(events[starts[-1] :] if starts else events)


def _state(job: Job, mine: list[Event], now: float) -> tuple[str, Event]:
    """What the job is doing, and the event that says what it waits for."""
    names = [str(e.get("event")) for e in mine]
    if "finished" in names:
        return "finished", {}
    stands = said(job.folder)
    if stands is not None and stands.word is Word.CANCEL:
        return "cancelled", {}
    there = leases_of(job.folder).seems_held(LEAD, now)
    if stands is not None:
        return "paused", {"why": "paused" if there else "paused, and nobody is at work"}
    if not there:
        return "stopped", {}
    last = next((e for e in reversed(mine) if e.get("event") in ("waiting", "goes_on")), {})
    if last.get("event") == "waiting":
        return "waiting", last
    return "running", {}


def _finish(job: Job, left: Left | None, now: float) -> tuple[datetime, datetime] | None:
    if left is None:
        return None
    at, windows = datetime.fromtimestamp(round(now)), parse_windows(job.project.night.window)
    low, high = (after_work(windows, at, s) for s in (left.low, left.high))
    return low.replace(microsecond=0), high.replace(microsecond=0) + timedelta(seconds=1)


def _kept(
    agenda: Agenda | None, finish: tuple[datetime, datetime] | None, end: Event | None
) -> str:
    if agenda is None or agenda.deadline is None:
        return ""
    if end is not None:
        kept = datetime.fromtimestamp(_time(end)) <= agenda.deadline
        return "kept" if kept else "missed"
    if finish is None:
        return ""
    low, high = finish
    return "kept" if high <= agenda.deadline else "at risk" if low <= agenda.deadline else "missed"


def _held_because(job: Job, held: Sequence[str]) -> dict[str, str]:
    """From the verdicts as they lie there."""
    found = {}
    for path in sorted((job.folder.root / "reels").glob("*/verify/*.json")):
        if path.stem in held:
            reasons = (read_json(path) or {}).get("held_because")
            found[path.stem] = "; ".join(map(str, reasons)) if isinstance(reasons, list) else ""
    return found


def _left_to(mine: list[Event], done: frozenset[str]) -> dict[str, str]:
    """What the leader last said of shots that another kind of worker has begun."""
    found: dict[str, str] = {}
    for event in mine:
        shot = str(event.get("shot"))
        if event.get("event") == "left_to_another_kind":
            found[shot] = str(event.get("kind"))
        elif event.get("event") in ("shot_started", "begun_anew"):
            found.pop(shot, None)
    return {s: kind for s, kind in found.items() if s not in done}


def _what(failure: Event) -> str:
    frame = failure.get("frame")
    where = f"frame {frame}: " if frame is not None else ""
    hint = f" ({failure['hint']})" if failure.get("hint") else ""
    return f"{where}{failure.get('what', '')}{hint}"


def _helpers(job: Job) -> int:
    leases = leases_of(job.folder)
    return sum(leases.seems_held(n, time.time()) for n in leases.names("worker-*"))


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


def _time(event: Event) -> float:
    value = event.get("time")
    return float(value) if isinstance(value, int | float) else 0.0
