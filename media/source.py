"""What a project says about a reel, and what a source is by its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

from media.frames import rate_text
from media.listing import is_pattern
from media.movie import SUFFIXES
from media.reel import PictureFormat
from media.scan import KINDS
from media.write import AnyCodes

GapPolicy = Literal["", "keep", "hold", "rebuild"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSpec:
    """What a project says about a reel."""

    path: Path
    """Folder of frames, pattern (``R1.####.dpx``) or movie."""
    reel: str
    encoding: str
    """Declared color encoding, see ``media.encoding``."""
    rate: Fraction | None = None
    """Frames per second; None takes the rate of DPX headers or of the movie."""
    matrix: str | None = None
    """For Y'CbCr movies without tags: bt709, bt601 or bt2020."""
    range: str | None = None
    """Full or limited: for Y'CbCr movies without tags, and for sequences at video levels."""
    gaps: GapPolicy = ""
    """What to do about numbers that are missing: refuse (empty), keep the hole, hold the frame
    before it, or rebuild the frames from both sides. Hold and rebuild also take unreadable
    frames for missing."""
    spare: bool = False
    """A channel beside the picture is declared a defect map: TIFF and PNG may have one."""
    longest_run: int = 3
    """Missing frames in a row that may be rebuilt; a longer run is held."""
    accept: frozenset[str] = frozenset()
    """Faults of a movie that the project takes as they are, see ``media.movie.info``."""
    sound: bool = True
    """False leaves sound and other streams of a movie out of what is delivered."""
    untouched_s: float = 0.0
    """Refuse files changed more recently than this: somebody may still be copying."""


Progress = Callable[[int, int], None]
Sight = Callable[[int, AnyCodes, PictureFormat], None]
"""Called with (frame number, codes (H, W, C), their format) for every frame, in order."""


def is_movie(path: Path) -> bool:
    """Whether the name is that of a movie."""
    return path.suffix.lower() in SUFFIXES and not path.is_dir()


def reel_id_from(path: Path) -> str:
    """A reel id out of a source's name: folder name, movie stem, or a pattern's prefix."""
    if is_pattern(path):
        name = path.name.replace("%", "#")
        prefix = name[: name.index("#")].rstrip(" ._-")
        return prefix or path.resolve().parent.name
    if path.suffix.lower() in SUFFIXES or path.suffix.lower() in KINDS:
        return path.name if path.is_dir() else path.stem
    return path.name or path.resolve().name


def rate_notes(stated: Fraction | None, found: list[Fraction | None]) -> tuple[str, ...]:
    """Where headers and project differ about the rate, in words."""
    notes = []
    rates = {rate for rate in found if rate is not None}
    if len(rates) > 1:
        notes.append(
            "frame headers state several rates: " + ", ".join(map(rate_text, sorted(rates)))
        )
    elif stated is not None and rates and stated not in rates:
        found_rate, project_rate = rate_text(min(rates)), rate_text(stated)
        notes.append(f"headers say {found_rate} frames per second, the project says {project_rate}")
    return tuple(notes)
