"""What the delivered frames look like: kind of file, bits, and how they are named."""

from __future__ import annotations

from dataclasses import dataclass, replace

from media.errors import ConfigError
from media.reel import PictureFormat, Reel, SampleType
from wetgate.config import Deliverable

SUFFIXES = {"dpx": ".dpx", "tiff": ".tif", "exr": ".exr", "png": ".png"}
MOVIES = {"ffv1": ".mkv", "prores_422hq": ".mov", "prores_4444": ".mov"}
_DEPTHS = {
    "dpx": (8, 10, 12, 16),
    "tiff": (8, 16),
    "png": (8, 16),
    "exr": (16, 32),
    "ffv1": (8, 10, 12, 16),
    "prores_422hq": (10, 12, 16),
    "prores_4444": (10, 12, 16),
}


@dataclass(frozen=True, slots=True)
class Variant:
    """What decides the code values of a deliverable; deliverables that agree share chunks."""

    baked: bool
    format: PictureFormat


@dataclass(frozen=True, slots=True)
class Layout:
    """How one reel goes into one deliverable."""

    kind: str
    """dpx, tiff, exr, png (sequences) or a movie codec."""
    variant: Variant

    @property
    def movie(self) -> bool:
        """True when the whole reel is one file."""
        return self.kind in MOVIES

    @property
    def suffix(self) -> str:
        """File name ending."""
        return MOVIES[self.kind] if self.movie else SUFFIXES[self.kind]


def lay_out(reel: Reel, deliverable: Deliverable, scale: int) -> Layout:
    """raises: ConfigError when the deliverable cannot hold what the reel has."""
    source = reel.format
    kind = deliverable.format
    if kind == "source":
        kind = "ffv1" if reel.kind == "movie" else reel.kind  # type: ignore[assignment]
    depths = _DEPTHS[kind]
    floating = source.sample is not SampleType.UINT
    if floating != (kind == "exr"):
        raise ConfigError(
            f"deliver {deliverable.name}: {kind} cannot hold {source} without a change of encoding",
            reel=reel.id,
            hint="use format = 'source'",
        )
    bits = deliverable.depth or source.bits
    if bits not in depths:
        bits = next((d for d in depths if d >= bits), depths[-1]) if not deliverable.depth else bits
    if bits not in depths:
        raise ConfigError(
            f"deliver.depth = {bits} is not possible in {kind}",
            reel=reel.id,
            hint="possible: " + ", ".join(map(str, depths)),
        )
    sample = source.sample
    if kind == "exr":
        sample = SampleType.HALF if bits == 16 else SampleType.FLOAT
    out = replace(
        source, bits=bits, sample=sample, width=source.width * scale, height=source.height * scale
    )
    return Layout(kind, Variant(deliverable.color == "baked", out))


def frame_name(reel: Reel, deliverable: Deliverable, number: int, suffix: str) -> str:
    """``<reel>.0086400.dpx``, or the scan's own name with the new ending."""
    if deliverable.names == "source" and reel.kind != "movie":
        return reel.frame(number).path.stem + suffix
    return f"{reel.id}.{number:07d}{suffix}"
