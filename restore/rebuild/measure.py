"""Find frames whose picture is not what the frames on both sides agree on.

Looks at small pictures while they go by, before cuts are known; what it finds is only a finding
where both sides lie in one shot (``restore.rebuild.solve``). Frames between two that agree along
their motion are compared with them by local correlation, which exposure does not change: light
that flashes in the scene leaves its structure, a burnt, fogged or overexposed frame does not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from torch import Tensor

from restore.motion import luma, steering_image
from restore.rebuild.compare import F32, Look, Mask, Pair, Seen

LONGEST_SEEN = 6
"""Frames in a row; more are a shot of their own to the cut finder."""
FLASH = "flash"
OTHER = "other picture"
BURNT = "burnt"
SPLICE, TORN = "splice", "torn"
_SMALLEST_PX = 32
_CHANGED, _CHANGED_SHARE = 0.04, 0.03
_DESTROYED, _PARTLY = 0.6, 0.3
_JUDGED, _WELL_JUDGED = 0.02, 0.2
_SIDES_AGREE = 0.6
"""Share of the frame over which two frames must agree to speak of what is between them."""
_FLASH_BRIGHTER = 0.05
_BLANK, _EVEN, _NO_STRUCTURE, _STEP = 0.02, 0.06, 0.5, 0.1
_FAR_LIGHTER = 0.35
"""Film log, four stops: no light in a scene does that to half of the picture."""
_BURNT_SPREAD, _BURNT_AREA, _HOLES = 0.25, 0.25, 0.04
_OFF, _FAR_OFF = 0.08, 0.15
_LONGEST_BESIDE = 3
_CALM, _EMPTIED, _FADES = 0.85, 0.5, 0.008
_BARE_LIGHTER = 0.05
_BLACK = 0.2
"""Film log: what is darker and even is black to the cut finder as well."""
_BAND_AREA, _TEAR_AREA, _LARGEST_AREA = 0.012, 0.06, 0.6
_BAND_WIDTH, _BAND_HEIGHT = 0.85, 0.3
_EXTREME = 0.015
_RIM_PX = 2

Part = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something on a frame, or a run of them, that is not in the frames around."""

    first: int
    last: int
    """Frame numbers, inclusive."""
    kind: str
    """blank, overexposed, dark, fogged, burnt; flash, other picture; splice, torn."""
    confidence: float
    reason: str
    part: Part | None = None
    """Top, left, bottom, right as shares of the frame; None for all of it."""
    sides: str = "both"
    """Which frames say so: those on both sides, ``before`` or ``after`` alone."""

    def as_dict(self) -> dict[str, object]:
        """For records."""
        return {
            "frames": [self.first, self.last],
            "kind": self.kind,
            "confidence": round(self.confidence, 3),
            "reason": self.reason,
            "part": None if self.part is None else [round(v, 4) for v in self.part],
            "sides": self.sides,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, object]) -> Finding:
        """Inverse of ``as_dict``."""
        frames, part = value["frames"], value["part"]
        assert isinstance(frames, list)
        assert part is None or isinstance(part, list)
        return cls(
            first=int(frames[0]),
            last=int(frames[1]),
            kind=str(value["kind"]),
            confidence=float(str(value["confidence"])),
            reason=str(value["reason"]),
            part=None if part is None else (part[0], part[1], part[2], part[3]),
            sides=str(value["sides"]),
        )


