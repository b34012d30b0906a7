"""Networks that remember: fixed blocks, so that chunks and kills leave no trace."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from torch import Tensor

from media.frames import FrameRange
from media.passes import Effect, Operator
from media.pictures import Pictures, all_own
from restore.models.card import ModelCard
from restore.upscale.network import NetworkUpscale
from tests.contract.conftest import operator
from tests.strategies import texture
from wetgate.executor import ShotRenderer

SHOT = FrameRange(50, 61)
BLOCK, WARM_UP = 4, 2


def recurrent(
    arch: str = "basicvsr", block_frames: int = BLOCK, warm_up_frames: int = WARM_UP
) -> NetworkUpscale:
    """A seeded network of few weights; its card names no file that is read here."""
    card = ModelCard(
        path=Path("seeded.safetensors"),
        sha256=hashlib.sha256(arch.encode()).hexdigest(),
        licence="MIT",
        arch=arch,
        scale=4,
        trained_on="nothing: seeded noise",
        settings={
            "basicvsr": (("blocks", 1), ("features", 8)),
            "edvr": (
                ("attention", False),
                ("blocks", 1),
                ("features", 8),
                ("frames", 3),
                ("groups", 2),
            ),
        }[arch],
        block_frames=block_frames,
        warm_up_frames=warm_up_frames,
    )
    torch.manual_seed(4)
    return NetworkUpscale(card.network.build(card.complete, card.scale), card)


@pytest.fixture(scope="module")
def pixels() -> Tensor:
    """(11, 3, 36, 40) film log."""
    frames = [torch.from_numpy(texture(k, 36, 40)) for k in range(len(SHOT))]
    return torch.stack(frames)


def renderer(
    chain: list[Operator], pixels: Tensor, pictures: Pictures | None = None
) -> ShotRenderer:
    return ShotRenderer("s0001", pictures or all_own(SHOT), lambda n: pixels[n - SHOT.start], chain)


@pytest.mark.parametrize(
    ("before", "length"), [((), 3), (("dirt",), 5)], ids=["alone", "after dirt"]
)
def test_chunks_of_any_length_give_the_same_bits(
    pixels: Tensor, length: int, before: tuple[str, ...]
) -> None:
    chain: list[Operator] = [*(operator(n) for n in before), recurrent()]
    whole = renderer(chain, pixels)
    expected = {n: whole.frame(n) for n in SHOT}
    for start in range(SHOT.start, SHOT.stop, length):
        part = renderer(chain, pixels)
        for number in range(start, min(start + length, SHOT.stop)):
            done = part.frame(number)
            assert torch.equal(done.pixels, expected[number].pixels)
            assert torch.equal(done.touch, expected[number].touch)


def test_a_block_is_made_once(pixels: Tensor) -> None:
    calls: list[tuple[int, ...]] = []
    inner = recurrent()

    class Counted:
        name, version, scale = inner.name, inner.version, inner.scale
        domain, effect, key, needs = inner.domain, inner.effect, inner.key, inner.needs
        radius = inner.radius

        def __call__(self, window: object) -> object:
            calls.append(window.frames)  # type: ignore[attr-defined]
            return inner(window)  # type: ignore[arg-type]

    whole = renderer([Counted()], pixels)  # type: ignore[list-item]
    for number in SHOT:
        whole.frame(number)
    assert [c[WARM_UP] for c in calls] == [50, 54, 58]
    assert len(calls[0]) == BLOCK + 2 * WARM_UP


def test_the_ends_of_a_shot_are_not_played_backwards(pixels: Tensor) -> None:
    """One block over the whole shot is the network over the whole shot."""
    one = recurrent(block_frames=len(SHOT))
    many = recurrent(block_frames=len(SHOT), warm_up_frames=0)
    a, b = renderer([one], pixels), renderer([many], pixels)
    for number in SHOT:
        assert torch.equal(a.frame(number).pixels, b.frame(number).pixels)


def test_a_doubled_frame_stands_in_for_its_picture(pixels: Tensor) -> None:
    """Frame 53 repeats 52: both are made among the same other pictures."""
    own = tuple(n for n in SHOT if n != 53)
    doubled = pixels.clone()
    doubled[3] = doubled[2]
    done = renderer([recurrent()], doubled, Pictures(SHOT, own))
    assert torch.equal(done.frame(53).pixels, done.frame(52).pixels)
    assert int(done.frame(53).touch.min()) == int(Effect.INVENTED)


def test_a_window_network_is_exact_in_any_chunk(pixels: Tensor) -> None:
    chain: list[Operator] = [recurrent("edvr")]
    whole = renderer(chain, pixels)
    expected = {n: whole.frame(n).pixels for n in SHOT}
    for number in (SHOT.stop - 1, SHOT.start, 55):
        assert torch.equal(renderer(chain, pixels).frame(number).pixels, expected[number])
    assert chain[0].radius == 1


def test_where_a_chunk_lies_in_its_block_is_part_of_what_it_is() -> None:
    """The same frames in a shot that begins elsewhere are made in other blocks."""
    early = all_own(FrameRange(50, 80)).block(60, BLOCK, WARM_UP)
    late = all_own(FrameRange(51, 80)).block(60, BLOCK, WARM_UP)
    assert early != late
    assert early == (56, 57, 58, 59, 60, 61, 62, 63)
