"""Grain that is made looks like the grain that was measured, the same wherever it is made."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from media.encoding import light_to_log, log_to_light, rec709_decode, rec709_encode
from media.errors import InputError
from media.frames import FrameRange
from media.passes import Effect, Window
from media.pictures import all_own
from restore.dirt.apply import DirtOperator
from restore.dirt.detect import DirtOptions
from restore.grain.apply import GrainOperator, lost_by_blending
from restore.grain.av1 import GrainEntry, entry, read_table, table_text, texture
from restore.grain.av1_filter import halved, spread
from restore.grain.field import quantiles, white
from restore.grain.measure import GrainProbe
from restore.grain.synth import (
    F64,
    GrainField,
    GrainLook,
    enlarged,
    kernel,
    strength,
    white_autocorrelation,
)
from restore.grain_curve import GrainCurve
from restore.rebuild.apply import RebuildOperator
from tests.restore.conftest import CLEAN, SHOT, damage, observed, rendered, scene
from tests.strategies import add_grain
from wetgate.chain import grain_look
from wetgate.decisions import GrainDecision, NoiseDecision
from wetgate.executor import ShotRenderer
from wetgate.stages.propose import measured_noise
from wetgate.tiles import apply_tiled

LAGS = np.arange(8)


def near(size_px: float) -> F64:
    """Autocorrelation of white noise blurred by a Gaussian."""
    if not size_px:
        return white_autocorrelation()
    found: F64 = np.exp(-(LAGS[:, None] ** 2 + LAGS[None] ** 2) / (4.0 * size_px**2))
    return found


def look(size_px: float = 0.8, likeness: float = 0.3) -> GrainLook:
    curve = GrainCurve((0.1, 0.5, 0.9), tuple((0.005, s, 0.006) for s in (0.011, 0.01, 0.013)))
    channels = likeness + (1.0 - likeness) * np.eye(3)
    return GrainLook(curve, near(size_px), channels)


def autocorrelation(planes: np.ndarray[tuple[int, ...], np.dtype[np.float32]], lag: int) -> float:
    values = planes.astype(np.float64)
    values -= values.mean(axis=(-2, -1), keepdims=True)
    return float((values[..., lag:] * values[..., :-lag]).mean() / np.square(values).mean())


def test_random_numbers_are_normal_and_strangers_to_each_other() -> None:
    one = white(5, 86400, 0, 0, 0, (512, 512))
    assert float(one.mean()) == pytest.approx(0.0, abs=0.01)
    assert float(one.std()) == pytest.approx(1.0, abs=0.01)
    assert float((one.astype(np.float64) ** 4).mean()) == pytest.approx(3.0, abs=0.1)
    others = {
        "seed": white(6, 86400, 0, 0, 0, (512, 512)),
        "frame": white(5, 86401, 0, 0, 0, (512, 512)),
        "channel": white(5, 86400, 1, 0, 0, (512, 512)),
        "row": white(5, 86400, 0, 1, 0, (512, 512)),
        "column": white(5, 86400, 0, 0, 1, (512, 512)),
        "diagonal": white(5, 86400, 0, 1, -1, (512, 512)),
    }
    for name, other in others.items():
        assert abs(float(np.corrcoef(one.ravel(), other.ravel())[0, 1])) < 0.008, name


def test_random_numbers_belong_to_places() -> None:
    whole = white(5, 12, 2, -8, -8, (64, 80))
    assert np.array_equal(white(5, 12, 2, 3, 10, (20, 30)), whole[11:31, 18:48])
    assert float(quantiles().std()) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("size_px", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("size", [1, 2, 4])
def test_texture_and_channels_are_those_of_the_look(size_px: float, size: int) -> None:
    field = GrainField(look(size_px), size, 3)
    grain = np.stack([field.grain(k, 0, 0, (256, 256)) for k in range(6)])
    assert float(grain.var()) == pytest.approx(1.0, abs=0.03)
    wanted = enlarged(near(size_px), size)
    for lag in range(1, min(4, len(wanted))):
        assert autocorrelation(grain, lag) == pytest.approx(float(wanted[0, lag]), abs=0.03)
    likeness = np.corrcoef(grain[:, 0].ravel(), grain[:, 2].ravel())[0, 1]
    assert float(likeness) == pytest.approx(0.3, abs=0.05)
    apart = np.corrcoef(grain[0].ravel(), grain[1].ravel())[0, 1]
    assert abs(float(apart)) < 0.02


@pytest.mark.parametrize("size", [1.5, 1.875, 2.6667])
def test_texture_grows_with_a_picture_of_any_size(size: float) -> None:
    """Neighbours so many pixels of the result apart are as alike as on the scan."""
    made = GrainField(look(1.0), size, 3).grain(101, 0, 0, (420, 500))
    assert float(made.std()) == pytest.approx(1.0, abs=0.05)
    for lag in (1, 2, 3, 4):
        expected = np.exp(-((lag / size) ** 2) / 4.0)
        assert autocorrelation(made, lag) == pytest.approx(expected, abs=0.05)


def test_a_kernel_has_unit_energy_and_its_own_autocorrelation() -> None:
    taps = kernel(near(1.0))
    assert float(np.square(taps).sum()) == pytest.approx(1.0)
    shifted = float((taps[:, 1:] * taps[:, :-1]).sum())
    assert shifted == pytest.approx(float(near(1.0)[0, 1]), abs=0.02)


def test_strength_follows_the_level_of_each_channel() -> None:
    ramp = torch.linspace(0.0, 1.0, 101).repeat(3, 1)[:, None]
    found = strength(look().curve, ramp)
    assert found[0, 0, 50] == pytest.approx(0.011)
    assert found[2, 0, 30] == pytest.approx(0.009)
    assert found[1, 0, 0] == pytest.approx(0.005)
    assert found[1, 0, 100] == pytest.approx(0.006)


def test_taken_from_the_measure_it_measures_the_same() -> None:
    """Measured, made in full on the clean picture, measured again."""
    clean = damage(scene("pan"), CLEAN)[0][:9]
    noisy = add_grain(clean, 0.012, 4, 0.7)
    before = observed(GrainProbe(), noisy)
    noise = NoiseDecision(applied=True, **measured_noise(before))
    grain = GrainDecision(
        kept=1.0, source="made", seed=9, autocorrelation=before["autocorrelation"]
    )
    operator = GrainOperator(grain_look(noise, grain), 1.0, 9)
    window = Window.whole(torch.from_numpy(clean), tuple(SHOT)[:9])
    done = operator(window)
    after = observed(GrainProbe(), done.pixels.numpy())
    assert after["sigma"] == pytest.approx(before["sigma"], rel=0.06)
    assert after["correlation"] == pytest.approx(before["correlation"], abs=0.05)
    made, truth = done.pixels.numpy() - clean, noisy - clean
    assert float(made.var()) == pytest.approx(float(truth.var()), rel=0.1)
    assert bool((done.touch.numpy()[made.any(axis=1, keepdims=True)] == Effect.INVENTED).all())


def test_tiles_frames_and_order_agree_to_the_bit() -> None:
    clean = torch.from_numpy(damage(scene("pan"), CLEAN)[0][:3].copy())
    operator = GrainOperator(look(), 0.6, 9, size=2)
    whole = operator(Window.whole(clean, (7, 8, 9)))
    tiled = apply_tiled(operator, Window.whole(clean, (7, 8, 9)), 50)
    assert torch.equal(tiled.pixels, whole.pixels)
    renderer = ShotRenderer(
        "s", all_own(FrameRange(7, 10)), lambda n: clean[n - 7], [GrainOperator(look(), 0.6, 9, 2)]
    )
    assert torch.equal(renderer.frame(9).pixels, whole.pixels[2])


@pytest.mark.parametrize("size_px", [0.0, 0.6, 1.0])
def test_av1_table_reads_back_to_the_same_grain(size_px: float) -> None:
    made = entry(look(size_px), 1.0, 1, 77, 0, 10_000_000)
    text = table_text([made, made])
    first, second = read_table(text)
    assert first == second == made
    assert text.startswith("filmgrn1\nE 0 10000000 1 78 1\n\tp 3 ")
    # Coarse grain is made a little less coarse than it was: the decoder's taps are small.
    found = made.autocorrelation(0)
    for dy, dx in ((0, 1), (1, 0), (1, 1), (0, 2)):
        wanted = float(near(size_px)[dy, dx]) if size_px else 0.0
        assert float(found[dy, dx]) == pytest.approx(wanted, abs=0.08)
    # Half the share is half as strong.
    half = entry(look(size_px), 0.5, 1, 77, 0, 10_000_000)
    for grey in (60, 125, 200):
        assert half.sigma(0, grey) == pytest.approx(0.5 * made.sigma(0, grey), rel=0.05)
        assert made.sigma(0, grey) > made.sigma(0, 20)


def decoded(taps: tuple[int, ...], made: GrainEntry) -> NDArray[np.float64]:
    """Grain of a plane by a decoder's own steps, 8 bit (AV1 specification 7.18.3.3)."""
    numbers = 512.0 * np.random.default_rng(3).normal(size=(73, 82))
    grain = np.floor(numbers / 2.0 ** (4 + made.grain_shift) + 0.5)
    for y in range(3, 73):
        for x in range(3, 79):
            around = grain[y - 3 : y + 1, x - 3 : x + 4].ravel()[:24]
            more = np.floor(around @ taps / 2.0**made.ar_shift + 0.5)
            grain[y, x] = np.clip(grain[y, x] + more, -128, 127)
    found: NDArray[np.float64] = grain[9:, 9:-9]
    return found


