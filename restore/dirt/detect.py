"""Find what is on one frame only.

Two ways lead to a map of suspicion: a small network that was trained on dirt and on things that
move (``restore.dirt.network``), and a rule (``restore.dirt.rules``). Suspicion is grown by
hysteresis into whole pieces; a piece that can be found again near by in a neighbouring frame is a
moving thing, and too large a piece, or too much of them, is not for this repair.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from restore.dirt.blobs import (
    Blob,
    lies_on_both,
    pieces,
    seen_elsewhere,
    stays_on,
    where_cue_marks_are,
)
from restore.dirt.evidence import folded, levelled, planes
from restore.dirt.look import Look, beyond_view
from restore.dirt.network import probability, probability_of_cells
from restore.dirt.rules import deviation
from restore.dirt.whole import made_whole

F32 = NDArray[np.float32]
_ONE_SIDED = 1.5
_ONE_SIDED_BLOB_PX = 300
_RULES_BLOB_PX = 4000
"""A rule cannot tell a larger piece from what a moving thing uncovers."""
_RULES_RIM_PX = 2
_LARGEST_PX, _LARGEST_PART = 12000, 20
_SOUGHT_PX = 4000
"""Larger pieces are not looked for elsewhere: that would take too long."""
_NETWORK_SEEKS_PX = 9
"""The network knows small things that move; the rule has nothing but the search."""
_GROW_LEVEL = 0.25
"""A piece grows down to this share of the likelihood at which it starts."""
_SURE = 0.98
"""Network: likelihood from which on a pixel is dirt by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DirtOptions:
    """How sure to be before a pixel is called dirt."""

    detector: Literal["network", "rules"] = "network"
    level: float = 0.35
    """Network: the likelihood at which a piece starts."""
    threshold_sigma: float = 5.5
    """Rules: a piece starts where the deviation exceeds this many grain sigmas ..."""
    threshold_floor: float = 0.035
    """... and at least this much film log (a third of a stop)."""
    grow_share: float = 0.4
    """Rules: a piece grows down to this share of the starting threshold."""
    max_blob_px: int = 0
    """Larger pieces are damage of another kind: left alone. 0: a twentieth of the frame."""
    max_area_share: float = 0.05
    """A frame with more suspect area than this is left alone and held for review."""
    fill: bool = False
    """Invent what no neighbouring frame has; otherwise such pieces stay."""
    search_px: int = 24
    """How far a piece is looked for in the neighbouring frames before it is called dirt."""

    def largest_px(self, size_px: tuple[int, ...]) -> int:
        """On a frame of that height and width."""
        return self.max_blob_px or max(_LARGEST_PX, size_px[0] * size_px[1] // _LARGEST_PART)

    def as_key(self) -> Mapping[str, object]:
        """For the operator's key."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Suspects:
    """Result of detection on one frame."""

    mask: NDArray[np.bool_]
    """(H, W) pixels to repair."""
    sure: NDArray[np.bool_]
    """(H, W) pixels that leave no doubt by themselves."""
    blobs: int
    moving: int
    """Pieces left alone: found again in a neighbour, or too large."""
    refused: bool
    """True when the frame was left alone because too much was suspect."""


def suspicion(look: Look, sigma: float, options: DirtOptions, *, half: bool = False) -> F32:
    """(H, W) how suspect each pixel is.

    Network: likelihood, 0..1. Rules: film log beyond what neighbours show, positive where
    brighter. 0 where a pan has just brought the picture into view: nothing speaks of it.
    sigma: grain of the luma, film log.
    """
    score = _scored(look, sigma, options, half=half)
    if look.one_sided:
        score[beyond_view(look)] = 0.0
    return score


def _scored(look: Look, sigma: float, options: DirtOptions, *, half: bool) -> F32:
    one_sided = look.one_sided
    if options.detector == "network" and look.own.device.type == "cpu":
        own = look.own.numpy()
        cells = folded(own, look.fetched(sigma), look.flows, sigma, one_sided=one_sided, half=half)
        return probability_of_cells(cells, (own.shape[0], own.shape[1]))
    level = levelled(look.own, look.compensated(sigma))
    if options.detector == "rules":
        score: F32 = deviation(look.own, level).cpu().numpy()
        return score
    given = planes(look.own, level, look.flows[:2], sigma, one_sided=one_sided)
    likely: F32 = probability(given, half=half).cpu().numpy()
    return likely


Known = dict[tuple[int, int, int, bytes], bool]
"""Of pieces by place, sign and shape: was it seen elsewhere?"""


def judged(
    score: F32,
    look: Look,
    sigma: float,
    options: DirtOptions,
    *,
    cue_marks: bool = False,
    known: Known | None = None,
    kept: NDArray[np.bool_] | None = None,
) -> Suspects:
    """Pieces of dirt in a map of suspicion.

    cue_marks: the frame may carry the projectionist's mark: what lies where it does, and is on
    a frame beside this one too, stays.
    known: what was worked out on the same look before; added to, and changes no result.
    kept: (H, W) where nothing may be changed: what lies there counts for no limit.
    """
    known = {} if known is None else known
    largest_px = options.largest_px(score.shape)

    def wanted(blob: Blob) -> bool:
        if blob.area_px > largest_px:
            return False
        if not cue_marks or not where_cue_marks_are(blob, score.shape):
            return True
        return not stays_on(blob, look.own.cpu().numpy(), look.near[:2])

    if options.detector == "rules":
        found = _by_rules(score, look, sigma, options, wanted, known)
        return _bounded(*found, options, _RULES_RIM_PX, kept)
    mask = np.zeros(score.shape, np.bool_)
    seeds, bodies = score > options.level, score > _GROW_LEVEL * options.level
    still = _still(look, sigma, options, wanted, _NETWORK_SEEKS_PX, known)

    def whole(blob: Blob) -> Blob | None:
        made = made_whole(blob, look.own.cpu().numpy(), look.near, look.flows, sigma)
        return made if made.area_px <= largest_px else None

    taken, left = pieces(seeds, bodies, 0, still, mask, whole)
    return _bounded(mask, score > _SURE, taken, left, options, 0, kept)


def _still(
    look: Look,
    sigma: float,
    options: DirtOptions,
    wanted: Callable[[Blob], bool],
    least_px: int,
    known: Known,
) -> Callable[[Blob], bool]:
    """Wanted, and not found again elsewhere: a ball, a bird, a hand that came and went."""
    own = look.own.cpu().numpy()

    def still(blob: Blob) -> bool:
        if not wanted(blob):
            return False
        if not least_px <= blob.area_px <= _SOUGHT_PX:
            return True
        key = (blob.top, blob.left, blob.sign, blob.inside.tobytes())
        if key not in known:
            known[key] = any(
                seen_elsewhere(blob, own, look.near[k], look.flows[k], sigma, options.search_px)
                for k in _asked(blob, own, look)
            )
        return not known[key]

    return still


def _asked(blob: Blob, own: F32, look: Look) -> list[int]:
    """The nearest two; where dirt lies on one of them as well, the one behind it instead."""
    if len(look.near) < 4:
        return [0, 1]
    before, after = look.near[:2]
    first = 2 if lies_on_both(blob, own, before, after) else 0
    return [first, 3 if lies_on_both(blob, own, after, before) else 1]


def _by_rules(
    score: F32,
    look: Look,
    sigma: float,
    options: DirtOptions,
    wanted: Callable[[Blob], bool],
    known: Known,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], int, int]:
    """Mask, what is sure by itself, and how many pieces were taken, and left."""
    high = max(options.threshold_sigma * sigma * math.sqrt(0.5), options.threshold_floor)
    largest_px = _RULES_BLOB_PX
    if look.one_sided:
        high, largest_px = _ONE_SIDED * high, _ONE_SIDED_BLOB_PX
    seeds = np.abs(score) > high
    mask = np.zeros(score.shape, np.bool_)
    if not seeds.any():
        return mask, seeds, 0, 0
    grown = np.abs(score) > max(options.grow_share * high, 1.5 * sigma)
    alone = _still(look, sigma, options, lambda b: b.area_px <= largest_px and wanted(b), 1, known)
    # Dark and bright apart: a speck beside a hair is not one thing.
    both = [pieces(seeds, grown & (np.sign(score) == s), s, alone, mask) for s in (1, -1)]
    taken, left = (sum(counts) for counts in zip(*both, strict=True))
    return mask, seeds, taken, left


def _bounded(
    mask: NDArray[np.bool_],
    sure: NDArray[np.bool_],
    taken: int,
    left: int,
    options: DirtOptions,
    rim_px: int,
    kept: NDArray[np.bool_] | None,
) -> Suspects:
    free = mask if kept is None else mask & ~kept
    if float(free.mean()) > options.max_area_share:
        return Suspects(np.zeros_like(mask), sure, taken, left, True)
    # The rim of a speck is half dirt; the network was taught to take it, the rule was not.
    square = np.ones((2 * rim_px + 1, 2 * rim_px + 1), np.uint8)
    grown = cv2.dilate(mask.astype(np.uint8), square) > 0 if taken and rim_px else mask
    return Suspects(grown, sure, taken, left, False)
