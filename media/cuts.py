"""Finds where one shot ends and the next begins, in one pass over small pictures.

Flicker, flashes, dirt and single ruined frames are no cuts: pictures are compared whatever
their exposure, and across a cut every pair out of the two frames on each side must differ.
The price: a shot of a single frame cannot be told from a ruined frame, and is not found.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from media.cut_features import Features, distance, features, thumbnail
from media.dissolves import fade_frames, find_dissolves
from media.errors import InputError
from media.frames import FrameRange
from media.reel import SegmentKind, Shot
from media.timeline import shot_id

_LAGS = 3
_LEVEL = 0.42
_UNREST_WEIGHT = 0.7
_UNREST_QUANTILE = 0.4
_NEAR_FRAMES, _FAR_FRAMES = 3, 12
_RUINED_FRAMES = 2
_FLASH_FRAMES = 6
_SAME_SCENE = 0.35
_FLASH_BRIGHTER = 0.06
_BLACK_SHARE = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary:
    """The place where a new shot begins."""

    frame: int
    """First frame of the new shot, scan number."""
    kind: str
    """``cut`` or ``dissolve``."""
    confidence: float
    """0.5..1."""
    dissolve_out: int = 0
    """Frames before ``frame`` that already carry the new shot."""
    dissolve_in: int = 0
    """Frames from ``frame`` on that still carry the old shot."""


class CutFinder:
    """Feed every frame of a reel in order, then ask for boundaries or shots."""

    def __init__(self) -> None:
        self._first = 0
        self._recent: deque[Features] = deque(maxlen=_LAGS)
        self._distances: list[list[float]] = []
        self._tones: list[NDArray[np.float16]] = []
        self._levels: list[float] = []
        self._black: list[bool] = []
        self._found: list[Boundary] | None = None

    def observe(self, frame: int, codes_proxy: NDArray[np.float32]) -> None:
        """frame: scan number, one more than before. codes_proxy: (h, w) float32 film log luma
        (1.0 = full scale), 96 to 160 px wide.

        raises: InputError when frames do not follow one another.
        """
        if not self._tones:
            self._first = frame
        elif frame != self._first + len(self._tones):
            raise InputError(
                f"expected frame {self._first + len(self._tones)}", hint="feed frames in order"
            )
        seen = features(thumbnail(codes_proxy))
        self._distances.append([distance(old, seen) for old in reversed(self._recent)])
        self._recent.append(seen)
        self._tones.append(seen.tone.astype(np.float16))
        self._levels.append(seen.level)
        self._black.append(seen.black)
        self._found = None

    def finish(self) -> list[Boundary]:
        """All boundaries in order; the start of the reel is none."""
        if self._found is None:
            cuts = self._without_flashes(self._cuts())
            edges = [0, *(position for position, _ in cuts), len(self._tones)]
            fades = self._fade_positions(edges)
            cuts = [c for c in cuts if c[0] not in fades]
            edges = [0, *(position for position, _ in cuts), len(self._tones)]
            found = [
                Boundary(frame=self._first + position, kind="cut", confidence=round(sure, 3))
                for position, sure in cuts
            ]
            for start, stop in pairwise(edges):
                found += [
                    Boundary(
                        frame=self._first + d.middle,
                        kind="dissolve",
                        confidence=round(max(0.5, min(1.0, d.score)), 3),
                        dissolve_out=d.before,
                        dissolve_in=d.after,
                    )
                    for d in find_dissolves(self._tones, start, stop)
                ]
            self._found = sorted(found, key=lambda b: b.frame)
        return list(self._found)

    def shots(self, reel_id: str) -> list[Shot]:
        """The shots between the boundaries, with fades counted and black stretches named.

        reel_id: goes into the shots and their ids.
        """
        if not self._tones:
            return []
        inner = self.finish()
        starts = [self._first, *(b.frame for b in inner)]
        stops = [*(b.frame for b in inner), self._first + len(self._tones)]
        ins = [0, *(b.dissolve_in for b in inner)]
        outs = [*(b.dissolve_out for b in inner), 0]
        kinds = [self._kind(a, b) for a, b in zip(starts, stops, strict=True)]
        sure = [1.0, *(b.confidence for b in inner)]
        shots = []
        for n, (start, stop) in enumerate(zip(starts, stops, strict=True)):
            levels = np.asarray(self._levels[start - self._first : stop - self._first])
            fade_in = fade_out = 0
            if kinds[n] is SegmentKind.SHOT:
                if n and kinds[n - 1] is SegmentKind.BLACK:
                    fade_in = fade_frames(levels[::-1], self._levels[start - self._first - 1])
                if n + 1 < len(kinds) and kinds[n + 1] is SegmentKind.BLACK:
                    fade_out = fade_frames(levels, self._levels[stop - self._first])
            shots.append(
                Shot(
                    id=shot_id(reel_id, n),
                    reel=reel_id,
                    frames=FrameRange(start, stop),
                    kind=kinds[n],
                    dissolve_in=min(ins[n], stop - start),
                    dissolve_out=min(outs[n], stop - start),
                    fade_in=fade_in,
                    fade_out=fade_out,
                    confidence=sure[n],
                )
            )
        return shots

    def _kind(self, start: int, stop: int) -> SegmentKind:
        black = self._black[start - self._first : stop - self._first]
        return SegmentKind.BLACK if np.mean(black) >= _BLACK_SHARE else SegmentKind.SHOT

    def _apart(self, one: int, other: int) -> float:
        """Distance of two positions up to three apart; infinite outside the reel."""
        if one < 0 or other >= len(self._tones):
            return float("inf")
        return self._distances[other][other - one - 1]

    def _cuts(self) -> list[tuple[int, float]]:
        """Positions of cuts with how sure they are."""
        count = len(self._tones)
        across = np.zeros(count)
        for t in range(1, count):
            pairs = ((t - 1, t), (t - 2, t), (t - 1, t + 1), (t - 2, t + 1))
            across[t] = min(self._apart(a, b) for a, b in pairs)
        cuts = []
        for t in range(1, count):
            before = across[max(1, t - _FAR_FRAMES) : max(1, t - _NEAR_FRAMES + 1)]
            after = across[t + _NEAR_FRAMES : t + _FAR_FRAMES + 1]
            around = np.concatenate([before, after])
            unrest = float(np.quantile(around, _UNREST_QUANTILE)) if len(around) else 0.0
            needed = _LEVEL + _UNREST_WEIGHT * unrest
            if across[t] > needed:
                cuts.append((t, 0.5 + 0.5 * min(1.0, (float(across[t]) - needed) / 0.4)))
        return cuts

    def _without_flashes(self, cuts: list[tuple[int, float]]) -> list[tuple[int, float]]:
        """Drop pairs of cuts around a few frames after which the same scene goes on."""
        kept: list[tuple[int, float]] = []
        for cut in cuts:
            if kept and self._is_flash(kept[-1][0], cut[0]):
                kept.pop()
            else:
                kept.append(cut)
        return kept

    def _is_flash(self, start: int, stop: int) -> bool:
        length = stop - start
        if length > _FLASH_FRAMES:
            return False
        sides = [features(self._tones[k].astype(np.float32)) for k in (start - 1, stop)]
        if sides[0].flat or distance(sides[0], sides[1]) > _SAME_SCENE:
            return False
        brighter = np.mean(self._levels[start:stop]) - max(s.level for s in sides)
        return length <= _RUINED_FRAMES or bool(brighter > _FLASH_BRIGHTER)

    def _fade_positions(self, edges: list[int]) -> set[int]:
        """Positions inside fades: what looks like a cut there is noise in near-black frames."""
        inside: set[int] = set()
        black = np.asarray([*self._black, False])
        runs = np.flatnonzero(np.diff(np.concatenate([[0], black.astype(np.int8)])))
        for start, stop in zip(runs[0::2], runs[1::2], strict=True):
            levels = np.asarray(self._levels)
            # 100 frames are more than any fade, and enough of the shot to see its own level.
            before = levels[max(0, start - 100) : start]
            after = levels[stop : stop + 100][::-1]
            out = fade_frames(before, float(levels[start]))
            into = fade_frames(after, float(levels[stop - 1]))
            inside |= set(range(start - out + 1, start)) | set(range(stop + 1, stop + into))
        return inside - {edges[0], edges[-1]}
