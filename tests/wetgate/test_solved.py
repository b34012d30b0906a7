"""Decisions are made once: what one kind of worker has decided, another takes as it lies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from media.errors import ConfigError
from tests.reels import events, project_of, rendered_shots, run_here
from wetgate.dryrun import dry_run
from wetgate.files import Folder, digest


def loaded(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def decision(folder: Folder, shot: str) -> Path:
    return folder.decision(shot.split("_")[0], shot)


@pytest.fixture
def by_another(finished: Path) -> Folder:
    """The finished job, as if solved where the last digits of a path came out otherwise."""
    folder = Folder(finished)
    solved = loaded(folder.solved)
    (own,) = solved["solvers"].values()
    other = {**own, "blas": "another"}
    solved["solvers"] = {digest(other): other}
    path = decision(folder, "R1_0010")
    told = loaded(path)
    assert told["weave"]["applied"]
    told["weave"]["dx_px"][2] += 0.01
    path.write_text(json.dumps(told), "utf-8")
    solved["shots"]["R1_0010"]["decision"] = digest(told)
    for said in solved["shots"].values():
        said["by"] = digest(other)
    folder.solved.write_text(json.dumps(solved), "utf-8")
    return folder


def test_another_kind_takes_decisions_as_they_lie(scans: list[Path], by_another: Folder) -> None:
    paths = [decision(by_another, s) for s in ("R1_0010", "R1_0020", "R2_0010", "R2_0020")]
    before = [loaded(p) for p in paths]
    assert run_here(project_of(scans), by_another.root).exit_code == 0
    assert [loaded(p) for p in paths] == before
    assert rendered_shots(by_another.root, 4) == ["R1_0010"]
    assert not events(by_another.root, "decided_anew")


def test_a_persons_word_has_only_its_own_shot_solved_anew(
    scans: list[Path], by_another: Folder
) -> None:
    run_here(project_of(scans), by_another.root)
    path = decision(by_another, "R1_0010")
    before = loaded(path)
    by_another.overrides.write_text("[R2_0010]\ndirt.enabled = false\n", "utf-8")
    run_here(project_of(scans), by_another.root)
    assert loaded(path) == before
    assert rendered_shots(by_another.root, 5) == ["R2_0010"]
    (told,) = events(by_another.root, "decided_anew")
    assert told["shots"] == ["R2_0010"]
    assert "blas another" in told["instead_of"][0]
    # It stays so when this kind goes on.
    run_here(project_of(scans), by_another.root)
    assert loaded(path) == before
    assert rendered_shots(by_another.root, 6) == []
    assert len(loaded(by_another.solved)["solvers"]) == 2


def test_a_decision_that_somebody_edited_is_not_written_over(
    scans: list[Path], finished: Path, by_another: Folder
) -> None:
    path = decision(by_another, "R1_0020")
    before = loaded(path)
    edited = loaded(path)
    edited["weave"]["dx_px"][2] += 3.0
    path.write_text(json.dumps(edited), "utf-8")
    with pytest.raises(ConfigError, match=r"R1_0020\.json was edited") as caught:
        run_here(project_of(scans), finished)
    assert "overrides.toml" in caught.value.hint
    assert loaded(path) == edited
    with pytest.raises(ConfigError, match="was edited"):
        dry_run(project_of(scans), finished)
    # Taken away, it is solved anew, and a person is listened to where they should speak.
    path.unlink()
    run_here(project_of(scans), finished)
    assert loaded(path) == before
    assert events(finished, "decided_anew")[-1]["shots"] == ["R1_0020"]


def test_an_edit_is_seen_where_settings_change_too(scans: list[Path], finished: Path) -> None:
    path = Folder(finished).decision("R2", "R2_0010")
    edited = loaded(path)
    edited["dirt"]["applied"] = not edited["dirt"]["applied"]
    path.write_text(json.dumps(edited), "utf-8")
    with pytest.raises(ConfigError, match=r"R2_0010\.json was edited"):
        run_here(project_of(scans, "restore.dirt.level=0.8"), finished, replace=True)
    path.unlink()
    assert (
        run_here(project_of(scans, "restore.dirt.level=0.8"), finished, replace=True).failed == ()
    )
    assert loaded(path)["dirt"]["level"] >= 0.8


def test_the_same_question_is_answered_by_reading(
    scans: list[Path], finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def solved_again(*given: object) -> None:
        raise AssertionError(f"solved again: {len(given)}")

    with monkeypatch.context() as patch:
        patch.setattr("wetgate.stages.solve.solve_color", solved_again)
        run_here(project_of(scans), finished)
    assert rendered_shots(finished, 4) == []


@pytest.mark.parametrize("other", ["program", "decision lost"])
def test_the_same_kind_solves_to_the_same_files(
    scans: list[Path], finished: Path, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    folder = Folder(finished)
    paths = [decision(folder, s) for s in ("R1_0010", "R1_0020", "R2_0010", "R2_0020")]
    before, said = [p.read_bytes() for p in paths], loaded(folder.solved)
    if other == "program":
        monkeypatch.setattr("wetgate.solved.program_digest", lambda: "another program")
    else:
        paths[1].unlink()
    run_here(project_of(scans), finished)
    assert [p.read_bytes() for p in paths] == before
    assert rendered_shots(finished, 4) == []
    assert not events(finished, "decided_anew")
    again = loaded(folder.solved)
    assert {n: s["decision"] for n, s in again["shots"].items()} == {
        n: s["decision"] for n, s in said["shots"].items()
    }
    assert (again == said) == (other != "program")