class FramesProbe:
    """Findings of a stretch of frames, each seen once and in order, at 100 to 300 px width."""

    name = "frames"

    def __init__(self) -> None:
        self._seen: deque[Seen] = deque(maxlen=LONGEST_SEEN + 2)
        self._found: list[Finding] = []
        self._whitening: set[int] = set()

    def observe(self, frame: int, pixels: Tensor) -> None:
        """frame: scan number. pixels: (C, h, w) film log, small."""
        if min(pixels.shape[-2:]) < _SMALLEST_PX:
            return
        plane = luma(pixels)
        if self._seen and frame != self._seen[-1].number + 1:
            self._seen.clear()
        planes = pixels.detach().cpu().numpy().astype(np.float32, copy=False)
        self._seen.append(Seen(frame, planes, plane.cpu().numpy(), steering_image(plane)))
        if len(self._seen) > 2 and _whitens(*list(self._seen)[-3:]):
            self._whitening.update(range(frame - 2, frame + 1))
        self._look_back()
        self._look_beside()

    def finish(self) -> dict[str, object]:
        """``findings``: as ``Finding.as_dict``, in order of frames."""
        return {"findings": [f.as_dict() for f in self.findings()]}

    def findings(self) -> list[Finding]:
        """The same, as they are; what both sides say need not be said by one of them, and one
        side alone takes what drowns in white for light."""
        agreed = [f for f in self._found if f.sides == "both" and f.part is None]

        def counts(one: Finding) -> bool:
            if one.sides == "both" or one.part is not None:
                return True
            known = any(o.first <= one.first and one.last <= o.last for o in agreed)
            return not known and self._whitening.isdisjoint(range(one.first, one.last + 1))

        said = [f for f in self._found if counts(f)]
        return sorted(said, key=lambda f: (f.first, f.last, f.sides))

    def _look_back(self) -> None:
        """Runs that end right before the newest frame."""
        seen = list(self._seen)
        if len(seen) < 3 or not _changed(seen[-2], seen[-1]):
            return
        for run in range(1, len(seen) - 1):
            before, inner, after = seen[-run - 2], seen[-run - 1 : -1], seen[-1]
            if not _changed(before, inner[0]):
                continue
            pair = Pair(before, after)
            looks = [pair.look(f, (k + 1) / (run + 1)) for k, f in enumerate(inner)]
            found = _run(inner, looks, (before, after))
            if run == 1 and (found is None or found.kind == BURNT):
                # A tear shows bare light as a hole does, but the rest of the frame is sound.
                found = _part(inner[0], looks[0], (before, after), "both") or found
            if found is not None:
                self._found.append(found)
                return
            if _sound(looks[-1]):
                # A longer run would end on the same frame.
                return

    def _look_beside(self) -> None:
        """Bands at the top or bottom of a frame, and frames that are no picture any more, by the
        two frames on one side of them: at a cut there are no others."""
        seen = list(self._seen)
        for run in range(1, min(_LONGEST_BESIDE, len(seen) - 2) + 1):
            stretch = seen[-run - 2 :]
            self._beside(stretch[:run], (stretch[run], stretch[run + 1]), "after")
            self._beside(stretch[2:], (stretch[0], stretch[1]), "before")

    def _beside(self, inner: list[Seen], pair: tuple[Seen, Seen], sides: str) -> None:
        near, far = pair if sides == "after" else pair[::-1]
        spoilt = _calm(near, far) and all(_spoilt(frame, near) for frame in inner)
        if not spoilt and (len(inner) > 1 or not _rows_changed(inner[0], near)):
            return
        expected = Pair(*pair)
        looks = [expected.beside(frame, following=sides == "before") for frame in inner]
        if len(inner) == 1:
            part = _part(inner[0], looks[0], pair, sides)
            if part is not None and (part.kind == SPLICE or (spoilt and _bare(inner[0], near))):
                self._found.append(part)
                return
        if spoilt and (ruined := _ruined(inner, looks, pair, sides)) is not None:
            self._found.append(ruined)


def _changed(one: Seen, other: Seen) -> bool:
    apart = np.abs(one.cells - other.cells)
    return float((apart > _CHANGED).mean()) > _CHANGED_SHARE


def _sound(look: Look) -> bool:
    agreed = float(look.sure.mean()) >= _SIDES_AGREE
    return agreed and float(look.judged.mean()) >= _JUDGED and look.lost_share < 0.5 * _DESTROYED


def _rows_changed(one: Seen, other: Seen) -> bool:
    """Whether the topmost or the lowest rows changed over most of the width, more than the rest."""
    apart = np.abs(one.cells - other.cells)
    rest = float(np.median(apart))
    edges = (float(np.median(apart[0])), float(np.median(apart[-1])))
    return max(edges) > max(_CHANGED, 2.0 * rest)


def _lightened(one: Seen, other: Seen, least: float = _STEP) -> bool:
    """Whether a frame is lighter than another all over."""
    return float(np.median(one.cells) - np.median(other.cells)) > least


def _whitens(one: Seen, middle: Seen, other: Seen) -> bool:
    """Whether three frames in a row are a part of a fade into or out of white."""
    dark, light = (one, other) if _lightened(other, one, 0.0) else (other, one)
    steady = _lightened(light, middle, _FADES) and _lightened(middle, dark, _FADES)
    paler = float(middle.cells.std()) < _CALM * float(dark.cells.std())
    still_there = float(light.cells.std()) < 0.8 * float(middle.cells.std())
    return steady and paler and still_there and float(light.cells.std()) < _BLANK


