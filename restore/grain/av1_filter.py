"""The filter that gives AV1 film grain its texture, chosen by what decoders make of it.

Decoders run whole Gaussian numbers through an auto-regressive filter of lag 3 with taps of 8 bits,
and keep what comes out in 8 bits. For coarse grain the filter that theory gives asks for more than
that: so several are run by a decoder's own steps, and the one whose grain is most like what is
wanted is taken. How like it is, is said.
Source: AV1 Bitstream & Decoding Process Specification 7.18.3.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from restore.grain.compiled import decode

F64 = NDArray[np.float64]
LAG = 3
INNOVATION = 32.0
"""Standard deviation of the decoder's Gaussian numbers, 8-bit codes."""
LAGS = 8
"""Rows and columns apart up to which grain is compared."""
_WHITE = (1e-3, 3e-3, 5e-3, 0.01, 0.018, 0.03, 0.055, 0.1, 0.18, 0.3, 0.6, 1.0)
"""Grain that is all but without fine detail asks for large taps of changing sign, in which whole
numbers drown: a little white makes them smaller."""
_TAP_SHIFTS = (9, 8, 7, 6)
_GRAIN_SHIFTS = 4
"""The format has two bits for it."""
_MOST_SIGMA = 45.0
"""Standard deviation of grain of which a decoder's range holds all but a two-hundredth."""
_ROWS, _COLS, _RIM = 73, 82, 9
_DRAWN = 6
_MOST_CUT = 0.01
_STEADY = 0.12
"""A filter whose grain is further than this from the strength it has in theory is at the brink:
in other numbers it would have another."""


@dataclass(frozen=True, slots=True)
class Fit:
    """The filters of luma and chroma, and the grain they make."""

    ar_shift: int
    """Taps are kept times 2 to the power of this."""
    grain_shift: int
    """The decoder's numbers are divided by 2 to the power of this before they are filtered."""
    taps: tuple[tuple[int, ...], tuple[int, ...]]
    """24 each."""
    sigma: tuple[float, float]
    """Decoded, before it is scaled, 8-bit codes."""
    unlike: tuple[float, float]
    """Largest difference of the likeness of neighbours, up to 7 rows and columns apart, from what
    is wanted."""


@dataclass(frozen=True, slots=True)
class _Made:
    taps: tuple[int, ...]
    sigma: float
    unlike: float
    cut: float
    """Share at the ends of the decoder's range."""
    grain_shift: int


def fit_filters(luma: F64, chroma: F64) -> Fit:
    """From the autocorrelations (K, K), K at least 8, of both at the size of their planes."""
    best: tuple[int, list[_Made]] | None = None
    for shift in _TAP_SHIFTS:
        made = [_chosen(lags, shift, 0) for lags in (luma, chroma)]
        # Both planes have their numbers divided alike.
        divided = max(m.grain_shift for m in made if m is not None) if all(made) else 0
        made = [
            m if m is None or m.grain_shift == divided else _chosen(lags, shift, divided)
            for m, lags in zip(made, (luma, chroma), strict=True)
        ]
        found = [m for m in made if m is not None]
        if len(found) == 2 and (best is None or _worst(found) < _worst(best[1])):
            best = (shift, found)
    if best is None:
        raise AssertionError("white grain needs no taps: it always fits")
    shift, (one, other) = best
    return Fit(
        ar_shift=shift,
        grain_shift=one.grain_shift,
        taps=(one.taps, other.taps),
        sigma=(one.sigma, other.sigma),
        unlike=(one.unlike, other.unlike),
    )


def _worst(made: Sequence[_Made]) -> float:
    return max(m.unlike for m in made)


