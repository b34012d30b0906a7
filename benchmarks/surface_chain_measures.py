"""What ``benchmarks.surface_chain`` measures, and where what is missing goes.

All figures are of display codes against the clean clip, 12 px of border left out; one gain a
channel is taken out of all alike, because the level of a shot belongs to the color balance.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.steady_measures import luma, registered
from benchmarks.surface_peers import as_codes
from media.passes import Window
from media.synthetic import Frames
from restore.weave.apply import WeaveOperator

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]
_RIM_PX = 12
_SLOW_PX = 60.0
_ODD = 0.1
"""Film log; differences are held below this where the level is looked for."""
_NEAR_PX = 5


def figures(found: Frames, clean: Frames) -> dict[str, float]:
    """PSNR and SSIM as it is, and with each frame laid on its truth.

    found, clean: (T, C, H, W) film log. A slow drift cannot be told from what the camera did, by
    anybody, and in a short shot some of the weave looks like one.
    """
    moved = placed(found, clean)
    return {
        "psnr_db": round(psnr_db(found, clean), 2),
        "ssim": round(ssim(found, clean), 4),
        "placed_psnr_db": round(psnr_db(moved, clean), 2),
        "placed_ssim": round(ssim(moved, clean), 4),
    }


def parts(found: Frames, clean: Frames, damaged: Mask) -> dict[str, float]:
    """PSNR, dB, if one after the other of these were perfect.

    damaged: (T, H, W) dirt and lines, where they lie in the scan.
    """
    moved = placed(found, clean)
    square = np.ones((2 * _NEAR_PX + 1, 2 * _NEAR_PX + 1), np.uint8)
    near = np.stack([cv2.dilate(m.astype(np.uint8), square) > 0 for m in damaged])
    level = levelled(moved, clean, near)
    told = {
        "as it is": psnr_db(found, clean),
        "place of the shot": psnr_db(placed(found, clean, together=True), clean),
        "place of each frame": psnr_db(moved, clean),
        "and level": psnr_db(level, clean),
        "and dirt and lines": psnr_db(level, clean, near),
    }
    return {k: round(v, 2) for k, v in told.items()}


def psnr_db(found: Frames, clean: Frames, without: Mask | None = None) -> float:
    """PSNR of display codes; without: (T, H, W) pixels that do not count."""
    a, b = _shown(found, clean)
    squared = np.square(a - b)
    if without is not None:
        squared = squared[~without[:, _RIM_PX:-_RIM_PX, _RIM_PX:-_RIM_PX]]
    return float(-10.0 * np.log10(float(squared.mean(dtype=np.float64))))


def ssim(found: Frames, clean: Frames) -> float:
    """Of the green codes, mean over frames: Wang et al. 2004, Gaussian window of 1.5 px."""
    a, b = _shown(found, clean)
    return float(np.mean([_ssim(x, y) for x, y in zip(a[..., 1], b[..., 1], strict=True)]))


def placed(found: Frames, clean: Frames, *, together: bool = False) -> Frames:
    """Each frame moved to where its truth is; together: all by the mean of that."""
    pairs = zip(found, clean, strict=True)
    moves = np.array([registered(luma(b), luma(a))[:2] for a, b in pairs])
    if together:
        moves[:] = moves.mean(axis=0)
    back = {k: (-float(x), -float(y)) for k, (x, y) in enumerate(moves)}
    window = Window.whole(torch.from_numpy(found), tuple(back))
    moved: Frames = WeaveOperator(back)(window).pixels.numpy()
    return moved


def levelled(found: Frames, clean: Frames, without: Mask) -> Frames:
    """Each frame without what is slow in its difference to the truth (Gaussian, 60 px)."""
    out = found.copy()
    for frame, truth, left_out in zip(out, clean, without, strict=True):
        weight = (~left_out).astype(np.float32)
        share = np.maximum(cv2.GaussianBlur(weight, (0, 0), _SLOW_PX), 1e-6)
        for plane, wanted in zip(frame, truth, strict=True):
            gap = np.clip(wanted - plane, -_ODD, _ODD) * weight
            plane += cv2.GaussianBlur(gap, (0, 0), _SLOW_PX) / share
    return out


def _shown(found: Frames, clean: Frames) -> tuple[F32, F32]:
    """(T, H, W, C) display codes of both, without the border and at one level."""
    inner = (slice(None), slice(_RIM_PX, -_RIM_PX), slice(_RIM_PX, -_RIM_PX))
    a, b = as_codes(found)[inner], as_codes(clean)[inner]
    gain = (a * b).sum(axis=(0, 1, 2)) / np.square(a).sum(axis=(0, 1, 2))
    return np.clip(a * gain, 0.0, 1.0).astype(np.float32), b


def _ssim(a: F32, b: F32) -> float:
    def soft(x: F32) -> F32:
        smooth: F32 = cv2.GaussianBlur(x, (11, 11), 1.5)
        return smooth

    ma, mb = soft(a), soft(b)
    va, vb, both = soft(a * a) - ma * ma, soft(b * b) - mb * mb, soft(a * b) - ma * mb
    upper = (2 * ma * mb + 1e-4) * (2 * both + 9e-4)
    lower = (ma * ma + mb * mb + 1e-4) * (va + vb + 9e-4)
    return float((upper / lower).mean())
