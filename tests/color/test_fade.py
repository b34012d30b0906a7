"""Dyes: what was lost comes back, what cannot come back is refused by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from color.fade import ABSORPTION, BASE_LOG, Unfading, fading, unfade
from color.transform import ShotTransform
from color.unfade import UnfadeOperator, unfaded_evidence
from media.encoding import Domain
from media.errors import ConfigError, RepairError
from media.passes import Effect, Operator, Window

F64 = NDArray[np.float64]
View = Callable[[int, int, int], F64]

GRAIN = np.full(3, 0.002)
LEFT = np.array([0.5, 1.0, 0.85])
STAIN = np.array([0.0, -0.005, -0.04])


def shots(view: View, count: int = 8) -> list[F64]:
    """(N, 3) colors of scenes; grey on the whole, with colorful things in them."""
    return [view(k, 0, 0)[::6, ::6].reshape(-1, 3) for k in range(40, 40 + count)]


def faded(colors: F64, left: F64 = LEFT, absorption: F64 = ABSORPTION) -> F64:
    matrix, offset = fading(left, absorption, STAIN)
    return np.asarray(colors @ matrix.T + offset)


def error(found: Unfading, truth: list[F64], scanned: list[F64]) -> float:
    return float(
        np.mean([np.abs(found.apply(s) - t).mean() for s, t in zip(scanned, truth, strict=True)])
    )


def test_the_model_keeps_the_base_and_the_neutral_axis_bends_away() -> None:
    base = np.full((1, 3), BASE_LOG)
    np.testing.assert_allclose(faded(base), base + STAIN, atol=1e-12)
    grey = np.full((1, 3), 0.3)
    assert faded(grey)[0, 0] > faded(grey)[0, 1]


@pytest.mark.parametrize("red_left", [0.3, 0.5, 0.7])
def test_five_neutrals_bring_it_back(view: View, red_left: float) -> None:
    left = np.array([red_left, 1.0, 0.85])
    truth = shots(view)
    scanned = [faded(t, left) for t in truth]
    neutrals = faded(np.linspace(0.2, 0.6, 5)[:, None] * np.ones(3), left)
    found = unfade(scanned, GRAIN, neutrals)
    assert found.applied
    np.testing.assert_allclose(found.left, left, atol=0.02)
    # the base of the green layer is taken to be where it was: its own stain stays
    assert error(found, truth, scanned) < 0.2 * np.mean(
        [np.abs(s - t).mean() for s, t in zip(scanned, truth, strict=True)]
    )
    assert found.confidence > 0.8
    assert "5 neutral colors" in found.reason


def test_other_absorptions_than_assumed_still_come_near(view: View) -> None:
    rng = np.random.default_rng(2)
    other = ABSORPTION * (1.0 + rng.uniform(-0.3, 0.3, (3, 3)) * (1.0 - np.eye(3)))
    truth = shots(view)
    scanned = [faded(t, LEFT, other) for t in truth]
    neutrals = faded(np.linspace(0.2, 0.6, 5)[:, None] * np.ones(3), LEFT, other)
    found = unfade(scanned, GRAIN, neutrals)
    assert error(found, truth, scanned) < 0.02


def test_tones_alone_bring_it_near_and_are_less_sure(view: View) -> None:
    truth = shots(view, 12)
    scanned = [faded(t) for t in truth]
    found = unfade(scanned, GRAIN)
    before = np.mean([np.abs(s - t).mean() for s, t in zip(scanned, truth, strict=True)])
    assert error(found, truth, scanned) < 0.35 * before
    assert found.confidence < 0.6
    assert unfade(scanned[:2], GRAIN).confidence < found.confidence


def test_a_reference_frame_settles_everything(view: View) -> None:
    truth = shots(view)
    scanned = [faded(t) for t in truth]
    found = unfade(scanned, GRAIN, reference=(scanned[0][:300], truth[0][:300]))
    assert error(found, truth, scanned) < 0.005
    assert "300 colors of a reference frame" in found.reason


def test_a_layer_that_is_gone_is_refused_by_name(view: View) -> None:
    scanned = [faded(t, np.array([0.02, 1.0, 0.9])) for t in shots(view)]
    found = unfade(scanned, np.full(3, 0.004))
    assert not found.applied
    assert "red (cyan dye)" in found.reason
    assert "grain" in found.reason
    np.testing.assert_array_equal(found.apply(scanned[0]), scanned[0])
    weak = [faded(t, np.array([1.0, 1.0, 0.15])) for t in shots(view)]
    told = unfade(
        weak,
        GRAIN,
        faded(np.linspace(0.2, 0.6, 5)[:, None] * np.ones(3), np.array([1.0, 1.0, 0.15])),
    )
    assert not told.applied
    assert "blue (yellow dye) kept only" in told.reason


def test_a_flat_band_is_refused_by_name(view: View) -> None:
    """The others' cross-talk, taken off it, is no dye."""
    scanned = [t.copy() for t in shots(view)]
    rng = np.random.default_rng(3)
    for picture in scanned:
        picture[..., 0] = 0.3 + rng.normal(0.0, 5e-4, picture.shape[:-1])
    for neutrals in (None, np.array([[0.3, 0.2, 0.2], [0.3, 0.5, 0.5], [0.3, 0.4, 0.4]])):
        found = unfade(scanned, np.full(3, 1e-3), neutrals)
        assert not found.applied
        assert "red (cyan dye) has no more range" in found.reason


