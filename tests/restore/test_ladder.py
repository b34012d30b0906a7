"""When memory runs out the work goes on in smaller pieces, and says so."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from media.errors import OutOfMemory
from media.passes import Window
from restore.models.architectures import ARCHITECTURES
from restore.models.card import ModelCard
from restore.models.ladder import Ladder
from restore.upscale.network import NetworkUpscale
from tests.restore.test_architectures import frames, small


class Narrow(nn.Module):
    """A network on a machine whose memory ends at a size."""

    def __init__(self, inner: nn.Module, most_px: int, says: str | None = None) -> None:
        super().__init__()
        self.inner, self.most_px, self.says = inner, most_px, says
        self.tried: list[int] = []

    def forward(self, pixels: Tensor) -> Tensor:
        self.tried.append(pixels.numel())
        if pixels.numel() > 3 * self.most_px:
            if self.says is not None:
                raise RuntimeError(self.says)
            raise torch.OutOfMemoryError("no more")
        made: Tensor = self.inner(pixels)
        return made


@pytest.mark.parametrize("says", [None, "DefaultCPUAllocator: can't allocate memory: you tried"])
def test_tiles_give_the_same_bits(says: str | None) -> None:
    known, network, reach = small("srvgg", 2)
    whole, note = Ladder(network, known, 2, reach, False, False)(frames(1, 160, 300))
    assert not note
    narrow = Narrow(network, 160 * 280, says)
    made, note = Ladder(narrow, known, 2, reach, False, False)(frames(1, 160, 300))
    assert "in tiles of 256 px" in note
    assert torch.equal(made, whole)


def test_it_does_not_try_in_vain_on_every_frame() -> None:
    known, network, reach = small("srvgg", 2)
    narrow = Narrow(network, 140 * 140)
    run = Ladder(narrow, known, 2, reach, False, False)
    run(frames(1, 160, 300))
    narrow.tried.clear()
    run(frames(1, 160, 300))
    assert max(narrow.tried) <= 3 * 140 * 140


def test_a_sequence_is_cut_into_shorter_ones() -> None:
    known, network, reach = small("basicvsr", 4)
    narrow = Narrow(network, 4 * 64 * 72)
    made, note = Ladder(narrow, known, 4, reach, False, False)(frames(8))
    assert "4 frames at a time" in note
    assert made.shape[0] == 8


def test_half_precision_is_the_last_way_and_only_if_allowed() -> None:
    class OnlyHalf(Narrow):
        def forward(self, pixels: Tensor) -> Tensor:
            if not torch.is_autocast_enabled("cpu"):
                raise torch.OutOfMemoryError("no more")
            made: Tensor = self.inner(pixels)
            return made

    known, network, reach = small("srvgg", 2)
    holder = OnlyHalf(network, 0)
    object.__setattr__(holder, "body", network.body)
    with pytest.raises(OutOfMemory, match=r"160x120 px, also .*in tiles of 128 px"):
        Ladder(holder, known, 2, reach, False, False)(frames(1, 120, 160))
    made, note = Ladder(holder, known, 2, reach, False, True)(frames(1, 120, 160))
    assert "in half precision" in note
    assert made.shape == (1, 3, 240, 320)


def test_other_errors_are_not_taken_for_memory() -> None:
    class Broken(nn.Module):
        def forward(self, pixels: Tensor) -> Tensor:
            raise RuntimeError(f"{tuple(pixels.shape)} do not fit")

    with pytest.raises(RuntimeError, match="do not fit"):
        Ladder(Broken(), ARCHITECTURES["srvgg"], 2, 4, False, False)(frames(1))


def test_the_note_is_on_the_frame() -> None:
    _, network, _ = small("srvgg", 2)
    card = ModelCard(
        path=Path("seeded"),
        sha256="0" * 64,
        licence="MIT",
        arch="srvgg",
        scale=2,
        trained_on="nothing",
        settings=(("features", 8), ("layers", 2)),
    )
    repair = NetworkUpscale(Narrow(network, 160 * 280), card)
    done = repair(Window.whole(frames(1, 160, 300), (5,)))
    assert done.caveats == ("enlarged in tiles of 256 px, because memory ran out",)
