"""Measure noise and grain from what does not follow the motion.

Two frames are laid over each other along the motion: to whole pixels, so that nothing is averaged,
for the texture of grain; to parts of a pixel for its strength, so that the texture of the picture
is gone from it. Their difference is grain of both; their mean shows where the picture is flat.
Blocks are chosen by the mean, in which independent grain says nothing about its difference, so the
choice does not favour weak grain.
"""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from restore.grain.between import Between, laid_over, strength_of
from restore.grain.cells import BLOCK, blocks_of, middle, with_luma
from restore.motion import find_flow, flow_tensor, luma, steering_image, warp

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
_SIZE = 8
_BANDS = (0.0, 0.3, 0.45, 0.6, 0.75, 1.01)
"""Film log edges of the luma bands in which grain is reported."""
_LEVELS = 10
_MOST_PAIRS = 40
_FLAT = 0.25
"""Share of blocks, the flattest, that are measured."""
_EVEN = 0.35
"""Share of all blocks, the flattest, from which the curve by level is taken."""
_GRAIN_ALONE = 1.5
"""Times what grain alone makes of a block: no rougher by more than that, it is as flat as others,
however strong its grain."""
_FEWEST = 12
_WHITE = np.stack([np.ones((_SIZE, _SIZE)), np.full((_SIZE, _SIZE), 0.25)])
"""Spectrum of white grain, at full size and after means over 2 x 2 px."""


