"""Reels whose cuts are known: takes joined, disturbed and damaged, with all of it on record.

For tests and benchmarks. Joins are made as film makes them: a dissolve adds light, a fade takes
light away, a flash adds stops. The damage is that of ``media.synthetic``, then every frame is
printed with a gain of its own and stored in 8 bits, so each detector sees the same pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from media.encoding import STOP, light_to_log, log_to_light, rec709_decode, rec709_encode
from media.synthetic import Damage, damage_shot

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

WIDTH_PX, HEIGHT_PX, _MARGIN_PX = 288, 162, 8
_SIZE = (WIDTH_PX + 2 * _MARGIN_PX, HEIGHT_PX + 2 * _MARGIN_PX)
_DARK = 95.0 / 1023.0
_LENGTHS = (6, 8, 12, 16, 24, 32, 48)


@dataclass(frozen=True, slots=True)
class Take:
    """Frames known to hold no cut."""

    name: str
    frames: Bytes
    """(T, H, W, 3) Rec.709 RGB, W at least 16/9 of H."""
    closer: bool = True
    """A closer view of it is visibly another picture."""


@dataclass(frozen=True, slots=True)
class Wear:
    """How badly a reel is damaged."""

    name: str
    gain: float
    """Largest change of the display value of a whole frame, up and down."""
    damage: Damage | None


CLEAN = Wear("clean", 0.0, None)
WORN = Wear("worn", 0.1, Damage())
HEAVY = Wear(
    "heavy",
    0.25,
    Damage(flicker_local_stops=0.1, weave_px=(1.6, 1.2), grain_sigma=0.02, dirt_per_frame=10.0),
)


@dataclass(slots=True)
class Truth:
    """What a reel holds, positions counted from 0, all ranges half-open."""

    cuts: list[int] = field(default_factory=list)
    dissolves: list[tuple[int, int]] = field(default_factory=list)
    fades: list[tuple[str, int, int]] = field(default_factory=list)
    """``fade_in``, ``fade_out``, ``fade_in_white``, ``fade_out_white``."""
    slugs: list[tuple[int, int]] = field(default_factory=list)
    """Black frames."""
    flashes: list[tuple[int, int]] = field(default_factory=list)
    ruined: list[int] = field(default_factory=list)


def build_reel(
    takes: Sequence[Take], wear: Wear, seed: int, pieces: int = 10
) -> tuple[Bytes, Truth]:
    """Joined and damaged takes.

    takes: at least two. pieces: how many shots are joined.
    returns: (T, 162, 288, 3) Rec.709 RGB, and what is in it.
    """
    maker = _Maker(np.random.default_rng((seed, 77)), list(takes))
    for _ in range(pieces):
        maker.join()
    return damaged(maker.frames(), wear, seed), maker.truth


def plain_reel(take: Take, wear: Wear, seed: int) -> Bytes:
    """One take from end to end, damaged: nothing may be found in it."""
    view = (0.5, 0.5, 0.94)
    return damaged(np.stack([seen(picture, view) for picture in take.frames]), wear, seed)


def damaged(clean: Floats, wear: Wear, seed: int) -> Bytes:
    """clean: (T, 3, 178, 304) film log with a margin. returns: (T, 162, 288, 3) Rec.709 RGB."""
    random = np.random.default_rng((seed, 78))
    m = _MARGIN_PX
    pictures = clean[:, :, m:-m, m:-m]
    if wear.damage is not None:
        pictures, _ = damage_shot(clean, _tinted(wear.damage, random), seed, m)
    out = np.empty((len(clean), HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    for k, picture in enumerate(pictures):
        display = rec709_encode(log_to_light(torch.from_numpy(np.ascontiguousarray(picture))))
        display *= 1.0 + float(random.uniform(-wear.gain, wear.gain))
        out[k] = np.clip(np.rint(display.numpy() * 255), 0, 255).transpose(1, 2, 0)
    return out


def _tinted(damage: Damage, random: np.random.Generator) -> Damage:
    """A third of all reels untinted, a third warm, a third blue; values as old prints have."""
    slopes, offsets = (
        ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0)),
        ((1.0, 0.9, 0.7), (0.06, 0.02, 0.0)),
        ((0.75, 0.9, 1.0), (0.0, 0.02, 0.08)),
    )[int(random.integers(3))]
    return Damage(
        flicker_stops=damage.flicker_stops,
        flicker_local_stops=damage.flicker_local_stops,
        weave_px=damage.weave_px,
        grain_sigma=damage.grain_sigma,
        dirt_per_frame=damage.dirt_per_frame,
        fade_slope=slopes,
        fade_offset=offsets,
    )


View = tuple[float, float, float]
"""Middle x and y, and width, as shares of the take's picture."""


