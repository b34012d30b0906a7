"""A header for another place in the reel: frame position and timecode follow, all else stays."""

from __future__ import annotations

import struct
from fractions import Fraction

from media.dpx.header import HEADER_BYTES, UNDEFINED, byte_order, timecode_of, timecode_word
from media.errors import InputError
from media.timecode import shifted_timecode

_POSITION, _TIMECODE = 1712, 1920
_FLAGS = 0xC0808080
"""Bits of the timecode word that are not digits, drop frame aside."""


def moved_header(header: bytes, frames: int, rate: Fraction) -> bytes:
    """The header of a frame that lies ``frames`` later (earlier when negative).

    header: every byte before the pixels. Fields that are undefined stay so; a timecode that
    does not exist at ``rate`` stays as it is.
    """
    if frames == 0 or len(header) < HEADER_BYTES:
        return header
    head, order = bytearray(header), byte_order(header)
    position = struct.unpack_from(order + "I", head, _POSITION)[0]
    if position != UNDEFINED and position + frames >= 0:
        struct.pack_into(order + "I", head, _POSITION, position + frames)
    word = struct.unpack_from(order + "I", head, _TIMECODE)[0]
    text = timecode_of(word)
    if text is not None:
        try:
            later = timecode_word(shifted_timecode(text, frames, rate))
        except InputError:
            return bytes(head)
        struct.pack_into(order + "I", head, _TIMECODE, later | (word & _FLAGS))
    return bytes(head)
