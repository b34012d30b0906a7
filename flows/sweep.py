"""Runs whose worker is gone are found and scheduled again; nothing else is touched.

Prefect shows a run as Running for ever when its worker and its process die together. Whether
anybody is at work is not for the server to say: the leases in the output folder say it
(``wetgate/leases.py``). A run that leads a title and says Running while nobody holds the lease of
its title is set to Crashed, and so is one that helps and whose mark no living lease bears. Crashed
runs, whether the sweep or a worker called them that (a process that ran out of memory), are set to
AwaitingRetry while they have tries left, and while no other run of the same title came after
them. What is Completed, Failed or Cancelled stays that.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas import OrchestrationResult
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import TERMINAL_STATES, FlowRun, State, StateType
from prefect.client.schemas.responses import SetStateStatus
from prefect.logging import get_run_logger
from prefect.states import AwaitingRetry, Crashed

from flows.marks import HELPS, LEADS, marked
from wetgate.crew import Phase, called, leases_of
from wetgate.files import Folder
from wetgate.leases import EXPIRY_S, LEAD, Leases

MOST_RUNS = 4
_LOOK_S = 1.0
_PAGE = 200
_NEW_S = 120.0
"""A run this young may not have reached its folder yet."""
_OLD = timedelta(days=1)
"""Runs that crashed longer ago have been seen by a person."""
_GIVEN_UP = "given up: "
_UNDER_WAY = (StateType.RUNNING, StateType.PENDING)


@flow(name="sweep", persist_result=False)
def sweep(
    expiry_s: float = EXPIRY_S + 10.0, new_s: float = _NEW_S, most_runs: int = MOST_RUNS
) -> dict[str, list[str]]:
    """Schedule again what was lost. Takes ``expiry_s``: so long the leases are watched.

    new_s: runs that came into their state less than this ago are left for the next sweep.
    most_runs: how often a run is begun at most. returns: names of the runs that were scheduled
    again, and of those that were given up: begun too often, or because no deployment says how to
    start them.
    """
    with get_client(sync_client=True) as client:
        before = datetime.now(UTC) - timedelta(seconds=new_s)
        lost = _lost([r for r in _found(client, _UNDER_WAY) if _since(r) < before], expiry_s)
        for run in lost:
            # Not accepted: it ended by itself while it was being watched.
            _set(client, run, Crashed(message="nobody at work holds its lease"))
        again, given_up = list[str](), list[str]()
        for run in _crashed(client):
            now = client.read_flow_run(run.id)
            if now.state_type != StateType.CRASHED or _since(now) != _since(run):
                # Another sweep was quicker.
                continue
            if run.run_count >= most_runs:
                why = f"begun {run.run_count} times"
            elif _set(client, run, AwaitingRetry(scheduled_time=datetime.now(UTC))):
                again.append(run.name)
                continue
            else:
                # The server takes a run up again only if a deployment says how to start it.
                why = "no deployment says how to start it"
            # So that it is said once, and not by every sweep of the night.
            _set(client, run, Crashed(message=_GIVEN_UP + why), force=True)
            given_up.append(run.name)
    logger = get_run_logger()
    for name in again:
        logger.warning("%s was lost and is scheduled again", name)
    for name in given_up:
        logger.error("%s was lost, and cannot or may not be tried again", name)
    return {"again": again, "given_up": given_up}


def _set(
    client: SyncPrefectClient, run: FlowRun, state: State[Any], *, force: bool = False
) -> bool:
    """Did the server accept it?"""
    said: OrchestrationResult[Any] = client.set_flow_run_state(run.id, state, force=force)
    return said.status is SetStateStatus.ACCEPT


def _found(
    client: SyncPrefectClient, kinds: Iterable[StateType], ended_after: datetime | None = None
) -> list[FlowRun]:
    """Our runs in such a state."""
    ended = FlowRunFilterEndTime.model_validate({"after_": ended_after}) if ended_after else None
    found = list[FlowRun]()
    for tag in (LEADS, HELPS):
        wanted = FlowRunFilter(
            tags=FlowRunFilterTags(all_=[tag]),
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(kinds))),
            end_time=ended,
        )
        first = len(found)
        while page := client.read_flow_runs(
            flow_run_filter=wanted, limit=_PAGE, offset=len(found) - first
        ):
            found += page
    return found


def _since(run: FlowRun) -> datetime:
    """When it came into its state."""
    return run.state.timestamp if run.state is not None else datetime.now(UTC)


@dataclass(frozen=True)
class _Watched:
    """A run, and the leases that would show that somebody works for it."""

    run: FlowRun
    leases: Leases

    def at_work(self) -> bool:
        if LEADS in self.run.tags:
            return self.leases.alive(LEAD)
        mine = marked(self.run.id)
        leader = self.leases.newest(LEAD)
        leads = leader is not None and mine in leader.owner and self.leases.alive(LEAD)
        helps = [self.leases.alive(n) for n in self.leases.names(f"worker-{mine}-*")]
        return leads or any(helps)


def _lost(runs: Sequence[FlowRun], expiry_s: float) -> list[FlowRun]:
    """Runs that nobody has worked for as long as it was watched."""
    watched = []
    for run in runs:
        out = run.parameters.get("out")
        if isinstance(out, str):
            leases = leases_of(Folder(Path(out)))
            leases.expiry_s = expiry_s - 2 * _LOOK_S
            watched.append(_Watched(run, leases))
    deadline = time.monotonic() + expiry_s
    while watched and time.monotonic() < deadline:
        # Each is looked at every time: who beats is seen by watching.
        seen = [w.at_work() for w in watched]
        if not any(seen):
            break
        time.sleep(_LOOK_S)
    return [w.run for w in watched if not w.at_work()]


def _crashed(client: SyncPrefectClient) -> list[FlowRun]:
    """Crashed runs worth another try: of late, not given up, and nobody went on without them."""
    lately = datetime.now(UTC) - _OLD
    others = _found(client, set(StateType) - TERMINAL_STATES)
    others += _found(client, TERMINAL_STATES - {StateType.CRASHED}, lately)
    found = []
    for run in _found(client, [StateType.CRASHED], lately):
        message = (run.state.message if run.state is not None else None) or ""
        if message.startswith(_GIVEN_UP):
            continue
        out = run.parameters.get("out")
        if LEADS in run.tags:
            later = [r for r in others if _since(r) > _since(run) and LEADS in r.tags]
            if any(r.parameters.get("out") == out for r in later):
                continue
        elif isinstance(out, str) and _over(Folder(Path(out))):
            continue
        found.append(run)
    return found


def _over(folder: Folder) -> bool:
    """Is there nothing left to help with?"""
    call = called(folder)
    return call is not None and call.phase is Phase.OVER
