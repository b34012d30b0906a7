"""The digest of a decoded picture: the identity of a movie's frame."""

from __future__ import annotations

import hashlib

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
