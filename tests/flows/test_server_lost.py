"""The server dies under a run, or its database is lost: the folder is the truth."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from multiprocessing.context import SpawnProcess
from pathlib import Path

import pytest

from flows.server import free_port
from tests.reels import command_line, environment, events, leftovers, result

pytestmark = pytest.mark.resume

SETS = ("render.workers=2", "policy.max_repaired_share=0.4")
CHUNKS = 4


def serve(home: str, port: int, up: str) -> None:
    """In a process of its own: a server, until it is told to end."""
    from flows.settings import apply_offline

    apply_offline()
    from flows.server import own_server

    with own_server(Path(home), port):
        Path(up).touch()
        signal.pause()


def start_server(home: Path, port: int) -> SpawnProcess:
    up = home.with_suffix(".up")
    up.unlink(missing_ok=True)
    process = multiprocessing.get_context("spawn").Process(
        target=serve, args=(str(home), port, str(up))
    )
    process.start()
    until(up.exists, "no server")
    return process


def until(so: Callable[[], bool], why: str) -> None:
    deadline = time.monotonic() + 120
    while not so():
        assert time.monotonic() < deadline, why
        time.sleep(0.01)


def run(scans: list[Path], out: Path, port: int, **env: str) -> subprocess.Popen[str]:
    sets = [a for s in SETS for a in ("--set", s)]
    told = ["run", *map(str, scans), "--encoding", "cineon", "--rate", "24", *sets]
    return subprocess.Popen(
        command_line(*told, "--out", out),
        env={**environment(), "PREFECT_API_URL": f"http://127.0.0.1:{port}/api", **env},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_title_goes_on_when_the_server_stays_away(
    scans: list[Path], reference: Path, tmp_path: Path
) -> None:
    """Nobody starts it again; the run says so, and ends well."""
    home, out, port = tmp_path / "home", tmp_path / "out", free_port()
    server = start_server(home, port)
    work = run(scans, out, port, PREFECT_CLIENT_MAX_RETRIES="1")
    try:
        until(lambda: bool(events(out, "chunk_rendered")), "no chunks")
        os.kill(server.pid or 0, signal.SIGKILL)
        server.join()
        _, told = work.communicate(timeout=300)
    finally:
        if work.poll() is None:
            work.kill()
            work.communicate()
    assert work.returncode == 0, told
    assert len(events(out, "without_server")) == 1
    assert result(out) == result(reference)
    keys = [e["key"] for e in events(out, "chunk_rendered")]
    assert len(keys) == len(set(keys)) == CHUNKS
    assert not leftovers(out)


@pytest.mark.parametrize("lost", ["server", "database"])
def test_the_title_outlives_its_server(
    scans: list[Path], reference: Path, tmp_path: Path, lost: str
) -> None:
    """Killed while pictures are made and started again; in one case with an empty database,
    which knows nothing of the run: it goes on or ends, and the same command completes it."""
    home, out, port = tmp_path / "home", tmp_path / "out", free_port()
    server = start_server(home, port)
    work = run(scans, out, port)
    try:
        until(lambda: bool(events(out, "chunk_rendered")), "no chunks")
        # The kernel ends the server with the process that started it.
        os.kill(server.pid or 0, signal.SIGKILL)
        server.join()
        if lost == "database":
            shutil.rmtree(home)
        server = start_server(home, port)
        _, told = work.communicate(timeout=300)
        if lost == "server":
            assert work.returncode == 0, told
        if work.returncode != 0:
            again = run(scans, out, port)
            _, told = again.communicate(timeout=180)
            assert again.returncode == 0, told
    finally:
        server.terminate()
        server.join()
        if work.poll() is None:
            work.kill()
            work.communicate()
    assert result(out) == result(reference)
    keys = [e["key"] for e in events(out, "chunk_rendered")]
    assert len(keys) == len(set(keys)) == CHUNKS
    assert not events(out, "shot_failed")
    assert not leftovers(out)
