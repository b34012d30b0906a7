"""Which lines are scratches: those that stay while the picture moves.

Candidates are linked through the shot into tracks. A track is kept when it is there in most
frames of its span, drifts slowly, and does not follow the picture. Where the picture stands
still motion says nothing; then only a line over nearly the whole height that lets the picture
through is kept. One that ends at the same row on every frame is no scratch, which runs along the
film. Everything else is listed with the reason and left alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from media.frames import FrameRange, counted
from restore.scratch.ends import STANDS, stands
from restore.scratch.lean import LEAST_PX, goes_with
from restore.scratch.measure import FIELDS, MOTION_BINS
from restore.scratch.options import ScratchOptions

F64 = NDArray[np.float64]
NOTHING_SEEN = "no scratch was found"
_MEETS = "runs into another line: what the two share is lifted as one, this part of it is left"
_MEET_FRAMES, _MEET_PX = 4, 3.0
_FOLLOWS, _FOLLOWS_CLEAR = (0.5, np.inf), (0.75, 1.5)
"""Share of the way of the picture that a thing of the scene goes, and one that lets it through."""
_LEAST_PIECE = 3
"""Shorter pieces of a track are chance."""
_ASTRAY_PX = 2.5
_LONGEST_GAP = 12
"""Frames a line may be out of sight, behind something as dark or as light as itself."""
_FRAME, _X, _WIDTH, _STRENGTH, _TOP, _BOTTOM, _EXTENT, _THROUGH, _FROM, _TO = range(10)
_STEPS, _BEYOND, _LEAN = slice(10, 12), 12, 13
_AT_EDGE = "lies at the edge of the frame: a mask or a frame line, or not to be told from one"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScratchPlace:
    """A scratch on one frame, px at full size."""

    x_px: float
    """Centre."""
    width_px: float
    top_px: int
    bottom_px: int
    """First row below the line."""
    lean_px: float = 0.0
    """How much further right it lies at the foot of the frame than at its head; ``x_px`` is
    half-way down."""
    strength: float = 0.0
    """Its usual offset over the shot, film log, positive where lighter; 0 where not known."""
    hides: bool = False
    """Nothing of the picture is seen under it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScratchLine:
    """A line through part of a shot; judged a scratch where ``reason`` is empty."""

    first: int
    """Frame number of the first entry of ``x_px``."""
    x_px: tuple[float, ...]
    """Centre in each frame of the span, gaps filled."""
    width_px: float
    strength: float
    """Film log, positive where lighter than the picture."""
    top_px: int
    bottom_px: int
    seen_share: float
    through: float
    reason: str
    """Why it was left alone; empty for a scratch."""
    lean_px: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScratchSolution:
    """Scratches of a shot."""

    lines: tuple[ScratchLine, ...]
    """The lines to repair."""
    rejected: tuple[ScratchLine, ...]
    """Lines that were seen and left alone, each with its reason."""
    reason: str
    """Empty when applied; otherwise why the shot was left alone."""
    confidence: float = 0.0
    places: Mapping[int, tuple[ScratchPlace, ...]] = field(default_factory=dict)
    """The lines by frame number, left to right: what ``ScratchOperator`` takes."""

    @property
    def applied(self) -> bool:
        """False when the shot was left alone."""
        return not self.reason


def solve_scratch(
    evidence: Mapping[str, object], frames: FrameRange, options: ScratchOptions
) -> ScratchSolution:
    """Scratches of a shot from the evidence of ``ScratchProbe``."""
    table = np.asarray(evidence["candidates"], np.float64).reshape(-1, len(FIELDS))
    if len(frames) < options.least_frames:
        return _alone((), f"only {counted(len(frames))}: a scratch cannot be told from the scene")
    motion = np.asarray(evidence["motion_x_px"], np.float64).reshape(-1, MOTION_BINS)
    height_px, width_px = (int(v) for v in np.asarray(evidence["size_px"]).ravel())
    tracks = [
        _judged(track, motion, frames, width_px, height_px, options)
        for track in map(_straight, _tracks(table, options))
    ]
    least = options.least_frames
    judged = [line for line in tracks if round(line.seen_share * len(line.x_px)) >= least]
    kept = [line for line in judged if not line.reason]
    lines = _apart(kept, options)
    rejected = [line for line in judged if line.reason]
    others = [line for line in tracks if line not in lines and line not in rejected]
    branches = [line for line in others if _is_branch(line, lines, options)]
    lines = tuple(sorted((*lines, *branches), key=lambda one: one.x_px[0]))
    others = [line for line in others if line not in branches]
    rejected += [replace(line, reason=_MEETS) for line in others if _meets(line, lines)]
    if not lines:
        return _alone(tuple(rejected), "no line is a scratch" if rejected else NOTHING_SEEN)
    return ScratchSolution(
        lines=lines,
        rejected=tuple(rejected),
        reason="",
        confidence=float(np.mean([line.seen_share for line in lines])),
        places=_by_frame(lines, options),
    )


