"""Take dirt away by borrowing the same place from a neighbouring frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from media.encoding import Domain
from media.passes import NOTED, Effect, Mark, Needs, Window
from restore.dirt.borrow import cover
from restore.dirt.closer import Closer
from restore.dirt.detect import DirtOptions, Suspects, judged, suspicion
from restore.dirt.invent import invent
from restore.dirt.look import RADIUS, Look, Memos, look_at, neighbours
from restore.dirt.network import WEIGHTS_SHA256

_WORST_SIGMA = 8.0
_WORST_FLOOR = 0.10
"""Film log; a misfit of a stop around a piece is another thing, not grain or flicker."""
_POOR_SIGMA, _POOR_FLOOR = 4.0, 0.025
"""A misfit from which on motion is looked for again; two grains alone make 1.4 sigma."""
_ALIKE_SIGMA = 2.3
"""What changes a pixel at the rim of a piece by less is grain: it stays as it is."""
_TOLD_RIM_PX = 2
_LEFT = NOTED + "{} pieces of dirt left, no neighbouring frame shows what is behind them"


@dataclass(frozen=True)
class DirtOperator:
    """Replaces dirt with the matching pixels of one neighbouring frame; nothing else changes."""

    sigma: float
    """Grain of the luma, film log."""
    options: DirtOptions
    protected: frozenset[int] = frozenset()
    """Frame numbers left alone."""
    half: bool = False
    """Let the network's features be bf16."""
    cue_marks: frozenset[int] = frozenset()
    """Frame numbers on which cue marks may be, and are left alone."""

    name = "dirt"
    version = 13
    radius = RADIUS
    domain = Domain.LOG_DENSITY
    scale = 1
    needs = Needs(reach_px=-1, kept_beside=1)

    @property
    def effect(self) -> Effect:
        """Borrowed, unless it may fill what no frame has."""
        return Effect.INVENTED if self.options.fill else Effect.BORROWED

    def key(self, frames: Sequence[int]) -> Mapping[str, object]:
        """Thresholds, the network's digest, and which of these frames are protected."""
        inner = frames[self.radius : len(frames) - self.radius]
        learned = self.options.detector == "network"
        return {
            "sigma": self.sigma,
            "options": dict(self.options.as_key()),
            "network": WEIGHTS_SHA256 if learned else "",
            "half": self.half and learned,
            "protected": [f for f in inner if f in self.protected],
            "cue_marks": [f for f in inner if f in self.cue_marks],
        }

    def __call__(self, window: Window) -> Window:
        """(T, C, H, W) to (T - 4, C, H, W)."""
        out, marks = [], []
        caveats = window.caveats
        memos = window.memos or tuple({} for _ in window.frames)
        for center in range(self.radius, len(window.frames) - self.radius):
            pixels, mark, caveat = self._repair(window, center, memos)
            out.append(pixels)
            marks.append(mark)
            caveats += caveat
        return replace(
            window.middle(self.radius),
            pixels=_stacked(out),
            touch=_stacked(marks),
            caveats=caveats,
        )

    def _repair(
        self, window: Window, center: int, memos: Memos
    ) -> tuple[Tensor, Tensor, tuple[str, ...]]:
        own, touch = window.pixels[center], window.touch[center]
        shielded = window.frames[center] in self.protected
        near = [] if shielded else neighbours(window.frames, center)
        if not near:
            return own, touch, ()
        look = look_at(window.pixels, window.frames, center, near, memos)
        shut = window.marked(Mark.KEPT)
        kept = None if shut is None else shut[center, 0].cpu().numpy()
        found = self._judged(look, window.frames[center], kept)
        given = window.marked(Mark.DAMAGED)
        told = None if given is None else given[:, 0].cpu().numpy()
        here = np.zeros_like(found.mask) if told is None else told[center]
        where = found.mask | here
        free = where if kept is None else where & ~kept
        too_much = float(free.mean()) > self.options.max_area_share
        if found.refused or too_much:
            limit = 100 * self.options.max_area_share
            return own, touch, (f"more than {limit:.3g} % looks like dirt, left alone",)
        if not free.any():
            return own, touch, ()
        worst = max(_WORST_SIGMA * self.sigma, _WORST_FLOOR)
        spoilt = None if told is None else [told[k] for k in near]
        # Covering works on small pieces one by one: that is no work for a GPU.
        pictures = [window.pixels[k].cpu() for k in near]
        done = cover(
            own.cpu(),
            pictures,
            look.flows,
            where,
            worst,
            spoilt,
            doubtful=~(found.sure | _core(here)),
            alike=_ALIKE_SIGMA * self.sigma,
            closer=Closer(
                memos[center]["steering"],
                [memos[k]["steering"] for k in near],
                max(_POOR_SIGMA * self.sigma, _POOR_FLOOR),
            ),
        )
        pixels, filled, unknown = done.pixels, done.filled, done.unknown
        if kept is not None:
            # What lies across the edge of a region is covered as a whole, and its part there kept.
            pixels = torch.where(torch.from_numpy(kept), own.cpu(), pixels)
            filled, unknown = filled & ~kept, unknown & ~kept
        marked = _marked(touch, filled, Effect.BORROWED)
        if unknown.any() and self.options.fill:
            pixels, made = invent(pixels, unknown, where)
            marked = _marked(marked, made, Effect.INVENTED)
            unknown = unknown & ~made
        count = cv2.connectedComponents(unknown.astype(np.uint8))[0] - 1 if unknown.any() else 0
        return pixels.to(own.device), marked, (_LEFT.format(count),) if count else ()

    def _judged(self, look: Look, frame: int, kept: NDArray[np.bool_] | None = None) -> Suspects:
        """kept: (H, W) where nothing may be changed."""
        score = suspicion(look, self.sigma, self.options, half=self.half)
        marks = frame in self.cue_marks
        return judged(score, look, self.sigma, self.options, cue_marks=marks, kept=kept)

    def count_suspects(self, window: Window) -> list[Suspects]:
        """Detection only, for reports and tests: one entry per middle frame that has
        neighbours enough to judge by."""
        memos = window.memos or tuple({} for _ in window.frames)
        centers = range(self.radius, len(window.frames) - self.radius)
        looks = [(c, n) for c in centers if (n := neighbours(window.frames, c))]
        return [
            self._judged(look_at(window.pixels, window.frames, c, n, memos), window.frames[c])
            for c, n in looks
        ]


def _core(told: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(H, W) what a map or a person calls damaged, without the rim that either takes with it."""
    square = np.ones((2 * _TOLD_RIM_PX + 1,) * 2, np.uint8)
    core: NDArray[np.bool_] = cv2.erode(told.astype(np.uint8), square) > 0
    return core


def _stacked(planes: Sequence[Tensor]) -> Tensor:
    """One after the other; a single one is not copied."""
    return planes[0][None] if len(planes) == 1 else torch.stack(list(planes))


def _marked(touch: Tensor, mask: NDArray[np.bool_], effect: Effect) -> Tensor:
    marked, there = touch.clone(), torch.from_numpy(mask).to(touch.device)
    marked[..., there] = marked[..., there].clamp_min(int(effect))
    return marked
