"""The structure of JPEG 2000: sizes, and that the code stream is whole."""

from __future__ import annotations

import io
import struct
from typing import BinaryIO

from media.errors import InputError
from media.still.bytes import read_at, refuse_size, truncated, unreadable

_SOC, _SIZ, _COD, _SOT, _EOC = 0xFF4F, 0xFF51, 0xFF52, 0xFF90, 0xFFD9
_REVERSIBLE = 1


def check_jp2(stream: BinaryIO, size: int) -> bool:
    """Refuse JPEG 2000 that is cut short or of a sort that is not taken.

    A decoder makes a blurred picture of what is left of a cut file, and says nothing.
    returns: whether the wavelet is the reversible one, without which codes are never exact.
    raises: FrameUnreadable, InputError (sub-sampled, signed, palette, alpha).
    """
    place, end = _code_stream(stream, size)
    if struct.unpack(">H", read_at(stream, place, 2))[0] != _SOC:
        raise unreadable("not a JPEG 2000 file: no code stream")
    place, reversible = place + 2, False
    while True:
        marker, length = struct.unpack(">HH", read_at(stream, place, 4))
        if marker == _SOT:
            break
        if marker >> 8 != 0xFF or length < 2 or place + 2 + length > end:
            raise unreadable("damaged: the JPEG 2000 header is senseless")
        body = read_at(stream, place + 4, length - 2)
        if marker == _SIZ:
            _check_siz(body, size)
        elif marker == _COD and len(body) >= 10:
            reversible = body[9] == _REVERSIBLE
        place += 2 + length
    _check_tile_parts(stream, place, end)
    return reversible


def code_stream(data: bytes) -> tuple[int, int]:
    """Start and end of the code stream in a whole file. raises: FrameUnreadable."""
    return _code_stream(io.BytesIO(data), len(data))


def _code_stream(stream: BinaryIO, size: int) -> tuple[int, int]:
    """Start and end of the code stream, in its box or bare."""
    if read_at(stream, 0, 2) == struct.pack(">H", _SOC):
        return 0, size
    if read_at(stream, 0, 12) != b"\0\0\0\x0cjP  \r\n\x87\n":
        raise unreadable("not a JPEG 2000 file: wrong magic number")
    place = 12
    while place + 8 <= size:
        length, kind = struct.unpack(">I4s", read_at(stream, place, 8))
        head = 8
        if length == 1:
            length, head = struct.unpack(">Q", read_at(stream, place + 8, 8))[0], 16
        end = size if length == 0 else place + length
        if end > size:
            raise truncated(size)
        if end < place + head:
            break
        if kind == b"jp2h":
            _check_boxes(read_at(stream, place + head, min(end - place - head, 1 << 20)))
        if kind == b"jp2c":
            return place + head, end
        place = end
    raise unreadable("damaged: the JPEG 2000 file has no code stream")


def _check_boxes(body: bytes) -> None:
    place = 0
    while place + 8 <= len(body):
        length, kind = struct.unpack_from(">I4s", body, place)
        if kind == b"pclr":
            raise InputError(
                "palette pictures are not supported", hint="convert it to plain RGB or gray"
            )
        if length < 8:
            return
        place += length


def _check_siz(body: bytes, size: int) -> None:
    if len(body) < 39:
        raise unreadable("damaged: the JPEG 2000 header is senseless")
    right, bottom, left, top = struct.unpack_from(">4I", body, 2)
    count = struct.unpack_from(">H", body, 34)[0]
    if len(body) < 36 + 3 * count:
        raise unreadable("damaged: the JPEG 2000 header is senseless")
    refuse_size(right - left, bottom - top, 2 * max(count, 1), size)
    for k in range(count):
        depth, across, down = body[36 + 3 * k : 39 + 3 * k]
        if (across, down) != (1, 1):
            raise InputError(
                "JPEG 2000 with sub-sampled chroma is not supported",
                hint="export the frames with all channels in full size",
            )
        if depth & 0x80:
            raise InputError("signed JPEG 2000 samples are not supported", hint="use unsigned")


def _check_tile_parts(stream: BinaryIO, place: int, end: int) -> None:
    while True:
        marker = struct.unpack(">H", read_at(stream, place, 2))[0]
        if marker == _EOC:
            return
        if marker != _SOT:
            raise unreadable("damaged: the JPEG 2000 code stream is senseless")
        length = struct.unpack(">I", read_at(stream, place + 6, 4))[0]
        if length == 0:
            if read_at(stream, end - 2, 2) != struct.pack(">H", _EOC):
                raise truncated(end)
            return
        if length < 14 or place + length + 2 > end:
            raise truncated(end)
        place += length
