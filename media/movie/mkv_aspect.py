"""The shape of a Matroska file's pixels, written into its head after FFmpeg has closed it.

FFmpeg's writer takes a shape only from a field that PyAV does not offer. It leaves a gap in the
entry of the track that is as long as the shape. RFC 9559, 5.1.4.1.28: DisplayUnit 3 means that
DisplayWidth and DisplayHeight are a ratio, so any shape is exact. Nothing outside the entry moves;
the check sum of the Tracks element is made anew.
"""

from __future__ import annotations

import zlib
from fractions import Fraction
from pathlib import Path

from media.errors import InputError

_SEGMENT, _TRACKS, _ENTRY, _VIDEO = 0x18538067, 0x1654AE6B, 0xAE, 0xE0
_CRC32, _VOID, _UNIT = 0xBF, 0xEC, 0x54B2
_HEAD_BYTES = 1 << 20
_RATIO = 3
_FIELDS = ((0x54B0, 3), (0x54BA, 2))
"""DisplayWidth and DisplayHeight, and in how many bytes: together they fill the gap."""
_GAP = sum(3 + size for _, size in _FIELDS)
_SHORT = 126
"""The longest content whose length takes one byte."""


def display_shape(name: str, width: int, height: int, pixel_aspect: Fraction) -> Fraction:
    """Width of the picture as shown by its height.

    raises: InputError for a shape that no ratio of small numbers says.
    """
    shape = Fraction(width, height) * pixel_aspect
    if any(v >= 256**size for v, (_, size) in zip(shape.as_integer_ratio(), _FIELDS, strict=True)):
        raise InputError(
            f"{name}: pixels of {pixel_aspect} make a picture of {shape}, which cannot be written",
            hint="state a rounder pixel aspect in the source, or deliver ProRes in .mov",
        )
    return shape


def state_aspect(path: Path, width: int, height: int, pixel_aspect: Fraction) -> None:
    """Say how wide a pixel is for its height; square pixels need no word.

    path: a Matroska file that is closed, with one picture track of so many pixels.
    raises: InputError as ``display_shape``, or for a file without room for it; OSError.
    """
    if pixel_aspect == 1:
        return
    shape = display_shape(path.name, width, height, pixel_aspect)
    with path.open("r+b") as stream:
        head = bytearray(stream.read(_HEAD_BYTES))
        segment = _element(head, 0, len(head), _SEGMENT)
        tracks = segment and _element(head, *segment[1:], _TRACKS)
        entry = tracks and _element(head, *tracks[1:], _ENTRY)
        video = entry and _element(head, *entry[1:], _VIDEO)
        unit = video and _element(head, *video[1:], _UNIT)
        gap = entry and video and _element(head, video[2], entry[2], _VOID)
        if not (
            tracks
            and video
            and unit
            and gap
            and video[1] - video[0] == 2
            and video[2] - video[1] <= _SHORT - _GAP
            and unit[2] - unit[1] == 1
            and gap[2] - gap[0] == _GAP
        ):
            raise InputError(
                f"{path.name}: there is no room for the shape of its pixels ({pixel_aspect})",
                hint="deliver ProRes in .mov, or frames",
            )
        head[unit[1]] = _RATIO
        said = b""
        for (name, size), value in zip(_FIELDS, shape.as_integer_ratio(), strict=True):
            said += name.to_bytes(2) + bytes([0x80 | size]) + value.to_bytes(size)
        # What lies between the two moves into the gap.
        head[video[2] : gap[2]] = said + head[video[2] : gap[0]]
        head[video[1] - 1] += _GAP
        check = _element(head, *tracks[1:], _CRC32)
        if check is not None and check[0] == tracks[1]:
            crc = zlib.crc32(head[check[2] : tracks[2]])
            head[check[1] : check[2]] = crc.to_bytes(4, "little")
        stream.seek(tracks[1])
        stream.write(head[tracks[1] : tracks[2]])


def _element(
    data: bytes | bytearray, start: int, stop: int, name: int
) -> tuple[int, int, int] | None:
    """The first element of that name: its start, that of its content, and its end."""
    at = start
    while at < stop:
        named, size_at = _number(data, at, keep_marker=True)
        size, content = _number(data, size_at, keep_marker=False)
        end = min(content + size, len(data))
        if named == name:
            return at, content, end
        at = end
    return None


def _number(data: bytes | bytearray, at: int, *, keep_marker: bool) -> tuple[int, int]:
    """A number of EBML (RFC 8794, 4), and where the next byte is."""
    length = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + length])
    if not keep_marker:
        value &= (1 << (7 * length)) - 1
    return value, at + length
