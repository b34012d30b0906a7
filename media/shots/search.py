"""Hard cuts, and the flashes and ruined frames that look like two of them.

Across a cut every pair out of the two frames on each side differs, and it differs once: while a
camera swings or a thing rushes past, pictures differ again and again.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from media.shots.features import Plane, distance, features
from media.shots.track import Track

_LEVEL = 0.42
_UNREST_WEIGHT = 0.7
_BESIDE_WEIGHT = 0.7
_UNREST_QUANTILE = 0.4
_NEAR_FRAMES, _FAR_FRAMES = 3, 12
_REPEATED, _REPEATED_SHARE, _MOVING = 0.04, 0.25, 0.2
_RUINED_FRAMES = 2
_RUINED_AT_CUT = 3
_FLASH_FRAMES = 6
_SAME_SCENE = 0.35
_FLASH_BRIGHTER = 0.06
_ODD = 0.5
_NO_PICTURE = 0.2
_CHANGED_LEVEL = 0.03
_CHANGED_SHARE = 0.25
_CHANGED_SIGMA_PX = 1.0
_BARE = 0.03
"""Contrast in film log of a picture with nothing to compare."""
_PULSE_FRAMES = 3
_PULSE_BRIGHTER = 0.085
_PULSE_AROUND = 12
_PULSE_UNREST = 4.0
_OTHER_SCENE = 0.6


@dataclass(frozen=True, slots=True)
class Cut:
    """A new shot begins at ``position``."""

    position: int
    confidence: float


@dataclass(frozen=True, slots=True)
class Pulse:
    """Frames that stand out from the scene around them; half-open."""

    start: int
    stop: int
    brighter: float
    """Film log against the frames beside."""
    confidence: float


def find_cuts(track: Track, empty: NDArray[np.bool_]) -> list[Cut]:
    """Cuts in order. empty: frames without a picture, (T,)."""
    count = len(track)
    across = np.zeros(count + 2)
    for t in range(1, count):
        pairs = ((t - 1, t), (t - 2, t), (t - 1, t + 1), (t - 2, t + 1))
        across[t] = min(_apart(track, empty, a, b) for a, b in pairs)
    cuts: list[Cut] = []
    for t in range(1, count):
        before = across[max(1, t - _FAR_FRAMES) : max(1, t - _NEAR_FRAMES + 1)]
        after = across[t + _NEAR_FRAMES : min(count, t + _FAR_FRAMES + 1)]
        around = np.concatenate([before, after])
        unrest = float(np.quantile(around, _UNREST_QUANTILE)) if len(around) else 0.0
        beside = max(_beside(track, across, t, -1), _beside(track, across, t, 1))
        beside = max(beside, _beside_double_step(track, t))
        needed = _LEVEL + max(_UNREST_WEIGHT * unrest, _BESIDE_WEIGHT * beside)
        if across[t] > needed and not _thing_enters(track, empty, t):
            sure = 0.5 + 0.5 * min(1.0, (float(across[t]) - needed) / 0.4)
            cuts.append(Cut(t, sure))
        else:
            level = _LEVEL + _UNREST_WEIGHT * unrest
            for run in range(1, _RUINED_AT_CUT + 1):
                if _ruined_at_cut(track, across, t, run, level):
                    # They are taken for the last frames of the shot before them.
                    cuts.append(Cut(t + run, 0.6))
                    break
    return sorted({c.position: c for c in reversed(cuts)}.values(), key=lambda c: c.position)


def _ruined_at_cut(
    track: Track, across: NDArray[np.float64], t: int, run: int, needed: float
) -> bool:
    """Whether the frames ``t`` to ``t + run - 1`` are ruined and lie right at a cut, which is
    then seen again and again.

    Each stands out in light or contrast from the neighbors of them all, but a single one; these
    differ, and where they are calm on their own sides that is a cut and no movement.
    """
    after = t + run
    if not 2 <= t < len(track) - run - 1 or min(across[t : after + 1]) <= needed:
        return False
    # A single frame may also be a picture of its own, left over from another shot.
    if run > 1 and not all(_stands_out(track, k, t - 1, after) for k in range(t, after)):
        return False
    calm = max(track.apart(t - 2, t - 1), track.apart(after, after + 1))
    sides = ((t - 1, after), (t - 2, after), (t - 1, after + 1))
    over = min(_between(track, *pair) for pair in sides)
    return over > needed + _BESIDE_WEIGHT * calm


def _stands_out(track: Track, t: int, before: int, after: int) -> bool:
    """Whether a frame is lighter or darker than two others, or has half of their contrast."""
    levels, spreads = track.levels, track.spreads
    steps = (levels[t] - levels[before], levels[t] - levels[after])
    lit = min(abs(s) for s in steps) > _PULSE_BRIGHTER and steps[0] * steps[1] > 0.0
    return lit or spreads[t] <= 0.5 * min(spreads[before], spreads[after])


def _between(track: Track, one: int, other: int) -> float:
    """Distance of any two positions inside the reel."""
    return distance(track.features(one), track.features(other))


def _apart(track: Track, empty: NDArray[np.bool_], one: int, other: int) -> float:
    """What lies on an empty frame is dirt, and dirt is different in each."""
    if one >= 0 and other < len(track):
        both = (bool(empty[one]), bool(empty[other]))
        if both == (True, True):
            same = (track.levels[one] > 0.35) == (track.levels[other] > 0.35)
            return 0.0 if same else 1.0
        if True in both:
            return max(1.0, track.apart(one, other))
    return track.apart(one, other)


def _beside(track: Track, across: NDArray[np.float64], t: int, way: int) -> float:
    """The difference next to ``t``; one further where a frame was printed twice."""
    near = t + way
    if not 1 <= near < len(track):
        return 0.0
    further = near + way
    usual = _usual(track, t)
    if 1 <= further < len(track) and usual > _MOVING and _repeats(track, near, usual):
        return max(float(across[near]), float(across[further]))
    return float(across[near])


def _beside_double_step(track: Track, t: int) -> float:
    """What two frame times change around ``t``, where the frame before it is a repeated one.

    Material stretched by printing frames twice may have lost those in their place: it stands
    still and then moves on by two. Geometric mean of both sides: both must move.
    """
    if t < 4 or t + 3 >= len(track) or not _repeats(track, t - 1, _usual(track, t)):
        return 0.0
    before = min(track.apart(t - 2 - k, t - 2) for k in (2, 3) if k < t - 1)
    after = min(track.apart(t, t + k) for k in (2, 3))
    return float(np.sqrt(max(0.0, before) * max(0.0, after)))


def _usual(track: Track, t: int) -> float:
    """The median difference of neighbors around ``t``."""
    around = range(max(1, t - _PULSE_AROUND // 2), min(len(track), t + _PULSE_AROUND // 2))
    return float(np.median([track.apart(k - 1, k) for k in around]))


def _repeats(track: Track, frame: int, usual: float) -> bool:
    """Whether ``frame`` is the one before it once more, for the difference that is usual there."""
    return track.apart(frame - 1, frame) < max(_REPEATED, _REPEATED_SHARE * usual)


def _thing_enters(track: Track, empty: NDArray[np.bool_], t: int) -> bool:
    """Whether most of an almost empty picture stays, and a thing comes into it or leaves it.

    An empty road has nothing to correlate; the first thing on it makes another picture of it.
    """
    if empty[t - 1] or empty[t]:
        return False
    one, other = (track.tones[k].astype(np.float32) for k in (t - 1, t))
    if min(float(one.std()), float(other.std())) > _BARE:
        return False
    change = cv2.GaussianBlur(other - one, (0, 0), _CHANGED_SIGMA_PX)
    changed = np.abs(change - np.median(change)) > _CHANGED_LEVEL
    return float(changed.mean()) < _CHANGED_SHARE


def without_pulses(track: Track, cuts: list[Cut]) -> tuple[list[Cut], list[Pulse]]:
    """The cuts, less pairs around a few frames after which the same scene goes on.

    Where one side of a flash changes too little to count as a cut, the other side goes too.
    """
    kept: list[Cut] = []
    pulses: list[Pulse] = []
    for cut in cuts:
        pulse = _pulse_between(track, kept[-1], cut) if kept else None
        if pulse is None:
            kept.append(cut)
        else:
            kept.pop()
            pulses.append(pulse)
    sides = [(cut, _pulse_beside(track, cut)) for cut in kept]
    pulses += [pulse for _, pulse in sides if pulse is not None]
    return [cut for cut, pulse in sides if pulse is None], pulses


def _pulse_beside(track: Track, cut: Cut) -> Pulse | None:
    """A flash that begins or ends at a cut, with the same scene before and after it."""
    for length in range(1, _PULSE_FRAMES + 1):
        for start in (cut.position, cut.position - length):
            stop = start + length
            if start < 1 or stop >= len(track):
                continue
            beside = max(track.levels[start - 1], track.levels[stop])
            if min(track.levels[start:stop]) - beside <= _PULSE_BRIGHTER:
                continue
            sides = [track.features(k) for k in (start - 1, stop)]
            if sides[0].black or distance(sides[0], sides[1]) >= _SAME_SCENE:
                continue
            if length <= _RUINED_FRAMES or not _other_scene(track, start, stop):
                brighter = float(np.mean(track.levels[start:stop])) - beside
                return Pulse(start, stop, brighter, cut.confidence)
    return None


def _pulse_between(track: Track, first: Cut, second: Cut) -> Pulse | None:
    start, stop = first.position, second.position
    if stop - start > _FLASH_FRAMES:
        return None
    sides = [track.features(k) for k in (start - 1, stop)]
    apart = distance(sides[0], sides[1])
    if sides[0].black or apart > _SAME_SCENE:
        return None
    brighter = float(np.mean(track.levels[start:stop])) - max(s.level for s in sides)
    if stop - start > _RUINED_FRAMES and (
        brighter <= _FLASH_BRIGHTER or _other_scene(track, start, stop)
    ):
        return None
    return Pulse(start, stop, brighter, min(first.confidence, second.confidence))


def _other_scene(track: Track, start: int, stop: int) -> bool:
    """Whether bright frames show something else than the frames beside them: a short shot.

    A flash lightens the scene and clips it. What picture that leaves is the scene, lightened and
    clipped likewise; where it leaves none nothing can be told.
    """
    sides = [track.tones[k].astype(np.float32) for k in (start - 1, stop)]
    apart = []
    for tone in track.tones[start:stop]:
        seen = tone.astype(np.float32)
        if float(seen.std()) > _BARE:
            lit = [features(_lightened(side, seen)) for side in sides]
            apart.append(min(distance(one, features(seen)) for one in lit))
    return bool(apart) and min(apart) > _OTHER_SCENE


def _lightened(side: Plane, seen: Plane) -> Plane:
    """``side`` as bright as ``seen``, and clipped where that one ends; (h, w) film log."""
    return np.asarray(np.minimum(side + np.median(seen - side), seen.max()), dtype=np.float32)


def bright_pulses(track: Track, cuts: list[Cut]) -> list[Pulse]:
    """One to three frames far brighter than the frames beside and than flicker makes them."""
    levels = np.asarray(track.levels)
    edges = np.array([0, *(c.position for c in cuts), len(levels)])
    found: list[Pulse] = []
    t = 1
    while t < len(levels) - 1:
        at = int(np.searchsorted(edges, t, side="right"))
        low, high = int(edges[at - 1]), int(edges[at])
        pulse = _pulse_at(levels, t, low, high)
        if pulse is not None:
            found.append(pulse)
        t = pulse.stop if pulse is not None else t + 1
    return found


def _pulse_at(levels: NDArray[np.float64], t: int, low: int, high: int) -> Pulse | None:
    around = levels[max(low, t - _PULSE_AROUND) : min(high, t + _PULSE_AROUND + 1)]
    usual = float(np.median(around))
    needed = max(_PULSE_BRIGHTER, _PULSE_UNREST * float(np.median(np.abs(around - usual))))
    stop = t
    while stop < high and levels[stop] - usual > needed:
        stop += 1
    inside = low < t < stop < high and stop - t <= _PULSE_FRAMES
    if not inside or levels[t - 1] - usual > needed:
        return None
    brighter = float(levels[t:stop].mean()) - usual
    return Pulse(t, stop, brighter, min(1.0, 0.5 + 0.5 * (brighter - needed) / needed))


def odd_frames(track: Track) -> list[Pulse]:
    """Single frames unlike both neighbors, which are alike."""
    found = []
    for t in range(1, len(track) - 1):
        sides = min(track.apart(t - 1, t), track.apart(t, t + 1))
        if sides > _ODD and track.apart(t - 1, t + 1) < _SAME_SCENE / 2:
            beside = max(track.levels[t - 1], track.levels[t + 1])
            brighter = track.levels[t] - beside
            dark = min(track.levels[t - 1], track.levels[t + 1]) < _NO_PICTURE
            if not dark:
                found.append(Pulse(t, t + 1, brighter, min(1.0, sides)))
    return found