class GrainProbe:
    """Strength of grain by channel and level, its spectrum and how channels go together.

    Works on a full-size crop, because a proxy averages grain away. Evidence: ``sigma`` (C,)
    film log at the typical level, ``sigma_luma``; ``levels`` (K,) and ``level_sigma`` (C, K) film
    log, the curve of each channel by its own level; ``band_sigma`` (bands,) of luma (0 where
    unseen) with ``band_edges``; ``correlation`` lag-1 autocorrelation (0 = white), ``spectrum``
    (8, 8) power of DCT blocks over that of white grain of the same variance, ``coarse_spectrum``
    the same after taking means over 2 x 2 px (white: 0.25), ``autocorrelation`` (8, 8) of luma
    between pixels so many rows and columns apart, ``channel_correlation`` (C, C),
    ``frames_used``.
    """

    name = "grain"

    def __init__(self) -> None:
        self._before: tuple[Tensor, NDArray[np.uint8]] | None = None
        self._last: tuple[F32, Between, F32, NDArray[np.bool_]] | None = None
        self._level: list[F64] = []
        self._sigma: list[F64] = []
        self._rough: list[F64] = []
        self._by_grain: list[F64] = []
        self._lags: list[F64] = []
        self._spectra: list[F64] = []
        self._together: list[F64] = []
        self._near: list[F64] = []

    def observe(self, frame: int, pixels: Tensor) -> None:
        """frame: scan number. pixels: (C, H, W) film log, full-size crop of the middle."""
        del frame
        image = steering_image(luma(pixels))
        if self._before is not None and len(self._sigma) < _MOST_PAIRS:
            self._measure(pixels, image, *self._before)
        self._before = (pixels, image)

    def _measure(
        self,
        pixels: Tensor,
        image: NDArray[np.uint8],
        before: Tensor,
        before_image: NDArray[np.uint8],
    ) -> None:
        last, self._last = self._last, None
        exact = find_flow(before_image, image)
        flow = flow_tensor(np.rint(exact), pixels)
        fetched, inside = warp(pixels.unsqueeze(0), flow, cubic=False)
        one, other = before.cpu().numpy(), fetched[0].cpu().numpy()
        difference, mean = with_luma(other - one), with_luma(0.5 * (one + other))
        usable = blocks_of(inside[0].float().cpu().numpy())[0].min(axis=-1) > 0
        level = blocks_of(mean[:-1]).mean(axis=-1)
        usable &= ((level > 0.03) & (level < 0.97)).all(axis=0)
        if usable.sum() < _FEWEST:
            return
        rough = np.stack([_roughness(p) for p in mean])
        share = max(_FLAT, min(1.0, 2.0 * _FEWEST / usable.sum()))
        flat = usable & (rough[-1] <= np.quantile(rough[-1][usable], share))
        correlation = self._look_closer(difference, flat)
        laid, fine = laid_over(pixels.cpu().numpy(), one, difference, exact, correlation)
        kept = laid.kept(correlation)
        if last is not None:
            self._told_apart(fine, *last)
        blocks = blocks_of(fine)
        # Slow differences (flicker, flow) are not grain: each block loses its own middle.
        blocks = blocks - middle(blocks)
        self._level.append(blocks_of(mean).mean(axis=-1)[:, usable])
        self._sigma.append(strength_of(blocks, kept)[:, usable])
        self._rough.append(rough[:, usable])
        # Half the difference of two frames is to the eye what grain is in their mean.
        by_grain = np.stack([_roughness(0.5 * p) for p in difference])
        self._by_grain.append(by_grain[:, usable])
        self._last = (blocks, laid, kept, usable)

    def _told_apart(
        self,
        difference: F32,
        blocks: F32,
        laid: Between,
        kept: F32,
        usable: NDArray[np.bool_],
    ) -> None:
        """Sigma of the pair before, with what is not grain in it told apart by the next pair.

        The frame between two pairs gives its grain to both differences with opposite signs: their
        covariance is -sigma^2, times what fetching has ``kept``. What motion leaves over has no
        part in it, or, where the motion is steady and lost by the same share of a pixel each time,
        twice the opposite part: a mean of both is right for neither alone and near for both.
        """
        following = with_luma(laid.fetch(difference[:-1]))
        other = blocks_of(following)[:, usable]
        own, sigma = blocks[:, usable], self._sigma[-1]
        limit = (4.0 * np.sqrt(2.0) * sigma)[..., None]
        other = np.clip(other - middle(other), -limit, limit)
        common = -(np.clip(own, -limit, limit) * other).mean(axis=-1) / kept[usable]
        self._sigma[-1] = np.sqrt(0.5 * (sigma**2 + np.maximum(common, 0.0)))

    def _look_closer(self, difference: F32, flat: NDArray[np.bool_]) -> float:
        """Spectrum and correlations over the flat blocks, outliers left out; the correlation."""
        tiles = blocks_of(difference)[:, flat]
        power = tiles.var(axis=-1)
        typical = np.median(power, axis=1, keepdims=True)
        like = (power < 2.0 * typical + 1e-12).all(axis=0)
        if like.sum() >= _FEWEST // 2:
            tiles = tiles[:, like]
        centred = tiles - tiles.mean(axis=-1, keepdims=True)
        square = centred[-1].reshape(-1, BLOCK, BLOCK)
        if not square.any():
            # Drawn, or made by a computer: the same to the last bit, and no texture to see.
            return 0.0
        lag = (square[:, :, 1:] * square[:, :, :-1]).sum() / (square**2).sum()
        self._lags.append(np.array(lag))
        self._together.append(_correlated(centred[:-1].reshape(len(centred) - 1, -1)))
        self._near.append(_autocovariance(square))
        squares = tiles[-1].reshape(-1, BLOCK, BLOCK)
        quarters = squares.reshape(-1, 2, _SIZE, 2, _SIZE).transpose(0, 1, 3, 2, 4)
        coarse = squares.reshape(-1, _SIZE, 2, _SIZE, 2).mean(axis=(2, 4))
        self._spectra.append(
            np.stack([dct_spectrum(quarters.reshape(-1, _SIZE, _SIZE)), dct_spectrum(coarse)])
        )
        return float(lag)

    def _take_for_white(self, channels: int) -> None:
        """No pair of frames had a texture to see."""
        self._lags.append(np.array(0.0))
        self._together.append(np.eye(channels).reshape(-1))
        self._near.append(np.zeros((_SIZE, _SIZE)))
        self._near[-1][0, 0] = 1.0
        self._spectra.append(_WHITE)

    def finish(self) -> dict[str, object]:
        """The evidence; zero sigma with ``frames_used`` 0 when nothing could be measured."""
        if not self._sigma:
            return {"sigma": [], "sigma_luma": 0.0, "band_sigma": [], "frames_used": 0}
        level, sigma, rough, by_grain = (
            np.concatenate(found, axis=1)
            for found in (self._level, self._sigma, self._rough, self._by_grain)
        )
        channels = len(sigma) - 1
        if not self._lags:
            self._take_for_white(channels)
        correlation = float(np.median(self._lags))
        lifted = 1.0 / _left_by_middle(correlation)
        typical = [_typical(s, r) * lifted for s, r in zip(sigma, rough, strict=True)]
        low, high = (float(v) for v in np.quantile(level[:-1], (0.02, 0.98)))
        levels = np.linspace(low, high, _LEVELS)
        curves = [
            _by_level(level[c], sigma[c] * lifted, rough[c], by_grain[c], levels, typical[c])
            for c in range(channels)
        ]
        bands = [
            _band(level[-1], sigma[-1], rough[-1], low, high) * lifted
            for low, high in pairwise(_BANDS)
        ]
        fine, coarse = np.mean(self._spectra, axis=0)
        if not fine.any():
            fine, coarse = _WHITE
        return {
            "sigma": typical[:-1],
            "sigma_luma": typical[-1],
            "levels": [float(v) for v in levels],
            "level_sigma": [[float(v) for v in c] for c in curves],
            "band_sigma": bands,
            "band_edges": list(_BANDS),
            "correlation": correlation,
            "spectrum": (fine / fine.mean()).round(4).tolist(),
            "coarse_spectrum": (coarse / fine.mean()).round(4).tolist(),
            "autocorrelation": _autocorrelation(self._near).round(5).tolist(),
            "channel_correlation": np.reshape(
                np.median(self._together, axis=0), (channels, channels)
            )
            .round(4)
            .tolist(),
            "frames_used": len(self._sigma) + 1,
        }


