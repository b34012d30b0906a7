"""TIFF tags that OpenImageIO drops or rewrites, taken over from the source's directory."""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4,
          16: 8, 17: 8, 18: 8}  # fmt: skip
_UNITS = {5: 4, 10: 4}
"""Rationals are two 32-bit numbers to a byte swapper."""
_LAYOUT = frozenset((
    256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 317, 322, 323, 324, 325, 338, 339, 347,
    512, 513, 514, 519, 520, 521, 529, 530, 531, 532,
))  # fmt: skip
_POINTERS = frozenset((330, 34665, 34853, 40965))
"""Places of further directories: they stay the library's own."""
_TAGS_OF = {"DateTime": (306, 700)}
"""XMP (700) repeats the date, and the library believes XMP first."""


@dataclass(frozen=True, slots=True)
class _Entry:
    tag: int
    type: int
    raw: bytes
    """The values, little-endian."""


def graft_tiff(place: Path, old: bytes, added: Collection[str]) -> None:
    """Give a written TIFF the metadata tags of another of the same layout, in place.

    The directory is written anew at the end of the file; strips and tiles stay where they are.
    old: the other file. added: OpenImageIO's names of attributes of the written file that go
    before the other's. raises: OSError.
    """
    with place.open("r+b") as stream:
        # Mapped: the picture is not copied to read a directory of a few hundred bytes.
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            order, big, fresh = _entries(data)
        _, _, kept = _entries(old)
        own = _LAYOUT | _POINTERS | {tag for name in added for tag in _TAGS_OF.get(name, ())}
        chosen = {e.tag: e for e in kept if e.tag not in own and (big or e.type < 16)}
        chosen |= {e.tag: e for e in fresh if e.tag in own}
        size = stream.seek(0, os.SEEK_END)
        start = size + -size % 8
        tail, place_of_directory = _directory(chosen, order, big, start)
        stream.write(b"\0" * (start - size) + tail)
        stream.seek(8 if big else 4)
        stream.write(struct.pack(order + ("Q" if big else "I"), place_of_directory))


def _directory(chosen: dict[int, _Entry], order: str, big: bool, start: int) -> tuple[bytes, int]:
    """Values and directory as bytes for place ``start``, and where the directory begins."""
    tail, table, slot = bytearray(), b"", 8 if big else 4
    for tag in sorted(chosen):
        entry = chosen[tag]
        raw = _swapped(entry) if order == ">" else entry.raw
        count = len(raw) // _SIZES[entry.type]
        if len(raw) > slot:
            field = struct.pack(order + ("Q" if big else "I"), start + len(tail))
            tail += raw + b"\0" * (-len(raw) % 8)
        else:
            field = raw.ljust(slot, b"\0")
        table += struct.pack(order + ("HHQ" if big else "HHI"), tag, entry.type, count) + field
    begin = start + len(tail)
    tail += struct.pack(order + ("Q" if big else "H"), len(chosen)) + table + b"\0" * slot
    return bytes(tail), begin


def _swapped(entry: _Entry) -> bytes:
    unit = _UNITS.get(entry.type, _SIZES[entry.type])
    return b"".join(entry.raw[k : k + unit][::-1] for k in range(0, len(entry.raw), unit))


def _entries(data: bytes | mmap.mmap) -> tuple[str, bool, list[_Entry]]:
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    wide = "Q" if big else "I"
    place = struct.unpack_from(order + wide, data, 8 if big else 4)[0]
    count = struct.unpack_from(order + ("Q" if big else "H"), data, place)[0]
    place += 8 if big else 2
    found = []
    for k in range(count):
        at = place + k * (20 if big else 12)
        tag, kind, number = struct.unpack_from(order + "HH" + wide, data, at)
        if kind not in _SIZES:
            continue
        length, field = number * _SIZES[kind], at + (12 if big else 8)
        if length > (8 if big else 4):
            field = struct.unpack_from(order + wide, data, field)[0]
        entry = _Entry(tag, kind, data[field : field + length])
        found.append(_Entry(tag, kind, _swapped(entry)) if order == ">" else entry)
    return order, big, found
