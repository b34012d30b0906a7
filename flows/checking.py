"""Is what was delivered still whole? The deployment of ``wetgate verify``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from prefect import flow

from wetgate.audit import audit
from wetgate.job import open_job


@flow(name="verify", flow_run_name="verify {out}", persist_result=False)
def verify(out: str) -> dict[str, Any]:
    """Check every file, chunk and decision of a title against its digest.

    raises: RuntimeError with the first finding when anything is not what it was.
    """
    found = audit(open_job(Path(out)))
    if found.findings:
        raise RuntimeError(f"{len(found.findings)} findings in {out}: {found.findings[0]}")
    return asdict(found)
