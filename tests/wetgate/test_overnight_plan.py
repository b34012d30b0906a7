"""The contract for a night: what it takes, learned from what it took, and what fits."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from media.errors import ConfigError
from tests.reels import events, project_of, rendered_shots, result, run_here, run_program
from wetgate.costs import Learner, kind_of_worker, known, read_table, table_path
from wetgate.dryrun import dry_run
from wetgate.events import Events
from wetgate.files import Folder
from wetgate.job import Job, open_job
from wetgate.status import status
from wetgate.tables import plan_dict, status_lines


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was ever done on this kind of worker."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_a_worker_that_never_did_it_takes_a_sample_and_then_learns(
    scans: list[Path], tmp_path: Path
) -> None:
    project, out = project_of(scans), tmp_path / "out"
    first = dry_run(project, out).estimate
    assert first.timing.seconds is not None
    assert "sample" in first.timing.basis
    assert "deliver dpx touch" in first.timing.unknown
    assert "deliver" not in first.timing.stages
    assert not table_path().exists(), "a plan changes nothing"
    run_here(project, out)
    table = read_table()
    assert list(table) == [kind_of_worker(open_job(out))]
    (pieces,) = table.values()
    stages = {name.partition(" ")[0] for name in pieces}
    assert stages == {"ingest", "analyse", "render", "verify", "deliver"}
    # Elsewhere, the same kind of worker now knows.
    second = dry_run(project, tmp_path / "another").estimate
    assert second.timing.basis.startswith("past runs on this kind of worker")
    assert second.timing.unknown == ()
    assert set(second.timing.stages) == {"ingest", "analyse", "restore", "deliver"}
    assert second.memory_basis == "the most past runs held"
    assert second.memory_bytes > 50e6
    # And where everything is done, nothing is left to do.
    third = dry_run(project, out).estimate
    assert third.frames_missing == 0
    assert third.timing.seconds == (0.0, 0.0)


def test_what_a_run_took_lies_in_the_range_planned_from_the_run_before(
    scans: list[Path], tmp_path: Path
) -> None:
    """The rendering alone: the rest of so small a title is starting up. Ranges are wide here, so
    that a machine that is busy with other things does not fail the test; a plan that is off by
    the number of frames, of workers or of pixels does."""
    project = project_of(scans)
    run_here(project, tmp_path / "one")
    low, high = dry_run(project, tmp_path / "two").estimate.timing.stages["restore"]
    run_here(project, tmp_path / "two")
    said = events(tmp_path / "two", "planned") + events(tmp_path / "two", "verified")
    took = said[-1]["time"] - said[0]["time"]
    assert low / 4 < took < 4 * high


def test_the_table_is_for_people_and_a_damaged_one_teaches_nothing(
    scans: list[Path], tmp_path: Path
) -> None:
    job = Job(project_of(scans), Folder(tmp_path / "job"), Events(None))
    learner = Learner()
    told = {"does": "render weave", "frames": 10, "megapixels": 2.0, "seconds": 40.0}
    for _ in range(15):
        learner("chunk_rendered", told)
        learner("chunk_rendered", {"frames": 10, "seconds": 4.0})
        assert learner.keep(job)
    cost = known(job).cost("render weave")
    assert cost is not None
    assert (cost.likely, cost.runs) == (2.0, 12)
    assert cost.low < 2.0 < cost.high
    assert known(job).cost("render dirt") is None
    text = json.loads(table_path().read_text("utf-8"))
    row = text["workers"][kind_of_worker(job)]["render weave"][0]
    assert row["seconds_per_megapixel"] == 2.0
    for damage in ("{", '{"schema": 9}', '{"schema": 1, "workers": {"x": {"y": [{}]}}}', "[]"):
        table_path().write_text(damage, "utf-8")
        assert read_table() == {}
        assert known(job).cost("render weave") is None


def test_a_deadline_says_what_fits(scans: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    later = (datetime.now() + timedelta(days=2)).isoformat(timespec="minutes")
    plan = _plan(scans, out, f"night.deadline={later}")
    # Delivery was never timed on this kind of worker: nothing is promised for it.
    assert plan["not_timed"] == ["deliver dpx touch"]
    assert plan["deadline"]["title_delivered"] == "maybe"
    assert plan["deadline"]["left_out"] == []
    assert len(plan["deadline"]["fits"]) == 4
    # One that has gone by is told, with everything it leaves out; and no less in words.
    gone = (datetime.now() - timedelta(minutes=1)).isoformat(timespec="minutes")
    plan = _plan(scans, out, f"night.deadline={gone}", "night.first=['R2_0020', 'R2']")
    assert plan["deadline"]["possible"] is False
    assert plan["deadline"]["left_out"] == ["R2_0020", "R2_0010", "R1_0010", "R1_0020"]
    asked: list[str | Path] = [*scans, "--encoding", "cineon", "--rate", "24", "--out", out]
    told = run_program("plan", *asked, "--deadline", gone)
    assert "impossible, no shot is restored by then" in told.stdout


def test_a_table_that_cannot_be_written_fails_no_run(
    scans: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way", "utf-8")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert run_here(project_of(scans, only="none"), tmp_path / "out").exit_code == 0
    assert read_table() == {}


def test_hours_move_the_end(scans: list[Path], tmp_path: Path) -> None:
    begins = datetime.now() + timedelta(hours=5)
    window = f"{begins:%H:%M}-{begins + timedelta(hours=1):%H:%M}"
    plan = _plan(scans, tmp_path / "out", f"night.window={window}")
    opens = begins.replace(second=0, microsecond=0)
    assert datetime.fromisoformat(plan["begins"]) == opens
    first, last = (datetime.fromisoformat(t) for t in plan["finish"])
    assert opens < first <= last < opens + timedelta(hours=1)


def _plan(scans: list[Path], out: Path, *sets: str) -> dict[str, Any]:
    project = project_of(scans, *sets)
    return plan_dict(project, dry_run(project, out))


def test_the_urgent_comes_first_and_is_the_same_in_the_end(
    scans: list[Path], reference: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    first = "night.first=['R2_0020', 'R2']"
    deadline = "night.deadline=2030-01-01 07:00"
    assert run_here(project_of(scans, first, deadline, "render.workers=1"), out).exit_code == 0
    assert rendered_shots(out) == ["R2_0020", "R2_0010", "R1_0010", "R1_0020"]
    assert result(out) == result(reference)
    lines = status_lines(status(open_job(out)))
    assert "shots: 4 restored, 0 under way, 0 waiting" in lines
    assert "deadline: 2030-01-01 07:00 will be kept" in lines


def test_what_is_first_must_be_there(scans: list[Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'R3'.*no reel or shot.*did you mean 'R"):
        run_here(project_of(scans, "night.first=['R3']"), tmp_path / "out")
    with pytest.raises(ConfigError, match=r"night\.window.*no window"):
        project_of(scans, "night.window=nightly")
    with pytest.raises(ConfigError, match=r"night\.deadline.*is no time"):
        project_of(scans, "night.deadline=tomorrow")


def test_before_the_end_it_is_said_what_is_held_and_why(scans: list[Path], finished: Path) -> None:
    """Whoever comes in the morning to a title that is not through yet."""
    out = finished
    run_here(project_of(scans, "policy.max_repaired_share=0.0001"), out, replace=True)
    assert status(open_job(out)).state == "finished"
    lines = (out / "events.jsonl").read_text("utf-8").splitlines(keepends=True)
    at = max(k for k, line in enumerate(lines) if '"shot_done"' in line)
    (out / "events.jsonl").write_text("".join(lines[:at]), "utf-8")
    found = status(open_job(out))
    assert found.state == "stopped"
    # The copy holds the run before as well, in which nothing was held.
    expected = {e["shot"] for e in events(out, "shot_done") if e["verdict"] == "held"}
    assert set(found.held) == expected != set()
    said = status_lines(found)
    assert f"held for a look: {len(expected)}" in said
    for shot in found.held:
        assert any(line.startswith(f"  {shot}: ") and "looks like dirt" in line for line in said)
