"""A word from a person reaches every worker between chunks: pause, go on, call off, hours."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from media.errors import CalledOff, StorageFull, UsageError
from tests.reels import (
    command_line,
    environment,
    events,
    project_of,
    put_reel,
    result,
    run_here,
    scene,
    stored,
)
from wetgate.cli import app
from wetgate.config import Night
from wetgate.control import Word, said, say, withdraw
from wetgate.events import read_events
from wetgate.files import Folder
from wetgate.job import open_job
from wetgate.quota import Quota, used_bytes
from wetgate.status import status

pytestmark = pytest.mark.resume

SETS = ("render.chunk_frames=2", "render.workers=1", "policy.max_repaired_share=0.4")
CHUNKS = 48
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One reel of six shots of sixteen frames."""
    codes = np.concatenate([scene(seed, 16) for seed in range(1, 7)])
    return put_reel(tmp_path_factory.mktemp("scans") / "R1", codes, 86400)


@pytest.fixture(scope="module")
def undisturbed(many: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    assert run_here(project_of([many], *SETS), out).exit_code == 0
    return result(out)


def run_arguments(scan: Path, out: Path, *more: str) -> list[str]:
    sets = [a for s in (*SETS, *more) for a in ("--set", s)]
    told = ["run", str(scan), "--encoding", "cineon", "--rate", "24", "--no-prefect"]
    return [*told, *sets, "--out", str(out)]


@pytest.fixture
def started() -> Iterator[Start]:
    """Starts the program; what a failing test leaves running is ended."""
    running: list[subprocess.Popen[str]] = []

    def start(*arguments: str | Path) -> subprocess.Popen[str]:
        running.append(
            subprocess.Popen(
                command_line(*arguments), env=environment(), stderr=subprocess.PIPE, text=True
            )
        )
        return running[-1]

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
            process.communicate()


def happened(out: Path, event: str) -> list[dict[str, object]]:
    """Of the leader and of all helpers."""
    files = [out / "events.jsonl", *out.glob("events.*.jsonl")]
    return [e for f in files for e in read_events(f) if e["event"] == event]


def wait_for(out: Path, event: str, count: int) -> None:
    deadline = time.monotonic() + 120
    while len(happened(out, event)) < count:
        assert time.monotonic() < deadline, f"no {event}"
        time.sleep(0.01)


def nothing_twice(out: Path, killed: int = 0) -> None:
    """A worker killed between a chunk's rename and its line loses the line, never the chunk."""
    keys = [e["key"] for e in happened(out, "chunk_rendered")]
    assert CHUNKS >= len(keys) == len(set(keys)) >= CHUNKS - killed
    assert len(stored(out)) == CHUNKS


def test_a_pause_holds_leader_and_helper_until_it_is_taken_back(
    many: Path, tmp_path: Path, started: Start, undisturbed: dict[str, str]
) -> None:
    out = tmp_path / "out"
    helper, leader = started("join", out), started(*run_arguments(many, out))
    wait_for(out, "chunk_rendered", 3)
    say(Folder(out), Word.PAUSE)
    wait_for(out, "waiting", 2)
    done = len(happened(out, "chunk_rendered"))
    assert done < CHUNKS
    found = status(open_job(out))
    assert (found.state, found.waiting_for, found.helpers) == ("paused", "paused", 1)
    assert len(happened(out, "chunk_rendered")) == done
    withdraw(Folder(out))
    for worker in (leader, helper):
        _, told = worker.communicate(timeout=120)
        assert worker.returncode == 0, told
    assert result(out) == undisturbed
    nothing_twice(out)
    assert len(happened(out, "goes_on")) == 2


def test_a_pause_outlives_a_kill(
    many: Path, tmp_path: Path, started: Start, undisturbed: dict[str, str]
) -> None:
    out = tmp_path / "out"
    leader = started(*run_arguments(many, out))
    wait_for(out, "chunk_rendered", 2)
    say(Folder(out), Word.PAUSE)
    leader.kill()
    leader.communicate()
    made, before = len(happened(out, "chunk_rendered")), len(happened(out, "waiting"))
    again = started(*run_arguments(many, out))
    wait_for(out, "waiting", before + 1)
    assert len(happened(out, "chunk_rendered")) == made
    # Somebody who is tired of waiting may still stop it by hand.
    again.send_signal(signal.SIGTERM)
    _, told = again.communicate(timeout=30)
    assert again.returncode == 130, told
    withdraw(Folder(out))
    assert run_here(project_of([many], *SETS), out).exit_code == 0
    assert result(out) == undisturbed
    nothing_twice(out, killed=1)


def test_cancelled_work_ends_everywhere_and_stays_ended(
    many: Path, tmp_path: Path, started: Start, undisturbed: dict[str, str]
) -> None:
    out = tmp_path / "out"
    helper, leader = started("join", out), started(*run_arguments(many, out))
    wait_for(out, "chunk_rendered", 3)
    say(Folder(out), Word.CANCEL)
    for worker in (leader, helper):
        _, told = worker.communicate(timeout=60)
        assert worker.returncode == 130, told
        assert "wetgate: cancelled: the title was cancelled at" in told
    assert len(happened(out, "chunk_rendered")) < CHUNKS
    assert not happened(out, "shot_failed")
    assert not happened(out, "helper_failed")
    assert status(open_job(out)).state == "cancelled"
    with pytest.raises(CalledOff, match="cancelled at") as refused:
        run_here(project_of([many], *SETS), out)
    assert refused.value.exit_code == 2
    assert f"wetgate resume {out}" in refused.value.hint
    withdraw(Folder(out))
    assert run_here(project_of([many], *SETS), out).exit_code == 0
    assert result(out) == undisturbed
    nothing_twice(out)


def test_outside_its_hours_work_is_not_begun_but_the_material_is_looked_at(
    many: Path, tmp_path: Path, started: Start, undisturbed: dict[str, str]
) -> None:
    out = tmp_path / "out"
    begins = datetime.now() + timedelta(hours=3)
    window = f"{begins:%H:%M}-{begins + timedelta(hours=2):%H:%M}"
    leader = started(*run_arguments(many, out, f"night.window={window}"))
    wait_for(out, "waiting", 1)
    assert happened(out, "ingest_finished")
    assert not happened(out, "analysed")
    found = status(open_job(out))
    assert (found.state, found.waiting_until) == ("waiting", f"{begins:%Y-%m-%dT%H:%M}")
    # The event is written before it is shown.
    time.sleep(0.5)
    leader.send_signal(signal.SIGINT)
    _, error = leader.communicate(timeout=30)
    assert leader.returncode == 130
    assert f"outside the window {window}" in error
    # The hours are no part of what is delivered: the same folder goes on without them.
    assert run_here(project_of([many], *SETS), out).exit_code == 0
    assert result(out) == undisturbed


def test_a_quota_is_refused_before_work_and_pauses_it_later(
    many: Path, tmp_path: Path, undisturbed: dict[str, str]
) -> None:
    out = tmp_path / "out"
    with pytest.raises(StorageFull, match=r"night\.disk_gb = 0\.001 leaves 0\.00 GB") as refused:
        run_here(project_of([many], *SETS, "night.disk_gb=0.001"), out)
    assert refused.value.exit_code == 2
    assert not events(out, "chunk_rendered")
    assert run_here(project_of([many], *SETS, "night.disk_gb=1"), out).exit_code == 0
    assert result(out) == undisturbed
    used = used_bytes(Folder(out)) / 1e9
    Quota().check(Folder(out), Night(disk_gb=used * 1.01))
    with pytest.raises(StorageFull, match="may hold"):
        Quota().check(Folder(out), Night(disk_gb=used * 0.99))


def test_the_words_of_the_command_line(finished: Path, tmp_path: Path) -> None:
    for word in ("pause", "cancel"):
        told = json.loads(call(word, finished, "--json").stdout)
        assert (told["exit_code"], told["word"]) == (0, word)
        stands = said(Folder(finished))
        assert stands is not None
        assert stands.word == word
    assert call("resume", finished).stdout.startswith("no longer cancelled")
    assert call("resume", finished).stdout.startswith("nothing was paused")
    say(Folder(finished), Word.PAUSE)
    assert call("resume", finished).stdout.startswith("the pause is over")
    for word in ("pause", "resume", "cancel"):
        assert isinstance(call(word, tmp_path).exception, UsageError)


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])