def test_what_is_not_how_dyes_fade_is_refused(view: View) -> None:
    """Colors that a person calls neutral and that run against each other."""
    neutrals = np.array([[0.2, 0.4, 0.6], [0.4, 0.4, 0.4], [0.6, 0.4, 0.2]])
    found = unfade(shots(view), GRAIN, neutrals)
    assert not found.applied
    assert "red (cyan dye) would have more than 4 times" in found.reason


def test_nothing_measured_is_an_error() -> None:
    with pytest.raises(ConfigError):
        unfade([], GRAIN)


def test_the_operator_does_what_the_decision_says() -> None:
    matrix, offset = fading(LEFT, ABSORPTION, STAIN)
    operator = UnfadeOperator(matrix.tolist(), offset.tolist())
    assert isinstance(operator, Operator)
    assert (operator.name, operator.radius, operator.domain) == ("fade", 0, Domain.LOG_DENSITY)
    pixels = torch.rand((2, 3, 5, 7), generator=torch.Generator().manual_seed(1)) * 1.4 - 0.2
    before = pixels.clone()
    out = operator(Window.whole(pixels, [4, 5]))
    assert torch.equal(pixels, before)
    expected = pixels.permute(0, 2, 3, 1).double().numpy() @ matrix.T + offset
    np.testing.assert_allclose(out.pixels.permute(0, 2, 3, 1).numpy(), expected, atol=1e-6)
    assert int(out.touch.min()) == int(Effect.ADJUSTED)
    assert operator.key([4]) == operator.key([9])
    assert operator.key([4]) != UnfadeOperator(np.eye(3).tolist(), (0.0,) * 3).key([4])
    with pytest.raises(RepairError, match="one-channel"):
        operator(Window.whole(pixels[:, :1], [4, 5]))


@pytest.mark.device
def test_the_operator_is_the_same_on_a_gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    matrix, offset = fading(LEFT, ABSORPTION, STAIN)
    operator = UnfadeOperator(matrix.tolist(), offset.tolist())
    pixels = torch.rand((2, 3, 64, 48), generator=torch.Generator().manual_seed(1))
    there = operator(Window.whole(pixels.cuda(), [4, 5])).pixels.cpu()
    assert (operator(Window.whole(pixels, [4, 5])).pixels - there).abs().max() <= 1e-5


def test_evidence_is_unfaded_as_the_picture_would_be(
    view: View, observed: Callable[[F64, int], Mapping[str, object]]
) -> None:
    truth = view(41, 0, 0)
    matrix, offset = fading(LEFT, ABSORPTION, STAIN)
    scanned = truth @ matrix.T + offset
    undo = np.linalg.inv(matrix)
    rows = tuple((float(a), float(b), float(c)) for a, b, c in undo)
    shift = -undo @ offset
    found = Unfading(
        matrix=rows,
        offset=(float(shift[0]), float(shift[1]), float(shift[2])),
        left=(1.0, 1.0, 1.0),
        confidence=1.0,
        reason="",
    )
    plain, undone = observed(truth, 1), unfaded_evidence(observed(scanned, 1), found)
    now, then = (np.array(e["quantiles_log"])[:, 2:5] for e in (undone, plain))
    np.testing.assert_allclose(now, then, atol=0.01)
    one, other = (np.sort(np.asarray(e["samples_log"]), axis=0) for e in (undone, plain))
    np.testing.assert_allclose(one.mean(axis=0), other.mean(axis=0), atol=0.004)
    features = undone["features"]
    assert isinstance(features, Mapping)
    whole = ShotTransform(unfading=found)
    assert not whole.is_cdl
    np.testing.assert_allclose(whole.apply(scanned), truth, atol=1e-9)
    near = whole.nearest_cdl(scanned.reshape(-1, 3)[::50])
    assert near.slope[0] > 1.5
