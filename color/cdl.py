"""The ASC CDL: slope, offset, power per channel, then saturation.

Every value here acts on film log (Cineon printing density, 1.0 = code 1023, see
``media.encoding``). A scan keeps its values outside 0..1, so the baked transform never clamps;
the clamped form exists to compare with other implementations.

Source: ASC Color Decision List v1.2; OpenColorIO 2.6 ``CDL_ASC`` and ``CDL_NO_CLAMP``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from media.errors import ConfigError

Triple = tuple[float, float, float]

LUMA_WEIGHTS: Triple = (0.2126, 0.7152, 0.0722)
"""Rec.709 whatever the working primaries: the standard fixes them."""
PRINTER_POINT_LOG = 12.5 / 1023.0
"""One printer point in film log; the number of ``media.encoding.PRINTER_POINT``, restated so
that solving needs no torch (a test holds the two together)."""
LAD_LOG = 445.0 / 1023.0
"""The middle grey of the Laboratory Aim Density system. Source: Kodak H-387."""
FILE_DECIMALS = 6
MOST_SLOPE = MOST_OFFSET = MOST_POWER = MOST_SATURATION = 10.0
LEAST_POWER = 0.1
"""What a person's CDL may hold: slope and saturation 0 to 10, offset -10 to 10 in film log, power
0.1 to 10. No grade comes near: film log holds all of a film in 0..1, and cdl-convert already
warns outside 0.1 to 3 and an offset of 1. Inside, single precision cannot overflow: codes of a
16-bit density scan reach 4, and (4 * 10 + 10) ** 10 * 10 is 1e18."""


@dataclass(frozen=True, slots=True)
class CDL:
    """One color decision. The defaults are the identity.

    raises: ConfigError for slope < 0, power <= 0, saturation < 0, or anything not finite.
    """

    slope: Triple = (1.0, 1.0, 1.0)
    offset: Triple = (0.0, 0.0, 0.0)
    """Film log units, added after slope."""
    power: Triple = (1.0, 1.0, 1.0)
    saturation: float = 1.0

    def __post_init__(self) -> None:
        for name, values in (("slope", self.slope), ("offset", self.offset), ("power", self.power)):
            if not all(math.isfinite(v) for v in values):
                raise ConfigError(
                    f"CDL {name} {values} is not three finite numbers",
                    hint="give red, green and blue",
                )
        if min(self.slope) < 0.0:
            raise ConfigError(f"CDL slope {self.slope} is negative", hint="slope must be >= 0")
        if min(self.power) <= 0.0:
            raise ConfigError(f"CDL power {self.power} is not positive", hint="power must be > 0")
        if not math.isfinite(self.saturation) or self.saturation < 0.0:
            raise ConfigError(
                f"CDL saturation {self.saturation} is not usable", hint="saturation must be >= 0"
            )

    def is_identity(self) -> bool:
        """True when it moves no value at all (unclamped)."""
        return self == IDENTITY

    def rounded(self, decimals: int = FILE_DECIMALS) -> CDL:
        """The numbers a file holds, so that what is baked equals what is written."""

        def three(values: Triple, floor: float = -math.inf) -> Triple:
            # + 0.0 turns -0.0 into 0.0, which some EDL readers show as a change.
            r, g, b = (max(round(v, decimals), floor) + 0.0 for v in values)
            return (r, g, b)

        return CDL(
            three(self.slope),
            three(self.offset),
            three(self.power, 10.0**-decimals),
            round(self.saturation, decimals) + 0.0,
        )

    def printer_points(self) -> Triple:
        """How far the laboratory aim grey (code 445) moves, in printer points per channel.

        Positive raises the scan's code values. More printer light darkens a print, so on a
        negative scan one point of added light is minus one here. With slope and power 1 this is
        the offset.
        """
        grey = LAD_LOG * np.array(self.slope) + np.array(self.offset)
        moved = np.maximum(grey, 1e-6) ** np.array(self.power) - LAD_LOG
        return triple(moved / PRINTER_POINT_LOG)

    def as_list(self) -> list[float]:
        """Ten numbers: slope, offset, power, saturation."""
        return [*self.slope, *self.offset, *self.power, self.saturation]


IDENTITY = CDL()


def given_cdl(cdl: CDL, name: str) -> CDL:
    """A CDL that a person gave, unless its numbers are beyond any grade.

    name: whose it is, for the message.
    raises: ConfigError that names the value and what it may be.
    """
    for what, values, least, most in (
        ("slope", cdl.slope, 0.0, MOST_SLOPE),
        ("offset", cdl.offset, -MOST_OFFSET, MOST_OFFSET),
        ("power", cdl.power, LEAST_POWER, MOST_POWER),
        ("saturation", (cdl.saturation,), 0.0, MOST_SATURATION),
    ):
        for value in values:
            if not least <= value <= most:
                raise ConfigError(
                    f"{name}: a {what} of {value:g} is no grade",
                    hint=f"{what} may be {least:g} to {most:g}, on film log; check the file, and "
                    "that its decision was made in a log space",
                )
    return cdl


def triple(values: NDArray[np.float64]) -> Triple:
    """Three plain floats from a (3,) array."""
    r, g, b = (float(v) for v in values)
    return (r, g, b)


def apply_cdl(values: NDArray[np.float64], cdl: CDL, *, clamp: bool) -> NDArray[np.float64]:
    """The reference arithmetic. values: (..., 3) film log; float64 of the same shape out.

    clamp: True is ASC v1.2 (clamped to 0..1 before power and at the end), False is what is
    baked: negative values pass the power step unchanged and NaN becomes 0 there.
    """
    v = np.asarray(values, dtype=np.float64) * np.array(cdl.slope) + np.array(cdl.offset)
    if clamp:
        v = np.clip(v, 0.0, 1.0)
    powered = np.power(np.maximum(v, 0.0), np.array(cdl.power))
    v = np.where(np.isnan(v), 0.0, np.where(v < 0.0, v, powered))
    if cdl.saturation != 1.0:
        luma = (v @ np.array(LUMA_WEIGHTS))[..., None]
        v = luma + cdl.saturation * (v - luma)
    return np.asarray(np.clip(v, 0.0, 1.0) if clamp else v, dtype=np.float64)


def interpolate(a: CDL, b: CDL, t: float) -> CDL:
    """Parameter by parameter from ``a`` (t = 0, exactly) to ``b`` (t = 1, exactly).

    With power and saturation 1 the mix of the parameters is the mix of the pictures, which
    is what a dissolve printed from two graded shots shows.
    """
    if t <= 0.0 or a == b:
        return a
    if t >= 1.0:
        return b

    def mix(p: Triple, q: Triple) -> Triple:
        r, g, bl = ((1.0 - t) * x + t * y for x, y in zip(p, q, strict=True))
        return (r, g, bl)

    return CDL(
        mix(a.slope, b.slope),
        mix(a.offset, b.offset),
        mix(a.power, b.power),
        (1.0 - t) * a.saturation + t * b.saturation,
    )


def saturation_matrix(saturation: float) -> NDArray[np.float64]:
    """(3, 3) matrix of the saturation step: ``M @ rgb``. ``M(a) @ M(b) == M(a * b)``."""
    return saturation * np.eye(3) + (1.0 - saturation) * np.tile(np.array(LUMA_WEIGHTS), (3, 1))


def compose(first: CDL, second: CDL) -> CDL:
    """The one CDL equal to ``first`` then ``second``, unclamped.

    Exact where one is the identity, or both have power 1 and either ``first`` keeps
    saturation 1 or ``second`` has one slope for all channels.
    raises: ConfigError where no single CDL does the same.
    """
    if first.is_identity():
        return second
    if second.is_identity():
        return first
    if {*first.power, *second.power} != {1.0}:
        raise ConfigError("two CDLs with power do not make one CDL", hint="set power to 1")
    s1, o1 = np.array(first.slope), np.array(first.offset)
    s2, o2 = np.array(second.slope), np.array(second.offset)
    if first.saturation != 1.0:
        if len(set(second.slope)) != 1 or first.saturation < 1e-6:
            raise ConfigError(
                "a saturation change followed by unequal slopes is not one CDL",
                hint="use one slope for all channels in the balance, or saturation 1 in the match",
            )
        # Move the second offset in front of the first saturation step.
        o2 = saturation_matrix(1.0 / first.saturation) @ o2
    return CDL(
        triple(s1 * s2),
        triple(o1 * s2 + o2),
        (1.0, 1.0, 1.0),
        first.saturation * second.saturation,
    )
