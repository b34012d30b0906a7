"""The script that trained the dirt network: windows with known truth, and learning from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from restore.dirt.evidence import PLANES
from restore.dirt.network import WEIGHTS, DirtNet
from restore.models.train import dirt
from restore.models.train.dirt import Windows, make_windows, train
from restore.models.train.dirt_windows import DIRT, RIM_PX, SOUND, UNSURE, dirtied, window
from restore.models.train.moving import SIDE_PX, read_sources


def test_windows_are_the_same_for_the_same_seed_and_know_their_dirt(photographs: Path) -> None:
    sources = read_sources(photographs)
    made = [window(np.random.default_rng((3, k)), sources) for k in range(6)]
    again = [window(np.random.default_rng((3, k)), sources) for k in range(6)]
    side = SIDE_PX - 2 * RIM_PX
    for (given, known, sigma), (given_again, known_again, _) in zip(made, again, strict=True):
        assert given.shape == (PLANES, side, side)
        assert np.array_equal(given, given_again)
        assert np.array_equal(known, known_again)
        assert np.isfinite(given).all()
        assert sigma > 0.0
    dirty = np.concatenate([np.abs(g[1])[k == DIRT] for g, k, _ in made])
    sound = np.concatenate([np.abs(g[1])[k == SOUND] for g, k, _ in made])
    # Where dirt lies the frame differs from its neighbour by far more than elsewhere.
    assert len(dirty) > 100
    assert float(np.median(dirty)) > 3.0 * float(np.median(sound))


def test_what_is_lost_in_the_grain_is_neither_dirt_nor_sound() -> None:
    sound = np.full((5, 3, 288, 288), 0.45, np.float32)
    strong, weak = (
        [dirtied(np.random.default_rng((5, k)), sound, sigma, 2) for k in range(20)]
        for sigma in (0.2, 0.001)
    )
    for (dirty, grainy), (same, fine) in zip(strong, weak, strict=True):
        assert np.array_equal(dirty, same)
        assert (fine[grainy == DIRT] == DIRT).all()
        assert np.array_equal(grainy == SOUND, fine == SOUND)
    lost = sum(
        int(((g == UNSURE) & (f == DIRT)).sum())
        for (_, g), (_, f) in zip(strong, weak, strict=True)
    )
    seen = sum(int((g == DIRT).sum()) for _, g in strong)
    # Dust is lost in grain as strong as that; a stain is not.
    assert 20 < lost < 0.2 * seen


def test_it_learns_and_writes_what_the_program_loads(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dirt, "_PART", 4)
    monkeypatch.setattr(dirt, "_BATCH", 2)
    kept, out = tmp_path / "net.windows", tmp_path / "net.safetensors"
    make_windows(photographs, kept, 4, seed=1, workers=1)
    assert Windows(kept, 0).given.shape[0] == 4
    train(kept, out, steps=3)
    DirtNet().load_state_dict(load_file(out))


def test_the_shipped_weights_are_small() -> None:
    assert WEIGHTS.stat().st_size < 2_000_000


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no photograph and no film"):
        read_sources(tmp_path)
