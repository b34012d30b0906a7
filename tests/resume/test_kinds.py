"""Unlike kinds of workers on one title: every shot is made by one of them, whoever dies."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.reels import (
    command_line,
    environment,
    hashes,
    project_of,
    put_reel,
    result,
    run_here,
    scene,
    stored,
)
from wetgate.audit import audit
from wetgate.decisions import ShotDecisions
from wetgate.dryrun import dry_run
from wetgate.events import read_events
from wetgate.files import digest, read_json
from wetgate.gc import clear_store
from wetgate.job import open_job
from wetgate.launch import launch
from wetgate.plan import plan_shot
from wetgate.stages.ingest import read_reel
from wetgate.status import status

pytestmark = pytest.mark.resume

SETS = (
    "render.workers=1",
    "policy.max_repaired_share=0.4",
    "render.chunk_frames=2",
    *(f"restore.{n}.enabled=false" for n in ("weave", "scratch", "noise")),
)
SHOTS, CHUNKS = 5, 4
LESSER = {
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "OPENBLAS_CORETYPE": "NEHALEM",
}
"""Makes a process compute as on a processor without wide vectors and without bf16."""
Started = subprocess.Popen[str]


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One reel of six shots."""
    frames = np.concatenate([scene(seed, 8) for seed in range(1, SHOTS + 1)])
    return put_reel(tmp_path_factory.mktemp("scans") / "R1", frames, 86400)


