"""The stages as Prefect tasks, one shot a task. Arguments are names; results stay on disk.

No result is cached or persisted by Prefect: whether work is done is for the store to say,
which checks every byte (docs/decisions/003-store-not-cache.md).
"""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from flows.desk import desk_of
from flows.retrying import DELAYS_S, worth_retrying
from wetgate import run
from wetgate.stages.finish import Outcome


@task(name="ingest", task_run_name="ingest title", tags={"stage:ingest"}, cache_policy=NO_CACHE)
def ingest(out: str) -> list[str]:
    """Inventory, fixity and shots of all reels; the ids of the shots."""
    desk = desk_of(out)
    run.ingest(desk.job, desk.title)
    for name, ingested in desk.title.reels.items():
        get_run_logger().info(
            "reel %s: %d frames, %d shots", name, len(ingested.reel.frames), len(ingested.shots)
        )
    return desk.title.shot_ids()


@task(
    name="analyse",
    task_run_name="analyse {shot}",
    tags={"stage:analyse"},
    cache_policy=NO_CACHE,
    retries=len(DELAYS_S),
    retry_delay_seconds=DELAYS_S,
    retry_condition_fn=worth_retrying,
)
def analyse(out: str, shot: str) -> None:
    """Measure one shot."""
    desk = desk_of(out)
    desk.title.evidence[shot] = run.analyse(desk.job, desk.title, shot)


@task(name="solve", task_run_name="solve title", tags={"stage:solve"}, cache_policy=NO_CACHE)
def solve(out: str) -> None:
    """Decide for all shots at once, and plan the chunks."""
    desk = desk_of(out)
    run.decide(desk.job, desk.title)


@task(
    name="restore",
    task_run_name="restore {shot}",
    tags={"stage:render"},
    cache_policy=NO_CACHE,
    retries=len(DELAYS_S),
    retry_delay_seconds=DELAYS_S,
    retry_condition_fn=worth_retrying,
)
def restore(out: str, shot: str) -> None:
    """Render what the store lacks of one shot, and verify it."""
    desk = desk_of(out)
    verdict = run.restore_once(desk.job, desk.title, shot)
    desk.title.verdicts[shot] = verdict
    get_run_logger().info("shot %s: %s", shot, verdict["verdict"])


@task(name="deliver", task_run_name="deliver title", tags={"stage:deliver"}, cache_policy=NO_CACHE)
def deliver(out: str) -> Outcome:
    """Deliverables, report and manifest."""
    desk = desk_of(out)
    return run.deliver(desk.job, desk.title)
