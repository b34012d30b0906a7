"""Declared color encodings, and the three domains operators work in.

The bridge between encodings is one *film log*: Cineon printing density, where 1.0 is 10-bit
code 1023, black sits at 95, 90 % white at 685, one density unit is 500 codes and one decade
of scene light is 300 codes (density 0.002 a code, negative gamma 0.6). For scans that are film
densities already (``cineon``, ``adx10``, ``print_density``) it is the identity, so their code
values pass through untouched.

Constants: Kodak H-387; SMPTE ST 268 default densities; ADX10 and ADX16 per SMPTE ST 2065-3.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

from media.errors import EncodingUndeclared

CODES = 1023.0
BLACK_CODE, WHITE_CODE = 95.0, 685.0
CODES_PER_DECADE = 300.0
CODES_PER_DENSITY = 500.0
STOP = CODES_PER_DECADE * math.log10(2.0) / CODES
"""One stop of scene exposure in film log units (90.31 codes of 1023)."""
PRINTER_POINT = 12.5 / CODES
"""One printer point (0.025 log E) in film log units."""

_OFFSET: float = 10.0 ** ((BLACK_CODE - WHITE_CODE) / CODES_PER_DECADE)
_LN10 = math.log(10.0)
# The curve has a pole at light = -_OFFSET/(1-_OFFSET). Below film code 0 it continues as
# its tangent, so every finite light value (scene-linear EXR goes negative) stays finite and
# the way back is exact.
_TOE_LIGHT = 10.0 ** ((0.0 - WHITE_CODE) / CODES_PER_DECADE)
_TOE_SLOPE = CODES_PER_DECADE / (CODES * _LN10 * _TOE_LIGHT)


class Domain(StrEnum):
    """What a pixel value means to an operator."""

    LOG_DENSITY = "log_density"
    """Film log: additive in stops and in printer points."""
    SCENE_LINEAR = "scene_linear"
    """Proportional to scene light; 1.0 is 90 % white."""
    DISPLAY = "display"
    """Rec.709 camera curve, 0..1 nominal: what networks trained on video expect."""


def light_to_log(light: Tensor) -> Tensor:
    """Scene-linear light (1.0 = white) to film log. Any shape, float; nothing is clipped."""
    x = light * (1.0 - _OFFSET) + _OFFSET
    log = (WHITE_CODE + CODES_PER_DECADE * torch.log10(x.clamp_min(_TOE_LIGHT))) / CODES
    return torch.where(x < _TOE_LIGHT, (x - _TOE_LIGHT) * _TOE_SLOPE, log)


def log_to_light(log: Tensor) -> Tensor:
    """Film log to scene-linear light; inverse of ``light_to_log``."""
    curve = torch.pow(10.0, (log.clamp_min(0.0) * CODES - WHITE_CODE) / CODES_PER_DECADE)
    x = torch.where(log < 0.0, log / _TOE_SLOPE + _TOE_LIGHT, curve)
    return (x - _OFFSET) / (1.0 - _OFFSET)


def rec709_encode(light: Tensor) -> Tensor:
    """ITU-R BT.709 camera curve, odd-symmetric below zero. Any shape, float."""
    a = light.abs()
    v = torch.where(a < 0.018, 4.5 * a, 1.099 * a.clamp_min(0.018).pow(0.45) - 0.099)
    return torch.copysign(v, light)


def rec709_decode(value: Tensor) -> Tensor:
    """Inverse of ``rec709_encode``."""
    a = value.abs()
    x = torch.where(a < 0.081, a / 4.5, ((a.clamp_min(0.081) + 0.099) / 1.099).pow(1.0 / 0.45))
    return torch.copysign(x, value)


def _srgb_encode(light: Tensor) -> Tensor:
    a = light.abs()
    v = torch.where(a <= 0.0031308, 12.92 * a, 1.055 * a.clamp_min(0.0031308).pow(1 / 2.4) - 0.055)
    return torch.copysign(v, light)


def _srgb_decode(value: Tensor) -> Tensor:
    a = value.abs()
    x = torch.where(a <= 0.04045, a / 12.92, ((a.clamp_min(0.04045) + 0.055) / 1.055).pow(2.4))
    return torch.copysign(x, value)


def _gamma_encode(light: Tensor) -> Tensor:
    return torch.copysign(light.abs().pow(1 / 2.4), light)


def _gamma_decode(value: Tensor) -> Tensor:
    return torch.copysign(value.abs().pow(2.4), value)


# ADX16 D = (code - 1520) / 8000 against film log D = (code - 95) / 500.
_ADX16_SCALE = 65535.0 / 8000.0 * CODES_PER_DENSITY / CODES
_ADX16_SHIFT = (BLACK_CODE - 1520.0 / 8000.0 * CODES_PER_DENSITY) / CODES


@dataclass(frozen=True, slots=True)
class ColorEncoding:
    """A declared meaning of code values (normalised: full scale = 1.0)."""

    name: str
    title: str
    to_log: Callable[[Tensor], Tensor]
    """Normalised code values to film log."""
    from_log: Callable[[Tensor], Tensor]
    film: bool
    """True when codes are film densities: film log is the code itself."""


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
        ColorEncoding("srgb", "sRGB", *_through(_srgb_decode, _srgb_encode), False),
        ColorEncoding(
            "gamma24", "display gamma 2.4", *_through(_gamma_decode, _gamma_encode), False
        ),
    )
}

ENCODING_NAMES = tuple(_ENCODINGS)


def encoding(name: str, *, reel: str | None = None) -> ColorEncoding:
    """The declared encoding of this name.

    raises: EncodingUndeclared for an empty or unknown name; nothing is guessed from headers.
    """
    found = _ENCODINGS.get(name)
    if found is None:
        what = f"color encoding {name!r} is not known" if name else "no color encoding is declared"
        raise EncodingUndeclared(
            what,
            reel=reel,
            hint="set reels.encoding in the project, or --encoding, to one of "
            + ", ".join(ENCODING_NAMES),
        )
    return found


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
