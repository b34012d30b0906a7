"""Grain that is made: asked for, permitted, laid on last, checked, and told to AV1 encoders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from media.errors import ConfigError
from media.frames import FrameRange
from media.reel import Shot
from media.write import to_codes
from restore.grain.apply import GrainOperator
from restore.grain.av1 import read_table
from tests.reels import (
    FIRST,
    HEIGHT_PX,
    HERE,
    TEN_BIT,
    WIDTH_PX,
    project_of,
    put_reel,
    result,
    run_here,
    scene,
)
from tests.strategies import add_grain, pan
from wetgate.chain import build_chain
from wetgate.config import Project, Restore, Upscale
from wetgate.decisions import GrainDecision, NoiseDecision, ShotDecisions
from wetgate.files import Folder
from wetgate.size import size_of

SHOT = Shot(id="R1_0010", reel="R1", frames=FrameRange(0, 12))
DECIDED = ShotDecisions(
    shot=SHOT.id,
    reel="R1",
    frames=(0, 11),
    noise=NoiseDecision(applied=True, sigma=(0.01, 0.011, 0.012)),
    grain=GrainDecision(kept=0.4, source="made", seed=3),
)


def loaded(path: Path) -> Any:
    """What a file says."""
    return json.loads(path.read_text("utf-8"))


@pytest.fixture(scope="module")
def reel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return put_reel(tmp_path_factory.mktemp("scans") / "R1", scene(1, 8), FIRST["R1"])


def test_grain_is_made_after_enlarging_and_before_color() -> None:
    project = Project(restore=Restore(upscale=Upscale(enabled=True, factor=2)))
    chain = build_chain(
        project,
        SHOT,
        DECIDED,
        None,
        None,
        baked=True,
        numerics=HERE,
        size=size_of(project, TEN_BIT),
    )
    assert [op.name for op in chain] == ["noise", "upscale", "grain"]
    operator = chain[-1]
    assert isinstance(operator, GrainOperator)
    assert (operator.size, operator.amount, operator.seed) == (2, 0.4, 3)
    # All of the grain is taken out first: none of it is given back twice.
    assert chain[0].key((0,))["grain_kept"] == 0.0
    own = DECIDED.model_copy(update={"grain": GrainDecision(kept=0.4)})
    chain = build_chain(
        Project(),
        SHOT,
        own,
        None,
        None,
        baked=True,
        numerics=HERE,
        size=size_of(Project(), TEN_BIT),
    )
    assert [op.name for op in chain] == ["noise"]
    assert chain[0].key((0,))["grain_kept"] == 0.4


def test_made_grain_needs_permission(reel: Path) -> None:
    with pytest.raises(ConfigError, match="no frame of the scan shows"):
        project_of([reel], "restore.grain.source=made")


def test_made_delivered_and_told(reel: Path, tmp_path: Path) -> None:
    """One run: the chain, the ledger in verdict and report, and a table for an encoder."""
    sets = (
        "restore.grain.enabled=true",
        "restore.grain.source=made",
        "restore.grain.amount=0.5",
        "restore.grain.av1_table=true",
        "policy.allow_invented=true",
    )
    out = tmp_path / "out"
    assert run_here(project_of([reel], *sets, only="noise,grain"), out).failed == ()
    decided = loaded(out / "reels/R1/decisions/R1_0010.json")
    assert decided["grain"]["source"] == "made"
    verdict = loaded(Folder(out).verdict("R1", "R1_0010"))
    assert verdict["grain"]["kept"] == 0.5
    assert abs(verdict["grain"]["error"]) < 0.2
    assert verdict["touch_share"]["invented"] > 0.9
    assert not [line for line in verdict["held_because"] if "repaired" in line]
    (entry,) = read_table((out / "deliver/grain/R1.tbl").read_text("utf-8"))
    assert (entry.start_ticks, entry.end_ticks) == (0, 3_333_333)
    assert entry.sigma(0, 120.0) > 0.3
    page = (out / "report/index.html").read_text("utf-8")
    assert "Grain ledger" in page
    assert "made anew" in page


def test_grain_that_came_out_wrong_is_held(reel: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    sets = ("restore.grain.amount=0.35", "restore.grain.tolerance=0.0")
    run_here(project_of([reel], *sets, only="noise,grain"), out)
    verdict = loaded(Folder(out).verdict("R1", "R1_0010"))
    assert verdict["verdict"] == "held"
    assert any(line.startswith("grain came out") for line in verdict["held_because"])


TABLE = ("restore.grain.av1_table=true", "restore.grain.tolerance=1.0")


@pytest.mark.parametrize(
    ("sets", "why"),
    [
        (("restore.grain.amount=1.0",), "all of it is kept (restore.grain.amount)"),
        (("restore.noise.enabled=false",), "none was taken out: switched off"),
        (("restore.noise.skip_below_sigma=0.3",), "none was taken out: grain of "),
    ],
)
def test_a_table_with_nothing_to_tell_says_so(
    reel: Path, tmp_path: Path, sets: tuple[str, ...], why: str
) -> None:
    out = tmp_path / "out"
    done = run_here(project_of([reel], *TABLE, *sets, only="noise,grain"), out)
    assert (done.failed, done.held) == ((), ())
    assert len(done.notes) == 1
    assert done.notes[0].startswith("R1: there is no AV1 film grain table; R1_0010: ")
    assert why in done.notes[0]
    assert why in loaded(Folder(out).verdict("R1", "R1_0010"))["grain"]["av1"]["left_out"]
    assert why in (out / "report/index.html").read_text("utf-8")
    assert not (out / "deliver/grain").exists()


def test_grain_that_no_table_says_is_left_out_and_held(tmp_path: Path) -> None:
    """Grain 2.6 px wide, and four times as large in the result."""
    out = tmp_path / "out"
    noisy = add_grain(pan(4, 8, HEIGHT_PX, WIDTH_PX, 0.7), 0.02, 4, 2.6)
    codes = [to_codes(np.ascontiguousarray(p.transpose(1, 2, 0)), TEN_BIT) for p in noisy]
    reel = put_reel(tmp_path / "R1", codes)
    sets = ("restore.upscale.enabled=true", "restore.upscale.factor=4")
    project = project_of([reel], *TABLE, *sets, only="noise,grain,upscale")
    done = run_here(project, out)
    assert done.held == ("R1_0010",)
    verdict = loaded(Folder(out).verdict("R1", "R1_0010"))
    assert verdict["grain"]["av1"]["unlike"] > 0.2
    assert any("beyond a filter of lag 3" in line for line in verdict["held_because"])
    assert not (out / "deliver/grain").exists()
    before = result(out)
    again = run_here(project, out)
    assert (again.notes, result(out)) == (done.notes, before)


def test_a_table_is_written_once_and_its_grain_adds_up(reel: Path, tmp_path: Path) -> None:
    """What is left and what is laid on are strangers: their variances add up to the scan's."""
    out = tmp_path / "out"
    project = project_of([reel], *TABLE, "restore.grain.amount=0.6", only="noise,grain")
    done = run_here(project, out)
    assert done.notes == ()
    told = loaded(Folder(out).verdict("R1", "R1_0010"))["grain"]["av1"]
    assert told["share"] == pytest.approx(0.8)
    assert told["unlike"] < 0.2
    table = out / "deliver/grain/R1.tbl"
    stamp, before = table.stat().st_mtime_ns, result(out)
    run_here(project, out)
    assert (table.stat().st_mtime_ns, result(out)) == (stamp, before)
