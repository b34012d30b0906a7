"""Several workers on one title: one leads, the others take shots off its hands.

The leader is whoever holds the lease ``title``: it takes the material in, decides, delivers and
writes the report, as a run alone does. It tells helpers what can be worked on in ``crew.json``. A
helper measures and renders shots from the far end, each under a lease of its own; what it finds
and makes lies in the same evidence files and the same store, so the leader finds it done. When
the leader is lost, the helper that notices leads on.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from media.errors import UsageError
from wetgate.files import Folder, digest, read_json, write_json
from wetgate.job import Job
from wetgate.kinds import clear_away
from wetgate.leases import LEAD, Leases
from wetgate.plan import PlannedShot

_SCHEMA = 1
_LOOK_S = 0.5


class Phase(StrEnum):
    """What helpers can do now."""

    WAIT = "wait"
    ANALYSE = "analyse"
    RENDER = "render"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Call:
    """What the leader asks for."""

    phase: Phase
    leader: str
    work: str
    """Digest of what is to be done: a new one means that everything is read again."""
    numerics: dict[str, str]
    """The leader's profile; a helper may be of another kind."""
    offered: dict[str, int] = field(default_factory=dict)
    """Shots the leader leaves to the kind of worker that has begun them, and how often it has:
    a new number means that they are worth another look."""


def announce(
    job: Job,
    phase: Phase,
    shots: Sequence[str] = (),
    planned: Mapping[str, Sequence[PlannedShot]] | None = None,
) -> None:
    """The leader's word to helpers. Does nothing for a job that is run without leases."""
    if job.leases is None or job.helping:
        return
    chunks = {s: [[c.key for c in p.chunks] for p in ps] for s, ps in (planned or {}).items()}
    write_json(
        _call_file(job.folder),
        {
            "schema": _SCHEMA,
            "phase": phase.value,
            "leader": job.leases.owner,
            "work": digest({"phase": phase.value, "shots": list(shots), "chunks": chunks}),
            "numerics": dict(job.numerics),
        },
    )


def called(folder: Folder) -> Call | None:
    """What the leader asked for last. raises: StoreError for a damaged file."""
    found = read_json(_call_file(folder))
    if found is None or found.get("schema") != _SCHEMA:
        return None
    numerics = found.get("numerics")
    assert isinstance(numerics, dict)
    offered = found.get("offered", {})
    assert isinstance(offered, dict)
    phase = Phase(str(found["phase"]))
    return Call(phase, str(found["leader"]), str(found["work"]), numerics, offered)


def offer(job: Job, shot: str) -> None:
    """The leader leaves a shot to helpers of the kind that has begun it."""
    if job.leases is None or job.helping:
        return
    with job.offering:
        found = read_json(_call_file(job.folder))
        if found is not None:
            offered = found.get("offered", {})
            assert isinstance(offered, dict)
            found["offered"] = {**offered, shot: offered.get(shot, 0) + 1}
            job.at_hand()
            write_json(_call_file(job.folder), found)


def _call_file(folder: Folder) -> Path:
    return folder.root / "crew.json"


def leases_of(folder: Folder, mark: str = "") -> Leases:
    """This worker's view of a folder's leases. mark: part of its name there, such as the id of
    the run it works for."""
    found = Leases(folder.root / "leases")
    if mark:
        found.owner = f"{mark}-{found.owner}"
    return found


@contextmanager
def leading(folder: Folder, mark: str = "") -> Iterator[Leases]:
    """Be the one who leads the title of a folder. mark: as for ``leases_of``.

    A leader that is lost is waited for until its lease has run out.
    raises: UsageError when another one leads.
    """
    leases = leases_of(folder, mark)
    try:
        before = leases.newest(LEAD)
        while not leases.claim(LEAD):
            now = leases.newest(LEAD)
            if before is not None and now is not None and now != before:
                raise UsageError(
                    f"another run is at work in {folder.root}",
                    hint="wait for it, help it with 'wetgate join', or give another --out",
                )
            before = now
            time.sleep(_LOOK_S)
        yield leases
    finally:
        leases.close()


def helpers(job: Job) -> list[str]:
    """Workers that help, or did until lately."""
    if job.leases is None:
        return []
    found = job.leases.names("worker-*")
    return [n for n in found if job.leases.alive(n)]


def dismiss(job: Job) -> None:
    """The title is over: helpers go home, and the leases of its shots are cleared away."""
    if job.leases is None:
        return
    announce(job, Phase.OVER)
    for phase in (Phase.ANALYSE, Phase.RENDER):
        for name in job.leases.names(f"{phase.value}-*"):
            shutil.rmtree(job.leases.root / name, ignore_errors=True)
    clear_away(job.leases)


def lease_name(phase: Phase, shot: str) -> str:
    """The lease under which a shot is measured or rendered."""
    return f"{phase.value}-{shot}"


@contextmanager
def own_shot(job: Job, phase: Phase, shot: str) -> Iterator[None]:
    """Hold a shot while the leader works on it; waits for a helper that does.

    raises: LeaseLost at the end, when this worker was away and another took over.
    """
    if job.leases is None or job.helping:
        yield
        return
    name = lease_name(phase, shot)
    said = False
    job.at_hand()
    while not job.leases.claim(name):
        job.check_stop()
        if not said:
            job.events.emit("waiting_for_helper", {"shot": shot, "phase": phase.value})
            said = True
        job.stopping.wait(0.1)
    with _held(job, job.leases, name):
        yield


@contextmanager
def own_shot_if_free(job: Job, phase: Phase, shot: str) -> Iterator[bool]:
    """The same without waiting. Gives False where another worker, or another hand, has it."""
    name = lease_name(phase, shot)
    if job.leases is None or job.helping or not job.leases.claim(name):
        yield False
        return
    with _held(job, job.leases, name):
        yield True


@contextmanager
def _held(job: Job, leases: Leases, name: str) -> Iterator[None]:
    call = called(job.folder)
    # Helpers know by it that there is nothing left to look at.
    with leases.held(name, note=call.work if call else ""):
        yield
