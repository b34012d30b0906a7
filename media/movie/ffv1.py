"""The check sums inside FFV1 pictures (RFC 9043), which decoders report but do not act on.

A version 3 stream may end every slice with its size, an error status and a CRC-32 that covers
the whole slice. A decoder that meets a wrong one fills the slice from the picture before and
goes on; an archive has to be told instead.
"""

from __future__ import annotations

import zlib

_TRAILER_BYTES = 8
"""24-bit size, 8-bit status, 32-bit CRC at the end of each slice."""
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_ALL = 0xFFFFFFFF


def slices_are_sound(packet: bytes) -> bool | None:
    """Whether every slice of a coded picture matches its CRC; None when it carries none.

    packet: one coded picture.
    """
    stop, slices, sound = len(packet), 0, True
    while stop > 0:
        if stop < _TRAILER_BYTES:
            return None
        size = int.from_bytes(packet[stop - 8 : stop - 5], "big") + _TRAILER_BYTES
        if size > stop:
            return None
        sound = sound and _crc(packet[stop - size : stop]) == 0
        stop -= size
        slices += 1
    return sound if slices else None


def _crc(data: bytes) -> int:
    """CRC-32 (polynomial 04C11DB7, most significant bit first, nothing inverted), bit-reversed.

    zlib's runs the other way round: on reversed bytes it gives the same number reversed.
    """
    return zlib.crc32(data.translate(_REVERSED), _ALL) ^ _ALL
