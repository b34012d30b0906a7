"""Grain that is made: asked for, permitted, laid on last, checked, and told to AV1 encoders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from media.errors import ConfigError
from media.frames import FrameRange
from media.reel import Shot
from restore.grain.apply import GrainOperator
from restore.grain.av1 import read_table
from tests.reels import FIRST, HERE, TEN_BIT, project_of, put_reel, run_here, scene
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
