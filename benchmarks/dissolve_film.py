"""Film full of dissolves, made fast, for training ``media.shots.dissolve_net``.

Like ``media.shots.truth``, but grey, at half size, with nothing but dissolves, flashes, ruined
frames and fades between two cuts, and with much more variety in how footage is shown: mirrored,
backwards, two and three times as fast, framed anew, with a camera that pans and zooms. Drawn
takes (cards, countdowns, bars, stills, drifting blobs) teach what is no dissolve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from media import synthetic
from media.encoding import STOP, light_to_log, log_to_light, rec709_decode, rec709_encode
from media.shots.features import thumbnail
from media.shots.truth import Take

Grey = NDArray[np.uint8]
Light = NDArray[np.float32]
Tone = NDArray[np.float16]

_H, _W, _MARGIN = 89, 152, 4
_DARK = 95.0 / 1023.0
_LENGTHS = (6, 8, 12, 16, 24, 32, 48)
_LOWEST, _HIGHEST, _STEPS = -0.2, 1.2, 8192


Kind = Literal["usual", "long", "brief", "rough"]
"""``long``: some segments are one take of up to 300 frames. ``brief``: most begin with a shot of 3
to 9 frames. ``rough``: more damage, more short and more long dissolves, footage upside down and
with another contrast."""


@dataclass(frozen=True, slots=True)
class Segment:
    """What lies between two cuts."""

    tones: list[Tone]
    """(rows, 48) film log each."""
    dissolves: list[tuple[int, int]]
    """Half-open."""


def grey_takes(takes: Sequence[Take]) -> list[Grey]:
    """(T, H, W) display values of each take."""
    return [
        np.stack([np.asarray(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY), np.uint8) for p in take.frames])
        for take in takes
    ]


def segments(
    takes: Sequence[Grey], seed: int, *, kind: Kind = "usual", count: int = 6
) -> list[Segment]:
    """Segments that the seed decides."""
    random = np.random.default_rng((seed, 991))
    made = []
    for _ in range(count):
        frames, dissolves = _Maker(random, takes, kind).segment()
        made.append(Segment(_damaged(random, frames, worse=kind == "rough"), dissolves))
    return made


class _Maker:
    def __init__(self, random: np.random.Generator, takes: Sequence[Grey], kind: Kind) -> None:
        self.random, self.takes, self.kind = random, takes, kind

    def segment(self) -> tuple[list[Light], list[tuple[int, int]]]:
        r = self.random
        frames: list[Light] = []
        dissolves: list[tuple[int, int]] = []
        clear, last = 0, -1
        alone = self.kind == "long" and r.random() < 0.3
        brief = self.kind == "brief" or (self.kind == "rough" and r.random() < 0.25)
        pieces = [2, 2, 3] if brief else [1, 1, 2, 3, 4, 5]
        for k in range(1 if alone else int(r.choice(pieces))):
            length = 0
            if k:
                length = self._length()
            usual = r.random() < 0.75
            pure = int(r.integers(26, 60)) if usual else int(r.integers(10, 100))
            if alone:
                pure = int(r.integers(60, 300))
            elif brief and not k and r.random() < 0.8:
                pure = int(r.integers(3, 10))
            last, piece = self._piece(last, length + pure)
            if k:
                room = len(frames) - clear - (3 if r.random() < 0.12 else 12)
                if not (room >= length and r.random() < 0.85):
                    frames += [frames[-1]] * length
                start = len(frames) - length
                for n in range(length):
                    frames[start + n] = _sum(frames[start + n], piece[n], (n + 1) / (length + 1))
                dissolves.append((start, start + length))
                clear = start + length
            at = len(frames) if k else 0
            frames += piece[length:]
            clear = self._event(frames, at, clear)
        return self._faded(frames, dissolves)

    def _length(self) -> int:
        r = self.random
        if self.kind == "rough" and r.random() < 0.7:
            return int(r.integers(6, 11)) if r.random() < 0.5 else int(r.integers(30, 53))
        return int(r.choice(_LENGTHS)) if r.random() < 0.4 else int(r.integers(6, 53))

    def _piece(self, last: int, count: int) -> tuple[int, list[Light]]:
        """A take other than the last one, shown in one of many ways."""
        r = self.random
        which = int(r.choice([k for k in range(len(self.takes)) if k != last]))
        footage = self.takes[which]
        flip = bool(r.random() < 0.5)
        pace = r.random()
        if pace < 0.25 and len(footage) > 60:
            footage = footage[::2]
        elif pace < 0.32 and len(footage) > 100:
            footage = footage[::3]
        if r.random() < 0.35:
            footage = footage[::-1]
        if self.kind == "rough":
            footage = footage[:, ::-1] if r.random() < 0.4 else footage
            curve = 255 * (np.arange(256) / 255) ** np.exp(r.uniform(-0.5, 0.5))
            footage = np.rint(curve).astype(np.uint8)[footage]
        order = self._order(len(footage), count)
        way = r.random()
        if way < 0.12 and count > 30:
            return which, self._pan(footage, order, flip)
        if way < 0.40:
            move, zoom = r.uniform(-0.004, 0.004, 2) * r.random(), r.uniform(-0.004, 0.004)
            zoom *= r.random()
            x, y, w = r.uniform(0.35, 0.65), r.uniform(0.4, 0.6), r.uniform(0.5, 0.8)
            views = [
                (
                    float(np.clip(x + move[0] * n, 0.25, 0.75)),
                    float(np.clip(y + move[1] * n, 0.3, 0.7)),
                    float(np.clip(w + zoom * n, 0.4, 0.92)),
                )
                for n in range(count)
            ]
            return which, [_smooth(footage[k], v, flip) for k, v in zip(order, views, strict=True)]
        view = (0.5, 0.5, 0.94)
        if way < 0.65:
            view = (r.uniform(0.3, 0.7), r.uniform(0.4, 0.6), r.uniform(0.45, 0.92))
        return which, [_seen(footage[k], view, flip) for k in order]

    def _order(self, length: int, count: int) -> list[int]:
        """To the end and back again; some with frames printed twice."""
        r = self.random
        period = 2 * (length - 1)
        first = int(r.integers(0, max(1, length - count)))
        order = [(first + k) % period for k in range(count)]
        order = [k if k < length else period - k for k in order]
        twice = r.random()
        if twice < 0.2:
            return [order[k - (k % 5 == 4)] for k in range(count)]
        return [order[k // 2] for k in range(count)] if twice < 0.25 else order

    def _pan(self, footage: Grey, order: list[int], flip: bool) -> list[Light]:
        """A fast swing across the picture in about ten frames, with motion blur."""
        count = len(order)
        sooner = self.random.random() < 0.4
        at = int(self.random.integers(10, count - 10)) if sooner else count // 2
        ramp = np.clip((np.arange(count * 5) / 5 - at + 5) / 10, 0, 1)
        x = 0.28 + 0.44 * ramp**2 * (3 - 2 * ramp)
        x = 1 - x if flip else x
        out = []
        for n, k in enumerate(order):
            steps = x[5 * n : 5 * n + (1 if abs(n - at) > 7 else 3)]
            views = [_smooth(footage[k], (float(s), 0.5, 0.5), flip) for s in steps]
            out.append(np.asarray(np.mean(views, axis=0), np.float32))
        return out

    def _event(self, frames: list[Light], at: int, clear: int) -> int:
        """Perhaps a flash or a ruined frame. returns: where the next dissolve may begin."""
        r = self.random
        low, high = at + 8, len(frames) - 10
        if high <= low or r.random() >= 0.6:
            return clear
        hit = int(r.integers(low, high))
        if r.random() < 0.5:
            count = int(r.integers(1, 4))
            gain = np.float32(2 ** r.uniform(1.2, 3.0))
            for k in range(hit, hit + count):
                frames[k] = frames[k] * gain
            return max(clear, hit + count + 4)
        ruined = frames[hit].copy()
        way = int(r.integers(4))
        if way < 2:
            ruined[:] = 1 - way
        elif way == 2:
            ruined[_H // 3 :] = 0.7
        else:
            other = self.takes[int(r.integers(len(self.takes)))]
            ruined = _seen(other[0], (0.5, 0.5, 0.94), True)
        frames[hit] = ruined
        return max(clear, hit + 5)

    def _faded(
        self, frames: list[Light], dissolves: list[tuple[int, int]]
    ) -> tuple[list[Light], list[tuple[int, int]]]:
        """A few segments end or begin in black or white."""
        r = self.random
        empty = np.full((_H, _W), 0.0 if r.random() < 0.7 else 1.0, np.float32)
        if r.random() < 0.08:
            count = int(r.integers(8, 24))
            frames += [_sum(frames[-1], empty, (k + 1) / (count + 1)) for k in range(count)]
            frames += [empty] * int(r.integers(1, 6))
        if r.random() < 0.08:
            count = int(r.integers(8, 20))
            before = [empty] * int(r.integers(1, 6))
            before += [_sum(empty, frames[0], (k + 1) / (count + 1)) for k in range(count)]
            frames = before + frames
            dissolves = [(a + len(before), b + len(before)) for a, b in dissolves]
        return frames, dissolves


def _sum(one: Light, other: Light, share: float) -> Light:
    return np.asarray(one * np.float32(1 - share) + other * np.float32(share), np.float32)


def _damaged(
    random: np.random.Generator, frames: Sequence[Light], *, worse: bool = False
) -> list[Tone]:
    """Stain, grain, flicker, dirt, weave, a gain for each print, 8 bits; then a thumbnail."""
    r = random
    clean, harm = r.random() < (0.05 if worse else 0.2), r.uniform(0.4, 1.3)
    harm = harm + 0.3 if worse else harm
    gain = 0.0 if clean else r.uniform(0.15 if worse else 0.0, 0.27)
    stain, slope = (0.0, 1.0) if clean else (r.uniform(0, 0.03), r.uniform(0.85, 1))
    size = (2 * _H, 2 * _W)
    grains = [
        cv2.GaussianBlur(r.normal(size=size).astype(np.float32), (0, 0), 0.6) for _ in range(6)
    ]
    grains = [cv2.resize(g / g.std(), (_W, _H), interpolation=cv2.INTER_AREA) for g in grains]
    dirt = synthetic.Damage(dirt_size_px=(1.0, 6.0), dirt_per_frame=10.0 * harm)
    out = []
    for light in frames:
        film = light_to_log(torch.from_numpy(np.ascontiguousarray(light, np.float32))).numpy()
        if not clean:
            film = (film - np.float32(_DARK)) * np.float32(slope) + np.float32(_DARK + stain)
            level = np.clip(film, 0, 1)
            grain = grains[int(r.integers(6))]
            grain = np.roll(grain, (int(r.integers(_H)), int(r.integers(_W))), (0, 1))
            strength = np.float32(0.55) + np.float32(1.8) * level * (1 - level)
            film = film + grain * np.float32(0.014 * harm) * strength
            knots = (r.normal(size=(3, 4)) * 0.1 * harm).astype(np.float32)
            flicker = cv2.resize(knots, (_W, _H), interpolation=cv2.INTER_CUBIC)
            flicker += np.float32(r.normal() * 0.12 * harm)
            film = synthetic._dirt(r, (film + flicker * np.float32(STOP))[None], dirt)[0]
            dx, dy = np.clip(r.normal(size=2) * np.array([0.8, 0.6]) * harm, -3, 3)
            film = _warped(film, np.array([[1, 0, dx], [0, 1, dy]], np.float32), cv2.INTER_CUBIC)
        film = film[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
        place = (film - _LOWEST) * (_STEPS / (_HIGHEST - _LOWEST))
        shown = _display()[np.clip(place, 0, _STEPS).astype(np.int32)]
        shown = shown * np.float32(1.0 + r.uniform(-gain, gain))
        codes = np.clip(np.rint(shown * 255), 0, 255).astype(np.uint8)
        out.append(thumbnail(_logs()[codes]).astype(np.float16))
    return out


def _warped(picture: Light, matrix: NDArray[np.float32], how: int) -> Light:
    size, edge = (_W, _H), cv2.BORDER_REPLICATE
    return np.asarray(cv2.warpAffine(picture, matrix, size, flags=how, borderMode=edge), np.float32)


View = tuple[float, float, float]
"""Middle x and y, and width, as shares of the take's picture."""


