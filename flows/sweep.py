"""Runs whose worker is gone are found and scheduled again; nothing else is touched.

Prefect shows a run as Running for ever when its worker and its process die together. Whether
anybody is at work is not for the server to say: the lease in the output folder says it
(``wetgate/leases.py``). A run that says Running while nobody holds the lease of its title is set
to Crashed, and while it has tries left to AwaitingRetry. What is Completed, Failed or Cancelled
stays that.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas import OrchestrationResult
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.responses import SetStateStatus
from prefect.logging import get_run_logger
from prefect.states import AwaitingRetry, Crashed

from wetgate.crew import leases_of
from wetgate.files import Folder
from wetgate.leases import EXPIRY_S, LEAD, Leases

TAG = "wetgate-title"
"""On every run that leads a title; the sweep looks at no other."""
MOST_RUNS = 4
_LOOK_S = 1.0
_NEW_S = 120.0
"""A run this young may not have reached its folder yet."""


@flow(name="sweep", persist_result=False)
def sweep(expiry_s: float = EXPIRY_S + 10.0, new_s: float = _NEW_S) -> dict[str, list[str]]:
    """Schedule again what was lost. Takes ``expiry_s``: so long the leases are watched.

    returns: names of the runs that were scheduled again, and of those that were given up: after
    ``MOST_RUNS`` tries, or because no deployment says how to start them.
    """
    with get_client(sync_client=True) as client:
        lost = _lost(_under_way(client, new_s), expiry_s)
        again, given_up = list[str](), list[str]()
        for run in lost:
            crashed: State[Any] = Crashed(message="nobody holds the lease of this title")
            said: OrchestrationResult[Any] = client.set_flow_run_state(run.id, crashed)
            if said.status is not SetStateStatus.ACCEPT:
                # It ended by itself while it was being watched.
                continue
            if run.run_count >= MOST_RUNS:
                given_up.append(run.name)
                continue
            waiting: State[Any] = AwaitingRetry(scheduled_time=datetime.now(UTC))
            taken: OrchestrationResult[Any] = client.set_flow_run_state(run.id, waiting)
            # The server takes a run up again only if a deployment says how to start it.
            ok = taken.status is SetStateStatus.ACCEPT
            (again if ok else given_up).append(run.name)
    logger = get_run_logger()
    for name in again:
        logger.warning("%s was lost and is scheduled again", name)
    for name in given_up:
        logger.error("%s was lost, and cannot or may not be tried again", name)
    return {"again": again, "given_up": given_up}


def _under_way(client: SyncPrefectClient, new_s: float) -> list[FlowRun]:
    wanted = FlowRunFilter(
        tags=FlowRunFilterTags(all_=[TAG]),
        state=FlowRunFilterState(
            type=FlowRunFilterStateType(any_=[StateType.RUNNING, StateType.PENDING])
        ),
    )
    before = datetime.now(UTC) - timedelta(seconds=new_s)
    found = client.read_flow_runs(flow_run_filter=wanted, limit=200)
    return [r for r in found if r.state is not None and r.state.timestamp < before]


def _lost(runs: Sequence[FlowRun], expiry_s: float) -> list[FlowRun]:
    """Runs whose title nobody has led for as long as it was watched."""
    watched: dict[str, tuple[FlowRun, Leases]] = {}
    for run in runs:
        out = run.parameters.get("out")
        if isinstance(out, str):
            leases = leases_of(Folder(Path(out)))
            leases.expiry_s = expiry_s - 2 * _LOOK_S
            watched[str(run.id)] = (run, leases)
    deadline = time.monotonic() + expiry_s
    while watched and time.monotonic() < deadline:
        if not any(leases.alive(LEAD) for _, leases in watched.values()):
            break
        time.sleep(_LOOK_S)
    return [run for run, leases in watched.values() if not leases.alive(LEAD)]
