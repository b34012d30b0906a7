"""Transfer curves between code values and scene light, and film log between them.

Each is invertible over all finite numbers: below its black a curve goes on as its own odd mirror
or tangent, so nothing is clipped on the way in and the way back is exact.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

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


def srgb_encode(light: Tensor) -> Tensor:
    """IEC 61966-2-1 curve, odd-symmetric below zero. Any shape, float."""
    a = light.abs()
    v = torch.where(a <= 0.0031308, 12.92 * a, 1.055 * a.clamp_min(0.0031308).pow(1 / 2.4) - 0.055)
    return torch.copysign(v, light)


def srgb_decode(value: Tensor) -> Tensor:
    """Inverse of ``srgb_encode``."""
    a = value.abs()
    x = torch.where(a <= 0.04045, a / 12.92, ((a.clamp_min(0.04045) + 0.055) / 1.055).pow(2.4))
    return torch.copysign(x, value)


def gamma24_encode(light: Tensor) -> Tensor:
    """ITU-R BT.1886 with black at zero: a pure power of 2.4, odd-symmetric below zero."""
    return torch.copysign(light.abs().pow(1 / 2.4), light)


def gamma24_decode(value: Tensor) -> Tensor:
    """Inverse of ``gamma24_encode``."""
    return torch.copysign(value.abs().pow(2.4), value)


_CCT_SLOPE, _CCT_OFFSET = 10.5402377416545, 0.0729055341958355
_CCT_LIGHT, _CCT_VALUE = 0.0078125, 0.155251141552511


def acescct_encode(light: Tensor) -> Tensor:
    """ACEScct (S-2016-001): log above 0.0078125, a straight toe below, negative light included."""
    log = (torch.log2(light.clamp_min(_CCT_LIGHT)) + 9.72) / 17.52
    return torch.where(light <= _CCT_LIGHT, _CCT_SLOPE * light + _CCT_OFFSET, log)


def acescct_decode(value: Tensor) -> Tensor:
    """Inverse of ``acescct_encode``."""
    light = torch.exp2(value.clamp_min(_CCT_VALUE) * 17.52 - 9.72)
    return torch.where(value <= _CCT_VALUE, (value - _CCT_OFFSET) / _CCT_SLOPE, light)
