"""Several hands for a title on a cluster that is there already: one Dask task a hand.

A hand does what ``wetgate join`` does, in a process of the cluster. Shots are not handed to the
cluster one by one: who makes which shot is for the leases in the output folder to say, as
everywhere, so hands on a cluster, workers of Prefect and programs on a terminal share a title.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, cast

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.logging import get_run_logger
from prefect.states import Cancelled
from prefect.task_runners import TaskRunner

from flows.marks import mark
from media.errors import CalledOff, ConfigError
from wetgate.helper import help_or_lead


@task(name="hand", task_run_name="hand {number}", tags={"stage:help"}, cache_policy=NO_CACHE)
def hand(out: str, number: int, wait_s: float, mark: str) -> dict[str, Any]:
    """One hand, until the title is over; leads on without a scheduler when the leader is lost."""
    try:
        helped, outcome = help_or_lead(Path(out), threading.Event(), wait_s, mark=mark)
    except CalledOff as error:
        return {"hand": number, "called_off": str(error)}
    said: dict[str, Any] = {
        "hand": number,
        "analysed": list(helped.analysed),
        "restored": list(helped.restored),
        "led": outcome is not None,
    }
    return said | (outcome.as_dict() if outcome is not None else {})


@flow(name="hands", flow_run_name="{count} hands for {out}", persist_result=False)
def hands(
    out: str, count: int = 2, scheduler: str | None = None, wait_s: float = 600.0
) -> list[dict[str, Any]] | State[Any]:
    """So many hands for a title under way.

    scheduler: address of a Dask scheduler (``tcp://127.0.0.1:8786``) whose workers see the same
    paths, one thread each; None for processes of this machine that end with the run.
    wait_s: how long a hand waits for somebody to begin the title.
    returns: what each hand did; the state Cancelled for a title that was cancelled.
    raises: ConfigError without ``prefect-dask``; RuntimeError when shots failed under a hand's
    lead.
    """
    said = _hands.with_options(task_runner=_runner(count, scheduler))(out, count, wait_s, mark())
    if any("called_off" in s for s in said):
        return Cancelled(message=str(next(s["called_off"] for s in said if "called_off" in s)))
    failed = [shot for s in said for shot in s.get("failed", ())]
    if failed:
        raise RuntimeError(f"shots failed: {', '.join(failed)}; see {out}")
    return said


@flow(name="hands at work", flow_run_name="{count} hands for {out}", persist_result=False)
def _hands(out: str, count: int, wait_s: float, mark: str) -> list[dict[str, Any]]:
    work = [hand.submit(out, k + 1, wait_s, f"{mark}-{k + 1}") for k in range(count)]
    said = [f.result() for f in work]
    for one in said:
        get_run_logger().info("hand %d: %s", one["hand"], one)
    return said


def _runner(count: int, scheduler: str | None) -> TaskRunner[PrefectFuture[Any]]:
    try:
        from prefect_dask import DaskTaskRunner
    except ImportError as error:
        raise ConfigError(
            "hands on a cluster need the package prefect-dask",
            hint="install it beside this program on every worker, or start 'join' on more workers",
        ) from error
    if scheduler is not None:
        return cast("TaskRunner[PrefectFuture[Any]]", DaskTaskRunner(address=scheduler))
    own = {"n_workers": count, "threads_per_worker": 1, "dashboard_address": None}
    return cast("TaskRunner[PrefectFuture[Any]]", DaskTaskRunner(cluster_kwargs=own))
