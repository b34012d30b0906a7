"""The grain ledger: before, after, target."""

from __future__ import annotations

from typing import Any

import pytest

from restore.grain.measure import GrainProbe
from tests.restore.conftest import CLEAN, damage, observed, rendered, scene
from tests.strategies import add_grain
from wetgate.chain import noise_operator
from wetgate.decisions import ColorDecision, GrainDecision, NoiseDecision, ShotDecisions
from wetgate.stages.grain_ledger import grain_ledger
from wetgate.stages.propose import measured_noise


def test_what_is_left_is_what_was_to_be_left() -> None:
    noisy = add_grain(damage(scene("drift"), CLEAN)[0][:9], 0.012, 4, 0.6)
    before = observed(GrainProbe(), noisy)
    noise = NoiseDecision(applied=True, **measured_noise(before))
    fixed, _ = rendered([noise_operator(noise, 0.5)], noisy)
    decisions = ShotDecisions(
        shot="s1", reel="R1", frames=(1, 9), noise=noise, grain=GrainDecision(kept=0.5)
    )
    ledger = grain_ledger({"grain": before}, {"grain": observed(GrainProbe(), fixed)}, decisions)
    assert ledger["kept"] == 0.5
    assert ledger["target_sigma"] == pytest.approx([0.006] * 3, rel=0.05)
    assert ledger["after"]["sigma"] == pytest.approx(ledger["target_sigma"], rel=0.25)


def test_untouched_grain_stays_as_it_was() -> None:
    noisy = add_grain(damage(scene("still"), CLEAN)[0][:5], 0.012, 4)
    before = {"grain": observed(GrainProbe(), noisy)}
    decisions = ShotDecisions(shot="s1", reel="R1", frames=(1, 5))
    ledger = grain_ledger(before, before, decisions)
    assert ledger["kept"] == 1.0
    assert ledger["target_sigma"] == ledger["before"]["sigma"] == ledger["after"]["sigma"]
    assert grain_ledger({}, {}, decisions)["before"] is None


def test_the_ledger_says_how_far_off_its_target_grain_came_out() -> None:
    before: dict[str, dict[str, Any]] = {
        "grain": {"frames_used": 5, "sigma": [0.01], "sigma_luma": 0.01}
    }
    after: dict[str, dict[str, Any]] = {
        "grain": {"frames_used": 5, "sigma": [0.006], "sigma_luma": 0.006}
    }
    decisions = ShotDecisions(
        shot="s1",
        reel="R1",
        frames=(1, 5),
        noise=NoiseDecision(applied=True, sigma=(0.01,)),
        grain=GrainDecision(kept=0.35, source="made"),
    )
    ledger = grain_ledger(before, after, decisions)
    assert ledger["error"] == pytest.approx(0.25)
    assert ledger["source"] == "made"
    assert grain_ledger(before, {}, decisions)["error"] is None
    # A CDL that is in the picture raises grain with contrast; that is no error.
    graded = decisions.model_copy(update={"balance": ColorDecision(slope=(2.0, 2.0, 2.0))})
    after["grain"]["sigma"], after["grain"]["sigma_luma"] = [0.007], 0.007
    found = grain_ledger(before, after, graded, baked=True)
    assert found["target_sigma"] == [0.007]
    assert found["error"] == pytest.approx(0.0)
