"""The planted trial: predicts what is found, and chooses a strength that keeps the budget."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from media.movers import MOVERS, Mover, plant_movers
from media.specks import draw_worn, lay_on
from restore.dirt.apply import DirtOperator
from restore.dirt.detect import DirtOptions
from restore.dirt.look import RADIUS
from restore.dirt.trial import STRENGTHS, Chosen, Detector, TrialProbe, choose
from tests.restore.conftest import CLEAN, FRAMES, SHOT, damage, observed, rendered, scene

GRAINY = replace(CLEAN, grain_sigma=0.010)
SIGMA = 0.0075


@pytest.mark.parametrize("detector", ["network", "rules"])
@pytest.mark.parametrize("kind", ["pan", "foreground"])
def test_recall_is_predicted(kind: str, detector: Detector) -> None:
    """The trial is shown the dirty shot, and knows nothing of what dirt there is on it."""
    sound, _ = damage(scene(kind), GRAINY)
    at = STRENGTHS[detector].index(0.35 if detector == "network" else 5.5)
    options = DirtOptions(detector=detector, max_area_share=1.0)
    found, there, predicted = 0, 0, []
    for seed in range(3):
        rng = np.random.default_rng((99, seed))
        dirty = sound.copy()
        for frame in dirty:
            for _ in range(2):
                lay_on(rng, frame, draw_worn(rng))
        truth = np.abs(dirty - sound).max(axis=1) > 0.03
        _, touch = rendered([DirtOperator(SIGMA, options)], dirty)
        found, there = found + int(((touch > 0) & truth).sum()), there + int(truth.sum())
        predicted.append(observed(TrialProbe(detector, FRAMES), dirty)["recall"][at])
    assert abs(found / there - float(np.mean(predicted))) <= 0.1


def test_the_shot_is_not_changed_and_the_trial_repeats_itself() -> None:
    frames, _ = damage(scene("pan"), GRAINY)
    before = frames.copy()
    first, again = (observed(TrialProbe("network", FRAMES), frames) for _ in range(2))
    assert np.array_equal(frames, before)
    assert first == again
    assert set(first["movers"]) == set(MOVERS)
    assert first["planted_px"] > 0


def test_milder_strengths_find_less_and_take_less() -> None:
    frames, _ = damage(scene("drift"), GRAINY)
    evidence = observed(TrialProbe("rules", FRAMES), frames)
    for key in ("recall", "false_removed", "taken_share"):
        assert evidence[key] == sorted(evidence[key], reverse=True)


def test_a_short_shot_is_not_tried() -> None:
    frames, _ = damage(scene("still"), GRAINY)
    evidence = observed(TrialProbe("network", 4), frames[:4])
    assert evidence["recall"] == []
    assert choose(evidence, 0.02, 0.5) == Chosen(strength=0.5, reason="too short to be tried")
    assert choose(evidence, 0.0, 0.5).strength is None


EVIDENCE = {
    "strengths": [0.2, 0.5, 0.8],
    "recall": [0.95, 0.9, 0.7],
    "false_removed": [0.2, 0.06, 0.01],
    "taken_share": [0.01, 0.002, 0.001],
}


def test_the_asked_strength_stands_where_it_keeps_the_budget() -> None:
    chosen = choose(EVIDENCE, 0.10, 0.5)
    assert (chosen.strength, chosen.recall, chosen.reason) == (0.5, 0.9, "")


def test_milder_where_it_does_not() -> None:
    chosen = choose(EVIDENCE, 0.05, 0.5)
    assert (chosen.strength, chosen.false_removed) == (0.8, 0.01)
    assert "at 0.5 it would take 6.0 %" in chosen.reason


@pytest.mark.parametrize(("asked", "told"), [(0.7, 0.06), (0.5, 0.06), (0.2, 0.2)])
def test_between_two_strengths_the_more_sensitive_answers(asked: float, told: float) -> None:
    chosen = choose(EVIDENCE, 0.5, asked)
    assert (chosen.strength, chosen.false_removed) == (asked, told)


def test_left_alone_where_nothing_keeps_it() -> None:
    chosen = choose(EVIDENCE, 0.001, 0.5)
    assert chosen.strength is None
    assert "even at 0.8 it would take 1.0 % of small moving things" in chosen.reason


@pytest.mark.parametrize("kind", MOVERS)
def test_moving_things_are_planted_where_they_are_said_to_be(kind: Mover) -> None:
    frames = np.full((6, 3, 200, 300), 0.45, np.float32)
    seen = plant_movers(np.random.default_rng(5), frames, kind, 2.0)
    assert np.array_equal(np.abs(frames - 0.45).max(axis=1) > 0.03, seen)
    assert 0.0 < float(seen.mean()) < 0.3
    assert torch.isfinite(torch.from_numpy(frames)).all()


def test_every_kind_of_moving_thing_is_tried_even_on_a_short_shot() -> None:
    frames, _ = damage(scene("pan"), GRAINY)
    evidence = observed(TrialProbe("network", 5), frames[:5])
    assert len(evidence["frames"]) == 3
    assert set(evidence["movers"]) == set(MOVERS)


def test_the_ends_of_a_short_shot_count_and_those_of_a_long_one_do_not() -> None:
    frames, _ = damage(scene("pan"), GRAINY)
    short = observed(TrialProbe("network", FRAMES), frames)
    assert short["frames"][0] == SHOT.start
    assert short["frames"][-1] == SHOT.stop - 1
    long = observed(TrialProbe("network", 200), frames)
    assert long["frames"][0] == SHOT.start + RADIUS