@pytest.mark.parametrize("size_px", [0.6, 0.8, 1.0, 1.6, 2.0])
@pytest.mark.parametrize("size", [1.0, 1.5, 2.0, 4.0])
def test_av1_grain_is_what_decoders_make_of_it(size_px: float, size: float) -> None:
    """Coarse or enlarged grain piles up in the filter, and small taps of 8 bits say little: the
    strength is right all the same, and how far the texture is off is known."""
    fit = texture(look(size_px), size)
    made = entry(look(size_px), 1.0, size, 77, 0, 10_000_000, fit=fit)
    lags = np.zeros((16, 16))
    wanted = enlarged(near(size_px), size)[:16, :16]
    lags[: len(wanted), : len(wanted)] = wanted
    for plane, grown in ((0, lags), (1, halved(lags))):
        taps = made.taps[plane][:24]
        gain = np.sqrt(spread(np.array(taps) / 2.0**made.ar_shift)[0, 0])
        found = decoded(taps, made)
        # In other numbers than those it was chosen by: coarse grain has few to a block.
        assert found.std() == pytest.approx(fit.sigma[plane], rel=0.17)
        assert gain * 32.0 / 2.0**made.grain_shift == pytest.approx(fit.sigma[plane], rel=0.13)
        assert np.mean(np.abs(found) >= 127) < 0.02
        off = np.abs(made.autocorrelation(plane)[:4, :4] - grown[:4, :4]).max()
        assert off < fit.unlike[plane] + 0.06
        assert fit.unlike[plane] < 0.24


