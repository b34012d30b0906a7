"""AV1 film grain tables (``filmgrn1``): what an encoder tells decoders to lay on.

A table lists stretches of time with the strength of grain by luma and an auto-regressive filter
for its texture. Strengths and filter follow from what was measured; they hold for 8-bit Rec.709
codes (limited range, 4:2:0), in which aomenc and SVT-AV1 read them whatever the depth they encode.
Sources: AV1 Bitstream & Decoding Process Specification 7.18.3; libaom ``grain_table.c`` for the
file; Norkin and Birkbeck 2018.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch

from media.encoding import light_to_log, rec709_decode
from media.errors import InputError
from restore.grain.av1_filter import INNOVATION, LAG, Fit, fit_filters, halved, spread
from restore.grain.synth import F64, GrainLook, enlarged, root

TICKS_PER_S = 10_000_000
MAGIC = "filmgrn1"
Points = tuple[tuple[int, int], ...]
Graded = Callable[[F64], F64]
"""(N, C) film log of the scan to that of the result."""
_POINTS = 10
_STRENGTH_SHIFTS = (11, 10, 9, 8)
_MOST_STRENGTH = 255
_KERNEL_LAGS = 16
_STEPS = 12
_NUDGE = 1e-4
_REACH = (-0.3, 1.3)
"""Film log in which the scan is looked for."""
_GREY = (0.2126, 0.7152, 0.0722)
_MATRIX = np.array(
    [
        _GREY,
        [-_GREY[0] / 1.8556, -_GREY[1] / 1.8556, (1.0 - _GREY[2]) / 1.8556],
        [(1.0 - _GREY[0]) / 1.5748, -_GREY[1] / 1.5748, -_GREY[2] / 1.5748],
    ]
)
"""Rec.709: Y, Cb, Cr from R'G'B'."""
_SPAN = np.array([219.0, 224.0, 224.0])


@dataclass(frozen=True, slots=True)
class GrainEntry:
    """Grain of a stretch of time."""

    start_ticks: int
    """Ten-millionths of a second."""
    end_ticks: int
    seed: int
    """1..65535."""
    ar_shift: int
    """Filter taps are kept times 2 to the power of this."""
    scaling_shift: int
    """Strengths too."""
    grain_shift: int
    """The decoder's numbers are divided by 2 to the power of this before they are filtered."""
    points: tuple[Points, Points, Points]
    """Y, Cb, Cr: 8-bit luma and strength."""
    taps: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
    """24 of Y, 25 of Cb and Cr each, the last of these from luma."""

    def sigma(self, plane: int, luma: float) -> float:
        """8-bit codes: how strong the decoded grain of a plane is at a luma."""
        values, strengths = zip(*self.points[plane], strict=True)
        strength = float(np.interp(luma, values, strengths)) / 2.0**self.scaling_shift
        taps = np.array(self.taps[plane][:24]) / 2.0**self.ar_shift
        unit = INNOVATION / 2.0**self.grain_shift
        return strength * unit * float(np.sqrt(spread(taps)[0, 0]))

    def autocorrelation(self, plane: int) -> F64:
        """(8, 8) of the decoded grain, rows and columns apart, at the size of the plane."""
        whole = spread(np.array(self.taps[plane][:24]) / 2.0**self.ar_shift)
        found: F64 = whole[:8, :8] / whole[0, 0]
        return found


def texture(look: GrainLook, size: float) -> Fit:
    """The filters that come closest to the grain's own texture. size: of the picture over the
    scan, 1 or more."""
    return _texture(_lags(look, size).tobytes())


@lru_cache(maxsize=1024)
def _texture(lags_bytes: bytes) -> Fit:
    lags = np.frombuffer(lags_bytes).reshape(_KERNEL_LAGS, _KERNEL_LAGS)
    return fit_filters(lags, halved(lags))


def entry(
    look: GrainLook,
    share: float,
    size: float,
    seed: int,
    start_ticks: int,
    end_ticks: int,
    *,
    fit: Fit | None = None,
    graded: Graded | None = None,
) -> GrainEntry:
    """share: of the measured grain that decoders are to lay on. size: of the picture over the
    scan. fit: its ``texture``, where it is at hand. graded: what color does to the result.

    raises: OverflowError where grain is stronger than a table can say.
    """
    fit = texture(look, size) if fit is None else fit
    lags = _lags(look, size)
    video, sigma = _display_sigma(look, graded)
    # Chroma is kept at half the size: each sample is a mean of four.
    averaged = np.array([1.0, *[np.sqrt(lags[:2, :2].mean())] * 2])
    made = np.array([fit.sigma[0], fit.sigma[1], fit.sigma[1]])
    per_unit = sigma * (averaged * share / made)[:, None]
    shift = next((k for k in _STRENGTH_SHIFTS if per_unit.max() * 2.0**k <= _MOST_STRENGTH), None)
    if shift is None:
        most = 100.0 * per_unit.max() * 2.0 ** _STRENGTH_SHIFTS[-1] / _MOST_STRENGTH
        raise OverflowError(f"it is {most:.0f} % of the strongest that a table can say")
    strengths = np.rint(per_unit * 2.0**shift).astype(int)
    codes = np.rint(16.0 + 219.0 * video).astype(int)
    points = tuple(
        tuple((int(c), int(s)) for c, s in zip(codes, row, strict=True)) for row in strengths
    )
    luma, chroma = fit.taps
    return GrainEntry(
        start_ticks,
        end_ticks,
        1 + seed % 65535,
        fit.ar_shift,
        shift,
        fit.grain_shift,
        (points[0], points[1], points[2]),
        (luma, (*chroma, 0), (*chroma, 0)),
    )