@pytest.fixture(scope="module")
def short_scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One reel of three shots."""
    frames = np.concatenate([scene(seed, 8) for seed in range(1, 4)])
    return put_reel(tmp_path_factory.mktemp("short") / "R1", frames, 86400)


def run_arguments(scan: Path, out: Path, patience_s: float) -> list[str]:
    sets = [a for s in (*SETS, f"night.patience_s={patience_s}") for a in ("--set", s)]
    told = ["run", str(scan), "--encoding", "cineon", "--rate", "24", "--no-prefect", *sets]
    return [*told, "--out", str(out)]


def started(*arguments: str | Path, lesser: bool = False) -> Started:
    return subprocess.Popen(
        command_line(*arguments),
        env={**environment(), **(LESSER if lesser else {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: Started) -> str:
    said, told = process.communicate(timeout=120)
    assert process.returncode == 0, told
    return said


def happened(files: list[Path], event: str) -> list[dict[str, Any]]:
    return [e for f in files for e in read_events(f) if e["event"] == event]


def helpers(out: Path) -> list[Path]:
    """Their events."""
    return list(out.glob("events.*.jsonl"))


def killed_amid_a_shot(process: Started, out: Path, pattern: str) -> tuple[str, str]:
    """Kill a worker that has made one shot and a part of the next: returns that, and the one."""
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        # Held still while it is looked at, so that it dies in just this state: with a line written
        # for every chunk, by which the tests count.
        process.send_signal(signal.SIGSTOP)
        told = len(rendered(out))
        made = happened(list(out.glob(pattern)), "chunk_rendered")
        count = Counter(str(e["shot"]) for e in made)
        half = [s for s, n in count.items() if n < CHUNKS]
        if half and len(count) > 1 and len(stored(out)) == told:
            process.kill()
            process.communicate()
            return half[0], next(s for s in count if s not in half)
        process.send_signal(signal.SIGCONT)
        time.sleep(0.03)
    raise AssertionError("never amid a shot")


def kinds(out: Path) -> dict[str, str]:
    """Digest of the profile that made each shot: as chunks, pins and manifest say alike."""
    job = open_job(out)
    ingested = read_reel(job, job.project.reels[0])
    decisions = {}
    for shot in ingested.shots:
        found = read_json(job.folder.decision(shot.reel, shot.id))
        decisions[shot.id] = ShotDecisions.model_validate(found)
    made = {}
    for shot in ingested.shots:
        (planned,) = plan_shot(job, ingested, shot, decisions)
        chunks = [job.store.get(c.key).facts["made_by"] for c in planned.chunks]
        assert chunks == [dict(planned.numerics)] * CHUNKS
        made[shot.id] = digest(dict(planned.numerics))
    told = json.loads((out / "manifest.json").read_text("utf-8"))
    assert {s["shot"]: s["made_by"] for s in told["shots"]} == made
    assert {s: k["digest"] for k in told["made_by"] for s in k["shots"]} == made
    return made


def delivered(out: Path, shot: str) -> dict[str, str]:
    """Frames and touch planes of a shot."""
    first = 86400 + 8 * (int(shot.split("_")[1]) // 10 - 1)
    found = hashes(out / "deliver/restored/R1", out / "touch/R1")
    return {n: h for n, h in found.items() if first <= int(n.split(".")[-2]) < first + 8}


def rendered(out: Path) -> list[str]:
    """Keys of all chunks that any worker ever rendered."""
    made = happened([out / "events.jsonl", *helpers(out)], "chunk_rendered")
    return [str(e["key"]) for e in made]


def nothing_twice(out: Path) -> int:
    """Chunks that were rendered, each once."""
    keys = rendered(out)
    assert len(keys) == len(set(keys))
    return len(keys)


def alone(mixed: Path, out: Path) -> Path:
    """A folder for the same title by one kind alone, from the same decisions."""
    shutil.copytree(mixed / "reels", out / "reels", ignore=shutil.ignore_patterns("pins", "verify"))
    shutil.copy2(mixed / "solved.json", out / "solved.json")
    return out


def of_the_lesser_kind(scan: str, mixed: str, folder: str, said: str) -> None:
    """What a process of its own does: the title alone, the mixed one once more, and gc there."""
    project = project_of([Path(scan)], *SETS)
    assert launch(project, alone(Path(mixed), Path(folder)), quiet=True).exit_code == 0
    assert launch(project, Path(mixed), quiet=True).exit_code == 0
    found = dry_run(project, Path(mixed))
    assert found.chunks == found.cached == SHOTS * CHUNKS
    cleared = clear_store(open_job(Path(mixed)), dry=False)
    Path(said).write_text(json.dumps([cleared.chunks, cleared.kept]), "utf-8")


def test_one_kind_dies_amid_a_shot_and_the_other_begins_it_anew(
    scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    helper = started("join", out, lesser=True)
    leader = started(*run_arguments(scan, out, patience_s=1))
    half, done = killed_amid_a_shot(helper, out, "events.*.jsonl")
    ended(leader)
    made = kinds(out)
    assert len(made) == SHOTS
    lesser = {s for s in made if made[s] == made[done]}
    assert done in lesser
    assert half not in lesser
    (anew,) = happened([out / "events.jsonl"], "begun_anew")
    assert anew["shot"] == half
    assert 0 < anew["chunks_left"] < CHUNKS
    assert nothing_twice(out) == SHOTS * CHUNKS + anew["chunks_left"]
    before = result(out)
    # What people are told.
    assert sorted(status(open_job(out)).kinds.values()) == sorted(Counter(made.values()).values())
    assert audit(open_job(out)).findings == ()
    report = json.loads((out / "report/report.json").read_text("utf-8"))
    shots = [s for reel in report["reels"] for s in reel["shots"]]
    assert {s["shot"]: s["made_by"]["digest"] for s in shots} == made
    page = (out / "report/index.html").read_text("utf-8")
    assert "More than one kind of worker made this title" in page
    assert page.count("Made by ") == SHOTS

    other = multiprocessing.get_context("spawn").Process(
        target=of_the_lesser_kind,
        args=[str(p) for p in (scan, out, tmp_path / "less", tmp_path / "said")],
    )
    with monkeypatch.context() as lesser_kind:
        # Only while it starts: libraries of this process look at the same words once, later.
        for name, value in LESSER.items():
            lesser_kind.setenv(name, value)
        other.start()
    assert run_here(project_of([scan], *SETS), alone(out, tmp_path / "full")).exit_code == 0
    other.join(120)
    assert other.exitcode == 0
    # Each shot is what an undisturbed run of its kind alone makes of it.
    for shot in made:
        frames = delivered(out, shot)
        assert len(frames) == 16
        assert frames == delivered(tmp_path / ("less" if shot in lesser else "full"), shot)
    assert result(tmp_path / "full") != result(tmp_path / "less")
    assert len(set(kinds(tmp_path / "less").values())) == 1
    # Whichever kind leads: what was decided stays, and a run more makes nothing.
    decided = [hashes(tmp_path / n / "reels/R1/decisions") for n in ("out", "full", "less")]
    assert decided[0] == decided[1] == decided[2]
    assert nothing_twice(out) == SHOTS * CHUNKS + anew["chunks_left"]
    after = result(out)
    assert {n for n in after if after[n] != before[n]} <= {"manifest.json"}
    # What was begun anew left chunks that nobody needs; all others are kept, of either kind.
    cleared = json.loads((tmp_path / "said").read_text("utf-8"))
    assert cleared == [anew["chunks_left"], SHOTS * CHUNKS]
    assert kinds(out) == made


def test_a_shot_is_left_to_its_kind_while_one_of_it_is_there(
    short_scan: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    told = run_arguments(short_scan, out, patience_s=90)
    half, done = killed_amid_a_shot(started(*told, lesser=True), out, "events.jsonl")
    # One chunk of what that kind has finished goes bad as well.
    bad = next(
        e["key"] for e in happened([out / "events.jsonl"], "chunk_rendered") if e["shot"] == done
    )
    pixels = out / "store" / bad[:2] / bad / "pixels.npy"
    pixels.write_bytes(pixels.read_bytes()[:-1] + b"x")
    leader = started(*told)
    deadline = time.monotonic() + 60
    while len(happened([out / "events.jsonl"], "run_started")) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    helper = started("join", out, lesser=True)
    ended(leader)
    ended(helper)
    made = kinds(out)
    assert made[half] == made[done]
    assert set(made.values()) != {made[half]}
    assert not happened([out / "events.jsonl"], "begun_anew")
    keys = Counter(rendered(out))
    assert {key for key, n in keys.items() if n > 1} == {bad}
    assert len(keys) == len(made) * CHUNKS
    (begun,) = [e for e in happened(helpers(out), "shot_started") if e["shot"] == done]
    assert begun["kind"] == "cpu/DEFAULT/float32"
