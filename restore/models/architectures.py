"""The architectures that weights may be for: their settings, their view of space and time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from torch import nn

from media.errors import ModelRefused
from restore.models import basicsr_bridge as basicsr

Setting = int | bool | tuple[int, ...]
Settings = Mapping[str, Setting]


class Time(Enum):
    """How many frames a network looks at."""

    FRAME = "frame"
    """One frame in, the same frame out."""
    WINDOW = "window"
    """A fixed number of frames in, the middle one out: exact."""
    SEQUENCE = "sequence"
    """Recurrent over all it is given: a start costs some frames of warm-up, and leaves a seam."""


@dataclass(frozen=True)
class Architecture:
    """One network of basicsr, and what the executor must know of it."""

    name: str
    basicsr_name: str
    settings: Settings
    """Every setting with its default."""
    scales: tuple[int, ...]
    time: Time
    build: Callable[[Settings, int], nn.Module]
    reach_px: Callable[[Settings], int]
    """Context each side that makes a tile exact, source px; -1 where none does."""
    last: str
    """Path of the convolution that paints the picture: its result is never rounded to half."""
    multiple_of: int = 1
    smallest_px: Mapping[int, int] = field(default_factory=dict)
    """By scale, where smaller pictures are refused; the executor pads."""
    exact: tuple[str, ...] = ()
    """Parts that must run in float32 altogether: motion is measured in fractions of a pixel."""


def _ints(value: Setting) -> tuple[int, ...]:
    if isinstance(value, int):
        return (int(value),)
    return tuple(value)


def _int(value: Setting) -> int:
    return _ints(value)[0]


ARCHITECTURES: Mapping[str, Architecture] = {
    a.name: a
    for a in (
        Architecture(
            name="srvgg",
            basicsr_name="SRVGGNetCompact",
            settings={"features": 64, "layers": 16},
            scales=(1, 2, 4),
            time=Time.FRAME,
            build=lambda s, x: basicsr.srvgg(_int(s["features"]), _int(s["layers"]), x),
            reach_px=lambda s: _int(s["layers"]) + 2,
            last="body.-1",
        ),
        Architecture(
            name="rrdb",
            basicsr_name="RRDBNet",
            settings={"features": 64, "blocks": 23, "growth": 32},
            # x2 folds the picture first, which ties its tiles to even pixels.
            scales=(2, 4),
            time=Time.FRAME,
            build=lambda s, x: basicsr.rrdb(
                _int(s["features"]), _int(s["blocks"]), _int(s["growth"]), x
            ),
            # Fifteen convolutions in each block, two around them and a few pixels of the larger
            # picture; twice that where it is folded.
            reach_px=lambda s: 2 * (15 * _int(s["blocks"]) + 6),
            last="conv_last",
            multiple_of=2,
        ),
        Architecture(
            name="swinir",
            basicsr_name="SwinIR",
            settings={
                "features": 60,
                "depths": (6, 6, 6, 6),
                "heads": (6, 6, 6, 6),
                "window": 8,
            },
            scales=(1, 2, 4),
            time=Time.FRAME,
            build=lambda s, x: basicsr.swinir(
                _int(s["features"]), _ints(s["depths"]), _ints(s["heads"]), _int(s["window"]), x
            ),
            # Each layer sees one window on, each group and the ends some convolutions more.
            reach_px=lambda s: (
                _int(s["window"]) * (sum(_ints(s["depths"])) + len(_ints(s["depths"])) + 2)
            ),
            last="conv_last",
            multiple_of=8,
            smallest_px={1: 8, 2: 8, 4: 8},
        ),
        Architecture(
            name="edvr",
            basicsr_name="EDVR",
            settings={
                "features": 64,
                "frames": 5,
                "groups": 8,
                "blocks": 10,
                "attention": True,
            },
            scales=(4,),
            time=Time.WINDOW,
            build=lambda s, _: basicsr.edvr(
                _int(s["features"]),
                _int(s["frames"]),
                _int(s["groups"]),
                _int(s["blocks"]),
                bool(s["attention"]),
            ),
            reach_px=lambda _: -1,
            last="conv_last",
            multiple_of=4,
            smallest_px={4: 16},
        ),
        Architecture(
            name="basicvsr",
            basicsr_name="BasicVSR",
            settings={"features": 64, "blocks": 30},
            scales=(4,),
            time=Time.SEQUENCE,
            build=lambda s, _: basicsr.basicvsr(_int(s["features"]), _int(s["blocks"])),
            reach_px=lambda _: -1,
            last="conv_last",
            # Its flow folds the picture five times.
            smallest_px={4: 33},
            exact=("spynet",),
        ),
        Architecture(
            name="basicvsr++",
            basicsr_name="BasicVSRPlusPlus",
            settings={"features": 64, "blocks": 7},
            scales=(1, 4),
            time=Time.SEQUENCE,
            build=lambda s, x: basicsr.basicvsr_plus_plus(
                _int(s["features"]), _int(s["blocks"]), x
            ),
            reach_px=lambda _: -1,
            last="conv_last",
            multiple_of=4,
            smallest_px={1: 256, 4: 64},
            exact=("spynet",),
        ),
    )
}


def architecture(name: str) -> Architecture:
    """By our name or by basicsr's. raises: ModelRefused naming those there are."""
    for known in ARCHITECTURES.values():
        if name in (known.name, known.basicsr_name):
            return known
    raise ModelRefused(
        f"architecture {name!r} is not known", hint="known: " + ", ".join(ARCHITECTURES)
    )


def complete(known: Architecture, given: Settings) -> dict[str, Setting]:
    """Every setting of an architecture, with those given in place of the defaults.

    raises: ModelRefused for a setting it does not have, or one that is no positive number.
    """
    for name, value in given.items():
        if name not in known.settings:
            raise ModelRefused(
                f"{known.name} has no setting {name!r}", hint="known: " + ", ".join(known.settings)
            )
        like = known.settings[name]
        if not _alike(value, like) or (not isinstance(like, bool) and min(_ints(value)) < 1):
            raise ModelRefused(
                f"{known.name}: {name} = {value!r} does not fit",
                hint=f"it is like {known.settings[name]!r}",
            )
    return {**known.settings, **given}


def _alike(value: Setting, like: Setting) -> bool:
    """Of one kind: yes or no, a number, or numbers, as many as are wanted."""
    if isinstance(value, tuple) and isinstance(like, tuple):
        return len(value) > 0 and not any(isinstance(v, bool) for v in value)
    return type(value) is type(like)
