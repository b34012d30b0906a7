"""The demo, shortened: real footage damaged by a known amount comes closer to the truth."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from media.synthetic import Damage
from wetgate.demo import FADED, Recipe, Take, build_demo, score_demo
from wetgate.launch import launch
from wetgate.stages.finish import Outcome

SHORT: Recipe = {
    "R1": (86400, Damage(), (Take("bunny", 0, 12, 1),)),
    "R2": (172800, FADED, (Take("bunny", 12, 24, 2),)),
}


def run_demo(out: Path) -> Outcome:
    """Build, restore and score the short title."""
    project = build_demo(out, quiet=True, reels=SHORT)
    return launch(project, out, quiet=True, before_report=partial(score_demo, reels=SHORT))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    out = tmp_path_factory.mktemp("demo")
    return out, run_demo(out)


def truth(out: Path) -> dict[str, dict[str, Any]]:
    """Rows of the table, by measure."""
    table = json.loads((out / "demo" / "truth.json").read_text("utf-8"))
    return {row["measure"]: row for row in table["rows"]}


def test_every_frame_is_delivered(demo: tuple[Path, Outcome]) -> None:
    out, outcome = demo
    assert outcome.exit_code == 0
    for reel, start in (("R1", 86400), ("R2", 172800)):
        files = sorted(p.name for p in (out / "deliver" / "restored" / reel).iterdir())
        assert files == [f"{reel}.{n:07d}.dpx" for n in range(start, start + 12)]


def test_the_result_is_closer_to_the_truth_in_every_measure(demo: tuple[Path, Outcome]) -> None:
    rows = truth(demo[0])
    # A third of the grain is given back, and 12 frames are few neighbours and few color links.
    for measure, share in (
        ("flicker (local, high-passed)", 0.3),
        ("weave (high-passed)", 0.3),
        ("noise", 0.7),
        ("color of R2", 0.65),
    ):
        assert rows[measure]["after"] < share * rows[measure]["before"], measure
    assert rows["dirt found (F1)"]["after"] > 0.6
    assert rows["sound picture taken for dirt"]["after"] < 0.2
    assert rows["whole chain"]["after"] > rows["whole chain"]["before"] + 4.0
    assert rows["pixels invented"]["after"] == 0.0


def test_a_second_run_renders_nothing_and_scores_the_same(demo: tuple[Path, Outcome]) -> None:
    out, _ = demo
    before = truth(out)
    events = (out / "events.jsonl").read_text("utf-8").splitlines()
    assert run_demo(out).exit_code == 0
    later = (out / "events.jsonl").read_text("utf-8").splitlines()[len(events) :]
    assert not [line for line in later if '"chunk_rendered"' in line]
    assert [line for line in later if '"chunk_cached"' in line]
    assert truth(out) == before
