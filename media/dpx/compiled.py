"""Ten-bit words of DPX, three samples each, taken apart and put together in one pass."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

U16 = NDArray[np.uint16]
U32 = NDArray[np.uint32]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _turned(word: np.uint32) -> np.uint32:
    """A word in the other byte order."""
    high = np.uint32(word << np.uint32(24)) | (np.uint32(word << np.uint32(8)) & 0xFF0000)
    return np.uint32(high | ((word >> np.uint32(8)) & 0xFF00) | (word >> np.uint32(24)))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def unpack(stored: U32, foreign: bool, shifts: U32, out: U16) -> None:
    """(H, words) to (H, samples). foreign: the words are in the other byte order. shifts: (3,)
    places of the samples of a word."""
    h, samples = out.shape
    full = samples // 3
    low = np.uint32(0x3FF)
    s0, s1, s2 = shifts[0], shifts[1], shifts[2]
    for y in range(h):
        words, row = stored[y], out[y]
        if foreign:
            for x in range(full):
                word = _turned(words[x])
                row[3 * x] = (word >> s0) & low
                row[3 * x + 1] = (word >> s1) & low
                row[3 * x + 2] = (word >> s2) & low
        else:
            for x in range(full):
                word = words[x]
                row[3 * x] = (word >> s0) & low
                row[3 * x + 1] = (word >> s1) & low
                row[3 * x + 2] = (word >> s2) & low
        for k in range(3 * full, samples):
            word = _turned(words[full]) if foreign else words[full]
            row[k] = (word >> shifts[k - 3 * full]) & low


@numba.njit(cache=True, nogil=True, error_model="numpy")
def pack(flat: U16, source: U32, kept: bool, foreign: bool, shifts: U32, target: U32) -> np.uint32:
    """(H, samples) into (H, words) in file order.

    kept: bits that hold no sample are as in ``source`` (H, words); otherwise they are zero.

    returns: all codes, or'ed: what is not below 1024 does not fit, and the words are then nothing.
    """
    h, samples = flat.shape
    words = target.shape[1]
    full = samples // 3
    low = np.uint32(0x3FF)
    s0, s1, s2 = shifts[0], shifts[1], shifts[2]
    spare = np.uint32(~((low << s0) | (low << s1) | (low << s2)))
    if foreign:
        spare = _turned(spare)
    if not kept:
        spare = np.uint32(0)
    all_bits = np.uint32(0)
    for y in range(h):
        row, old, line = flat[y], source[y], target[y]
        for x in range(full):
            a, b, c = np.uint32(row[3 * x]), np.uint32(row[3 * x + 1]), np.uint32(row[3 * x + 2])
            all_bits |= a | b | c
            word = np.uint32((a << s0) | (b << s1) | (c << s2))
            line[x] = (_turned(word) if foreign else word) | (old[x] & spare)
        if words > full:
            word, held = np.uint32(0), np.uint32(0)
            for k in range(3 * full, samples):
                code = np.uint32(row[k])
                all_bits |= code
                word |= np.uint32(code << shifts[k - 3 * full])
                held |= np.uint32(low << shifts[k - 3 * full])
            rest = np.uint32(~held)
            rest = _turned(rest) if foreign else rest
            rest = rest if kept else np.uint32(0)
            line[full] = (_turned(word) if foreign else word) | (old[full] & rest)
    return all_bits
