"""The command line. Everything it can do is also a plain function somewhere in this package."""

from __future__ import annotations

import json
import signal
import sys
import traceback
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from rich.console import Console

from media.errors import UsageError, WetgateError
from wetgate import __version__
from wetgate.cli_join import gc, join
from wetgate.cli_models import models_app
from wetgate.cli_night import cancel, pause, resume
from wetgate.loading import loading

INTERRUPTED = 130
INTERNAL = 1

app = typer.Typer(
    name="wetgate",
    help="Archival film restoration and color batch work: resumable, honest, shot by shot.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(models_app, name="models")
app.command()(join)
app.command()(gc)
for word in (pause, resume, cancel):
    app.command()(word)

Sources = Annotated[
    list[str], typer.Argument(help="One PROJECT.toml, or sources: movies, folders, patterns.")
]
Preset = Annotated[str | None, typer.Option(help="silent-bw, faded-color, prebalance, preserve.")]
Only = Annotated[
    str | None, typer.Option(help="Repairs to run, comma separated; 'none' passes through.")
]
Sets = Annotated[
    list[str] | None, typer.Option("--set", help="Any option: restore.dirt.enabled=false")
]
Out = Annotated[Path, typer.Option(help="Output folder; the same folder resumes.")]
Encoding = Annotated[str | None, typer.Option(help="rec709, cineon, adx10, linear, ...")]
Rate = Annotated[str | None, typer.Option(help="Frames per second: 24, 18, 24000/1001.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
Replace = Annotated[bool, typer.Option("--replace", help="Give up a delivery made before.")]
Prefect = Annotated[
    bool, typer.Option("--prefect/--no-prefect", help="Schedule shots as Prefect tasks.")
]
Deadline = Annotated[
    str | None, typer.Option(help="When it should be done: 07:00, mon 07:00, 2026-11-30 07:00.")
]
Existing = Annotated[Path, typer.Argument(help="An output folder.")]


def main() -> None:
    """Entry point: named errors become their exit code, everything else is internal."""
    signal.signal(signal.SIGTERM, _terminated)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    interrupted = "wetgate: interrupted; the same command goes on from here"
    try:
        app()
    except WetgateError as error:
        verb = {2: "refused", 4: "stopped", INTERRUPTED: "cancelled"}.get(error.exit_code, "failed")
        console.print(f"wetgate: {verb}: {error}", markup=False)
        if "--json" in sys.argv:
            typer.echo(json.dumps({"exit_code": error.exit_code, **error.as_dict()}))
        _let_go(error)
        sys.exit(error.exit_code)
    except SystemExit as end:
        # Ctrl-C arrives here: typer turns it into this exit code, without a word.
        if end.code == INTERRUPTED:
            console.print(interrupted, markup=False)
        raise
    except KeyboardInterrupt:
        console.print(interrupted, markup=False)
        sys.exit(INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - the last line of defence: say it is our fault
        traceback.print_exc()
        console.print(f"wetgate: internal error: {type(error).__name__}: {error}", markup=False)
        sys.exit(INTERNAL)


def _let_go(error: BaseException) -> None:
    """Close what was open where it went wrong: a scheduler keeps the error to the end, and a
    library complains of every object that is left then."""
    link: BaseException | None = error
    while link is not None:
        traceback.clear_frames(link.__traceback__)
        link = link.__cause__ or link.__context__


def _terminated(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    raise KeyboardInterrupt


@app.command()
def run(
    sources: Sources,
    out: Out = Path("wetgate-out"),
    preset: Preset = None,
    only: Only = None,
    sets: Sets = None,
    encoding: Encoding = None,
    rate: Rate = None,
    deadline: Deadline = None,
    replace: Replace = False,
    as_json: Json = False,
    prefect: Prefect = True,
) -> None:
    """Restore a title: start or resume, the same command."""
    with loading():
        from wetgate.launch import launch
        from wetgate.project import load_project

        runner = _runner(prefect)
    sets = _with_deadline(sets, deadline)
    project = load_project(
        sources, preset=preset, only=only, sets=sets, encoding=encoding, rate=rate
    )
    outcome = launch(project, out, replace=replace, runner=runner, quiet=as_json)
    if as_json:
        typer.echo(json.dumps(outcome.as_dict()))
    else:
        _say_outcome(outcome.as_dict())
    raise SystemExit(outcome.exit_code)


@app.command()
def demo(
    out: Out = Path("demo-out"),
    replace: Replace = False,
    as_json: Json = False,
    prefect: Prefect = True,
) -> None:
    """The main job on built-in material with known damage, and how close it came to the truth."""
    from wetgate.demo import build_demo, score_demo
    from wetgate.launch import launch
    from wetgate.tables import truth_table

    project = build_demo(out, quiet=as_json)
    outcome = launch(
        project,
        out,
        replace=replace,
        runner=_runner(prefect),
        quiet=as_json,
        before_report=lambda job, title: score_demo(job, title),
    )
    truth = json.loads((out / "demo" / "truth.json").read_text("utf-8"))
    if as_json:
        typer.echo(json.dumps({**outcome.as_dict(), "truth": truth}))
    else:
        Console(width=100).print(truth_table(truth))
        _say_outcome(outcome.as_dict())
    raise SystemExit(outcome.exit_code)


@app.command()
def plan(
    sources: Sources,
    out: Out = Path("wetgate-out"),
    preset: Preset = None,
    only: Only = None,
    sets: Sets = None,
    encoding: Encoding = None,
    rate: Rate = None,
    deadline: Deadline = None,
    as_json: Json = False,
) -> None:
    """Say what a run would do, how long and how big, and what a deadline leaves out."""
    with loading():
        from wetgate.dryrun import dry_run
        from wetgate.numerics import pin_numerics
        from wetgate.project import load_project
        from wetgate.tables import plan_dict, print_plan

    sets = _with_deadline(sets, deadline)
    project = load_project(
        sources, preset=preset, only=only, sets=sets, encoding=encoding, rate=rate
    )
    pin_numerics()
    found = dry_run(project, out)
    if as_json:
        typer.echo(json.dumps(plan_dict(project, found)))
    else:
        print_plan(Console(width=110), project, found)


@app.command()
def prebalance(
    sources: Sources,
    out: Out = Path("wetgate-out"),
    preset: Preset = "prebalance",
    only: Only = None,
    sets: Sets = None,
    encoding: Encoding = None,
    rate: Rate = None,
    replace: Replace = False,
    as_json: Json = False,
) -> None:
    """Color decisions only: CDL and EDL for the grading system, no picture baked."""
    with loading():
        from wetgate.launch import launch_prebalance
        from wetgate.project import load_project

    project = load_project(
        sources, preset=preset, only=only, sets=sets or [], encoding=encoding, rate=rate
    )
    found = launch_prebalance(project, out, replace=replace, quiet=as_json)
    table: dict[str, Any] = {
        "exit_code": 0,
        "files": [f.path for f in found.files],
        "shots": {n: d.balance.model_dump(mode="json") for n, d in found.decisions.items()},
    }
    if as_json:
        typer.echo(json.dumps(table))
        return
    for name, decision in table["shots"].items():
        points = " ".join(f"{p:+.1f}" for p in decision["printer_points"])
        why = f"  {decision['reason']}" if decision["reason"] else ""
        typer.echo(f"{name:20} points {points}  confidence {decision['confidence']:.2f}{why}")
    for file in table["files"]:
        typer.echo(str(out / file))
    for sheet in found.sheets:
        typer.echo(str(out / "report" / "contact" / sheet))


@app.command()
def status(out: Existing, as_json: Json = False) -> None:
    """How far a job is; works while it runs and after it died."""
    from dataclasses import asdict

    from wetgate.job import open_job
    from wetgate.status import status as read_status
    from wetgate.tables import status_lines

    found = read_status(open_job(out))
    if as_json:
        typer.echo(json.dumps(asdict(found)))
        return
    for line in status_lines(found):
        typer.echo(line)


@app.command()
def verify(out: Existing, as_json: Json = False) -> None:
    """Check every delivered file, chunk and decision against its digest."""
    from dataclasses import asdict

    from wetgate.audit import audit
    from wetgate.job import open_job

    found = audit(open_job(out))
    if as_json:
        typer.echo(json.dumps(asdict(found)))
    else:
        typer.echo(
            f"{found.files} files, {found.chunks} chunks, {found.decisions} decisions checked"
        )
        for finding in found.findings:
            typer.echo(f"  {finding}")
        typer.echo("all whole" if not found.findings else f"{len(found.findings)} findings")
    raise SystemExit(4 if found.findings else 0)


@app.command()
def report(out: Existing, as_json: Json = False) -> None:
    """Where the report of a job is, and its summary."""
    from wetgate.files import read_json
    from wetgate.job import open_job

    job = open_job(out)
    page = job.folder.report / "index.html"
    summary = read_json(job.folder.report / "report.json")
    if summary is None or not page.is_file():
        raise UsageError("there is no report yet", hint="run 'wetgate run'; it ends with one")
    typer.echo(json.dumps(summary) if as_json else str(page))


@app.command()
def review(out: Existing, as_json: Json = False) -> None:
    """The least certain decisions first, and how to overrule them."""
    from dataclasses import asdict

    from wetgate.job import open_job
    from wetgate.review import doubts

    job = open_job(out)
    found = doubts(job)
    if as_json:
        typer.echo(json.dumps([asdict(d) for d in found]))
        return
    for doubt in found:
        first, last = doubt.frames
        typer.echo(f"{doubt.shot}  frames {first}-{last}  confidence {doubt.confidence:.2f}")
        for line in (*doubt.held_because, *doubt.reasons):
            typer.echo(f"    {line}")
    if found:
        typer.echo(f"\nTo overrule, write into {job.folder.overrides}, for instance:\n")
        typer.echo(found[0].override())


@app.command()
def shots(
    out: Existing,
    reel: Annotated[str | None, typer.Option(help="Only this reel.")] = None,
    write: Annotated[
        Path | None, typer.Option(help="Write one reel's list: .otio, .edl or .csv.")
    ] = None,
    as_json: Json = False,
) -> None:
    """The shots that were found, and fades, flashes, titles, leader and doubled frames."""
    from wetgate.job import open_job
    from wetgate.shotlist import export_shots, reels_of, shot_lines, shots_dict

    found = reels_of(open_job(out), reel)
    if write is not None:
        export_shots(found, write)
    if as_json:
        typer.echo(json.dumps(shots_dict(found)))
    elif write is None:
        for line in shot_lines(found):
            typer.echo(line)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Is this machine able to run a job?"""
    from dataclasses import asdict

    from wetgate.doctor import examine

    found = examine()
    if as_json:
        typer.echo(json.dumps([asdict(f) for f in found]))
    else:
        for finding in found:
            mark = "ok " if finding.ok else "BAD"
            remedy = f"  -> {finding.remedy}" if not finding.ok else ""
            typer.echo(f"{mark} {finding.what}{remedy}")
        typer.echo(f"wetgate {__version__}")
    raise SystemExit(0 if all(f.ok for f in found) else 2)


def _with_deadline(sets: list[str] | None, deadline: str | None) -> list[str]:
    return [*(sets or []), *([] if deadline is None else [f"night.deadline={deadline}"])]


def _runner(prefect: bool) -> Callable[..., Any] | None:
    """The scheduler to run under, found by name: this package knows none itself."""
    if not prefect:
        return None
    found = [e for e in metadata.entry_points(group="wetgate.runners") if e.name == "prefect"]
    if not found:
        raise UsageError(
            "the Prefect runner is not installed", hint="run 'make setup', or use --no-prefect"
        )
    runner: Callable[..., Any] = found[0].load()
    return runner


def _say_outcome(outcome: dict[str, Any]) -> None:
    typer.echo(
        f"delivered {outcome['frames_delivered']} of {outcome['frames_planned']} frames, "
        f"{outcome['shots']} shots; held {len(outcome['held'])}, failed {len(outcome['failed'])}"
    )
    for line in (*outcome["failures"], *outcome["notes"]):
        typer.echo(f"  {line}")
    typer.echo(f"report: {outcome['report']}")
