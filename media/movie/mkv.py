"""Is a Matroska file whole? Its own sizes and check sums, which decoders do not look at.

EBML (RFC 8794): every element is an identifier, a size and its content; an element may open with
a CRC-32 element that covers the rest of it. Archives ask for one on every top-level element.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from media.errors import FrameUnreadable

_EBML, _SEGMENT, _CRC32 = 0x1A45DFA3, 0x18538067, 0xBF
_BLOCK_BYTES = 1 << 20
_MAX_ELEMENTS = 10_000_000


@dataclass(frozen=True, slots=True)
class MkvCheck:
    """What the walk over the top-level elements found."""

    elements: int
    checked: int
    """Elements whose CRC-32 is there and right."""


def check_mkv(path: Path, *, reel: str | None = None, whole: bool = True) -> MkvCheck | None:
    """Walk over the top-level elements of a Matroska file; None when it is no Matroska.

    whole: False takes a file that was cut short for what is left of it.
    raises: OSError, FrameUnreadable when the file ends inside an element, or a CRC-32 does not
    match.
    """
    length = path.stat().st_size
    with path.open("rb") as stream:
        head = _element(stream, length)
        if head is None or head.id != _EBML:
            return None
        stream.seek(head.stop)
        segment = _element(stream, length)
        if segment is None or segment.id != _SEGMENT:
            raise _broken(path, "has no segment", reel)
        if whole and segment.size is not None and segment.stop > length:
            raise _broken(path, f"ends {segment.stop - length} bytes too early", reel)
        return _walk(stream, path, segment, length, reel, whole)


@dataclass(frozen=True, slots=True)
class _Element:
    id: int
    start: int
    """First byte of the content."""
    size: int | None
    """None where the writer did not know it (a live recording)."""

    @property
    def stop(self) -> int:
        return self.start + (self.size or 0)


def _walk(
    stream: BinaryIO, path: Path, segment: _Element, length: int, reel: str | None, whole: bool
) -> MkvCheck:
    end = length if segment.size is None else min(segment.stop, length)
    elements = checked = 0
    stream.seek(segment.start)
    while stream.tell() < end:
        at = stream.tell()
        element = _element(stream, length)
        if element is None or elements > _MAX_ELEMENTS:
            if not whole:
                break
            raise _broken(path, f"holds no element at byte {at}", reel)
        if element.size is None:
            stream.seek(element.start)  # Its children have sizes: they are walked in its place.
            continue
        if element.stop > end:
            if not whole:
                break
            raise _broken(path, f"ends inside the element at byte {at}", reel)
        elements += 1
        checked += _crc_matches(stream, path, element, length, reel)
        stream.seek(element.stop)
    return MkvCheck(elements, checked)


def _crc_matches(
    stream: BinaryIO, path: Path, element: _Element, length: int, reel: str | None
) -> int:
    """1 when the element opens with a CRC-32 that is right, 0 when it has none."""
    if (element.size or 0) < 6:
        return 0
    stream.seek(element.start)
    first = _element(stream, length)
    if first is None or first.id != _CRC32 or first.size != 4:
        return 0
    wanted = int.from_bytes(stream.read(4), "little")
    left, found = element.stop - first.stop, 0
    while left > 0:
        block = stream.read(min(left, _BLOCK_BYTES))
        if not block:
            break
        found = zlib.crc32(block, found)
        left -= len(block)
    if found != wanted:
        raise _broken(path, f"is damaged: the check sum at byte {element.start} is wrong", reel)
    return 1


def _element(stream: BinaryIO, length: int) -> _Element | None:
    """The element at the stream's place; None where there is none."""
    identifier = _number(stream, 4, keep_marker=True)
    size = _number(stream, 8, keep_marker=False)
    if identifier is None or size is None:
        return None
    value, width = size
    unknown = value == (1 << (7 * width)) - 1
    if not unknown and value > max(length, 1) * 2:
        return None
    return _Element(identifier[0], stream.tell(), None if unknown else value)


def _number(stream: BinaryIO, most: int, *, keep_marker: bool) -> tuple[int, int] | None:
    """A variable-length number and its width in bytes."""
    first = stream.read(1)
    if not first or first[0] == 0:
        return None
    width = 9 - first[0].bit_length()
    rest = stream.read(width - 1)
    if width > most or len(rest) != width - 1:
        return None
    value = first[0] if keep_marker else first[0] & ((1 << (8 - width)) - 1)
    return int.from_bytes(bytes((value,)) + rest, "big"), width


def _broken(path: Path, what: str, reel: str | None) -> FrameUnreadable:
    return FrameUnreadable(
        f"{path.name} {what}",
        hint="copy the movie again, or take it from another copy",
        reel=reel,
    )
