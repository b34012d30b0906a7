"""One job: a project, its output folder, and what has been found out so far."""

from __future__ import annotations

import os
import threading
import tomllib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import torch

from media.errors import ConfigError, UsageError
from wetgate.config import Project
from wetgate.control import HeldBack, held_back
from wetgate.events import Events
from wetgate.files import Folder
from wetgate.kinds import KindWatch, be_there
from wetgate.leases import Leases
from wetgate.numerics import Numerics, pick_device, profile
from wetgate.project import validate
from wetgate.quota import Quota
from wetgate.share import Share
from wetgate.store import Store

_LOOK_S = 1.0
"""How often a worker that waits looks whether it may go on."""

A = TypeVar("A")
B = TypeVar("B")


class Interrupted(KeyboardInterrupt):
    """Somebody asked for a stop; everything finished so far is kept."""


@dataclass
class Job:
    """Handed to every stage. Cheap to make; holds no pictures."""

    project: Project
    folder: Folder
    events: Events
    stopping: threading.Event = field(default_factory=threading.Event)
    leases: Leases | None = None
    """This worker's leases; None for a job that nobody can help with (a dry run)."""
    helping: bool = False
    """Another worker leads this title."""
    notice: Callable[[str], None] | None = None
    """Says a line to whoever sits at the terminal."""
    watch: KindWatch | None = None
    """What this worker has seen of other kinds of workers; None where nobody can help."""
    offering: threading.Lock = field(default_factory=threading.Lock)
    """Held while what is offered to helpers is changed."""
    _held: str = ""
    _quota: Quota = field(default_factory=Quota)
    _telling: threading.Lock = field(default_factory=threading.Lock)

    @property
    def share(self) -> Share:
        """The disk of the output folder, to be waited for."""
        return Share(self.folder.project, self.stopping, self.notice)

    def at_hand(self) -> None:
        """Called before something is written that took long to make: waits for the disk.

        A dry run has a folder of its own. raises: StorageGone.
        """
        if self.leases is not None:
            self.share.wait()

    @property
    def store(self) -> Store:
        return Store(self.folder.store)

    @property
    def device(self) -> torch.device:
        return pick_device(self.project.render.device)

    @property
    def numerics(self) -> Numerics:
        """The profile of this worker: what it renders is pinned to it."""
        return profile(self.device)

    @property
    def workers(self) -> int:
        """Shots worked on at once: as asked, else one per core up to 8; one on a GPU."""
        if self.project.render.workers:
            return self.project.render.workers
        if self.device.type == "cuda":
            return 1
        return max(1, min(len(os.sched_getaffinity(0)), 8))

    def join_crew(self, leases: Leases) -> None:
        """Work under these leases, be seen as a worker of this kind, and watch the others."""
        self.leases = leases
        self.watch = KindWatch(leases, self.project.night.patience_s)
        be_there(leases, self.numerics)

    def check_stop(self) -> None:
        """Called between pieces of work. raises: Interrupted; LeaseLost when others took over."""
        if self.stopping.is_set():
            raise Interrupted
        if self.leases is not None:
            self.leases.check_lost()

    def gate(self, *, window: bool = True) -> None:
        """Called before a piece of work is begun: waits while the title is paused, or its hours
        have not come. A dry run does not wait.

        window: False for work that is done at any hour.
        raises: CalledOff; Interrupted; LeaseLost; StorageFull when the job is at its quota.
        """
        if self.leases is None:
            return
        self.share.wait()
        while True:
            at = datetime.now()
            held = held_back(self.folder, self.project.night, at, window=window)
            self._tell(held)
            self.check_stop()
            if held is None:
                self._quota.check(self.folder, self.project.night)
                return
            self.stopping.wait(_LOOK_S)

    def _tell(self, held: HeldBack | None) -> None:
        """Once for all hands, when it changes."""
        why = str(held) if held is not None else ""
        with self._telling:
            changed, self._held = why != self._held, why
        if changed and held is not None:
            self.events.emit("waiting", {"why": held.why, "until": held.until})
        elif changed:
            self.events.emit("goes_on")

    def spread(self, work: Callable[[A], B], items: Iterable[A]) -> Iterator[tuple[A, Future[B]]]:
        """Run ``work`` on items with the job's workers; pairs come back as they finish.

        On a stop the pieces under way end at their next check and the rest is not begun.
        """
        with ThreadPoolExecutor(self.workers, thread_name_prefix="wetgate") as pool:
            waiting = {pool.submit(work, item): item for item in items}
            try:
                for future in as_completed(waiting):
                    yield waiting[future], future
            except BaseException:
                self.stopping.set()
                for future in waiting:
                    future.cancel()
                raise


def open_job(out: Path) -> Job:
    """The job whose resolved project lies in an output folder."""
    folder = Folder(out.resolve())
    if not folder.project.is_file():
        raise UsageError(
            f"{out} is not an output folder of Wetgate", hint="run 'wetgate run ... --out' first"
        )
    try:
        table = tomllib.loads(folder.project.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{folder.project} is damaged: {error}") from error
    return Job(validate(table), folder, Events(folder.events))
