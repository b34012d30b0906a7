"""The planted trial: how much dirt would be found on this shot, and how much else be taken?

Known dirt is planted in copies of a few places of the shot, and so are small things that move:
birds, confetti, snow, balls, rain, glints. What the detector finds of the one and takes of the
other is counted at every strength it has. Strength is then chosen for a stated budget of false
repairs, and the numbers are written down with it. The shot itself is not changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from media.movers import MOVERS, Mover, draw_movers
from media.specks import draw_worn, lay_on
from restore.dirt.detect import DirtOptions, Known, judged, suspicion
from restore.dirt.look import RADIUS, Look, look_at
from restore.motion import distinct_neighbours

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]
Detector = Literal["network", "rules"]

STRENGTHS: Mapping[Detector, tuple[float, ...]] = {
    "network": (0.05, 0.2, 0.35, 0.5, 0.7, 0.9, 0.97, 0.99),
    "rules": (2.0, 4.0, 5.5, 7.0, 9.0, 12.0, 16.0),
}
"""Most sensitive first: likelihoods, or grain sigmas. Nothing more sensitive can be asked for."""
PLACES = 4
_SHORT = 48
"""Frames: in a shorter shot the two ends, judged from one side, count too."""
_CROP_PX = (640, 400)
_PIECES, _EACH = 40, 1.0 / 3.0
"""In a crop of full size, and how many things that move of each kind: few pieces would leave it to
chance which large ones are among them, and all kinds go together, because what is taken differs
more between two flocks than between two frames."""
_PLANTED = 2
"""How many times at each place."""
_FEWEST = 5
_MORE = 2
"""Times as many places as usual a small frame has at most."""
_VISIBLE = 0.03
"""Film log; fainter pieces are not counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    number: int
    pixels: Tensor
    """(T, C, H, W)."""
    centre: int
    share: float
    """Of the shot that it stands for."""

    @property
    def near(self) -> list[int]:
        """The frames around the one in question, nearest first."""
        return distinct_neighbours(range(len(self.pixels)), self.centre)


class TrialProbe:
    """Plants and counts at a few places of a shot.

    Evidence: ``strengths`` as above; for each ``recall`` (share of the visibly dirty pixels that
    were planted and found), ``false_removed`` (share of the moving pixels that were planted and
    taken), ``taken_share`` (of the picture as it is); ``movers`` false removal by kind at each
    strength; ``frames`` where it was tried; ``planted_px``.
    """

    def __init__(self, detector: Detector, frames: int, *, half: bool = False) -> None:
        """frames: pictures in the shot."""
        self.name = trial_name(detector)
        self._detector: Detector = detector
        self._half = half
        self._frames = frames
        self._ends = 2 * RADIUS < frames < _SHORT
        self._wanted: list[int] = []
        self._seen = 0
        self._recent: list[Tensor] = []
        self._numbers: list[int] = []
        self._places: list[_Place] = []

    def observe(self, frame: int, pixels: Tensor) -> None:
        """frame: counted without holes. pixels: (C, H, W) film log, full size; in order."""
        self._recent = [*self._recent, _crop(pixels)][-2 * RADIUS - 1 :]
        if not self._seen:
            self._wanted = self._spots()
        self._numbers = [*self._numbers, frame][-2 * RADIUS - 1 :]
        inner = 1.0 - 2.0 / self._frames if self._ends else 1.0
        if self._seen - RADIUS in self._wanted and len(self._recent) == 2 * RADIUS + 1:
            self._keep(0, 2 * RADIUS + 1, RADIUS, inner / len(self._wanted))
        if self._ends and self._seen == RADIUS:
            self._keep(0, RADIUS + 1, 0, 1.0 / self._frames)
        if self._ends and self._seen == self._frames - 1:
            self._keep(RADIUS, 2 * RADIUS + 1, RADIUS, 1.0 / self._frames)
        self._seen += 1

    def _spots(self) -> list[int]:
        """Places away from the ends; the smaller the frame, the more of them for the same time."""
        if self._frames <= 2 * RADIUS:
            return []
        more = min(max(1.0 / _area(self._recent[0].shape), 1.0), _MORE)
        count = round(more * (PLACES - 1 if self._ends else PLACES))
        spots = np.linspace(RADIUS, self._frames - 1 - RADIUS, count).round().astype(int)
        return sorted(set(spots.tolist()))

    def _keep(self, first: int, stop: int, centre: int, share: float) -> None:
        window = torch.stack(self._recent[first:stop])
        number = self._numbers[first + centre]
        self._places.append(_Place(number=number, pixels=window, centre=centre, share=share))

    def finish(self) -> dict[str, object]:
        """Plant, look and count; empty lists for a shot too short to try."""
        options = [_at(self._detector, s) for s in STRENGTHS[self._detector]]
        tally = _Tally(len(options))
        for k, place in enumerate(self._places):
            _try(tally, place, k, options, half=self._half)
        return tally.summed(STRENGTHS[self._detector], [p.number for p in self._places])


