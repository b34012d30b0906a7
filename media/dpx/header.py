"""DPX headers (SMPTE ST 268) as they are read: what the pixel codec needs, and what is refused.

Offsets are those of the standard's file, image, orientation, film and television headers. Fields
that only a person wants to know are in ``media.dpx.fields``; making and changing headers is in
``media.dpx.make``.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from fractions import Fraction

from media.errors import FrameUnreadable, InputError

HEADER_BYTES = 2048
GENERIC_BYTES = 1664
"""File, image and orientation headers; film, television and user headers may be absent."""
RGB, LUMA = 50, 6
PACKED, FILLED_A, FILLED_B = 0, 1, 2
UNDEFINED = 0xFFFFFFFF

_NTSC = {23976: Fraction(24000, 1001), 29970: Fraction(30000, 1001), 59940: Fraction(60000, 1001)}
_OTHER_DESCRIPTORS = {
    1: "red only", 2: "green only", 3: "blue only", 4: "alpha only", 8: "depth",
    51: "RGBA", 52: "ABGR", 100: "CbYCrY 4:2:2", 101: "CbYACrYA", 102: "CbYCr 4:4:4",
    103: "CbYCrA",
}  # fmt: skip
_COPY_AGAIN = "copy the frame again from the scan"


@dataclass(frozen=True, slots=True, kw_only=True)
class DpxHeader:
    """The header fields needed to read, judge and write a frame."""

    byte_order: str
    """``>`` big-endian (SDPX) or ``<`` little-endian (XPDS), as struct and numpy write it."""
    data_offset_bytes: int
    file_bytes: int
    """The size the header claims; scanners often get it wrong."""
    width: int
    height: int
    elements: int
    descriptor: int
    bits: int
    packing: int
    encoding: int
    signed: bool
    eol_padding_bytes: int
    transfer: int
    colorimetric: int
    film_rate: Fraction | None
    tv_rate: Fraction | None
    timecode: str | None
    """``HH:MM:SS:FF``, with ``;`` before the frames when the drop-frame bit is set."""
    file_name: str
    creator: str
    user_id: str
    head: bytes = field(default=b"", repr=False, compare=False)
    """The bytes before the pixels, as many as were given to ``parse_header``."""

    @property
    def channels(self) -> int:
        """3 for RGB, 1 for luma."""
        return 3 if self.descriptor == RGB else 1

    @property
    def rate(self) -> Fraction | None:
        """Film header rate, else television header rate."""
        return self.film_rate or self.tv_rate


def rate_of(value: float) -> Fraction | None:
    """A header's frame rate as an exact rational; None when undefined or senseless."""
    if not math.isfinite(value) or not 0 < value <= 1000:
        return None
    near = _NTSC.get(round(value * 1000))
    return near or Fraction(value).limit_denominator(1001) or None


def timecode_of(word: int) -> str | None:
    """``HH:MM:SS:FF`` of a BCD word, ``;`` for drop-frame; None when undefined or senseless."""
    if word == UNDEFINED:
        return None
    # The top bits of each byte are flags in SMPTE 12M; bit 6 of the frames byte is drop-frame.
    parts = [word >> 24 & 0x3F, word >> 16 & 0x7F, word >> 8 & 0x7F, word & 0x3F]
    if any(p & 0x0F > 9 or p >> 4 > 9 for p in parts):
        return None
    text = [f"{p >> 4}{p & 0x0F}" for p in parts]
    return ":".join(text[:3]) + (";" if word & 0x40 else ":") + text[3]


def timecode_word(text: str) -> int:
    """The BCD word of ``HH:MM:SS:FF`` or ``HH:MM:SS;FF``. raises: InputError."""
    digits = text.replace(";", ":").split(":")
    if len(digits) != 4 or not all(len(d) == 2 and d.isdecimal() and d.isascii() for d in digits):
        raise InputError(f"timecode {text!r} is not HH:MM:SS:FF", hint="give two digits per field")
    word = int("".join(digits), 16)
    return word | 0x40 if ";" in text else word


def text_of(data: bytes, offset: int, length: int) -> str:
    """A text field, ended by a zero byte; empty when undefined or cut off."""
    if len(data) < offset + length:
        return ""
    raw = data[offset : offset + length].split(b"\0")[0]
    if raw.strip(b"\xff") == b"":
        return ""
    try:
        return raw.decode("utf-8").strip()
    except UnicodeDecodeError:
        # The standard says ASCII; older scanners wrote their own country's letters.
        return raw.decode("latin-1").strip()