def _window(shape: tuple[int, ...], view: View) -> tuple[float, float, float, float]:
    """Left, top, width, height in px."""
    full_h, full_w = shape[:2]
    aspect = _W / _H
    w = min(view[2] * full_w, full_h * aspect * min(1.0, view[2] / 0.94))
    h = w / aspect
    left = float(np.clip(view[0] * full_w - w / 2, 0, full_w - w))
    top = float(np.clip(view[1] * full_h - h / 2, 0, full_h - h))
    return left, top, w, h


def _seen(picture: Grey, view: View, flip: bool) -> Light:
    left, top, w, h = _window(picture.shape, view)
    part = _lights()[picture[round(top) : round(top + h), round(left) : round(left + w)]]
    small = cv2.resize(part, (_W, _H), interpolation=cv2.INTER_AREA if w > _W else cv2.INTER_LINEAR)
    return np.asarray(small[:, ::-1] if flip else small, np.float32)


def _smooth(picture: Grey, view: View, flip: bool) -> Light:
    """As ``_seen``, at places between pixels."""
    left, top, w, h = _window(picture.shape, view)
    matrix = np.array([[w / _W, 0, left], [0, h / _H, top]], np.float32)
    blurred = cv2.blur(picture, (3, 3)) if w > 1.5 * _W else picture
    small = _warped(_lights()[blurred], matrix, cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return np.asarray(small[:, ::-1] if flip else small, np.float32)


@lru_cache(maxsize=1)
def _lights() -> Light:
    """Scene light of 8-bit display values."""
    light: Light = rec709_decode(torch.arange(256, dtype=torch.float32) / 255).numpy()
    return light


@lru_cache(maxsize=1)
def _logs() -> Light:
    log: Light = light_to_log(torch.from_numpy(_lights())).numpy()
    return log


@lru_cache(maxsize=1)
def _display() -> Light:
    """Display values of film log from ``_LOWEST`` to ``_HIGHEST``."""
    log = torch.linspace(_LOWEST, _HIGHEST, _STEPS + 1)
    display: Light = rec709_encode(log_to_light(log)).numpy()
    return display
