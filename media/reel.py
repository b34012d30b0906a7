"""What a title is made of: reels of frames, and the shots found in them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from pathlib import Path

from media.frames import FrameRange


class SampleType(StrEnum):
    """How a code value is stored."""

    UINT = "uint"
    HALF = "half"
    FLOAT = "float"


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFormat:
    """Size and sample layout shared by every frame of a reel."""

    width: int
    height: int
    channels: int
    """1 (luma) or 3 (RGB) picture channels; alpha and further channels are refused."""
    bits: int
    """Significant bits per sample: 8, 10, 12, 16 for UINT; 16 for HALF, 32 for FLOAT."""
    sample: SampleType = SampleType.UINT

    @property
    def full_scale(self) -> int:
        """The code value that reads as 1.0 (UINT only)."""
        return (1 << self.bits) - 1

    def __str__(self) -> str:
        kind = "" if self.sample is SampleType.UINT else f" {self.sample.value}"
        return f"{self.width}x{self.height}x{self.channels} {self.bits}-bit{kind}"


class MadeBy(StrEnum):
    """How a frame that the scan lacks is filled, because the project says so."""

    HOLD = "hold"
    """Shows the last frame before the gap again."""
    REBUILD = "rebuild"
    """Made from the pictures on both sides of the gap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFrame:
    """One frame of a reel as it lies on disk."""

    number: int
    path: Path
    """The file; for movies the movie itself."""
    index: int
    """Position in a movie (0-based); equals the position in the reel for sequences."""
    sha256: str
    """Digest of the file (sequences) or of the decoded picture (movies)."""
    size_bytes: int
    mtime_ns: int
    made_by: MadeBy | None = None
    """None for a frame of the scan. Otherwise ``path`` and ``sha256`` are those of the frame
    whose picture is shown in its place, unless ``shown`` names that one."""
    shown: int | None = None
    """A frame that is in the scan but destroyed: number of the frame that is read in its place.
    ``path`` and ``sha256`` stay its own."""

    @property
    def scanned(self) -> bool:
        """Whether the scan has a file or a picture of this number."""
        return self.made_by is None or self.shown is not None


@dataclass(frozen=True, slots=True)
class MapFrame:
    """One frame of a defect map that is a sequence of its own."""

    path: Path
    sha256: str
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DefectMap:
    """A plane for each frame that shows dirt and not the picture, see ``media.defect_map``."""

    source: str
    """``alpha``, ``channel:NAME``, or where the sequence lies."""
    bright: bool
    """Defects are bright in it; dark where False, as in infra-red."""
    format: PictureFormat | None = None
    """Of the sequence; None for a channel of the scan's own files."""
    frames: Mapping[int, MapFrame] = field(default_factory=dict)
    """By frame number; empty for a channel."""


class SegmentKind(StrEnum):
    """What a stretch of frames is."""

    SHOT = "shot"
    LEADER = "leader"
    BLACK = "black"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """A stretch of frames between two cuts. Temporal work never leaves it."""

    id: str
    """``<reel>_<number>``, unique in the title, ``[A-Za-z0-9_.]`` only."""
    reel: str
    frames: FrameRange
    kind: SegmentKind = SegmentKind.SHOT
    dissolve_in: int = 0
    """Frames at the head that still carry the previous shot."""
    dissolve_out: int = 0
    """Frames at the tail that already carry the next shot."""
    fade_in: int = 0
    """Frames at the head that fade up."""
    fade_out: int = 0
    """Frames at the tail that fade down."""
    confidence: float = 1.0
    """How sure the boundary at the head is, 0..1; 1 for boundaries given by a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reel:
    """A reel of material: ordered frames of one format, rate and color encoding."""

    id: str
    rate: Fraction
    encoding: str
    """Name of a declared color encoding, see ``media.encoding``."""
    format: PictureFormat
    levels: str = "full"
    """``full``, or ``limited`` where a sequence holds video levels (64 to 940 of 1023)."""
    kind: str
    """``dpx``, ``tiff``, ``exr``, ``png`` (sequences) or ``movie``."""
    frames: tuple[SourceFrame, ...]
    timecode: str | None = None
    """Timecode of the first frame where the source carries one."""
    doubled: tuple[int, ...] = ()
    """Numbers of frames that show the picture of the frame before them once more."""
    defect_map: DefectMap | None = None
    facts: Mapping[str, object] = field(default_factory=dict)
    """What the source's own headers say, JSON-able; nothing here decides a pixel."""
    notes: tuple[str, ...] = field(default=())
    """What was noticed on the way in, in plain words."""

    @property
    def range(self) -> FrameRange:
        """First to last frame number; numbers may be missing in between, see ``gaps``."""
        return FrameRange(self.frames[0].number, self.frames[-1].number + 1)

    @property
    def gaps(self) -> tuple[FrameRange, ...]:
        """Runs of numbers that the scan leaves out and the project keeps open."""
        return tuple(
            FrameRange(a.number + 1, b.number)
            for a, b in zip(self.frames[:-1], self.frames[1:], strict=True)
            if b.number > a.number + 1
        )

    @property
    def stretches(self) -> tuple[FrameRange, ...]:
        """Runs of frames without a gap, in order."""
        starts = [self.range.start, *(g.stop for g in self.gaps)]
        stops = [*(g.start for g in self.gaps), self.range.stop]
        return tuple(FrameRange(a, b) for a, b in zip(starts, stops, strict=True))

    def frame(self, number: int) -> SourceFrame:
        """The frame with this scan number. raises: KeyError for a number the reel lacks."""
        at = bisect_left(self.frames, number, key=lambda f: f.number)
        if at == len(self.frames) or self.frames[at].number != number:
            raise KeyError(f"reel {self.id}: there is no frame {number}")
        return self.frames[at]
