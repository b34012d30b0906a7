"""What ``benchmarks.steady`` measures: exposure and path against a known truth."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from media.encoding import STOP, log_to_light, rec709_encode
from media.synthetic import Frames

_HIGH_PASS_FRAMES = 5.0
_GRID = 8
_RIM_PX = 12
"""Border left out when pictures are registered."""
_BAND_PX = 4
"""Width of the border whose error is told apart."""
_EVERY = 3
"""PSNR looks at every third frame."""
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)


@dataclass(frozen=True)
class Exposure:
    """Temporally high-passed exposure error, stops rms."""

    local: float
    """On an 8 x 8 grid, channels averaged."""
    whole: float
    """Of the whole frame, channels averaged."""
    breathing: float
    """Of each channel against the average of the three."""


def exposure(found: Frames, truth: Frames) -> Exposure:
    """Both (T, C, H, W) film log; a log ratio is a difference there."""
    cells = np.stack([_cells(a - b) for a, b in zip(found, truth, strict=True)]) / STOP
    mean = cells.mean(axis=2)
    level = cells.mean(axis=1)
    return Exposure(
        local=_rms(fast(mean)),
        whole=_rms(fast(mean.mean(axis=1, keepdims=True))),
        breathing=_rms(fast(level - level.mean(axis=1, keepdims=True))),
    )


def _cells(difference: NDArray[np.float32]) -> NDArray[np.float64]:
    """(cells, C) medians: they see neither dirt nor the rims that weave moves."""
    rows = np.array_split(difference[:, ::2, ::2], _GRID, axis=1)
    return np.array(
        [np.median(c, axis=(1, 2)) for r in rows for c in np.array_split(r, _GRID, axis=2)],
        np.float64,
    )


def fast(curves: NDArray[np.float64]) -> NDArray[np.float64]:
    """Curves over time (axis 0) without what changes slowly (Gaussian, 5 frames)."""
    slow: NDArray[np.float64] = gaussian_filter1d(curves, _HIGH_PASS_FRAMES, axis=0, mode="nearest")
    return curves - slow


def psnr_db(found: Frames, truth: Frames) -> float:
    """PSNR in Rec.709 code values, the scale in which such figures are usually given."""
    square = [
        float(np.square(codes(a) - codes(b), dtype=np.float64).mean())
        for a, b in zip(found[::_EVERY], truth[::_EVERY], strict=True)
    ]
    return _db(float(np.mean(square)))


def border_db(found: Frames, truth: Frames) -> tuple[float, float]:
    """PSNR of luma in the outermost 4 px, and inside of them."""
    band, inside = [], []
    for a, b in zip(found[::_EVERY], truth[::_EVERY], strict=True):
        square = np.square(luma(a) - luma(b), dtype=np.float64)
        core = square[_BAND_PX:-_BAND_PX, _BAND_PX:-_BAND_PX]
        inside.append(core.mean())
        band.append((square.sum() - core.sum()) / (square.size - core.size))
    return _db(float(np.mean(band))), _db(float(np.mean(inside)))


def codes(frame: NDArray[np.float32]) -> NDArray[np.float32]:
    """(C, H, W) film log to Rec.709 code values, clipped to 0..1."""
    values = rec709_encode(log_to_light(torch.from_numpy(frame))).clamp(0.0, 1.0)
    found: NDArray[np.float32] = values.numpy()
    return found


def luma(frame: NDArray[np.float32]) -> NDArray[np.float32]:
    """(H, W) Rec.709 luma code of (C, H, W) film log."""
    values = codes(frame)
    weights = _LUMA if len(values) == 3 else np.ones(1, np.float32)
    y: NDArray[np.float32] = np.tensordot(weights, values, axes=1).astype(np.float32)
    return y


@dataclass(frozen=True)
class Path:
    """By how much frames are displaced against the truth."""

    jitter_px: float
    """Rms per axis, slow part removed."""
    total_px: float
    """Rms per axis, the mean place removed."""
    turn_deg: float
    """Rms, slow part removed."""


def path_error(found: Frames, truth: Frames) -> Path:
    """Every frame is registered with its own truth: shift and turn, robust, to 0.002 px."""
    moves = np.array([registered(luma(b), luma(a)) for a, b in zip(found, truth, strict=True)])
    shift = moves[:, :2]
    return Path(
        jitter_px=_rms(fast(shift)),
        total_px=_rms(shift - shift.mean(axis=0)),
        turn_deg=_rms(fast(moves[:, 2:])),
    )


def registered(
    truth: NDArray[np.float32], found: NDArray[np.float32]
) -> tuple[float, float, float]:
    """(dx, dy, degrees) by which the picture of ``found`` is displaced against ``truth``.

    Gauss-Newton on lightly blurred planes about the middle of the frame, Tukey weights, so that
    grain and dirt do not matter; level differences fall out.
    """
    h, w = truth.shape
    a = cv2.GaussianBlur(truth, (0, 0), 1.0)
    b = cv2.GaussianBlur(found, (0, 0), 1.0)
    inner = (slice(_RIM_PX, h - _RIM_PX, 2), slice(_RIM_PX, w - _RIM_PX))
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    middle_x, middle_y = (w - 1) / 2, (h - 1) / 2
    dx = dy = turn = 0.0
    for _ in range(8):
        cos, sin = math.cos(turn), math.sin(turn)
        matrix = np.array(
            [
                [cos, -sin, dx + middle_x - cos * middle_x + sin * middle_y],
                [sin, cos, dy + middle_y - sin * middle_x - cos * middle_y],
            ]
        )
        flags = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
        back = cv2.warpAffine(b, matrix, (w, h), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        mean = 0.5 * (a + back)
        gx = cv2.Sobel(mean, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)[inner]
        gy = cv2.Sobel(mean, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)[inner]
        spin = gy * (x[inner] - middle_x) - gx * (y[inner] - middle_y)
        r = (back - a)[inner]
        r = r - np.median(r[::2])
        scale = max(1.4826 * float(np.median(np.abs(r[::2]))), 2e-4)
        weight = np.square(np.clip(1.0 - np.square(r / (4.7 * scale)), 0.0, None))
        g = np.stack([gx.ravel(), gy.ravel(), spin.ravel()])
        weighted = g * weight.ravel()
        normal = (weighted @ g.T).astype(np.float64) + 1e-9 * np.eye(3)
        step = np.linalg.solve(normal, (weighted @ r.ravel()).astype(np.float64))
        dx, dy, turn = dx - step[0], dy - step[1], turn - step[2]
        if abs(step[0]) + abs(step[1]) < 2e-4 and abs(step[2]) < 1e-6:
            break
    return float(dx), float(dy), math.degrees(turn)


def _rms(values: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.square(values).mean()))


def _db(square: float) -> float:
    """Equal pictures count as 99 dB."""
    return 99.0 if square < 1e-9 else min(99.0, -10.0 * math.log10(square))
