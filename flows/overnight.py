"""The flow one schedules. Read it top to bottom: this is when things happen.

Pixels, decisions and files are made by plain functions of ``wetgate``; the same job without
Prefect (``--no-prefect``) goes through the same functions to the same bytes.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from prefect import flow
from prefect.artifacts import (
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.states import Cancelled
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows import tasks
from flows.desk import Desk, at_desk, desk_of
from media.errors import CalledOff
from wetgate.launch import BeforeReport, opened
from wetgate.project import load_project
from wetgate.run import line_up, settle_shot
from wetgate.stages.finish import Outcome


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

    returns: the outcome as JSON values; the state Cancelled for a title that was cancelled.
    raises: RuntimeError when shots failed, so that the run is not shown as completed; held shots
    complete, and are listed.
    """
    project = load_project(
        sources, preset=preset, only=only, sets=sets or [], encoding=encoding, rate=rate
    )
    try:
        with opened(project, Path(out), replace=replace, quiet=True) as job, at_desk(job):
            outcome = title.with_options(task_runner=runner(job.workers))(str(job.folder.root))
    except CalledOff as error:
        return Cancelled(message=str(error))
    if outcome.failed:
        raise RuntimeError(f"shots failed: {', '.join(outcome.failed)}; see {outcome.report}")
    return outcome.as_dict()


@flow(name="title", flow_run_name="restore {out}", persist_result=False)
def title(out: str, before_report: BeforeReport | None = None) -> Outcome:
    """A job that is already at a desk of this process: what ``wetgate run`` schedules."""
    try:
        return conduct(out, before_report)
    except BaseException:
        # Shots under way end at their next frame; what is finished is in the store.
        desk_of(out).job.stopping.set()
        raise


def conduct(out: str, before_report: BeforeReport | None) -> Outcome:
    """Ingest, analyse each shot, solve the title, restore each shot, deliver."""
    desk = desk_of(out)
    progress = cast(
        "UUID", create_progress_artifact(progress=0.0, key="restoration", description=out)
    )
    shots = tasks.ingest(out)

    for future in _spread(tasks.analyse, out, shots).values():
        future.result()

    tasks.solve(out)

    restored = _spread(tasks.restore, out, line_up(desk.job, desk.title))
    for done, (shot, future) in enumerate(restored.items(), start=1):
        settle_shot(desk.job, desk.title, shot, partial(_verdict, desk, shot, future))
        update_progress_artifact(progress, progress=round(100.0 * done / len(shots), 1))

    if before_report is not None:
        before_report(desk.job, desk.title)
    outcome = tasks.deliver(out)
    create_table_artifact(table=_table(desk), key="shots", description=f"report: {outcome.report}")
    return outcome


def _spread(work: Any, out: str, shots: list[str]) -> dict[str, PrefectFuture[None]]:  # noqa: ANN401
    """One task a shot; how many at once is the task runner's business."""
    return {shot: work.submit(out, shot) for shot in shots}


def _verdict(desk: Desk, shot: str, future: PrefectFuture[None]) -> dict[str, Any]:
    """The verdict of a finished shot. raises: what its task raised."""
    future.result()
    return desk.title.verdicts[shot]


def _table(desk: Desk) -> list[dict[str, Any]]:
    """One row a shot: what a person looks for in the morning."""
    rows = []
    for shot in desk.title.shot_ids():
        failure = desk.title.failures.get(shot)
        verdict = desk.title.verdicts.get(shot, {})
        decision = desk.title.decisions[shot]
        rows.append(
            {
                "shot": shot,
                "frames": f"{decision.frames[0]}-{decision.frames[1]}",
                "verdict": "failed" if failure else verdict.get("verdict", ""),
                "confidence": decision.confidence,
                "why": str(failure or "; ".join(verdict.get("held_because", []))),
            }
        )
    return rows


def runner(workers: int) -> TaskRunner[PrefectFuture[Any]]:
    """As many shots at once as the job asks for."""
    return cast("TaskRunner[PrefectFuture[Any]]", ThreadPoolTaskRunner(max_workers=workers))
