"""The structure of a TIFF: its directory, and that every strip and tile lies in the file."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

from media.errors import InputError
from media.still.bytes import read_at, refuse_size, truncated, unreadable

_TYPES = {1: "B", 2: "s", 3: "H", 4: "I", 6: "b", 7: "s", 8: "h", 9: "i", 13: "I",
          16: "Q", 17: "q", 18: "Q"}  # fmt: skip
_WIDE = {5: 8, 10: 8, 11: 4, 12: 8}
_MOST_VALUES = 1 << 22
WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES, PLANAR = 273, 277, 278, 279, 284
TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS, TILE_BYTES = 322, 323, 324, 325
EXTRA, FORMAT, SUBSAMPLING = 338, 339, 530
_NONE, _JPEG, _YCBCR = 1, 7, 6
# OpenImageIO turns 8-bit codes round where white is zero, and 16-bit codes not.
_NAMES = {
    0: "white-is-zero",
    3: "palette",
    4: "transparency mask",
    5: "CMYK",
    6: "YCbCr",
    8: "Lab",
    9: "ICC Lab",
}
_FORMATS = {2: "signed", 3: "float", 5: "complex signed", 6: "complex"}


@dataclass(frozen=True, slots=True)
class Directory:
    """The first image file directory."""

    order: str
    big: bool
    tags: dict[int, tuple[int, ...]]
    """Whole-number tags; the first value is enough for most."""

    def one(self, tag: int, default: int = 0) -> int:
        """The first value of a tag."""
        return self.tags.get(tag, (default,))[0]


def read_directory(stream: BinaryIO, size: int) -> Directory:
    """The first directory of a TIFF or BigTIFF. raises: FrameUnreadable."""
    magic = read_at(stream, 0, 4)
    order = {b"II": "<", b"MM": ">"}.get(magic[:2])
    version = struct.unpack(f"{order}H", magic[2:])[0] if order else 0
    if order is None or version not in (42, 43):
        raise unreadable("not a TIFF file: wrong magic number")
    big = version == 43
    if big:
        place = struct.unpack(f"{order}Q", read_at(stream, 8, 8))[0]
        count = struct.unpack(f"{order}Q", _inside(stream, place, 8, size))[0]
        entry, start = 20, place + 8
    else:
        place = struct.unpack(f"{order}I", read_at(stream, 4, 4))[0]
        count = struct.unpack(f"{order}H", _inside(stream, place, 2, size))[0]
        entry, start = 12, place + 2
    if count > 4096:
        raise unreadable(f"senseless TIFF: {count} entries in its directory")
    table = _inside(stream, start, count * entry, size)
    tags: dict[int, tuple[int, ...]] = {}
    seen: set[int] = set()
    for k in range(count):
        tag, kind = struct.unpack_from(f"{order}HH", table, k * entry)
        number = struct.unpack_from(f"{order}{'Q' if big else 'I'}", table, k * entry + 4)[0]
        values = _values(
            stream,
            table[k * entry + (12 if big else 8) : (k + 1) * entry],
            order,
            kind,
            number,
            size,
        )
        if tag in seen:
            raise unreadable(f"damaged: the TIFF says tag {tag} twice")
        seen.add(tag)
        if values:
            tags[tag] = values
    return Directory(order, big, tags)


def _inside(stream: BinaryIO, place: int, length: int, size: int) -> bytes:
    if place + length > size:
        raise truncated(size)
    return read_at(stream, place, length)


def _values(
    stream: BinaryIO, field: bytes, order: str, kind: int, number: int, size: int
) -> tuple[int, ...]:
    code = _TYPES.get(kind)
    width = struct.calcsize(code) if code else _WIDE.get(kind, 0)
    if number > _MOST_VALUES and number * width > size:
        raise truncated(size)
    if width * number > len(field):
        place = struct.unpack(f"{order}{'Q' if len(field) == 8 else 'I'}", field)[0]
        if place + width * number > size:
            raise truncated(size)
        if code in (None, "s"):
            return ()
        field = read_at(stream, place, width * number)
    if code in (None, "s"):
        return ()
    return struct.unpack_from(f"{order}{number}{code}", field)


def check_tiff(stream: BinaryIO, size: int) -> None:
    """Refuse a TIFF that is cut short or of a sort that is not taken.

    raises: FrameUnreadable, InputError (palette, CMYK, sub-sampled, signed, complex, float).
    """
    found = read_directory(stream, size)
    width, height = found.one(WIDTH), found.one(LENGTH)
    samples, bits = found.one(SAMPLES, 1), found.one(BITS, 1)
    refuse_size(width, height, max(1, samples * bits // 8), size)
    _check_sort(found)
    tiled = TILE_OFFSETS in found.tags
    offsets = found.tags.get(TILE_OFFSETS if tiled else STRIP_OFFSETS, ())
    counts = found.tags.get(TILE_BYTES if tiled else STRIP_BYTES, ())
    across, down = width, max(1, min(found.one(ROWS_PER_STRIP, height), height))
    if tiled:
        across, down = found.one(TILE_WIDTH), found.one(TILE_LENGTH)
        if not (0 < across <= 1 << 16 and 0 < down <= 1 << 16):
            raise unreadable(f"senseless TIFF: tiles of {across}x{down} pixels")
    separate = found.one(PLANAR, 1) == 2
    rows, columns = -(-height // down), -(-width // across)
    wanted = rows * columns * (samples if separate else 1)
    if len(offsets) < wanted or len(counts) < wanted:
        raise unreadable(
            f"truncated: {wanted} strips or tiles are needed, {len(offsets)} are named"
        )
    row_bytes = -(-across * bits * (1 if separate else samples) // 8)
    for k in range(wanted):
        if offsets[k] + counts[k] > size or counts[k] == 0 or offsets[k] < 8:
            raise unreadable(
                f"truncated: strip or tile {k} ends at byte {offsets[k] + counts[k]}, "
                f"the file has {size}"
            )
        row = k // columns % rows
        lines = down if tiled else min(down, height - row * down)
        if found.one(COMPRESSION, _NONE) == _NONE and counts[k] < lines * row_bytes:
            raise unreadable(
                f"truncated: strip or tile {k} has {counts[k]} bytes instead of {lines * row_bytes}"
            )


def _check_sort(found: Directory) -> None:
    hint = "convert it to plain RGB or gray"
    bits, formats = found.tags.get(BITS, (1,)), found.tags.get(FORMAT, (1,))
    color = found.one(PHOTOMETRIC)
    if formats[0] in _FORMATS:
        raise InputError(
            f"{_FORMATS[formats[0]]} TIFF samples are not supported",
            hint="use 8, 10, 12 or 16-bit integers, or half or float EXR",
        )
    if color == _YCBCR and found.one(COMPRESSION) == _JPEG:
        if found.tags.get(SUBSAMPLING, (2, 2)) != (1, 1):
            raise InputError("TIFF with sub-sampled chroma is not supported", hint=hint)
    elif color in _NAMES:
        raise InputError(f"{_NAMES[color]} pictures are not supported", hint=hint)
    if len(set(bits)) > 1:
        raise InputError("channels of different depth in one file", hint="write it with one depth")
    if bits[0] not in (8, 10, 12, 16):
        raise InputError(
            f"{bits[0]}-bit TIFF samples are not supported", hint="use 8, 10, 12 or 16 bits"
        )
    # A single one more may be a defect map; whether it is, who reads the channels is told.
    if len(found.tags.get(EXTRA, ())) > 1:
        raise InputError(
            "a TIFF with extra channels: only RGB or one luma channel is taken, not A",
            hint="strip the alpha or other channels, or keep them as a sequence of their own",
        )
