"""What the delivered frames look like: kind of file, bits, and how they are named."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from media.encoding import ColorEncoding, encoding, reel_encoding
from media.errors import ConfigError, InputError
from media.listing import named_runs
from media.movie.codecs import codec_named
from media.movie.copied import streams_that_do_not_fit
from media.reel import PictureFormat, Reel, SampleType
from wetgate.config import Deliverable

SUFFIXES = {
    "dpx": ".dpx",
    "tiff": ".tif",
    "exr": ".exr",
    "png": ".png",
    "jp2": ".jp2",
    "j2c": ".j2c",
}
MOVIES = {
    "ffv1": ".mkv",
    "prores_422hq": ".mov",
    "prores_4444": ".mov",
    "dnxhr_hqx": ".mov",
    "dnxhr_444": ".mov",
    "h264": ".mp4",
}
_DEPTHS = {
    "dpx": (8, 10, 12, 16),
    "tiff": (8, 16),
    "png": (8, 16),
    "exr": (16, 32),
    "jp2": (8, 10, 12, 16),
    "j2c": (8, 10, 12, 16),
    "ffv1": (8, 10, 12, 16),
    "prores_422hq": (8, 10, 12, 16),
    "prores_4444": (8, 10, 12, 16),
    "dnxhr_hqx": (8, 10, 12, 16),
    "dnxhr_444": (8, 10, 12, 16),
    "h264": (8, 10, 12, 16),
}


@dataclass(frozen=True, slots=True)
class Variant:
    """What decides the code values of a deliverable; deliverables that agree share chunks."""

    baked: bool
    format: PictureFormat
    encoding: str = ""
    """Color encoding of the delivered codes; empty: as the scan."""


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


def lay_out(reel: Reel, deliverable: Deliverable, size_px: tuple[int, int]) -> Layout:
    """size_px: height and width of what is delivered.

    raises: ConfigError when the deliverable cannot hold what the reel has."""
    source = reel.format
    kind = deliverable.format
    if kind == "source":
        kind = "ffv1" if reel.kind == "movie" else reel.kind  # type: ignore[assignment]
    if kind in MOVIES and reel.gaps:
        raise ConfigError(
            f"deliver {deliverable.name}: a movie cannot leave out the missing frames "
            f"{named_runs(reel.gaps)}",
            reel=reel.id,
            hint="set reels.gaps = 'hold' or 'rebuild', or deliver an image sequence",
        )
    depths = _DEPTHS[kind]
    _check_encoding(reel, deliverable, kind)
    floating = source.sample is not SampleType.UINT
    bits = deliverable.depth or (16 if floating != (kind == "exr") else source.bits)
    if bits not in depths:
        bits = next((d for d in depths if d >= bits), depths[-1]) if not deliverable.depth else bits
    if bits not in depths:
        raise ConfigError(
            f"deliver.depth = {bits} is not possible in {kind}",
            reel=reel.id,
            hint="possible: " + ", ".join(map(str, depths)),
        )
    if reel.levels == "limited" and bits != source.bits and not deliverable.encoding:
        raise ConfigError(
            f"deliver {deliverable.name}: a scan at video levels keeps its {source.bits} bits",
            reel=reel.id,
            hint="leave deliver.depth at 0",
        )
    sample = SampleType.UINT
    if kind == "exr":
        sample = SampleType.HALF if bits == 16 else SampleType.FLOAT
    out = replace(source, bits=bits, sample=sample, height=size_px[0], width=size_px[1])
    if kind in MOVIES:
        _check_movie(reel, deliverable, kind, out)
    return Layout(kind, Variant(deliverable.color == "baked", out, deliverable.encoding))


def variant_encoding(reel: Reel, variant: Variant) -> ColorEncoding:
    """What the delivered codes mean."""
    if variant.encoding:
        return encoding(variant.encoding, reel=reel.id)
    return reel_encoding(reel)


def _check_encoding(reel: Reel, deliverable: Deliverable, kind: str) -> None:
    """raises: ConfigError for integers as EXR and the like without a change of encoding, and for
    a change of encoding that the headers of the scan would go on denying."""
    floating = reel.format.sample is not SampleType.UINT
    if not deliverable.encoding:
        if floating != (kind == "exr"):
            raise ConfigError(
                f"deliver {deliverable.name}: {kind} cannot hold {reel.format} "
                "without a change of encoding",
                reel=reel.id,
                hint="use format = 'source', or say which: deliver.encoding = 'linear'",
            )
        return
    encoding(deliverable.encoding, reel=reel.id)
    if kind in ("dpx", reel.kind):
        raise ConfigError(
            f"deliver {deliverable.name}: headers of {kind} frames would still name the encoding "
            "of the scan",
            reel=reel.id,
            hint="deliver exr, tiff, png or a movie in another encoding",
        )


def _check_movie(reel: Reel, deliverable: Deliverable, kind: str, out: PictureFormat) -> None:
    """raises: ConfigError for a size, or a sound, that this kind of movie cannot hold."""
    try:
        codec = codec_named(kind, out, MOVIES[kind])
    except InputError as error:
        raise ConfigError(
            f"deliver {deliverable.name}: {error.what}", reel=reel.id, hint=error.hint
        ) from error
    if reel.kind == "movie" and reel.facts.get("sound"):
        first = reel.frames[0]
        unfit = _unfit(first.path, first.mtime_ns, codec.container)
        if unfit:
            raise ConfigError(
                f"deliver {deliverable.name}: {unfit[0]}",
                reel=reel.id,
                hint="set reels.sound = false to deliver without, or deliver another format",
            )


@lru_cache(maxsize=64)
def _unfit(path: Path, mtime_ns: int, container: str) -> tuple[str, ...]:
    """Layouts are made for every shot; the movie is looked into once."""
    del mtime_ns
    return tuple(streams_that_do_not_fit(path, container))


def frame_name(reel: Reel, deliverable: Deliverable, number: int, suffix: str) -> str:
    """``<reel>.0086400.dpx``, or the scan's own name with the new ending."""
    if deliverable.names == "source" and reel.kind != "movie":
        frame = reel.frame(number)
        if frame.scanned:
            return frame.path.stem + suffix
        return _numbered_like(frame.path.stem, number) + suffix
    return f"{reel.id}.{number:07d}{suffix}"


def _numbered_like(stem: str, number: int) -> str:
    """The name a missing frame would have had: another frame's, with its own number."""
    found = re.fullmatch(r"(.*?)(\d+)(\D*)", stem)
    if found is None:
        return f"{stem}.{number:07d}"
    return f"{found[1]}{number:0{len(found[2])}d}{found[3]}"