def seen(picture: Bytes, view: View) -> Floats:
    """(3, 178, 304) film log of a part of a picture."""
    full_h, full_w = picture.shape[:2]
    aspect = _SIZE[0] / _SIZE[1]
    w = min(view[2] * full_w, full_h * aspect * min(1.0, view[2] / 0.94))
    h = w / aspect
    left = np.clip(view[0] * full_w - w / 2, 0, full_w - w)
    top = np.clip(view[1] * full_h - h / 2, 0, full_h - h)
    cut = picture[round(top) : round(top + h), round(left) : round(left + w)]
    way = cv2.INTER_AREA if w > _SIZE[0] else cv2.INTER_LINEAR
    small = cv2.resize(np.ascontiguousarray(cut), _SIZE, interpolation=way)
    values = torch.from_numpy(small.transpose(2, 0, 1).astype(np.float32) / 255)
    log: Floats = light_to_log(rec709_decode(values)).numpy()
    return log


def _mixed(one: Floats, other: Floats, share: float) -> Floats:
    """Two exposures on one frame: light adds."""
    a, b = (log_to_light(torch.from_numpy(np.ascontiguousarray(p))) for p in (one, other))
    log: Floats = light_to_log(a * (1 - share) + b * share).numpy()
    return log


class _Maker:
    """Puts pieces one after another; everything random comes from one generator."""

    def __init__(self, random: np.random.Generator, takes: list[Take]) -> None:
        self.random = random
        self.takes = takes
        self.truth = Truth()
        self._frames: list[Floats] = []
        self._last: tuple[int, View] | None = None

    def frames(self) -> Floats:
        return np.stack(self._frames)

    def join(self) -> None:
        """One more piece, by a random kind of join."""
        kind = "start"
        if self._frames:
            kind = str(
                self.random.choice(
                    ["cut", "dissolve", "fade", "slug", "white"], p=[0.55, 0.27, 0.07, 0.06, 0.05]
                )
            )
        length = int(self.random.choice(_LENGTHS)) if kind == "dissolve" else 0
        short = kind == "cut" and self.random.random() < 0.1
        pure = int(self.random.integers(3, 9) if short else self.random.integers(26, 60))
        piece = self._piece(length + pure, similar_allowed=kind in ("cut", "slug"))
        if kind == "cut":
            self.truth.cuts.append(len(self._frames))
        elif kind == "dissolve":
            self._dissolve(piece, length)
        elif kind == "slug":
            self._slug()
            self.truth.cuts.append(len(self._frames))
        elif kind in ("fade", "white"):
            self._fade(piece, kind)
        start = len(self._frames)
        self._frames += piece[length:] if kind == "dissolve" else piece
        if not short:
            self._event(start + (14 if kind in ("fade", "white") else 0))

    def _piece(self, count: int, *, similar_allowed: bool) -> list[Floats]:
        last = self._last
        similar = (
            similar_allowed
            and last is not None
            and self.takes[last[0]].closer
            and self.random.random() < 0.3
        )
        if similar and last is not None:
            which, old = last
            wide = old[2] > 0.7
            x = self.random.choice([0.3, 0.7]) if wide else 0.5
            view = (float(x), float(self.random.uniform(0.4, 0.6)), 0.5 if wide else 0.94)
        else:
            others = [k for k in range(len(self.takes)) if last is None or k != last[0]]
            which = int(self.random.choice(others))
            view = (0.5, 0.5, 0.94)
        self._last = (which, view)
        footage = self.takes[which].frames
        period = 2 * (len(footage) - 1)
        first = int(self.random.integers(0, max(1, len(footage) - count)))
        order = [(first + k) % period for k in range(count)]
        order = [k if k < len(footage) else period - k for k in order]
        if self.random.random() < 0.2:
            # Archive copies repeat frames to stretch 16 frames per second to 24.
            order = [order[k - (k % 5 == 4)] for k in range(count)]
        if not similar and count > 30 and self.random.random() < 0.15:
            self._last = (which, (0.72, 0.5, 0.5))
            return self._pan(footage, order)
        return [seen(footage[k], view) for k in order]

    def _pan(self, footage: Bytes, order: list[int]) -> list[Floats]:
        """A fast swing across the picture in about ten frames, with motion blur."""
        at = len(order) // 2
        ramp = np.clip((np.arange(len(order) * 5) / 5 - at + 5) / 10, 0, 1)
        x = 0.28 + 0.44 * ramp**2 * (3 - 2 * ramp)
        out = []
        for n, k in enumerate(order):
            still = abs(n - at) > 7
            steps = [x[5 * n]] if still else list(x[5 * n : 5 * n + 3])
            views = [seen(footage[k], (float(s), 0.5, 0.5)) for s in steps]
            out.append(np.asarray(np.mean(views, axis=0), dtype=np.float32))
        return out

    def _dissolve(self, piece: list[Floats], length: int) -> None:
        """The tail of what is there carries the head of ``piece``."""
        length = min(length, len(self._frames) - 1)
        tail = self._frames[-length:] if self._room() >= length else []
        if not tail:
            # Too little is left of the shot before: hold its last frame, as opticals do.
            tail = [self._frames[-1]] * length
            self._frames += tail
        start = len(self._frames) - length
        for k in range(length):
            share = (k + 1) / (length + 1)
            self._frames[start + k] = _mixed(tail[k], piece[k], share)
        self.truth.dissolves.append((start, start + length))

    def _room(self) -> int:
        """Frames at the end that hold one shot and nothing else, but for a rest of 12."""
        t = self.truth
        ends = [*t.cuts, *(b for _, b in t.dissolves), *(f[2] for f in t.fades)]
        ends += [b + 4 for _, b in t.flashes] + [r + 5 for r in t.ruined]
        return len(self._frames) - max([0, *ends]) - 12

    def _slug(self) -> None:
        start = len(self._frames)
        count = int(self.random.integers(6, 25))
        self._frames += [np.full((3, *_SIZE[::-1]), _DARK, np.float32)] * count
        self.truth.cuts.append(start)
        self.truth.slugs.append((start, start + count))

    def _fade(self, piece: list[Floats], kind: str) -> None:
        """Down (or up to white) and back, through a few frames of nothing."""
        end = np.full((3, *_SIZE[::-1]), _DARK if kind == "fade" else 685 / 1023, np.float32)
        name = "" if kind == "fade" else "_white"
        count = int(self.random.integers(8, 24))
        start = len(self._frames)
        held = self._frames[-1]
        self._frames += [_mixed(held, end, (k + 1) / (count + 1)) for k in range(count)]
        self.truth.fades.append((f"fade_out{name}", start, start + count))
        hold = int(self.random.integers(2, 12))
        self._frames += [end] * hold
        if kind == "fade":
            self.truth.slugs.append((start + count, start + count + hold))
        back = int(self.random.integers(8, 20))
        start = len(self._frames)
        self._frames += [_mixed(end, piece[0], (k + 1) / (back + 1)) for k in range(back)]
        self.truth.fades.append((f"fade_in{name}", start, start + back))

    def _event(self, start: int) -> None:
        """A flash or a ruined frame well inside the last piece."""
        low, high = start + 8, len(self._frames) - 10
        if high <= low or self.random.random() < 0.4:
            return
        at = int(self.random.integers(low, high))
        if self.random.random() < 0.5:
            count = int(self.random.integers(1, 4))
            stops = float(self.random.uniform(1.2, 3.0))
            for k in range(at, at + count):
                self._frames[k] = self._frames[k] + np.float32(stops * STOP)
            self.truth.flashes.append((at, at + count))
            return
        way = int(self.random.integers(4))
        ruined = self._frames[at].copy()
        if way == 0:
            ruined[:] = 685 / 1023
        elif way == 1:
            ruined[:] = _DARK
        elif way == 2:
            ruined[:, _SIZE[1] // 3 :] = 640 / 1023
        else:
            other = self.takes[int(self.random.integers(len(self.takes)))].frames
            ruined = seen(other[0][:, ::-1], (0.5, 0.5, 0.94))
        self._frames[at] = ruined
        self.truth.ruined.append(at)
