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
    starts, marks = _runs(planes)
    lengths = np.diff(starts, append=planes.size)
    # Runs end with their plane, so each lies in one.
    at = starts // max(1, planes[0].size) * _EFFECTS + marks
    found = np.bincount(at, lengths, minlength=len(planes) * _EFFECTS)
    return found.astype(np.int64).reshape(len(planes), _EFFECTS)


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
    flat = planes.reshape(-1)
    begins = np.empty(flat.shape, np.bool_)
    np.not_equal(flat[1:], flat[:-1], out=begins[1:])
    begins[:: max(1, planes[0].size)] = True
    starts = np.flatnonzero(begins)
    return starts, flat[starts]