def trial_name(detector: Detector) -> str:
    """Section of the evidence."""
    return f"dirt_trial_{detector}"


@dataclass
class _Tally:
    strengths: int

    def __post_init__(self) -> None:
        self.planted_px = 0
        self.planted = 0.0
        self.found = np.zeros(self.strengths)
        self.moving: dict[str, float] = {}
        self.taken: dict[str, NDArray[np.float64]] = {}
        self.pixels = 0.0
        self.as_it_is = np.zeros(self.strengths)

    def summed(self, strengths: Sequence[float], frames: Sequence[int]) -> dict[str, object]:
        if not self.pixels:
            empty: list[float] = []
            return {
                "strengths": list(strengths), "recall": empty, "false_removed": empty,
                "taken_share": empty, "movers": {}, "frames": [], "planted_px": 0,
            }  # fmt: skip
        moved = sum(self.moving.values()) or 1.0
        return {
            "strengths": list(strengths),
            "recall": _rounded(self.found / (self.planted or 1.0)),
            "false_removed": _rounded(np.sum(list(self.taken.values()), axis=0) / moved),
            "taken_share": _rounded(self.as_it_is / self.pixels, 6),
            "movers": {k: _rounded(v / (self.moving[k] or 1.0)) for k, v in self.taken.items()},
            "frames": list(frames),
            "planted_px": self.planted_px,
        }


def _try(
    tally: _Tally, place: _Place, k: int, options: Sequence[DirtOptions], *, half: bool
) -> None:
    """One place: as it is, with dirt, and with all kinds of movers."""
    rng = np.random.default_rng((place.number, k))
    clean, at = place.pixels.cpu().numpy(), place.centre
    look = _look(clean, place)
    sigma = grain_of(look)
    as_it_is = _masks(look, sigma, options, half=half)
    tally.pixels += place.share * as_it_is[0].size
    tally.as_it_is += [place.share * m.sum() for m in as_it_is]
    weight = place.share / _PLANTED
    for _ in range(_PLANTED):
        dirty = clean.copy()
        _sow(rng, dirty, at)
        planted = _visible(dirty[at], clean[at])
        found = _masks(_look(dirty, place), sigma, options, half=half)
        tally.planted_px += int(planted.sum())
        tally.planted += weight * float(planted.sum())
        tally.found += [weight * (m & planted).sum() for m in found]
    for _ in range(_PLANTED):
        moved = clean.copy()
        # What is taken with nothing planted is not the mover's fault.
        planted_by_kind = {kind: _plant(rng, moved, kind, at) & ~as_it_is[0] for kind in MOVERS}
        masks = _masks(_look(moved, place), sigma, options, half=half)
        for kind, there in planted_by_kind.items():
            taken = weight * np.array([(m & there).sum() for m in masks], float)
            tally.moving[kind] = tally.moving.get(kind, 0.0) + weight * float(there.sum())
            tally.taken[kind] = tally.taken.get(kind, np.zeros(len(options))) + taken


def _plant(rng: np.random.Generator, frames: F32, kind: Mover, at: int) -> Mask:
    """Things of one kind through all frames; (H, W) where the one in question shows them."""
    before = frames[at].copy()
    draw_movers(rng, frames, kind, _EACH)
    return _visible(frames[at], before)


def _sow(rng: np.random.Generator, frames: F32, at: int) -> None:
    """Dirt on one frame, and a little on those around it, which have their own."""
    area = _area(frames.shape)
    for k, frame in enumerate(frames):
        for _ in range(max(_FEWEST, round(_PIECES * area)) if k == at else rng.poisson(2 * area)):
            lay_on(rng, frame, draw_worn(rng))


