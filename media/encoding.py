"""Declared color encodings, and the three domains operators work in.

The bridge between encodings is one *film log*: Cineon printing density, where 1.0 is 10-bit
code 1023, black sits at 95, 90 % white at 685, one density unit is 500 codes and one decade
of scene light is 300 codes (density 0.002 a code, negative gamma 0.6). For scans that are film
densities already (``cineon``, ``adx10``, ``print_density``) it is the identity, so their code
values pass through untouched.

Constants: Kodak H-387; SMPTE ST 268 default densities; ADX10 and ADX16 per SMPTE ST 2065-3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from torch import Tensor

from media.curves import (
    BLACK_CODE,
    CODES,
    CODES_PER_DECADE,
    CODES_PER_DENSITY,
    PRINTER_POINT,
    STOP,
    WHITE_CODE,
    acescct_decode,
    acescct_encode,
    gamma24_decode,
    gamma24_encode,
    light_to_log,
    log_to_light,
    rec709_decode,
    rec709_encode,
    srgb_decode,
    srgb_encode,
)
from media.errors import EncodingUndeclared
from media.ocio import ocio_curves
from media.reel import Reel

__all__ = [
    "BLACK_CODE",
    "CODES",
    "CODES_PER_DECADE",
    "CODES_PER_DENSITY",
    "ENCODING_NAMES",
    "PRINTER_POINT",
    "STOP",
    "WHITE_CODE",
    "ColorEncoding",
    "Domain",
    "convert",
    "encoding",
    "light_to_log",
    "log_to_light",
    "rec709_decode",
    "rec709_encode",
    "reel_encoding",
    "with_levels",
]


class Domain(StrEnum):
    """What a pixel value means to an operator."""

    LOG_DENSITY = "log_density"
    """Film log: additive in stops and in printer points."""
    SCENE_LINEAR = "scene_linear"
    """Proportional to scene light; 1.0 is 90 % white."""
    DISPLAY = "display"
    """Rec.709 camera curve, 0..1 nominal: what networks trained on video expect."""


# ADX16 D = (code - 1520) / 8000 against film log D = (code - 95) / 500.
_ADX16_SCALE = 65535.0 / 8000.0 * CODES_PER_DENSITY / CODES
_ADX16_SHIFT = (BLACK_CODE - 1520.0 / 8000.0 * CODES_PER_DENSITY) / CODES


@dataclass(frozen=True, slots=True)
class ColorEncoding:
    """A declared meaning of code values (normalised: full scale = 1.0)."""

    name: str
    title: str
    to_log: Callable[[Tensor], Tensor]
    """Normalised code values to film log, both (..., C, H, W)."""
    from_log: Callable[[Tensor], Tensor]
    film: bool
    """True when codes are film densities: film log is the code itself."""
    key: str = ""
    """What identifies the curves beside the name: empty for those defined here."""
    mixes: bool = False
    """True when channels may be mixed: then no table of single codes can stand for it."""


def _same(x: Tensor) -> Tensor:
    return x


def _through(
    decode: Callable[[Tensor], Tensor], encode: Callable[[Tensor], Tensor]
) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    return (lambda v: light_to_log(decode(v)), lambda v: encode(log_to_light(v)))


_ENCODINGS = {
    e.name: e
    for e in (
        ColorEncoding("cineon", "Cineon log, 10-bit printing density", _same, _same, True),
        ColorEncoding("adx10", "ACES ADX10 film densities", _same, _same, True),
        ColorEncoding("print_density", "SMPTE 268 printing density", _same, _same, True),
        ColorEncoding(
            "adx16",
            "ACES ADX16 film densities",
            lambda v: v * _ADX16_SCALE + _ADX16_SHIFT,
            lambda v: (v - _ADX16_SHIFT) / _ADX16_SCALE,
            True,
        ),
        ColorEncoding("linear", "scene-linear light", *_through(_same, _same), False),
        ColorEncoding(
            "rec709", "Rec.709 camera curve", *_through(rec709_decode, rec709_encode), False
        ),
        ColorEncoding("srgb", "sRGB", *_through(srgb_decode, srgb_encode), False),
        ColorEncoding(
            "gamma24", "display gamma 2.4", *_through(gamma24_decode, gamma24_encode), False
        ),
        ColorEncoding(
            "bt1886", "ITU-R BT.1886 display", *_through(gamma24_decode, gamma24_encode), False
        ),
        ColorEncoding("acescct", "ACEScct", *_through(acescct_decode, acescct_encode), False),
    )
}

ENCODING_NAMES = tuple(_ENCODINGS)


def encoding(name: str, *, reel: str | None = None) -> ColorEncoding:
    """The declared encoding of this name.

    ``ocio:<color space>`` takes any color space of an OpenColorIO config, see ``media.ocio``.
    raises: EncodingUndeclared for an empty or unknown name; nothing is guessed from headers.
    """
    found = _ENCODINGS.get(name)
    if found is None and name.startswith("ocio:"):
        to_light, from_light, key = ocio_curves(name, reel=reel)
        return ColorEncoding(name, name, *_through(to_light, from_light), False, key, mixes=True)
    if found is None:
        what = f"color encoding {name!r} is not known" if name else "no color encoding is declared"
        raise EncodingUndeclared(
            what,
            reel=reel,
            hint="set reels.encoding in the project, or --encoding, to one of "
            + ", ".join(ENCODING_NAMES)
            + ", or ocio:<color space>",
        )
    return found


def with_levels(space: ColorEncoding, levels: str, bits: int) -> ColorEncoding:
    """The encoding as it reads when black and white lie at video levels.

    levels: ``full`` (0 to full scale: the encoding itself) or ``limited`` (SMPTE levels 64 to
    940 in 10 bits, and the same share of full scale times 2**bits in others). Codes outside
    keep their meaning: nothing is clipped. bits: of an integer source.
    """
    if levels != "limited":
        return space
    top = float((1 << bits) - 1)
    unit = float(1 << (bits - 8))
    black, span = 16 * unit / top, 219 * unit / top
    return ColorEncoding(
        space.name,
        f"{space.title}, limited range",
        lambda v: space.to_log((v - black) / span),
        lambda v: space.from_log(v) * span + black,
        False,
        f"{space.key} limited {bits}",
        mixes=space.mixes,
    )


def convert(pixels: Tensor, source: Domain, target: Domain) -> Tensor:
    """Between operator domains. Same shape and dtype; the identity returns the same tensor."""
    if source is target:
        return pixels
    light = {
        Domain.LOG_DENSITY: log_to_light,
        Domain.SCENE_LINEAR: _same,
        Domain.DISPLAY: rec709_decode,
    }[source](pixels)
    return {
        Domain.LOG_DENSITY: light_to_log,
        Domain.SCENE_LINEAR: _same,
        Domain.DISPLAY: rec709_encode,
    }[target](light)


def reel_encoding(reel: Reel) -> ColorEncoding:
    """The encoding of a reel's code values, video levels taken into account."""
    return with_levels(encoding(reel.encoding, reel=reel.id), reel.levels, reel.format.bits)
