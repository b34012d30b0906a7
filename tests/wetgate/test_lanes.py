"""A lone shot rendered in several stretches at once comes out as if it were rendered in one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reels import hashes, project_of, put_reel, run_here, scene


@pytest.mark.parametrize("workers", [2, 3, 7])
def test_stretches_do_not_show(tmp_path: Path, workers: int) -> None:
    scan = put_reel(tmp_path / "R1", scene(1, 14), 86400)
    delivered = []
    for count in (1, workers):
        out = tmp_path / f"out-{count}"
        sets = (f"render.workers={count}", "render.chunk_frames=3", "ingest.detect_shots=false")
        assert run_here(project_of([scan], *sets), out).frames_delivered == 14
        delivered.append(hashes(out / "deliver", out / "touch", out / "store"))
        events = (out / "events.jsonl").read_text("utf-8")
        assert events.count('"chunk_rendered"') == 5
    pictures = [{k: v for k, v in d.items() if "record.json" not in k} for d in delivered]
    assert pictures[0] == pictures[1]