def _apart(lines: Sequence[ScratchLine], options: ScratchOptions) -> tuple[ScratchLine, ...]:
    """Lines without those that are a part of a longer one: lifted twice, a line comes back."""
    kept: list[ScratchLine] = []
    for line in sorted(lines, key=lambda one: -len(one.x_px)):
        if not any(_same(line, other, options) for other in kept):
            kept.append(line)
    return tuple(sorted(kept, key=lambda one: one.x_px[0]))


def _same(line: ScratchLine, other: ScratchLine, options: ScratchOptions) -> bool:
    """Are they ever nearer than a line is wide, or a step apart?"""
    first = max(line.first, other.first)
    stop = min(line.first + len(line.x_px), other.first + len(other.x_px))
    if stop <= first:
        return False
    a = np.array(line.x_px[first - line.first : stop - line.first])
    b = np.array(other.x_px[first - other.first : stop - other.first])
    reach = max(0.5 * (line.width_px + other.width_px), options.link_px)
    return bool(float(np.median(np.abs(a - b))) < reach)


def _is_branch(line: ScratchLine, lines: Sequence[ScratchLine], options: ScratchOptions) -> bool:
    """Is it one of the ends of two lines that cross, too short to be judged a line by itself?

    By all that was looked at it is a scratch, as light or dark as the one it runs into.
    """
    alike = [
        other
        for other in lines
        if 0.5 < line.strength / other.strength < 2.0 and _meets(line, [other])
    ]
    long_enough = round(line.seen_share * len(line.x_px)) > _LEAST_PIECE
    apart = not any(_same(line, other, options) for other in lines)
    return bool(alike) and long_enough and apart and not line.reason


def _meets(line: ScratchLine, lines: Sequence[ScratchLine]) -> bool:
    """Does it touch one of the lines that are lifted, and is it itself left on some frames?"""
    x = np.array(line.x_px)
    at = line.first + np.arange(len(x))
    near, covered = np.zeros(len(x), np.bool_), np.zeros(len(x), np.bool_)
    for other in lines:
        inside = np.clip(at - other.first, 0, len(other.x_px) - 1)
        away = np.abs(x - np.array(other.x_px)[inside])
        late = np.abs(at - other.first - inside)
        covered |= (late == 0) & (away <= 0.5 * other.width_px + 1.0)
        reach = 0.5 * (line.width_px + other.width_px) + _MEET_PX
        near |= (late <= _MEET_FRAMES) & (away <= reach)
    return bool(near.any()) and int((~covered).sum()) >= _LEAST_PIECE


def _alone(rejected: tuple[ScratchLine, ...], reason: str) -> ScratchSolution:
    return ScratchSolution(lines=(), rejected=rejected, reason=reason)


def _tracks(table: F64, options: ScratchOptions) -> list[F64]:
    """Rows linked through time, strongest first; each (k, 14), frames rising."""
    tracks: list[list[F64]] = []
    for frame in np.unique(table[:, _FRAME]):
        rows = table[table[:, _FRAME] == frame]
        open_tracks = [t for t in tracks if frame - t[-1][_FRAME] <= 5]
        pairs = sorted(
            (abs(row[_X] - _ahead(t, frame)), i, k)
            for i, row in enumerate(rows)
            for k, t in enumerate(open_tracks)
            if np.sign(row[_STRENGTH]) == np.sign(t[-1][_STRENGTH])
            and abs(row[_X] - _ahead(t, frame)) <= _reach(t, frame, options)
        )
        taken: set[int] = set()
        used: set[int] = set()
        for _, i, k in pairs:
            if i not in taken and k not in used:
                open_tracks[k].append(rows[i])
                taken.add(i)
                used.add(k)
        tracks += [[row] for i, row in enumerate(rows) if i not in taken]
    return _joined([np.array(t) for t in tracks], options)


