"""The script that trained the guiding networks: windows with known truth, and learning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from restore.models.train import grain
from restore.models.train.grain import Course, train
from restore.models.train.grain_windows import RIM_PX, window
from restore.models.train.moving import SIDE_PX, read_sources
from restore.noise.guide import CONDITIONS, SHAPES, GuideNet


def test_windows_are_the_same_for_the_same_seed_and_in_units_of_grain(photographs: Path) -> None:
    sources = read_sources(photographs)
    made, again = ([window(np.random.default_rng((3, k)), sources) for k in range(5)] for _ in "ab")
    side = SIDE_PX - 2 * RIM_PX
    strengths = []
    for one, other in zip(made, again, strict=True):
        assert one.given.shape == (21, side, side)
        assert one.truth.shape == (3, side, side)
        assert one.told.shape == (CONDITIONS,)
        assert np.array_equal(one.given, other.given)
        assert np.array_equal(one.truth, other.truth)
        assert np.isfinite(one.given.astype(np.float32)).all()
        strengths.append(float((one.given[0].astype(np.float32) - one.truth[0]).std()))
    # Grain as it was measured has strength 1; measured it is a tenth off, now and then more.
    assert 0.7 < float(np.median(strengths)) < 1.4


def test_it_learns_and_writes_what_the_program_loads(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grain, "_REPORT_STEPS", 2)
    course = Course(3, batch=2, crop_px=64, at_hand=8, first=2, workers=1)
    train(photographs, tmp_path / "out", course)
    for name, shape in SHAPES.items():
        weights = load_file(tmp_path / "out" / f"{name}.safetensors")
        GuideNet(shape).load_state_dict(weights)
        assert any(float(w.float().abs().max()) > 0 for k, w in weights.items() if "last" in k)
