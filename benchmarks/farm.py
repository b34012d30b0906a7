"""A server, workers and runs of Prefect, killed at random: is anything lost, or made twice?

    python -m benchmarks.farm [--kills 100] [--seed 1] [--postgres DIR] [--out results/farm.json]

Titles are queued as docs/deploy.md says: a server, a work pool with its queues, two workers, and
one small worker for the queue `rush`, where the sweep runs. Then one of these is killed with
SIGKILL, again and again: the server; a run; a worker alone, whose run goes on as an orphan; a
worker with its run; everything, as when the power goes; with --postgres, the folder of its
programs, the database of the server as well. What init would do is done (what died is started
again), the sweep is called every few seconds, and nothing else. When a title is through, the next
is queued, until there were so many moments of killing. Each must come out byte for byte as from an
undisturbed run.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.farm_postgres import Postgres, prepare
from benchmarks.overnight import delivered, run, timed
from flows.server import free_port
from flows.settings import OFFLINE
from wetgate.demo import build_demo
from wetgate.events import read_events
from wetgate.files import read_json
from wetgate.project import dump_project

RESULTS = Path(__file__).parent / "results" / "farm.json"
ROOT = Path(__file__).resolve().parents[1]
KINDS = ("server", "run", "worker, not its run", "worker and run", "everything", "database")
_POOL = "wetgate-cpu"
_BETWEEN_S = (3.0, 40.0)
_SWEEP_S = 15.0
_SETS = ["render.workers=1", "render.chunk_frames=4", "ingest.untouched_s=0"]
_ROUND_S = 1200.0


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--postgres", type=Path)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    chance = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        os.environ["XDG_STATE_HOME"] = str(home / "state")
        title = home / "title.toml"
        title.write_text(dump_project(build_demo(home / "material", quiet=True)), "utf-8")
        timed([run(title, home / "alone")])
        truth = delivered(home / "alone")
        database = prepare(given.postgres, home / "postgres") if given.postgres else None
        farm = Farm(home, chance, database)
        rounds = list[dict[str, Any]]()
        try:
            farm.set_up()
            while farm.killed.total() < given.kills:
                out = home / f"out{len(rounds)}"
                farm.disturb(title, out, given.kills)
                rounds.append(looked_at(out, truth))
                result = summed_up(farm, rounds)
                print(json.dumps(result, indent=1), flush=True)
                # After every title, so that a long night of this may be cut short.
                given.out.parent.mkdir(parents=True, exist_ok=True)
                given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        finally:
            farm.end()


def summed_up(farm: Farm, rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """All titles so far."""
    return {
        "schema": 2,
        "database": "PostgreSQL" if farm.database else "SQLite",
        "killed": dict(sorted(farm.killed.items())),
        "kills": farm.killed.total(),
        "processes_killed": farm.sent,
        "titles": len(rounds),
        "same_bytes": all(r["same_bytes"] for r in rounds),
        **{k: sum(r[k] for r in rounds) for k in rounds[0] if k != "same_bytes"},
    }


def looked_at(out: Path, truth: dict[str, str]) -> dict[str, Any]:
    """What became of one title."""
    files = [out / "events.jsonl", *out.glob("events.*.jsonl")]
    events = [e for f in files for e in read_events(f)]
    made = Counter(str(e["key"]) for e in events if e["event"] == "chunk_rendered")
    frames = sum(e["event"] == "frame_rendered" for e in events)
    needed = sum(int(str(e["frames"])) for e in events if e["event"] == "chunk_rendered")
    return {
        "same_bytes": delivered(out) == truth,
        "chunks": len(made),
        "rendered_twice": made.total() - len(made),
        "frames_begun_again": frames - needed,
        "damaged": sum(e["event"] == "chunk_damaged" for e in events),
        "shots_failed": sum(e["event"] == "shot_failed" for e in events),
        "runs_begun": sum(e["event"] == "run_started" for e in events),
    }


@dataclass
class Farm:
    """The processes of one server and its workers, and how to break them."""

    home: Path
    chance: random.Random
    database: Postgres | None = None
    """None: the server keeps its history in a file."""
    killed: Counter[str] = field(default_factory=Counter)
    """Moments, by what was killed."""
    sent: int = 0
    """SIGKILLs: one for each process."""
    _up: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _port: int = field(default_factory=free_port)
    _swept: float = 0.0

    def set_up(self) -> None:
        """A server with pool, queues and deployments, by the commands of docs/deploy.md."""
        self._keep_up()
        self._prefect("work-pool", "create", _POOL, "--type", "process")
        self._prefect("work-pool", "create", "wetgate-gpu", "--type", "process")
        for name, priority in (("rush", "1"), ("standard", "5"), ("overnight", "10")):
            told = ("work-queue", "create", name, "--pool", _POOL, "--priority", priority)
            self._prefect(*told)
        self._prefect("--no-prompt", "deploy", "--all")
        self._prefect("deployment", "schedule", "clear", "sweep/sweep", "--accept-yes")
        self._keep_up(workers=True)

    def disturb(self, title: Path, out: Path, most: int) -> None:
        """Queue a title and a hand for it, and kill until it is through or enough were killed.

        raises: RuntimeError when it does not come to its end by itself.
        """
        parameters = {"sources": [str(title)], "out": str(out), "sets": _SETS}
        self._queue("overnight/overnight", parameters)
        self._queue("join/join", {"out": str(out)})
        deadline = time.monotonic() + _ROUND_S
        due = time.monotonic() + self.chance.uniform(*_BETWEEN_S)
        while not through(out):
            if time.monotonic() > deadline:
                self._prefect("flow-run", "ls", "--limit", "20", loud=True)
                raise RuntimeError(f"{out} is not through after {_ROUND_S:.0f} s")
            if time.monotonic() > due and self.killed.total() < most:
                self._kill(self.chance.choice(KINDS))
                due = time.monotonic() + self.chance.uniform(*_BETWEEN_S)
            self._keep_up(workers=True)
            if time.monotonic() - self._swept > _SWEEP_S:
                told = {"expiry_s": 30.0, "new_s": 40.0, "most_runs": 10_000}
                self._queue("sweep/sweep", told, patient=False)
                self._swept = time.monotonic()
            time.sleep(0.3)

    def end(self) -> None:
        """Nothing stays."""
        for pid in [*ours(self.home), *self._of_database()]:
            os.kill(pid, signal.SIGKILL)
        for process in self._up.values():
            process.wait()

    def _kill(self, kind: str) -> None:
        workers = [n for n in ("worker1", "worker2") if self._alive(n)]
        name = self.chance.choice(workers) if workers else ""
        runs = children(self._up[name].pid) if name else []
        victims: list[int] = []
        if kind == "server" and self._alive("server"):
            victims = [self._up["server"].pid]
        elif kind == "run":
            victims = runs
        elif kind == "worker, not its run" and name:
            victims = [self._up[name].pid]
        elif kind == "worker and run" and name:
            victims = [self._up[name].pid, *runs]
        elif kind == "everything":
            victims = [*ours(self.home), *self._of_database()]
        elif kind == "database":
            victims = self._of_database()
        for pid in victims:
            try:
                os.kill(pid, signal.SIGKILL)
                self.sent += 1
            except ProcessLookupError:
                continue
        if victims:
            self.killed[kind] += 1

    def _of_database(self) -> list[int]:
        """The process that keeps the database, and those that serve its connections."""
        if self.database is None or not self._alive("database"):
            return []
        pid = self._up["database"].pid
        return [pid, *children(pid)]

    def _alive(self, name: str) -> bool:
        return name in self._up and self._up[name].poll() is None

    def _keep_up(self, *, workers: bool = False) -> None:
        """What init does: whatever is not there is started."""
        deadline = time.monotonic() + 120.0
        while not self._serves():
            if time.monotonic() > deadline:
                raise RuntimeError(f"no server; see {self.home / 'server.log'}")
            if self.database is not None and not self._alive("database"):
                self._up["database"] = self.database.start()
            # Where its database is not up yet, a server ends at once.
            if not self._alive("server"):
                told = ["server", "start", "--host", "127.0.0.1", "--port", str(self._port)]
                self._up["server"] = self._start("server", *told)
            time.sleep(0.2)
        for name in ("worker1", "worker2", "rush") if workers else ():
            if not self._alive(name):
                queue = "rush" if name == "rush" else "overnight"
                told = ["worker", "start", "--pool", _POOL, "--limit", "1", "--work-queue", queue]
                # Those who restore leave the sweep to the one that is there for it.
                self._up[name] = self._start(name, *told)

    def _start(self, name: str, *told: str) -> subprocess.Popen[bytes]:
        with (self.home / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "prefect", *told],
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _serves(self) -> bool:
        """Is every part of the server there, and does it answer?"""
        needed = ("server", "database") if self.database is not None else ("server",)
        if not all(self._alive(n) for n in needed):
            return False
        try:
            with urllib.request.urlopen(f"{self._address()}/health", timeout=5):
                return True
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            return False

    def _queue(self, deployment: str, parameters: dict[str, Any], *, patient: bool = True) -> None:
        told = [a for k, v in parameters.items() for a in ("--param", f"{k}={json.dumps(v)}")]
        self._prefect("deployment", "run", deployment, *told, check=patient)

    def _prefect(self, *told: str, check: bool = True, loud: bool = False) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "prefect", *told],
            env=self._environment(),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if loud:
            print(done.stdout, flush=True)
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(told)}: {done.stdout}{done.stderr}")

    def _environment(self) -> dict[str, str]:
        database = (
            {"PREFECT_API_DATABASE_CONNECTION_URL": self.database.url()} if (self.database) else {}
        )
        return {
            **os.environ,
            **OFFLINE,
            "PREFECT_HOME": str(self.home / "prefect"),
            "PREFECT_API_URL": self._address(),
            "PREFECT_WORKER_QUERY_SECONDS": "2",
            "WETGATE_HOME": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "200",
            **database,
        }

    def _address(self) -> str:
        return f"http://127.0.0.1:{self._port}/api"


def through(out: Path) -> bool:
    """Is the title delivered, and has its last worker gone?"""
    call = read_json(out / "crew.json")
    return call is not None and call.get("phase") == "over" and (out / "manifest.json").is_file()


def children(pid: int) -> list[int]:
    """All processes below one, on this machine."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        if parent == pid:
            found += [int(folder.name), *children(int(folder.name))]
    return found


def ours(home: Path) -> list[int]:
    """All processes of this farm, orphans too."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            there = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if os.fsencode(f"PREFECT_HOME={home / 'prefect'}") in there:
            found.append(int(folder.name))
    return found


if __name__ == "__main__":
    main()
