"""The networks that guide the grain filter: what they may do, and what they may not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from media.errors import ModelRefused
from media.frames import FrameRange
from media.passes import Window
from media.pictures import all_own
from restore.grain_curve import GrainCurve
from restore.models.fused import conv_leaky, conv_relu
from restore.noise import blocks, guide
from restore.noise.apply import NoiseOperator
from restore.noise.efforts import GUIDED, guide_for
from restore.noise.guide import SHAPES, Guide, GuideName, GuideNet, guide_card, guide_network
from restore.noise.transform import Effort, GrainModel
from tests.restore.conftest import CLEAN, SHOT, damage, rendered, scene
from tests.strategies import add_grain, psnr_db
from wetgate.executor import ShotRenderer

SIGMA = 0.012
NAMES: tuple[GuideName, ...] = ("grain-along", "grain-beside")


def operator(effort: str = "usual", channels: int = 3) -> NoiseOperator:
    """For white grain, alike in the channels and at all levels."""
    name, how = GUIDED[effort]
    curve = GrainCurve.flat((SIGMA,) * channels)
    return NoiseOperator(curve, GrainModel.white(channels), 1.0, 0.0, how, Guide(name))


@pytest.mark.parametrize(("effort", "gain_db"), [("fast", 5.0), ("usual", 7.0), ("fine", 7.5)])
@pytest.mark.parametrize("kind", ["still", "pan", "foreground"])
def test_grain_goes_down(effort: str, gain_db: float, kind: str) -> None:
    clean = damage(scene(kind), CLEAN)[0][:9]
    noisy = add_grain(clean, SIGMA, 4)
    fixed, _ = rendered([operator(effort)], noisy)
    inner = slice(3, -3)
    gained = psnr_db(fixed[inner], clean[inner]) - psnr_db(noisy[inner], clean[inner])
    assert gained >= gain_db


@pytest.mark.parametrize("frames", [1, 2, 3])
@pytest.mark.parametrize("effort", ["fast", "usual"])
def test_a_short_shot_gains_too(frames: int, effort: str) -> None:
    clean = damage(scene("drift"), CLEAN)[0][:frames]
    noisy = add_grain(clean, SIGMA, 4)
    fixed, _ = rendered([operator(effort)], noisy)
    assert psnr_db(fixed, clean) >= psnr_db(noisy, clean) + 3.0


def test_a_monochrome_film_gains_too() -> None:
    clean = damage(scene("pan"), CLEAN)[0][:7, :1]
    noisy = add_grain(clean, SIGMA, 4)
    fixed, _ = rendered([operator(channels=1)], noisy)
    assert psnr_db(fixed, clean) >= psnr_db(noisy, clean) + 6.0


@pytest.mark.parametrize("effort", ["fast", "usual"])
def test_chunks_and_order_do_not_matter(effort: str) -> None:
    """What is remembered beside a frame included: any frame first gives the same bits."""
    noisy = add_grain(damage(scene("pan"), CLEAN)[0][:6], SIGMA, 4)
    whole, _ = rendered([operator(effort)], noisy)
    shot = FrameRange(SHOT.start, SHOT.start + 6)
    for k in (4, 0, 5):
        fresh = ShotRenderer(
            "s0001",
            all_own(shot),
            lambda n: torch.from_numpy(noisy[n - SHOT.start]),
            [operator(effort)],
        )
        assert np.array_equal(fresh.frame(SHOT.start + k).pixels.numpy(), whole[k])
    alone = operator(effort)
    window = Window.whole(torch.from_numpy(noisy), tuple(shot))
    at_once = alone(window).pixels.numpy()
    assert np.array_equal(at_once, whole[alone.radius : len(noisy) - alone.radius])


def test_whatever_it_says_nothing_is_painted() -> None:
    """A guide that shows a chessboard where the scan has none: the scan comes out."""
    rng = np.random.default_rng(3)
    planes = rng.standard_normal((3, 1, 64, 96), dtype=np.float32)
    board = np.float32(200.0) * ((np.indices((64, 96)).sum(axis=0) // 4) % 2)
    steps = np.ones(64, np.float32)
    k = np.arange(8)
    dct = np.cos(np.pi * (2 * k[None] + 1) * k[:, None] / 16) * 0.5
    dct[0] /= np.sqrt(2.0)
    window = np.kaiser(8, 2.0).astype(np.float32)
    found = blocks.filtered(
        planes, board[None].astype(np.float32), True, 4, steps, dct.astype(np.float32), window
    )
    inner = (0, slice(8, -8), slice(8, -8))
    asked = np.corrcoef(found[inner].ravel(), board[8:-8, 8:-8].ravel())[0, 1]
    there = np.corrcoef(planes[0][inner].ravel(), board[8:-8, 8:-8].ravel())[0, 1]
    assert abs(found[inner]).max() <= abs(planes[:, 0, 8:-8, 8:-8]).max() * 1.5
    assert abs(float(asked)) < abs(float(there)) + 0.15
    nothing = blocks.filtered(
        planes, np.zeros_like(planes[0]), True, 4, steps, dct.astype(np.float32), window
    )
    assert nothing[inner].std() < 0.35 * planes[0][inner].std()


@pytest.mark.parametrize("name", NAMES)
def test_half_precision_says_nearly_the_same(name: GuideName) -> None:
    shape = SHAPES[name]
    rng = np.random.default_rng(5)
    slow = np.linspace(-20.0, 20.0, 83, dtype=np.float32)
    planes = slow + rng.standard_normal((shape.frames, 3, 61, 83), dtype=np.float32)
    told = guide.conditions(np.ones((8, 8)), np.full((8, 8), 0.25))
    full, half = (Guide(name, half).on_cpu(planes, told) for half in (False, True))
    assert full.shape == (3, 61, 83)
    assert float(np.abs(full - half).mean()) < 0.02
    inner = (slice(None), slice(8, -8), slice(8, -8))
    assert float((full - slow)[inner].std()) < 0.45


def test_a_frame_stands_in_for_neighbours_that_are_not_there() -> None:
    rng = np.random.default_rng(6)
    planes = rng.standard_normal((3, 3, 40, 56), dtype=np.float32)
    told = guide.conditions(np.ones((8, 8)), np.full((8, 8), 0.25))
    seen = [0, 1, 2, 0, 0]
    for half in (False, True):
        along = Guide("grain-along", half)
        assert np.array_equal(along.on_cpu(planes, told, seen), along.on_cpu(planes[seen], told))


def test_one_pass_over_memory_gives_the_same_bits() -> None:
    torch.manual_seed(2)
    layer = nn.Conv2d(48, 48, 3, padding=1).bfloat16()
    layer = layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = torch.randn(1, 48, 20, 31).bfloat16().contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        assert torch.equal(conv_relu(layer, x), torch.relu(layer(x)))
        twice, once = F.leaky_relu(layer(x), 0.1), conv_leaky(layer, x, 0.1)
    # Rounded once instead of twice: half a step of bf16 at most, where it is negative.
    assert torch.equal(once[twice > 0], twice[twice > 0])
    assert bool(((once - twice).abs() <= twice.abs() / 128).all())


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_small_known_and_described(name: GuideName) -> None:
    assert (guide.FOLDER / f"{name}.safetensors").stat().st_size < 2_000_000
    assert isinstance(guide_network(name, "cpu", False), GuideNet)
    card = guide_card(name)
    assert card["name"] == name
    assert {"licence", "trained_on", "made_by", "not_for", "used_for"} <= card.keys()


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytearray((guide.FOLDER / "grain-beside.safetensors").read_bytes())
    data[-1] ^= 1
    (tmp_path / "grain-beside.safetensors").write_bytes(data)
    monkeypatch.setattr(guide, "FOLDER", tmp_path)
    guide_network.cache_clear()
    with pytest.raises(ModelRefused, match="SHA-256"):
        guide_network("grain-beside", "cpu", False)
    with pytest.raises(ModelRefused, match="cannot be read"):
        guide_network("grain-along", "cpu", False)
    guide_network.cache_clear()


def test_auto_takes_the_network_where_it_measures_better() -> None:
    assert [guide_for(e, "auto") for e in ("fast", "usual", "fine")] == [
        "blocks",
        "network",
        "network",
    ]
    assert guide_for("fast", "network") == "network"
    assert guide_for("usual", "blocks") == "blocks"


def test_its_key_tells_network_and_precision_apart() -> None:
    curve, model = GrainCurve.flat((SIGMA,) * 3), GrainModel.white(3)
    keys = [
        str(NoiseOperator(curve, model, 1.0, 0.0, Effort(), g).key((1,)))
        for g in (None, Guide("grain-along"), Guide("grain-along", True), Guide("grain-beside"))
    ]
    assert len(set(keys)) == 4
