"""Prefect's settings for a job that runs by itself: offline and on loopback."""

from __future__ import annotations

import os
from collections.abc import Mapping

OFFLINE: Mapping[str, str] = {
    # Either of the two alone still lets a look-up out (measured with 3.8 and 3.9).
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    # A server that is away is asked again for two minutes (2, 4, ... 64 s); then the work goes on
    # without it.
    "PREFECT_CLIENT_MAX_RETRIES": "6",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
    # Task history is recorded in batches; one by one it trails far behind and is dropped.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TRIGGERS_READ_BATCH_SIZE": "100",
}


def apply_offline() -> None:
    """Put the settings into the environment where the user has not set them. Before any import
    of prefect: it reads the environment when it is imported."""
    for name, value in OFFLINE.items():
        os.environ.setdefault(name, value)