def _look(frames: F32, place: _Place) -> Look:
    numbers = tuple(range(len(frames)))
    memos: list[dict[str, Any]] = [{} for _ in numbers]
    return look_at(torch.from_numpy(frames), numbers, place.centre, place.near, memos)


def _masks(look: Look, sigma: float, options: Sequence[DirtOptions], *, half: bool) -> list[Mask]:
    """(H, W) what would be taken from the frame, at each strength."""
    score, known = suspicion(look, sigma, options[0], half=half), Known()
    return [judged(score, look, sigma, o, known=known).mask for o in options]


def _visible(after: F32, before: F32) -> Mask:
    """(H, W) of two pictures (C, H, W)."""
    changed: Mask = np.abs(after - before).max(axis=0) > _VISIBLE
    return changed


def _at(detector: Detector, strength: float) -> DirtOptions:
    """Nothing is refused for being too much: all of it is to be counted."""
    options = DirtOptions(detector=detector, max_area_share=1.0)
    if detector == "network":
        return replace(options, level=strength)
    return replace(options, threshold_sigma=strength)


def grain_of(look: Look) -> float:
    """Grain of the luma, film log, from the difference to the nearest neighbour (robust)."""
    fetched = look.compensated()[0, 0]
    difference = (look.own - fetched).cpu().numpy()
    fine = difference - cv2.GaussianBlur(difference, (0, 0), 4.0)
    return max(float(1.4826 * np.median(np.abs(fine)) / np.sqrt(2.0)), 0.001)


def _area(size_px: Sequence[int]) -> float:
    """Of a frame (..., H, W), a crop of full size being 1."""
    return size_px[-2] * size_px[-1] / (_CROP_PX[0] * _CROP_PX[1])


def _crop(pixels: Tensor) -> Tensor:
    h, w = pixels.shape[-2:]
    y, x = max(0, (h - _CROP_PX[1]) // 2), max(0, (w - _CROP_PX[0]) // 2)
    return pixels[:, y : y + _CROP_PX[1], x : x + _CROP_PX[0]].clone()


def _rounded(values: NDArray[np.float64], digits: int = 4) -> list[float]:
    return [round(float(v), digits) for v in values]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The strength for a shot."""

    strength: float | None
    """None: left alone."""
    recall: float = 0.0
    false_removed: float = 0.0
    taken_share: float = 0.0
    reason: str = ""


def choose(evidence: Mapping[str, object], budget: float, asked: float) -> Chosen:
    """The strength asked for, or the next milder one that keeps the budget.

    budget: share of small moving things that may be taken. asked: strength of the settings; one
    that lies between two that were tried is answered for by the more sensitive of them.
    """
    strengths = _numbers(evidence, "strengths")
    recall, removed = _numbers(evidence, "recall"), _numbers(evidence, "false_removed")
    taken = _numbers(evidence, "taken_share")
    if not recall:
        if budget <= 0.0:
            return Chosen(strength=None, reason="too short to be tried, and the budget is 0 %")
        return Chosen(strength=asked, reason="too short to be tried")
    rows = list(zip(strengths, recall, removed, taken, strict=True))
    rows = rows[max(sum(s <= asked + 1e-9 for s in strengths) - 1, 0) :]
    for k, (strength, share, false, area) in enumerate(rows):
        if false <= budget:
            milder = k > 0
            reason = (
                f"milder than asked: at {asked:g} it would take {100 * rows[0][2]:.1f} % of small "
                f"moving things, the budget is {100 * budget:g} %"
            )
            return Chosen(
                strength=asked if not milder else strength,
                recall=share,
                false_removed=false,
                taken_share=area,
                reason=reason if milder else "",
            )
    strength, share, false, area = rows[-1]
    return Chosen(
        strength=None,
        recall=share,
        false_removed=false,
        taken_share=area,
        reason=f"even at {strength:g} it would take {100 * false:.1f} % of small moving things, "
        f"the budget is {100 * budget:g} %",
    )


def _numbers(evidence: Mapping[str, object], key: str) -> list[float]:
    values = evidence.get(key, ())
    return [float(v) for v in values] if isinstance(values, list | tuple) else []
