"""Faded dyes, in density: what each layer lost, undone layer by layer.

Dark fading takes the same share of each dye wherever it is (so a loss of contrast of that
layer), dyes absorb a little outside their own band (so layers leak into each other), and the
base takes on a stain. In film log, which is density up to sign and scale, a faded color is

    faded = A G A^-1 original + stain

with A the absorptions of the dyes and G what is left of each. Undoing it is linear in 1/G and
the stain, so a few colors that must be neutral settle it.

Sources: Gschwind 1989 and Chatterjee, Trumpy, Ruedel 2023 (neutral blacks as anchors, density
domain); side absorptions: typical of chromogenic print stocks, normalised to the main band.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from media.errors import ConfigError

F64 = NDArray[np.float64]

LAYERS = ("red (cyan dye)", "green (magenta dye)", "blue (yellow dye)")
ABSORPTION: F64 = np.array([[1.0, 0.09, 0.02], [0.17, 1.0, 0.08], [0.08, 0.24, 1.0]])
"""(band, dye): how much of each dye's density shows in the red, green and blue band."""
BASE_LOG = 685.0 / 1023.0
"""Where a print has no dye: clear film, scanned as reference white."""
_UNLIKE_GAIN_STD = 10.0
_STAIN_STD_LOG = 0.15
_NEUTRAL_STD_LOG = 0.004
_TONE_STD_LOG = 0.005
_TONES = 12
_TONE_ROUNDS = 24
_GREY_REACH_LOG = (0.2, 0.012)
_PER_SHOT = 1000
_CLEARLY_MORE = 1.15


@dataclass(frozen=True, slots=True, kw_only=True)
class FadeOptions:
    """How far fading may be undone."""

    gain_limit: float = 4.0
    """A layer that lost more than 1 - 1/limit of its density is refused."""
    min_signal: float = 6.0
    """Tonal range of a layer over its grain, below which there is nothing to bring back."""
    offset_limit_log: float = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfading:
    """``restored = matrix @ faded + offset`` in film log, or why not."""

    matrix: tuple[tuple[float, float, float], ...]
    offset: tuple[float, float, float]
    left: tuple[float, float, float]
    """Share of each dye that is left, relative to the best kept layer."""
    confidence: float
    reason: str
    applied: bool = True

    def apply(self, values: F64) -> F64:
        """(..., 3) film log."""
        return np.asarray(values @ np.array(self.matrix).T + np.array(self.offset))


IDENTITY_MATRIX = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def unfade(
    samples_log: Sequence[F64],
    noise_log: F64,
    neutrals_log: F64 | None = None,
    reference: tuple[F64, F64] | None = None,
    options: FadeOptions | None = None,
) -> Unfading:
    """What brings a reel's layers back into balance.

    samples_log: (N, 3) colors of each shot, film log. noise_log: (3,) their grain.
    neutrals_log: (N, 3) colors of the faded reel that a person says are neutral: black, grey,
    white. reference: (M, 3) colors of the faded reel and what they should be. Without either,
    colors of all shots are taken to be neutral on the whole at every tone, and the confidence
    says how much that is worth.
    raises: ConfigError when nothing was measured.
    """
    options = options or FadeOptions()
    if not samples_log:
        raise ConfigError("no shot of the faded reel was measured", hint="check its shot list")
    pooled = _pooled(samples_log)
    inverse = np.linalg.inv(ABSORPTION)
    # Tones of each dye, from colors of each band: faded layers differ in range.
    signal = np.ptp(np.quantile(pooled @ inverse.T, (0.01, 0.99), axis=0), axis=0)
    noise = np.sqrt(np.square(inverse) @ np.square(noise_log))
    # And of the bands themselves: a flat one may look full of a dye that only mirrors the others.
    signal = np.concatenate([np.ptp(np.quantile(pooled, (0.01, 0.99), axis=0), axis=0), signal])
    noise = np.concatenate([np.broadcast_to(noise_log, 3), noise])
    for place, (range_log, grain) in enumerate(zip(signal, noise, strict=True)):
        layer = place % 3
        if range_log < options.min_signal * max(float(grain), 1e-4):
            return _refused(
                f"{LAYERS[layer]} has no more range ({range_log:.3f} film log) than "
                f"{options.min_signal:.0f} times its grain: nothing is left to bring back"
            )
    if reference is not None:
        matrix, offset, left = _by_reference(*reference)
        confidence, basis = 0.9, f"{len(reference[0])} colors of a reference frame"
    elif neutrals_log is not None and len(neutrals_log) > 0:
        count = len(neutrals_log)
        matrix, offset, left = _by_neutrals(np.asarray(neutrals_log, np.float64), pooled)
        confidence, basis = 0.5 + 0.4 * min(1.0, count / 5.0), f"{count} neutral colors"
    else:
        matrix, offset, left = _by_tones(pooled)
        # More shots, more colors, less chance that the content itself has a cast.
        confidence = float(0.6 * (1.0 - np.exp(-len(samples_log) / 8.0)))
        basis = "the tones of all shots together"
    for layer, share in enumerate(left):
        if share < 1.0 / options.gain_limit:
            return _refused(
                f"{LAYERS[layer]} kept only {100 * max(share, 0.0):.0f} % of its density, "
                f"less than 1/{options.gain_limit:g}: it would be grain, not color"
            )
        if share > options.gain_limit:
            return _refused(
                f"{LAYERS[layer]} would have more than {options.gain_limit:g} times the density "
                "of the best kept layer, which is not how dyes fade"
            )
    moved = np.abs(matrix @ np.full(3, BASE_LOG) + offset - BASE_LOG).max()
    if moved > options.offset_limit_log:
        return _refused(f"a stain of {moved:.2f} film log is beyond the limit")
    words = ", ".join(f"{n.split()[0]} {100 * v:.0f} %" for n, v in zip(LAYERS, left, strict=True))
    return Unfading(
        matrix=tuple((float(a), float(b), float(c)) for a, b, c in matrix),
        offset=(float(offset[0]), float(offset[1]), float(offset[2])),
        left=(float(left[0]), float(left[1]), float(left[2])),
        confidence=confidence,
        reason=f"dyes left: {words}, by {basis}",
    )


