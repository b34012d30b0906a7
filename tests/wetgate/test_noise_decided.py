"""Whether grain is taken down at all: next to none is left, and said; some somewhere is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from media.reel import PictureFormat
from media.write import to_codes
from tests.reels import project_of, put_reel, run_here
from tests.strategies import F32, add_grain
from wetgate.decisions import NoiseDecision, ShotDecisions
from wetgate.files import Folder

FMT = PictureFormat(width=160, height=96, channels=3, bits=10)


def ground() -> F32:
    """(8, 3, 96, 160): drawn, dark on the left and bright on the right; a square moves."""
    shown = np.full((8, 3, 96, 160), 0.2, np.float32)
    shown[..., 110:] = 0.6
    for k in range(8):
        shown[k, :, 8:24, 4 + 6 * k : 20 + 6 * k] = 0.3
    return shown


def decided(tmp_path: Path, shown: F32, *sets: str, person: str = "") -> NoiseDecision:
    codes = [to_codes(np.ascontiguousarray(p.transpose(1, 2, 0)), FMT) for p in shown]
    reel = put_reel(tmp_path / "R1", codes, 1, fmt=FMT)
    out = tmp_path / "out"
    out.mkdir()
    (out / "overrides.toml").write_text(person, "utf-8")
    assert run_here(project_of([reel], *sets, only="noise,grain"), out).failed == ()
    path = Folder(out).decision("R1", "R1_0010")
    return ShotDecisions.model_validate_json(path.read_text("utf-8")).noise


def test_a_drawing_is_left_and_it_is_said(tmp_path: Path) -> None:
    noise = decided(tmp_path, ground())
    assert not noise.applied
    assert "next to none" in noise.reason


def test_grain_in_blue_alone_is_taken_down(tmp_path: Path) -> None:
    shown = ground()
    shown[:, 2] = add_grain(shown[:, 2], 0.02, 5)
    noise = decided(tmp_path, shown)
    assert noise.applied
    assert noise.sigma == pytest.approx((0.0, 0.0, 0.02), abs=0.001)


def test_strength_of_nothing_is_not_called_done(tmp_path: Path) -> None:
    noise = decided(tmp_path, add_grain(ground(), 0.02, 5), "restore.noise.strength=0")
    assert (noise.applied, noise.reason) == (False, "restore.noise.strength is 0")


def test_nor_is_a_person_s(tmp_path: Path) -> None:
    person = "[R1_0010.noise]\nstrength = 0.0\n"
    noise = decided(tmp_path, add_grain(ground(), 0.02, 5), person=person)
    assert (noise.applied, noise.origin) == (False, "human")
