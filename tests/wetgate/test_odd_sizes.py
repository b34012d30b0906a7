"""Pictures of any size and one channel or three go through with every repair on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from media.reel import PictureFormat
from media.scan import read_codes
from media.write import AnyCodes
from tests.reels import project_of, put_reel, run_here, scene


def noise(width: int, height: int, channels: int) -> list[AnyCodes]:
    rng = np.random.default_rng(5)
    return [rng.integers(0, 1024, (height, width, channels)).astype(np.uint16) for _ in range(7)]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "size", [(1, 1), (2, 3), (5, 7), (17, 1), (33, 9), (4099, 3), (32, 32), (40, 33), (36, 150)]
)
def test_any_size_goes_through(tmp_path: Path, size: tuple[int, int], channels: int) -> None:
    fmt = PictureFormat(width=size[0], height=size[1], channels=channels, bits=10)
    pictures = noise(*size, channels)
    scan = put_reel(tmp_path / "R1", pictures, fmt=fmt)
    out = tmp_path / "out"
    outcome = run_here(project_of([scan]), out)
    assert (outcome.failed, outcome.frames_delivered) == ((), 7)
    if min(size) < 32:
        for file, codes in zip(
            sorted((out / "deliver/restored/R1").iterdir()), pictures, strict=True
        ):
            np.testing.assert_array_equal(read_codes(file), codes)
        decision = json.loads(next(out.glob("reels/R1/decisions/*.json")).read_text("utf-8"))
        assert any("too small" in reason for reason in decision["reasons"])


def test_a_gray_film_gets_every_repair(tmp_path: Path) -> None:
    fmt = PictureFormat(width=96, height=64, channels=1, bits=10)
    scan = put_reel(tmp_path / "R1", [c[:, :, 1:2] for c in scene(1, 12)], fmt=fmt)
    out = tmp_path / "out"
    assert run_here(project_of([scan]), out).failed == ()
    decision = json.loads(next(out.glob("reels/R1/decisions/*.json")).read_text("utf-8"))
    assert decision["dirt"]["applied"]
    assert "monochrome" in decision["flags"]
