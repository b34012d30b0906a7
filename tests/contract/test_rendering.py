"""What the executor makes of operators: chunks, orders and domains leave no trace."""

from __future__ import annotations

import cv2
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from media.encoding import Domain, convert
from media.errors import OutOfMemory
from media.frames import FrameRange
from media.passes import Effect, Window
from media.pictures import all_own
from tests.contract.conftest import FIRST, FRAMES, NAMES, SHOT, damaged, network, operator
from tests.strategies import chunk_lengths, orders_of_frames
from wetgate.executor import ShotRenderer

_QUICK = settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def rendered(names: tuple[str, ...], pixels: Tensor, order: list[int], tile_px: int = 0) -> Tensor:
    """(T, C, H, W) film log through the executor, frames asked for in ``order``."""
    renderer = _renderer(names, pixels, tile_px)
    found = {n: renderer.frame(n).pixels for n in order}
    return torch.stack([found[n] for n in sorted(found)])


def _renderer(names: tuple[str, ...], pixels: Tensor, tile_px: int = 0) -> ShotRenderer:
    chain = [operator(n) for n in names]
    return ShotRenderer("s0001", all_own(SHOT), lambda n: pixels[n - FIRST], chain, tile_px)


def in_chunks(names: tuple[str, ...], pixels: Tensor, lengths: list[int]) -> tuple[Tensor, Tensor]:
    """The shot from a fresh renderer per chunk: pixels and touch."""
    found, marks = [], []
    start, k = SHOT.start, 0
    while start < SHOT.stop:
        stop = min(start + lengths[k % len(lengths)], SHOT.stop)
        renderer = _renderer(names, pixels)
        done = [renderer.frame(n) for n in range(start, stop)]
        found += [d.pixels for d in done]
        marks += [d.touch for d in done]
        start, k = stop, k + 1
    return torch.stack(found), torch.stack(marks)


@pytest.mark.parametrize(
    "names",
    [
        *((n,) for n in NAMES),
        ("scratch", "weave", "flicker"),
        ("flicker", "dirt"),
        ("dirt", "noise", "color"),
        ("weave", "dirt", "upscale-network-x2"),
        ("noise", "upscale-resample-x2"),
    ],
    ids="+".join,
)
def test_chunks_join_without_a_seam(names: tuple[str, ...]) -> None:
    pixels = damaged()
    whole, marks = in_chunks(names, pixels, [FRAMES])

    @_QUICK
    @given(lengths=chunk_lengths)
    def same(lengths: list[int]) -> None:
        parts, part_marks = in_chunks(names, pixels, lengths)
        assert torch.equal(parts, whole)
        assert torch.equal(part_marks, marks)

    same()


@_QUICK
@given(order=orders_of_frames)
def test_frames_may_be_asked_for_in_any_order(order: list[int]) -> None:
    pixels = damaged()
    names = ("dirt", "noise")
    forward = rendered(names, pixels, list(SHOT))
    assert torch.equal(rendered(names, pixels, [FIRST + k for k in order]), forward)


def test_a_network_sees_display_values_and_the_way_back_is_exact() -> None:
    """Through the executor: film log in, film log out, the network in its own domain."""
    pixels = damaged()
    seen: list[Tensor] = []
    inner = network()

    class Watched:
        """The network operator, with a note of what it was given."""

        name, version, radius, scale = inner.name, inner.version, inner.radius, inner.scale
        domain, effect, needs, key = inner.domain, inner.effect, inner.needs, inner.key

        def __call__(self, window: Window) -> Window:
            seen.append(window.pixels)
            return inner(window)

    renderer = ShotRenderer("s0001", all_own(SHOT), lambda n: pixels[n - FIRST], [Watched()])
    done = renderer.frame(FIRST)
    display = convert(pixels[:1], Domain.LOG_DENSITY, Domain.DISPLAY)
    assert inner.domain is Domain.DISPLAY
    assert torch.equal(seen[0], display)
    back = convert(
        inner(Window.whole(display, (FIRST,))).pixels, Domain.DISPLAY, Domain.LOG_DENSITY
    )
    assert torch.equal(done.pixels, back[0])
    assert int(done.touch.min()) == int(Effect.INVENTED)


@_QUICK
@given(
    frames=st.integers(min_value=1, max_value=4),
    name=st.sampled_from(["dirt", "noise", "weave", "flicker"]),
)
def test_short_shots_are_rendered(frames: int, name: str) -> None:
    pixels = damaged()[:frames]
    shot = FrameRange(FIRST, FIRST + frames)
    renderer = ShotRenderer("s0001", all_own(shot), lambda n: pixels[n - FIRST], [operator(name)])
    for n in shot:
        assert bool(torch.isfinite(renderer.frame(n).pixels).all())


@pytest.mark.parametrize(
    "says",
    [
        MemoryError("Unable to allocate 20.0 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate"),
        cv2.error("OpenCV: error: (-4:Insufficient memory) Failed to allocate 8294400 bytes"),
        torch.OutOfMemoryError("CUDA out of memory"),
    ],
    ids=lambda e: type(e).__name__,
)
def test_memory_that_runs_out_is_named_whoever_says_so(says: Exception) -> None:
    """A named error parks the shot; the rest of the night goes on."""

    def read(number: int) -> Tensor:
        raise says

    with pytest.raises(OutOfMemory, match="memory ran out"):
        ShotRenderer("s0001", all_own(SHOT), read, []).frame(FIRST)


def test_other_errors_are_not_taken_for_memory() -> None:
    def read(number: int) -> Tensor:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        ShotRenderer("s0001", all_own(SHOT), read, []).frame(FIRST)
