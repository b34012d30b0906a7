"""A shot belongs to one kind of worker: for how long, and who may say otherwise."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from media.errors import StoreError
from media.frames import FrameRange
from media.reel import Shot
from restore.dirt.apply import DirtOperator
from tests.reels import HERE, TEN_BIT, events, project_of, result, run_here
from wetgate.chain import build_chain
from wetgate.config import Project
from wetgate.decisions import DirtDecision, ShotDecisions
from wetgate.files import Folder
from wetgate.kinds import KindWatch, be_there, clear_away
from wetgate.leases import Leases
from wetgate.numerics import kind_beside, kind_of
from wetgate.pins import pins_in, read_pin, write_pin
from wetgate.size import size_of

SHOT = Shot(id="R1_0010", reel="R1", frames=FrameRange(86400, 86408))
OTHER = {**HERE, "torch": "1.0"}


@pytest.mark.parametrize("features", ["bf16", "float32"])
def test_the_chain_is_built_for_the_profile_that_is_stated(features: str) -> None:
    dirty = ShotDecisions(
        shot=SHOT.id,
        reel="R1",
        frames=(86400, 86407),
        dirt=DirtDecision(applied=True, sigma=0.01),
    )
    stated = {**HERE, "features": features}
    size = size_of(Project(), TEN_BIT)
    (operator,) = build_chain(
        Project(), SHOT, dirty, None, None, baked=True, numerics=stated, size=size
    )
    assert isinstance(operator, DirtOperator)
    assert operator.key(range(86398, 86410))["half"] is (features == "bf16")


def test_kinds_in_words() -> None:
    gpu = {**HERE, "device": "cuda", "gpu": "NVIDIA H100 80GB HBM3", "features": "bf16"}
    assert kind_of(gpu) == "cuda/NVIDIA H100 80GB HBM3/bf16"
    assert kind_beside(gpu, HERE) == kind_of(gpu)
    assert kind_beside(OTHER, HERE) == f"{kind_of(HERE)}, torch 1.0"


def test_a_pin_says_itself_whether_it_is_whole(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    assert read_pin(folder, SHOT) is None
    write_pin(folder, SHOT, OTHER)
    assert read_pin(folder, SHOT) == OTHER
    assert pins_in(folder) == {SHOT.id: kind_of(OTHER)}
    path = folder.pin("R1", SHOT.id)
    said = json.loads(path.read_text("utf-8"))
    said["numerics"]["torch"] = "1.1"
    path.write_text(json.dumps(said), "utf-8")
    with pytest.raises(StoreError, match="does not say whole"):
        read_pin(folder, SHOT)


def test_a_kind_is_gone_when_none_of_it_was_there_for_the_patience(tmp_path: Path) -> None:
    one, two, mine = (Leases(tmp_path, owner=f"box-{n}") for n in range(3))
    watch = KindWatch(mine, patience_s=0.3)
    be_there(one, OTHER)
    be_there(two, OTHER)
    one.close()
    assert not watch.gone(OTHER)
    two.close()
    clear_away(mine)
    assert not mine.names("kind-*")
    assert not watch.gone(OTHER)
    time.sleep(0.35)
    assert watch.gone(OTHER)
    # One that is back is waited for anew.
    back = Leases(tmp_path, owner="box-3")
    be_there(back, OTHER)
    assert not watch.gone(OTHER)
    back.close()
    assert not watch.gone(OTHER)
    mine.close()


def test_a_pin_without_a_chunk_binds_nobody(
    scans: list[Path], finished: Path, reference: Path
) -> None:
    folder = Folder(finished)
    write_pin(folder, SHOT, OTHER)
    before = len(events(finished, "chunk_rendered"))
    assert run_here(project_of(scans), finished).exit_code == 0
    assert read_pin(folder, SHOT) == HERE
    # Its own chunks are still there: they are found, not made.
    assert len(events(finished, "chunk_rendered")) == before
    assert [e["instead_of"] for e in events(finished, "begun_anew")] == [
        f"{kind_of(HERE)}, torch 1.0"
    ]
    assert result(finished) == result(reference)


def test_what_was_made_before_there_were_pins_is_not_made_again(
    scans: list[Path], finished: Path, reference: Path
) -> None:
    for pin in (finished / "reels").glob("*/pins/*.json"):
        pin.unlink()
    before = len(events(finished, "chunk_rendered"))
    assert run_here(project_of(scans), finished).exit_code == 0
    assert len(events(finished, "chunk_rendered")) == before
    assert read_pin(Folder(finished), SHOT) == HERE
    assert result(finished) == result(reference)


def test_a_damaged_pin_stops_nothing(scans: list[Path], finished: Path, reference: Path) -> None:
    path = Folder(finished).pin("R1", "R1_0010")
    before = len(events(finished, "chunk_rendered"))
    for damaged in ('{"schema":1', "{}", ""):
        path.write_text(damaged, "utf-8")
        assert run_here(project_of(scans), finished).exit_code == 0
        assert read_pin(Folder(finished), SHOT) == HERE
    assert [e["shot"] for e in events(finished, "pin_damaged")] == ["R1_0010"] * 3
    # Its own chunks are still there: they are found, not made.
    assert len(events(finished, "chunk_rendered")) == before
    assert result(finished) == result(reference)


def test_measurements_of_another_kind_are_as_good(scans: list[Path], finished: Path) -> None:
    from media.pictures import pictures_of
    from wetgate.job import open_job
    from wetgate.stages.analyse import evidence_key
    from wetgate.stages.ingest import read_reel

    job = open_job(finished)
    ingested = read_reel(job, job.project.reels[0])
    shot = ingested.shot(SHOT.id)
    path = job.folder.evidence("R1", SHOT.id)
    said = json.loads(path.read_text("utf-8"))
    assert set(said["measured_by"].values()) == {kind_of(HERE)}
    pictures = pictures_of(ingested.reel, shot.frames)
    said["numerics"] = OTHER
    said["key"] = evidence_key(job, ingested.reel, shot, pictures, OTHER)
    path.write_text(json.dumps(said), "utf-8")
    before = len(events(finished, "analysed"))
    assert run_here(project_of(scans), finished).exit_code == 0
    assert len(events(finished, "analysed")) == before
    # What answers another question is measured again.
    said["key"] = evidence_key(job, ingested.reel, shot, pictures, HERE)
    path.write_text(json.dumps(said), "utf-8")
    assert run_here(project_of(scans), finished).exit_code == 0
    assert len(events(finished, "analysed")) == before + 1
