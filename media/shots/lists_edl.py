"""Shot lists as EDL (CMX 3600), where timecode exists at the reel's rate.

An event starts with the first frame of its dissolve, as CMX 3600 has it. Where our boundary lies
inside the dissolve, and what else timecode cannot say, travels in a comment.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from media.errors import InputError
from media.frames import rate_text
from media.reel import Reel, Shot
from media.shots.lists import Entry, bad, checked
from media.timecode import frames_to_timecode, nominal_rate, timecode_to_frames

_DROPS = frozenset((Fraction(30000, 1001), Fraction(60000, 1001)))
_TIME = r"(\d\d:\d\d:\d\d[:;]\d\d)"
_EVENT = re.compile(
    r"(\d+)\s+(\S+)\s+(\S+)\s+(C|D|W\d*|K\S*)\s+(?:(\d+)\s+)?"
    rf"{_TIME}\s+{_TIME}\s+{_TIME}\s+{_TIME}\s*"
)
_NOTE = "* WETGATE:"
_COUNTS = ("dissolve_in", "dissolve_out", "fade_in", "fade_out")


@dataclass(frozen=True, slots=True)
class _Event:
    place: str
    first: int
    stop: int
    hour: int
    """Frames from zero to the full hour that ``first`` lies in."""
    dissolve: int
    note: dict[str, str]


def read_edl(text: str, name: str, reel: Reel) -> list[Entry]:
    """One entry an event; sound events and the outgoing halves of dissolves are passed over.

    raises: InputError naming the line; for a rate that is neither whole nor SMPTE's, the list.
    """
    # Read here and not by the OTIO adapter, which refuses every rate that SMPTE timecode lacks.
    if reel.rate.denominator != 1 and nominal_rate(reel.rate) is None:
        raise _no_timecode(reel)
    drop = False
    events: list[_Event] = []
    for number, line in enumerate(text.splitlines(), start=1):
        place = f"line {number}"
        if line.upper().startswith("FCM:"):
            drop = "NON" not in line.upper() and reel.rate in _DROPS
        if line.startswith(_NOTE) and events:
            note = dict(p.split("=", 1) for p in line.removeprefix(_NOTE).split() if "=" in p)
            events[-1] = replace(events[-1], note=note)
        if not line[:1].isdigit():
            continue
        found = _EVENT.fullmatch(line.strip())
        if found is None:
            raise bad(reel, f"{name}, {place}: not a CMX 3600 event")
        if found[3].upper().startswith(("A", "NONE")) and "V" not in found[3].upper():
            continue
        if found[4] not in ("C", "D"):
            raise bad(reel, f"{name}, {place}: only cuts and dissolves are taken, not {found[4]}")
        first, stop = (_frames(found[k], drop, reel, f"{name}, {place}") for k in (6, 7))
        if stop < first:
            raise bad(reel, f"{name}, {place}: ends at {found[7]} before it starts at {found[6]}")
        if stop > first:
            # Zero-length events only carry the outgoing side of a dissolve.
            mark = ";" if drop or ";" in found[6] else ":"
            hour = _frames(f"{found[6][:2]}:00:00{mark}00", drop, reel, place)
            dissolve = int(found[5] or 0) if found[4] == "D" else 0
            events.append(_Event(place, first, stop, hour, dissolve, {}))
    if not events:
        return []
    origin = events[0].hour
    if reel.timecode is not None:
        if (";" in reel.timecode) != drop and reel.rate in _DROPS and drop:
            raise bad(reel, f"{name} counts drop frame, the reel's timecode does not")
        origin = _frames(reel.timecode, False, reel, "reel timecode")
    return _entries(events, reel.range.start - origin, name, reel)


def _entries(events: list[_Event], shift: int, name: str, reel: Reel) -> list[Entry]:
    entries: list[Entry] = []
    for event in events:
        try:
            counts = [int(event.note.get(k, "0")) for k in _COUNTS]
            confidence = float(event.note.get("confidence", "1"))
        except ValueError as error:
            raise bad(reel, f"{name}, {event.place}: the comment is damaged: {error}") from error
        ahead = int(event.note.get("ahead", "0"))
        if event.dissolve and not 0 <= ahead <= event.dissolve:
            raise bad(reel, f"{name}, {event.place}: {ahead} frames ahead of a shorter dissolve")
        if ahead and entries:
            last = entries[-1]
            entries[-1] = replace(last, last=last.last + ahead, dissolve_out=ahead)
        entries.append(
            Entry(
                place=event.place,
                first=event.first + shift + ahead,
                last=event.stop - 1 + shift,
                name=event.note.get("shot", ""),
                kind=event.note.get("kind", "shot"),
                dissolve_in=event.dissolve - ahead if event.dissolve else counts[0],
                dissolve_out=counts[1],
                fade_in=counts[2],
                fade_out=counts[3],
                confidence=confidence,
            )
        )
    return entries


def edl_text(reel: Reel, shots: Sequence[Shot]) -> str:
    """Events with source and record times alike, counted from the reel's timecode or from zero.

    raises: InputError when SMPTE timecode does not exist at the reel's rate, when the reel is
    longer than a day, or when the shots do not cover the reel.
    """
    if nominal_rate(reel.rate) is None:
        raise _no_timecode(reel)
    checked(_as_entries(shots), "the shot list", reel)
    drop = reel.rate in _DROPS and (reel.timecode is None or ";" in reel.timecode)
    origin = 0 if reel.timecode is None else _frames(reel.timecode, False, reel, "reel timecode")

    def time(frame: int) -> str:
        count = frame - reel.range.start + origin
        if count > timecode_to_frames("23:59:59:00", reel.rate):
            raise bad(reel, "timecode runs past midnight")
        return frames_to_timecode(count, reel.rate, drop=drop)

    short = re.sub(r"[^A-Za-z0-9_]", "_", reel.id)[:8] or "REEL"
    lines = [f"TITLE: {reel.id}", f"FCM: {'' if drop else 'NON-'}DROP FRAME", ""]
    for n, shot in enumerate(shots):
        ahead = shots[n - 1].dissolve_out if n else 0
        after = shots[n + 1].frames.start if n + 1 < len(shots) else None
        start = time(shot.frames.start - ahead)
        # A missing number between two shots leaves a hole in the record times too.
        adjacent = after == shot.frames.stop
        stop = time(shot.frames.stop - (shot.dissolve_out if adjacent else 0))
        event, cut = f"{n + 1:03d}  {short:8} V    ", f"{start} {start} {start} {start}"
        mixed = ahead + shot.dissolve_in if n else 0
        if mixed:
            lines.append(f"{event} C        {cut}")
        way = f"D    {mixed:03d}" if mixed else "C       "
        lines.append(f"{event} {way} {start} {stop} {start} {stop}")
        note = {"shot": shot.id, "kind": shot.kind.value, "ahead": ahead}
        note |= {k: getattr(shot, k) for k in _COUNTS}
        note["confidence"] = repr(shot.confidence)
        lines.append(f"* FROM CLIP NAME: {shot.id}")
        lines.append(f"{_NOTE} " + " ".join(f"{k}={v}" for k, v in note.items()))
    return "\n".join(lines) + "\n"


def _as_entries(shots: Sequence[Shot]) -> list[Entry]:
    return [
        Entry(
            place=f"shot {s.id}",
            first=s.frames.start,
            last=s.frames.stop - 1,
            name=s.id,
            kind=s.kind.value,
            dissolve_in=s.dissolve_in,
            dissolve_out=s.dissolve_out,
        )
        for s in shots
    ]


def _no_timecode(reel: Reel) -> InputError:
    return InputError(
        f"an EDL counts timecode, and there is none at {rate_text(reel.rate)} frames per second",
        hint="use a shot list in .otio or .csv",
        reel=reel.id,
    )


def _frames(text: str, drop: bool, reel: Reel, where: str) -> int:
    """Frames from 00:00:00:00. drop: the list says so, and its times may lack the mark."""
    marked = f"{text[:8]};{text[9:]}" if drop else text
    if nominal_rate(reel.rate) is None:
        return _silent_frames(text, reel, where)
    try:
        return timecode_to_frames(marked, reel.rate)
    except InputError as error:
        raise bad(reel, f"{where}: {error.what} ({error.hint})") from error


def _silent_frames(text: str, reel: Reel, where: str) -> int:
    """Hours, minutes, seconds and frames at a whole rate that SMPTE does not know."""
    fps = int(reel.rate)
    hours, minutes, seconds, frames = (int(p) for p in re.split("[:;]", text))
    if frames >= fps or minutes > 59 or seconds > 59 or ";" in text:
        raise bad(
            reel,
            f"{where}: {text} has a frame {frames}, but the reel runs at {rate_text(reel.rate)}",
        )
    return ((hours * 60 + minutes) * 60 + seconds) * fps + frames