def test_grain_that_no_av1_filter_makes_is_known_to_be_unlike() -> None:
    assert max(texture(look(3.0), 4).unlike) > 0.25


def test_av1_grain_follows_the_color_of_the_result() -> None:
    """A grade that spreads the picture spreads its grain, at the levels where it then lies."""
    flat = GrainLook(GrainCurve.flat((0.01,) * 3), near(0.6), np.eye(3))
    plain = entry(flat, 1.0, 1, 3, 0, 1)
    steeper = entry(flat, 1.0, 1, 3, 0, 1, graded=lambda v: 1.5 * v - 0.2)
    for code in (60, 125, 200):
        assert steeper.sigma(0, code) == pytest.approx(1.5 * plain.sigma(0, code), rel=0.03)
    graded = entry(look(0.6), 1.0, 1, 3, 0, 1, graded=lambda v: v + np.array([0.1, 0.1, 0.1]))
    moved = GrainCurve((0.2, 0.6, 1.0), look().curve.sigma)
    by_hand = entry(GrainLook(moved, near(0.6), look().channels), 1.0, 1, 3, 0, 1)
    for plane in (0, 1, 2):
        for code in (60, 125, 200):
            assert graded.sigma(plane, code) == pytest.approx(by_hand.sigma(plane, code), rel=0.05)


def test_grain_stronger_than_an_av1_table_can_say_is_refused() -> None:
    strong = GrainLook(GrainCurve.flat((0.5,) * 3), near(0.6), np.eye(3))
    with pytest.raises(OverflowError, match="% of the strongest that a table can say"):
        entry(strong, 1.0, 1, 3, 0, 1)


