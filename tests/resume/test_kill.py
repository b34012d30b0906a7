"""Killed at any instant, the job goes on to the same bits, and does nothing twice."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import time
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import numpy as np
import pytest

from tests.reels import (
    FIRST,
    command_line,
    environment,
    events,
    hashes,
    leftovers,
    project_of,
    rendered_shots,
    result,
    run_here,
    stored,
)
from wetgate.launch import launch

pytestmark = pytest.mark.resume

KILLS, KILLS_A_FOLDER = 20, 4
SMALL_CHUNKS = "render.chunk_frames=2"


def work(sources: list[str], out: str) -> None:
    """What a process of its own does: the real job, until it is done or killed."""
    launch(project_of([Path(s) for s in sources], SMALL_CHUNKS), Path(out), quiet=True)


def start(scans: list[Path], out: Path) -> ForkServerProcess:
    """A process that has loaded everything already, so that the kill hits work."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.resume.test_kill"])
    process = context.Process(target=work, args=([str(s) for s in scans], str(out)))
    process.start()
    return process


@pytest.fixture(scope="module")
def undisturbed(scans: list[Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    assert run_here(project_of(scans, SMALL_CHUNKS), out).exit_code == 0
    return result(out)


def whole_after_all(out: Path, undisturbed: dict[str, str]) -> None:
    """The same bits, nothing made twice, nothing half-made left."""
    assert result(out) == undisturbed
    keys = [e["key"] for e in events(out, "chunk_rendered")]
    assert len(keys) == len(set(keys))
    assert len(stored(out)) == 16
    assert not events(out, "chunk_damaged")
    assert not leftovers(out)
    assert not list((out / "store").glob("damaged-*"))


def test_killed_twenty_times(
    scans: list[Path], tmp_path: Path, undisturbed: dict[str, str]
) -> None:
    chance = random.Random(7)
    kills = folders = 0
    while kills < KILLS:
        out = tmp_path / f"out{folders}"
        folders += 1
        for _ in range(KILLS_A_FOLDER):
            process = start(scans, out)
            process.join(chance.uniform(0.02, 1.4))
            if process.is_alive():
                process.kill()
                kills += 1
            process.join()
            if process.exitcode == 0:
                break
            assert process.exitcode == -signal.SIGKILL
        assert run_here(project_of(scans, SMALL_CHUNKS), out).exit_code == 0
        whole_after_all(out, undisturbed)
    assert kills >= KILLS


def test_the_program_itself_is_killed(
    scans: list[Path], tmp_path: Path, undisturbed: dict[str, str]
) -> None:
    out = tmp_path / "out"
    arguments = ["run", *map(str, scans), "--encoding", "cineon", "--rate", "24", "--no-prefect"]
    for name in (SMALL_CHUNKS, "render.workers=2", "policy.max_repaired_share=0.4"):
        arguments += ["--set", name]
    arguments += ["--out", str(out)]
    for chunks in (1, 7):
        process = subprocess.Popen(
            command_line(*arguments), env=environment(), stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 60
        while len(stored(out)) < chunks and time.monotonic() < deadline:
            time.sleep(0.005)
        process.kill()
        assert process.wait() == -signal.SIGKILL
        assert chunks <= len(stored(out)) < 16
    done = subprocess.run(
        command_line(*arguments), env=environment(), stderr=subprocess.DEVNULL, check=False
    )
    assert done.returncode == 0
    whole_after_all(out, undisturbed)


def test_what_a_killed_run_left_half_made_is_swept(
    scans: list[Path], finished: Path, reference: Path
) -> None:
    chunk = stored(finished)[0]
    shutil.copytree(chunk, finished / "store/.part-1-dead")
    for name in ("deliver/restored/R1", "touch/R1", "reels/R1/evidence", "report", "."):
        (finished / name / ".x.part-1-dead").write_bytes(b"half")
    run_here(project_of(scans), finished)
    assert not leftovers(finished)
    assert result(finished) == result(reference)


@pytest.mark.parametrize("name", ["pixels.npy", "touch.z", "record.json"])
def test_a_damaged_chunk_is_said_and_made_again(
    scans: list[Path], finished: Path, reference: Path, name: str
) -> None:
    chunk = stored(finished)[1]
    data = bytearray((chunk / name).read_bytes())
    data[len(data) // 2] ^= 8
    (chunk / name).write_bytes(data)
    before = len(events(finished, "chunk_rendered"))
    assert run_here(project_of(scans), finished).exit_code == 0
    said = [e["key"] for e in events(finished, "chunk_damaged")]
    if name == "record.json" and not said:
        # The flip hit a note that vouches for nothing.
        assert chunk.name in [e["key"] for e in events(finished, "chunk_cached")]
        return
    assert said == [chunk.name]
    assert [e["key"] for e in events(finished, "chunk_rendered")[before:]] == said
    assert result(finished) == result(reference)
    assert len(list((finished / "store").glob("damaged-*"))) == 1


def test_a_damaged_delivery_is_written_again(
    scans: list[Path], finished: Path, reference: Path
) -> None:
    torn = finished / "deliver/restored/R2/R2.0172803.dpx"
    torn.write_bytes(torn.read_bytes()[:100])
    (finished / "touch/R2/R2.0172804.png").unlink()
    evidence = finished / "reels/R1/evidence/R1_0010.npz"
    evidence.write_bytes(evidence.read_bytes()[:50])
    run_here(project_of(scans), finished)
    assert result(finished) == result(reference)
    assert len(events(finished, "chunk_rendered")) == 4


def test_a_second_run_makes_nothing(scans: list[Path], finished: Path, reference: Path) -> None:
    times = {p: p.stat().st_mtime_ns for p in (finished / "deliver").rglob("*")}
    assert run_here(project_of(scans), finished).exit_code == 0
    assert len(events(finished, "chunk_rendered")) == 4
    assert len(events(finished, "analysed")) == 4
    assert {p: p.stat().st_mtime_ns for p in (finished / "deliver").rglob("*")} == times
    assert result(finished) == result(reference)
    lines = (finished / "ledger.jsonl").read_bytes()
    assert lines == (reference / "ledger.jsonl").read_bytes()


def test_a_word_of_a_person_makes_one_shot_again(scans: list[Path], finished: Path) -> None:
    overrides = finished / "overrides.toml"
    before = hashes(finished / "deliver/restored")
    overrides.write_text('[R1_0020]\nnote = "looks right"\n', "utf-8")
    run_here(project_of(scans), finished)
    assert rendered_shots(finished, 4) == []
    overrides.write_text("[R1_0020]\ndirt.enabled = false\n", "utf-8")
    run_here(project_of(scans), finished)
    assert rendered_shots(finished, 4) == ["R1_0020"]
    after = hashes(finished / "deliver/restored")
    changed = {n for n in after if after[n] != before[n]}
    assert changed
    assert changed <= {
        f"restored/R1/R1.{n:07d}.dpx" for n in range(FIRST["R1"] + 8, FIRST["R1"] + 16)
    }
    overrides.unlink()
    run_here(project_of(scans), finished)
    assert rendered_shots(finished, 5) == []
    assert hashes(finished / "deliver/restored") == before
    assert (finished / "ledger.jsonl").read_text("utf-8").count("R1_0020") >= 3


def test_shots_that_share_a_dissolve_share_their_fate(scans: list[Path], tmp_path: Path) -> None:
    listed = tmp_path / "cuts.csv"
    first = FIRST["R1"]
    rows = ((0, 3, 0, 0), (4, 7, 0, 1), (8, 11, 1, 0), (12, 15, 0, 0))
    listed.write_text(
        "first,last,dissolve_in,dissolve_out\n"
        + "".join(f"{first + a},{first + b},{i},{o}\n" for a, b, i, o in rows),
        "utf-8",
    )
    out = tmp_path / "out"
    project = project_of(scans[:1], f"reels.shots={listed}", only="none")
    assert run_here(project, out).exit_code == 0
    text = "balance.slope = [1.1, 1.0, 1.0]\nbalance.offset = [0.01, 0.0, 0.0]\n"
    (out / "overrides.toml").write_text(f"[R1_0020]\n{text}", "utf-8")
    run_here(project, out)
    assert sorted(rendered_shots(out)) == ["R1_0020", "R1_0030"]
    before, after = hashes(scans[0]), hashes(out / "deliver/restored/R1")
    changed = [k for k, n in enumerate(sorted(before)) if before[n] != after[n]]
    assert changed == [4, 5, 6, 7, 8]
    (out / "overrides.toml").unlink()
    listed.write_text(listed.read_text("utf-8").replace(f"{first},", f"{first},", 1), "utf-8")
    moved = listed.read_text("utf-8").replace(f"{first + 3},", f"{first + 2},", 1)
    listed.write_text(moved.replace(f"{first + 4},", f"{first + 3},", 1), "utf-8")
    (out / "overrides.toml").write_text("[R1_0010]\nbalance.offset = [0.05, 0, 0]\n", "utf-8")
    run_here(project, out)
    after = hashes(out / "deliver/restored/R1")
    assert [k for k, n in enumerate(sorted(before)) if before[n] != after[n]] == [0, 1, 2]


@pytest.mark.parametrize("setting", ["chunk_frames=3", "chunk_frames=16", "tile_px=48"])
def test_how_work_is_cut_changes_no_bit(
    scans: list[Path], tmp_path: Path, reference: Path, setting: str
) -> None:
    out = tmp_path / "out"
    run_here(project_of(scans, f"render.{setting}"), out)
    assert hashes(out / "deliver", out / "touch") == hashes(
        reference / "deliver", reference / "touch"
    )


def test_how_many_work_changes_no_bit(scans: list[Path], tmp_path: Path, reference: Path) -> None:
    out = tmp_path / "out"
    run_here(project_of(scans, "render.workers=1"), out)
    for name in ("manifest.json", "report/index.html", "report/report.json"):
        assert (out / name).read_bytes() == (reference / name).read_bytes(), name


def test_other_machines_read_the_same_numbers(reference: Path) -> None:
    """What is compared above is really there: pictures, planes and the manifest."""
    names = result(reference)
    assert sum(n.startswith("deliver/restored/") for n in names) == 32
    assert sum(n.startswith("touch/") for n in names) == 32
    assert "manifest.json" in names
    assert os.fspath(reference) not in (reference / "manifest.json").read_text("utf-8")
    codes = np.load(next((reference / "store").glob("??/*/pixels.npy")), allow_pickle=False)
    # Ten bits lie three to a word.
    assert codes.shape == (8, 64, 96)
