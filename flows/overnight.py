"""The flow one schedules: start or resume a title."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Cancelled

from flows.join import help_with
from flows.marks import mark
from flows.title import lead
from media.errors import CalledOff, UsageError
from wetgate.crew import leases_of
from wetgate.files import Folder
from wetgate.launch import opened
from wetgate.leases import LEAD
from wetgate.project import load_project


@flow(name="overnight", flow_run_name="restore {out}", persist_result=False)
def overnight(
    sources: list[str],
    out: str,
    preset: str | None = None,
    only: str | None = None,
    sets: list[str] | None = None,
    encoding: str | None = None,
    rate: str | None = None,
    replace: bool = False,
) -> dict[str, Any] | State[Any]:
    """Start or resume a title on this worker. Parameters are those of ``wetgate run``.

    A run that is tried again and finds that a helper leads its title by now helps it.

    returns: the outcome as JSON values; the state Cancelled for a title that was cancelled.
    raises: RuntimeError when shots failed, so that the run is not shown as completed; held shots
    complete, and are listed.
    """
    project = load_project(
        sources, preset=preset, only=only, sets=sets or [], encoding=encoding, rate=rate
    )
    folder = Path(out)
    try:
        with opened(project, folder, replace=replace, quiet=True, mark=mark()) as job:
            outcome = lead(job)
    except CalledOff as error:
        return Cancelled(message=str(error))
    except UsageError:
        if (flow_run.run_count or 0) < 2 or not leases_of(Folder(folder.resolve())).alive(LEAD):
            raise
        return help_with(out)
    if outcome.failed:
        raise RuntimeError(f"shots failed: {', '.join(outcome.failed)}; see {outcome.report}")
    return outcome.as_dict()
