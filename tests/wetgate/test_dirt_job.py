"""Dirt through the whole job: the planted trial decides, says so, and a person overrules it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from media.errors import ConfigError, ModelRefused
from restore.dirt import network
from restore.dirt.network import dirt_network
from tests.reels import project_of, put_reel, run_here, scene

SETS = ("policy.max_repaired_share=0.5",)


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """One reel, one shot of twelve frames with dirt."""
    return put_reel(tmp_path / "scans" / "R1", scene(1, 12), 86400)


def decided(out: Path) -> dict[str, Any]:
    (file,) = (out / "reels" / "R1" / "decisions").glob("R1_*.json")
    found: dict[str, Any] = json.loads(file.read_text("utf-8"))["dirt"]
    return found


def test_what_the_trial_found_stands_in_decision_and_report(scan: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run_here(project_of([scan], *SETS, only="dirt"), out).failed == ()
    dirt = decided(out)
    assert dirt["applied"]
    assert 0.0 < dirt["trial_recall"] <= 1.0
    assert 0.0 <= dirt["trial_false"] <= dirt["trial_budget"] == 0.15
    page = (out / "report" / "index.html").read_text("utf-8")
    assert "of planted small moving things (budget 15 %)" in page
    assert "finding dirt; it paints nothing" in page


def test_a_budget_that_cannot_be_kept_leaves_the_shot(scan: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    project = project_of([scan], *SETS, "restore.dirt.budget=0.0", only="dirt")
    assert run_here(project, out).failed == ()
    dirt = decided(out)
    assert dirt["trial_false"] > 0.0
    assert not dirt["applied"]
    assert "the budget is 0 %" in dirt["reason"]
    # A person may still want it: then it is theirs, at the likelihood they name.
    (shot,) = (p.stem for p in (out / "reels" / "R1" / "decisions").glob("R1_*.json"))
    (out / "overrides.toml").write_text(f'["{shot}"]\ndirt.level = 0.9\n', "utf-8")
    assert run_here(project, out).failed == ()
    dirt = decided(out)
    assert (dirt["applied"], dirt["level"], dirt["origin"]) == (True, 0.9, "human")
    assert dirt["trial_recall"] is None


def test_a_fill_needs_permission(scan: Path) -> None:
    with pytest.raises(ConfigError, match=r"restore\.dirt\.fill"):
        project_of([scan], "restore.dirt.fill=true", only="dirt")


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "dirt-net.safetensors"
    other.write_bytes(network.WEIGHTS.read_bytes()[:-1] + b"\0")
    monkeypatch.setattr(network, "WEIGHTS", other)
    dirt_network.cache_clear()
    with pytest.raises(ModelRefused, match="SHA-256"):
        dirt_network("cpu")
    dirt_network.cache_clear()
