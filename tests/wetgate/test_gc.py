"""Room is made by removing what no decision needs, and nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from media.errors import StoreError, UsageError
from tests.reels import HERE, project_of, result, run_here, stored
from wetgate.gc import clear_store
from wetgate.job import open_job
from wetgate.pins import write_pin
from wetgate.stages.ingest import read_reel


def test_only_spare_chunks_go(scans: list[Path], finished: Path) -> None:
    before, needed = result(finished), {p.name for p in stored(finished)}
    spare = finished / "store/ff" / ("ff" * 32)
    shutil.copytree(stored(finished)[0], spare)
    (finished / "store/damaged-0123-abcd").mkdir()
    (finished / "store/damaged-0123-abcd/pixels.npy").write_bytes(b"x" * 100)
    job = open_job(finished)
    told = clear_store(job, dry=True)
    assert (told.chunks, told.damaged, told.kept) == (1, 1, len(needed))
    assert told.bytes > 100
    assert spare.is_dir()
    assert clear_store(job, dry=False) == told
    assert {p.name for p in stored(finished)} == needed
    assert not list((finished / "store").glob("damaged-*"))
    assert result(finished) == before
    assert run_here(project_of(scans), finished).exit_code == 0
    assert result(finished) == before


def test_a_changed_decision_makes_its_old_chunks_spare(scans: list[Path], finished: Path) -> None:
    text = '["R1_0010".weave]\nenabled = false\n'
    (finished / "overrides.toml").write_text(text, "utf-8")
    run_here(project_of(scans), finished)
    told = clear_store(open_job(finished), dry=False)
    assert told.chunks == 1
    assert run_here(project_of(scans), finished).exit_code == 0


def test_chunks_of_another_kind_of_worker_are_known_by_the_pin(finished: Path) -> None:
    pin = finished / "reels/R1/pins/R1_0010.json"
    said = json.loads(pin.read_text("utf-8"))
    assert said["numerics"] == HERE
    before = {p.name for p in stored(finished)}
    shot = read_reel(job := open_job(finished), job.project.reels[0]).shot("R1_0010")
    write_pin(job.folder, shot, {**HERE, "opencv": "3.0"})
    told = clear_store(job, dry=True)
    assert (told.chunks, told.kept) == (1, len(before) - 1)
    write_pin(job.folder, shot, HERE)
    assert json.loads(pin.read_text("utf-8")) == said
    assert clear_store(job, dry=False).chunks == 0
    said["numerics"]["opencv"] = "3.0"
    pin.write_text(json.dumps(said), "utf-8")
    with pytest.raises(StoreError, match="which kind of worker"):
        clear_store(job, dry=False)
    assert {p.name for p in stored(finished)} == before


def test_where_nobody_worked_nothing_is_known_to_be_spare(finished: Path) -> None:
    (finished / "crew.json").unlink()
    with pytest.raises(UsageError, match="no run was ever at work"):
        clear_store(open_job(finished), dry=False)
    assert stored(finished)
