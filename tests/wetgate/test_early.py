"""Curves that were solved while measuring are those that would be solved now, or are not taken."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.reels import run_here
from wetgate.files import Folder
from wetgate.job import open_job
from wetgate.stages import early
from wetgate.stages.ingest import read_reel


def decisions(out: Path) -> dict[str, str]:
    return {p.name: p.read_text("utf-8") for p in sorted(out.glob("reels/*/decisions/*.json"))}


def test_kept_answers_are_what_the_solver_says(finished: Path) -> None:
    """With all of them taken away, the same is decided."""
    job = open_job(finished)
    shot = read_reel(job, job.project.reels[0]).shots[0]
    kept = early.solved_weave(job.folder, job.project, shot)
    assert kept is not None
    assert kept.applied
    assert early.solved_flicker(job.folder, job.project, shot) is not None
    before = decisions(finished)
    assert json.loads(before[f"{shot.id}.json"])["weave"] == kept.model_dump(mode="json")
    for file in finished.glob("reels/*/evidence/solved/*.json"):
        file.unlink()
    assert run_here(job.project, finished).exit_code == 0
    assert decisions(finished) == before


@pytest.mark.parametrize("what", ["settings", "evidence", "damaged", "frames"])
def test_another_question_has_no_kept_answer(finished: Path, what: str) -> None:
    job = open_job(finished)
    shot = read_reel(job, job.project.reels[0]).shots[0]
    project = job.project
    if what == "settings":
        weave = project.restore.weave.model_copy(update={"limit_px": 3.0})
        restore = project.restore.model_copy(update={"weave": weave})
        project = project.model_copy(update={"restore": restore})
    elif what == "evidence":
        file = job.folder.evidence(shot.reel, shot.id)
        file.write_bytes(file.read_bytes() + b" ")
    elif what == "damaged":
        file = job.folder.early(shot.reel, shot.id)
        file.write_bytes(file.read_bytes()[:-40])
    else:
        frames = type(shot.frames)(shot.frames.start + 1, shot.frames.stop)
        shot = replace(shot, frames=frames)
    assert early.solved_weave(Folder(finished), project, shot) is None
    assert (early.solved_flicker(Folder(finished), project, shot) is None) == (what != "settings")
