"""CMX3600 edit lists that carry color decisions, one list per reel.

Layout that Resolve, OpenTimelineIO and cdl-convert all read: ``*ASC_SOP`` and ``*ASC_SAT``
directly under the event, then ``* FROM CLIP NAME``, one blank line between events, four
decimals (79 columns at most), never an exponent. Comments stand inside events only: readers
refuse them in the header.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from color.cdl import CDL, IDENTITY, Triple
from media.errors import ConfigError
from media.frames import FrameRange, rate_text

_SMPTE_RATES = frozenset(
    {Fraction(n) for n in (24, 25, 30, 48, 50, 60)}
    | {Fraction(n, 1001) for n in (24000, 30000, 48000, 60000)}
)
_TIMECODE = re.compile(r"(\d{1,2}):(\d{2}):(\d{2})([:;.])(\d{2})")
_EVENT = re.compile(r"^(\d{3,6})\s+(\S+)\s+\S+\s+\S+")
_GROUP = re.compile(r"\(([^()]*)\)")
# ASCII alone, and no two ways to take a digit: a long bad number must not take for ever.
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
EDL_DECIMALS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class EdlEvent:
    """One shot of a reel."""

    id: str
    frames: FrameRange
    """In scan numbering."""
    cdl: CDL


def edl_reel(reel: str) -> str:
    """The reel name an EDL can hold: at most 8 letters and digits."""
    return re.sub(r"[^A-Za-z0-9]", "", reel)[:8] or "REEL"


def count_rate(rate: Fraction) -> int:
    """Frames a second that a timecode counts at this rate: the nearest integer, at least 1."""
    return max(1, round(rate))


def timecode_text(frame: int, fps: int, *, drop: bool = False) -> str:
    """Frame count to timecode; wraps at 24 hours.

    drop: SMPTE ST 12-1 drop frame (30 and 60 only), written with a semicolon.
    """
    skipped = fps // 15 if drop else 0
    day = 24 * 3600 * fps - skipped * 9 * 6 * 24
    frame %= day
    if drop:
        ten, rest = divmod(frame, 600 * fps - 9 * skipped)
        minute = max(0, rest - skipped) // (60 * fps - skipped)
        frame += skipped * (9 * ten + minute)
    seconds, ff = divmod(frame, fps)
    separator = ";" if drop else ":"
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{separator}{ff:02d}"


def timecode_frames(text: str, fps: int) -> tuple[int, bool]:
    """Timecode to frame count, and whether it is drop frame.

    raises: ConfigError when it is not a timecode at this rate.
    """
    match = _TIMECODE.fullmatch(text.strip())
    if match is None or int(match[5]) >= fps or int(match[2]) > 59 or int(match[3]) > 59:
        raise ConfigError(f"{text!r} is no timecode at {fps}", hint="hh:mm:ss:ff")
    drop = match[4] == ";" and fps % 30 == 0
    hours, minutes = int(match[1]), int(match[2])
    frames = ((hours * 60 + minutes) * 60 + int(match[3])) * fps + int(match[5])
    if drop:
        total = hours * 60 + minutes
        frames -= fps // 15 * (total - total // 10)
    return frames, drop


def source_timecode(
    rate: Fraction, first_frame: int, frame: int, timecode: str | None = None
) -> str:
    """Where a frame lies in its source, as ``edl_document`` counts it."""
    fps = count_rate(rate)
    start, drop = (first_frame, False) if timecode is None else timecode_frames(timecode, fps)
    return timecode_text(start + frame - first_frame, fps, drop=drop)


def _group(values: Triple) -> str:
    return "(" + " ".join(f"{round(v, EDL_DECIMALS) + 0.0:.{EDL_DECIMALS}f}" for v in values) + ")"


def edl_document(
    title: str,
    reel: str,
    rate: Fraction,
    first_frame: int,
    events: Sequence[EdlEvent],
    *,
    timecode: str | None = None,
) -> str:
    """The shots of one reel as EDL text, sorted by frame.

    first_frame: scan number of the reel's first frame; it lies at record time 01:00:00:00.
    timecode: of that first frame. Without one the scan number itself is the frame count, the
        way conforming systems read numbered frames. Rates without a SMPTE timecode (16, 18,
        20 ..) count at the nearest integer, and every event says so.
    raises: ConfigError when there is no event or the timecode does not fit the rate.
    """
    if not events:
        raise ConfigError(
            "no shot to write into an edit list", hint="select at least one", reel=reel
        )
    fps = count_rate(rate)
    start, drop = (first_frame, False) if timecode is None else timecode_frames(timecode, fps)
    notes = []
    if timecode is None:
        notes.append("* SOURCE TIMECODE IS THE SCAN FRAME NUMBER")
    if rate not in _SMPTE_RATES:
        notes.append(
            f"* NO SMPTE TIMECODE AT {rate_text(rate)} FPS, TIMES ARE A FRAME COUNT AT {fps}"
        )
    record = 3600 * fps
    if drop:
        record -= fps // 15 * 54
    name = edl_reel(reel)
    # One line, whatever the title holds: a second one would be read as an event.
    lines = [
        f"TITLE: {' '.join(title.split())}",
        f"FCM: {'DROP FRAME' if drop else 'NON-DROP FRAME'}",
    ]
    for number, event in enumerate(sorted(events, key=lambda e: e.frames), 1):
        first, last = event.frames.start - first_frame, event.frames.stop - first_frame
        times = " ".join(
            timecode_text(t, fps, drop=drop)
            for t in (start + first, start + last, record + first, record + last)
        )
        cdl = event.cdl
        lines += [
            "",
            f"{number:03d}  {name:<8} V     C        {times}",
            f"*ASC_SOP {_group(cdl.slope)}{_group(cdl.offset)}{_group(cdl.power)}",
            f"*ASC_SAT {cdl.saturation:.{EDL_DECIMALS}f}",
            f"* FROM CLIP NAME: {event.id}",
            *notes,
        ]
    return "\n".join([*lines, ""])


def number(text: str) -> float:
    """A decimal number as hosts write it, exponents included.

    raises: ValueError for what only Python would take: ``nan``, ``inf``, ``1_0``.
    """
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{text!r} is not a number")
    return float(text)


def cdl_of_text(sop: str, saturation: str, name: str) -> CDL:
    """A CDL from ``(s s s)(o o o)(p p p)`` and a number, either may be empty: the identity.

    raises: ConfigError when malformed. name: of the file, for the message.
    """
    values = (IDENTITY.slope, IDENTITY.offset, IDENTITY.power)
    if sop:
        groups = [_floats(g, 3, name) for g in _GROUP.findall(sop)]
        if len(groups) != 3 or _GROUP.sub("", sop).strip(" \t,"):
            raise ConfigError(f"{name}: {sop!r} is not three groups", hint="check the file")
        s, o, p = ((g[0], g[1], g[2]) for g in groups)
        values = (s, o, p)
    sat = _floats(saturation, 1, name)[0] if saturation else IDENTITY.saturation
    return CDL(*values, sat)


def _floats(text: str, count: int, name: str) -> list[float]:
    try:
        values = [number(v) for v in text.replace(",", " ").split()]
    except ValueError as error:
        raise ConfigError(f"{name} has a bad number in {text!r}", hint=str(error)) from error
    if len(values) != count:
        raise ConfigError(f"{name}: {text!r} is not {count} numbers", hint="check the file")
    return values


def read_edl_cdls(text: str, name: str) -> list[tuple[str, CDL]]:
    """(id, CDL) of every event that carries a decision, in file order.

    raises: ConfigError for a malformed ``ASC_SOP`` or ``ASC_SAT``, for one said twice or before
    any event, for a dissolve whose two clips leave open which is meant, and for ``ASC_CC_XML``,
    which only points at another file. name: for the message.
    """
    found: list[tuple[str, CDL]] = []
    where, reel = "", ""
    told: dict[str, str] = {}

    def close() -> None:
        sop, saturation = told.get("ASC_SOP", ""), told.get("ASC_SAT", "")
        if not sop and not saturation:
            return
        if not where:
            raise ConfigError(
                f"{name} has a color decision before any event", hint="put it under its event"
            )
        if "TO" in told:
            raise ConfigError(
                f"{name}, event {where}: a color decision under a dissolve from "
                f"{told.get('FROM', reel)!r} to {told['TO']!r} does not say which it is for",
                hint="give it under an event of one clip, or in a .ccc",
            )
        of = f"{name}, event {where}"
        found.append((told.get("FROM") or reel, cdl_of_text(sop, saturation, of)))

    for line in text.splitlines():
        event = _EVENT.match(line)
        if event is not None:
            close()
            where, reel, told = event[1], event[2], {}
            continue
        body = line.lstrip("* ").strip()
        key, _, rest = body.partition(" ")
        match key.rstrip(":").upper():
            case "ASC_SOP" | "ASC_SAT" as what:
                if what in told:
                    raise ConfigError(
                        f"{name}, event {where}: {what} is there twice", hint="keep one"
                    )
                told[what] = rest.strip() or "()"
            case "ASC_CC_XML":
                raise ConfigError(
                    f"{name}, event {where}: ASC_CC_XML points at a decision in another file",
                    hint="name that .cc, .ccc or .cdl instead",
                )
            case "FROM" | "TO" as what if body.upper().startswith(f"{what} CLIP NAME:"):
                told[what] = body.partition(":")[2].strip()
    close()
    return found
