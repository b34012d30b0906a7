"""SMPTE timecode (ST 12-1) and film footage as frame counts, exact in every rate that has them.

Frame counts and the rational rate are the truth everywhere else; timecode is how people and
headers write a count down. It exists for whole nominal rates up to 60; silent-era rates such as
16, 18 or 200/11 have none, and nothing here pretends that they do.
"""

from __future__ import annotations

import re
from fractions import Fraction

from media.errors import InputError
from media.frames import rate_text

NOMINAL_RATES = (24, 25, 30, 48, 50, 60)
"""Frames that timecode counts in a second."""
_DROP_RATES = {Fraction(30000, 1001): 2, Fraction(60000, 1001): 4}
_TEXT = re.compile(r"(\d\d):(\d\d):(\d\d)([:;.,])(\d\d)")

FRAMES_PER_FOOT = {"35mm": 16, "16mm": 40, "super8": 72, "8mm": 80}
"""Pictures in one foot of film, four perforations for 35 mm."""


def nominal_rate(rate: Fraction) -> int | None:
    """Frames that timecode counts in a second at this rate; None where timecode does not exist.

    24000/1001 counts as 24, 30000/1001 as 30, 60000/1001 as 60.
    """
    whole = round(rate)
    near = rate in (Fraction(whole), Fraction(whole * 1000, 1001))
    return whole if near and whole in NOMINAL_RATES else None


def is_timecode(text: str) -> bool:
    """Whether the text has the form HH:MM:SS:FF (``;`` before the frames: drop frame)."""
    return _TEXT.fullmatch(text) is not None


def timecode_to_frames(text: str, rate: Fraction) -> int:
    """Frames since 00:00:00:00. ``;`` (or ``,`` ``.``) before the frames means drop frame.

    raises: InputError when the rate has no timecode, or the text is none at this rate (hour 24,
    frame 25 of 25, a number that drop frame leaves out).
    """
    base = _base(rate)
    found = _TEXT.fullmatch(text)
    if found is None:
        raise InputError(f"timecode {text!r} is not HH:MM:SS:FF", hint="give two digits per field")
    hours, minutes, seconds, frames = (int(found[k]) for k in (1, 2, 3, 5))
    if hours > 23 or minutes > 59 or seconds > 59 or frames >= base:
        raise InputError(
            f"timecode {text} does not exist at {rate_text(rate)} frames per second",
            hint=f"hours end at 23, minutes and seconds at 59, frames at {base - 1}",
        )
    count = ((hours * 60 + minutes) * 60 + seconds) * base + frames
    if found[4] == ":":
        return count
    dropped = _dropped(rate, text)
    if frames < dropped and seconds == 0 and minutes % 10:
        raise InputError(
            f"timecode {text} is one that drop frame leaves out",
            hint=f"the first {dropped} numbers of a minute exist in every tenth minute only",
        )
    total = hours * 60 + minutes
    return count - dropped * (total - total // 10)


def frames_to_timecode(count: int, rate: Fraction, *, drop: bool = False) -> str:
    """The timecode of a frame count, wrapping at 24 hours. Inverse of ``timecode_to_frames``.

    raises: InputError when the rate has no timecode, or no drop frame.
    """
    base = _base(rate)
    if drop:
        dropped = _dropped(rate, "drop frame")
        minute, ten = 60 * base - dropped, 600 * base - 9 * dropped
        count %= 144 * ten
        tens, rest = divmod(count, ten)
        # The first minute of ten is whole; each of the other nine starts ``dropped`` late.
        later = max(0, (rest - dropped) // minute)
        count += dropped * (9 * tens + later)
    count %= 24 * 3600 * base
    seconds, frames = divmod(count, base)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{';' if drop else ':'}{frames:02d}"


def shifted_timecode(text: str, frames: int, rate: Fraction) -> str:
    """The timecode so many frames later (earlier when negative); drop frame stays drop frame."""
    drop = _TEXT.fullmatch(text) is not None and text[8] != ":"
    return frames_to_timecode(timecode_to_frames(text, rate) + frames, rate, drop=drop)


def feet_and_frames(count: int, gauge: str = "35mm") -> str:
    """Footage as film people write it: ``123+07``. raises: InputError for an unknown gauge."""
    per_foot = FRAMES_PER_FOOT.get(gauge)
    if per_foot is None:
        raise InputError(f"gauge {gauge!r} is not known", hint="use " + ", ".join(FRAMES_PER_FOOT))
    feet, frames = divmod(count, per_foot)
    return f"{feet}+{frames:02d}"


def _base(rate: Fraction) -> int:
    base = nominal_rate(rate)
    if base is None:
        raise InputError(
            f"there is no SMPTE timecode at {rate_text(rate)} frames per second",
            hint="count frames instead; lists in .otio and .csv do",
        )
    return base


def _dropped(rate: Fraction, text: str) -> int:
    dropped = _DROP_RATES.get(rate)
    if dropped is None:
        raise InputError(
            f"{text}: drop frame does not exist at {rate_text(rate)} frames per second",
            hint="drop frame belongs to 30000/1001 and 60000/1001; write ':' before the frames",
        )
    return dropped
