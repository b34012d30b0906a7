"""How long the rest takes, from the frames that are really done.

Each worker's time is counted between its own events, so pauses, closed hours and clocks that differ
between machines do not matter. What frames took against what the plan said gives the speed; what
is left goes round the hands that are at work (``wetgate/schedule.py``).
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from wetgate.agenda import Agenda, Turn

_SURE, _UNSURE = 0.08, 0.2
"""Half the range when nearly all is done, and what is added when nothing is."""
_TRUST = 0.03
"""Past runs weigh as much as this share of the title done."""

Event = Mapping[str, object]


@dataclass
class _Progress:
    """One shot, as far as events tell."""

    mark: float | None = None
    """When its worker last did something for it, by the worker's clock; None before its turn."""
    frames: int = 0
    busy_s: float = 0.0
    """For frames after the first."""
    first_s: list[float] = field(default_factory=list)
    """Frames that fill the windows, one for each time it was begun."""
    fresh: bool = True
    warm: bool = True
    """Is this not among the first its worker began, for which it compiles and loads?"""
    verify_s: float | None = None
    anew_by: int | None = None
    """The worker that began it anew: what others did for it before does not count."""
    over: bool = False


@dataclass(frozen=True, slots=True)
class Left:
    """Seconds until the title is delivered, or restored where delivery has never been timed."""

    low: float
    likely: float
    high: float


@dataclass(frozen=True, slots=True)
class Queue:
    """Shots of the run by what is happening to them."""

    waiting: tuple[str, ...]
    under_way: tuple[str, ...]
    done: tuple[str, ...]


def look(
    agenda: Agenda, workers: Sequence[Sequence[Event]], now: float
) -> tuple[Queue, Left | None]:
    """workers: the events of each since the plan was made, the leader first. now: its clock, s.

    returns: the queue; what is left, None before the first frames are done.
    """
    shots = {t.shot: _Progress() for t in agenda.turns}
    for who, events in enumerate(workers):
        _follow(shots, events, who)
    queue = Queue(
        tuple(n for n, p in shots.items() if p.mark is None and not p.over),
        tuple(n for n, p in shots.items() if p.mark is not None and not p.over),
        tuple(n for n, p in shots.items() if p.over),
    )
    return queue, _left(agenda, shots, queue, now)


def _follow(shots: Mapping[str, _Progress], events: Sequence[Event], who: int) -> None:
    """One worker's events, in their order."""
    mine: set[str] = set()
    warm = False
    for event in events:
        name, at = event.get("event"), _number(event.get("time"))
        shot = shots.get(str(event.get("shot")))
        if name == "goes_on":
            for other in mine:
                shots[other].mark = at
        if shot is None or shot.anew_by not in (None, who):
            continue
        if name == "begun_anew":
            shot.frames, shot.busy_s, shot.anew_by = 0, 0.0, who
            shot.first_s.clear()
        elif name == "shot_started":
            shot.mark, shot.fresh, shot.warm = at, True, warm
            mine.add(str(event["shot"]))
        elif name in ("shot_done", "shot_failed"):
            shot.over, shot.mark, warm = True, at, True
        elif shot.mark is None:
            continue
        elif name == "frame_rendered":
            shot.frames += 1
            if shot.fresh:
                shot.first_s.append(at - shot.mark)
                shot.fresh = False
            else:
                shot.busy_s += at - shot.mark
            shot.mark = at
        elif name in ("chunk_rendered", "chunk_cached"):
            shot.busy_s += at - shot.mark if name == "chunk_rendered" else 0.0
            shot.mark = at
        elif name == "verified":
            seconds = event.get("seconds")
            shot.verify_s = _number(seconds) if seconds is not None else None
            shot.mark = at


def _left(agenda: Agenda, shots: Mapping[str, _Progress], queue: Queue, now: float) -> Left | None:
    turns = {t.shot: t for t in agenda.turns}
    units = {t.shot: t.render / t.missing if t.missing else 0.0 for t in agenda.turns}
    # The first frame of a shot fills the windows; it is no measure of the others.
    done = sum(units[n] * max(0, p.frames - len(p.first_s)) for n, p in shots.items())
    busy = sum(p.busy_s for p in shots.values())
    total = sum(t.render for t in agenda.turns)
    if total and not done:
        return None
    prior = _TRUST * total if agenda.timed else 0.0
    speed = (busy + prior) / (done + prior) if done + prior else 1.0
    checked = [(turns[n].verify, p.verify_s) for n, p in shots.items() if p.verify_s is not None]
    expected = sum(e for e, _ in checked)
    check = sum(float(s or 0.0) for _, s in checked) / expected if expected else 1.0
    firsts = [s - speed * units[n] for n, p in shots.items() if p.warm for s in p.first_s]
    first = max(0.0, sum(firsts) / len(firsts)) if firsts else 0.0

    def rest(turn: Turn, shot: _Progress) -> float:
        if shot.mark is None:
            head = first if turn.missing else 0.0
            return head + speed * turn.render + check * turn.verify
        frames = max(0, turn.missing - shot.frames)
        left = speed * units[turn.shot] * frames + check * turn.verify
        return left if frames else max(0.0, left - max(0.0, now - shot.mark))

    hands = [rest(turns[n], shots[n]) for n in queue.under_way] or [0.0] * agenda.workers
    heapq.heapify(hands)
    for name in queue.waiting:
        heapq.heappush(hands, heapq.heappop(hands) + rest(turns[name], shots[name]))
    likely = max(hands)
    if agenda.deliver_s is not None:
        since = now - max((p.mark for p in shots.values() if p.mark is not None), default=now)
        spent = since if not queue.waiting and not queue.under_way else 0.0
        likely += max(0.0, agenda.deliver_s - spent)
    share = min(1.0, done / total) if total else 1.0
    off = _SURE + _UNSURE * (1.0 - share)
    return Left(likely * (1.0 - off), likely, likely * (1.0 + off))


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
