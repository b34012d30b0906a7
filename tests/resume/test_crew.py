"""Several workers on one title, and any of them killed: the same bits, nothing made twice."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.reels import (
    command_line,
    environment,
    leftovers,
    put_reel,
    result,
    run_program,
    scene,
    stored,
)
from wetgate.events import read_events

pytestmark = pytest.mark.resume

SETS = ("render.workers=1", "policy.max_repaired_share=0.4", "render.chunk_frames=2")


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One reel of six shots."""
    import numpy as np

    return put_reel(
        tmp_path_factory.mktemp("scans") / "R1",
        np.concatenate([scene(seed, 8) for seed in range(1, 7)]),
        86400,
    )


def run_arguments(scan: Path, out: Path, *more: str) -> list[str]:
    sets = [a for s in SETS for a in ("--set", s)]
    told = ["run", str(scan), "--encoding", "cineon", "--rate", "24", "--no-prefect", *sets]
    return [*told, *more, "--out", str(out)]


def started(*arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command_line(*arguments),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def happened(out: Path, event: str) -> list[dict[str, object]]:
    """Of the leader and of all helpers."""
    files = [out / "events.jsonl", *out.glob("events.*.jsonl")]
    return [e for f in files for e in read_events(f) if e["event"] == event]


def wait_for(out: Path, event: str, count: int, within_s: float = 120.0) -> None:
    deadline = time.monotonic() + within_s
    while len(happened(out, event)) < count:
        assert time.monotonic() < deadline, f"no {event}"
        time.sleep(0.01)


def nothing_twice(out: Path, killed: int = 0) -> None:
    """A worker killed between a chunk's rename and its line loses the line, never the chunk."""
    keys = [e["key"] for e in happened(out, "chunk_rendered")]
    assert 24 >= len(keys) == len(set(keys)) >= 24 - killed
    assert len(stored(out)) == 24
    assert not happened(out, "chunk_damaged")
    assert not leftovers(out)


@pytest.fixture(scope="module")
def alone(many: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("alone") / "out"
    done = run_program(*run_arguments(many, out))
    assert done.returncode == 0, done.stderr
    return result(out)


def test_two_workers_make_what_one_makes(many: Path, tmp_path: Path, alone: dict[str, str]) -> None:
    out = tmp_path / "out"
    helper = started("join", out, "--json")
    leader = started(*run_arguments(many, out))
    said, told = helper.communicate(timeout=180)
    assert helper.returncode == 0, told
    leader.communicate(timeout=60)
    assert leader.returncode == 0
    helped = json.loads(said)
    assert helped["restored"]
    assert not helped["led"]
    assert result(out) == alone
    nothing_twice(out)


def test_the_helper_is_killed_and_the_leader_goes_on(
    many: Path, tmp_path: Path, alone: dict[str, str]
) -> None:
    out = tmp_path / "out"
    helper, leader = started("join", out), started(*run_arguments(many, out))
    wait_for(out, "chunk_rendered", 5)
    helper.send_signal(signal.SIGKILL)
    helper.communicate()
    _, told = leader.communicate(timeout=180)
    assert leader.returncode == 0, told
    assert result(out) == alone
    nothing_twice(out, killed=1)


def test_the_leader_is_killed_and_the_helper_leads_on(
    many: Path, tmp_path: Path, alone: dict[str, str]
) -> None:
    out = tmp_path / "out"
    helper, leader = started("join", out, "--json"), started(*run_arguments(many, out))
    wait_for(out, "chunk_rendered", 5)
    leader.send_signal(signal.SIGKILL)
    leader.communicate()
    said, told = helper.communicate(timeout=180)
    assert helper.returncode == 0, told
    helped = json.loads(said)
    assert helped["led"]
    assert helped["frames_delivered"] == helped["frames_planned"] == 48
    assert result(out) == alone
    nothing_twice(out, killed=1)


def test_a_second_leader_is_refused_and_told_how_to_help(many: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    leader = started(*run_arguments(many, out))
    wait_for(out, "ingest_progress", 1)
    refused = run_program(*run_arguments(many, out))
    assert refused.returncode == 2
    assert "another run is at work" in refused.stderr
    assert "wetgate join" in refused.stderr
    leader.kill()
    leader.communicate()


def test_nobody_to_help(tmp_path: Path, many: Path, alone: dict[str, str]) -> None:
    told = run_program("join", tmp_path / "none", "--wait-s", "1")
    assert told.returncode == 2
    assert "nobody works on a title" in told.stderr