def put_text(head: bytearray, offset: int, length: int, text: str) -> None:
    """Write a text field in place, cut to ``length - 1`` bytes, filled with zeros."""
    raw = text.encode("utf-8")[: length - 1]
    # A cut inside a character would not be text any more.
    raw = raw.decode("utf-8", errors="ignore").encode("utf-8")
    head[offset : offset + length] = raw.ljust(length, b"\0")


def byte_order(data: bytes) -> str:
    """``>`` or ``<`` from the magic number. raises: FrameUnreadable for anything else."""
    order = {b"SDPX": ">", b"XPDS": "<"}.get(bytes(data[:4]))
    if order is None:
        raise FrameUnreadable(
            "not a DPX file: wrong magic number" if data else "the file is empty (zero bytes)",
            hint=_COPY_AGAIN,
        )
    return order


def parse_header(data: bytes) -> DpxHeader:
    """Read the header. data: the start of the file, at least up to the pixels.

    raises: FrameUnreadable when it is no DPX, or its header is cut short or senseless.
    """
    order = byte_order(data)
    if len(data) < GENERIC_BYTES:
        raise FrameUnreadable(
            f"truncated: the header needs {GENERIC_BYTES} bytes, the file has {len(data)}",
            hint=_COPY_AGAIN,
        )

    def number(code: str, offset: int) -> int:
        return int(struct.unpack_from(order + code, data, offset)[0])

    image_offset, element_offset = number("I", 4), number("I", 808)
    offset = image_offset if element_offset in (0, UNDEFINED) else element_offset
    width, height = number("I", 772), number("I", 776)
    if not (0 < width <= 1 << 16 and 0 < height <= 1 << 16) or offset < GENERIC_BYTES:
        raise FrameUnreadable(
            f"senseless header: {width}x{height} pixels at byte {offset}", hint=_COPY_AGAIN
        )
    # Files without industry headers put pixels at 1664: what lies beyond is no rate.
    has_industry = min(offset, len(data)) >= HEADER_BYTES
    eol = number("I", 812)
    return DpxHeader(
        byte_order=order,
        data_offset_bytes=offset,
        file_bytes=number("I", 16),
        width=width,
        height=height,
        elements=number("H", 770),
        signed=number("I", 780) == 1,
        descriptor=data[800],
        transfer=data[801],
        colorimetric=data[802],
        bits=data[803],
        packing=number("H", 804),
        encoding=number("H", 806),
        eol_padding_bytes=0 if eol == UNDEFINED else eol,
        film_rate=rate_of(struct.unpack_from(order + "f", data, 1724)[0]) if has_industry else None,
        tv_rate=rate_of(struct.unpack_from(order + "f", data, 1940)[0]) if has_industry else None,
        timecode=timecode_of(number("I", 1920)) if has_industry else None,
        file_name=text_of(data, 36, 100),
        creator=text_of(data, 160, 100),
        user_id=text_of(data, 2048, 32) if offset >= 2080 else "",
        head=bytes(data[:offset]),
    )


def check_supported(header: DpxHeader) -> None:
    """Refuse by name what this reader does not take.

    raises: InputError for several elements, alpha or other descriptors, run-length encoding,
    unusual depths and packings.
    """
    h = header
    problem, hint = "", "ask for RGB or luma, 8, 10, 12 or 16 bits, one element, not encoded"
    if h.elements != 1:
        problem = f"{h.elements} image elements in one DPX"
    elif h.descriptor not in (RGB, LUMA):
        name = _OTHER_DESCRIPTORS.get(h.descriptor, "unknown")
        problem = f"DPX descriptor {h.descriptor} ({name}) is not supported"
        if h.descriptor in (51, 52):
            hint = "strip the alpha, or keep it beside the scan as its own sequence"
    elif h.encoding == 1:
        problem = "run-length encoded DPX is not supported"
    elif h.signed:
        problem = "signed DPX samples are not supported"
    elif h.bits not in (8, 10, 12, 16):
        problem = f"{h.bits}-bit DPX samples are not supported"
    elif h.bits in (10, 12) and h.packing not in (PACKED, FILLED_A, FILLED_B):
        problem = f"DPX packing method {h.packing} is not supported"
    if problem:
        raise InputError(problem, hint=hint)


def tight_row_bytes(width: int, channels: int, bits: int, packing: int) -> int:
    """Bytes of one row without any padding beyond what the packing itself needs."""
    samples = width * channels
    if bits == 8:
        return samples
    if bits == 10 and packing != PACKED:
        return -(-samples // 3) * 4
    if bits in (10, 12) and packing == PACKED:
        return -(-samples * bits // 32) * 4
    return samples * 2
