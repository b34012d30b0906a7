"""Every operator on a device that is not the CPU, as far as a machine without one can show."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from media.passes import Mark, Window
from tests.contract.conftest import NAMES, SHOT, damaged, operator
from tests.contract.test_operators import whole_window
from tests.elsewhere import DEVICE, There, elsewhere
from tests.tolerances import CUDA_PARITY
from wetgate.tiles import apply_tiled

every = pytest.mark.parametrize("name", NAMES)


def sent(window: Window) -> Window:
    """The window on the other device."""
    marks = None if window.marks is None else There(window.marks)
    return replace(window, pixels=There(window.pixels), touch=There(window.touch), marks=marks)


@every
@pytest.mark.parametrize("channels", [1, 3])
def test_the_same_picture_elsewhere(name: str, channels: int) -> None:
    window = whole_window(damaged(channels))
    if channels == 3:
        marks = torch.zeros_like(window.touch)
        marks[:, :, 30:34, 40:46] = int(Mark.DAMAGED)
        window = replace(window, marks=marks)
    here = operator(name, channels)(window)
    with elsewhere():
        there = operator(name, channels)(sent(window))
        assert there.pixels.device.type == there.touch.device.type == DEVICE
        pixels, touch = there.pixels.cpu(), there.touch.cpu()
        marked = None if there.marks is None else there.marks.cpu()
    assert float((pixels - here.pixels).abs().max()) <= CUDA_PARITY[name.split("-")[0]]
    assert torch.equal(touch, here.touch)
    assert (marked is None) == (here.marks is None)
    assert marked is None or here.marks is None or torch.equal(marked, here.marks)


@every
def test_tiles_and_batches_are_the_same_bits_elsewhere(name: str) -> None:
    window = whole_window(damaged())
    with elsewhere():
        repair = operator(name)
        whole = repair(sent(window))
        tiled = apply_tiled(repair, sent(window), 40).pixels.cpu()
        r = repair.radius
        alone = repair(
            sent(
                replace(
                    window,
                    pixels=window.pixels[1 : 2 * r + 2],
                    touch=window.touch[1 : 2 * r + 2],
                    frames=tuple(SHOT)[1 : 2 * r + 2],
                )
            )
        ).pixels.cpu()
        pixels = whole.pixels.cpu()
    assert torch.equal(alone[0], pixels[1])
    if not name.startswith("upscale-network"):
        assert torch.equal(tiled, pixels)


def test_what_a_gpu_refuses_is_refused_here() -> None:
    here = torch.ones(3)
    with elsewhere() as send:
        there = send(here.clone())
        with pytest.raises(RuntimeError, match="both devices"):
            there + here
        with pytest.raises(RuntimeError, match="numpy"):
            there.numpy()
        assert float((there + 1).sum()) == 6.0
        assert torch.equal((there * 2).cpu(), here * 2)
