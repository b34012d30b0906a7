"""One more worker for a title under way; it leads on when the leader's worker is lost."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Cancelled

from flows.marks import mark
from flows.title import lead
from media.errors import CalledOff
from wetgate.helper import help_or_lead

_WAIT_S = 600.0


@flow(name="join", flow_run_name="help {out}", persist_result=False)
def join(out: str, wait_s: float = _WAIT_S) -> dict[str, Any] | State[Any]:
    """Take shots of the title in an output folder, for as long as it is worked on.

    wait_s: how long to wait for somebody to begin the title.
    returns: the shots this worker measured and restored, and the outcome if it led; the state
    Cancelled for a title that was cancelled.
    raises: RuntimeError when shots failed under its lead.
    """
    return help_with(out, wait_s)


def help_with(out: str, wait_s: float = _WAIT_S) -> dict[str, Any] | State[Any]:
    """What ``join`` does, inside any flow run."""
    try:
        helped, outcome = help_or_lead(Path(out), threading.Event(), wait_s, lead, mark())
    except CalledOff as error:
        return Cancelled(message=str(error))
    said: dict[str, Any] = {
        "analysed": list(helped.analysed),
        "restored": list(helped.restored),
        "led": outcome is not None,
    }
    if outcome is not None:
        if outcome.failed:
            raise RuntimeError(f"shots failed: {', '.join(outcome.failed)}; see {outcome.report}")
        said |= outcome.as_dict()
    return said
