"""The structure of still files, checked byte by byte before a library believes it.

OpenImageIO fills rows that are missing with zeros, makes room for whatever size a header
claims, and decodes what a JPEG 2000 file still has; an archive wants to hear of all three.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import BinaryIO

from media.errors import FrameUnreadable, InputError
from media.still.bytes import read_at, refuse_size, truncated, unreadable
from media.still.exr import check_exr
from media.still.jp2 import check_jp2
from media.still.kinds import COPY_AGAIN
from media.still.tiff import check_tiff

_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_MAGICS = (
    (_PNG_MAGIC, "png"), (b"\x76\x2f\x31\x01", "exr"), (b"II*\0", "tiff"), (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"), (b"MM\0+", "tiff"), (b"SDPX", "dpx"), (b"XPDS", "dpx"),
    (b"\0\0\0\x0cjP  ", "jp2"), (b"\xff\x4f\xff\x51", "j2c"), (b"\xff\xd8\xff", "jpeg"),
)  # fmt: skip
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_PALETTE = 3
_CRC_BLOCK_BYTES = 1 << 20


def check_still(path: Path, kind: str) -> None:
    """Refuse what is empty, cut short, senseless, or of a sort that is not taken.

    Reads headers and tables, not pixels. raises: FrameUnreadable,
    InputError, OSError.
    """
    size = path.stat().st_size
    if size == 0:
        raise FrameUnreadable("the file is empty (zero bytes)", hint=COPY_AGAIN)
    with path.open("rb") as stream:
        found = next((name for magic, name in _MAGICS if stream_starts(stream, magic)), kind)
        if found != kind:
            raise FrameUnreadable(
                f"the name says {kind}, the file is {found}", hint="rename the files"
            )
        if kind == "tiff":
            check_tiff(stream, size)
        elif kind == "exr":
            check_exr(stream, size)
        elif kind == "png":
            _check_png(stream, size)
        elif kind in ("jp2", "j2c"):
            check_jp2(stream, size)


def reversible_wavelet(path: Path) -> bool:
    """Whether JPEG 2000 was compressed without loss. raises: as ``check_still``."""
    with path.open("rb") as stream:
        return check_jp2(stream, path.stat().st_size)


def stream_starts(stream: BinaryIO, magic: bytes) -> bool:
    """Whether a file begins with these bytes."""
    stream.seek(0)
    return stream.read(len(magic)) == magic


def _check_png(stream: BinaryIO, size: int) -> None:
    if read_at(stream, 0, 8) != _PNG_MAGIC:
        raise unreadable("not a PNG file: wrong magic number")
    place, first, ended = 8, True, False
    while not ended:
        if place + 12 > size:
            raise truncated(size)
        length, name = struct.unpack(">I4s", read_at(stream, place, 8))
        if first and (name != b"IHDR" or length != 13):
            raise unreadable("senseless PNG: it does not begin with its header")
        if place + 12 + length > size:
            raise truncated(size)
        # The decoder checks the picture's own parts, and an inspection reads no pixels.
        if name != b"IDAT":
            _check_crc(stream, place + 4, length + 4, name)
        if first:
            _check_ihdr(read_at(stream, place + 8, 13), size)
        if name == b"tRNS":
            raise InputError(
                "transparency in a PNG is not supported",
                hint="strip the alpha or other channels, or keep them as a sequence of their own",
            )
        first, ended = False, name == b"IEND"
        place += 12 + length


def _check_crc(stream: BinaryIO, place: int, length: int, name: bytes) -> None:
    digest, end = 0, place + length
    while place < end:
        block = read_at(stream, place, min(_CRC_BLOCK_BYTES, end - place))
        digest = zlib.crc32(block, digest)
        place += len(block)
    if struct.pack(">I", digest) != read_at(stream, end, 4):
        label = name.decode("latin-1")
        raise unreadable(f"damaged: the checksum of the {label!r} part of the PNG is wrong")


def _check_ihdr(head: bytes, size: int) -> None:
    width, height, depth, color = struct.unpack(">IIBB", head[:10])
    if color not in _PNG_CHANNELS:
        raise unreadable(f"senseless PNG: color type {color}")
    if color == _PALETTE or depth < 8:
        raise InputError(
            "palette or bitmap PNG is not supported", hint="convert it to plain RGB or gray"
        )
    refuse_size(width, height, _PNG_CHANNELS[color] * 2, size)
