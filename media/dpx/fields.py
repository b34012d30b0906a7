"""Every DPX header field by name, for people, reports and other file formats."""

from __future__ import annotations

import math
import struct
from fractions import Fraction

from media.dpx.header import (
    HEADER_BYTES,
    UNDEFINED,
    DpxHeader,
    rate_of,
    text_of,
    timecode_of,
)
from media.frames import parse_rate, rate_text

Value = str | int | float
Metadata = dict[str, Value]

# name, offset, struct code; a number alone is the length of a text.
_FIELDS = (
    ("version", 8, "8"), ("file_bytes", 16, "I"), ("ditto", 20, "I"), ("generic_bytes", 24, "I"),
    ("industry_bytes", 28, "I"), ("user_bytes", 32, "I"), ("file_name", 36, "100"),
    ("creation_date", 136, "24"), ("creator", 160, "100"), ("project", 260, "200"),
    ("copyright", 460, "200"), ("encryption_key", 660, "I"),
    ("orientation", 768, "H"), ("low_code", 784, "I"), ("low_quantity", 788, "f"),
    ("high_code", 792, "I"), ("high_quantity", 796, "f"), ("descriptor", 800, "B"),
    ("transfer", 801, "B"), ("colorimetric", 802, "B"), ("bits", 803, "B"), ("packing", 804, "H"),
    ("encoding", 806, "H"), ("data_offset", 808, "I"), ("eol_padding", 812, "I"),
    ("eoi_padding", 816, "I"), ("element_text", 820, "32"),
    ("x_offset", 1408, "I"), ("y_offset", 1412, "I"), ("x_center", 1416, "f"),
    ("y_center", 1420, "f"), ("original_width", 1424, "I"), ("original_height", 1428, "I"),
    ("source_file", 1432, "100"), ("source_date", 1532, "24"), ("device", 1556, "32"),
    ("serial", 1588, "32"), ("border_left", 1620, "H"), ("border_right", 1622, "H"),
    ("border_top", 1624, "H"), ("border_bottom", 1626, "H"), ("pixel_aspect_x", 1628, "I"),
    ("pixel_aspect_y", 1632, "I"), ("scanned_width", 1636, "f"), ("scanned_height", 1640, "f"),
)  # fmt: skip
_INDUSTRY_FIELDS = (
    ("film_manufacturer", 1664, "2"), ("film_type", 1666, "2"), ("perf_offset", 1668, "2"),
    ("keycode_prefix", 1670, "6"), ("keycode_count", 1676, "4"), ("film_format", 1680, "32"),
    ("frame_position", 1712, "I"), ("sequence_length", 1716, "I"), ("held_count", 1720, "I"),
    ("shutter_angle", 1728, "f"), ("frame_id", 1732, "32"), ("slate", 1764, "100"),
    ("interlace", 1928, "B"), ("field_number", 1929, "B"), ("video_signal", 1930, "B"),
    ("horizontal_rate", 1932, "f"), ("vertical_rate", 1936, "f"), ("time_offset", 1944, "f"),
    ("gamma", 1948, "f"), ("black_level", 1952, "f"), ("black_gain", 1956, "f"),
    ("breakpoint", 1960, "f"), ("white_level", 1964, "f"), ("integration", 1968, "f"),
)  # fmt: skip
_ALL_ONES = {"B": 0xFF, "H": 0xFFFF, "I": UNDEFINED}
KEYCODE_KEYS = (
    "film_manufacturer", "film_type", "keycode_prefix", "keycode_count", "perf_offset",
)  # fmt: skip


def _field(head: bytes, order: str, offset: int, code: str) -> Value | None:
    if code.isdecimal():
        return text_of(head, offset, int(code)) or None
    value = struct.unpack_from(order + code, head, offset)[0]
    if code == "f":
        # Seven digits are all a 32-bit float holds: 172.8 comes out as 172.8.
        return float(f"{value:.7g}") if math.isfinite(value) else None
    return None if value == _ALL_ONES[code] else int(value)


def header_metadata(header: DpxHeader) -> Metadata:
    """All defined header fields, flat and JSON-able.

    Numbers as they stand in the file; ``film_rate`` and ``tv_rate`` as exact rates in text,
    ``timecode`` as ``HH:MM:SS:FF``, ``user_bits`` as eight hexadecimal digits, ``keycode`` as
    ``manufacturer type prefix count+offset`` in digits, ``history`` as the lines of a FADGI
    process history. Undefined fields are left out; ``header.head`` must reach to the pixels
    for the user data to be seen.
    """
    head, order = header.head, header.byte_order
    found: dict[str, Value | None] = {"byte_order": "big" if order == ">" else "little"}
    fields: tuple[tuple[str, int, str], ...] = _FIELDS
    industry = len(head) >= HEADER_BYTES
    if industry:
        fields += _INDUSTRY_FIELDS
    for name, offset, code in fields:
        found[name] = _field(head, order, offset, code)
    if industry:
        found["film_rate"] = _rate(head, order, 1724)
        found["tv_rate"] = _rate(head, order, 1940)
        timecode, user_bits = struct.unpack_from(order + "II", head, 1920)
        found["timecode"] = timecode_of(timecode)
        found["user_bits"] = None if user_bits == UNDEFINED else f"{user_bits:08X}"
        found["keycode"] = _keycode(found)
        found["user_id"] = header.user_id or None
        if header.user_id.startswith("FADGI"):
            body = head[HEADER_BYTES + 32 :].split(b"\0")[0]
            found["history"] = body.decode("utf-8", errors="replace").strip() or None
    return {key: value for key, value in found.items() if value is not None}


def _rate(head: bytes, order: str, offset: int) -> str | None:
    rate = rate_of(struct.unpack_from(order + "f", head, offset)[0])
    return rate_text(rate) if rate else None


def _keycode(found: dict[str, Value | None]) -> str | None:
    parts = [found[key] for key in KEYCODE_KEYS]
    if any(part is None for part in parts):
        return None
    return f"{' '.join(str(part) for part in parts[:4])}+{parts[4]}"


def keycode_numbers(metadata: dict[str, Value]) -> tuple[int, ...] | None:
    """The seven integers of OpenEXR's and SMPTE 254's key code: manufacturer, type, prefix,
    count, perforation offset, perforations per frame (4), perforations per count (64).

    None when a field is undefined or no number.
    """
    texts = [str(metadata.get(key, "")) for key in KEYCODE_KEYS]
    if not all(text.isascii() and text.isdecimal() for text in texts):
        return None
    return (*(int(text) for text in texts), 4, 64)


def metadata_rate(metadata: dict[str, Value]) -> Fraction | None:
    """The rate that ``header_metadata`` recorded: film header first, then television."""
    text = metadata.get("film_rate") or metadata.get("tv_rate")
    return parse_rate(str(text)) if text else None
