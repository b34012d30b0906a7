"""Room is made by removing what no decision needs, and nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from media.errors import UsageError
from tests.reels import project_of, result, run_here, stored
from wetgate.gc import clear_store
from wetgate.job import open_job


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


def test_another_kind_of_worker_does_not_know_what_is_spare(finished: Path) -> None:
    call = json.loads((finished / "crew.json").read_text("utf-8"))
    call["numerics"]["opencv"] = "3.0"
    (finished / "crew.json").write_text(json.dumps(call), "utf-8")
    with pytest.raises(UsageError, match="another kind of worker"):
        clear_store(open_job(finished), dry=False)
    assert stored(finished)
