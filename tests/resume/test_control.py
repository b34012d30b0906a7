"""A word from a person reaches every worker between chunks: pause, go on, call off, hours."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from media.errors import StorageFull
from tests.reels import command_line, environment, events, project_of, result, run_here, run_program
from wetgate.config import Night
from wetgate.events import read_events
from wetgate.files import Folder
from wetgate.quota import Quota, used_bytes

pytestmark = pytest.mark.resume

SETS = ("render.chunk_frames=2", "render.workers=1", "policy.max_repaired_share=0.4")
CHUNKS = 16


@pytest.fixture(scope="module")
def undisturbed(scans: list[Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    assert run_here(project_of(scans, *SETS), out).exit_code == 0
    return result(out)


def run_arguments(scans: list[Path], out: Path, *more: str) -> list[str]:
    sets = [a for s in (*SETS, *more) for a in ("--set", s)]
    told = ["run", *map(str, scans), "--encoding", "cineon", "--rate", "24", "--no-prefect"]
    return [*told, *sets, "--out", str(out)]


def started(*arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command_line(*arguments), env=environment(), stderr=subprocess.PIPE, text=True
    )


def happened(out: Path, event: str) -> list[dict[str, object]]:
    """Of the leader and of all helpers."""
    files = [out / "events.jsonl", *out.glob("events.*.jsonl")]
    return [e for f in files for e in read_events(f) if e["event"] == event]


def wait_for(out: Path, event: str, count: int) -> None:
    deadline = time.monotonic() + 120
    while len(happened(out, event)) < count:
        assert time.monotonic() < deadline, f"no {event}"
        time.sleep(0.01)


def nothing_twice(out: Path) -> None:
    keys = [e["key"] for e in happened(out, "chunk_rendered")]
    assert len(keys) == len(set(keys)) == CHUNKS


def test_a_pause_holds_leader_and_helper_until_it_is_taken_back(
    scans: list[Path], tmp_path: Path, undisturbed: dict[str, str]
) -> None:
    out = tmp_path / "out"
    helper, leader = started("join", out), started(*run_arguments(scans, out))
    wait_for(out, "chunk_rendered", 3)
    assert run_program("pause", out).returncode == 0
    wait_for(out, "waiting", 2)
    done = len(happened(out, "chunk_rendered"))
    assert done < CHUNKS
    state = json.loads(run_program("status", out, "--json").stdout)
    assert state["state"] == "paused"
    assert len(happened(out, "chunk_rendered")) == done
    assert run_program("resume", out).stdout.startswith("the pause is over")
    for worker in (leader, helper):
        _, told = worker.communicate(timeout=120)
        assert worker.returncode == 0, told
    assert result(out) == undisturbed
    nothing_twice(out)
    assert len(happened(out, "goes_on")) == 2


def test_a_pause_outlives_a_kill(
    scans: list[Path], tmp_path: Path, undisturbed: dict[str, str]
) -> None:
    out = tmp_path / "out"
    leader = started(*run_arguments(scans, out))
    wait_for(out, "chunk_rendered", 2)
    assert run_program("pause", out, "--json").returncode == 0
    leader.kill()
    leader.communicate()
    made = len(happened(out, "chunk_rendered"))
    again = started(*run_arguments(scans, out))
    wait_for(out, "waiting", 1)
    assert len(happened(out, "chunk_rendered")) == made
    # Somebody who is tired of waiting may still stop it by hand.
    again.send_signal(signal.SIGTERM)
    _, told = again.communicate(timeout=30)
    assert again.returncode == 130
    assert "waiting: paused" in told
    run_program("resume", out)
    assert run_program(*run_arguments(scans, out)).returncode == 0
    assert result(out) == undisturbed
    nothing_twice(out)


def test_cancelled_work_ends_everywhere_and_stays_ended(
    scans: list[Path], tmp_path: Path, undisturbed: dict[str, str]
) -> None:
    out = tmp_path / "out"
    helper, leader = started("join", out), started(*run_arguments(scans, out))
    wait_for(out, "chunk_rendered", 3)
    assert run_program("cancel", out).returncode == 0
    for worker in (leader, helper):
        _, told = worker.communicate(timeout=60)
        assert worker.returncode == 130, told
        assert "wetgate: cancelled: the title was cancelled at" in told
    assert len(happened(out, "chunk_rendered")) < CHUNKS
    assert not happened(out, "shot_failed")
    assert not happened(out, "helper_failed")
    assert json.loads(run_program("status", out, "--json").stdout)["state"] == "cancelled"
    refused = run_program(*run_arguments(scans, out))
    assert refused.returncode == 2
    assert f"wetgate resume {out}" in refused.stderr
    assert run_program("resume", out).stdout.startswith("no longer cancelled")
    assert run_program(*run_arguments(scans, out)).returncode == 0
    assert result(out) == undisturbed
    nothing_twice(out)


def test_outside_its_hours_work_is_not_begun_but_the_material_is_looked_at(
    scans: list[Path], tmp_path: Path, undisturbed: dict[str, str]
) -> None:
    out = tmp_path / "out"
    begins = datetime.now() + timedelta(hours=3)
    window = f"{begins:%H:%M}-{begins + timedelta(hours=2):%H:%M}"
    leader = started(*run_arguments(scans, out, f"night.window={window}"))
    wait_for(out, "waiting", 1)
    assert len(happened(out, "ingest_finished")) == 2
    assert not happened(out, "analysed")
    said = json.loads(run_program("status", out, "--json").stdout)
    assert (said["state"], said["waiting_until"]) == ("waiting", f"{begins:%Y-%m-%dT%H:%M}")
    leader.send_signal(signal.SIGINT)
    _, told = leader.communicate(timeout=30)
    assert leader.returncode == 130
    assert f"outside the window {window}" in told
    # The hours are no part of what is delivered: the same folder goes on without them.
    assert run_program(*run_arguments(scans, out)).returncode == 0
    assert result(out) == undisturbed


def test_a_quota_is_refused_before_work_and_pauses_it_later(
    scans: list[Path], tmp_path: Path, undisturbed: dict[str, str]
) -> None:
    out = tmp_path / "out"
    told = run_program(*run_arguments(scans, out, "night.disk_gb=0.001"))
    assert told.returncode == 2
    assert "night.disk_gb = 0.001 leaves 0.00 GB" in told.stderr
    assert not events(out, "chunk_rendered")
    assert run_program(*run_arguments(scans, out, "night.disk_gb=1")).returncode == 0
    assert result(out) == undisturbed
    used = used_bytes(Folder(out)) / 1e9
    Quota().check(Folder(out), Night(disk_gb=used * 1.01))
    with pytest.raises(StorageFull, match="may hold"):
        Quota().check(Folder(out), Night(disk_gb=used * 0.99))


def test_there_must_be_something_to_pause(tmp_path: Path) -> None:
    for word in ("pause", "resume", "cancel"):
        told = run_program(word, tmp_path)
        assert told.returncode == 2
        assert "not an output folder" in told.stderr
