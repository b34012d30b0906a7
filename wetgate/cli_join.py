"""``wetgate join`` and ``wetgate gc``: more hands for a title, more room on its disk."""

from __future__ import annotations

import json
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from wetgate.loading import loading


def join(
    out: Annotated[Path, typer.Argument(help="output folder of the title, on a shared disk")],
    wait_s: Annotated[float, typer.Option(help="how long to wait for work to begin")] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
) -> None:
    """Take shots off the hands of a run; lead it to its end when its worker is lost."""
    with loading():
        from wetgate.helper import help_or_lead

    helped, outcome = help_or_lead(out, threading.Event(), wait_s)
    if as_json:
        said = {"analysed": helped.analysed, "restored": helped.restored, "led": bool(outcome)}
        typer.echo(json.dumps({**said, **(outcome.as_dict() if outcome else {})}))
    else:
        typer.echo(
            f"measured {len(helped.analysed)} and restored {len(helped.restored)} shots"
            + (f"; led the title to its end, report: {outcome.report}" if outcome else "")
        )
    raise SystemExit(outcome.exit_code if outcome else 0)


def gc(
    out: Annotated[Path, typer.Argument(help="output folder")],
    dry: Annotated[bool, typer.Option("--dry-run", help="only say what would go")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
) -> None:
    """Remove chunks that no decision needs any more. Nothing delivered is touched."""
    from wetgate.gc import clear_store
    from wetgate.job import open_job
    from wetgate.numerics import pin_numerics

    pin_numerics()
    found = clear_store(open_job(out), dry=dry)
    if as_json:
        typer.echo(json.dumps(asdict(found)))
    else:
        verb = "would remove" if dry else "removed"
        typer.echo(
            f"{verb} {found.chunks} chunks and {found.damaged} damaged ones, "
            f"{found.bytes / 1e9:.2f} GB; kept {found.kept}"
        )
