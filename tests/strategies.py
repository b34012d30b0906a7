"""Pictures and values for tests: seeded scenes in film log, and hypothesis strategies."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

F32 = NDArray[np.float32]


def texture(seed: int, height_px: int, width_px: int) -> F32:
    """(3, H, W) film log 0.15..0.7: soft ground, shapes of all sizes, fine detail."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height_px, 0:width_px]
    plane = 0.34 + 0.08 * (y / height_px) + 0.0 * x
    tint = np.zeros((3, height_px, width_px))
    count = height_px * width_px // 500
    for _ in range(count):
        size = float(np.exp(rng.uniform(np.log(6.0), np.log(45.0)))) / 2
        cy, cx = rng.uniform(0, height_px), rng.uniform(0, width_px)
        if rng.random() < 0.5:
            inside = (y - cy) ** 2 + (x - cx) ** 2 < size**2
        else:
            inside = (abs(y - cy) < size) & (abs(x - cx) < size * rng.uniform(0.3, 1.2))
        plane = np.where(inside, rng.uniform(0.2, 0.62), plane)
        tint[:, inside] = rng.normal(0.0, 0.03, (3, 1))
    fine = cv2.GaussianBlur(rng.normal(0.0, 1.0, (height_px, width_px)), (0, 0), 1.2) * 0.05
    whole = plane[None] + tint + fine[None]
    soft = np.stack([cv2.GaussianBlur(p, (0, 0), 0.7) for p in whole])
    limited: F32 = np.clip(soft, 0.15, 0.7).astype(np.float32)
    return limited


def still(seed: int, frames: int, height_px: int, width_px: int) -> F32:
    """(T, 3, H, W): a locked-off camera on a scene where nothing moves."""
    return np.repeat(texture(seed, height_px, width_px)[None], frames, axis=0)


def pan(seed: int, frames: int, height_px: int, width_px: int, step_px: float) -> F32:
    """(T, 3, H, W): the camera moves right by ``step_px`` a frame, sub-pixel steps allowed."""
    reach = int(np.ceil(step_px * (frames - 1))) + 4
    wide = texture(seed, height_px, width_px + reach).transpose(1, 2, 0)
    out = []
    for k in range(frames):
        matrix = np.array([[1.0, 0.0, k * step_px], [0.0, 1.0, 0.0]])
        moved = cv2.warpAffine(
            wide, matrix, (width_px, height_px), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        )
        out.append(moved.transpose(2, 0, 1))
    return np.stack(out)


def zoom(seed: int, frames: int, height_px: int, width_px: int, share: float) -> F32:
    """(T, 3, H, W): the camera zooms in by ``share`` a frame around the middle."""
    scene = texture(seed, height_px, width_px).transpose(1, 2, 0)
    out = []
    for k in range(frames):
        factor = (1.0 + share) ** -k
        x, y = (1.0 - factor) * width_px / 2, (1.0 - factor) * height_px / 2
        matrix = np.array([[factor, 0.0, x], [0.0, factor, y]])
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        larger = cv2.warpAffine(scene, matrix, (width_px, height_px), flags=flags)
        out.append(larger.transpose(2, 0, 1))
    return np.stack(out)


def with_foreground(scene: F32, seed: int, share: float = 0.25) -> tuple[F32, NDArray[np.bool_]]:
    """A textured block that covers ``share`` of the frame and sways over it.

    returns: the scene, and (T, H, W) where the block is.
    """
    t, _, h, w = scene.shape
    bh, bw = int(h * share**0.5), int(w * share**0.5)
    block = texture(seed + 7, bh, bw)
    out, covered = scene.copy(), np.zeros((t, h, w), np.bool_)
    for k in range(t):
        x = int((w - bw) * (0.5 + 0.3 * np.sin(0.2 * k)))
        y = int((h - bh) * (0.5 + 0.2 * np.cos(0.25 * k)))
        out[k, :, y : y + bh, x : x + bw] = block
        covered[k, y : y + bh, x : x + bw] = True
    return out, covered


def with_ball(
    scene: F32, step_px: float, radius_px: float = 6.0, level: float = 0.66
) -> tuple[F32, NDArray[np.bool_]]:
    """A bright ball that crosses the frame; also (T, H, W) where it is."""
    t, _, h, w = scene.shape
    y, x = np.mgrid[0:h, 0:w]
    out, covered = scene.copy(), np.zeros((t, h, w), np.bool_)
    for k in range(t):
        cx = radius_px + (k * step_px) % (w - 2 * radius_px)
        cy = h * 0.5 + 0.15 * h * np.sin(0.2 * k)
        far = np.hypot(x - cx, y - cy)
        alpha = np.clip(radius_px + 0.5 - far, 0.0, 1.0)
        out[k] = out[k] * (1 - alpha) + (level - 0.06 * far / radius_px) * alpha
        covered[k] = alpha > 0
    return out, covered


def with_pole(scene: F32, step_px: float, width_px: int = 3, level: float = 0.2) -> F32:
    """A dark vertical pole over the full height that moves by ``step_px`` a frame."""
    t, _, _, w = scene.shape
    x = np.arange(w)
    out = scene.copy()
    for k in range(t):
        at = 0.15 * w + k * step_px
        alpha = np.clip(width_px / 2 + 0.5 - abs(x - at), 0.0, 1.0)
        out[k] = out[k] * (1 - alpha) + level * alpha
    return out


def add_grain(scene: F32, sigma: float, seed: int, size_px: float = 0.0) -> F32:
    """Grain of standard deviation ``sigma`` as it is seen; white where ``size_px`` is 0."""
    rng = np.random.default_rng(seed)
    white = rng.normal(0.0, 1.0, scene.shape).astype(np.float32)
    if size_px > 0.0:
        flat = white.reshape(-1, *scene.shape[-2:])
        white = np.stack([cv2.GaussianBlur(p, (0, 0), size_px) for p in flat]).reshape(scene.shape)
        white /= white.std()
    return (scene + sigma * white).astype(np.float32)


def psnr_db(found: F32, truth: F32, where: NDArray[np.bool_] | None = None) -> float:
    """PSNR in dB with 1.0 film log as peak; ``where`` is (T, H, W)."""
    error = np.square(found.astype(np.float64) - truth)
    chosen = error if where is None else np.moveaxis(error, -3, 0)[:, where]
    return float(-10.0 * np.log10(chosen.mean() + 1e-16))


chunk_lengths = st.lists(st.integers(min_value=1, max_value=5), min_size=3, max_size=6)
"""Lengths of successive chunks; a test cycles through them until the shot ends."""

orders_of_frames = st.permutations(range(7))
"""Orders in which the frames of a 7-frame shot may be asked for."""
