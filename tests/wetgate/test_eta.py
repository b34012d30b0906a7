"""What is left, from events whose truth is known."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wetgate.agenda import Agenda, Turn
from wetgate.eta import look
from wetgate.night import parse_windows
from wetgate.schedule import finish_times, promise

CHUNK = 8
NOW = datetime(2026, 11, 26, 20)


class Worker:
    """Makes the events of one worker with a hand or two, and knows when what was done."""

    def __init__(self, hands: int, clock_off_s: float = 0.0) -> None:
        self.free = [0.0] * hands
        self.off = clock_off_s
        self.events: list[tuple[float, dict[str, Any]]] = []
        self.cold = True

    def say(self, at: float, event: str, shot: str, **more: object) -> None:
        told = {"time": at + self.off, "event": event, "shot": shot, **more}
        self.events.append((at, told))

    def work(self, turn: Turn, frame_s: float, verify_s: float, compile_s: float) -> None:
        hand = int(np.argmin(self.free))
        at = self.free[hand]
        self.say(at, "shot_started", turn.shot)
        at += compile_s if self.cold or at == 0.0 else 0.0
        for k in range(turn.frames):
            at += frame_s * (3.0 if k == 0 else 1.0)
            self.say(at, "frame_rendered", turn.shot)
            if (k + 1) % CHUNK == 0 or k + 1 == turn.frames:
                self.say(at, "chunk_rendered", turn.shot, frames=CHUNK)
        at += verify_s
        self.say(at, "verified", turn.shot, seconds=verify_s)
        self.say(at, "shot_done", turn.shot)
        self.free[hand], self.cold = at, False


def seen(workers: list[Worker], now: float) -> list[list[dict[str, Any]]]:
    return [[e for at, e in sorted(w.events, key=lambda p: p[0]) if at <= now] for w in workers]


def truth_of(workers: list[Worker]) -> float:
    return max(max(w.free) for w in workers)


def after_share(workers: list[Worker], share: float) -> float:
    times = sorted(at for w in workers for at, e in w.events if e["event"] == "frame_rendered")
    return times[int(share * len(times))]


@pytest.mark.parametrize("helper_clock_s", [None, 0.0, 7200.0])
@pytest.mark.parametrize("timed", [True, False])
def test_after_a_tenth_of_the_frames_the_rest_is_known(
    *, timed: bool, helper_clock_s: float | None
) -> None:
    chance = np.random.default_rng(3)
    turns, workers = [], [Worker(2)]
    if helper_clock_s is not None:
        workers.append(Worker(1, helper_clock_s))
    frame_s, verify_s = 1.7, 0.4
    for k in range(60):
        frames = int(chance.integers(20, 120))
        expected = 1.5 if timed else 0.4
        turns.append(Turn(f"S{k}", "R1", frames, frames, expected * frames, 0.5 * frames))
        first = min(workers, key=lambda w: min(w.free))
        really = frame_s * chance.uniform(0.85, 1.15)
        first.work(turns[-1], really, verify_s * frames, compile_s=20.0)
    agenda = Agenda(tuple(turns), timed, 30.0, 2, None)
    now = after_share(workers, 0.1)
    queue, left = look(agenda, seen(workers, now), now)
    truth = truth_of(workers) + 30.0 - now
    assert left is not None
    assert abs(left.likely / truth - 1) < 0.15
    assert left.low < truth < left.high
    assert len(queue.waiting) + len(queue.under_way) + len(queue.done) == 60
    assert len(queue.under_way) == (2 if helper_clock_s is None else 3)


def test_a_pause_is_no_slow_frame() -> None:
    worker = Worker(1)
    turns = tuple(Turn(f"S{k}", "R1", 40, 40, 40.0, 4.0) for k in range(10))
    for turn in turns:
        worker.work(turn, 1.0, 4.0, compile_s=0.0)
    agenda = Agenda(turns, timed=False, deliver_s=None, workers=1, deadline=None)
    now = after_share([worker], 0.3)
    events = seen([worker], now)[0]
    _, before = look(agenda, [events], now)
    hour = 3600.0
    paused = [e if e["time"] < now - 10 else {**e, "time": e["time"] + hour} for e in events]
    at = next(k for k, e in enumerate(paused) if e["time"] >= now - 10 + hour)
    paused.insert(at, {"time": paused[at]["time"] - 1.0, "event": "goes_on"})
    _, after = look(agenda, [paused], now + hour)
    assert before is not None
    assert after is not None
    assert after.likely == pytest.approx(before.likely, rel=0.02)


def test_nothing_is_said_before_anything_is_known() -> None:
    turns = (Turn("S0", "R1", 40, 40, 40.0, 4.0),)
    agenda = Agenda(turns, timed=False, deliver_s=None, workers=1, deadline=None)
    assert look(agenda, [[]], 0.0)[1] is None
    begun = [{"time": 1.0, "event": "shot_started", "shot": "S0"}]
    queue, left = look(agenda, [begun], 5.0)
    assert left is None
    assert (queue.waiting, queue.under_way, queue.done) == ((), ("S0",), ())


@given(st.lists(st.floats(0.1, 100.0), min_size=1, max_size=30), st.integers(1, 6))
def test_shots_go_round_the_hands(seconds: list[float], workers: int) -> None:
    ends = finish_times(seconds, workers)
    if len(seconds) >= workers:
        assert all(end >= each - 1e-9 for end, each in zip(ends, seconds, strict=True))
    assert max(ends) >= sum(seconds) / workers - 1e-6
    assert max(ends) <= sum(seconds) / workers + max(seconds) + 1e-6
    assert finish_times(seconds, 1) == pytest.approx(list(np.cumsum(seconds)))


def test_a_deadline_sorts_the_shots() -> None:
    ends = [("A", 600.0, 900.0), ("B", 3000.0, 4000.0), ("C", 8000.0, 9000.0)]
    hour = NOW + timedelta(hours=1)
    told = promise(hour, NOW, (), ends, (9000.0, 10000.0))
    assert (told.fits, told.may_fit, told.left_out) == (("A",), ("B",), ("C",))
    assert (told.delivered, told.possible) == ("no", True)
    late = promise(NOW + timedelta(hours=6), NOW, (), ends, (9000.0, 10000.0))
    assert (late.fits, late.delivered) == (("A", "B", "C"), "yes")
    gone = promise(NOW - timedelta(hours=1), NOW, (), ends, (9000.0, 10000.0))
    assert (gone.left_out, gone.possible) == (("A", "B", "C"), False)
    # The hours that are closed are no working time.
    windows = parse_windows("21:00-21:30")
    closed = promise(NOW + timedelta(hours=2), NOW, windows, ends, (9000.0, 10000.0))
    assert (closed.fits, closed.left_out) == (("A",), ("B", "C"))


def test_a_shot_that_is_begun_anew_has_all_of_its_frames_before_it() -> None:
    leader, helper = Worker(1), Worker(1, clock_off_s=900.0)
    turns = tuple(Turn(f"S{k}", "R1", 40, 40, 40.0, 0.0) for k in range(2))
    leader.work(turns[0], 1.0, 0.0, compile_s=0.0)
    helper.say(0.0, "shot_started", "S1")
    for k in range(30):
        helper.say(k + 1.0, "frame_rendered", "S1")
    agenda = Agenda(turns, timed=False, deliver_s=None, workers=1, deadline=None)
    now = leader.free[0]
    _, going_on = look(agenda, seen([leader, helper], now), now)
    leader.say(now, "begun_anew", "S1", kind="mine", instead_of="theirs", chunks_left=3)
    leader.say(now, "shot_started", "S1")
    queue, anew = look(agenda, seen([leader, helper], now), now)
    assert queue.under_way == ("S1",)
    assert going_on is not None
    assert anew is not None
    assert going_on.likely == pytest.approx(10.0, abs=0.5)
    assert anew.likely == pytest.approx(40.0, abs=0.5)