def _refused(reason: str) -> Unfading:
    return Unfading(
        matrix=IDENTITY_MATRIX,
        offset=(0.0, 0.0, 0.0),
        left=(1.0, 1.0, 1.0),
        confidence=0.0,
        reason=f"left as it is: {reason}",
        applied=False,
    )


def _pooled(samples_log: Sequence[F64]) -> F64:
    """The same number of colors from each shot: (N, 3)."""
    count = max(1, min(_PER_SHOT, min(len(s) for s in samples_log)))
    return np.concatenate(
        [
            np.asarray(s, np.float64)[np.linspace(0, len(s) - 1, count).round().astype(np.intp)]
            for s in samples_log
        ]
    )


def _by_neutrals(neutrals: F64, pooled: F64) -> tuple[F64, F64, F64]:
    """Neutrals settle it; tones only steady what they leave open."""
    tones, weights = _tones(pooled, np.eye(3), np.zeros(3), 1.0)
    inverse = np.linalg.inv(ABSORPTION)
    scale = neutrals if len(neutrals) >= 3 else tones
    best = _best_kept(np.ptp(scale @ inverse.T, axis=0))
    rows = np.concatenate([neutrals, tones])
    sure = np.full(len(neutrals), _NEUTRAL_STD_LOG**-2.0)
    return _least_squares(rows, np.concatenate([sure, 0.002 * weights]), best)


def _best_kept(ranges: F64) -> int:
    """The layer to hold on to. Magenta, the most stable dye, unless another clearly has more."""
    other = 0 if ranges[0] > ranges[2] else 2
    return other if ranges[other] > _CLEARLY_MORE * ranges[1] else 1


def _by_tones(pooled: F64) -> tuple[F64, F64, F64]:
    """What is most common at each tone is neutral; tones are told by what has been restored so far.

    Told by the faded picture, or by one layer, another layer would seem flatter than it is.
    """
    inverse = np.linalg.inv(ABSORPTION)
    ranges = np.ptp(np.quantile(pooled @ inverse.T, (0.02, 0.98), axis=0), axis=0)
    best = _best_kept(ranges)
    # Ranges alone are a fair start.
    start = np.diag(ranges.max() / ranges)
    matrix: F64 = ABSORPTION @ start @ inverse
    middle = np.median(pooled @ matrix.T, axis=0)
    offset: F64 = middle[best] - middle
    left: F64 = np.ones(3)
    for reach in np.geomspace(*_GREY_REACH_LOG, _TONE_ROUNDS):
        rows, weights = _tones(pooled, matrix, offset, float(reach))
        matrix, offset, left = _least_squares(rows, weights, best)
    return matrix, offset, left


