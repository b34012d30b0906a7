"""DPX files of every layout, built sample by sample from the standard's text.

Slow and plain on purpose, and without a line of the product: what it writes is what the product
has to read.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

U32, U16, U8 = 0xFFFFFFFF, 0xFFFF, 0xFF

FIELDS: dict[str, tuple[int, str, object]] = {
    "creation_date": (136, "24s", b"2026:11:22:10:20:30:UTC"),
    "creator": (160, "100s", "Kinoarchiv Köln".encode()),
    "project": (260, "200s", b"id 17, reel, nitrate"),
    "copyright": (460, "200s", b"CC0"),
    "encryption_key": (660, "I", U32),
    "orientation": (768, "H", 0),
    "low_code": (784, "I", 0),
    "low_quantity": (788, "f", 0.0),
    "high_quantity": (796, "f", 2.0),
    "transfer": (801, "B", 1),
    "colorimetric": (802, "B", 1),
    "eoi_padding": (816, "I", 0),
    "element_text": (820, "32s", b"negative"),
    "x_offset": (1408, "I", 3),
    "y_offset": (1412, "I", 4),
    "x_center": (1416, "f", 1.5),
    "y_center": (1420, "f", 2.5),
    "original_width": (1424, "I", 4096),
    "original_height": (1428, "I", 3112),
    "source_file": (1432, "100s", b"REEL03"),
    "source_date": (1532, "24s", b"1998:05:04:01:02:03:UTC"),
    "device": (1556, "32s", b"ARRISCAN XT"),
    "serial": (1588, "32s", b"SN-0042"),
    "border_left": (1620, "H", 11),
    "border_right": (1622, "H", 12),
    "border_top": (1624, "H", 13),
    "border_bottom": (1626, "H", 14),
    "pixel_aspect_x": (1628, "I", 1),
    "pixel_aspect_y": (1632, "I", 2),
    "scanned_width": (1636, "f", 24.9),
    "scanned_height": (1640, "f", 18.7),
}
INDUSTRY: dict[str, tuple[int, str, object]] = {
    "film_manufacturer": (1664, "2s", b"02"),
    "film_type": (1666, "2s", b"62"),
    "perf_offset": (1668, "2s", b"32"),
    "keycode_prefix": (1670, "6s", b"123456"),
    "keycode_count": (1676, "4s", b"7890"),
    "film_format": (1680, "32s", b"Academy"),
    "frame_position": (1712, "I", 123),
    "sequence_length": (1716, "I", 4800),
    "held_count": (1720, "I", 1),
    "film_rate": (1724, "f", 18.0),
    "shutter_angle": (1728, "f", 172.8),
    "frame_id": (1732, "32s", b"KF-123"),
    "slate": (1764, "100s", b"sc 3 tk 1"),
    "timecode": (1920, "I", 0x01020304),
    "user_bits": (1924, "I", 0xABCD),
    "interlace": (1928, "B", 0),
    "field_number": (1929, "B", 1),
    "video_signal": (1930, "B", 2),
    "horizontal_rate": (1932, "f", 15625.0),
    "vertical_rate": (1936, "f", 50.0),
    "tv_rate": (1940, "f", 18.0),
    "time_offset": (1944, "f", 0.5),
    "gamma": (1948, "f", 2.2),
    "black_level": (1952, "f", 64.0),
    "black_gain": (1956, "f", 1.25),
    "breakpoint": (1960, "f", 0.75),
    "white_level": (1964, "f", 940.0),
    "integration": (1968, "f", 0.125),
}


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the samples of one file lie."""

    width: int
    height: int
    channels: int = 3
    bits: int = 10
    packing: int = 1
    """0 packed, 1 filled method A, 2 filled method B."""
    order: str = ">"
    eol: int | None = 0
    """Declared end-of-line padding in bytes; None leaves the field undefined."""
    aligned: bool = True
    """Rows end on 32-bit boundaries, without saying so."""
    offset: int = 2048
    """Where the pixels begin."""
    element_offset: bool = True
    """The element's own offset field is set, else zero."""
    version: bytes = b"V2.0"
    user: bytes = b""
    """User identification and data."""
    pad: int = 0
    """0 or 1: what all unused bits and bytes are filled with."""
    trailing: bytes = b""
    name: bytes = b"scan.0000123.dpx"
    defined: bool = True
    """All fields are filled, else undefined."""