def _calm(near: Seen, far: Seen) -> bool:
    """Whether two frames are lit and filled alike: no fade, no light that goes on or off."""
    apart = abs(float(np.median(near.cells) - np.median(far.cells)))
    narrow, wide = sorted((float(near.cells.std()), float(far.cells.std())))
    return apart < 0.4 * _STEP and narrow > _CALM * wide


def _spoilt(frame: Seen, near: Seen) -> bool:
    """Whether a frame may be no picture any more, at no cost: light, emptied, or with holes."""
    emptied = float(frame.cells.std()) < _EMPTIED * float(near.cells.std())
    return emptied or _lightened(frame, near) or _bare(frame, near)


def _bare(frame: Seen, near: Seen) -> bool:
    """Whether a part of a frame is lighter than anything in another: light without film."""
    return float((frame.luma > near.lightest + _BARE_LIGHTER).mean()) > _HOLES


def _ruined(
    inner: list[Seen], looks: list[Look], pair: tuple[Seen, Seen], sides: str
) -> Finding | None:
    """Frames that are no picture any more, by one side alone, all of them."""
    near = pair[0] if sides == "after" else pair[1]
    kinds = [_ruin(frame, look, near, pair) for frame, look in zip(inner, looks, strict=True)]
    if not all(kinds):
        return None
    judged = min(float(look.judged.mean()) for look in looks)
    lost = min(look.lost_share for look in looks)
    confidence = 0.7 * min(1.0, 0.6 + judged / _WELL_JUDGED)
    why = f"{100 * lost:.0f} % of the picture that the frames {sides} it show is not there"
    return Finding(inner[0].number, inner[-1].number, kinds[0], confidence, why, None, sides)


def _ruin(frame: Seen, look: Look, near: Seen, pair: tuple[Seen, Seen]) -> str:
    """How a frame is destroyed, by one side alone; empty when it may not be.

    Black frames are how shots fade and end, and another picture is how a cut looks: what is
    believed is light, an even frame that is not black, and burnt film with holes in it.
    """
    lost, step = look.lost_share, look.level_stepped
    if float(look.judged.mean()) < _JUDGED:
        return ""
    if lost >= _DESTROYED and float(np.median(look.own[look.judged])) < _NO_STRUCTURE:
        if step >= _STEP:
            return "overexposed"
        even = float(frame.luma.std()) < min(_EVEN, _EMPTIED * float(near.luma.std()))
        return _even(frame, step) if even and float(np.median(frame.luma)) > _BLACK else ""
    if lost < _PARTLY or not _bare(frame, near) or not _burnt(frame, look, pair):
        return ""
    # A bright thing that comes into the picture has no char around it.
    level = look.level - np.median(look.level, axis=(1, 2), keepdims=True)
    charred = float((look.sure & (level.min(axis=0) < -_FAR_OFF)).mean())
    return BURNT if charred > _HOLES else ""


def _run(inner: list[Seen], looks: list[Look], around: tuple[Seen, Seen]) -> Finding | None:
    """Frames that are destroyed, or lit by a flash, all of them."""
    judged = min(float(look.judged.mean()) for look in looks)
    if judged < _JUDGED or float(looks[0].sure.mean()) < _SIDES_AGREE:
        return None
    lost = min(look.lost_share for look in looks)
    lighter = min(look.level_stepped for look in looks)
    first, last = inner[0].number, inner[-1].number
    kinds = [_kind(f, look, around) for f, look in zip(inner, looks, strict=True)]
    if all(kinds):
        # What is said of a run is the kind that asks for the most care.
        kind = OTHER if OTHER in kinds else kinds[0]
        # Some scenes have little structure that could be missed.
        confidence = min(1.0, lost / _DESTROYED) * min(1.0, 0.6 + judged / _WELL_JUDGED)
        why = f"{100 * lost:.0f} % of the picture that the frames around agree on is not there"
        return Finding(first, last, kind, confidence, why)
    if lighter > _FLASH_BRIGHTER and lost < _PARTLY:
        why = f"lighter, and {100 * (1 - lost):.0f} % of the structure is still there"
        return Finding(first, last, FLASH, min(1.0, 1.2 - lost), why)
    return None


