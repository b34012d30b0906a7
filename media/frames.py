"""Frame numbers and rates. Numbers are the scan's own; ranges are half-open."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from media.errors import ConfigError

_NTSC = {23976: Fraction(24000, 1001), 29970: Fraction(30000, 1001), 59940: Fraction(60000, 1001)}


@dataclass(frozen=True, slots=True, order=True)
class FrameRange:
    """Frames ``start`` up to but not including ``stop``, in scan numbering."""

    start: int
    stop: int

    def __post_init__(self) -> None:
        if self.stop <= self.start:
            raise ValueError(f"empty frame range {self.start}..{self.stop}")

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start, self.stop))

    def __contains__(self, frame: object) -> bool:
        return isinstance(frame, int) and self.start <= frame < self.stop

    def __str__(self) -> str:
        return f"{self.start}-{self.stop - 1}"

    def chunks(self, length: int) -> list[FrameRange]:
        """Cut into pieces of ``length`` frames; the last may be shorter."""
        return [
            FrameRange(a, min(a + length, self.stop)) for a in range(self.start, self.stop, length)
        ]


def parse_rate(text: str) -> Fraction:
    """Frames per second as an exact rational: ``24``, ``18``, ``24000/1001``, ``200/11``.

    The customary decimals 23.976, 29.97 and 59.94 are read as their exact NTSC rationals.
    raises: ConfigError when it is not a positive rate up to 1000.
    """
    hint = "give it as an integer or a rational, for instance 18, 24 or 24000/1001"
    if not re.fullmatch(r"\d+(\.\d+)?(/\d+)?", text.strip()):
        raise ConfigError(f"rate {text!r} is not a frame rate", hint=hint)
    try:
        rate = Fraction(text.strip())
    except (ValueError, ZeroDivisionError) as error:
        raise ConfigError(f"rate {text!r} is not a frame rate", hint=hint) from error
    if not 0 < rate <= 1000:
        raise ConfigError(f"rate {text!r} is out of range", hint=hint)
    return _NTSC.get(round(rate * 1000), rate) if rate.denominator != 1 else rate


def counted(pictures: int) -> str:
    """``1 picture``, ``3 pictures``: frames that only repeat one are none of their own."""
    return f"{pictures} picture{'' if pictures == 1 else 's'}"


def frames_text(frames: int) -> str:
    """``1 frame``, ``3 frames``."""
    return f"{frames} frame{'' if frames == 1 else 's'}"


def rate_text(rate: Fraction) -> str:
    """The rate the way people write it: ``24`` or ``24000/1001``."""
    return str(rate.numerator) if rate.denominator == 1 else f"{rate.numerator}/{rate.denominator}"
