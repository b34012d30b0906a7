"""Files as they lie on disk: whole in memory, and by digest; and digests of decoded pictures."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np

from media.write import AnyCodes


def picture_sha256(codes: AnyCodes) -> str:
    """SHA-256 of code values, little-endian, hexadecimal. codes: (H, W, C) as stored.

    Eight-bit codes count as sixteen-bit numbers, as ``MovieReader`` gives them.
    """
    if codes.dtype == np.uint8:
        codes = codes.astype(np.uint16)
    little = np.ascontiguousarray(codes, dtype=codes.dtype.newbyteorder("<"))
    return hashlib.sha256(little.tobytes()).hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, read in pieces, hexadecimal. raises: OSError."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def let_go(path: Path) -> None:
    """Tell the system that a file will not be read again soon: its cache is for what will.

    raises: OSError.
    """
    if not hasattr(os, "posix_fadvise"):
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(handle)


def whole_file(path: Path) -> memoryview:
    """All bytes of a file. raises: OSError.

    As large pages, which are there sooner than the small ones that hold ``bytes``.
    """
    with path.open("rb", buffering=0) as stream:
        data = np.empty(os.fstat(stream.fileno()).st_size, np.uint8).data
        filled = 0
        while filled < len(data):
            got = stream.readinto(data[filled:])
            if not got:
                break
            filled += got
        return data[:filled].toreadonly()
