"""The job under Prefect: the same bytes, retries where they help, and nothing left running."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from tests.reels import (
    command_line,
    environment,
    events,
    frame_file,
    hashes,
    leftovers,
    project_of,
    put_title,
    stored,
)

ROOT = Path(__file__).resolve().parents[2]
ARGUMENTS = ("--encoding", "cineon", "--rate", "24")
SETS = ("render.workers=2", "policy.max_repaired_share=0.4")


def servers(home: Path) -> list[int]:
    """Processes of Prefect servers with their database below ``home``."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            variables = (folder / "environ").read_bytes()
        except OSError:
            continue
        if b"prefect" in command and os.fsencode(f"PREFECT_HOME={home}") in variables:
            found.append(int(folder.name))
    return found


def gone(home: Path, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while servers(home) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not servers(home)


def task_runs(home: Path) -> list[dict[str, Any]]:
    """All task runs in a server's database."""
    with sqlite3.connect(f"file:{home / 'prefect.db'}?mode=ro", uri=True) as database:
        rows = database.execute("select name, tags, run_count, state_type from task_run").fetchall()
    database.close()
    return [
        {"name": name, "tags": json.loads(tags), "count": count, "state": state}
        for name, tags, count, state in rows
    ]


def job(sources: list[str], out: str, home: str, said: str) -> None:
    """In a process of its own: a shot that fails, a chunk that is damaged, then all mended."""
    from flows.settings import apply_offline

    apply_offline()
    from flows.server import own_server

    with own_server(Path(home)) as address:
        os.environ["PREFECT_API_URL"] = address
        first = _disturbed(sources, out)
        bad = frame_file(Path(sources[1]), 15)
        bad.write_bytes(_flipped(bad.read_bytes()))
        from prefect.events.worker import EventsWorker
        from prefect.logging.handlers import APILogHandler

        from flows.overnight import overnight

        second = overnight(
            sources, f"{out}-2", encoding="cineon", rate="24", sets=list(SETS), only="none"
        )
        third = overnight(sources, out, encoding="cineon", rate="24", sets=list(SETS))
        # A worker's server stays; this one goes, and what is on its way to it must not wait.
        APILogHandler().flush()
        EventsWorker.drain_all(timeout=10.0)
    Path(said).write_text(json.dumps([first, second, third]), "utf-8")


def _flipped(data: bytes) -> bytes:
    changed = bytearray(data)
    changed[-7] ^= 2
    return bytes(changed)


def _disturbed(sources: list[str], out: str) -> dict[str, Any]:
    from flows.embedded import run_title
    from wetgate.job import Job
    from wetgate.launch import BeforeReport, launch
    from wetgate.stages.finish import Outcome

    damaged: list[str] = []

    def disturb(event: str, fields: Any) -> None:
        if event == "planned":
            bad = frame_file(Path(sources[1]), 15)
            bad.write_bytes(_flipped(bad.read_bytes()))
        if event == "chunk_rendered" and fields["shot"] == "R1_0010" and not damaged:
            damaged.append(fields["key"])
            pixels = Path(out) / "store" / fields["key"][:2] / fields["key"] / "pixels.npy"
            pixels.write_bytes(_flipped(pixels.read_bytes()))

    def runner(work: Job, before_report: BeforeReport | None) -> Outcome:
        work.events.listen(disturb)
        return run_title(work, before_report)

    project = project_of([Path(s) for s in sources])
    return launch(project, Path(out), runner=runner, quiet=True).as_dict()


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One server, three runs; the folder with all they left."""
    root = tmp_path_factory.mktemp("prefect")
    sources = [str(s) for s in put_title(root / "scans")]
    context = multiprocessing.get_context("spawn")
    process = context.Process(
        target=job,
        args=(sources, str(root / "out"), str(root / "home"), str(root / "said.json")),
    )
    process.start()
    process.join(150)
    if process.is_alive():
        process.kill()
    process.join()
    assert process.exitcode == 0
    yield root
    assert gone(root / "home", 15.0)


def said(ran: Path, run: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ran / "said.json").read_text("utf-8"))[run]
    return found


def test_a_shot_that_fails_is_parked_and_the_others_are_delivered(ran: Path) -> None:
    first = said(ran, 0)
    assert (first["exit_code"], first["failed"], first["held"]) == (4, ["R2_0020"], [])
    assert (first["frames_planned"], first["frames_delivered"]) == (32, 24)
    assert "frame 172815" in first["failures"][0]
    failed = [(e["shot"], e["error"], e["frame"]) for e in events(ran / "out", "shot_failed")]
    assert failed == [("R2_0020", "SourceChanged", 172815)]


def test_only_what_can_help_is_tried_again(ran: Path) -> None:
    runs = task_runs(ran / "home")
    counts = [r["count"] for r in runs if r["name"] == "restore R2_0020"]
    assert counts[0] == 1, "a changed source was tried again"
    assert max(r["count"] for r in runs if r["name"] == "restore R1_0010") == 2
    assert [e["shot"] for e in events(ran / "out", "chunk_damaged")] == []
    rendered = [e["key"] for e in events(ran / "out", "chunk_rendered") if e["shot"] == "R1_0010"]
    assert len(rendered) == 2
    assert len(set(rendered)) == 1
    assert len(list((ran / "out/store").glob("damaged-*"))) == 1


def test_tasks_are_named_and_tagged(ran: Path) -> None:
    runs = task_runs(ran / "home")
    runs = [r for r in runs if not r["name"].startswith("title-")]
    names = {r["name"] for r in runs}
    shots = ("R1_0010", "R1_0020", "R2_0010", "R2_0020")
    assert names == {
        *(f"{stage} title" for stage in ("ingest", "solve", "deliver")),
        *(f"{stage} {shot}" for stage in ("analyse", "restore") for shot in shots),
    }
    for run in runs:
        stage = run["name"].split()[0]
        assert f"stage:{'render' if stage == 'restore' else stage}" in run["tags"]
        assert "title:R1" in run["tags"]
        reel = run["name"].split()[1].split("_")[0]
        assert f"reel:{reel}" in run["tags"] or reel == "title"


def test_what_lies_there_whole_is_no_task_again(ran: Path) -> None:
    queued = [(e["shots"], e["done_before"]) for e in events(ran / "out", "queued")]
    assert queued == [(4, 0), (1, 3)]
    names = [r["name"] for r in task_runs(ran / "home")]
    assert names.count("analyse R1_0010") == 1
    # Two titles have shots of these names.
    assert (names.count("restore R1_0010"), names.count("restore R2_0020")) == (2, 3)


def test_what_is_to_be_seen_of_a_title_is_there(ran: Path) -> None:
    """Progress to its end, the shots in a table, and the way to the report."""
    with sqlite3.connect(f"file:{ran / 'home' / 'prefect.db'}?mode=ro", uri=True) as database:
        rows = database.execute("select key, data from artifact order by updated").fetchall()
    database.close()
    newest = {key: data for key, data in rows if key is not None}
    assert newest.keys() == {"restoration", "shots", "report"}
    assert float(str(newest["restoration"])) == 100.0
    assert (ran / "out/report/index.html").as_uri() in newest["report"]
    table = json.loads(json.loads(newest["shots"]))
    assert [row["shot"] for row in table] == ["R1_0010", "R1_0020", "R2_0010", "R2_0020"]


def test_the_key_of_a_guarded_server_is_written_nowhere(scans: list[Path], tmp_path: Path) -> None:
    """The job's own server asks for it, the job has it, and nothing that is left tells it."""
    out, key = tmp_path / "out", "operator:correct-horse-battery"
    told = subprocess.run(
        command_line("run", *map(str, scans), *ARGUMENTS, "--only", "none", "--out", out),
        env={
            **environment(),
            "PREFECT_API_AUTH_STRING": key,
            "PREFECT_SERVER_API_AUTH_STRING": key,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert told.returncode == 0, told.stderr
    left = [p for p in out.rglob("*") if p.is_file()]
    assert any(p.name == "prefect.db" for p in left)
    for text in (told.stdout.encode(), told.stderr.encode(), *(p.read_bytes() for p in left)):
        assert b"correct-horse" not in text


def test_the_scheduled_flow_is_the_same_job(ran: Path, reference: Path) -> None:
    second, third = said(ran, 1), said(ran, 2)
    assert (second["exit_code"], third["exit_code"]) == (0, 0)
    before = hashes(ran / "scans/R1")
    assert hashes(ran / "out-2/deliver/restored/R1") == before
    assert hashes(ran / "out/deliver", ran / "out/touch") == hashes(
        reference / "deliver", reference / "touch"
    )
    assert not leftovers(ran / "out")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
def test_killed_then_interrupted_under_prefect_and_gone_on(
    scans: list[Path], tmp_path: Path, reference: Path
) -> None:
    out = tmp_path / "out"
    arguments = ["run", *map(str, scans), *ARGUMENTS, "--out", str(out)]
    for name in (*SETS, "render.chunk_frames=1"):
        arguments += ["--set", name]
    held = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        for number, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)):
            process = subprocess.Popen(
                command_line(*arguments), env=environment(), stderr=subprocess.PIPE, text=True
            )
            enough = len(stored(out)) + 2
            deadline = time.monotonic() + 90
            while len(stored(out)) < enough and process.poll() is None:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            assert servers(out / ".prefect")
            process.send_signal(number)
            _, told = process.communicate(timeout=60)
            assert process.returncode == code, told
            assert gone(out / ".prefect", 15.0), "the server outlived the job"
            assert len(stored(out)) < 32
    finally:
        signal.signal(signal.SIGINT, held)
    assert "the same command goes on" in told
    done = subprocess.run(
        command_line(*arguments, "--json"),
        env=environment(), capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["exit_code"] == 0
    assert done.stderr == ""
    assert not servers(out / ".prefect")
    assert hashes(out / "deliver", out / "touch") == hashes(
        reference / "deliver", reference / "touch"
    )
    keys = [e["key"] for e in events(out, "chunk_rendered")]
    # A SIGKILL between a chunk's rename and its line in the event file loses the line, never the
    # chunk (one for each of two workers): it is there, and nobody makes it again.
    assert len(keys) == len(set(keys)) >= 32 - 2
    assert len(stored(out)) == 32


# What needs no server.


def test_deployments_name_flows_by_dots() -> None:
    table = importlib.import_module("yaml").safe_load((ROOT / "prefect.yaml").read_text("utf-8"))
    assert table["deployments"]
    for deployment in table["deployments"]:
        module, _, name = deployment["entrypoint"].partition(":")
        assert "/" not in module
        assert not module.endswith(".py")
        tree = ast.parse((ROOT / (module.replace(".", "/") + ".py")).read_text("utf-8"))
        made = {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}
        assert name in made
        assert deployment["work_pool"]["name"]


def test_the_runner_is_found_by_name() -> None:
    (entry,) = metadata.entry_points(group="wetgate.runners", name="prefect")
    assert callable(entry.load())


def test_modules_of_flows_hide_nothing() -> None:
    """A path-style entry point puts flows/ itself in front of the import path."""
    names = {p.stem for p in (ROOT / "flows").glob("*.py")} - {"__init__"}
    assert not names & set(sys.stdlib_module_names)
    ours = {p.name for p in ROOT.iterdir() if (p / "__init__.py").is_file()}
    assert not names & ours
    for name in names:
        found = importlib.util.find_spec(name)
        assert found is None, f"flows/{name}.py would hide {found}"


def test_worth_retrying_asks_the_error() -> None:
    script = """
import errno
from flows.settings import apply_offline
apply_offline()
from prefect.states import exception_to_crashed_state
from prefect.client.schemas.objects import State, StateType
from flows.retrying import worth_retrying
from media.errors import FrameUnreadable, OutOfMemory, StorageFull, StoreError
class Given(State):
    def result(self, raise_on_failure=True, **rest):
        return self.data
for error in (FrameUnreadable("x"), StoreError("x"), OutOfMemory("x"), StorageFull("x"),
              OSError(errno.EIO, "x"), OSError(errno.ENOSPC, "x"), ValueError("x")):
    state = Given(type=StateType.FAILED, data=error)
    print(int(worth_retrying(None, None, state)), end="")
"""
    told = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True, text=True, check=False, cwd=ROOT, env=environment(),
    )  # fmt: skip
    assert told.stdout == "0110100", told.stderr


def test_flows_import_without_prefect_until_they_run() -> None:
    assert callable(importlib.import_module("flows.embedded").run_title)
    script = "import sys, flows.embedded, wetgate.cli; print('prefect' in sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert told.stdout.strip() == "False"
