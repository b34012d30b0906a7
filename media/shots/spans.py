"""Stretches of a reel that are more than plain picture, each with how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from media.frames import FrameRange


class SpanKind(StrEnum):
    """What a stretch of frames is. Spans may overlap shots, and each other."""

    DISSOLVE = "dissolve"
    """Every frame is a sum of two shots."""
    FADE_IN = "fade_in"
    """Comes up from black."""
    FADE_OUT = "fade_out"
    """Goes down to black."""
    FADE_IN_WHITE = "fade_in_white"
    """Comes out of white."""
    FADE_OUT_WHITE = "fade_out_white"
    """Drowns in white."""
    FLASH = "flash"
    """A few frames brighter than what goes on before and after them."""
    RUINED = "ruined"
    """One or two frames unlike the scene that goes on around them."""
    LEADER = "leader"
    """Countdown, slate, bars or blank film at the head or tail of the reel."""
    TITLE = "title"
    """A card of text that stands still."""
    BLACK = "black"
    """Black frames between shots."""
    WHITE = "white"
    """White or clear frames between shots."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of frames with a meaning. Decides nothing by itself."""

    kind: SpanKind
    frames: FrameRange
    """Scan numbers, half-open."""
    confidence: float
    """0..1."""
    reason: str
    """What was seen, in a few plain words."""

    def __str__(self) -> str:
        return f"{self.kind} {self.frames} ({self.confidence:.2f}: {self.reason})"
