"""Timecode and keycode along a reel: where they start, where they jump."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from media.errors import InputError
from media.timecode import is_timecode, nominal_rate, timecode_to_frames

Metadata = Mapping[str, str | int | float]
_NAMED = 3
_DAY_H = 24


def clock_facts(
    heads: Mapping[int, Metadata], rate: Fraction
) -> tuple[dict[str, object], tuple[str, ...]]:
    """What the headers of a reel say of time, and notes on what does not add up.

    heads: frame number to header metadata, in order. returns: JSON-able facts (header of the
    first frame; first and last timecode and keycode) and notes in plain words.
    """
    numbers = list(heads)
    first, last = heads[numbers[0]], heads[numbers[-1]]
    facts: dict[str, object] = {"header": dict(first)}
    notes: list[str] = []
    for key in ("timecode", "keycode"):
        carriers = [n for n in numbers if heads[n].get(key) not in (None, "")]
        if carriers:
            facts[key] = [first.get(key), last.get(key)]
            if len(carriers) < len(numbers):
                notes.append(f"{len(numbers) - len(carriers)} frames carry no {key}")
    notes += _jumps(heads, rate)
    return facts, tuple(notes)


def _jumps(heads: Mapping[int, Metadata], rate: Fraction) -> list[str]:
    """Timecode that does not count on with the frame numbers."""
    coded = [(n, str(h["timecode"])) for n, h in heads.items() if is_timecode(_text(h))]
    if not coded:
        return []
    if nominal_rate(rate) is None:
        return [
            f"the frames carry timecode, which does not exist at {float(rate):g} frames per second"
        ]
    notes: list[str] = []
    count = 0
    before: tuple[int, int] | None = None
    for number, text in coded:
        try:
            now = timecode_to_frames(text, rate)
        except InputError as error:
            notes.append(f"frame {number}: {error.what}")
            before = None
            continue
        if before is not None:
            expected = before[1] + number - before[0]
            day = _DAY_H * 3600 * (nominal_rate(rate) or 1)
            if (now - expected) % day:
                count += 1
                if count <= _NAMED:
                    way = "back" if now < expected else "forward"
                    notes.append(
                        f"timecode jumps {way} by {abs(now - expected)} frames at frame {number} "
                        f"({text})"
                    )
        before = (number, now)
    if count > _NAMED:
        notes.append(f"timecode jumps at {count - _NAMED} more frames")
    return notes


def _text(head: Metadata) -> str:
    return str(head.get("timecode", ""))
