"""Run a job under Prefect with no set-up: own server on loopback, or the one that is configured.

Prefect is imported only inside the function, after its settings are in place.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.settings import apply_offline
from wetgate.job import Job
from wetgate.launch import BeforeReport
from wetgate.stages.finish import Outcome

_DRAIN_S = 10.0


def run_title(job: Job, before_report: BeforeReport | None = None) -> Outcome:
    """The runner ``wetgate run`` uses unless told ``--no-prefect``.

    With PREFECT_API_URL set, the run shows on that server; otherwise a server of its own is
    started, with its database in ``.prefect`` of the output folder, and ended with the job.
    """
    apply_offline()
    # The program itself says what went wrong, in one line; Prefect's records keep the rest.
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    with _server(job.folder.root / ".prefect") as (address, home):
        from prefect.events.worker import EventsWorker
        from prefect.logging.handlers import APILogHandler
        from prefect.settings import (
            PREFECT_API_URL,
            PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
            PREFECT_HOME,
            temporary_settings,
        )

        changes = {PREFECT_API_URL: address, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
        if home is not None:
            changes[PREFECT_HOME] = str(home)
        with temporary_settings(changes):
            from flows.title import lead

            try:
                return lead(job, before_report)
            finally:
                # What is on its way must arrive before the server is gone: at the end of the
                # process Prefect would wait for a server that no longer answers.
                APILogHandler().flush()
                EventsWorker.drain_all(timeout=_DRAIN_S)


@contextmanager
def _server(home: Path) -> Iterator[tuple[str, Path | None]]:
    configured = os.environ.get("PREFECT_API_URL")
    if configured:
        yield configured, None
        return
    from flows.server import own_server

    with own_server(home) as address:
        yield address, home
