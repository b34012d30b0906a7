"""What work really cost, by kind of worker: a small table that later plans learn from.

It lies in the user's state folder (``$XDG_STATE_HOME/wetgate/costs.json``), is written at the end
of each run and by each helper, and can be read, edited or removed; a plan then knows less. A cost
is seconds of one worker for one megapixel of one frame of the scan.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import resource
import statistics
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import torch

from media.errors import WetgateError
from media.write import atomic_write_bytes
from wetgate.events import read_events
from wetgate.job import Job

_SCHEMA = 1
_KEPT = 12
"""The newest of each piece."""
_FEWEST_FRAMES = 4
_ONE_RUN = (0.8, 1.3)
_SEVERAL_RUNS = (0.9, 1.15)
_SAME_SIZE = 0.1

Table = dict[str, dict[str, list[dict[str, Any]]]]
"""Kind of worker, piece of work, what it was each time."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Seconds for a megapixel of a frame."""

    low: float
    likely: float
    high: float
    runs: int
    """How many past runs say so; 0 for a sample taken just now."""

    def times(self, low: float, high: float) -> Spread:
        """The same, less sure."""
        return Spread(self.low * low, self.likely, self.high * high, self.runs)


def table_path() -> Path:
    """Where the table lies; ``XDG_STATE_HOME`` moves it."""
    told = os.environ.get("XDG_STATE_HOME")
    state = Path(told) if told and Path(told).is_absolute() else Path.home() / ".local" / "state"
    return state / "wetgate" / "costs.json"


def kind_of_worker(job: Job) -> str:
    """What makes two workers equally fast, in words: the key of the table."""
    cores = len(os.sched_getaffinity(0))
    if job.device.type == "cuda":
        return f"{torch.cuda.get_device_name(job.device)}, {job.workers} at once"
    instructions = torch.backends.cpu.get_cpu_capability()
    return f"{_processor()}, {cores} cores, {instructions}, {job.workers} at once"


class Learner:
    """Listens to the events of one worker and adds up what its pieces of work cost."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums: dict[str, list[float]] = {}
        self._sizes: dict[str, float] = {}

    def __call__(self, event: str, fields: Mapping[str, object]) -> None:  # noqa: ARG002
        """Events that say ``does``, ``megapixels``, ``frames`` and ``seconds`` count."""
        does, seconds = fields.get("does"), fields.get("seconds")
        frames, size = fields.get("frames"), fields.get("megapixels")
        if not isinstance(does, str) or not isinstance(frames, int) or frames < 1:
            return
        if not isinstance(seconds, int | float) or not isinstance(size, int | float):
            return
        with self._lock:
            total = self._sums.setdefault(does, [0.0, 0.0, 0.0])
            for k, more in enumerate((seconds, frames * size, frames)):
                total[k] += more
            self._sizes[does] = max(size, self._sizes.get(does, 0.0))

    def seconds(self, stage: str) -> float:
        """Worker seconds of all pieces of one stage: ingest, analyse, render, verify, deliver."""
        with self._lock:
            return sum(s for d, (s, _, _) in self._sums.items() if d.partition(" ")[0] == stage)

    def cost(self, does: str) -> Spread | None:
        """What a piece came to here; None when it was not done."""
        with self._lock:
            seconds, area, _ = self._sums.get(does, (0.0, 0.0, 0.0))
        each = seconds / area if area else 0.0
        return Spread(each, each, each, 0) if area else None

    def keep(self, job: Job) -> bool:
        """Add what was learned to the table. False where the table cannot be written, which is
        no reason to fail a night's work."""
        with self._lock:
            rows = {
                does: {
                    "date": date.today().isoformat(),
                    "title": job.project.title,
                    "frames": int(frames),
                    "megapixels": round(self._sizes[does], 3),
                    "seconds_per_megapixel": round(seconds / area, 5),
                    **(_peaks(job) if does.startswith("render ") else {}),
                }
                for does, (seconds, area, frames) in self._sums.items()
                if frames >= _FEWEST_FRAMES and area > 0.0
            }
        if not rows:
            return True
        try:
            with _locked(table_path()):
                table = read_table()
                mine = table.setdefault(kind_of_worker(job), {})
                for does, row in rows.items():
                    mine[does] = [*mine.get(does, []), row][-_KEPT:]
                whole = {"schema": _SCHEMA, "workers": table}
                atomic_write_bytes(table_path(), (json.dumps(whole, indent=1) + "\n").encode())
        except (OSError, WetgateError, RuntimeError):
            # A full disk, a folder that may not be written, a user without a home.
            return False
        return True


@contextmanager
def learning(job: Job) -> Iterator[None]:
    """Listen to a job and keep what it costs, however it ends."""
    learner = Learner()
    job.events.listen(learner)
    try:
        yield
    finally:
        learner.keep(job)


@dataclass(frozen=True)
class Known:
    """What is known about one kind of worker."""

    rows: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)

    def cost(self, does: str) -> Spread | None:
        """From past runs; None when this kind of worker has never done it."""
        found = [float(r["seconds_per_megapixel"]) for r in self.rows.get(does, [])]
        if not found:
            return None
        low, high = _ONE_RUN if len(found) == 1 else _SEVERAL_RUNS
        return Spread(min(found) * low, statistics.median(found), max(found) * high, len(found))

    def peak_bytes(self, does: str, size: float, what: str) -> int:
        """Most memory a worker held at this size of frame; 0 when that is not known.

        what: ``memory`` or ``vram``.
        """
        rows = self.rows.get(does, [])
        alike = [r for r in rows if abs(float(r["megapixels"]) - size) <= _SAME_SIZE * size]
        return max((int(r.get(f"{what}_bytes", 0)) for r in alike), default=0)


def known(job: Job) -> Known:
    """What past runs say about this kind of worker."""
    return Known(read_table().get(kind_of_worker(job), {}))


def learned_here(job: Job, learner: Learner) -> None:
    """Replay what this kind of worker has done in this folder, killed runs and all."""
    kind, mine = kind_of_worker(job), False
    # In thousands of lines few say what something took.
    for event in read_events(job.folder.events, having=('"run_started"', '"seconds"')):
        name = str(event.get("event"))
        if name == "run_started":
            mine = event.get("worker") == kind
        elif mine:
            learner(name, event)


def read_table() -> Table:
    """The table; empty where there is none. A damaged one teaches nothing."""
    try:
        told = json.loads(table_path().read_text("utf-8"))
        workers = told["workers"] if told.get("schema") == _SCHEMA else {}
        table: Table = {k: {d: list(rows) for d, rows in v.items()} for k, v in workers.items()}
        for row in (r for v in table.values() for rows in v.values() for r in rows):
            if not float(row["seconds_per_megapixel"]) >= 0 or not float(row["megapixels"]) > 0:
                return {}
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    return table


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Workers that end together must not write over each other's lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _peaks(job: Job) -> dict[str, int]:
    unit = 1 if platform.system() == "Darwin" else 1024
    found = {"memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}
    if job.device.type == "cuda":
        found["vram_bytes"] = torch.cuda.max_memory_reserved(job.device)
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = [n.partition(":")[2].strip() for n in lines if n.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
