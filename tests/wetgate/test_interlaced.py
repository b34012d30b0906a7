"""Interlaced reels: refused for repairs by name, passed through, or taken on a person's word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from media.errors import InputError
from media.scan import read_codes
from tests.media.movie_makers import foreign
from tests.reels import frame_file, project_of, put_reel, run_here
from tests.strategies import pan
from wetgate.config import Project


@pytest.fixture(scope="module")
def combed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fields of a panning camera, taken one after the other and woven into frames."""
    pictures = pan(4, 24, 64, 96, 5.0)
    codes = np.rint(pictures.transpose(0, 2, 3, 1) * 1023).clip(0, 1023).astype(np.uint16)
    woven = codes[0::2].copy()
    woven[:, 1::2] = codes[1::2, 1::2]
    return put_reel(tmp_path_factory.mktemp("fields") / "R1", woven)


def accepting(project: Project) -> Project:
    reels = tuple(r.model_copy(update={"accept": ("interlaced",)}) for r in project.reels)
    return project.model_copy(update={"reels": reels})


def said(project: Project, out: Path, *, replace: bool = False) -> str:
    """What a run says that refuses: by raising, or as the failure of its reel."""
    try:
        outcome = run_here(project, out, replace=replace)
    except InputError as error:
        return f"{error} {error.hint}"
    assert outcome.failed or outcome.exit_code
    return (out / "events.jsonl").read_text("utf-8")


@pytest.mark.parametrize("repair", ["weave", "flicker", "noise"])
def test_fields_are_refused_for_repair(combed: Path, tmp_path: Path, repair: str) -> None:
    problem = said(project_of([combed], only=repair), tmp_path / "out")
    assert "look interlaced" in problem
    assert repair in problem
    assert "reels.accept" in problem
    assert not (tmp_path / "out/deliver").exists()


def test_fields_pass_through_untouched(combed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run_here(project_of([combed], only="none"), out).failed == ()
    given = frame_file(combed, 3)
    delivered = frame_file(out / "deliver/restored/R1", 3)
    assert np.array_equal(read_codes(delivered), read_codes(given))
    # Asked for a repair later, the same reel is refused without being read again.
    assert "look interlaced" in said(project_of([combed], only="flicker"), out, replace=True)


def test_a_person_may_say_that_frames_are_whole(combed: Path, tmp_path: Path) -> None:
    taken = accepting(project_of([combed], only="flicker"))
    assert run_here(taken, tmp_path / "out").failed == ()


def test_a_movie_flagged_as_interlaced_is_refused(tmp_path: Path) -> None:
    movie = foreign(
        tmp_path / "R1.mp4", count=8, size=(96, 64),
        options={"preset": "veryfast", "flags": "+ildct+ilme", "x264-params": "tff=1"},
    )  # fmt: skip
    project = project_of([movie], 'deliver.format="ffv1"', only="weave", encoding="rec709")
    assert "flagged as interlaced" in said(project, tmp_path / "out")