def _kind(frame: Seen, look: Look, around: tuple[Seen, Seen]) -> str:
    """How a frame is destroyed; empty when it is not."""
    lost, step = look.lost_share, look.level_stepped
    own = float(np.median(look.own[look.judged]))
    if lost >= _DESTROYED and own < _NO_STRUCTURE and float(frame.luma.std()) < _EVEN:
        return _even(frame, step)
    if lost >= _PARTLY and step > _FAR_LIGHTER:
        return "overexposed"
    if _burnt(frame, look, around) and lost >= 0.5 * _PARTLY:
        return BURNT
    if lost < _DESTROYED:
        return ""
    if own < _NO_STRUCTURE:
        return _even(frame, step)
    return OTHER


def _even(frame: Seen, step: float) -> str:
    """The kind of a frame without structure."""
    if abs(step) >= _STEP:
        return "overexposed" if step > 0 else "dark"
    return "blank" if float(frame.luma.std()) < _BLANK else "fogged"


def _burnt(frame: Seen, look: Look, around: tuple[Seen, Seen]) -> bool:
    """Holes that show bare light, in charred film: no scene has both in a quarter of the frame."""
    lightest = max(s.lightest for s in around)
    level = look.level - np.median(look.level, axis=(1, 2), keepdims=True)
    off = np.abs(level).max(axis=0) > _FAR_OFF
    holes = float((frame.luma > lightest + _BARE_LIGHTER).mean())
    return float((off & look.sure).mean()) > _BURNT_AREA and (
        holes > _HOLES or float(look.level.mean(axis=0).std()) > _BURNT_SPREAD
    )


def _part(frame: Seen, look: Look, around: tuple[Seen, Seen], sides: str) -> Finding | None:
    """A band of a splice, or a tear that reaches the edge of the frame."""
    level = look.level - np.median(look.level, axis=(1, 2), keepdims=True)
    off = np.abs(level).max(axis=0)
    bare = (look.own < _NO_STRUCTURE) | look.lost | (off > _FAR_OFF)
    faded = look.judged & (look.own < _NO_STRUCTURE)
    bad = look.sure & (((off > _OFF) & bare) | faded | (look.lost & (off > 0.5 * _OFF)))
    square = np.ones((3, 3), np.uint8)
    solid = cv2.morphologyEx(bad.astype(np.uint8), cv2.MORPH_OPEN, square)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(solid, connectivity=8)
    if count < 2:
        return None
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    inside: Mask = labels == largest
    area = float(inside.mean())
    left, top, width, height = (int(v) for v in stats[largest][:4])
    h, w = inside.shape
    edges = [top <= _RIM_PX, left <= _RIM_PX]
    edges += [top + height >= h - _RIM_PX, left + width >= w - _RIM_PX]
    rest = look.judged & ~cv2.dilate(inside.astype(np.uint8), np.ones((9, 9))).astype(np.bool_)
    elsewhere = float((look.lost & rest).sum()) / max(int(rest.sum()), 1)
    band = width >= _BAND_WIDTH * w and height <= _BAND_HEIGHT * h and (edges[0] or edges[2])
    least = _BAND_AREA if band else _TEAR_AREA
    if not any(edges) or not least < area < _LARGEST_AREA or elsewhere > 0.1:
        return None
    if not band and not _no_film(frame.luma, inside, around):
        return None
    part = _share(top - 1, left - 1, top + height + 1, left + width + 1, inside.shape)
    filled = area * h * w / (width * height)
    confidence = min(1.0, 0.5 + filled / 2) * (1.0 if sides == "both" else 0.7) * (1 - elsewhere)
    where = "top" if edges[0] else "bottom" if edges[2] else "left" if edges[1] else "right"
    what = "a band across the" if band else "no film, or no picture, from the"
    why = f"{what} {where}, {100 * area:.0f} % of the frame"
    kind = SPLICE if band else TORN
    return Finding(frame.number, frame.number, kind, confidence, why, part, sides)


def _no_film(plane: F32, inside: Mask, around: tuple[Seen, Seen]) -> bool:
    """Whether a part shows bare light or none, as the frames around do nowhere or hardly."""
    inner = cv2.erode(inside.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    if not inner.any():
        return False
    level = float(np.median(plane[inner]))
    lightest = min(s.lightest for s in around)
    darkest = max(float(np.quantile(s.luma, 0.005)) for s in around)
    flat = float(np.median(np.abs(plane[inner] - level))) < 0.03
    return flat and (level > lightest - _EXTREME or level < darkest + _EXTREME)


def _share(top: int, left: int, bottom: int, right: int, shape: tuple[int, int]) -> Part:
    h, w = shape
    return (max(top, 0) / h, max(left, 0) / w, min(bottom, h) / h, min(right, w) / w)