def _joined(tracks: list[F64], options: ScratchOptions) -> list[F64]:
    """Tracks whose line went out of sight for a while and came back at the same place."""
    joined: list[F64] = []
    for track in sorted(tracks, key=lambda t: float(t[0, _FRAME])):
        if len(track) < _LEAST_PIECE:
            continue
        for k, before in enumerate(joined):
            gap = track[0, _FRAME] - before[-1, _FRAME]
            step = np.median(track[:3, _X]) - np.median(before[-3:, _X])
            same = np.sign(track[0, _STRENGTH]) == np.sign(before[0, _STRENGTH])
            if same and 0 < gap <= _LONGEST_GAP and abs(step) <= options.link_px:
                joined[k] = np.concatenate([before, track])
                break
        else:
            joined.append(track)
    return joined


def _straight(track: F64) -> F64:
    """A track without the rows where it was led astray by a pole that crossed the line.

    A line drifts so slowly that most of its places lie near one straight way (Theil-Sen); what
    lies off it goes, unless that would be much.
    """
    if len(track) < 2 * _LEAST_PIECE:
        return track
    frames, x = track[:, _FRAME], track[:, _X]
    k, m = np.triu_indices(len(track), 1)
    slope = float(np.median((x[m] - x[k]) / (frames[m] - frames[k])))
    away = np.abs(x - slope * frames - np.median(x - slope * frames))
    near = away < _ASTRAY_PX
    return track[near] if 0.6 < float(near.mean()) < 1.0 else track


def _ahead(track: list[F64], frame: float) -> float:
    """Where the line is expected: it goes on at the mean speed of its last places."""
    last, early = track[-1], track[max(0, len(track) - 5)]
    gap = last[_FRAME] - early[_FRAME]
    speed = (last[_X] - early[_X]) / gap if gap > 0 else 0.0
    return float(last[_X] + speed * (frame - last[_FRAME]))


def _reach(track: list[F64], frame: float, options: ScratchOptions) -> float:
    """How far from the expected place a candidate still belongs to the track."""
    allowed = options.first_step_px if len(track) == 1 else options.link_px
    return allowed * float(np.sqrt(frame - track[-1][_FRAME]))


def _judged(
    track: F64,
    motion: F64,
    frames: FrameRange,
    width_px: int,
    height_px: int,
    options: ScratchOptions,
) -> ScratchLine:
    """A track with the verdict on it."""
    first, last = int(track[0, _FRAME]), int(track[-1, _FRAME])
    span = np.arange(first, last + 1)
    x = _calm(np.interp(span, track[:, _FRAME], track[:, _X]))
    share = len(track) / len(span)
    lean_px = _lean_of(track)
    if not lean_px and bool((track[:, _LEAN] == 0.0).any()):
        # Where an upright line was taken to lean, it was led along something else.
        track = track[track[:, _LEAN] == 0.0]
    through = float(np.median(track[:, _THROUGH]))
    extent = float(np.median(track[:, _EXTENT]))
    # The picture's own way at this place: frame-to-frame motion of its band, summed.
    band = int(np.clip(np.median(x) / max(width_px, 1) * MOTION_BINS, 0, MOTION_BINS - 1))
    steps = motion[span - frames.start].copy()
    steps[0] = 0.0
    way = _calm(np.cumsum(steps[:, band]))
    camera = _calm(np.cumsum(np.median(steps, axis=1)))
    edge = max(options.edge_px, options.edge_share * width_px)
    at_edge = not edge <= float(np.median(x)) <= width_px - 1 - edge
    moved = float(np.ptp(camera)) >= options.moved_px
    amid = min(float(np.median(track[:, _BEYOND])), through) >= options.still_through
    if at_edge and not (moved and amid):
        reason = _AT_EDGE
    else:
        reason = _verdict(x, way, camera, share, through, extent, lean_px, height_px, options)
    if not reason and stands(track[:, _FROM], track[:, _TO], track[:, _STEPS], height_px):
        reason = STANDS
    # Ends of the line that most frames agree on; lines near an edge reach it.
    top, bottom = int(np.quantile(track[:, _TOP], 0.25)), int(np.quantile(track[:, _BOTTOM], 0.75))
    return ScratchLine(
        first=first,
        x_px=tuple(round(float(v), 3) for v in x),
        width_px=float(np.quantile(track[:, _WIDTH], 0.75)),
        strength=float(np.median(track[:, _STRENGTH])),
        top_px=0 if top < 0.08 * height_px else top,
        bottom_px=height_px if bottom > 0.92 * height_px else bottom,
        seen_share=share,
        through=through,
        reason=reason,
        lean_px=lean_px,
    )


