"""The script that trained the networks that enlarge: pairs of pictures, and learning from them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from restore.models.basicsr_bridge import srvgg
from restore.models.train import upscaler
from restore.models.train.pace import done_share, share_of_rate
from restore.models.train.pictures import Crops, lettering
from restore.models.train.pictures import photographs as read
from restore.models.train.upscaler import Course, train


def test_pairs_are_the_same_for_the_same_seed_and_show_the_same(photographs: Path) -> None:
    pictures = read(photographs) + lettering(2, 0, size_px=256)
    first, again = (Crops(pictures, 2, 24, seed=4) for _ in "ab")
    for _ in range(3):
        small, large = first.batch(12)
        assert small.shape == (12, 3, 24, 24)
        assert large.shape == (12, 3, 48, 48)
        assert all(torch.equal(a, b) for a, b in zip((small, large), again.batch(12), strict=True))
        # Every one is the reduction of its own, whichever kernel made it.
        means = torch.nn.functional.avg_pool2d(large, 2)
        assert float((small - means).abs().mean()) < 0.03
        assert float((small - means.roll(1, 0)).abs().mean()) > 0.1


def test_it_learns_writes_what_the_program_loads_and_goes_on(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upscaler, "_REPORT_STEPS", 2)
    monkeypatch.setattr(upscaler, "_CARDS", 1)
    out = tmp_path / "net.safetensors"
    train(photographs, out, Course(2, 8, 2, steps=2, batch=2, crop_px=16))
    first = load_file(out)
    srvgg(8, 2, 2).load_state_dict(first)
    train(photographs, out, Course(2, 8, 2, steps=4, batch=2, crop_px=16))
    kept = torch.load(out.with_suffix(".progress"), weights_only=True)
    assert kept["step"] == 4
    assert any(not torch.equal(v, first[k]) for k, v in load_file(out).items())
    # A course that is over is not begun anew.
    before = out.read_bytes()
    train(photographs, out, Course(2, 8, 2, steps=4, batch=2, crop_px=16))
    assert out.read_bytes() == before


def test_the_rate_goes_up_then_down_and_a_course_may_be_told_in_time() -> None:
    rates = [share_of_rate(k / 100) for k in range(101)]
    assert max(rates) == pytest.approx(1.0, abs=0.01)
    assert rates[0] <= 0.05
    assert rates[-1] == pytest.approx(0.0, abs=1e-6)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert done_share(5, 10, 60.0, 0.0) == 0.5
    assert done_share(5, 10, 60.0, 4.0) == 0.25
