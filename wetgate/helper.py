"""A helper: shots of a title that another worker leads, measured and rendered from the far end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from media.errors import CalledOff, StorageFull, StorageGone, UsageError, WetgateError
from wetgate.control import held_back
from wetgate.costs import Learner
from wetgate.crew import Call, Phase, called, lease_name, leases_of
from wetgate.decisions import ShotDecisions
from wetgate.events import Events
from wetgate.files import Folder, read_json
from wetgate.job import Job, open_job
from wetgate.kinds import be_there
from wetgate.launch import Runner, launch
from wetgate.leases import LEAD, LeaseLost, Leases
from wetgate.numerics import pin_numerics
from wetgate.pinned import OtherKind, left_to_others
from wetgate.pins import known_pin, withdraw_pin
from wetgate.plan import plan_shot
from wetgate.priority import in_order
from wetgate.run import Title, analyse, leave_to_others, replan, restore
from wetgate.share import Share
from wetgate.stages.finish import Outcome
from wetgate.stages.ingest import read_reel, reel_name

_LOOK_S = 0.5


@dataclass(frozen=True, slots=True)
class Helped:
    """What a helper did."""

    analysed: tuple[str, ...]
    restored: tuple[str, ...]
    ended: str
    """``over`` when the title is done, ``lead`` when the leader is lost, ``stopped``."""


def help_title(out: Path, stopping: threading.Event, wait_s: float, mark: str = "") -> Helped:
    """Work on shots of a title until it is over, or until nobody leads it.

    out: the output folder; it may not be there yet. wait_s: how long to wait for a leader that
    has not begun. mark: part of this worker's name in the leases. A worker of another kind than
    the leader helps too: each shot is made by one kind. raises: UsageError when none comes;
    Interrupted.
    """
    folder = Folder(out.resolve())
    pin_numerics()
    leases = leases_of(folder, mark)
    # One that is begun again after it was lost does not wait for a title that is over.
    again = bool(mark and leases.names(f"worker-{mark}-*"))
    first = _first_call(folder, stopping, wait_s, again=again)
    if first is None:
        return Helped((), (), "over" if called(folder) else "stopped")
    # So that a leader who begins anew does not sweep away what is being written here.
    folder.root.joinpath("leases").mkdir(exist_ok=True)
    leases.claim(f"worker-{leases.owner}")
    job = open_job(folder.root)
    be_there(leases, job.numerics)
    hands = job.workers
    try:
        with ThreadPoolExecutor(hands, thread_name_prefix="helper") as pool:
            helper = _Helper(folder, leases, stopping)
            works = [pool.submit(_work, helper, folder, leases, stopping) for _ in range(hands)]
            try:
                done = [w.result() for w in works]
            except BaseException:
                # Asked to stop, or one hand met a full disk: the others end at their next frame.
                stopping.set()
                raise
            finally:
                helper.keep_costs()
    finally:
        leases.close()
    return Helped(
        tuple(s for d in done for s in d.analysed),
        tuple(s for d in done for s in d.restored),
        done[0].ended,
    )


def help_or_lead(
    out: Path,
    stopping: threading.Event,
    wait_s: float,
    runner: Runner | None = None,
    mark: str = "",
) -> tuple[Helped, Outcome | None]:
    """Help until the title is over; when its leader is lost, lead it to its end.

    runner: as for ``wetgate.launch.launch``. mark: part of this worker's name in the leases.
    returns: what was helped with, and the outcome of
    the title where this worker led it.
    """
    analysed, restored = list[str](), list[str]()
    while True:
        helped = help_title(out, stopping, wait_s, mark)
        analysed += helped.analysed
        restored += helped.restored
        helped = Helped(tuple(analysed), tuple(restored), helped.ended)
        if helped.ended != "lead":
            return helped, None
        project = open_job(out).project
        # A title that was cancelled is not led on.
        held_back(Folder(out.resolve()), project.night, datetime.now(), window=False)
        try:
            return helped, launch(project, out, runner=runner, quiet=True, mark=mark)
        except UsageError:
            # Another helper was quicker; it is helped like the leader before.
            if not leases_of(Folder(out.resolve())).alive(LEAD):
                raise


def _first_call(
    folder: Folder, stopping: threading.Event, wait_s: float, *, again: bool
) -> Call | None:
    """What the leader wants; None for a title that was over long ago, or a stop."""
    deadline = time.monotonic() + wait_s
    while not stopping.is_set():
        call = called(folder) if folder.project.is_file() else None
        if call is not None and call.phase is not Phase.OVER:
            return call
        if time.monotonic() > deadline or (again and call is not None):
            if call is not None:
                return None
            raise UsageError(
                f"nobody works on a title in {folder.root}",
                hint="start it with 'wetgate run', or the deployment 'overnight'",
            )
        stopping.wait(_LOOK_S)
    return None


def _work(helper: _Helper, folder: Folder, leases: Leases, stopping: threading.Event) -> Helped:
    """One shot after the other, until there is nobody to help."""
    analysed, restored = list[str](), list[str]()
    ended = "stopped"
    share = Share(folder.project, stopping)
    while not stopping.is_set():
        share.wait()
        call = called(folder)
        if not share.there():
            continue
        if call is None or call.phase is Phase.OVER:
            ended = "over"
            break
        if not leases.alive(LEAD) and share.there():
            ended = "lead"
            break
        done = helper.one(call)
        if done is None:
            stopping.wait(_LOOK_S)
        else:
            (analysed if call.phase is Phase.ANALYSE else restored).append(done)
    return Helped(tuple(analysed), tuple(restored), ended)


class _Helper:
    """Knows the title as far as it can be read, and what was done or failed at; for all hands."""

    def __init__(self, folder: Folder, leases: Leases, stopping: threading.Event) -> None:
        self._folder = folder
        self._leases = leases
        self._stopping = stopping
        self._work = ""
        self._job: Job | None = None
        self._title = Title()
        self._over: set[str] = set()
        self._answered: dict[str, tuple[str, int]] = {}
        """Shots that a leader left to helpers and that were looked at: who, and the how manieth."""
        self._reading = threading.Lock()
        self._learner = Learner()

    def one(self, call: Call) -> str | None:
        """Do one shot that nobody does; its id, or None where there is none now."""
        if call.phase not in (Phase.ANALYSE, Phase.RENDER):
            return None
        with self._reading:
            if call.work != self._work:
                self._read(call)
            job, title, over = self._job, self._title, self._over
            offers = {s: (call.leader, n) for s, n in call.offered.items()}
            offered = {s for s, n in offers.items() if self._answered.get(s) != n}
            # Worth another look, whatever became of them here before.
            over -= offered
        assert job is not None
        work: Callable[[Job, Title, str], object] = (
            analyse if call.phase is Phase.ANALYSE else restore
        )
        for shot in reversed(in_order(job.project, title.reels)):
            if shot in over:
                continue
            name = lease_name(call.phase, shot)
            term = self._leases.newest(name)
            done = term is not None and term.state == "done" and term.note == call.work
            if done and shot not in offered:
                # It stays done for as long as the same is asked for.
                over.add(shot)
                continue
            if call.phase is Phase.RENDER and left_to_others(job, replan(job, title, shot)):
                leave_to_others(job, title, shot)
                self._answer(shot, offers)
                over.add(shot)
                continue
            if not self._leases.claim(name):
                continue
            self._answer(shot, offers)
            try:
                found = work(job, title, shot)
                if call.phase is Phase.ANALYSE:
                    assert isinstance(found, dict)
                    title.evidence[shot] = found
                self._leases.check(name)
                self._leases.leave(name, done=True, note=call.work)
            except (LeaseLost, OtherKind):
                continue
            except (StorageFull, StorageGone, CalledOff):
                raise
            except WetgateError as error:
                # The leader meets the same error, and parks the shot.
                job.events.emit("helper_failed", {**error.as_dict(), "shot": shot})
                if call.phase is Phase.RENDER:
                    self._let_go(job, title, shot, name)
                self._leases.leave(name)
            finally:
                over.add(shot)
                self._leases.leave(name)
            return shot
        return None

    def _answer(self, shot: str, offers: Mapping[str, tuple[str, int]]) -> None:
        if shot in offers:
            self._answered[shot] = offers[shot]

    def _let_go(self, job: Job, title: Title, shot_id: str, name: str) -> None:
        """A shot this kind of worker failed at: another kind may begin it anew."""
        shot = title.reels[title.reel_of(shot_id)].shot(shot_id)
        with suppress(LeaseLost):
            self._leases.check(name)
            if known_pin(job.folder, shot) == job.numerics:
                withdraw_pin(job.folder, shot)

    def keep_costs(self) -> None:
        """Let later plans know what the work took here."""
        if self._job is not None:
            self._learner.keep(self._job)

    def _read(self, call: Call) -> None:
        job = open_job(self._folder.root)
        events = self._folder.root / f"events.{self._leases.owner}.jsonl"
        job.events = Events(events)
        job.events.listen(self._learner)
        job.events.wait_for(job.at_hand)
        job.stopping = self._stopping
        job.join_crew(self._leases)
        job.helping = True
        title = Title()
        for config in job.project.reels:
            name = reel_name(config)
            title.configs[name] = config
            title.reels[name] = read_reel(job, config)
        self._job, self._title, self._work, self._over = job, title, call.work, set()
        if call.phase is Phase.RENDER:
            self._read_decisions(job, title)

    def _read_decisions(self, job: Job, title: Title) -> None:
        for ingested in title.reels.values():
            for shot in ingested.shots:
                found = read_json(job.folder.decision(shot.reel, shot.id))
                title.decisions[shot.id] = ShotDecisions.model_validate(found)
        for ingested in title.reels.values():
            for shot in ingested.shots:
                title.planned[shot.id] = plan_shot(job, ingested, shot, title.decisions)
                # Kept since the leader's analysis: read, not measured again.
                title.evidence[shot.id] = analyse(job, title, shot.id)
