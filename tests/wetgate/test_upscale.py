"""How a shot is enlarged: decided on its own pictures, written down, changed by a person."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from media.frames import FrameRange
from media.passes import Effect, Operator
from media.reel import Shot
from restore.upscale.frames import FramesUpscale
from tests.reels import HERE, TEN_BIT, project_of, put_reel, run_here, scene
from wetgate.chain import build_chain
from wetgate.config import Project, Restore, Upscale
from wetgate.decisions import (
    ShotDecisions,
    ShotOverride,
    UpscaleDecision,
    UpscaleOverride,
    WeaveDecision,
)
from wetgate.files import Folder
from wetgate.settle import settle
from wetgate.size import size_of

SHOT = Shot(id="R1_0010", reel="R1", frames=FrameRange(0, 12))
DECIDED = ShotDecisions(
    shot=SHOT.id,
    reel="R1",
    frames=(0, 11),
    upscale=UpscaleDecision(applied=True, method="frames", share=0.6, gain_db=0.09),
)


def loaded(path: Path) -> Any:
    """What a file says."""
    return json.loads(path.read_text("utf-8"))


def project(method: str = "frames") -> Project:
    upscale = Upscale.model_validate({"enabled": True, "factor": 2, "method": method})
    return Project(restore=Restore(upscale=upscale))


def chain_of(decisions: ShotDecisions) -> list[Operator]:
    size = size_of(project(), TEN_BIT)
    return build_chain(project(), SHOT, decisions, None, None, baked=True, numerics=HERE, size=size)


def names(decisions: ShotDecisions) -> list[str]:
    chain = chain_of(decisions)
    return [op.name for op in chain]


def test_the_chain_follows_the_decision() -> None:
    (operator,) = chain_of(DECIDED)
    assert isinstance(operator, FramesUpscale)
    assert operator.share == 0.6
    assert operator.effect is Effect.BORROWED
    single = UpscaleDecision(applied=True, method="lanczos", reason="no gain")
    assert names(DECIDED.model_copy(update={"upscale": single})) == ["upscale"]
    # Nothing decided: never from several frames.
    assert names(DECIDED.model_copy(update={"upscale": UpscaleDecision()})) == ["upscale"]


def test_weave_waits_for_the_resample_of_several_frames() -> None:
    weave = WeaveDecision(applied=True, dx_px=(0.5,) * 12, dy_px=(-0.25,) * 12)
    (operator,) = chain_of(DECIDED.model_copy(update={"weave": weave}))
    assert isinstance(operator, FramesUpscale)
    assert operator.placements[3].dx_px == 0.5
    assert operator.name == "weave and upscale from frames"


@pytest.mark.parametrize(("share", "method"), [(0.0, "lanczos"), (1.0, "frames")])
def test_a_person_says_how_much_neighbours_add(share: float, method: str) -> None:
    person = ShotOverride(upscale=UpscaleOverride(share=share))
    found = settle(DECIDED, person, TEN_BIT).upscale
    assert (found.method, found.share, found.origin) == (method, share, "human")
    protected = ShotOverride(protect=True, upscale=UpscaleOverride(share=share))
    assert settle(DECIDED, protected, TEN_BIT).upscale == DECIDED.upscale


def test_decided_verified_and_reported(tmp_path: Path) -> None:
    """A moving shot is enlarged from several frames, a short one from single ones."""
    codes = np.concatenate([scene(1, 8), scene(2, 4)])
    reel = put_reel(tmp_path / "R1", codes, 86400)
    asked = project_of(
        [reel], "restore.upscale.enabled=true", "ingest.detect_shots=true", only="upscale"
    )
    out = tmp_path / "out"
    assert run_here(asked, out).exit_code in (0, 3)
    folder = Folder(out)
    found = {
        path.stem: loaded(path) for path in sorted((out / "reels/R1/decisions").glob("*.json"))
    }
    first = found["R1_0010"]
    upscale = first["upscale"]
    assert upscale["applied"]
    assert upscale["method"] == ("frames" if upscale["share"] else "lanczos")
    assert upscale["gain_db"] is not None
    short = found["R1_0020"]
    assert short["upscale"]["method"] == "lanczos"
    assert any("several frames could not be tried" in line for line in short["reasons"])
    verdict = loaded(folder.verdict("R1", "R1_0010"))
    assert verdict["after"]["unsteady"] is not None
    page = (out / "report/index.html").read_text("utf-8")
    assert "Enlarged from" in page
