"""Doubled frames and cadence: what the numbering hides about the pictures.

Copies of old films repeat frames, one in ten or one in four, to pass at a modern rate. A doubled
frame differs from the one before it by less than any two pictures taken apart do: neither the
moving parts of the picture nor its grain have changed. Both are asked for, against what the
frames around show, so that a locked-off shot without movement is not taken for doubled.

Everything here looks only; nothing is ever removed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from media.frames import FrameRange, rate_text
from media.write import AnyCodes

_TILE_PX, _TILES = 16, 8
_AROUND = 8
"""Frames each side that say what a difference between two pictures is like here."""
_MOVING_SHARE, _GRAIN_SHARE = 0.25, 0.35
_NEAREST_SHARE = 0.35
_EVEN = 1.3
"""Liveliest tile over the middle one, up to which a difference is noise alone."""
_SAME = 1e-9
_OWN_GRAIN = 1.05
"""Difference over what is fine in a frame itself, from which on the grain is another one: of two
frames with noise of their own it is 1.41 on flat ground, more where grain is coarse, and on films
of 1906 2.4 and more; of a repeat there 0.8 at most."""

_COMBED = 1.15
"""Neighbouring lines that differ by more than this, measured against lines two apart."""
COMBED_SHARE = 0.15
"""Of frames, from which on a reel is taken for interlaced."""


@dataclass(frozen=True, slots=True)
class Cadence:
    """What the frames of a reel say about how it was made."""

    frames: int
    doubled: tuple[int, ...]
    period: int | None
    """One frame in this many is doubled, where that is regular."""
    apparent_rate: Fraction
    """Pictures of their own per second at the declared rate."""
    combed_share: float
    """Share of frames whose neighbouring lines were taken at different times."""
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """JSON values."""
        return {
            "frames": self.frames,
            "doubled": list(self.doubled),
            "doubled_share": round(len(self.doubled) / max(1, self.frames), 4),
            "period": self.period,
            "apparent_rate": rate_text(self.apparent_rate),
            "combed_share": round(self.combed_share, 4),
            "notes": list(self.notes),
        }


class CadenceProbe:
    """Looks at every frame once, in order, at full resolution in small tiles."""

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._moving: list[float] = []
        self._grain: list[float] = []
        self._noise: list[float] = []
        self._combed: list[bool] = []
        self._before: NDArray[np.float32] | None = None

    def observe(self, number: int, codes: AnyCodes) -> None:
        """number: scan number. codes: (H, W, C) as stored."""
        tiles = _tiles(codes)
        moving = grain = noise = np.inf
        if self._before is not None and self._before.shape == tiles.shape:
            apart = np.sqrt(np.square(tiles - self._before).mean(axis=(1, 2)))
            moving, grain = float(np.quantile(apart, 0.95)), float(np.median(apart))
            noise = max(_noise(tiles), _noise(self._before))
        self._numbers.append(number)
        self._moving.append(moving)
        self._grain.append(grain)
        self._noise.append(noise)
        self._combed.append(_is_combed(tiles, self._before))
        self._before = tiles

    def doubled(
        self, stretches: Sequence[FrameRange], damaged: Set[int] = frozenset()
    ) -> tuple[int, ...]:
        """Frames that repeat the one before them, inside shots (or other stretches).

        damaged: frames unlike those on both sides of them. They differ from them by more than two
        pictures of a scene do, and say nothing of how much that is here.
        """
        at = {n: k for k, n in enumerate(self._numbers)}
        found: list[int] = []
        for stretch in stretches:
            # The first frame of a shot has no picture before it to repeat.
            inside = [n for n in stretch if n in at][1:]
            places = [at[n] for n in inside]
            moving = np.array([self._moving[k] for k in places])
            grain = np.array([self._grain[k] for k in places])
            # Weave and flicker come back to the same place and light by chance, with other grain.
            other = grain > _OWN_GRAIN * np.array([self._noise[k] for k in places])
            odd = [not damaged.isdisjoint(self._numbers[max(0, k - 1) : k + 1]) for k in places]
            usual = ~np.array(odd, np.bool_)
            twins = moving <= _SAME
            twins[usual] = _twins(moving[usual], grain[usual]) & ~other[usual]
            found += [n for n, twin in zip(inside, twins, strict=True) if twin]
        return tuple(found)

    def report(self, doubled: Sequence[int], rate: Fraction) -> Cadence:
        """The cadence of the whole reel, in words and numbers. Changes nothing."""
        count = len(self._numbers)
        place = {n: k for k, n in enumerate(self._numbers)}
        period = _period([place[n] for n in doubled], count)
        share = len(doubled) / max(1, count)
        combed = sum(self._combed) / max(1, count)
        apparent = (rate * (count - len(doubled)) / max(1, count)).limit_denominator(1001)
        if period:
            apparent = (rate * (period - 1) / period).limit_denominator(1001)
        return Cadence(
            frames=count,
            doubled=tuple(doubled),
            period=period,
            apparent_rate=apparent,
            combed_share=combed,
            notes=_notes(share, period, apparent, rate, combed, self._combed),
        )


def _tiles(codes: AnyCodes) -> NDArray[np.float32]:
    """(N, t, t) float32: small pieces of the middle channel from all over the frame."""
    plane = codes[..., codes.shape[2] // 2]
    height, width = plane.shape
    size = min(_TILE_PX, height, width)
    rows = np.linspace(0, height - size, max(1, min(_TILES, height // size))).astype(int)
    columns = np.linspace(0, width - size, max(1, min(_TILES, width // size))).astype(int)
    pieces = [plane[y : y + size, x : x + size] for y in rows for x in columns]
    tiles: NDArray[np.float32] = np.stack(pieces).astype(np.float32)
    return tiles


def _noise(tiles: NDArray[np.float32]) -> float:
    """Standard deviation of what is fine in the middle one of the tiles; texture adds to it."""
    if min(tiles.shape[1:]) < 3:
        return np.inf
    beside = tiles[:, :-2, 1:-1] + tiles[:, 2:, 1:-1] + tiles[:, 1:-1, :-2] + tiles[:, 1:-1, 2:]
    fine = (tiles[:, 1:-1, 1:-1] - 0.25 * beside) / np.sqrt(1.25)
    return float(np.median(fine.std(axis=(1, 2))))


def _twins(moving: NDArray[np.float64], grain: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which differences to the frame before are those of one picture shown twice."""
    count = len(moving)
    exact = moving <= _SAME
    twin = exact.copy()
    for k in range(count):
        near = slice(max(0, k - _AROUND), k + _AROUND + 1)
        usual_moving = float(np.quantile(moving[near], 0.75))
        usual_grain = float(np.quantile(grain[near], 0.75))
        # Either the grain stood still too, or nothing moved beyond what noise does everywhere.
        frozen = grain[k] < _GRAIN_SHARE * usual_grain or moving[k] < _EVEN * grain[k]
        twin[k] |= moving[k] < _MOVING_SHARE * usual_moving and frozen
    # Movement that dies down slowly is no repeat: the pictures on both sides must stand out.
    for k in np.flatnonzero(twin & ~exact).tolist():
        left = next((moving[j] for j in range(k - 1, -1, -1) if not twin[j]), np.inf)
        right = next((moving[j] for j in range(k + 1, count) if not twin[j]), np.inf)
        nearest = min(left, right)
        if not np.isfinite(nearest) or moving[k] > _NEAREST_SHARE * nearest:
            twin[k] = False
    return twin


