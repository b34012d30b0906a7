"""Which frames of a shot are pictures of their own, and which only repeat or stand in for one.

Copies of old films show frames twice, and declared gaps are filled with frames that no camera
took. To a repair that compares neighbours such a frame is poison: it hides dirt, fakes stillness
and makes grain look like picture. So measuring and repairing walk along the pictures only, and
every other frame is given what its picture was given.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence, Set
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from media.frames import FrameRange
from media.reel import MadeBy, Reel

_LONGEST_HOLE = 48


@dataclass(frozen=True, slots=True)
class Pictures:
    """The pictures of one shot, in order. Without repeats every frame is its own picture."""

    frames: FrameRange
    own: tuple[int, ...]
    """Numbers of the frames that are pictures of their own, ascending, at least one."""
    between: dict[int, float] = field(default_factory=dict)
    """Frames to be rebuilt from both sides: how far each lies between its two pictures, 0..1."""
    aside: frozenset[int] = frozenset()
    """Frames that are shown as they are and say nothing of the shot: destroyed, and left so."""
    gone: frozenset[int] = frozenset()
    """Frames of which the picture is missing or destroyed: time went on while they were taken."""

    @property
    def strip(self) -> FrameRange:
        """The pictures counted without holes from the first frame on: what solvers work on."""
        return FrameRange(self.frames.start, self.frames.start + len(self.own))

    @property
    def moments(self) -> tuple[int, ...]:
        """When each picture was taken, in frames; a repeat takes no time, what is gone did.

        A long hole counts for less, so that nothing has to be worked out for all of it.
        """
        gone = sorted(self.gone)
        found: list[int] = []
        for at, number in enumerate(self.own):
            lost = bisect_right(gone, number) - (bisect_right(gone, self.own[at - 1]) if at else 0)
            found.append(found[-1] + 1 + min(lost, _LONGEST_HOLE) if found else 0)
        return tuple(found)

    @property
    def repeats(self) -> tuple[int, ...]:
        """Frames that are no picture of their own."""
        own = set(self.own)
        return tuple(n for n in self.frames if n not in own)

    def place(self, number: int) -> int:
        """Position in ``own`` of the picture that a frame shows (or follows, if rebuilt)."""
        return max(0, bisect_right(self.own, number) - 1)

    def number(self, strip_number: int) -> int:
        """The frame behind a number on the strip."""
        return self.own[strip_number - self.frames.start]

    def given_nothing(self, unseen: Sequence[int]) -> tuple[int, ...]:
        """The frames behind these numbers on the strip, and those that are set aside."""
        return tuple(sorted({*(self.number(n) for n in unseen), *self.aside}))

    def around(self, number: int, radius: int) -> tuple[int, ...]:
        """The 2*radius + 1 frames a temporal repair of ``number`` looks at, itself in the middle.

        Neighbours are the nearest other pictures, mirrored at the ends of the shot.
        """
        at = self.place(number)
        if number in self.between:
            before = [self._mirrored(at + 1 - k) for k in range(radius, 0, -1)]
            after = [self._mirrored(at + k) for k in range(1, radius + 1)]
            return (*before, number, *after)
        numbers = [self._mirrored(at + k) for k in range(-radius, radius + 1)]
        # Mirrored ends lead back to the picture that this frame shows: that is this frame.
        return tuple(number if n == self.own[at] else n for n in numbers)

    def block(self, number: int, size: int, radius: int) -> tuple[int, ...]:
        """The pictures made together with ``number``, and ``radius`` more on each side.

        Blocks of ``size`` are counted from the first picture on; the last may be shorter. A
        frame that repeats or is rebuilt stands in the block in place of its picture.
        """
        at = self.place(number)
        first = at - at % size
        last = min(first + size, len(self.own))
        numbers = [self._mirrored(k) for k in range(first - radius, last + radius)]
        return tuple(number if n == self.own[at] else n for n in numbers)

    def reach(self, frames: FrameRange, halo: int) -> tuple[int, ...]:
        """All frames that go into rendering ``frames`` when stages reach ``halo`` pictures on."""
        first, last = self.place(frames.start), self.place(frames.stop - 1)
        # A chunk that opens on a repeat still needs the picture that is repeated.
        opening = 0 if self.own[first] == frames.start else 1
        before = [self._mirrored(k) for k in range(first - halo, first + opening)]
        after = [self._mirrored(k) for k in range(last + 1, last + 1 + halo)]
        return (*before, *frames, *after)

    def spread(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Per-picture values (K, ...) to per-frame values (N, ...).

        Repeats get the value of their picture, rebuilt frames the straight line between two, and
        frames that are set aside nothing.
        """
        places = np.array([self.place(n) for n in self.frames])
        out = np.asarray(values[places], dtype=np.float64).copy()
        for number, share in self.between.items():
            k = places[number - self.frames.start]
            out[number - self.frames.start] = (1 - share) * values[k] + share * values[k + 1]
        for number in self.aside:
            out[number - self.frames.start] = 0.0
        return out

    def without(self, numbers: Set[int]) -> Pictures:
        """With these frames set aside, unless no picture would be left."""
        aside = frozenset(n for n in self.frames if n in numbers)
        own = tuple(n for n in self.own if n not in aside)
        if not aside or not own:
            return self
        between = _shares(own, tuple(self.between))
        return Pictures(self.frames, own, between, aside, self.gone | aside)

    def share(self, number: int) -> float | None:
        """How far a picture lies between those beside it; None without one on each side."""
        at = self.place(number)
        if self.own[at] != number or not 0 < at < len(self.own) - 1:
            return None
        before, after = self.own[at - 1], self.own[at + 1]
        return (number - before) / (after - before)

    def _mirrored(self, k: int) -> int:
        n = len(self.own)
        if n == 1:
            return self.own[0]
        k %= 2 * (n - 1)
        return self.own[k if k < n else 2 * (n - 1) - k]


def all_own(frames: FrameRange) -> Pictures:
    """A shot in which every frame is a picture of its own."""
    return Pictures(frames, tuple(frames))


def pictures_of(reel: Reel, frames: FrameRange) -> Pictures:
    """The pictures among ``frames`` of a reel: neither doubled, nor held, nor rebuilt."""
    doubled = frozenset(reel.doubled)
    own = [
        n for n in frames if n == frames.start or (n not in doubled and not reel.frame(n).made_by)
    ]
    rebuilt = [n for n in frames if reel.frame(n).made_by is MadeBy.REBUILD]
    gone = frozenset(n for n in frames if reel.frame(n).made_by)
    return Pictures(frames, tuple(own), _shares(own, rebuilt), gone=gone)


def _shares(own: Sequence[int], rebuilt: Sequence[int]) -> dict[int, float]:
    shares = {}
    for number in rebuilt:
        at = bisect_right(own, number) - 1
        # Without a picture on each side in the same shot there is nothing to go between.
        if 0 <= at < len(own) - 1:
            shares[number] = (number - own[at]) / (own[at + 1] - own[at])
    return shares