def _tones(pooled: F64, matrix: F64, offset: F64, reach_log: float) -> tuple[F64, F64]:
    """Typical faded colors of twelve tones of restored luma, and how surely each is neutral.

    Colors count the less the further they are from neutral as restored so far (Cauchy):
    foliage and skin pull a plain mean to yellow.
    """
    restored = pooled @ matrix.T + offset
    luma = restored.mean(axis=1)
    grey = 1.0 / (1.0 + np.square(restored - luma[:, None]).sum(axis=1) / reach_log**2)
    bins = np.array_split(np.argsort(luma, kind="stable"), _TONES)
    rows = np.stack([np.average(pooled[b], axis=0, weights=grey[b]) for b in bins])
    # The ends of the scale are the most likely to be neutral: black is black, white is white.
    ends = 0.4 + 0.6 * np.abs(np.linspace(-1.0, 1.0, _TONES)) ** 2
    share = np.array([grey[b].mean() for b in bins])
    return rows, ends * share / _TONE_STD_LOG**2


def _least_squares(rows: F64, weights: F64, best: int) -> tuple[F64, F64, F64]:
    """Rows (N, 3) become neutral: 1/G of two layers and the stain; ``best`` is kept as it is."""
    inverse = np.linalg.inv(ABSORPTION)
    others = [c for c in range(3) if c != best]
    amounts = rows @ inverse.T
    # restored = sum over dyes of h_d * A[:, d] * amount_d + u
    count = 2 + 3
    normal, right = np.zeros((count, count)), np.zeros(count)
    for band in others:
        design = np.zeros((len(rows), count))
        for k, dye in enumerate(others):
            design[:, k] = (ABSORPTION[band, dye] - ABSORPTION[best, dye]) * amounts[:, dye]
        known = (ABSORPTION[band, best] - ABSORPTION[best, best]) * amounts[:, best]
        design[:, 2 + band] = 1.0
        design[:, 2 + best] = -1.0
        normal += (design * weights[:, None]).T @ design
        right -= (design * weights[:, None]).T @ known
    # Fading leaves the base where it is: so does the band of the best layer, undoing it.
    base = inverse @ np.full(3, BASE_LOG)
    level = np.zeros(count)
    for k, dye in enumerate(others):
        level[k] = ABSORPTION[best, dye] * base[dye]
    level[2 + best] = 1.0
    rest = BASE_LOG - ABSORPTION[best, best] * base[best]
    normal += np.outer(level, level) / 0.002**2
    right += level * rest / 0.002**2
    prior = np.array([_UNLIKE_GAIN_STD] * 2 + [_STAIN_STD_LOG] * 3) ** -2.0
    normal += np.diag(prior)
    right += prior * np.array([1.0, 1.0, 0.0, 0.0, 0.0])
    found = np.linalg.solve(normal, right)
    gains = np.ones(3)
    gains[others] = found[:2]
    matrix = np.asarray(ABSORPTION @ np.diag(gains) @ inverse, np.float64)
    return matrix, np.asarray(found[2:]), np.asarray(1.0 / np.maximum(gains, 1e-6))


def _by_reference(faded: F64, wanted: F64) -> tuple[F64, F64, F64]:
    """A full matrix and offset, shrunk towards what dyes do."""
    faded, wanted = np.asarray(faded, np.float64), np.asarray(wanted, np.float64)
    design = np.c_[faded, np.ones(len(faded))]
    ridge = np.diag([1e-3, 1e-3, 1e-3, 1e-4]) * len(faded)
    start = np.vstack([np.eye(3), np.zeros(3)])
    weight = np.ones(len(faded))
    found = start
    for _ in range(15):
        weighted = design * weight[:, None]
        found = np.linalg.solve(
            weighted.T @ design + ridge * 1e-2, weighted.T @ wanted + ridge * 1e-2 @ start
        )
        left = np.linalg.norm(design @ found - wanted, axis=1)
        scale = max(2.0 * float(np.median(left)), 0.004)
        weight = 1.0 / (1.0 + (left / scale) ** 2)
    matrix, offset = found[:3].T, found[3]
    gains = np.diag(np.linalg.inv(ABSORPTION) @ matrix @ ABSORPTION)
    return matrix, offset, 1.0 / np.maximum(gains / gains.min(), 1e-6)


def fading(left: F64, absorption: F64, stain_log: F64) -> tuple[F64, F64]:
    """Matrix and offset that fade a picture: known truth for tests and benchmarks.

    left: (3,) share of each dye kept. absorption: (3, 3) of the stock. stain_log: (3,) film log
    added to the base, which fading itself does not move.
    """
    matrix = absorption @ np.diag(left) @ np.linalg.inv(absorption)
    base = np.full(3, BASE_LOG)
    return matrix, base - matrix @ base + stain_log
