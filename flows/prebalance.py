"""Color decisions for the grading system, and no picture: the deployment of ``prebalance``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.artifacts import create_table_artifact

from wetgate.launch import launch_prebalance
from wetgate.project import load_project


@flow(name="prebalance", flow_run_name="prebalance {out}", persist_result=False)
def prebalance(
    sources: list[str],
    out: str,
    preset: str | None = "prebalance",
    only: str | None = None,
    sets: list[str] | None = None,
    encoding: str | None = None,
    rate: str | None = None,
    replace: bool = False,
) -> dict[str, Any]:
    """Analyse, solve and hand over. Parameters are those of ``wetgate prebalance``."""
    project = load_project(
        sources, preset=preset, only=only, sets=sets or [], encoding=encoding, rate=rate
    )
    found = launch_prebalance(project, Path(out), replace=replace, quiet=True)
    rows = [
        {"shot": name, "confidence": d.balance.confidence, "reason": d.balance.reason}
        for name, d in found.decisions.items()
    ]
    create_table_artifact(table=rows, key="color", description=out)
    return {"files": [f.path for f in found.files], "shots": len(rows)}