def _chosen(lags: F64, shift: int, divided: int) -> _Made | None:
    """The filter, with taps of this many places, whose decoded grain is most like ``lags``.

    divided: grain shift, at least.
    """
    taps = np.rint(np.array(_candidates(lags)) * 2.0**shift).astype(np.int64)
    taps = np.unique(taps[(taps >= -128).all(axis=1) & (taps <= 127).all(axis=1)], axis=0)
    if not len(taps):
        return None
    gains = [float(np.sqrt(spread(row / 2.0**shift)[0, 0])) for row in taps]
    within = range(divided, _GRAIN_SHIFTS)
    fitting = [
        next((k for k in within if gain * INNOVATION <= _MOST_SIGMA * 2.0**k), None)
        for gain in gains
    ]
    held = [k for k, fits in enumerate(fitting) if fits is not None]
    made = _tried(taps[held], [f for f in fitting if f is not None], shift, lags)
    steady = [
        m
        for m, gain in zip(made, (gains[k] for k in held), strict=True)
        if m.cut <= _MOST_CUT
        and abs(m.sigma * 2.0**m.grain_shift / (gain * INNOVATION) - 1.0) < _STEADY
    ]
    return min(steady, key=lambda m: m.unlike, default=None)


def _tried(
    taps: NDArray[np.int64], grain_shifts: Sequence[int], shift: int, lags: F64
) -> list[_Made]:
    """What a decoder makes of each filter (N, 24)."""
    drawn = 512.0 * np.random.default_rng(7).normal(size=(_DRAWN, _ROWS, _COLS))
    out = []
    for row, grain_shift in zip(taps, grain_shifts, strict=True):
        grain = np.floor(drawn / 2.0 ** (4 + grain_shift) + 0.5)
        decode(grain, row / 2.0**shift)
        inner = grain[:, _RIM:, _RIM:-_RIM]
        found = _autocovariance(inner)
        sigma = float(np.sqrt(found[0, 0]))
        unlike = float(np.abs(found / found[0, 0] - lags[:LAGS, :LAGS]).max())
        cut = float(np.mean(np.abs(inner) >= 127))
        out.append(_Made(tuple(int(v) for v in row), sigma, unlike, cut, grain_shift))
    return out


def places() -> list[tuple[int, int]]:
    """(24) rows and columns, relative, that the filter looks back on, in the order of taps."""
    return [(dy, dx) for dy in range(-LAG, 1) for dx in range(-LAG, LAG + 1)
            if dy < 0 or dx < 0]  # fmt: skip


def spread(taps: F64) -> F64:
    """(128, 128) autocovariance of unit noise run through the filter, [0, 0] its variance."""
    step = np.zeros((128, 128))
    step[0, 0] = 1.0
    for (dy, dx), tap in zip(places(), taps, strict=True):
        step[-dy, -dx] -= tap
    power = np.maximum(np.square(np.abs(np.fft.fft2(step))), 1e-12)
    found: F64 = np.fft.ifft2(1.0 / power).real
    return found


def halved(lags: F64) -> F64:
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


def _candidates(lags: F64) -> list[F64]:
    """(24) taps each, that make unit noise have this autocorrelation (Yule-Walker)."""
    found = []
    for reach in (LAG, 2):
        used = [k for k, p in enumerate(places()) if max(abs(p[0]), abs(p[1])) <= reach]
        known = [places()[k] for k in used]
        apart = np.array([[(abs(a[0] - b[0]), abs(a[1] - b[1])) for b in known] for a in known])
        matrix = lags[apart[..., 0], apart[..., 1]]
        goal = np.array([lags[abs(dy), abs(dx)] for dy, dx in known])
        for white in _WHITE:
            taps = np.zeros(len(places()))
            taps[used] = np.linalg.solve(matrix + white * np.eye(len(known)), goal)
            found.append(taps)
    return found


def _autocovariance(grain: F64) -> F64:
    """(8, 8) of planes (N, H, W) whose mean is zero, mean over both diagonals."""
    rows, cols = grain.shape[1:]
    spectra = np.fft.rfft2(grain, s=(2 * rows, 2 * cols))
    product = np.fft.irfft2(np.square(np.abs(spectra))).mean(axis=0)
    at = np.arange(LAGS)
    count = (rows - at)[:, None] * (cols - at)[None]
    found: F64 = 0.5 * (product[at][:, at] + product[at][:, -at]) / count
    return found
