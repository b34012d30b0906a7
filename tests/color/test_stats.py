"""What the probe finds out: sampling, exclusions, and what kind of shot it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from color.flags import chroma_curve, color_flags
from color.records import protection, shot_input
from color.stats import ColorProbe, clip_levels_log
from media.encoding import encoding
from media.passes import Probe

F64 = NDArray[np.float64]
View = Callable[[int, int, int], F64]
Observed = Callable[[F64, int], Mapping[str, object]]


def _names(evidence: Mapping[str, object]) -> list[str]:
    flags = evidence["flags"]
    assert isinstance(flags, list)
    return [f["name"] for f in flags]


def _title(shift: int = 0) -> F64:
    image = np.full((240, 320, 3), 0.2)
    for line in range(4):
        for letter in range(14):
            x = 40 + 17 * letter + shift
            image[60 + 30 * line : 76 + 30 * line, x : x + 9 - (letter * 7 + line) % 4] = 0.62
    return image


@pytest.mark.parametrize("frames", [1, 7, 8, 9, 50, 1000])
def test_sampling_is_bounded_and_spread(frames: int) -> None:
    probe: Probe = ColorProbe()
    picture = torch.rand((3, 24, 32), generator=torch.Generator().manual_seed(1)) * 0.5 + 0.2
    for frame in range(100, 100 + frames):
        probe.observe(frame, picture)
    evidence = probe.finish()
    sampled = evidence["sampled"]
    assert isinstance(sampled, list)
    assert evidence["frames"] == frames
    assert min(frames, 4) <= len(sampled) <= 8
    assert sampled[0] == 100
    assert sampled[-1] >= 100 + frames * 0.7 - 1
    assert len(set(np.diff(sampled).tolist())) <= 1


def test_the_probe_keeps_no_view_of_the_callers_buffer() -> None:
    probe = ColorProbe()
    buffer = torch.full((3, 32, 32), 0.4) + torch.rand(3, 32, 32) * 0.1
    probe.observe(0, buffer)
    buffer.fill_(0.9)
    mean = probe.finish()["mean_log"]
    assert isinstance(mean, list)
    assert max(mean) < 0.6


def test_evidence_of_a_color_shot(view: View, observed: Observed) -> None:
    image = view(1, 0, 0)
    evidence = observed(image, 3)
    assert evidence["flags"] == []
    assert protection(evidence, "match") is None
    arrays = {"samples_log", "features"}
    json.dumps({k: v for k, v in evidence.items() if k not in arrays})
    np.testing.assert_allclose(
        np.array(evidence["quantiles_log"])[:, 3], np.median(image, axis=(0, 1)), atol=0.01
    )
    features = evidence["features"]
    assert isinstance(features, Mapping)
    count = len(features["view"])
    assert 300 < count <= 3 * 820
    assert features["descriptors"].shape == (count, 128)
    assert features["colors_log"].shape == (count, 3)
    points = features["points_px"]
    assert points[:, 0].min() > 0.02 * 320
    assert points[:, 0].max() < 0.98 * 320
    found = shot_input("s", "r", evidence)
    assert found.protected is None
    assert found.quantiles_log is not None
    assert found.quantiles_log.shape == (3, 7)


def test_clipped_black_and_border_pixels_do_not_count(view: View, observed: Observed) -> None:
    image = view(2, 0, 0).copy()
    clean = np.array(observed(image, 1)["quantiles_log"])
    image[:4], image[-4:] = 1.0, 0.0
    image[60:90, 60:90] = 1.0
    image[120:150, 60:90] = 0.05
    evidence = observed(image, 1)
    share = 900 / (230 * 308)
    assert evidence["clipped_share"] == pytest.approx(share, rel=0.1)
    assert evidence["black_share"] == pytest.approx(share, rel=0.1)
    np.testing.assert_allclose(np.array(evidence["quantiles_log"]), clean, atol=0.01)
    features = evidence["features"]
    assert isinstance(features, Mapping)
    assert features["colors_log"].max() < 0.97


def test_tinted_toned_and_monochrome_against_faded_color(
    view: View, observed: Observed, faded: Callable[[F64], F64]
) -> None:
    color = view(3, 0, 0)
    gray = np.repeat(color.mean(axis=2, keepdims=True), 3, axis=2)
    assert _names(observed(gray, 1)) == ["monochrome"]
    tint = gray + np.array([0.08, 0.0, -0.06])
    assert _names(observed(tint, 1)) == ["tinted"]
    # a toned silver image: the darker, the more color; clear where there is no silver
    tone = gray + (0.6 - gray) * np.array([0.25, 0.0, -0.2])
    assert _names(observed(tone, 1)) == ["toned"]
    both = tone + np.array([-0.05, 0.0, 0.12])
    assert _names(observed(both, 1)) == ["tinted", "toned"]
    assert _names(observed(faded(color), 1)) == []
    # two thirds of the red layer gone, and a heavy cast
    ruin = color * np.array([0.35, 0.8, 0.7]) + np.array([0.3, 0.05, 0.06])
    evidence = observed(ruin, 1)
    assert _names(evidence) == []
    assert "features" in evidence
    why = protection(observed(tint, 1), "match")
    assert why is not None
    assert "hue" in why


def test_a_little_color_in_a_grey_picture_is_color(view: View, observed: Observed) -> None:
    gray = np.repeat(view(3, 0, 0).mean(axis=2, keepdims=True), 3, axis=2) + 0.02
    gray[100:116, 100:124] += np.array([0.12, -0.03, -0.03])
    assert _names(observed(gray, 1)) == []


def test_more_spread_means_less_sure() -> None:
    rng = np.random.default_rng(1)
    luma = rng.uniform(0.2, 0.6, (500, 1))
    sure = [
        color_flags(chroma_curve(luma + rng.normal(0.0, s, (500, 3))))[0].confidence
        for s in (0.0, 0.0015, 0.0025)
    ]
    assert sure[0] > sure[1] > sure[2] > 0.5
    assert color_flags(chroma_curve(luma + rng.normal(0.0, 0.02, (500, 3)))) == []


def test_one_channel_is_monochrome(view: View, observed: Observed) -> None:
    evidence = observed(view(4, 0, 0)[..., :1], 1)
    assert _names(evidence) == ["monochrome"]
    assert protection(evidence, "balance") is not None


def test_black_flat_and_title(observed: Observed) -> None:
    assert _names(observed(np.full((240, 320, 3), 0.08), 1)) == ["black"]
    assert "leader" in _names(observed(np.full((240, 320, 3), (0.55, 0.45, 0.45)), 1))
    assert "intertitle" in _names(observed(_title(), 1))
    assert _names(ColorProbe().finish()) == ["black"]


def test_moving_bright_shapes_are_no_title() -> None:
    probe = ColorProbe()
    for frame in range(4):
        probe.observe(
            frame, torch.from_numpy(_title(6 * frame).astype(np.float32)).permute(2, 0, 1)
        )
    assert "intertitle" not in _names(probe.finish())


def test_clip_levels_follow_the_encoding() -> None:
    assert clip_levels_log(None) == clip_levels_log(encoding("cineon")) == (0.03, 0.97)
    low, high = clip_levels_log(encoding("rec709"))
    assert 95 / 1023 < low < 0.12
    assert 0.65 < high < 685 / 1023
