"""DPX headers (SMPTE ST 268): read, write from scratch, patch. No pixels here.

Only the fields that the product uses are named; everything else travels as the source's own
bytes. Offsets are those of the standard's file, image, orientation, film and television headers.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from fractions import Fraction

from media.errors import FrameUnreadable, InputError
from media.frames import parse_rate, rate_text

HEADER_BYTES = 2048
RGB, LUMA = 50, 6
PACKED, FILLED_A, FILLED_B = 0, 1, 2

_UNDEFINED = 0xFFFFFFFF
_INDUSTRY_BYTES = 384
_NTSC = {23976: Fraction(24000, 1001), 29970: Fraction(30000, 1001), 59940: Fraction(60000, 1001)}
_OTHER_DESCRIPTORS = {
    1: "red only", 2: "green only", 3: "blue only", 4: "alpha only", 8: "depth",
    51: "RGBA", 52: "ABGR", 100: "CbYCrY 4:2:2", 101: "CbYACrYA", 102: "CbYCr 4:4:4",
    103: "CbYCrA",
}  # fmt: skip


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

    @property
    def channels(self) -> int:
        """3 for RGB, 1 for luma."""
        return 3 if self.descriptor == RGB else 1

    @property
    def rate(self) -> Fraction | None:
        """Film header rate, else television header rate."""
        return self.film_rate or self.tv_rate


def _rate(value: float) -> Fraction | None:
    if not math.isfinite(value) or not 0 < value <= 1000:
        return None
    near = _NTSC.get(round(value * 1000))
    return near or Fraction(value).limit_denominator(1001) or None


def _timecode(word: int) -> str | None:
    if word == _UNDEFINED:
        return None
    # The top bits of each byte are flags in SMPTE 12M; bit 6 of the frames byte is drop-frame.
    parts = [word >> 24 & 0x3F, word >> 16 & 0x7F, word >> 8 & 0x7F, word & 0x3F]
    if any(p & 0x0F > 9 or p >> 4 > 9 for p in parts):
        return None
    text = [f"{p >> 4}{p & 0x0F}" for p in parts]
    return ":".join(text[:3]) + (";" if word & 0x40 else ":") + text[3]


def _pack_timecode(text: str) -> int:
    digits = text.replace(";", ":").split(":")
    if len(digits) != 4 or not all(len(d) == 2 and d.isdigit() for d in digits):
        raise InputError(f"timecode {text!r} is not HH:MM:SS:FF", hint="give two digits per field")
    word = int("".join(digits), 16)
    return word | 0x40 if ";" in text else word


def _text(data: bytes, offset: int, length: int) -> str:
    if len(data) < offset + length:
        return ""
    raw = data[offset : offset + length].split(b"\0")[0]
    return "" if raw.strip(b"\xff") == b"" else raw.decode("utf-8", errors="replace").strip()


def byte_order(data: bytes) -> str:
    """``>`` or ``<`` from the magic number. raises: FrameUnreadable for anything else."""
    order = {b"SDPX": ">", b"XPDS": "<"}.get(data[:4])
    if order is None:
        raise FrameUnreadable(
            "not a DPX file: wrong magic number" if data else "the file is empty (zero bytes)",
            hint="copy the frame again from the scan",
        )
    return order


def parse_header(data: bytes) -> DpxHeader:
    """Read the header. data: the start of the file, at least up to the pixels.

    raises: FrameUnreadable when it is no DPX, or its header is cut short or senseless.
    """
    order = byte_order(data)
    if len(data) < 1664:
        raise FrameUnreadable(
            f"truncated: the header needs 1664 bytes, the file has {len(data)}",
            hint="copy the frame again from the scan",
        )

    def number(code: str, offset: int) -> int:
        return int(struct.unpack_from(order + code, data, offset)[0])

    image_offset, element_offset = number("I", 4), number("I", 808)
    offset = image_offset if element_offset in (0, _UNDEFINED) else element_offset
    width, height = number("I", 772), number("I", 776)
    if not (0 < width <= 1 << 16 and 0 < height <= 1 << 16) or offset < 1664:
        raise FrameUnreadable(
            f"senseless header: {width}x{height} pixels at byte {offset}",
            hint="copy the frame again from the scan",
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
        eol_padding_bytes=0 if eol == _UNDEFINED else eol,
        film_rate=_rate(struct.unpack_from(order + "f", data, 1724)[0]) if has_industry else None,
        tv_rate=_rate(struct.unpack_from(order + "f", data, 1940)[0]) if has_industry else None,
        timecode=_timecode(number("I", 1920)) if has_industry else None,
        file_name=_text(data, 36, 100),
        creator=_text(data, 160, 100),
        user_id=_text(data, 2048, 32) if offset >= 2080 else "",
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
    elif h.packing not in (PACKED, FILLED_A, FILLED_B):
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
        (660, 664), (780, 820), (1408, 1432), (1620, 1640), (1712, 1732), (1920, 1972),
    ):  # fmt: skip
        head[start:stop] = b"\xff" * (stop - start)
    packing = FILLED_A if bits in (10, 12) else PACKED
    tight = tight_row_bytes(width, channels, bits, packing)
    # ffmpeg expects rows on 32-bit boundaries; OpenImageIO only believes declared padding.
    padding = -tight % 4
    file_bytes = HEADER_BYTES + height * (tight + padding)
    struct.pack_into(">4sI8sIII", head, 0, b"SDPX", HEADER_BYTES, b"V2.0", file_bytes, 1, 1664)
    struct.pack_into(">II", head, 28, _INDUSTRY_BYTES, 0)
    _put_text(head, 36, 100, file_name)
    _put_text(head, 160, 100, "Wetgate")
    struct.pack_into(">HHII", head, 768, 0, 1, width, height)
    struct.pack_into(">IIfIf", head, 780, 0, 0, 0.0, (1 << bits) - 1, 2.047)
    descriptor = RGB if channels == 3 else LUMA
    struct.pack_into(">4B", head, 800, descriptor, transfer, transfer, bits)
    struct.pack_into(">HHIII", head, 804, packing, 0, HEADER_BYTES, padding, 0)
    struct.pack_into(">IIff", head, 1408, 0, 0, width / 2, height / 2)
    struct.pack_into(">II", head, 1424, width, height)
    struct.pack_into(">4H", head, 1620, 0, 0, 0, 0)
    struct.pack_into(">II", head, 1628, 1, 1)
    _put_text(head, 1432, 100, reel)
    if frame_number is not None:
        struct.pack_into(">I", head, 1712, frame_number)
    if frames_in_reel is not None:
        struct.pack_into(">I", head, 1716, frames_in_reel)
    if rate is not None:
        struct.pack_into(">f", head, 1724, float(rate))
        struct.pack_into(">f", head, 1940, float(rate))
    if timecode is not None:
        struct.pack_into(">II", head, 1920, _pack_timecode(timecode), 0)
    return bytes(head)


def patched_header(
    header: bytes,
    *,
    file_name: str | None = None,
    creation_date: str | None = None,
    user_note: str | None = None,
) -> bytes:
    """A copy of a header with a few fields replaced; all other bytes stay.

    header: every byte before the pixels. file_name: at most 99 bytes are kept. creation_date:
    ISO 8601 or ST 268 text. user_note: appended to the user data as one line; the header grows
    and its sizes and offsets follow.
    """
    order, head = byte_order(header), bytearray(header)
    if file_name is not None:
        _put_text(head, 36, 100, file_name)
    if creation_date is not None:
        _put_text(head, 136, 24, creation_date)
    if user_note is not None and len(head) >= HEADER_BYTES:
        user = bytes(head[2048:]) or b"Wetgate".ljust(32, b"\0")
        note = user_note.replace("\n", " ").encode() + b"\n"
        body = user[32:].rstrip(b"\0\xff")
        # A multiple of four keeps pixels on word boundaries.
        user = user[:32].ljust(32, b"\0") + body + note
        user += b"\0" * (-len(user) % 4)
        grown = len(user) - (len(head) - 2048)
        head[2048:] = user
        for offset in (4, 16, 808):
            old = struct.unpack_from(order + "I", head, offset)[0]
            if old not in (0, _UNDEFINED):
                struct.pack_into(order + "I", head, offset, old + grown)
        struct.pack_into(order + "I", head, 32, len(user))
    return bytes(head)


def header_metadata(header: DpxHeader) -> dict[str, str | int | float]:
    """What a person may want to know of a header, flat and JSON-able."""
    found: dict[str, str | int | float | None] = {
        "byte_order": "big" if header.byte_order == ">" else "little",
        "packing": header.packing,
        "transfer": header.transfer,
        "colorimetric": header.colorimetric,
        "film_rate": rate_text(header.film_rate) if header.film_rate else None,
        "tv_rate": rate_text(header.tv_rate) if header.tv_rate else None,
        "timecode": header.timecode,
        "file_name": header.file_name or None,
        "creator": header.creator or None,
        "user_id": header.user_id or None,
    }
    return {key: value for key, value in found.items() if value is not None}


def metadata_rate(metadata: dict[str, str | int | float]) -> Fraction | None:
    """The rate that ``header_metadata`` recorded: film header first, then television."""
    text = metadata.get("film_rate") or metadata.get("tv_rate")
    return parse_rate(str(text)) if text else None


def _put_text(head: bytearray, offset: int, length: int, text: str) -> None:
    raw = text.encode("utf-8")[: length - 1]
    # A cut inside a character would not be text any more.
    raw = raw.decode("utf-8", errors="ignore").encode("utf-8")
    head[offset : offset + length] = raw.ljust(length, b"\0")