def table_text(entries: Sequence[GrainEntry]) -> str:
    """The file."""
    lines = [MAGIC]
    for e in entries:
        lines.append(f"E {e.start_ticks} {e.end_ticks} 1 {e.seed} 1")
        # lag, tap shift, grain shift, strength shift, chroma from luma, overlap; then how the
        # strength of chroma is looked up: by luma alone.
        by_luma = "128 192 256"
        shifts = f"{e.ar_shift} {e.grain_shift} {e.scaling_shift}"
        lines.append(f"\tp {LAG} {shifts} 0 1 {by_luma} {by_luma}")
        for name, points in zip(("sY", "sCb", "sCr"), e.points, strict=True):
            lines.append(f"\t{name} {len(points)} " + " ".join(f"{v} {s}" for v, s in points))
        for name, taps in zip(("cY", "cCb", "cCr"), e.taps, strict=True):
            lines.append(f"\t{name} " + " ".join(str(t) for t in taps))
    return "\n".join(lines) + "\n"


def read_table(text: str) -> list[GrainEntry]:
    """Entries of a file. raises: InputError naming the line that is not as it should be."""
    lines = text.splitlines()
    if not lines or lines[0].strip() != MAGIC:
        raise InputError(f"this is no film grain table: it does not begin with {MAGIC}")
    found = []
    for at in range(1, len(lines), 8):
        try:
            found.append(_entry_of(lines[at : at + 8]))
        except (ValueError, IndexError) as error:
            raise InputError(
                f"film grain table, entry at line {at + 1}: {error}", hint="make the table again"
            ) from error
    return found


def _entry_of(lines: Sequence[str]) -> GrainEntry:
    names = ("E", "p", "sY", "sCb", "sCr", "cY", "cCb", "cCr")
    rows = {}
    for name, line in zip(names, lines, strict=True):
        head, *rest = line.split()
        if head != name:
            raise ValueError(f"{name} expected, {head} found")
        rows[name] = [int(v) for v in rest]
    if rows["p"][0] != LAG:
        raise ValueError(f"lag {LAG} expected, {rows['p'][0]} found")
    points = []
    for name in ("sY", "sCb", "sCr"):
        count, *values = rows[name]
        pairs = tuple(zip(values[::2], values[1::2], strict=True))
        if len(pairs) != count or any(a[0] >= b[0] for a, b in pairwise(pairs)):
            raise ValueError(f"{name}: {count} points of rising luma expected")
        points.append(pairs)
    for name, count in (("cY", 24), ("cCb", 25), ("cCr", 25)):
        if len(rows[name]) != count:
            raise ValueError(f"{name}: {count} taps expected, {len(rows[name])} found")
    start, end, _, seed, _ = rows["E"]
    return GrainEntry(
        start,
        end,
        seed,
        rows["p"][1],
        rows["p"][3],
        rows["p"][2],
        (points[0], points[1], points[2]),
        (tuple(rows["cY"]), tuple(rows["cCb"]), tuple(rows["cCr"])),
    )


def _lags(look: GrainLook, size: float) -> F64:
    """(16, 16) autocorrelation at the size of the picture, 0 beyond what was measured."""
    near = enlarged(look.autocorrelation, size)
    lags = np.zeros((_KERNEL_LAGS, _KERNEL_LAGS))
    kept = min(_KERNEL_LAGS, len(near))
    lags[:kept, :kept] = near[:kept, :kept]
    return lags


def _display_sigma(look: GrainLook, graded: Graded | None) -> tuple[F64, F64]:
    """Ten levels of Rec.709 codes of grey, 0..1, and (3, 10) sigma of Y, Cb, Cr there, 8 bit."""
    video = np.linspace(0.0, 1.0, _POINTS)
    step = 0.5 / 219.0

    def log_of(values: F64) -> F64:
        return light_to_log(rec709_decode(torch.from_numpy(values))).double().numpy()

    channels = len(look.curve.sigma)
    level = np.repeat(log_of(video)[:, None], channels, axis=1)
    slope = (log_of(video + step) - log_of(video - step)) / (2.0 * step)
    scanned, change = level, np.repeat(np.eye(channels)[None], _POINTS, axis=0)
    if graded is not None:
        scanned, change = _scanned_at(level, graded)
    strengths = [
        np.interp(scanned[:, c], look.curve.levels, s) for c, s in enumerate(look.curve.sigma)
    ]
    # (10, C, C): what each channel's grain on the scan adds to each channel of the result.
    codes = change * np.stack(strengths, axis=-1)[:, None] / np.maximum(slope, 1e-3)[:, None, None]
    if channels == 1:
        return video, np.concatenate([codes[:, 0].T * 219.0, np.zeros((2, _POINTS))])
    mixed = _MATRIX @ codes @ root(look.channels)
    return video, np.sqrt(np.square(mixed).sum(axis=-1)).T * _SPAN[:, None]


def _scanned_at(wanted: F64, graded: Graded) -> tuple[F64, F64]:
    """(N, C) levels of the scan that color brings to those wanted, and (N, C, C) by how much a
    change of each channel there changes each of the result."""
    count = wanted.shape[1]
    at = wanted.copy()
    for _ in range(_STEPS):
        here = graded(at)
        moved = [(graded(at + _NUDGE * row) - here) / _NUDGE for row in np.eye(count)]
        change = np.stack(moved, axis=-1)
        # Where color is flat (a power, black) nothing is to be found: a step stays small.
        square = np.swapaxes(change, 1, 2) @ change + 1e-4 * np.eye(count)
        miss = np.swapaxes(change, 1, 2) @ (wanted - here)[..., None]
        at = np.clip(at + np.linalg.solve(square, miss)[..., 0], *_REACH)
    return at, change
