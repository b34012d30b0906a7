"""Two workers on one title against one, and what kills cost.

    python -m benchmarks.overnight [--kills 30] [--out results/overnight.json]

The demo's two reels, and both once more run backwards, twelve shots in all, are restored by one
worker with one thread, by a leader and a helper with one thread each, and once more by two workers
that are killed at random, leader, helper or both, and started again until the title is done. The
last must give the same bytes; chunks that were rendered more than once are counted. What `wetgate
status` said of the time left when a tenth of the frames was done is held against the time it then
took. docs/deploy.md says what the figures mean.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from wetgate.agenda import read_agenda
from wetgate.config import Project
from wetgate.demo import build_demo
from wetgate.eta import look
from wetgate.events import read_events
from wetgate.files import Folder
from wetgate.project import dump_project

RESULTS = Path(__file__).parent / "results" / "overnight.json"
_LONGEST_S = 30.0
_SETS = ("render.workers=1", "render.chunk_frames=4", "ingest.untouched_s=0")


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        # These runs learn from each other, and from no other.
        os.environ["XDG_STATE_HOME"] = str(home / "state")
        title = home / "title.toml"
        title.write_text(dump_project(forth_and_back(home / "material")), "utf-8")
        alone = timed([run(title, home / "alone")])
        off = eta_off(home / "alone")
        again = timed([run(title, home / "alone")])
        pair = timed([run(title, home / "pair"), join(home / "pair")])
        truth = delivered(home / "alone")
        killed = kill(title, home / "killed", given.kills, truth)
        result: dict[str, Any] = {
            "schema": 1,
            "one_worker_s": round(alone, 1),
            "nothing_to_do_s": round(again, 1),
            "two_workers_s": round(pair, 1),
            "times_faster": round(alone / pair, 2),
            # Of the first run nothing like it was ever timed; the second has learned from it.
            "eta_off_after_a_tenth": {
                "one_worker_first_time": off,
                "two_workers_learned": eta_off(home / "pair"),
            },
            "two_workers_same_bytes": delivered(home / "pair") == truth,
            "killed": killed,
        }
    print(json.dumps(result, indent=1))
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def forth_and_back(material: Path) -> Project:
    """The demo's title, and its reels once more with the frames in reverse order."""
    project = build_demo(material, quiet=True)
    reels = list(project.reels)
    for reel in project.reels:
        scans = sorted(Path(reel.path).iterdir())
        name = f"{reel.id}B"
        back = Path(reel.path).with_name(name)
        back.mkdir()
        for file, opposite in zip(scans, reversed(scans), strict=True):
            shutil.copy2(opposite, back / file.name.replace(reel.id, name, 1))
        more = {"path": str(back), "id": name, "reference": False}
        reels.append(reel.model_copy(update=more))
    return project.model_copy(update={"reels": tuple(reels)})


def run(title: Path, out: Path) -> subprocess.Popen[bytes]:
    """A worker that leads."""
    sets = [a for s in _SETS for a in ("--set", s)]
    return _started("run", str(title), "--no-prefect", *sets, "--out", str(out))


def join(out: Path) -> subprocess.Popen[bytes]:
    """A worker that helps."""
    return _started("join", str(out))


def _started(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "wetgate", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def timed(processes: list[subprocess.Popen[bytes]]) -> float:
    """Seconds until the last has ended. raises: RuntimeError when one did not end well."""
    began = time.monotonic()
    codes = [p.wait() for p in processes]
    # 3: delivered, with shots held for a look.
    if not set(codes) <= {0, 3}:
        raise RuntimeError(f"exit codes {codes}")
    return time.monotonic() - began


def eta_off(out: Path, share: float = 0.1) -> float:
    """How far off the end was foreseen when this share of the frames was done: 0.1 is 10 % late.

    The first run of the folder; where delivery was not timed yet, the end is the last shot's.
    """
    agenda = read_agenda(Folder(out))
    assert agenda is not None
    mine = read_events(out / "events.jsonl")
    starts = [k for k, e in enumerate(mine) if e["event"] == "run_started"]
    mine = mine[: starts[1]] if len(starts) > 1 else mine
    others = [read_events(p) for p in sorted(out.glob("events.*.jsonl"))]
    begun = _times(mine, "planned")[0]
    frames = sorted(t for w in (mine, *others) for t in _times(w, "frame_rendered"))
    now = frames[int(share * len(frames))]
    done = [t for w in (mine, *others) for t in _times(w, "shot_done")]
    end = max(done) if agenda.deliver_s is None else _times(mine, "finished")[0]
    seen = [[e for e in w if begun <= _at(e) <= now] for w in (mine, *others)]
    left = look(agenda, seen, now)[1]
    assert left is not None
    return round(left.likely / (end - now) - 1, 3)


def _times(events: list[dict[str, object]], name: str) -> list[float]:
    return [_at(e) for e in events if e["event"] == name]


def _at(event: dict[str, object]) -> float:
    return float(str(event["time"]))


def kill(title: Path, home: Path, kills: int, truth: dict[str, str]) -> dict[str, int | bool]:
    """Kill workers at random until so many died; each title is finished, whoever is left to do it.

    A finished title makes room for the next one: a worker that has nothing to do loses nothing.
    """
    chance = random.Random(5)
    found = Counter[str]()
    while found["kills"] < kills:
        out = home / str(found["titles"])
        died = 0
        while died + found["kills"] < kills and not _finished(out):
            died += _killed_once(title, out, chance)
        timed([run(title, out)])
        files = [out / "events.jsonl", *out.glob("events.*.jsonl")]
        events = [e for f in files for e in read_events(f)]
        made = Counter(str(e["key"]) for e in events if e["event"] == "chunk_rendered")
        found += Counter(
            kills=died,
            titles=1,
            chunks=len(made),
            rendered_twice=sum(n - 1 for n in made.values()),
            damaged=sum(e["event"] == "chunk_damaged" for e in events),
            other_bytes=delivered(out) != truth,
        )
        shutil.rmtree(out)
    counts = {k: found[k] for k in ("titles", "kills", "chunks", "rendered_twice", "damaged")}
    return {**counts, "same_bytes": not found["other_bytes"]}


def _finished(out: Path) -> bool:
    files = [out / "events.jsonl", *out.glob("events.*.jsonl")]
    return any(e["event"] == "finished" for f in files if f.exists() for e in read_events(f))


def _killed_once(title: Path, out: Path, chance: random.Random) -> int:
    """A leader and a helper, killed one after the other or together; how many."""
    leader, helper = run(title, out), join(out)
    died = 0
    time.sleep(chance.uniform(0.5, _LONGEST_S))
    for worker in chance.choice(([leader], [helper], [leader, helper])):
        if worker.poll() is None:
            worker.kill()
            died += 1
    # What is left goes on for a while alone, and may lead by then.
    time.sleep(chance.uniform(0.0, 3.0))
    for worker in (leader, helper):
        if worker.poll() is None:
            worker.kill()
            died += 1
        worker.wait()
    return died


def delivered(out: Path) -> dict[str, str]:
    """SHA-256 of every master and touch plane."""
    return {
        p.relative_to(out).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for top in (out / "deliver" / "restored", out / "touch")
        for p in sorted(top.rglob("*"))
        if p.is_file()
    }


if __name__ == "__main__":
    main()
