"""Digests: of files as they lie on disk, and of decoded pictures, a movie's frames."""

from __future__ import annotations

import hashlib
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