def test_av1_strength_is_that_of_display_codes() -> None:
    """Grain of one strength at all levels, on grey, pushed through the display's curve."""
    flat = GrainLook(GrainCurve.flat((0.01,) * 3), near(0.6), np.eye(3))
    made = entry(flat, 1.0, 1, 3, 0, 1)
    rng = np.random.default_rng(1)
    for code in (60, 125, 200):
        level = light_to_log(rec709_decode(torch.tensor([(code - 16) / 219.0])))
        noisy = level + torch.from_numpy(rng.normal(0.0, 0.01, (3, 200_000)).astype(np.float32))
        shown = rec709_encode(log_to_light(noisy)).numpy()
        luma = np.array([0.2126, 0.7152, 0.0722]) @ shown * 219.0
        assert made.sigma(0, code) == pytest.approx(float(luma.std()), rel=0.06)


@pytest.mark.parametrize(
    ("damage_to", "words"),
    [
        (lambda t: t.replace("filmgrn1", "filmgrn2"), "does not begin with filmgrn1"),
        (lambda t: t.replace("\tp 3", "\tp 2"), "lag 3 expected"),
        (lambda t: t.replace("sCb 10", "sCb 9"), "points of rising luma"),
        (lambda t: t.replace("\tcCr ", "\tcCr 1 "), "25 taps expected"),
        (lambda t: t.replace("\tsCr", "\tsCx"), "sCr expected"),
        (lambda t: "\n".join(t.splitlines()[:-1]), "line 2"),
        (lambda t: t.replace("E 0", "E zero"), "line 2"),
    ],
)
def test_bad_av1_tables_are_refused_by_name(damage_to: object, words: str) -> None:
    assert callable(damage_to)
    text = table_text([entry(look(), 1.0, 1, 77, 0, 10_000_000)])
    with pytest.raises(InputError, match=words):
        read_table(damage_to(text))


def test_a_frame_made_from_two_has_the_grain_of_those_beside_it() -> None:
    clean = damage(scene("still"), CLEAN)[0][:3]
    noisy = add_grain(clean, 0.012, 4, 0.7)
    evidence = observed(
        GrainProbe(), add_grain(damage(scene("still"), CLEAN)[0][:9], 0.012, 5, 0.7)
    )
    noise = NoiseDecision(applied=True, **measured_noise(evidence))
    grain = GrainDecision(kept=1.0, autocorrelation=evidence["autocorrelation"])
    look_of_it = grain_look(noise, grain)
    middle = SHOT.start + 1
    topped_up = GrainOperator(look_of_it, 0.0, 5, only={middle: lost_by_blending(0.5)})
    bare, _ = rendered([RebuildOperator({middle: 0.5})], noisy)
    full, touch = rendered([RebuildOperator({middle: 0.5}), topped_up], noisy)
    own = float((noisy[1] - clean[1]).std())
    assert float((bare[1] - clean[1]).std()) < 0.8 * own
    assert float((full[1] - clean[1]).std()) == pytest.approx(own, rel=0.08)
    assert np.array_equal(full[[0, 2]], noisy[[0, 2]])
    assert not touch[[0, 2]].any()


def test_what_is_borrowed_for_dirt_brings_its_own_grain() -> None:
    """One neighbour, not a mean: the filled place is no smoother than what surrounds it."""
    clean = damage(scene("drift"), CLEAN)[0][:7]
    noisy = add_grain(clean, 0.012, 4, 0.6)
    dirty = noisy.copy()
    y, x = np.mgrid[: noisy.shape[2], : noisy.shape[3]]
    rng = np.random.default_rng(1)
    spots = np.zeros(noisy.shape[2:], np.bool_)
    for _ in range(14):
        spots |= (y - rng.integers(15, 140)) ** 2 + (x - rng.integers(15, 220)) ** 2 < 25
    dirty[3][:, spots] = 0.85
    fixed, touch = rendered([DirtOperator(0.012, DirtOptions(max_area_share=0.5))], dirty)
    filled = spots & (touch[3] == int(Effect.BORROWED))
    assert filled.sum() > 300

    def spread_of(values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> float:
        return float(1.4826 * np.median(np.abs(values - np.median(values))))

    left = spread_of((fixed[3] - clean[3])[:, filled])
    assert 0.85 < left / spread_of((noisy[3] - clean[3])[:, filled]) < 1.5


def test_knots_that_coincide() -> None:
    """A grey card is of one level, to the digits that a decision keeps."""
    curve = GrainCurve((0.3, 0.4, 0.4, 0.5), ((0.01, 0.02, 0.03, 0.04),))
    found = strength(curve, torch.tensor([[[0.2, 0.35, 0.45, 0.6]]]))
    assert found.flatten().tolist() == pytest.approx([0.01, 0.015, 0.035, 0.04])
