"""Stretches of moving pictures to learn from: films, and photographs under a moving camera.

Over a photograph pieces of others move, each with its own path, so that things are covered and
uncovered. What comes out is film log, so that grain and damage can be laid on as film has them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from media.encoding import light_to_log, rec709_decode
from restore.models.train.pictures import SUFFIXES

F32 = NDArray[np.float32]
SIDE_PX = 288
SHORTEST = 5
"""Frames: shots of fewer are not cut from."""
_FILMS = (".mp4", ".mkv", ".avi", ".y4m")


@dataclass(frozen=True, slots=True)
class Sources:
    """What windows are cut from."""

    films: tuple[list[NDArray[np.uint8]], ...]
    """Frames of each shot, (H, W, 3) RGB."""
    photographs: tuple[NDArray[np.uint8], ...]


@lru_cache(maxsize=1)
def read_sources(folder: Path, longest: int = 240, cut_level: float = 28.0) -> Sources:
    """All films and photographs in a folder; films are split where the picture changes as a whole.

    raises: FileNotFoundError where there is none.
    """
    films: list[list[NDArray[np.uint8]]] = []
    photographs: list[NDArray[np.uint8]] = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES:
            picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if picture is not None and min(picture.shape[:2]) >= 2 * SIDE_PX:
                photographs.append(_bounded(picture[..., ::-1], 2000))
        elif path.suffix.lower() in _FILMS:
            films += _shots_of(path, longest, cut_level)
    if not films and not photographs:
        raise FileNotFoundError(f"no photograph and no film in {folder}")
    return Sources(tuple(films), tuple(photographs))


def _shots_of(path: Path, longest: int, cut_level: float) -> list[list[NDArray[np.uint8]]]:
    shots: list[list[NDArray[np.uint8]]] = [[]]
    film = cv2.VideoCapture(str(path))
    while True:
        ok, frame = film.read()
        if not ok:
            break
        frame = _bounded(frame[..., ::-1], 1280)
        if shots[-1]:
            apart = np.abs(frame[::8, ::8].astype(np.int16) - shots[-1][-1][::8, ::8])
            if float(apart.mean()) < 0.15:
                continue
            if float(apart.mean()) > cut_level or len(shots[-1]) >= longest:
                shots.append([])
        shots[-1].append(frame)
    film.release()
    return [s for s in shots if len(s) >= SHORTEST]


def _bounded(picture: NDArray[np.uint8], longest_px: int) -> NDArray[np.uint8]:
    scale = longest_px / max(picture.shape[:2])
    if scale < 1.0:
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(picture)


def from_film(rng: np.random.Generator, sources: Sources, count: int) -> F32:
    """(count, 3, SIDE_PX, SIDE_PX) film log, cut from a film at some scale and pace."""
    lengths = np.array([len(s) for s in sources.films], float)
    shot = sources.films[int(rng.choice(len(lengths), p=np.sqrt(lengths) / np.sqrt(lengths).sum()))]
    step = int(rng.integers(1, min(6, (len(shot) - 1) // (count - 1)) + 1))
    first = int(rng.integers(0, len(shot) - step * (count - 1)))
    frames = shot[first : first + step * (count - 1) + 1 : step]
    if rng.random() < 0.5:
        frames = frames[::-1]
    h, w = frames[0].shape[:2]
    scale = min(float(np.exp(rng.uniform(0, math.log(2.5)))), min(h, w) / SIDE_PX)
    side = int(SIDE_PX * scale)
    if side < 1 or side > min(h, w):
        side = min(h, w)
    at = rng.uniform(0, (w - side, h - side))
    # The camera of most of these films stands still: let it follow something now and then.
    pan = rng.normal(size=2) * rng.choice([0.0, 2.0, 6.0, 14.0], p=[0.4, 0.2, 0.2, 0.2])
    scale = side / SIDE_PX
    kind = cv2.INTER_AREA if side >= SIDE_PX else cv2.INTER_CUBIC
    cut = []
    for k, frame in enumerate(frames):
        x, y = np.clip(at + scale * pan * (k - count // 2), 0, (w - side, h - side))
        if pan.any():
            view = np.array([[scale, 0.0, x], [0.0, scale, y]])
            near = cv2.blur(frame, (max(1, round(scale)),) * 2) if scale > 1.5 else frame
            flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
            seen = cv2.warpAffine(near, view, (SIDE_PX, SIDE_PX), flags=flags)
        else:
            box = (slice(int(y), int(y) + side), slice(int(x), int(x) + side))
            seen = cv2.resize(frame[box], (SIDE_PX, SIDE_PX), interpolation=kind)
        cut.append(seen)
    return _as_log(rng, np.stack(cut))


def from_photographs(rng: np.random.Generator, sources: Sources, count: int) -> F32:
    """(count, 3, SIDE_PX, SIDE_PX) film log: a photograph, pieces of others moving over it."""
    picture = sources.photographs[int(rng.integers(len(sources.photographs)))]
    zoom = float(np.exp(rng.uniform(math.log(0.5), math.log(1.0))))
    speed = rng.normal(size=2) * rng.choice([0.0, 1.0, 4.0, 12.0, 20.0])
    turn, swell = rng.normal() * 0.004, 1.0 + rng.normal() * 0.004
    tremble_px = float(rng.choice([0, 0.3]))
    frames = _path(rng, picture, count, zoom, speed, turn, swell, tremble_px)
    shutter = rng.uniform(0.0, 0.6)
    if shutter * np.hypot(*speed) > 1.5:
        frames = np.stack([_smeared(f, speed, shutter * np.hypot(*speed)) for f in frames])
    for _ in range(int(rng.choice([0, 2, 5, 10]))):
        other = sources.photographs[int(rng.integers(len(sources.photographs)))]
        own = rng.normal(size=2) * rng.choice([1.0, 5.0, 14.0, 24.0])
        turn, swell = rng.normal() * 0.04, 1.0 + rng.normal() * 0.01
        piece = _path(rng, other, count, zoom, own, turn, swell, 0.0)
        _over(rng, frames, piece, own)
    return _as_log(rng, frames)


def _path(
    rng: np.random.Generator,
    picture: NDArray[np.uint8],
    count: int,
    zoom: float,
    speed: NDArray[np.float64],
    turn: float,
    swell: float,
    tremble_px: float,
) -> NDArray[np.uint8]:
    h, w = picture.shape[:2]
    centre = rng.uniform((0.2 * w, 0.2 * h), (0.8 * w, 0.8 * h))
    angle = rng.uniform(-0.2, 0.2)
    out = []
    for k in range(count):
        t = k - count // 2
        a, s = angle + turn * t, swell**t / zoom
        c, d = math.cos(a) * s, math.sin(a) * s
        at = centre + speed * t / zoom + rng.normal(size=2) * tremble_px
        view = np.array([[c, -d, 0.0], [d, c, 0.0]])
        view[:, 2] = at - view[:, :2] @ np.array([SIDE_PX / 2, SIDE_PX / 2])
        flags = cv2.INTER_AREA if s > 1 else cv2.INTER_CUBIC
        out.append(
            cv2.warpAffine(
                picture, view, (SIDE_PX, SIDE_PX),
                flags=flags | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT,
            )
        )  # fmt: skip
    return np.stack(out)


def _over(
    rng: np.random.Generator,
    frames: NDArray[np.uint8],
    piece: NDArray[np.uint8],
    speed: NDArray[np.float64],
) -> None:
    """Lay a moving, ragged or thin cut-out of ``piece`` over the frames."""
    size = float(np.exp(rng.uniform(math.log(6), math.log(260))))
    angles = np.linspace(0, 2 * math.pi, 32, endpoint=False)
    waves = [(k, rng.normal() * 0.5 / k, rng.uniform(0, 6), rng.normal()) for k in range(2, 6)]
    limber = float(rng.choice([0.0, 0.15, 0.5]))
    thin = float(rng.choice([1.0, 3.0, 10.0], p=[0.6, 0.25, 0.15]))
    place, spin, angle = rng.uniform(0, SIDE_PX, 2), rng.normal() * 0.08, rng.uniform(0, 6)
    blurred = float(rng.uniform(0, 0.6)) * float(np.hypot(*speed))
    for k, frame in enumerate(frames):
        t = k - len(frames) // 2
        a = angle + spin * t
        # Limbs and cloth change their outline from frame to frame.
        outline = np.ones_like(angles)
        for n, height, phase, pace in waves:
            outline += height * np.cos(n * angles + phase + limber * pace * t)
        shape = 0.5 * size * np.clip(outline, 0.2, None)[:, None]
        shape = shape * np.stack([np.cos(angles) / thin, np.sin(angles)], axis=1)
        turned = shape @ np.array([[math.cos(a), math.sin(a)], [-math.sin(a), math.cos(a)]])
        # The piece shows the other picture moved by its own path; its outline moves with it.
        points = np.round((place - speed * t + turned) * 16).astype(np.int32)
        canvas = np.zeros(frame.shape[:2], np.uint8)
        cv2.fillPoly(canvas, [points], 255, cv2.LINE_AA, 4)
        alpha = cv2.GaussianBlur(canvas.astype(np.float32) / 255.0, (0, 0), 0.5)
        if blurred > 1.0:
            alpha = _smeared(alpha, speed, blurred)
        frame[:] = np.rint(frame + (piece[k].astype(np.float32) - frame) * alpha[..., None])


def _smeared(alpha: NDArray[Any], speed: NDArray[np.float64], length_px: float) -> NDArray[Any]:
    n = int(length_px) | 1
    kernel = np.zeros((n, n), np.uint8)
    way = speed / (np.hypot(*speed) + 1e-9) * (n // 2)
    ends = [tuple(int(v) for v in np.round(n // 2 + s * way)) for s in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 255, 1)
    weights = kernel.astype(np.float32) / max(float(kernel.sum()), 1.0)
    smeared: NDArray[Any] = cv2.filter2D(alpha, -1, weights)
    return smeared


def _as_log(rng: np.random.Generator, frames: NDArray[np.uint8]) -> F32:
    """(T, C, H, W) film log; eight-bit steps are hidden under a dither of one step."""
    dither = rng.uniform(-0.5, 0.5, frames.shape).astype(np.float32)
    values = np.clip((frames.astype(np.float32) + dither) / 255.0, 0.0, 1.0)
    if rng.random() < 0.35:
        values[:] = values.mean(axis=-1, keepdims=True)
    planes_first = torch.from_numpy(np.ascontiguousarray(values.transpose(0, 3, 1, 2)))
    out: F32 = light_to_log(rec709_decode(planes_first)).numpy()
    return np.clip(out, 0.05, 1.0)
