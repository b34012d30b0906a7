"""Drawn takes for training ``media.shots.dissolve_net``: what is on film and is no dissolve."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]
Light = NDArray[np.float32]

_H, _W = 356, 633
_WORDS = (
    "AND",
    "HOUSE",
    "NEXT",
    "MORNING",
    "THE",
    "RIVER",
    "Mary",
    "returned",
    "winter",
    "to",
    "x",
)


def drawn_takes(footage: list[Grey], seed: int) -> list[Grey]:
    """(T, 356, 633) display values: blobs, cards, countdowns, bars, and stills of footage."""
    random = np.random.default_rng((seed, 992))
    makers = (_blobs, _blobs, _blobs, _card, _card, _sweep, _numbers, _bars)
    takes = [maker(random) for maker in makers for _ in range(2)]
    for _ in range(4):
        take = footage[int(random.integers(len(footage)))]
        still = take[int(random.integers(len(take)))]
        takes.append(np.repeat(still[None], 40, axis=0))
    return takes


def _blobs(random: np.random.Generator) -> Grey:
    """Shapes that drift, soft or sharp, slow or fast."""
    count = int(random.integers(60, 200))
    wide = random.random((_H + 200, _W + 500)).astype(np.float32)
    wide = cv2.GaussianBlur(wide, (0, 0), float(np.exp(random.uniform(np.log(8), np.log(50)))))
    wide = (wide - wide.mean()) / wide.std() * random.uniform(0.06, 0.2) + random.uniform(
        0.25, 0.55
    )
    dx, dy = random.uniform(0, 7) * random.random(), random.uniform(0, 2) * random.random()
    out = []
    for n in range(count):
        matrix = np.array([[1, 0, -20 - dx * n], [0, 1, -20 - dy * n]], np.float32)
        out.append(cv2.warpAffine(wide, matrix, (_W, _H), borderMode=cv2.BORDER_REFLECT))
    return np.asarray(np.rint(np.clip(np.stack(out), 0, 1) * 255), np.uint8)


def _card(random: np.random.Generator) -> Grey:
    """Lines of text, light on dark or dark on light."""
    ink, ground = random.uniform(0.6, 0.95), random.uniform(0.0, 0.2)
    if random.random() < 0.4:
        ink, ground = ground, ink
    big = np.full((_H, _W), round(255 * ground), np.uint8)
    for k in range(int(random.integers(1, 5))):
        words = " ".join(str(w) for w in random.choice(_WORDS, int(random.integers(1, 4))))
        place = (int(random.integers(20, 140)), 80 + 68 * k)
        size = float(random.uniform(0.9, 2.0))
        cv2.putText(big, words, place, cv2.FONT_HERSHEY_COMPLEX, size, round(255 * ink), 3)
    return np.repeat(big[None], 40, axis=0)


def _sweep(random: np.random.Generator) -> Grey:
    """A countdown whose hand goes round once a count."""
    each = int(random.choice([16, 24, 25, 30]))
    ground, hand, ink = (int(v) for v in random.integers(20, 230, 3))
    out = []
    for n in range(each * 6):
        big = np.full((_H, _W), ground, np.uint8)
        middle = (_W // 2, _H // 2)
        cv2.ellipse(big, middle, (420, 420), -90, 0, 360 * (n % each) / each, hand, -1)
        cv2.circle(big, middle, 140, ink, 6)
        number = str(8 - n // each)
        cv2.putText(big, number, (_W // 2 - 50, _H // 2 + 50), cv2.FONT_HERSHEY_SIMPLEX, 5, ink, 16)
        out.append(big)
    return np.stack(out)


def _numbers(random: np.random.Generator) -> Grey:
    """A countdown whose number changes and nothing else."""
    each = int(random.choice([16, 24, 25, 30]))
    ground, ink = (int(v) for v in random.integers(10, 240, 2))
    out = []
    for n in range(each * 6):
        big = np.full((_H, _W), ground, np.uint8)
        cv2.line(big, (0, 40), (_W, 40), ink, 8)
        number = "3456789"[(n // each * 3) % 7]
        place = (_W // 2 - 90, _H // 2 + 80)
        cv2.putText(big, number, place, cv2.FONT_HERSHEY_SIMPLEX, 8, ink, 40)
        out.append(big)
    return np.stack(out)


def _bars(random: np.random.Generator) -> Grey:
    count = int(random.integers(3, 10))
    levels = random.integers(10, 245, count).astype(np.uint8)
    if random.random() < 0.5:
        levels = np.sort(levels)
    row = levels[np.minimum(np.arange(_W) * count // _W, count - 1)]
    return np.broadcast_to(row, (40, _H, _W)).copy()


@lru_cache(maxsize=1)
def crowds(seed: int, count: int = 4) -> list[Grey]:
    """(T, 178, 316) display values: grounds that drift under shapes that each go their own way."""
    random = np.random.default_rng((seed, 993))
    return [_crowd(random) for _ in range(count)]


def _crowd(random: np.random.Generator) -> Grey:
    h, w = _H // 2, _W // 2
    layers = []
    for n in range(int(random.integers(3, 8))):
        size = (2 * h, 2 * w) if not n else (h, w)
        reach = float(random.uniform(0.15, 0.7)) if n else 2.0
        y, x = np.mgrid[-1 : 1 : size[0] * 1j, -1 : 1 : size[1] * 1j]
        soft = float(random.uniform(0.02, 0.3))
        cover = np.clip((reach - np.hypot(x, y * random.uniform(0.4, 1.5))) / soft, 0, 1)
        path = random.uniform((0, 0, -3, -1, 0, 0.03), (w, h, 3, 1, 12, 0.3))
        if not n:
            path[:4] *= (0.0, 0.0, 0.3, 0.3)
        layers.append((_texture(random, size), cover.astype(np.float32), path))
    frames = []
    for t in range(int(random.integers(60, 160))):
        picture = np.zeros((h, w), np.float32)
        for texture, cover, (x0, y0, dx, dy, sway, pace) in layers:
            left = x0 + dx * t - cover.shape[1] / 2 + sway * np.sin(pace * t)
            top = y0 + dy * t - cover.shape[0] / 2 + 0.5 * sway * np.cos(0.7 * pace * t)
            if cover.shape[0] > h:
                left, top = np.clip(left, -w, 0), np.clip(top, -h, 0)
            else:
                left, top = (left + w) % (2 * w) - w, (top + h) % (2 * h) - h
            matrix = np.array([[1, 0, left], [0, 1, top]], np.float32)
            share = cv2.warpAffine(cover, matrix, (w, h))
            picture += share * (cv2.warpAffine(texture, matrix, (w, h)) - picture)
        frames.append(np.asarray(np.rint(np.clip(picture, 0, 1) * 255), np.uint8))
    return np.stack(frames)


def _texture(random: np.random.Generator, size: tuple[int, int]) -> Light:
    """Structure of every size, coarse the strongest, as pictures have."""
    whole = np.zeros(size, np.float32)
    for px in (2.0, 6.0, 18.0, 50.0):
        noise = random.random((max(3, round(size[0] / px)), max(3, round(size[1] / px))))
        part = cv2.resize(noise.astype(np.float32), size[::-1], interpolation=cv2.INTER_CUBIC)
        whole += (part - part.mean()) / part.std() * np.float32(px ** random.uniform(0.2, 0.6))
    level, contrast = random.uniform(0.15, 0.65), random.uniform(0.05, 0.2)
    return np.asarray(level + contrast * whole / whole.std(), np.float32)
