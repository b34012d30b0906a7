"""Candidates for skin, sky and neutral: soft, and blind to exposure."""

from __future__ import annotations

import numpy as np

from color.candidates import candidates

SKIN = np.array([[0.50, 0.42, 0.37], [0.42, 0.35, 0.30], [0.33, 0.27, 0.22]])
SKY = np.array([[0.48, 0.53, 0.60], [0.55, 0.60, 0.66]])
GREY = np.array([[0.2] * 3, [0.435] * 3, [0.6] * 3])


def test_each_kind_is_itself_first() -> None:
    for name, colors in (("skin", SKIN), ("sky", SKY), ("neutral", GREY)):
        found = candidates(colors)
        weights = {k: getattr(found, k).mean() for k in ("skin", "sky", "neutral")}
        assert max(weights, key=lambda k: weights[k]) == name
        assert weights[name] > 0.5


def test_a_stop_more_or_less_leaves_skin_skin() -> None:
    for stop in (-0.07, 0.07):
        assert candidates(SKIN + stop).skin.mean() > 0.4


def test_a_cast_is_taken_off_first_and_shares_add_up() -> None:
    cast = np.array([0.05, 0.0, -0.04])
    found = candidates(GREY + cast, (0.05, -0.04))
    assert found.neutral.min() > 0.9
    told = found.as_dict(GREY + cast)
    neutral = told["neutral"]
    assert isinstance(neutral, dict)
    assert neutral["share"] > 0.9
    skin = told["skin"]
    assert isinstance(skin, dict)
    assert skin["share"] < 0.1
    assert skin["mean_log"] is None
