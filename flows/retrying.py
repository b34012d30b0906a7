"""Which failures are worth another try, and which are only the scheduler's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
from prefect import Task
from prefect.client.schemas.objects import State, TaskRun
from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError
from prefect.exceptions import CancelledRun, PrefectException

from media.errors import StorageFull, StorageGone, WetgateError
from media.write import storage_error

DELAYS_S = [2.0, 20.0, 120.0]


def worth_retrying(
    task: Task[Any, Any],  # noqa: ARG001 - Prefect calls it with all three
    run: TaskRun,  # noqa: ARG001
    state: State[Any],
) -> bool:
    """A bad frame is not retried; a lost chunk, a short memory or a flaky disk is."""
    error = state.result(raise_on_failure=False)
    if isinstance(error, StorageFull | StorageGone):
        # The one needs a person; the other has been waited for already.
        return False
    if isinstance(error, WetgateError):
        return error.retryable
    if isinstance(error, OSError):
        return not isinstance(storage_error(error, Path()), StorageFull)
    return False


def of_the_server(error: BaseException) -> bool:
    """Is it about the server, and not about the work? A run that was cancelled there is no such
    case: it ends."""
    if isinstance(error, CancelledRun):
        return False
    if isinstance(error, httpx.HTTPError | PrefectException | ConcurrencySlotAcquisitionError):
        return True
    # What a client says that never reached its server has no class of its own.
    return isinstance(error, RuntimeError) and str(error).startswith("Failed to reach API")
