"""A title under Prefect. Read it top to bottom: this is when things happen.

Pixels, decisions and files are made by plain functions of ``wetgate``; the same job without
Prefect (``--no-prefect``) goes through the same functions to the same bytes.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from prefect import flow, tags
from prefect.artifacts import (
    create_link_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows import tasks
from flows.desk import Desk, at_desk, desk_of
from flows.retrying import of_the_server
from wetgate.job import Job
from wetgate.launch import BeforeReport
from wetgate.run import analysed_before, line_up, restored_before, run_title, settle_shot
from wetgate.stages.finish import Outcome


@flow(name="title", flow_run_name="restore {out}", persist_result=False)
def title(out: str, before_report: BeforeReport | None = None) -> Outcome:
    """A job that is already at a desk of this process: what ``wetgate run`` schedules."""
    try:
        return conduct(out, before_report)
    except BaseException:
        # Shots under way end at their next frame; what is finished is in the store.
        desk_of(out).job.stopping.set()
        raise


def lead(job: Job, before_report: BeforeReport | None = None) -> Outcome:
    """Seat a job and go through its stages, as many shots at once as it asks for.

    When the server cannot be asked any more, the rest is done without it: what is finished lies
    in the folder, and the same functions go on there.
    """
    try:
        with at_desk(job), tags(f"title:{job.project.title}"):
            return title.with_options(task_runner=runner(job.workers))(
                str(job.folder.root), before_report
            )
    except Exception as error:
        if not of_the_server(error):
            raise
        job.events.emit("without_server", {"why": f"{type(error).__name__}: {error}"})
        job.stopping.clear()
        return run_title(job, before_report)


def conduct(out: str, before_report: BeforeReport | None) -> Outcome:
    """Ingest, analyse each shot, solve the title, restore each shot, deliver.

    What was measured or restored before, and lies there whole, is no task again.
    """
    desk = desk_of(out)
    progress = cast(
        "UUID", create_progress_artifact(progress=0.0, key="restoration", description=out)
    )
    shots = tasks.ingest(out)

    # What lies there whole is taken as it is: thousands of tasks would only say so.
    analysed_before(desk.job, desk.title)
    missing = [s for s in shots if s not in desk.title.evidence]
    for future in _spread(tasks.analyse, desk, missing).values():
        future.result()

    tasks.solve(out)

    restored_before(desk.job, desk.title)
    before = len(desk.title.verdicts)
    update_progress_artifact(progress, progress=round(100.0 * before / len(shots), 1))
    missing = [s for s in line_up(desk.job, desk.title) if s not in desk.title.verdicts]
    restored = _spread(tasks.restore, desk, missing)
    desk.job.events.emit("queued", {"shots": len(restored), "done_before": before})
    for done, (shot, future) in enumerate(restored.items(), start=before + 1):
        settle_shot(desk.job, desk.title, shot, partial(_verdict, desk, shot, future))
        update_progress_artifact(progress, progress=round(100.0 * done / len(shots), 1))

    if before_report is not None:
        before_report(desk.job, desk.title)
    outcome = tasks.deliver(out)
    report = Path(outcome.report).resolve().as_uri()
    create_link_artifact(link=report, link_text="report", key="report", description=out)
    create_table_artifact(table=_table(desk), key="shots", description=f"report: {outcome.report}")
    return outcome


def _spread(work: Any, desk: Desk, shots: list[str]) -> dict[str, PrefectFuture[None]]:  # noqa: ANN401
    """One task a shot; how many at once is the task runner's business.

    The shot is in the name of its run, and no tag: for every set of tags that is another one,
    Prefect asks the server and keeps a client (0.3 s and 0.9 MB measured for each).
    """
    out, found = str(desk.job.folder.root), dict[str, PrefectFuture[None]]()
    for shot in shots:
        with tags(f"reel:{desk.title.reel_of(shot)}"):
            found[shot] = work.submit(out, shot)
    return found


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
