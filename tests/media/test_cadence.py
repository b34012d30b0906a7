"""Doubled frames are found, stillness is not taken for doubling, and nothing is changed."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from media.cadence import CadenceProbe
from media.frames import FrameRange
from media.synthetic import Damage, damage_shot
from tests.strategies import F32, add_grain, pan, still

FIRST, FRAMES = 1001, 48


def codes_of(scene: F32) -> list[np.ndarray]:
    return [np.rint(f.transpose(1, 2, 0) * 1023).clip(0, 1023).astype(np.uint16) for f in scene]


def looked(frames: list[np.ndarray]) -> CadenceProbe:
    probe = CadenceProbe()
    for number, codes in enumerate(frames, start=FIRST):
        probe.observe(number, codes)
    return probe


def doubled_at(
    frames: list[np.ndarray], places: set[int], noise: float, seed: int
) -> tuple[list[np.ndarray], list[int]]:
    """Frames with some repeated; every frame with a little noise of a later generation."""
    rng = np.random.default_rng(seed)
    out, truth = [], []
    for k, frame in enumerate(frames):
        out.append(frame)
        if k in places:
            truth.append(FIRST + len(out))
            out.append(frame)
    noisy = [
        np.clip(np.rint(f + noise * rng.normal(size=f.shape)), 0, 1023).astype(np.uint16)
        for f in out
    ]
    return noisy, truth


def material(kind: str, seed: int) -> list[np.ndarray]:
    scene = pan(seed, FRAMES, 96, 128, 1.3) if kind == "pan" else still(seed, FRAMES, 96, 128)
    return codes_of(add_grain(scene, 0.012, seed + 1, 0.7))


@pytest.mark.parametrize("kind", ["pan", "still"])
@pytest.mark.parametrize("share", [0.1, 0.45])
@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_doubled_frames_are_found(kind: str, share: float, noise: float) -> None:
    rng = np.random.default_rng(3)
    places = set(rng.choice(FRAMES, int(share * FRAMES), replace=False).tolist())
    frames, truth = doubled_at(material(kind, 5), places, noise, 9)
    whole = FrameRange(FIRST, FIRST + len(frames))
    assert looked(frames).doubled([whole]) == tuple(truth)


@pytest.mark.parametrize("kind", ["pan", "still"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_pictures_of_their_own_are_not_doubled(kind: str, seed: int) -> None:
    frames = material(kind, seed)
    assert looked(frames).doubled([FrameRange(FIRST, FIRST + len(frames))]) == ()


@pytest.mark.parametrize(("kind", "seed"), [("pan", 0), ("still", 9)])
@pytest.mark.parametrize("size_px", [0.0, 0.6, 1.2])
def test_weave_and_light_that_come_back_are_no_repeat(kind: str, seed: int, size_px: float) -> None:
    scene = pan(seed, 40, 112, 144, 0.7) if kind == "pan" else still(seed, 40, 112, 144)
    worn = Damage(
        flicker_stops=0.1,
        weave_px=(0.8, 0.6),
        grain_sigma=0.006,
        grain_size_px=size_px,
        dirt_per_frame=1.0,
    )
    frames = codes_of(damage_shot(scene, worn, seed)[0])
    whole = FrameRange(FIRST, FIRST + len(frames))
    assert looked(frames).doubled([whole]) == ()
    repeated, truth = doubled_at(frames, {5, 12, 25}, 1.0, 3)
    whole = FrameRange(FIRST, FIRST + len(repeated))
    assert looked(repeated).doubled([whole]) == tuple(truth)


def test_movement_that_dies_down_is_no_repeat() -> None:
    steps = np.concatenate([np.full(12, 4.0), 4.0 * 0.6 ** np.arange(16)])
    wide = pan(8, 140, 96, 128, 1.0)
    places = np.rint(np.cumsum(steps) * 1.0).astype(int).clip(0, 139)
    clean = [wide[p] for p in dict.fromkeys(places.tolist())]
    frames = codes_of(add_grain(np.stack(clean), 0.002, 4))
    assert looked(frames).doubled([FrameRange(FIRST, FIRST + len(frames))]) == ()


@pytest.mark.parametrize("frames", [5, 8])
def test_a_destroyed_frame_makes_no_repeats_of_the_others(frames: int) -> None:
    """It is so far from its neighbours that they seem near each other."""
    scene = codes_of(add_grain(pan(4, frames, 96, 128, 0.1), 0.002, 5, 0.7))
    middle = frames // 2
    scene[middle] = np.full_like(scene[0], 990)
    whole = FrameRange(FIRST, FIRST + frames)
    assert looked(scene).doubled([whole], {FIRST + middle}) == ()
    twice = [*scene[:2], scene[1], *scene[2:]]
    longer = FrameRange(FIRST, whole.stop + 1)
    assert looked(twice).doubled([longer], {FIRST + middle + 1}) == (FIRST + 2,)


def test_the_first_frame_of_a_shot_repeats_nothing() -> None:
    frames = material("still", 6)
    frames = [*frames[:10], frames[9], *frames[10:]]
    cut = FIRST + 10
    probe = looked(frames)
    assert probe.doubled([FrameRange(FIRST, FIRST + 49)]) == (cut,)
    assert probe.doubled([FrameRange(FIRST, cut), FrameRange(cut, FIRST + 49)]) == ()


def test_a_regular_cadence_is_named() -> None:
    frames, truth = doubled_at(material("pan", 7), set(range(2, FRAMES, 3)), 0.5, 2)
    report = looked(frames).report(truth, Fraction(24))
    assert (report.period, report.apparent_rate) == (4, Fraction(18))
    assert "18 pictures a second" in report.notes[0]


def test_interlaced_pictures_are_noticed() -> None:
    frames = [f.copy() for f in codes_of(pan(4, 24, 96, 128, 5.0))]
    combed = []
    for early, late in zip(frames[0::2], frames[1::2], strict=True):
        woven = early.copy()
        woven[1::2] = late[1::2]
        combed.append(woven)
    report = looked(combed).report((), Fraction(25))
    assert report.combed_share > 0.5
    assert any("interlaced" in note for note in report.notes)
    assert looked(frames).report((), Fraction(25)).combed_share < 0.1
