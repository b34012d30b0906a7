"""What every shot list comes down to: entries, checked against the frames of a reel."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from media.errors import InputError
from media.frames import FrameRange
from media.reel import Reel, SegmentKind, Shot

_STEP = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A shot as a list gives it, before it is checked against the reel."""

    place: str
    """Line or clip, for messages."""
    first: int
    last: int
    name: str = ""
    kind: str = SegmentKind.SHOT.value
    dissolve_in: int = 0
    dissolve_out: int = 0
    fade_in: int = 0
    fade_out: int = 0
    confidence: float = 1.0


def shot_id(reel_id: str, n: int) -> str:
    """``<REEL>_<NNNN>`` for the n-th shot (0-based), in steps of ten: 0010, 0020, ..."""
    return f"{safe_id(reel_id)}_{(n + 1) * _STEP:04d}"


def safe_id(text: str) -> str:
    """``text`` with everything outside ``[A-Za-z0-9_.]`` replaced by ``_``."""
    return re.sub(r"[^A-Za-z0-9_.]", "_", text)


def bad(reel: Reel, what: str) -> InputError:
    """The error for a shot list that cannot be taken; ``what`` names the line or clip."""
    return InputError(what, hint="correct the shot list", reel=reel.id)


def checked(entries: list[Entry], name: str, reel: Reel) -> list[Shot]:
    """The shots, when they cover the frames of the reel exactly, in order, and once.

    Missing numbers belong to no shot, and no shot runs over one. Nothing is clamped.
    raises: InputError naming the list and the line or clip.
    """
    if not entries:
        raise bad(reel, f"{name} lists no shots")
    missing = reel.gaps
    after = {gap.start: gap.stop for gap in missing}
    expected, shots = reel.range.start, []
    seen: set[str] = set()
    for n, entry in enumerate(entries):
        where = f"{name}, {entry.place}"
        _check_frames(entry, where, expected, missing, reel)
        length = entry.last + 1 - entry.first
        counts = (entry.dissolve_in, entry.dissolve_out, entry.fade_in, entry.fade_out)
        if min(counts) < 0 or max(counts) > length:
            raise bad(reel, f"{where}: a dissolve or fade does not fit {length} frames")
        if entry.kind not in [kind.value for kind in SegmentKind]:
            raise bad(reel, f"{where}: kind {entry.kind!r} is not known")
        if not 0.0 <= entry.confidence <= 1.0:
            raise bad(reel, f"{where}: confidence {entry.confidence} is not within 0 and 1")
        made = _id_of(entry.name, reel, n)
        if made in seen:
            raise bad(reel, f"{where}: shot {made} is listed twice")
        seen.add(made)
        shots.append(
            Shot(
                id=made,
                reel=reel.id,
                frames=FrameRange(entry.first, entry.last + 1),
                kind=SegmentKind(entry.kind),
                dissolve_in=entry.dissolve_in,
                dissolve_out=entry.dissolve_out,
                fade_in=entry.fade_in,
                fade_out=entry.fade_out,
                confidence=entry.confidence,
            )
        )
        expected = after.get(entry.last + 1, entry.last + 1)
    if expected != reel.range.stop:
        last = entries[-1].place
        raise bad(
            reel, f"{name}, {last}: frames {expected}-{reel.range.stop - 1} belong to no shot"
        )
    return shots


def _check_frames(
    entry: Entry, where: str, expected: int, missing: Sequence[FrameRange], reel: Reel
) -> None:
    if entry.last < entry.first:
        raise bad(reel, f"{where}: ends at {entry.last} before it starts at {entry.first}")
    if entry.first not in reel.range or entry.last not in reel.range:
        raise bad(reel, f"{where}: frames {entry.first}-{entry.last} are outside {reel.range}")
    if entry.first < expected:
        for gap in missing:
            if entry.first in gap:
                raise bad(reel, f"{where}: starts at frame {entry.first}, which the reel lacks")
        raise bad(reel, f"{where}: overlaps the shot before it (frame {entry.first})")
    if entry.first > expected:
        raise bad(reel, f"{where}: frames {expected}-{entry.first - 1} belong to no shot")
    for gap in missing:
        if gap.start <= entry.last and gap.stop > entry.first:
            raise bad(reel, f"{where}: runs over frames {gap}, which the reel lacks")


def _id_of(name: str, reel: Reel, n: int) -> str:
    if not name:
        return shot_id(reel.id, n)
    prefix = f"{safe_id(reel.id)}_"
    made = safe_id(name)
    return made if made.startswith(prefix) else prefix + made
