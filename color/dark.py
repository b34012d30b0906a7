"""Shots that are dark on purpose stay dark."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from color.cdl import LUMA_WEIGHTS, PRINTER_POINT_LOG, apply_cdl
from color.curve import SHIFT, to_cdl
from color.records import ShotInput

F64 = NDArray[np.float64]

_ROUNDS = 40
_EXACT_LOG = 1e-6


def kept_dark(theta: F64, of_reel: F64, shot: ShotInput, most_points: float) -> tuple[F64, bool]:
    """A correction lowered until it lifts no tone by more than allowed, and whether it was.

    theta: (SIZE,), see ``color.curve``; of_reel: the part that is the reel's, whose lift is stock
    or ageing and no look of the shot. Tones are the luma of the shot's quantiles from 5 % up. Only
    the level moves: what the correction does to the balance stays.
    """
    if shot.quantiles_log is None:
        return theta, False
    tones = shot.quantiles_log.T[1:]
    before = tones @ np.array(LUMA_WEIGHTS)
    allowed = most_points * PRINTER_POINT_LOG + np.maximum(_luma(tones, of_reel) - before, 0.0)
    lowered = False
    theta = theta.copy()
    for _ in range(_ROUNDS):
        excess = float((_luma(tones, theta) - before - allowed).max())
        if excess <= _EXACT_LOG:
            break
        theta[SHIFT] -= excess
        lowered = True
    return theta, lowered


def _luma(tones: F64, theta: F64) -> F64:
    """(Q,) film log."""
    return np.asarray(apply_cdl(tones, to_cdl(theta), clamp=False) @ np.array(LUMA_WEIGHTS))
