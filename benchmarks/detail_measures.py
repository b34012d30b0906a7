"""What ``benchmarks.detail`` measures beside PSNR."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch

from benchmarks.detail_clips import CLIPS, F32
from benchmarks.detail_ours import film_log, grain_evidence


def left_over(found: F32, clean: F32, noisy: F32) -> float:
    """Lag-1 autocorrelation of what was taken out, above that of the grain itself.

    What is taken out should be grain and nothing else: picture in it shows as correlation that
    grain does not have.
    """
    taken, grain = noisy - found, noisy - clean
    return _lag_one(taken[..., 1]) - _lag_one(grain[..., 1])


def _lag_one(planes: F32) -> float:
    values = planes.astype(np.float64) - planes.mean(axis=(1, 2), keepdims=True)
    return float((values[:, :, 1:] * values[:, :, :-1]).mean() / np.square(values).mean())


def texture_kept(found: F32, clean: F32) -> float:
    """Energy of fine detail in luma over that of the truth."""

    def energy(frames: F32) -> float:
        planes = np.clip(frames, 0.0, 1.0) @ np.array([0.2126, 0.7152, 0.0722], np.float32)
        fine = [p - cv2.GaussianBlur(p, (0, 0), 1.5) for p in planes]
        return float(np.square(np.stack(fine), dtype=np.float64).mean())

    return energy(found) / energy(clean)


def sigma_rows(names: list[str], frames: int) -> list[dict[str, Any]]:
    """Measured against laid on: grain of one strength at all levels, film log, 1/255 of it."""
    rows = []
    for name in names:
        clip = CLIPS[name]
        log = np.stack([f.numpy() for f in film_log(clip.load(clip.path, frames))])
        span = 0.08 + 0.84 * log / max(1.0, float(log.max()))
        for sigma in (2.0, 5.0, 10.0, 20.0):
            for size_px in (0.0, 0.6, 1.0):
                rng = np.random.default_rng(3)
                white = rng.standard_normal(span.shape, dtype=np.float32)
                if size_px:
                    flat = white.reshape(-1, *white.shape[-2:])
                    white = np.stack([cv2.GaussianBlur(p, (0, 0), size_px) for p in flat])
                    white = (white / white.std()).reshape(span.shape)
                noisy = span + np.float32(sigma / 255.0) * white
                found = grain_evidence(_tensors(noisy))["sigma"]
                error = [round(float(v) * 255.0 - sigma, 3) for v in found]
                rows.append({"clip": name, "sigma": sigma, "size_px": size_px, "error": error})
    return rows


def _tensors(frames: F32) -> list[torch.Tensor]:
    return [torch.from_numpy(np.ascontiguousarray(f)) for f in frames]
