"""DPX headers from scratch, for another layout, and with a few fields replaced."""

from __future__ import annotations

import struct
from fractions import Fraction

from media.dpx.header import (
    FILLED_A,
    GENERIC_BYTES,
    HEADER_BYTES,
    LUMA,
    PACKED,
    RGB,
    UNDEFINED,
    byte_order,
    parse_header,
    put_text,
    tight_row_bytes,
    timecode_word,
)
from media.dpx.history import takes_history, with_history
from media.errors import InputError

_INDUSTRY_BYTES = HEADER_BYTES - GENERIC_BYTES
_DATE_BYTES = 24


def new_header(
    width: int,
    height: int,
    channels: int,
    bits: int,
    *,
    rate: Fraction | None = None,
    timecode: str | None = None,
    frame_number: int | None = None,
    frames_in_reel: int | None = None,
    reel: str = "",
    file_name: str = "",
    transfer: int = 1,
) -> bytes:
    """A 2048-byte big-endian header: one element, filled method A, printing density.

    bits: 8, 10, 12 or 16. rate: frames per second, written to the film and television headers.
    transfer: ST 268 code for transfer and colorimetric, 1 = printing density. No dates are
    written, so the same picture gives the same bytes.
    """
    head = bytearray(HEADER_BYTES)
    # Undefined numbers are all ones, undefined text is all zeros.
    for start, stop in (
        (660, 664), (780, 820), (1408, 1432), (1620, 1644), (1712, 1732), (1920, 1972),
    ):  # fmt: skip
        head[start:stop] = b"\xff" * (stop - start)
    struct.pack_into(">4sI8sIII", head, 0, b"SDPX", HEADER_BYTES, b"V2.0", 0, 1, GENERIC_BYTES)
    struct.pack_into(">II", head, 28, _INDUSTRY_BYTES, 0)
    put_text(head, 36, 100, file_name)
    put_text(head, 160, 100, "Wetgate")
    struct.pack_into(">HH", head, 768, 0, 1)
    struct.pack_into(">IIfIf", head, 780, 0, 0, 0.0, (1 << bits) - 1, 2.047)
    struct.pack_into(">4B", head, 800, 0, transfer, transfer, 0)
    struct.pack_into(">HHIII", head, 804, 0, 0, HEADER_BYTES, 0, 0)
    struct.pack_into(">IIff", head, 1408, 0, 0, width / 2, height / 2)
    struct.pack_into(">II", head, 1424, width, height)
    struct.pack_into(">4H", head, 1620, 0, 0, 0, 0)
    struct.pack_into(">II", head, 1628, 1, 1)
    put_text(head, 1432, 100, reel)
    if frame_number is not None:
        struct.pack_into(">I", head, 1712, frame_number)
    if frames_in_reel is not None:
        struct.pack_into(">I", head, 1716, frames_in_reel)
    if rate is not None:
        struct.pack_into(">f", head, 1724, float(rate))
        struct.pack_into(">f", head, 1940, float(rate))
    if timecode is not None:
        struct.pack_into(">II", head, 1920, timecode_word(timecode), 0)
    _put_layout(head, ">", width, height, channels, bits, FILLED_A)
    return bytes(head)


def relaid_header(header: bytes, width: int, height: int, channels: int, bits: int) -> bytes:
    """A copy of a header for a picture of another size, depth or number of channels.

    Byte order, dates, names, keycode, timecode, user data and all else stay; the layout fields
    and those derived from them are written anew, one element without encoding. The reference
    high code follows the depth. header: every byte before the pixels.
    """
    head, order = bytearray(header), byte_order(header)
    old_bits, packing = head[803], struct.unpack_from(order + "H", head, 804)[0]
    high = struct.unpack_from(order + "I", head, 792)[0]
    if old_bits != bits and high == (1 << min(old_bits, 31)) - 1:
        struct.pack_into(order + "I", head, 792, (1 << bits) - 1)
    struct.pack_into(order + "H", head, 770, 1)
    struct.pack_into(order + "I", head, 780, 0)
    struct.pack_into(order + "H", head, 806, 0)
    struct.pack_into(order + "I", head, 808, len(head))
    _put_layout(head, order, width, height, channels, bits, packing if packing <= 2 else FILLED_A)
    return bytes(head)


def _put_layout(
    head: bytearray, order: str, width: int, height: int, channels: int, bits: int, packing: int
) -> None:
    packing = packing if bits in (10, 12) else PACKED
    tight = tight_row_bytes(width, channels, bits, packing)
    # ffmpeg expects rows on 32-bit boundaries; OpenImageIO only believes declared padding.
    padding = -tight % 4
    struct.pack_into(order + "I", head, 4, len(head))
    struct.pack_into(order + "I", head, 16, len(head) + height * (tight + padding))
    struct.pack_into(order + "II", head, 772, width, height)
    head[800], head[803] = RGB if channels == 3 else LUMA, bits
    struct.pack_into(order + "H", head, 804, packing)
    struct.pack_into(order + "I", head, 812, padding)


def patched_header(
    header: bytes,
    *,
    file_name: str | None = None,
    creation_date: str | None = None,
    history: str | None = None,
) -> bytes:
    """A copy of a header with a few fields replaced; all other bytes stay.

    header: every byte before the pixels. file_name: at most 99 bytes are kept. creation_date:
    ISO 8601 or ST 268 text, at most 24 bytes. history: one or more lines for the FADGI process
    history, each beginning with ``O=``; where ``takes_history`` says no, none is added. When
    the user data outgrows its place, the header grows and its sizes and offsets follow.
    raises: InputError for a date that is too long or a line that is none.
    """
    head = bytearray(header)
    order = byte_order(header)
    if file_name is not None:
        put_text(head, 36, 100, file_name)
    if creation_date is not None:
        raw = creation_date.encode("utf-8")
        if len(raw) > _DATE_BYTES:
            raise InputError(
                f"creation date {creation_date!r} is longer than {_DATE_BYTES} bytes",
                hint="give it as 2026-11-22T10:20:30Z",
            )
        head[136:160] = raw.ljust(_DATE_BYTES, b"\0")
    if history is not None and takes_history(header, history):
        whole = _with_industry(head, order) if len(head) < HEADER_BYTES else head
        grown = with_history(bytes(whole), history)
        _follow(grown, order, len(grown) - len(header))
        head = grown
    return bytes(head)


def _with_industry(head: bytearray, order: str) -> bytearray:
    """Film and television headers, all undefined, so that user data has its place after them."""
    industry = bytearray(_INDUSTRY_BYTES)
    for start, stop in ((1712, 1732), (1920, 1972)):
        industry[start - GENERIC_BYTES : stop - GENERIC_BYTES] = b"\xff" * (stop - start)
    whole = head[:GENERIC_BYTES] + industry
    struct.pack_into(order + "I", whole, 28, _INDUSTRY_BYTES)
    return whole


def _follow(head: bytearray, order: str, grown: int) -> None:
    for offset in (4, 16, 808):
        old = struct.unpack_from(order + "I", head, offset)[0]
        if grown and old not in (0, UNDEFINED):
            struct.pack_into(order + "I", head, offset, min(old + grown, UNDEFINED - 1))


def header_of(data: bytes) -> bytes:
    """Every byte of a DPX file before its pixels. raises: FrameUnreadable."""
    return data[: parse_header(data).data_offset_bytes]
