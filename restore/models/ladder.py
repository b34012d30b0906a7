"""When memory runs out: smaller pieces of the same work, and a note that says so.

First tiles, each half as wide as the last; then fewer frames at once; then half precision where
the model's card allows it; at last the CPU. What comes out stays within the card's tolerance,
and the frame carries a note of how it was made.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from media.errors import OutOfMemory
from restore.memory import out_of_memory
from restore.models.architectures import Architecture, Time
from restore.models.precision import Runner

TILES_PX = (1024, 512, 256, 128)
_HALO_PX = 64
"""Border of a tile where no border is exact."""


@dataclass(frozen=True, slots=True)
class Step:
    """One way to do the work."""

    tile_px: int = 0
    """0: the whole frame."""
    frames: int = 0
    """0: all frames given."""
    half: bool = False
    cpu: bool = False

    def note(self) -> str:
        """What it says on the frame."""
        how = [f"in tiles of {self.tile_px} px"] if self.tile_px else []
        how += [f"{self.frames} frames at a time"] if self.frames else []
        how += ["in half precision"] if self.half else []
        how += ["on the CPU"] if self.cpu else []
        return "enlarged " + ", ".join(how) + ", because memory ran out"


@dataclass(eq=False)
class Ladder:
    """A network that does with the memory there is.

    network: float32, not taken over. half: run in half precision from the start. may_half: may
    it fall to that. reach_px: border that makes a tile exact, -1 where none does.
    """

    network: nn.Module
    known: Architecture
    scale: int
    reach_px: int
    half: bool
    may_half: bool
    _runners: dict[tuple[bool, bool], Runner] = field(default_factory=dict)
    _from: int = 0

    def __call__(self, pixels: Tensor) -> tuple[Tensor, str]:
        """(T, 3, H, W) to (T', 3, H * scale, W * scale), and a note or ''.

        T' is 1 for a network that answers for the middle of its window.
        raises: OutOfMemory naming every size that was tried.
        """
        steps = list(self._steps(pixels))
        self._from = min(self._from, len(steps) - 1)
        for at in range(self._from, len(steps)):
            try:
                made = self._take(steps[at], pixels)
            except (MemoryError, RuntimeError) as error:
                if not out_of_memory(error):
                    raise
                if pixels.device.type == "cuda":
                    torch.cuda.empty_cache()
                continue
            # What did not fit once will not fit for the next frame either.
            self._from = at
            return made, steps[at].note() if at else ""
        tried = "; ".join(s.note().removesuffix(", because memory ran out") for s in steps[1:])
        raise OutOfMemory(
            f"memory ran out for {pixels.shape[-1]}x{pixels.shape[-2]} px, also {tried}",
            hint="render this shot on a machine with more memory",
        )

    def _steps(self, pixels: Tensor) -> Iterator[Step]:
        yield Step(half=self.half)
        largest = max(pixels.shape[-2:])
        tiles = [t for t in TILES_PX if t < largest]
        for tile in tiles:
            yield Step(tile, half=self.half)
        smallest = tiles[-1] if tiles else 0
        frames = 0
        if self.known.time is Time.SEQUENCE and len(pixels) > 4:
            frames = len(pixels) // 2
            yield Step(smallest, frames, self.half)
        if self.may_half and not self.half:
            yield Step(smallest, frames, half=True)
        if pixels.device.type != "cpu":
            yield Step(smallest, frames, self.half, cpu=True)

    def _take(self, step: Step, pixels: Tensor) -> Tensor:
        device = torch.device("cpu") if step.cpu else pixels.device
        runner = self._runner(step.half, device)
        given = pixels.to(device)
        # Pieces of a sequence without warm-up of their own: the seam is in the note.
        parts = torch.split(given, step.frames) if step.frames else (given,)
        with torch.inference_mode():
            made = torch.cat([self._tiled(runner, p, step.tile_px) for p in parts])
        return made.to(pixels.device)

    def _runner(self, half: bool, device: torch.device) -> Runner:
        key = (half, device.type == "cpu")
        if key not in self._runners:
            network = copy.deepcopy(self.network) if half else self.network
            self._runners[key] = Runner(network, self.known, half=half).eval()
        # Memory for the weights is asked for here too, so it counts as a try of its own.
        return self._runners[key].to(device)

    def _tiled(self, runner: Runner, pixels: Tensor, tile_px: int) -> Tensor:
        height, width = pixels.shape[-2:]
        if not tile_px or max(height, width) <= tile_px:
            return self._run(runner, pixels)
        halo = self.reach_px if self.reach_px >= 0 else _HALO_PX
        step = tile_px - tile_px % self.known.multiple_of
        halo += -halo % self.known.multiple_of
        rows = []
        for top in range(0, height, step):
            row = []
            for left in range(0, width, step):
                y0, x0 = max(0, top - halo), max(0, left - halo)
                y1, x1 = min(height, top + step + halo), min(width, left + step + halo)
                made = self._run(runner, pixels[..., y0:y1, x0:x1])
                s = self.scale
                tall, wide = min(step, height - top) * s, min(step, width - left) * s
                down, right = (top - y0) * s, (left - x0) * s
                row.append(made[..., down : down + tall, right : right + wide])
            rows.append(torch.cat(row, dim=-1))
        return torch.cat(rows, dim=-2)

    def _run(self, runner: Runner, pixels: Tensor) -> Tensor:
        """Padded to sizes the network takes, edges repeated, and cut back."""
        height, width = pixels.shape[-2:]
        tall, wide = (_rounded(n, self.known, self.scale) for n in (height, width))
        if (tall, wide) != (height, width):
            pad = (0, wide - width, 0, tall - height)
            pixels = nn.functional.pad(pixels, pad, mode="replicate")
        if self.known.time is Time.FRAME:
            made: Tensor = torch.cat([runner(p) for p in pixels[:, None]])
        else:
            made = runner(pixels[None])
            made = made[0] if made.dim() == 5 else made
        return made[..., : height * self.scale, : width * self.scale]


def _rounded(size: int, known: Architecture, scale: int) -> int:
    size = max(size, known.smallest_px.get(scale, 1))
    return size + -size % known.multiple_of
