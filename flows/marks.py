"""What runs are known by: tags on the server, marks in the leases."""

from __future__ import annotations

from uuid import UUID

from prefect.runtime import flow_run

LEADS = "wetgate-title"
"""Tag of every run that leads a title."""
HELPS = "wetgate-hand"
"""Tag of every run that helps with one."""


def mark() -> str:
    """Part of the name in the leases of whoever works for this flow run."""
    return marked(flow_run.id)


def marked(run: UUID | str) -> str:
    """The mark of a flow run."""
    return f"run-{run}"
