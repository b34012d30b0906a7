"""How far a frame is from what the frames around it agree on; everything at proxy size."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from restore.motion import find_flow

_AROUND_PX = 9
"""Edge of the square over which pictures are compared."""
_TEXTURE = 0.015
"""Film log: less contrast than this in the square says nothing about likeness."""
_AGREED = 0.7
_LOST = 0.35
_NOISE = 0.006
_LEVEL_PX = 5
_FADED = 0.2
_RIM_PX = 1.5
_MOVED_SURE = 0.15

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Seen:
    """A frame as it is compared."""

    number: int
    planes: F32
    """(C, h, w) film log."""
    luma: F32
    """(h, w) film log."""
    image: NDArray[np.uint8]
    """(h, w) what the flow looks at."""

    @cached_property
    def cells(self) -> F32:
        """Luma of areas of about 8 px: tells at no cost whether anything changed at all."""
        h, w = self.luma.shape
        size = (max(1, w // 8), max(1, h // 8))
        small: F32 = cv2.resize(self.luma, size, interpolation=cv2.INTER_AREA)
        return small

    @cached_property
    def lightest(self) -> float:
        """Film log luma that hardly anything is lighter than."""
        return float(np.quantile(self.luma, 0.995))


@dataclass(frozen=True)
class Look:
    """A frame against what is expected in its place; maps are (h, w)."""

    judged: Mask
    """Where the expectation is sure and has structure enough to be compared."""
    alike: F32
    """Local correlation, -1..1, whatever the exposure."""
    level: F32
    """(C, h, w) film log, local means: how much lighter the frame is than expected."""
    own: F32
    """Local contrast of the frame over that expected."""
    sure: Mask
    """Where the frames around agree, with structure or without."""

    @property
    def lost_share(self) -> float:
        """Of what can be judged: how much of the expected picture is not there."""
        judged = int(self.judged.sum())
        return float(self.lost.sum()) / judged if judged else 0.0

    @property
    def lost(self) -> Mask:
        """Where the expected picture is not there."""
        return self.judged & ((self.alike < _LOST) | (self.own < _FADED))

    @property
    def level_stepped(self) -> float:
        """Median of how much lighter the frame is, film log luma."""
        return float(np.median(self.level.mean(axis=0)))


class Pair:
    """Two frames, what they agree on, and the picture expected between them or beside them."""

    def __init__(self, before: Seen, after: Seen) -> None:
        self._before, self._after = before, after
        self._flow = find_flow(before.image, after.image)

    def look(self, frame: Seen, share: float) -> Look:
        """frame: at ``share`` of the way from before (0) to after (1)."""
        early, early_inside = _fetched(self._before.planes, -share * self._flow)
        late, late_inside = _fetched(self._after.planes, (1.0 - share) * self._flow)
        return _compared(frame, early, late, early_inside & late_inside)

    def beside(self, frame: Seen, *, following: bool) -> Look:
        """frame: right before the pair or, ``following``, right after it."""
        near, far = (self._after, self._before) if following else (self._before, self._after)
        flow = find_flow(frame.image, near.image)
        expected, inside = _fetched(near.planes, flow)
        back = self._flow if not following else find_flow(near.image, far.image)
        other, other_inside = _fetched(far.planes, flow + back)
        return _compared(frame, expected, other, inside & other_inside)


def _compared(frame: Seen, one: F32, other: F32, inside: Mask) -> Look:
    first, second = one.mean(axis=0), other.mean(axis=0)
    expected = 0.5 * (first + second)
    shifted = _brought(frame, expected)
    luma = shifted.mean(axis=0)
    contrast, agreement = _spread(expected), _likeness(first, second)
    apart = np.abs(_mean(one - other)).max(axis=0)
    sure = inside & (apart < 0.04)
    level: F32 = _mean(shifted - 0.5 * (one + other), _LEVEL_PX)
    return Look(
        judged=inside & (contrast > _TEXTURE) & (agreement > _AGREED),
        alike=_likeness(luma, expected),
        level=level,
        own=(_spread(luma) / np.maximum(contrast, _NOISE)).astype(np.float32),
        sure=sure,
    )


def _brought(frame: Seen, expected: F32) -> F32:
    """The frame's planes moved as a whole to where they are expected: a frame that stands
    elsewhere in the gate is not a destroyed one."""
    window = cv2.createHanningWindow(expected.shape[::-1], cv2.CV_32F)
    luma = frame.planes.mean(axis=0)
    (dx, dy), response = cv2.phaseCorrelate(_edges(expected), _edges(luma), window)
    if response < _MOVED_SURE or max(abs(dx), abs(dy)) < 0.3:
        return frame.planes
    moved = np.broadcast_to(np.array([dx, dy], np.float32), (*expected.shape, 2))
    return _fetched(frame.planes, moved)[0]


def _edges(plane: F32) -> F32:
    fine: F32 = plane - cv2.blur(plane, (_AROUND_PX, _AROUND_PX))
    return np.clip(fine, -0.1, 0.1)


def _fetched(planes: F32, flow: NDArray[np.float32]) -> tuple[F32, Mask]:
    """(C, h, w) planes at p + flow, and where that lies inside."""
    h, w = planes.shape[-2:]
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    at_x, at_y = x + flow[..., 0], y + flow[..., 1]
    rim = _RIM_PX
    inside = (at_x >= -rim) & (at_x < w + rim) & (at_y >= -rim) & (at_y < h + rim)
    fetched = [
        cv2.remap(p, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for p in planes
    ]
    return np.stack(fetched).astype(np.float32), inside


def _mean(planes: F32, size_px: int = _AROUND_PX) -> F32:
    square = (size_px, size_px)
    if planes.ndim == 2:
        found: F32 = cv2.blur(planes, square)
        return found
    return np.stack([cv2.blur(p, square) for p in planes])


def _spread(plane: F32) -> F32:
    found: F32 = np.sqrt(np.maximum(_mean(plane * plane) - _mean(plane) ** 2, 0.0))
    return found


def _likeness(one: F32, other: F32) -> F32:
    covariance = _mean(one * other) - _mean(one) * _mean(other)
    found: F32 = covariance / (_spread(one) * _spread(other) + _NOISE**2)
    return found
