"""Kinds of shots: found with a confidence, and a person has the last word."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from color.flags import Flag
from color.protect import RULES, switched_off, with_persons_flags
from color.records import protection
from color.stats import ColorProbe
from media.errors import ConfigError

F64 = NDArray[np.float64]
View = Callable[[int, int, int], F64]
Observed = Callable[[F64, int], Mapping[str, object]]


def names(evidence: Mapping[str, object]) -> list[str]:
    flags = evidence["flags"]
    assert isinstance(flags, list)
    return [f["name"] for f in flags]


def lad() -> F64:
    """Grey steps, color bars and a head-like oval, as on a laboratory aim frame."""
    image = np.full((240, 320, 3), 0.25)
    for k, level in enumerate((0.15, 0.25, 0.335, 0.435, 0.53, 0.62)):
        image[20:90, 20 + 46 * k : 60 + 46 * k] = level
    bars = ((0.55, 0.3, 0.3), (0.3, 0.5, 0.3), (0.3, 0.3, 0.55), (0.55, 0.5, 0.25))
    for k, bar in enumerate(bars):
        image[150:220, 20 + 60 * k : 70 + 60 * k] = bar
    y, x = np.mgrid[0:240, 0:320]
    face = ((y - 120) / 26.0) ** 2 + ((x - 160) / 20.0) ** 2 < 1
    texture = np.random.default_rng(1).normal(0, 0.02, (240, 320, 1))
    return np.where(face[..., None], np.array([0.5, 0.42, 0.38]) + texture, image)


def test_every_rule_says_what_it_does() -> None:
    for rule in RULES.values():
        assert rule.says
        assert set(rule.protects) <= {"match", "balance", "fade"}
    assert set(RULES["tinted"].protects) == {"match", "balance", "fade"}
    assert Flag(name="day_for_night", confidence=1.0, reason="").as_dict()["protects"] == [
        "balance"
    ]


def test_a_laboratory_aim_frame_is_found_and_read(observed: Observed) -> None:
    evidence = observed(lad(), 3)
    assert "lad" in names(evidence)
    why = protection(evidence, "match")
    assert why is not None
    assert "aim 445" in why


@pytest.mark.parametrize("seed", range(4))
def test_an_even_sky_over_a_grey_street_is_no_aim_frame(seed: int) -> None:
    """Even blocks, a grey near the aim, something saturated: but no rectangles of one color."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:240, 0:320]
    image = (0.40 + 0.12 * y / 240 + 0.02 * x / 320)[..., None] * np.ones(3)
    for color in ((0.55, 0.3, 0.3), (0.3, 0.3, 0.55), (0.3, 0.5, 0.3), (0.2, 0.2, 0.21)):
        cy, cx, reach = rng.uniform(60, 200), rng.uniform(40, 280), rng.uniform(25, 40)
        image[np.hypot(y - cy, x - cx) < reach] = color
    probe = ColorProbe()
    for frame in range(2):
        grainy = image + rng.normal(0.0, 0.001, image.shape)
        probe.observe(frame, torch.from_numpy(grainy.astype(np.float32)).permute(2, 0, 1))
    assert "lad" not in names(probe.finish())


@pytest.mark.parametrize("grain_log", [0.0, 0.004, 0.01])
def test_grain_hides_no_aim_frame(observed: Observed, grain_log: float) -> None:
    rng = np.random.default_rng(8)
    found = observed(lad() + rng.normal(0.0, grain_log, (240, 320, 3)), 3)
    assert "lad" in names(found)
    patch = found["grey_patch"]
    assert isinstance(patch, dict)
    assert patch["log"] == pytest.approx([445 / 1023] * 3, abs=1.5 / 1023)


def test_night_is_left_dark(view: View, observed: Observed) -> None:
    night = view(3, 0, 0) * 0.35 + np.array([0.06, 0.07, 0.11])
    evidence = observed(night, 1)
    assert "day_for_night" in names(evidence)
    assert protection(evidence, "balance") is not None
    assert protection(evidence, "match") is None
    assert "day_for_night" not in names(observed(view(3, 0, 0), 1))


def test_a_flash_is_shown_and_left_out_of_the_statistics(view: View) -> None:
    rng = np.random.default_rng(2)
    found = []
    for flash in (0.0, 0.25):
        probe = ColorProbe()
        for n in range(8):
            image = view(4, 0, 0) + rng.normal(0, 0.002, (240, 320, 3)) + flash * (n == 3)
            probe.observe(n, torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1))
        found.append(probe.finish())
    assert "flash" in names(found[1])
    assert "flash" not in names(found[0])
    assert protection(found[1], "match") is None
    np.testing.assert_allclose(
        np.array(found[1]["quantiles_log"]), np.array(found[0]["quantiles_log"]), atol=0.005
    )


def test_frames_of_a_dissolve_are_not_looked_at(view: View) -> None:
    pictures = [view(4, 0, 0)] * 6 + [view(9, 0, 0)] * 2
    plain, mixed = ColorProbe(), ColorProbe(left_out=frozenset({6, 7}))
    for n, image in enumerate(pictures):
        pixels = torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)
        mixed.observe(n, pixels)
        if n < 6:
            plain.observe(n, pixels)
    assert mixed.finish()["quantiles_log"] == plain.finish()["quantiles_log"]
    assert mixed.finish()["frames"] == 6


@pytest.mark.parametrize("count", [1, 7, 8, 9, 16, 17, 100])
def test_looking_only_where_it_counts_gives_the_same_evidence(count: int) -> None:
    rng = np.random.default_rng(5)
    frames = [
        torch.from_numpy(rng.uniform(0.2, 0.6, (3, 48, 64)).astype(np.float32))
        for _ in range(count)
    ]
    whole, quick = ColorProbe(), ColorProbe(frames=count)
    shown = 0
    for n, pixels in enumerate(frames):
        whole.observe(n, pixels)
        if quick.due(n):
            quick.observe(n, pixels)
            shown += 1
        else:
            quick.skip(n)
    a, b = whole.finish(), quick.finish()
    assert (a["sampled"], a["frames"], a["quantiles_log"]) == (
        b["sampled"],
        b["frames"],
        b["quantiles_log"],
    )
    assert shown <= 8


def test_a_person_has_the_last_word() -> None:
    flags = [Flag(name="tinted", confidence=0.9, reason="seen").as_dict()]
    off = with_persons_flags(flags, {"tinted": False}, "R1_0010")
    assert off == []
    assert switched_off(off, "match") is None
    on = with_persons_flags(flags, {"keep_intent": True, "tinted": True}, "R1_0010")
    assert [f["name"] for f in on] == ["tinted", "keep_intent"]
    assert "said by a person" in (switched_off(on, "balance") or "")
    with pytest.raises(ConfigError, match=r"R1_0010\.flags\.tintet") as caught:
        with_persons_flags(flags, {"tintet": True}, "R1_0010")
    assert "'tinted'" in str(caught.value.hint)


def test_what_is_unsure_is_shown_and_switches_nothing_off() -> None:
    flag = {**Flag(name="tinted", confidence=0.4, reason="perhaps").as_dict()}
    assert switched_off([flag], "match") is None
