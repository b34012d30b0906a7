"""Measure noise and grain from what does not follow the motion."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from restore.motion import LUMA, find_flow, flow_tensor, luma, steering_image, warp

_BLOCK = 16
_BANDS = (0.0, 0.3, 0.45, 0.6, 0.75, 1.01)
"""Film log edges of the luma bands in which grain is reported."""


class GrainProbe:
    """Standard deviation of grain per channel and luma band, at full resolution.

    Works on a full-size crop, because a proxy averages grain away. Evidence: ``sigma`` (C,)
    film log, ``sigma_luma`` film log, ``band_sigma`` (bands,) film log luma (0 where unseen),
    ``band_edges``, ``correlation`` lag-1 autocorrelation (0 = white), ``frames_used``.
    """

    name = "grain"

    def __init__(self) -> None:
        self._before: tuple[Tensor, NDArray[np.uint8]] | None = None
        self._sigma: list[NDArray[np.float64]] = []
        self._luma_sigma: list[float] = []
        self._bands: list[NDArray[np.float64]] = []
        self._correlation: list[float] = []

    def observe(self, frame: int, pixels: Tensor) -> None:
        """frame: scan number. pixels: (C, H, W) film log, full-size crop of the middle."""
        del frame
        image = steering_image(luma(pixels))
        if self._before is not None and len(self._sigma) < 40:
            self._measure(pixels, image, *self._before)
        self._before = (pixels, image)

    def _measure(
        self,
        pixels: Tensor,
        image: NDArray[np.uint8],
        before: Tensor,
        before_image: NDArray[np.uint8],
    ) -> None:
        flow = np.rint(find_flow(before_image, image))
        # Whole-pixel fetch: interpolation would average the grain it is meant to measure.
        fetched, inside = warp(pixels.unsqueeze(0), flow_tensor(flow, pixels), cubic=False)
        difference = (fetched[0] - before).cpu().numpy()
        # Slow differences (flicker, flow) are not grain: each block loses its own mean.
        blocks = _blocks(difference)
        blocks = blocks - np.median(blocks, axis=-1, keepdims=True)
        mad = np.median(np.abs(blocks), axis=-1) * (1.4826 / np.sqrt(2.0))
        usable = _blocks(inside[0].float().cpu().numpy())[0].min(axis=-1) > 0
        level = _blocks(luma(before).unsqueeze(0).cpu().numpy())[0].mean(axis=-1)
        usable &= (level > 0.03) & (level < 0.97)
        if usable.sum() < 12:
            return
        self._sigma.append(np.quantile(mad[:, usable], 0.2, axis=1))
        weights = np.array(LUMA) if len(difference) == 3 else np.ones(1)
        plane = np.tensordot(weights, difference, axes=1)
        blocks = _blocks(plane[None])[0]
        blocks = blocks - np.median(blocks, axis=-1, keepdims=True)
        mad_luma = np.median(np.abs(blocks), axis=-1) * (1.4826 / np.sqrt(2.0))
        quiet = np.quantile(mad_luma[usable], 0.2)
        self._luma_sigma.append(float(quiet))
        self._bands.append(_band_sigma(mad_luma, level, usable))
        self._correlation.append(_lag_one(plane, usable & (mad_luma <= quiet * 1.05)))

    def finish(self) -> dict[str, object]:
        """The evidence; zero sigma with ``frames_used`` 0 when nothing could be measured."""
        if not self._sigma:
            return {"sigma": [], "sigma_luma": 0.0, "band_sigma": [], "frames_used": 0}
        bands = np.array(self._bands)
        seen = bands > 0
        band_sigma = [
            float(np.median(bands[seen[:, b], b])) if seen[:, b].any() else 0.0
            for b in range(len(_BANDS) - 1)
        ]
        correlation = float(np.median(self._correlation))
        lifted = _quantile_bias(correlation)
        return {
            "sigma": [float(v) / lifted for v in np.median(np.array(self._sigma), axis=0)],
            "sigma_luma": float(np.median(self._luma_sigma)) / lifted,
            "band_sigma": [v / lifted for v in band_sigma],
            "band_edges": list(_BANDS),
            "correlation": correlation,
            "frames_used": len(self._sigma) + 1,
        }


def _quantile_bias(correlation: float) -> float:
    """What the 20 % quantile over blocks reads where grain alone is seen, as a share of sigma.

    The median absolute deviation of a block of N independent samples scatters by 1.167 / sqrt(2N)
    of itself, and the quantile lies 0.84 such deviations low. Correlated grain counts fewer
    independent samples, and loses some of its power with the mean of its block. The correlation
    is taken to fall off like a Gaussian blur's.
    """
    rho = min(max(correlation, 0.0), 0.9)
    lags = np.arange(-_BLOCK, _BLOCK + 1, dtype=np.float64)
    shape = rho ** (lags**2)
    samples = _BLOCK**2 / float((shape**2).sum()) ** 2
    level = float(shape.sum()) ** 2 / _BLOCK**2
    scatter = 1.167 / np.sqrt(2.0 * samples)
    return float(max((1.0 - 0.84 * scatter) * np.sqrt(max(1.0 - level, 0.25)), 0.5))


def _blocks(planes: NDArray[np.floating]) -> NDArray[np.float64]:
    """(C, H, W) to (C, blocks, pixels of a block); a rest at the edges is left out."""
    c, h, w = planes.shape
    rows, cols = h // _BLOCK, w // _BLOCK
    cut = planes[:, : rows * _BLOCK, : cols * _BLOCK].astype(np.float64)
    tiles = cut.reshape(c, rows, _BLOCK, cols, _BLOCK).transpose(0, 1, 3, 2, 4)
    return tiles.reshape(c, rows * cols, _BLOCK * _BLOCK)


def _band_sigma(
    mad: NDArray[np.float64], level: NDArray[np.float64], usable: NDArray[np.bool_]
) -> NDArray[np.float64]:
    out = np.zeros(len(_BANDS) - 1)
    for b, (low, high) in enumerate(pairwise(_BANDS)):
        chosen = usable & (level >= low) & (level < high)
        if chosen.sum() >= 8:
            out[b] = np.quantile(mad[chosen], 0.2)
    return out


def _lag_one(plane: NDArray[np.float64], chosen: NDArray[np.bool_]) -> float:
    """Horizontal lag-1 autocorrelation of the difference in the chosen quiet blocks."""
    blocks = _blocks(plane[None])[0][chosen].reshape(-1, _BLOCK, _BLOCK)
    blocks = blocks - blocks.mean(axis=(1, 2), keepdims=True)
    power = float((blocks**2).sum())
    return float((blocks[:, :, 1:] * blocks[:, :, :-1]).sum() / power) if power > 0 else 0.0
