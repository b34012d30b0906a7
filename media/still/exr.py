"""The structure of an OpenEXR file: headers, attributes, and that every chunk lies in the file."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from media.errors import FrameUnreadable, InputError
from media.still.bytes import read_at, refuse_size, truncated, unreadable

_MAGIC = b"\x76\x2f\x31\x01"
_TILED, _LONG, _DEEP, _MULTI = 0x200, 0x400, 0x800, 0x1000
_HEADER_LIMIT = 16 << 20
_USUAL_HEADER = 64 << 10
_MOST_PARTS = 256
_LINES = {0: 1, 1: 1, 2: 1, 3: 16, 4: 32, 5: 16, 6: 32, 7: 32, 8: 32, 9: 256, 10: 32, 11: 256}
"""Rows in a chunk, by compression."""
_SAMPLE_BYTES = {0: 4, 1: 2, 2: 4}


@dataclass(frozen=True, slots=True)
class Part:
    """One part's header."""

    attributes: dict[str, tuple[str, bytes]]
    """Name to type name and raw value."""
    window: tuple[int, int, int, int]
    """Data window: x and y of the first and of the last pixel."""
    channels: dict[str, tuple[int, int, int]]
    """Name to sample type (0 uint, 1 half, 2 float) and sampling in x and y."""
    compression: int
    tiled: bool

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the data window."""
        x0, y0, x1, y1 = self.window
        return x1 - x0 + 1, y1 - y0 + 1

    def chunks(self) -> int:
        """How many chunks the part has. raises: InputError for levels of detail."""
        width, height = self.size
        if not self.tiled:
            return -(-height // _LINES[self.compression])
        raw = self.attributes.get("tiles", ("", b""))[1]
        if len(raw) != 9:
            raise unreadable("senseless EXR: tiles without a size")
        across, down, mode = struct.unpack("<IIB", raw)
        if not (0 < across <= 1 << 16 and 0 < down <= 1 << 16):
            raise unreadable(f"senseless EXR: tiles of {across}x{down} pixels")
        if mode & 0xF:
            raise InputError(
                "EXR with levels of detail is not supported", hint="keep the full size alone"
            )
        return int(-(-width // across) * -(-height // down))


def read_parts(data: bytes) -> tuple[list[Part], int]:
    """The headers, and where they end. data: the start of the file.

    raises: FrameUnreadable, InputError (deep).
    """
    if data[:4] != _MAGIC:
        raise unreadable("not an EXR file: wrong magic number")
    if len(data) < 9:
        raise truncated(len(data))
    flags = struct.unpack("<I", data[4:8])[0]
    if flags & 0xFF != 2:
        raise unreadable(f"EXR version {flags & 0xFF} is not known")
    if flags & _DEEP:
        raise InputError("deep EXR is not supported", hint="flatten it before the restoration")
    parts, place = [], 8
    while True:
        attributes, place = _attributes(data, place)
        parts.append(_part(attributes, bool(flags & _TILED)))
        if not flags & _MULTI:
            return parts, place
        if len(parts) > _MOST_PARTS:
            raise unreadable("senseless EXR: too many parts")
        if data[place : place + 1] == b"\0":
            return parts, place + 1


def _attributes(data: bytes, place: int) -> tuple[dict[str, tuple[str, bytes]], int]:
    found: dict[str, tuple[str, bytes]] = {}
    while data[place : place + 1] != b"\0":
        name, place = _name(data, place)
        kind, place = _name(data, place)
        if place + 4 > len(data):
            raise truncated(len(data))
        length = struct.unpack_from("<i", data, place)[0]
        place += 4
        if length < 0 or place + length > len(data):
            raise unreadable(f"truncated: the EXR attribute {name!r} reaches behind the file")
        found[name] = (kind, data[place : place + length])
        place += length
    return found, place + 1


def _name(data: bytes, place: int) -> tuple[str, int]:
    end = data.find(b"\0", place, place + 256)
    if end <= place:
        raise unreadable("damaged: an EXR attribute without a name")
    return data[place:end].decode("utf-8", errors="replace"), end + 1


def _part(attributes: dict[str, tuple[str, bytes]], tiled: bool) -> Part:
    def raw(name: str, length: int) -> bytes:
        value = attributes.get(name, ("", b""))[1]
        if len(value) != length:
            raise unreadable(f"damaged: the EXR has no proper {name!r}")
        return value

    kind = attributes.get("type", ("", b""))[1].rstrip(b"\0")
    if kind.startswith(b"deep"):
        raise InputError("deep EXR is not supported", hint="flatten it before the restoration")
    compression = raw("compression", 1)[0]
    if compression not in _LINES:
        raise unreadable(f"EXR compression {compression} is not known")
    window = struct.unpack("<4i", raw("dataWindow", 16))
    channels = _channels(attributes.get("channels", ("", b""))[1])
    return Part(attributes, window, channels, compression, tiled or kind == b"tiledimage")


def _channels(raw: bytes) -> dict[str, tuple[int, int, int]]:
    found: dict[str, tuple[int, int, int]] = {}
    place = 0
    while raw[place : place + 1] not in (b"\0", b""):
        name, place = _name(raw, place)
        if place + 16 > len(raw):
            raise unreadable("damaged: the EXR's list of channels ends early")
        sample, _, across, down = struct.unpack_from("<iIii", raw, place)
        if sample not in _SAMPLE_BYTES:
            raise unreadable(f"senseless EXR: channel {name!r} has sample type {sample}")
        found[name] = (sample, across, down)
        place += 16
    if not found:
        raise unreadable("damaged: the EXR has no channels")
    return found


def check_exr(stream: BinaryIO, size: int) -> None:
    """Refuse an EXR that is cut short, senseless, or of a sort that is not taken.

    raises: FrameUnreadable, InputError (deep, sub-sampled chroma).
    """
    parts, place = _head(stream, size)
    for part in parts:
        pixel_bytes = sum(_SAMPLE_BYTES[sample] for sample, _, _ in part.channels.values())
        refuse_size(*part.size, pixel_bytes, size)
        for name, (_, across, down) in part.channels.items():
            if (across, down) != (1, 1):
                raise InputError(
                    f"sub-sampled chroma is not supported: EXR channel {name} is stored at "
                    f"one pixel in {across}x{down}",
                    hint="export the frames with R, G and B in full size",
                )
        count = part.chunks()
        table = np.frombuffer(read_at(stream, place, 8 * count), "<u8")
        place += 8 * count
        # A writer that was stopped leaves zeros; a cut file leaves offsets behind its end.
        if table.size and (int(table.max()) + 8 > size or int(table.min()) < place):
            raise unreadable(
                f"truncated: EXR chunks are missing or lie behind the end ({size} bytes)"
            )
        _check_chunks(stream, size, part, table, len(parts) > 1)


def _head(stream: BinaryIO, size: int) -> tuple[list[Part], int]:
    """The headers, from as little of the file as they need."""
    try:
        return read_parts(read_at(stream, 0, min(size, _USUAL_HEADER)))
    except FrameUnreadable:
        if size <= _USUAL_HEADER:
            raise
    return read_parts(read_at(stream, 0, min(size, _HEADER_LIMIT)))


def _check_chunks(
    stream: BinaryIO,
    size: int,
    part: Part,
    table: np.ndarray[tuple[int], np.dtype[np.uint64]],
    multi: bool,
) -> None:
    """Each chunk's own length must end inside the file."""
    head = (4 if multi else 0) + (16 if part.tiled else 4)
    for place in table.tolist():
        length = struct.unpack("<i", read_at(stream, place + head, 4))[0]
        if length < 0 or place + head + 4 + length > size:
            raise unreadable(f"truncated: an EXR chunk ends behind the file ({size} bytes)")
