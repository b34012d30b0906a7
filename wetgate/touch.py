"""Touch planes as runs of equal marks: most planes bear one mark all over, and cost nothing."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Planes = NDArray[np.uint8]
RUNS, BYTES = "runs", "bytes"
_EFFECTS = 4
_FEW = 16
"""Runs are kept as runs where they are this long on average."""


def counts(planes: Planes) -> NDArray[np.int64]:
    """(T, 4) pixels of each ``Effect`` in each of (T, H, W) planes."""
    from media import compiled  # compiled on first use, not at import

    found = np.empty((len(planes), _EFFECTS), np.int64)
    compiled.count_marks(np.ascontiguousarray(planes).reshape(len(planes), -1), found)
    return found


def pack(planes: Planes) -> tuple[bytes, str]:
    """(T, H, W) planes as bytes, and how they are coded."""
    starts, marks = _runs(planes)
    if len(starts) * _FEW > planes.size:
        return zlib.compress(planes.tobytes(), 1), BYTES
    lengths = np.diff(starts, append=planes.size).astype("<u4")
    return zlib.compress(lengths.tobytes() + marks.tobytes(), 1), RUNS


def unpack(data: bytes, shape: Sequence[int], coding: str) -> Planes:
    """What ``pack`` was given. raises: ValueError, zlib.error for bytes that are no such planes."""
    plain = zlib.decompress(data)
    if coding == BYTES:
        return np.frombuffer(plain, np.uint8).reshape(tuple(shape))
    count = len(plain) // 5
    lengths = np.frombuffer(plain, "<u4", count)
    marks = np.frombuffer(plain, np.uint8, count, 4 * count)
    return np.repeat(marks, lengths).reshape(tuple(shape))


def _runs(planes: Planes) -> tuple[NDArray[np.int64], Planes]:
    """Where runs of equal marks begin, each plane by itself, and their marks."""
    from media import compiled

    rows = np.ascontiguousarray(planes).reshape(len(planes), -1)
    starts = compiled.run_starts(rows)
    return starts, rows.reshape(-1)[starts]
