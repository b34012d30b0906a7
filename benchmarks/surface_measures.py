"""How well dirt is found, how well it is covered, and what was taken that is not dirt."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]
_CHANGED = 0.5 / 1023.0
"""Half a 10-bit code: what changes less is written as it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Detection against the truth, over all frames."""

    precision: float
    """With a tolerance of 1 px: the rim of a speck is neither dirt nor picture."""
    recall: float
    f1: float
    false_share: float
    """Share of the picture that was taken and is no dirt (1 px of tolerance)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """The repaired pictures against the sound ones."""

    damaged_db: float
    """PSNR over damaged pixels, found or not; 1.0 film log is the peak."""
    repaired_db: float
    """... over those that were changed."""
    sound_db: float
    changed_share: float
    """Share of the sound pixels that are not what they were."""


def found(mask: Mask, truth: Mask) -> Found:
    """mask, truth: (T, H, W)."""
    near = np.stack([cv2.dilate(m.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0 for m in truth])
    hits, taken = float((mask & truth).sum()), max(float(mask.sum()), 1.0)
    recall = hits / max(float(truth.sum()), 1.0)
    precision = float((mask & near).sum()) / taken
    f1 = 2 * recall * precision / max(recall + precision, 1e-9)
    false_share = float((mask & ~near).mean())
    return Found(precision=precision, recall=recall, f1=f1, false_share=false_share)


def repaired(out: F32, dirty: F32, sound: F32, truth: Mask) -> Repaired:
    """out, dirty, sound: (T, C, H, W) film log; sound has the grain, but no dirt."""
    gap = np.square(out - sound).mean(axis=1)
    changed = np.abs(out - dirty).max(axis=1) > _CHANGED
    return Repaired(
        damaged_db=_db(gap[truth]),
        repaired_db=_db(gap[truth & changed]),
        sound_db=_db(gap[~truth]),
        changed_share=float(changed[~truth].mean()),
    )


def _db(squared: F32) -> float:
    return (
        float(-10.0 * np.log10(float(squared.mean(dtype=np.float64)) + 1e-9))
        if squared.size
        else 99.0
    )
