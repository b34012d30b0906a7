"""Reading small pieces of a file, and refusing senseless sizes before memory is asked for."""

from __future__ import annotations

from typing import BinaryIO

from media.errors import FrameUnreadable
from media.still.kinds import COPY_AGAIN

_MOST_PIXELS = 1 << 16
_FREE_BYTES = 64 << 20
_MOST_RATIO = 4096


def read_at(stream: BinaryIO, place: int, length: int) -> bytes:
    """Exactly ``length`` bytes at ``place``. raises: FrameUnreadable when the file ends before."""
    stream.seek(place)
    data = stream.read(length)
    if len(data) != length:
        raise truncated(place + len(data))
    return data


def truncated(size: int) -> FrameUnreadable:
    """The error for a file that ends too early."""
    return FrameUnreadable(f"truncated: the file has {size} bytes, not enough", hint=COPY_AGAIN)


def unreadable(what: str) -> FrameUnreadable:
    """The error for a file that cannot be right."""
    return FrameUnreadable(what, hint=COPY_AGAIN)


def refuse_size(width: int, height: int, pixel_bytes: int, size: int) -> None:
    """Refuse sizes that no file of ``size`` bytes can hold, before memory is asked for.

    The best compression of an empty picture stays below 4096 to one.
    raises: FrameUnreadable.
    """
    if not (0 < width <= _MOST_PIXELS and 0 < height <= _MOST_PIXELS):
        raise unreadable(f"senseless header: {width}x{height} pixels")
    if width * height * pixel_bytes > max(_FREE_BYTES, _MOST_RATIO * size):
        raise unreadable(f"senseless header: {width}x{height} pixels in a file of {size} bytes")
