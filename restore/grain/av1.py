"""AV1 film grain tables (``filmgrn1``): what an encoder tells decoders to lay on.

A table lists stretches of time with the strength of grain by luma and an auto-regressive filter
for its texture. Strengths and filter follow from what was measured; they hold for 8-bit Rec.709
codes (limited range, 4:2:0), in which aomenc and SVT-AV1 read them whatever the depth they encode.
Sources: AV1 Bitstream & Decoding Process Specification 7.18.3; libaom ``grain_table.c`` for the
file; Norkin and Birkbeck 2018.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from media.encoding import light_to_log, rec709_decode
from media.errors import InputError
from restore.grain.synth import F64, GrainLook, enlarged, root

TICKS_PER_S = 10_000_000
LAG = 3
MAGIC = "filmgrn1"
INNOVATION = 32.0
"""Standard deviation of the decoder's Gaussian numbers, 8-bit codes."""
Points = tuple[tuple[int, int], ...]
_POINTS = 10
_WHITE = (1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
_LARGEST_TAP = 0.75
_GRAIN_SHIFTS = 4
"""The format has two bits for it."""
_MOST_SIGMA = 45.0
"""Standard deviation of grain of which a decoder's range holds all but a two-hundredth."""
_MOST_GAIN = _MOST_SIGMA * 2.0 ** (_GRAIN_SHIFTS - 1) / INNOVATION
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


def places() -> list[tuple[int, int]]:
    """(24) rows and columns, relative, that the filter looks back on, in the order of taps."""
    return [(dy, dx) for dy in range(-LAG, 1) for dx in range(-LAG, LAG + 1)
            if dy < 0 or dx < 0]  # fmt: skip


def entry(
    look: GrainLook, share: float, size: float, seed: int, start_ticks: int, end_ticks: int
) -> GrainEntry:
    """share: of the measured grain that decoders are to lay on. size: of the picture over the
    scan."""
    near = enlarged(look.autocorrelation, size)
    lags = np.zeros((16, 16))
    kept = min(16, len(near))
    lags[:kept, :kept] = near[:kept, :kept]
    ar_shift, (luma_taps, chroma_taps) = _whole([_filter(lags), _filter(_halved(lags))])
    video, sigma = _display_sigma(look)
    # Chroma is kept at half the size: each sample is a mean of four.
    averaged = np.array([1.0, *[np.sqrt(lags[:2, :2].mean())] * 2])
    gains = [np.sqrt(spread(np.array(t) / 2.0**ar_shift)[0, 0]) for t in (luma_taps, chroma_taps)]
    # Decoders keep grain in -128..127: what the filter piles up beyond that would be lost.
    within = (k for k in range(_GRAIN_SHIFTS) if max(gains) * INNOVATION <= _MOST_SIGMA * 2.0**k)
    grain_shift = next(within, _GRAIN_SHIFTS - 1)
    per_unit = sigma * averaged[:, None] * share / (INNOVATION / 2.0**grain_shift)
    per_unit /= np.array([gains[0], gains[1], gains[1]])[:, None]
    shift = next((k for k in (11, 10, 9, 8) if per_unit.max() * 2.0**k <= 255.0), 8)
    strengths = np.clip(np.rint(per_unit * 2.0**shift), 0, 255).astype(int)
    codes = np.rint(16.0 + 219.0 * video).astype(int)
    points = tuple(
        tuple((int(c), int(s)) for c, s in zip(codes, row, strict=True)) for row in strengths
    )
    return GrainEntry(
        start_ticks,
        end_ticks,
        1 + seed % 65535,
        ar_shift,
        shift,
        grain_shift,
        (points[0], points[1], points[2]),
        (luma_taps, (*chroma_taps, 0), (*chroma_taps, 0)),
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


def spread(taps: F64) -> F64:
    """(128, 128) autocovariance of unit noise run through the filter, [0, 0] its variance."""
    step = np.zeros((128, 128))
    step[0, 0] = 1.0
    for (dy, dx), tap in zip(places(), taps, strict=True):
        step[-dy, -dx] -= tap
    found: F64 = np.fft.ifft2(1.0 / np.square(np.abs(np.fft.fft2(step)))).real
    return found


def _filter(lags: F64) -> F64:
    """(24) taps that make unit noise have this autocorrelation (Yule-Walker)."""
    known = places()
    apart = np.array([[(abs(a[0] - b[0]), abs(a[1] - b[1])) for b in known] for a in known])
    matrix = lags[apart[..., 0], apart[..., 1]]
    goal = np.array([lags[abs(dy), abs(dx)] for dy, dx in known])
    found: F64 = np.zeros(len(known))
    # Grain that is all but without fine detail asks for large taps of changing sign, in which the
    # decoder's whole numbers drown: a little white is added until they are small.
    for white in _WHITE:
        found = np.linalg.solve(matrix + white * np.eye(len(known)), goal)
        small = np.abs(found).max() <= _LARGEST_TAP
        # Filters that pile up much are those of coarse, enlarged grain.
        if small and np.sqrt(spread(found)[0, 0]) <= _MOST_GAIN:
            break
    return found


def _halved(lags: F64) -> F64:
    """Autocorrelation of means over 2 x 2 px."""
    size = len(lags)
    even = np.abs(np.arange(-1, size))
    wide = lags[even][:, even]
    # A mean of two against another: lags 2d - 1, 2d, 2d + 1, weighted 1, 2, 1.
    rows = 0.25 * wide[:-2:2] + 0.5 * wide[1:-1:2] + 0.25 * wide[2::2]
    both = 0.25 * rows[:, :-2:2] + 0.5 * rows[:, 1:-1:2] + 0.25 * rows[:, 2::2]
    out = np.zeros_like(lags)
    out[: len(both), : len(both)] = both / both[0, 0]
    return out


def _whole(filters: Sequence[F64]) -> tuple[int, list[tuple[int, ...]]]:
    """Taps as whole numbers of 8 bits, as finely as they fit."""
    largest = max(float(np.abs(f).max()) for f in filters)
    shift = next((k for k in (9, 8, 7) if largest * 2.0**k <= 127.0), 6)
    return shift, [
        tuple(int(v) for v in np.clip(np.rint(f * 2.0**shift), -128, 127)) for f in filters
    ]


def _display_sigma(look: GrainLook) -> tuple[F64, F64]:
    """Ten levels of Rec.709 codes of grey, 0..1, and (3, 10) sigma of Y, Cb, Cr there, 8 bit."""
    video = np.linspace(0.0, 1.0, _POINTS)
    step = 0.5 / 219.0

    def log_of(values: F64) -> F64:
        return light_to_log(rec709_decode(torch.from_numpy(values))).double().numpy()

    level = log_of(video)
    slope = (log_of(video + step) - log_of(video - step)) / (2.0 * step)
    strengths = [np.interp(level, look.curve.levels, s) for s in look.curve.sigma]
    codes = np.stack(strengths) / np.maximum(slope, 1e-3)
    if len(codes) == 1:
        return video, np.concatenate([codes * 219.0, np.zeros((2, _POINTS))])
    mixed = np.einsum("pc,cl,cd->pld", _MATRIX, codes, root(look.channels))
    return video, np.sqrt(np.square(mixed).sum(axis=-1)) * _SPAN[:, None]
