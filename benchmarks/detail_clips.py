"""Clean moving clips and the grain laid on them, for ``benchmarks.detail``.

No network that guides the filter was trained on them (cards in ``restore/noise/weights``).
Frames are display codes (Rec.709), (T, H, W, 3) float32, 0..1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from media.movie import MovieReader
from wetgate.demo import footage

F32 = NDArray[np.float32]
_SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "clean_video"
_UNEVEN = np.array([1.05, 0.95, 1.15], np.float32)


@dataclass(frozen=True)
class Clip:
    """A clean shot."""

    name: str
    what: str
    path: Path
    load: Callable[[Path, int], F32]


@dataclass(frozen=True, slots=True)
class Grain:
    """Noise laid on display codes."""

    sigma: float
    """1/255 at mid grey (film) or everywhere (white)."""
    size_px: float
    """Gaussian radius; 0 is white noise, alike in all channels and at all levels."""

    @property
    def name(self) -> str:
        """As tables call it."""
        return f"film {self.size_px} px" if self.size_px else "white"


def with_grain(clean: F32, grain: Grain, seed: int = 5) -> F32:
    """Noisy codes as a 16-bit file holds them: clipped and rounded.

    Film grain is correlated, strongest at mid grey (0.55 in black and white, where it is 1
    there) and uneven in the channels (5 % more in red, 5 % less in green, 15 % more in blue).
    """
    rng = np.random.default_rng(seed)
    out = np.empty_like(clean)
    for k, frame in enumerate(clean):
        noise = rng.standard_normal(frame.shape, dtype=np.float32)
        strength = np.float32(grain.sigma / 255.0) * np.ones_like(frame)
        if grain.size_px:
            noise = cv2.GaussianBlur(noise, (0, 0), grain.size_px) / blur_gain(grain.size_px)
            strength *= _UNEVEN * (0.55 + 1.8 * frame * (1.0 - frame))
        out[k] = np.rint(np.clip(frame + strength * noise, 0.0, 1.0) * 65535.0) / 65535.0
    return out


def psnr_db(found: F32, truth: F32, rim_px: int = 8) -> float:
    """PSNR of codes clipped to 0..1, the rim left out."""
    inner = slice(rim_px, -rim_px)
    gap = (np.clip(found, 0.0, 1.0) - truth)[:, inner, inner].astype(np.float64)
    return float(-10.0 * np.log10(np.square(gap).mean() + 1e-12))


def blur_gain(sigma_px: float) -> float:
    """What a Gaussian leaves of the sigma of white noise."""
    impulse = np.zeros((65, 65), np.float32)
    impulse[32, 32] = 1.0
    return float(np.sqrt(np.square(cv2.GaussianBlur(impulse, (0, 0), sigma_px)).sum()))


def _movie(path: Path, first: int, frames: int) -> F32:
    reader = MovieReader(path, matrix="bt709", full_range=False)
    wanted = range(first, min(first + frames, reader.info.frame_count))
    white = np.float32(2**reader.info.bits - 1)
    return np.stack([np.asarray(reader.read(k), np.float32) / white for k in wanted])


def _pan(path: Path, frames: int) -> F32:
    """A 720 x 576 window that moves 2.4 px a frame over the full-size picture, by whole px."""
    found = _movie(path, 60, frames)
    corners = [90 + round(2.4 * k) for k in range(frames)]
    return np.stack([f[70:646, x : x + 720] for f, x in zip(found, corners, strict=True)])


def _stills(path: Path, frames: int) -> F32:
    found = [cv2.imread(str(p)) for p in sorted(path.glob("*.png"))[:frames]]
    return np.stack([p[..., ::-1] for p in found if p is not None]).astype(np.float32) / 255.0


CLIPS = {
    c.name: c
    for c in (
        Clip("pan", "lawn, leaves, a running dog, camera pans", _SHARED / "sam2_01_dog.mp4", _pan),
        Clip("bikes", "street through traffic, large near things in motion", footage("bikes"),
             lambda p, n: _movie(p, 76, n)),
        Clip("park", "people run past trees, fine texture", _SHARED / "park_joy_480x270_10f.y4m",
             lambda p, n: _movie(p, 0, min(n, 10))),
        Clip("sintel", "animation, fast motion and occlusion", _SHARED / "sintel_1024x436.mkv",
             lambda p, n: _movie(p, 0, min(n, 10))),
        Clip("reds", "street at 320 x 180, camera moves fast", _SHARED / "reds_demo_000", _stills),
    )
}  # fmt: skip
MOVING = ("pan", "bikes", "park", "sintel")


def available(names: tuple[str, ...] = tuple(CLIPS)) -> list[str]:
    """Clips whose files are there."""
    return [n for n in names if CLIPS[n].path.exists()]