def _correlated(channels: F64) -> F64:
    """(C * C,) correlation of (C, n); a channel in which nothing varies goes with none."""
    vary = channels.any(axis=1)
    found = np.eye(len(channels))
    found[np.ix_(vary, vary)] = np.corrcoef(channels[vary])
    return found.reshape(-1)


def _typical(sigma: F64, rough: F64) -> float:
    """The middle value over the flattest blocks."""
    return float(np.median(sigma[rough <= np.quantile(rough, _FLAT)]))


def _by_level(
    level: F64, sigma: F64, rough: F64, by_grain: F64, levels: F64, typical: float
) -> F64:
    """(K,) strength at each level, from the flattest of the blocks nearest to it.

    by_grain: how rough grain alone makes each block.
    """
    half = 0.5 * (levels[1] - levels[0]) + 1e-6
    found, most = np.full(len(levels), np.nan), np.full(len(levels), np.inf)
    # A level that is seen in texture only is taken to be like those beside it.
    limit = np.quantile(rough, _EVEN)
    even = rough <= limit
    for k, at in enumerate(levels):
        here = np.abs(level - at) <= half
        near = here & even
        if near.sum() < 2 * _FEWEST and here.sum() >= 2 * _FEWEST:
            # Unless all that makes it rough is more grain than elsewhere; and at most what is seen
            # there, to which texture can only add.
            flat = here & (rough <= np.quantile(rough[here], _FLAT))
            if np.median(rough[flat]) <= limit + _GRAIN_ALONE * np.median(by_grain[flat]):
                near = here
            most[k] = np.median(sigma[flat])
        if near.sum() >= 2 * _FEWEST:
            found[k] = _typical(sigma[near], rough[near])
    known = np.isfinite(found)
    curve: F64 = np.full(len(levels), typical)
    if known.any():
        curve = np.interp(levels, levels[known], found[known])
    less = ~known & (most < curve)
    if less.any():
        found, known = np.where(less, most, found), known | less
        curve = np.interp(levels, levels[known], found[known])
    return curve


def _band(level: F64, sigma: F64, rough: F64, low: float, high: float) -> float:
    inside = (level >= low) & (level < high)
    return _typical(sigma[inside], rough[inside]) if inside.sum() >= 2 * _FEWEST else 0.0


def _roughness(plane: NDArray[np.floating]) -> F64:
    """(blocks,) how much picture there is in a block: the gradient of the blurred mean."""
    smooth = cv2.GaussianBlur(plane.astype(np.float32), (0, 0), 2.0)
    gx = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=3)
    gy = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=3)
    found: F64 = blocks_of((gx * gx + gy * gy)[None])[0].mean(axis=-1)
    return found


def dct_spectrum(blocks: F64) -> F64:
    """(8, 8) middle power of each DCT frequency over blocks (N, 8, 8) of differences.

    The median of a square of a Gaussian is 0.455 of its mean.
    """
    k = np.arange(_SIZE)
    rows = np.cos(np.pi * (2 * k[None] + 1) * k[:, None] / (2 * _SIZE)) * np.sqrt(2.0 / _SIZE)
    rows[0] /= np.sqrt(2.0)
    coefficients = rows @ blocks @ rows.T
    power = (coefficients**2).reshape(len(blocks), -1).T
    found = middle(power).reshape(_SIZE, _SIZE).astype(np.float64) / 0.4549
    # Slow differences (flicker) are all in the mean of a block: grain has no more there than
    # beside it.
    found[0, 0] = min(found[0, 0], 1.1 * max(found[0, 1], found[1, 0]))
    return found


def _autocovariance(tiles: F64) -> F64:
    """(8, 8) mean product of pixels dy, dx apart within tiles (N, 16, 16), both diagonals."""
    found = np.empty((_SIZE, _SIZE))
    for dy in range(_SIZE):
        for dx in range(_SIZE):
            upper, lower = tiles[:, : BLOCK - dy], tiles[:, dy:]
            right = (upper[:, :, : BLOCK - dx] * lower[:, :, dx:]).mean()
            left = (upper[:, :, dx:] * lower[:, :, : BLOCK - dx]).mean()
            found[dy, dx] = 0.5 * (right + left)
    return found


def _autocorrelation(found: list[F64]) -> F64:
    """(8, 8), 1 at no distance. Tiles lost their means: far lags, where grain has none, say by
    how much every product is too small."""
    mean = np.mean(found, axis=0)
    far = np.maximum(*np.mgrid[:_SIZE, :_SIZE]) >= _SIZE - 2
    mean = mean - mean[far].mean()
    settled: F64 = mean / max(float(mean[0, 0]), 1e-12)
    return settled


def _left_by_middle(correlation: float) -> float:
    """What taking a block's own middle leaves of the sigma of correlated grain.

    The correlation is taken to fall off like a Gaussian blur's.
    """
    rho = min(max(correlation, 0.0), 0.9)
    lags = np.arange(-BLOCK, BLOCK + 1, dtype=np.float64)
    level = float((rho ** (lags**2)).sum()) ** 2 / BLOCK**2
    return float(np.sqrt(max(1.0 - level, 0.25)))
