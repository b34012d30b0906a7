"""How large a reel's pictures are delivered, and which enlargement leads there.

A size that is not two or four times the scan's is reached from twice the scan by one resample more
(``restore.upscale.fit``), or from what a model makes; docs/decisions/013.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from media.errors import ConfigError, ModelRefused
from media.reel import PictureFormat
from wetgate.config import Project
from wetgate.upscale_model import model_card

MOST = 4
"""Times the scan."""


@dataclass(frozen=True, slots=True)
class Size:
    """Of the pictures of one reel: as scanned, as enlarged, as delivered. Height, then width."""

    scan_px: tuple[int, int]
    factor: int
    """Of the enlargement: 1, 2 or 4."""
    out_px: tuple[int, int]

    @property
    def enlarged_px(self) -> tuple[int, int]:
        """What the enlargement makes, before it is brought to the delivered size."""
        return self.scan_px[0] * self.factor, self.scan_px[1] * self.factor

    @property
    def fitted(self) -> bool:
        """Is one resample more needed?"""
        return self.enlarged_px != self.out_px

    @property
    def smaller(self) -> bool:
        """Does the result hold less than the scan?"""
        return self.out_px[0] < self.scan_px[0] or self.out_px[1] < self.scan_px[1]

    @property
    def ratio(self) -> float:
        """Delivered over scanned, by width."""
        return self.out_px[1] / self.scan_px[1]

    @property
    def area(self) -> float:
        """Pixels delivered for each of the scan."""
        return self.out_px[0] * self.out_px[1] / (self.scan_px[0] * self.scan_px[1])

    @property
    def text(self) -> str:
        """``150 x 100, enlarged 2 times and brought to that size``; empty where nothing changes."""
        if self.out_px == self.scan_px:
            return ""
        how = f"enlarged {self.factor} times" if self.factor > 1 else "made smaller"
        if self.factor > 1 and self.fitted:
            how += " and brought to that size"
        return f"{self.out_px[1]} x {self.out_px[0]}, {how}"

    @property
    def word(self) -> str:
        """``x1.875``, for names of work that costs alike; empty where nothing changes."""
        return "" if self.out_px == self.scan_px else f"x{self.ratio:.4g}"


def size_of(project: Project, scan: PictureFormat, reel: str = "") -> Size:
    """What the project asks for a reel of this format.

    raises: ConfigError for a size that is smaller or too large or another shape than the scan;
    ModelRefused for a model that enlarges less than that.
    """
    options = project.restore.upscale
    scan_px = (scan.height, scan.width)
    if not options.enabled:
        return Size(scan_px, 1, scan_px)
    out_px = _asked(project, scan, reel)
    least = min(Fraction(out, own) for out, own in zip(out_px, scan_px, strict=True))
    asked = f"restore.upscale asks for {out_px[1]}x{out_px[0]}, the scan is {_shape(scan)}"
    if least > MOST:
        raise ConfigError(
            f"{asked}: {float(least):.3g} times as large, and {MOST} times is the most",
            reel=reel or None,
            hint=f"ask for {MOST * scan.width}x{MOST * scan.height} or less",
        )
    smaller = Size(scan_px, 1, out_px).smaller
    if smaller and options.smaller == "refuse":
        raise ConfigError(
            f"{asked}: the result would hold less than the scan",
            reel=reel or None,
            hint="set restore.upscale.smaller = 'reduce' if that is meant",
        )
    factor = _factor(out_px, scan_px, least)
    if options.method == "network":
        if factor == 1:
            raise ConfigError(
                f"{asked}: restore.upscale.method = 'network' would run no model",
                reel=reel or None,
                hint="use method = 'lanczos', or ask for a larger picture",
            )
        factor = _of_model(project, 2 if least <= 2 else 4, asked, reel)
    return Size(scan_px, factor, out_px)


def _factor(out_px: tuple[int, int], scan_px: tuple[int, int], least: Fraction) -> int:
    """By which kernels enlarge. Four times is no better than twice on the way to less than that,
    for two to four times the time and four times the memory."""
    if least <= 1:
        return 1
    return 4 if out_px == (4 * scan_px[0], 4 * scan_px[1]) else 2


def enlarges(project: Project) -> bool:
    """May any reel come out larger? Of one whose scan is as large as what is asked for, no."""
    options = project.restore.upscale
    return options.enabled and options.whole != 1


def _asked(project: Project, scan: PictureFormat, reel: str) -> tuple[int, int]:
    """Height and width. A side that follows is whole where the scan's shape makes it so, else
    even."""
    options = project.restore.upscale
    width, height = options.width, options.height
    if not (width or height):
        factor = Fraction(options.asked)
        return _side(scan.height, factor), _side(scan.width, factor)
    if not height:
        return _side(scan.height, Fraction(width, scan.width)), width
    if not width:
        return height, _side(scan.width, Fraction(height, scan.height))
    tall, wide = Fraction(width, scan.width), Fraction(height, scan.height)
    if min(abs(tall * scan.height - height), abs(wide * scan.width - width)) > 1:
        raise ConfigError(
            f"restore.upscale asks for {width}x{height}, the scan is {_shape(scan)}: "
            "the picture would be stretched",
            reel=reel or None,
            hint=f"give one of both: width = {width} makes {width}x{_side(scan.height, tall)}, "
            f"height = {height} makes {_side(scan.width, wide)}x{height}; pixels keep the shape "
            "they have in the scan",
        )
    return height, width


def _side(own: int, ratio: Fraction) -> int:
    """A side that follows: whole multiples as they are, everything else to the nearest even."""
    if ratio.denominator == 1:
        return own * ratio.numerator
    return max(2 * math.floor(own * ratio / 2 + Fraction(1, 2)), 1)


def _of_model(project: Project, factor: int, asked: str, reel: str) -> int:
    """What the model enlarges by: enough for what is asked, and more where it cannot do less."""
    card = model_card(project, factor)
    if card.scale < factor:
        raise ModelRefused(
            f"{asked}; model {card.name or card.path.name} enlarges {card.scale} times only",
            reel=reel or None,
            hint=f"name a model that enlarges {factor} times, or ask for a smaller picture",
        )
    return card.scale


def _shape(scan: PictureFormat) -> str:
    return f"{scan.width}x{scan.height}"