def _lean_of(track: F64) -> float:
    """Over the whole shot: a drift of less than a px a frame is not seen on a single one."""
    lean = float(np.median(track[:, _LEAN]))
    return lean if abs(lean) >= LEAST_PX else 0.0


def _verdict(
    x: F64,
    way: F64,
    camera: F64,
    share: float,
    through: float,
    extent: float,
    lean_px: float,
    height_px: int,
    options: ScratchOptions,
) -> str:
    """Why a line is no scratch; empty when it is one."""
    wander = float(np.ptp(x))
    if through < options.still_through and wander > options.wander_px:
        return f"hides the picture and wanders by {wander:.0f} px: a thing in the scene"
    if share < options.least_share:
        return f"seen in only {100 * share:.0f} % of its frames"
    speed = (x[-1] - x[0]) / max(len(x) - 1, 1)
    if lean_px and not goes_with(lean_px, speed, height_px):
        return "leans otherwise than a line that drifts along the film: a thing in the scene"
    clear = through >= options.clear_through and extent >= options.still_extent
    clear = clear and len(x) >= options.clear_frames
    # What leans on each frame as it goes on from one to the next is no thing in the scene.
    drifts = clear and bool(lean_px) and abs(speed) > options.drift_px
    if abs(speed) > (options.clear_drift_px if clear else options.drift_px) and not drifts:
        return f"moves by {abs(speed):.1f} px a frame: a thing in the scene"
    if float(np.ptp(way)) >= options.moved_px:
        centred = way - way.mean()
        follows = float(centred @ (x - x.mean())) / float(centred @ centred)
        low, high = _FOLLOWS_CLEAR if clear else _FOLLOWS
        if low < follows < high and not drifts:
            return "moves with the picture: a thing in the scene"
        # Someone who walks by moves the picture here too, and a pole behind him stands still:
        # only a moving camera clears a line by motion alone.
        if float(np.ptp(camera)) >= options.moved_px:
            return ""
    if extent < options.still_extent:
        return f"covers {100 * extent:.0f} % of the height of a picture that stands still"
    if through < options.still_through:
        return "hides the picture, which stands still: cannot be told from a thing in the scene"
    return ""


def _calm(path: F64) -> F64:
    """A path without its frame-to-frame tremble: mean over seven frames, odd at the ends."""
    k = min(3, len(path) - 1)
    if k < 1:
        return path
    start, stop = 2 * path[0] - path[k:0:-1], 2 * path[-1] - path[-2 : -2 - k : -1]
    padded = np.concatenate([start, path, stop])
    calm: F64 = np.convolve(padded, np.ones(2 * k + 1) / (2 * k + 1), mode="valid")
    return calm


def _by_frame(
    lines: tuple[ScratchLine, ...], options: ScratchOptions
) -> dict[int, tuple[ScratchPlace, ...]]:
    found: dict[int, list[ScratchPlace]] = {}
    for line in lines:
        for k, x_px in enumerate(line.x_px):
            found.setdefault(line.first + k, []).append(
                ScratchPlace(
                    x_px=x_px,
                    width_px=line.width_px,
                    top_px=line.top_px,
                    bottom_px=line.bottom_px,
                    lean_px=line.lean_px,
                    strength=line.strength,
                    hides=line.through < options.hides,
                )
            )
    return {f: tuple(sorted(p, key=lambda place: place.x_px)) for f, p in sorted(found.items())}
