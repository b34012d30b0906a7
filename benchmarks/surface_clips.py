"""Clean moving clips and the dirt laid on them, for ``benchmarks.surface``.

None of these stretches was trained on (``restore/dirt/weights/dirt-net.toml``). Frames are film
log, (T, 3, H, W) float32. The dirt is real: masks of dirt, hair, lint and stains taken from scans
of film, in the folder ``../shared/data/damage_sprites`` beside the checkout; without it, dirt
that ``media.specks`` draws.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from media.encoding import light_to_log, rec709_decode
from media.movie import MovieReader
from media.specks import draw_dirt, draw_dust, lay_on
from wetgate.demo import footage

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]
_SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
_SPRITES = _SHARED / "damage_sprites"
_WIDTH = 640
VISIBLE = 0.03
"""Film log; a smaller change is not counted as damage (a third of a stop at 0.088 a stop)."""
FAINT = 0.02
"""Film log; the same for dust."""
GRAIN_SIGMA, GRAIN_PX = 0.010, 0.7
PER_FRAME = 8.0
_SMALL = ("dots",)
_SIZE_PX = {True: (3.0, 24.0), False: (24.0, 120.0)}


@dataclass(frozen=True)
class Clip:
    """A stretch of a film without a cut."""

    name: str
    what: str
    fast: bool
    path: Path
    load: Callable[[Path, int], F32]


def _movie(first: int) -> Callable[[Path, int], F32]:
    def load(path: Path, frames: int) -> F32:
        with MovieReader(path, matrix="bt709", full_range=False) as reader:
            stop = min(first + frames, reader.info.frame_count)
            white = np.float32(2**reader.info.bits - 1)
            found = [np.asarray(reader.read(k), np.float32) / white for k in range(first, stop)]
        return _as_log(found)

    return load


def _stills(path: Path, frames: int) -> F32:
    found = [cv2.imread(str(p)) for p in sorted(path.glob("*.png"))[:frames]]
    return _as_log([p[..., ::-1].astype(np.float32) / 255.0 for p in found if p is not None])


def _credits(path: Path, frames: int) -> F32:
    """Lettering that rolls over the picture by 3 px a frame, as end titles do."""
    found = _movie(30)(path, frames)
    t, _, h, w = found.shape
    roll = np.zeros((h + 3 * t + 200, w), np.uint8)
    lines = ("DIRECTED BY", "A. LUMIERE", "i. e., etc.", "CAMERA : L. P.", "No. 35 / 1906")
    for k, y in enumerate(range(40, len(roll), 44)):
        where, font = (w // 5, y), cv2.FONT_HERSHEY_COMPLEX
        cv2.putText(roll, lines[k % len(lines)], where, font, 1.0, 255, 2, cv2.LINE_AA)
    alpha = roll.astype(np.float32) / 255.0
    for k in range(t):
        found[k] += (0.66 - found[k]) * alpha[3 * k : 3 * k + h]
    return found


CLIPS = {
    c.name: c
    for c in (
        Clip("bunny", "animation, still camera, grass", False, footage("bunny"), _movie(10)),
        Clip("coffee", "bright highlights, flat wall", False,
             _SHARED / "clean_video/sam2_04_coffee.mp4", _movie(30)),
        Clip("titles", "rolling titles over it", False,
             _SHARED / "clean_video/sam2_04_coffee.mp4", _credits),
        Clip("bikes", "street through traffic, large near things", True, footage("bikes"),
             _movie(78)),
        Clip("park", "a crowd runs by, water, fine texture", True,
             _SHARED / "clean_video/park_joy_480x270_10f.y4m", _movie(0)),
        Clip("reds", "street at 320 x 180, camera moves fast", True,
             _SHARED / "clean_video/reds_demo_000", _stills),
        Clip("sintel", "animation, fast motion, occlusion", True,
             _SHARED / "clean_video/sintel_1024x436.mkv", _movie(0)),
    )
}  # fmt: skip


def available() -> list[str]:
    """Clips whose files are there."""
    return [n for n, c in CLIPS.items() if c.path.exists()]


def load(name: str, frames: int) -> F32:
    """(T, 3, H, W) film log, at most 640 px wide; fewer frames where the film has fewer."""
    return CLIPS[name].load(CLIPS[name].path, frames)


def with_grain(clean: F32, seed: int) -> F32:
    """Grain of 0.010 film log in mid densities, 0.7 px Gaussian, alike in no two channels."""
    rng = np.random.default_rng((seed, 1))
    impulse = np.zeros((33, 33), np.float32)
    impulse[16, 16] = 1.0
    gain = float(np.sqrt((cv2.GaussianBlur(impulse, (0, 0), GRAIN_PX) ** 2).sum()))
    out = clean.copy()
    for frame in out:
        white = rng.standard_normal(frame.shape, dtype=np.float32)
        grain = np.stack([cv2.GaussianBlur(p, (0, 0), GRAIN_PX) for p in white]) / gain
        frame += grain * GRAIN_SIGMA * (0.55 + 1.8 * frame * (1.0 - frame))
    return out


def with_dirt(sound: F32, seed: int, drawn: bool = False) -> tuple[F32, Mask]:
    """Dirt on each frame by itself, 8 pieces in the mean; and (T, H, W) where it is seen.

    drawn: pieces drawn by ``media.specks`` instead of the real ones.
    """
    rng = np.random.default_rng((seed, 2))
    real = {} if drawn else _sprites()
    out, seen = sound.copy(), np.zeros((len(sound), *sound.shape[-2:]), np.bool_)
    for k, frame in enumerate(out):
        for _ in range(rng.poisson(PER_FRAME)):
            alpha = _piece(rng, real) if real else draw_dirt(rng)
            lay_on(rng, frame, alpha)
        seen[k] = np.abs(frame - sound[k]).max(axis=0) > VISIBLE
    return out, seen


def with_dust(sound: F32, seed: int) -> tuple[F32, Mask]:
    """25 grains of dust on each frame, 1 to 5 px, from a tenth to all of full strength."""
    rng = np.random.default_rng((seed, 3))
    out = sound.copy()
    for frame in out:
        for _ in range(25):
            lay_on(rng, frame, draw_dust(rng))
    return out, np.abs(out - sound).max(axis=1) > FAINT


def with_pairs(sound: F32, seed: int) -> tuple[F32, Mask]:
    """Real dirt as ``with_dirt`` lays it, on two frames in a row at the same place."""
    rng = np.random.default_rng((seed, 4))
    out, (h, w) = sound.copy(), sound.shape[-2:]
    for k in range(0, len(out) - 1, 2):
        for _ in range(rng.poisson(PER_FRAME)):
            alpha, same = _piece(rng, _sprites()), int(rng.integers(2**31))
            at = (int(rng.integers(-10, h - 10)), int(rng.integers(-10, w - 10)))
            for frame in out[k : k + 2]:
                lay_on(np.random.default_rng(same), frame, alpha, at)
    return out, np.abs(out - sound).max(axis=1) > VISIBLE


@cache
def _sprites() -> dict[str, tuple[Path, ...]]:
    folders = sorted(p for p in _SPRITES.glob("*") if p.is_dir()) if _SPRITES.exists() else []
    return {f.name: tuple(sorted(f.glob("*.png"))) for f in folders}


def _piece(rng: np.random.Generator, real: dict[str, tuple[Path, ...]]) -> F32:
    """(h, w) coverage 0..1 of a real piece, reduced to its size and turned."""
    kind = list(real)[int(rng.integers(len(real)))]
    path = real[kind][int(rng.integers(len(real[kind])))]
    mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise FileNotFoundError(path)
    low, high = _SIZE_PX[kind in _SMALL]
    scale = float(np.exp(rng.uniform(np.log(low), np.log(high)))) / max(mask.shape)
    mask = np.rot90(mask, int(rng.integers(4)))
    size = (max(2, round(mask.shape[1] * scale)), max(2, round(mask.shape[0] * scale)))
    small = cv2.resize(np.ascontiguousarray(mask), size, interpolation=cv2.INTER_AREA)
    alpha: F32 = np.pad(small.astype(np.float32) / 255.0, 1)
    return alpha


def _as_log(pictures: list[F32]) -> F32:
    out = []
    for picture in pictures:
        if picture.shape[1] > _WIDTH:
            height = round(picture.shape[0] * _WIDTH / picture.shape[1])
            picture = cv2.resize(picture, (_WIDTH, height), interpolation=cv2.INTER_AREA)
        planes = np.ascontiguousarray(picture.transpose(2, 0, 1))
        out.append(light_to_log(rec709_decode(torch.from_numpy(planes))).numpy())
    return np.stack(out)