def _period(doubled: list[int], count: int) -> int | None:
    """The distance at which repeats recur, when most of them keep to it."""
    if len(doubled) < 4:
        return None
    steps = Counter(int(s) for s in np.diff(doubled))
    step, times = steps.most_common(1)[0]
    regular = times >= 0.7 * (len(doubled) - 1)
    spread_out = len(doubled) * step >= 0.6 * count
    return step if step > 1 and regular and spread_out else None


def _is_combed(tiles: NDArray[np.float32], before: NDArray[np.float32] | None) -> bool:
    """Whether, where the picture moves, each line agrees better with the next but one."""
    if before is None or before.shape != tiles.shape or tiles.shape[1] < 8:
        return False
    apart = np.square(tiles - before).mean(axis=(1, 2))
    moving = apart > max(float(np.quantile(apart, 0.75)), 4.0 * float(np.median(apart)), 1e-12)
    if np.count_nonzero(moving) < 2:
        return False
    busy = tiles[moving]
    near = np.square(busy[:, :-1] - busy[:, 1:]).mean()
    far = np.square(busy[:, :-2] - busy[:, 2:]).mean()
    return bool(near > _COMBED * far)


def _notes(
    share: float,
    period: int | None,
    apparent: Fraction,
    rate: Fraction,
    combed: float,
    flags: list[bool],
) -> tuple[str, ...]:
    notes = []
    if period:
        notes.append(
            f"one frame in {period} repeats the one before it: as if {rate_text(apparent)} "
            f"pictures a second were stretched to {rate_text(rate)}"
        )
    elif share > 0.0:
        notes.append(f"{100 * share:.1f} % of the frames repeat the one before them")
    if combed > COMBED_SHARE:
        marks = np.array(flags, np.float64)
        fives = [marks[k::5].mean() for k in range(5)] if len(marks) >= 20 else []
        if sum(m > 0.6 for m in fives) == 2 and sum(m < 0.2 for m in fives) >= 2:
            notes.append("two combed frames in five: 3:2 pulldown; undo it before restoring")
        else:
            notes.append(f"{100 * combed:.0f} % of the frames look interlaced")
    return tuple(notes)