def pack_row(samples: Sequence[int], layout: Layout) -> bytes:
    """One row without line padding, bit by bit."""
    bits, order = layout.bits, layout.order
    if bits == 8:
        return bytes(samples)
    if layout.packing == 0 and bits in (10, 12):
        whole = 0
        for k, sample in enumerate(samples):
            whole |= sample << (k * bits)
        words = -(-len(samples) * bits // 32)
        if layout.pad:
            whole |= ((1 << (words * 32)) - 1) ^ ((1 << (len(samples) * bits)) - 1)
        return b"".join(struct.pack(order + "I", whole >> (32 * k) & U32) for k in range(words))
    if bits == 10:
        low = 2 if layout.packing == 1 else 0
        places = (20, 10, 0) if layout.channels == 3 else (0, 10, 20)
        out = b""
        for k in range(0, len(samples), 3):
            word, used = 0, 0
            for sample, place in zip(samples[k : k + 3], places, strict=False):
                word |= sample << (place + low)
                used |= 0x3FF << (place + low)
            out += struct.pack(order + "I", word | (~used & U32 if layout.pad else 0))
        return out
    if bits == 12:
        if layout.packing == 1:
            words16 = [s << 4 | (0xF if layout.pad else 0) for s in samples]
        else:
            words16 = [s | (0xF000 if layout.pad else 0) for s in samples]
    else:
        words16 = list(samples)
    return struct.pack(f"{order}{len(words16)}H", *words16)


def build(layout: Layout, samples: Sequence[int]) -> bytes:
    """A whole file. samples: height * width * channels codes, row by row."""
    per_row = layout.width * layout.channels
    fill = b"\xff" if layout.pad else b"\0"
    pixels = b""
    for row in range(layout.height):
        line = pack_row(samples[row * per_row : (row + 1) * per_row], layout)
        if layout.aligned:
            line += fill * (-len(line) % 4)
        pixels += line + fill * (layout.eol or 0)
    head = bytearray(layout.offset)
    order = layout.order
    struct.pack_into(
        order + "4sI8sIIIII", head, 0,
        b"SDPX" if order == ">" else bytes(reversed(b"SDPX")), layout.offset, layout.version,
        layout.offset + len(pixels), 1, 1664,
        384 if layout.offset >= 2048 else 0, len(layout.user),
    )  # fmt: skip
    if order == "<":
        # "4s" is text: the magic number is stored as the word it is.
        head[:4] = b"XPDS"
    struct.pack_into("100s", head, 36, layout.name)
    fields = dict(FIELDS)
    if layout.offset >= 2048:
        fields |= INDUSTRY
        head[2048 : 2048 + len(layout.user)] = layout.user
    for place, code, value in fields.values():
        empty = {"I": U32, "H": U16, "B": U8}
        if not layout.defined and code == "f":
            struct.pack_into(order + "I", head, place, U32)
        elif not layout.defined:
            struct.pack_into(order + code, head, place, empty.get(code, b""))
        else:
            struct.pack_into(order + code, head, place, value)
    struct.pack_into(order + "HII", head, 770, 1, layout.width, layout.height)
    struct.pack_into(order + "I", head, 780, 0)
    struct.pack_into(order + "I", head, 792, (1 << layout.bits) - 1)
    head[800], head[803] = (50 if layout.channels == 3 else 6), layout.bits
    eol = U32 if layout.eol is None else layout.eol
    at = layout.offset if layout.element_offset else 0
    struct.pack_into(order + "HHII", head, 804, layout.packing, 0, at, eol)
    return bytes(head) + pixels + layout.trailing
