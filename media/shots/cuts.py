"""Finds where one shot ends and the next begins, in one pass over small pictures.

Flicker, flashes, dirt and single ruined frames are no cuts: pictures are compared whatever
their exposure, and across a cut every pair out of the two frames on each side must differ.
The price: a shot of a single frame cannot be told from a ruined frame, and is not found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from media.errors import InputError
from media.frames import FrameRange
from media.reel import SegmentKind, Shot
from media.shots.dissolves import Dissolve, find_dissolves
from media.shots.fades import Empty, empty_frames, find_empty
from media.shots.features import distance
from media.shots.leader import find_cards
from media.shots.lists import shot_id
from media.shots.search import Cut, Pulse, bright_pulses, find_cuts, odd_frames, without_pulses
from media.shots.spans import Span, SpanKind
from media.shots.track import Track

_BLACK_SHARE = 0.9
_SLUG_FRAMES = 3
_DARK_LEVEL = 0.25
_SAME_SCENE = 0.35
_BESIDE_RUN = 2
_FLASH_BRIGHTER = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary:
    """The place where a new shot begins."""

    frame: int
    """First frame of the new shot, scan number."""
    kind: str
    """``cut``, ``dissolve``, ``fade`` (through black or white) or ``gap`` (frames missing)."""
    confidence: float
    """0.5..1."""
    dissolve_out: int = 0
    """Frames before ``frame`` that already carry the new shot."""
    dissolve_in: int = 0
    """Frames from ``frame`` on that still carry the old shot."""


@dataclass(frozen=True, slots=True)
class _Found:
    """All that was found, positions counted from 0."""

    boundaries: list[Boundary]
    dissolves: list[Dissolve]
    empty: list[Empty]
    pulses: list[Pulse]
    black: NDArray[np.bool_]


class CutFinder:
    """Feed every frame of a reel in order, then ask for boundaries, shots or spans.

    gaps: runs of numbers that the reel lacks by declaration; a shot never runs over one.
    """

    def __init__(self, gaps: Sequence[FrameRange] = ()) -> None:
        self._after_gap = {gap.start: gap.stop for gap in gaps}
        self._numbers: list[int] = []
        self._track = Track()
        self._found: _Found | None = None

    def observe(self, frame: int, codes_proxy: NDArray[np.float32]) -> None:
        """frame: scan number, one more than before (or the first after a declared gap).
        codes_proxy: (h, w) float32 film log luma (1.0 = full scale), 96 to 160 px wide.

        raises: InputError when frames do not follow one another.
        """
        if self._numbers:
            expected = self._numbers[-1] + 1
            if frame == self._after_gap.get(expected):
                self._track.breaks.append(len(self._numbers))
            elif frame != expected:
                raise InputError(f"expected frame {expected}", hint="feed frames in order")
        self._track.add(codes_proxy)
        self._numbers.append(frame)
        self._found = None

    def finish(self) -> list[Boundary]:
        """All boundaries in order; the start of the reel is none."""
        return list(self._all().boundaries)

    def shots(self, reel_id: str) -> list[Shot]:
        """The shots between the boundaries, with fades counted and black stretches named.

        reel_id: goes into the shots and their ids.
        """
        if not self._numbers:
            return []
        found = self._all()
        at = {number: position for position, number in enumerate(self._numbers)}
        edges = [0, *(at[b.frame] for b in found.boundaries), len(self._numbers)]
        ins = [0, *(b.dissolve_in for b in found.boundaries)]
        outs = [*(b.dissolve_out for b in found.boundaries), 0]
        sure = [1.0, *(b.confidence for b in found.boundaries)]
        shots = []
        for n, (start, stop) in enumerate(pairwise(edges)):
            black = float(np.mean(found.black[start:stop])) >= _BLACK_SHARE
            fade_in, fade_out = (0, 0) if black else _fades(found.empty, start, stop)
            shots.append(
                Shot(
                    id=shot_id(reel_id, n),
                    reel=reel_id,
                    frames=self._range(start, stop),
                    kind=SegmentKind.BLACK if black else SegmentKind.SHOT,
                    dissolve_in=min(ins[n], stop - start),
                    dissolve_out=min(outs[n], stop - start),
                    fade_in=fade_in,
                    fade_out=fade_out,
                    confidence=sure[n],
                )
            )
        return self._with_leader(shots)

    def spans(self, reel_id: str) -> list[Span]:  # noqa: ARG002
        """Dissolves, fades, flashes, titles, leader, black and white, in order of frames.

        reel_id: as for ``shots``; spans name frames only.
        """
        if not self._numbers:
            return []
        found = self._all()
        spans = [
            Span(
                kind=SpanKind.DISSOLVE,
                frames=self._range(d.start, d.stop),
                confidence=_share(d.score),
                reason=f"{d.stop - d.start} frames are a sum of both shots",
            )
            for d in found.dissolves
        ]
        for pulse in found.pulses:
            bright = pulse.brighter > _FLASH_BRIGHTER
            spans.append(
                Span(
                    kind=SpanKind.FLASH if bright else SpanKind.RUINED,
                    frames=self._range(pulse.start, pulse.stop),
                    confidence=_share(pulse.confidence),
                    reason="brighter than the scene that goes on around it"
                    if bright
                    else "unlike the scene that goes on around it",
                )
            )
        for empty in found.empty:
            spans += self._empty_spans(empty)
        spans += self._card_spans()
        return sorted(spans, key=lambda s: (s.frames.start, s.frames.stop, s.kind))

    def _empty_spans(self, empty: Empty) -> list[Span]:
        spans = []
        name = "white" if empty.white else "black"
        if empty.stop - empty.start >= _SLUG_FRAMES or empty.fade_in or empty.fade_out:
            spans.append((SpanKind(name), empty.start, empty.stop, 1.0, "no picture"))
        tail = "_white" if empty.white else ""
        if empty.fade_out:
            first = empty.start - empty.fade_out
            why = f"the picture leaves for {name} in a straight line"
            spans.append((SpanKind(f"fade_out{tail}"), first, empty.start, empty.score_out, why))
        if empty.fade_in:
            why = f"the picture comes out of {name} in a straight line"
            last = empty.stop + empty.fade_in
            spans.append((SpanKind(f"fade_in{tail}"), empty.stop, last, empty.score_in, why))
        return [
            Span(kind=k, frames=self._range(a, b), confidence=_share(c), reason=r)
            for k, a, b, c, r in spans
        ]

    def _card_spans(self) -> list[Span]:
        at = {number: position for position, number in enumerate(self._numbers)}
        edges = [0, *(at[b.frame] for b in self._all().boundaries), len(self._numbers)]
        return [
            Span(
                kind=card.kind,
                frames=self._range(card.start, card.stop),
                confidence=_share(card.confidence),
                reason=card.reason,
            )
            for card in find_cards(self._track, edges)
        ]

    def _with_leader(self, shots: list[Shot]) -> list[Shot]:
        """Shots that lie wholly in leader say so. Titles stay shots: they are to be repaired."""
        leader = [s.frames for s in self._card_spans() if s.kind is SpanKind.LEADER]
        return [
            replace(shot, kind=SegmentKind.LEADER)
            if shot.kind is SegmentKind.SHOT
            and any(a.start <= shot.frames.start and shot.frames.stop <= a.stop for a in leader)
            else shot
            for shot in shots
        ]

    def _range(self, start: int, stop: int) -> FrameRange:
        return FrameRange(self._numbers[start], self._numbers[stop - 1] + 1)

    def _all(self) -> _Found:
        if self._found is None:
            self._found = self._search()
        return self._found

    def _search(self) -> _Found:
        track = self._track
        spreads = np.asarray(track.spreads)
        black, white = empty_frames(track.tones, track.levels, spreads)
        cuts, pulses = without_pulses(track, find_cuts(track, black | white))
        # Noise in dark frames looks like cuts; a fade must not end at one.
        firm = [
            c.position
            for c in cuts
            if min(track.levels[c.position - 1], track.levels[c.position]) > _DARK_LEVEL
        ]
        runs = find_empty(black, white, spreads, sorted({*firm, *track.breaks}))
        runs = [r for r in runs if not any(p.start <= r.start < p.stop for p in pulses)]
        cuts, fades = self._settled(cuts, runs)
        taken = {c.position for c in cuts} | {f.position for f in fades}
        gaps = [Cut(b, 1.0) for b in track.breaks if b not in taken]
        cuts = [c for c in cuts if c.position not in track.breaks]
        edges = sorted({0, len(track), *track.breaks, *taken})
        blocked = [(r.start - r.fade_out, r.stop + r.fade_in) for r in runs]
        dissolves = [
            d
            for start, stop in pairwise(edges)
            for d in find_dissolves(track.tones, start, stop)
            if not any(a <= d.stop and d.start <= b for a, b in blocked if b - a > 1)
        ]
        for p in [*odd_frames(track), *bright_pulses(track, [*cuts, *fades])]:
            if not any(p.start < q.stop and q.start < p.stop for q in pulses):
                pulses.append(p)
        kinds = (("cut", cuts), ("fade", fades), ("gap", [*gaps]))
        boundaries = [
            Boundary(frame=self._numbers[c.position], kind=kind, confidence=round(c.confidence, 3))
            for kind, some in kinds
            for c in some
        ]
        boundaries += [
            Boundary(
                frame=self._numbers[d.middle],
                kind="dissolve",
                confidence=max(0.5, _share(d.score)),
                dissolve_out=d.middle - d.start,
                dissolve_in=d.stop - d.middle,
            )
            for d in dissolves
        ]
        boundaries.sort(key=lambda b: b.frame)
        return _Found(boundaries, dissolves, runs, pulses, black)

    def _settled(self, cuts: list[Cut], runs: list[Empty]) -> tuple[list[Cut], list[Cut]]:
        """Cuts with those around empty frames set right, and boundaries that fades make."""
        fades: list[Cut] = []
        count = len(self._track)
        for run in runs:
            start, stop = run.start, run.stop
            low = start - max(run.fade_out, _BESIDE_RUN)
            high = stop + max(run.fade_in, _BESIDE_RUN)
            inside = [c for c in cuts if low < c.position < high]
            if stop - start >= _SLUG_FRAMES and not run.white:
                cuts = [c for c in cuts if c not in inside]
                for edge, faded in ((start, run.fade_out), (stop, run.fade_in)):
                    if 0 < edge < count:
                        near = [c for c in inside if abs(c.position - edge) < _BESIDE_RUN]
                        made = near[0] if near and not faded else Cut(edge, 0.9)
                        cuts.append(made)
            elif run.fade_out or run.fade_in:
                cuts = [c for c in cuts if c not in inside]
                if low > 0 and high < count and self._changes(low, high):
                    fades.append(Cut((start + stop) // 2, 0.9))
        return sorted(set(cuts), key=lambda c: c.position), fades

    def _changes(self, low: int, high: int) -> bool:
        return distance(self._track.features(low), self._track.features(high)) > _SAME_SCENE


def _fades(runs: list[Empty], start: int, stop: int) -> tuple[int, int]:
    """Frames that fade in at ``start`` and out before ``stop``."""
    into = [r.stop + r.fade_in - start for r in runs if r.fade_in and r.start <= start <= r.stop]
    out = [stop - r.start + r.fade_out for r in runs if r.fade_out and r.start <= stop <= r.stop]
    length = stop - start
    return min(max([0, *into]), length), min(max([0, *out]), length)


def _share(score: float) -> float:
    return round(min(1.0, max(0.0, score)), 3)
