"""A disk that goes away while the work is on: it is waited for, and nothing is made twice."""

from __future__ import annotations

import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from media.errors import StorageGone
from tests.reels import (
    command_line,
    environment,
    events,
    hashes,
    leftovers,
    project_of,
    put_reel,
    result,
    run_here,
    scene,
)
from wetgate import share
from wetgate.share import Share

pytestmark = pytest.mark.resume

SETS = ("render.chunk_frames=2", "render.workers=2", "policy.max_repaired_share=0.4")
CHUNKS = 32
AWAY_S = 3.0


@pytest.fixture(scope="module")
def scans_made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    codes = np.concatenate([scene(seed, 16) for seed in range(1, 5)])
    return put_reel(tmp_path_factory.mktemp("made") / "R1", codes, 86400)


@pytest.fixture
def scan(scans_made: Path, tmp_path: Path) -> Path:
    """On a disk of its own."""
    return Path(shutil.copytree(scans_made, tmp_path / "scans" / "R1"))


def start(scan: Path, out: Path) -> subprocess.Popen[str]:
    sets = [a for s in SETS for a in ("--set", s)]
    told = ["run", str(scan), "--encoding", "cineon", "--rate", "24", "--no-prefect"]
    return subprocess.Popen(
        command_line(*told, *sets, "--out", out),
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_chunks(out: Path, count: int) -> None:
    deadline = time.monotonic() + 120
    while len(events(out, "chunk_rendered")) < count:
        assert time.monotonic() < deadline, "no chunks"
        time.sleep(0.01)


def test_the_disk_of_the_output_goes_away_and_comes_back(scan: Path, tmp_path: Path) -> None:
    out, disk, away = tmp_path / "disk" / "out", tmp_path / "disk", tmp_path / "away"
    before = hashes(scan)
    run = start(scan, out)
    wait_for_chunks(out, 4)
    disk.rename(away)
    # What is left is an empty place to mount to, as after a share was lost.
    disk.mkdir()
    time.sleep(AWAY_S)
    assert run.poll() is None
    assert not list(disk.iterdir())
    disk.rmdir()
    away.rename(disk)
    _, told = run.communicate(timeout=180)
    assert run.returncode == 0, told
    assert f"waiting for {out}" in told
    assert not events(out, "shot_failed")
    keys = [e["key"] for e in events(out, "chunk_rendered")]
    assert len(set(keys)) == CHUNKS
    assert len(keys) <= CHUNKS + 2, "at most what each of two hands was at"
    assert not leftovers(out)
    assert hashes(scan) == before
    alone = tmp_path / "alone"
    assert run_here(project_of([scan], *SETS), alone).exit_code == 0
    assert result(out) == result(alone)


def test_the_disk_of_the_scans_goes_away_and_comes_back(scan: Path, tmp_path: Path) -> None:
    out, away = tmp_path / "out", tmp_path / "away"
    run = start(scan, out)
    wait_for_chunks(out, 4)
    scan.parent.rename(away)
    time.sleep(AWAY_S)
    assert run.poll() is None
    away.rename(scan.parent)
    _, told = run.communicate(timeout=180)
    assert run.returncode == 0, told
    assert not events(out, "shot_failed")
    assert len({e["key"] for e in events(out, "chunk_rendered")}) == CHUNKS


def test_stopped_while_it_is_away_the_same_command_goes_on(scan: Path, tmp_path: Path) -> None:
    out, away = tmp_path / "disk" / "out", tmp_path / "away"
    run = start(scan, out)
    wait_for_chunks(out, 4)
    (tmp_path / "disk").rename(away)
    time.sleep(1.0)
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=30)
    assert run.returncode in (4, 130)
    assert not (tmp_path / "disk").exists()
    away.rename(tmp_path / "disk")
    made = {e["key"] for e in events(out, "chunk_rendered")}
    assert run_here(project_of([scan], *SETS), out).exit_code == 0
    later = [e["key"] for e in events(out, "chunk_rendered")]
    assert len(set(later)) == CHUNKS
    assert len(later) == len(set(later)) >= len(made)


def test_it_is_not_waited_for_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(share, "WAIT_S", 0.5)
    marker, frame = tmp_path / "out" / "project.toml", tmp_path / "scans" / "R1.1.dpx"
    disk = Share(marker, threading.Event())
    with pytest.raises(StorageGone, match=r"out is gone.*the same command"):
        disk.wait()
    marker.parent.mkdir()
    marker.write_text("", "utf-8")
    assert disk.wait() is False
    with pytest.raises(StorageGone, match="scans is gone"):
        disk.wait([frame])

    def fails() -> None:
        raise OSError("of another kind")

    with pytest.raises(OSError, match="of another kind"):
        disk.lasting(fails)
