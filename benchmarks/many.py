"""Thousands of shots: how long until they are queued, and what a scheduler adds to each.

    python -m benchmarks.many [--shots 2000] [--scheduled 2000] [--out results/many.json]

Shots of two tiny frames, handed on as 16-bit TIFF, so that there is a chunk for each and nearly
nothing to compute: what takes time is the bookkeeping. `queued_s` runs from the start of the
program to the first shot restored, reading all scans included; `nothing_to_do_s` is the whole
program once more, its start included. The same title, or one with fewer shots, runs with and
without Prefect, on a server that is up already: until every shot is a task that waits for its turn
(the first are restored by then), and to the end. The difference for a shot is compared with a shot
of one chunk of 30 s.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from media.reel import PictureFormat
from media.write import write_frame
from wetgate.events import read_events

RESULTS = Path(__file__).parent / "results" / "many.json"
_CHUNK_S = 30.0
_FORMAT = PictureFormat(width=64, height=48, channels=3, bits=10)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--shots", type=int, default=2000)
    parser.add_argument("--scheduled", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        many = title(home / "many", given.shots)
        out = home / "out"
        first = program(many, out)
        again = program(many, out)
        result: dict[str, Any] = {
            "schema": 2,
            "shots": given.shots,
            "queued_s": round(until(out, "planned"), 1),
            "whole_run_s": round(first, 1),
            "nothing_to_do_s": round(again, 1),
            **scheduled(home, given.scheduled),
        }
    print(json.dumps(result, indent=1))
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def title(folder: Path, shots: int) -> Path:
    """A project with one reel of so many shots."""
    chance = np.random.default_rng(0)
    still = chance.integers(200, 800, (48, 64, 3), np.uint16)
    (folder / "R1").mkdir(parents=True)
    for number in range(2 * shots):
        picture = np.roll(still, number // 2 * 7 % 64, axis=1) + np.uint16(number % 2)
        file = folder / "R1" / f"R1.{number:07d}.dpx"
        write_frame(file, picture, _FORMAT, "dpx", frame=number, durable=False)
    spans = "".join(f"{2 * k},{2 * k + 1}\n" for k in range(shots))
    (folder / "shots.csv").write_text(f"first,last\n{spans}", "utf-8")
    reel = f'path = "{folder}/R1"\nencoding = "cineon"\nrate = "24"\nshots = "{folder}/shots.csv"\n'
    project = folder / "title.toml"
    project.write_text(
        f'[[reels]]\n{reel}\n[[deliver]]\nformat = "tiff"\ndepth = 16\n'
        "[render]\nworkers = 2\n[ingest]\nfind_doubled = false\n",
        "utf-8",
    )
    return project


def program(project: Path, out: Path, *more: str, **env: str) -> float:
    """Seconds of the whole program. raises: RuntimeError when it did not end well."""
    began = time.monotonic()
    told = ["run", str(project), "--only", "none", "--out", str(out), *(more or ("--no-prefect",))]
    done = subprocess.run(
        [sys.executable, "-m", "wetgate", *told],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "XDG_STATE_HOME": str(out.parent), **env},
    )
    if done.returncode not in (0, 3):
        raise RuntimeError(done.stderr)
    return time.monotonic() - began


def until(out: Path, event: str) -> float:
    """Seconds from the start of the first run to an event of it."""
    events = read_events(out / "events.jsonl")
    begun, at = (next(e for e in events if e["event"] == n) for n in ("run_started", event))
    return float(str(at["time"])) - float(str(begun["time"]))


def scheduled(home: Path, shots: int) -> dict[str, Any]:
    """The same with and without Prefect."""
    project = title(home / "few", shots)
    plain = program(project, home / "plain")
    from flows.settings import apply_offline

    apply_offline()
    from flows.server import own_server

    with own_server(home / "server") as address:
        before = peak_mb(home / "server")
        served = program(project, home / "served", "--prefect", PREFECT_API_URL=address)
        after = peak_mb(home / "server")
    each = (served - plain) / shots
    return {
        "scheduled_shots": shots,
        "without_prefect_s": round(plain, 1),
        "with_prefect_s": round(served, 1),
        "queued_with_prefect_s": round(until(home / "served", "queued"), 1),
        "prefect_adds_s_a_shot": round(each, 4),
        "share_of_a_30_s_chunk": round(each / _CHUNK_S, 5),
        "server_peak_mb": [before, after],
    }


def peak_mb(home: Path) -> int:
    """The most memory the server with this home has held."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.fsencode(f"PREFECT_HOME={home}") in (folder / "environ").read_bytes():
                lines = (folder / "status").read_text("ascii").splitlines()
                return next(int(n.split()[1]) // 1024 for n in lines if n.startswith("VmHWM"))
        except OSError:
            continue
    return 0


if __name__ == "__main__":
    main()
