"""Lines that hide the picture, through the whole job: decided, borrowed, marked, limited."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from media.passes import Effect
from media.write import AnyCodes, to_codes
from tests.reels import HEIGHT_PX, TEN_BIT, WIDTH_PX, project_of, put_reel, run_here
from tests.strategies import add_grain, pan
from tests.wetgate.test_doubled import ONE_SHOT, decided, delivered, touched

FIRST, FRAMES, X_PX = 1001, 24, 50


@pytest.fixture
def codes() -> AnyCodes:
    """(T, H, W, 3) 10-bit codes: a pan, and a line of 3 px down to the base."""
    frames = add_grain(pan(3, FRAMES, HEIGHT_PX, WIDTH_PX, 2.0), 0.004, 5)
    frames[..., X_PX - 1 : X_PX + 2] = 0.9
    values = np.ascontiguousarray(frames.transpose(0, 2, 3, 1))
    found: AnyCodes = np.stack([to_codes(v, TEN_BIT).astype(np.uint16) for v in values])
    return found


def scratch_of(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = decided(out)["scratch"]
    return found


def test_what_is_hidden_is_borrowed_and_said(tmp_path: Path, codes: AnyCodes) -> None:
    scan, out = put_reel(tmp_path / "R1", codes, FIRST), tmp_path / "out"
    assert run_here(project_of([scan], ONE_SHOT, only="scratch"), out).failed == ()
    said = scratch_of(out)
    assert said["applied"]
    assert set(said["hidden"]) == set(said["places"])
    pictures, planes = delivered(out), touched(out)
    line = np.s_[4:-4, X_PX]
    borrowed = [float((planes[FIRST + k][line] == int(Effect.BORROWED)).mean()) for k in range(24)]
    assert float(np.mean(borrowed)) > 0.8
    for k, code in enumerate(codes):
        same = planes[FIRST + k] == int(Effect.UNTOUCHED)
        np.testing.assert_array_equal(pictures[FIRST + k][same], code[same])
        assert same[:, : X_PX - 8].all()
    assert "Scratches that hide the picture" in (out / "report/index.html").read_text("utf-8")


def test_the_limit_of_borrowed_area_counts_it(tmp_path: Path, codes: AnyCodes) -> None:
    scan = put_reel(tmp_path / "R1", codes, FIRST)
    sets = (ONE_SHOT, "policy.max_borrowed_share=0.001")
    outcome = run_here(project_of([scan], *sets, only="scratch"), tmp_path / "out")
    assert len(outcome.held) == 1
