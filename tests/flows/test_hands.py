"""Hands on a Dask cluster: the same title, also when one of its processes is killed."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.reels import command_line, environment, leftovers, result, stored
from wetgate.control import Word, say, withdraw
from wetgate.events import read_events
from wetgate.files import Folder

SETS = ("render.workers=1", "policy.max_repaired_share=0.4")
CHUNKS = 4


def made(out: Path, *, by_hands: bool = False) -> list[str]:
    """Keys of the chunks that were rendered."""
    files = [*out.glob("events.*.jsonl"), *([] if by_hands else [out / "events.jsonl"])]
    found = [e for f in files for e in read_events(f) if e["event"] == "chunk_rendered"]
    return [str(e["key"]) for e in found]


def worked(out: str, home: str, said: str) -> None:
    """In a process of its own: a server, a cluster, two hands, and one of them killed."""
    from flows.settings import apply_offline

    apply_offline()
    from flows.server import own_server

    with own_server(Path(home)) as address:
        os.environ["PREFECT_API_URL"] = address
        from distributed import LocalCluster

        with LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster:
            killer = threading.Thread(target=_kill_one, args=(Path(out), cluster), daemon=True)
            killer.start()
            from flows.hands import hands

            done = hands(out, 2, cluster.scheduler_address)
            killer.join(10.0)
            killed = not killer.is_alive()
        Path(said).write_text(json.dumps({"hands": done, "killed": killed}), "utf-8")
        from prefect.events.worker import EventsWorker
        from prefect.logging.handlers import APILogHandler

        APILogHandler().flush()
        EventsWorker.drain_all(timeout=10.0)


def wait_until(so: Callable[[], bool], why: str) -> None:
    deadline = time.monotonic() + 120
    while not so():
        assert time.monotonic() < deadline, why
        time.sleep(0.02)


def _kill_one(out: Path, cluster: Any) -> None:
    while not made(out, by_hands=True):
        time.sleep(0.01)
    os.kill(cluster.workers[0].process.process.pid, signal.SIGKILL)


def test_a_title_outlives_a_process_of_the_cluster(
    scans: list[Path], reference: Path, tmp_path: Path
) -> None:
    out, said = tmp_path / "out", tmp_path / "said.json"
    told = ["run", *map(str, scans), "--encoding", "cineon", "--rate", "24", "--no-prefect"]
    told += [a for s in SETS for a in ("--set", s)]
    cluster = multiprocessing.get_context("spawn").Process(
        target=worked, args=(str(out), str(tmp_path / "home"), str(said))
    )
    leader = subprocess.Popen(
        command_line(*told, "--out", out), env=environment(), stderr=subprocess.PIPE, text=True
    )
    # Nothing is made before both hands are there.
    wait_until(lambda: (out / "crew.json").is_file(), "no leader")
    say(Folder(out), Word.PAUSE)
    cluster.start()
    wait_until(lambda: len(list(out.glob("leases/worker-*"))) == 2, "no hands")
    withdraw(Folder(out))
    _, why = leader.communicate(timeout=180)
    cluster.join(120)
    cluster.kill()
    assert leader.returncode == 0, why
    assert cluster.exitcode == 0
    found = json.loads(said.read_text("utf-8"))
    assert found["killed"]
    assert [h["hand"] for h in found["hands"]] == [1, 2]
    assert made(out, by_hands=True)
    assert result(out) == result(reference)
    # A kill between a chunk's rename and its line in the events loses the line, never the chunk.
    assert sorted(made(out)) == sorted(set(made(out)))
    assert len(stored(out)) == CHUNKS
    assert not leftovers(out)
