"""Does a movie file end where its own sizes say? Decoders read what is there and say nothing."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

_MOV_HOLDERS = (b"mdat", b"moov", b"moof")
_KLV_KEY = b"\x06\x0e\x2b\x34"
_TS_SYNC = 0x47
_PS_PACK, _PS_END = 0xBA, 0xB9
_TS_STRIDES = ((188, 0), (192, 4), (204, 0))
"""Length of a transport packet, and where in it the sync byte lies."""
_AVI_SLACK_BYTES = 1
"""Some writers count a padding byte that they do not write."""


def bytes_missing(path: Path, container: str) -> int:
    """Bytes that a movie's own sizes promise beyond its end; 0 when whole or when nothing is said.

    container: FFmpeg's name of the format, for instance ``mov,mp4,m4a,3gp,3g2,mj2``. Matroska is
    left to ``media.movie.mkv``. raises: OSError.
    """
    length = path.stat().st_size
    with path.open("rb") as stream:
        if container.startswith("mov"):
            return _mov(stream, length)
        if container == "avi":
            missing = _riff(stream, length)
            return missing if missing > _AVI_SLACK_BYTES else 0
        if container == "mxf":
            return _klv(stream, length)
        if container == "mpeg":
            return _program(stream, length)
        if container == "mpegts":
            return _transport(stream, length)
    return 0


def _mov(stream: BinaryIO, length: int) -> int:
    at = 0
    while at < length:
        stream.seek(at)
        head = stream.read(16)
        if len(head) < 8:
            return 8 - len(head) if any(head) else 0
        size, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        if size == 0 or size < 8:
            return 0  # Up to the end, or no atom at all: zeros after the last one are harmless.
        at += size
        if at > length and kind in _MOV_HOLDERS:
            return at - length
    return 0


def _riff(stream: BinaryIO, length: int) -> int:
    at = 0
    while at + 12 <= length:
        stream.seek(at)
        head = stream.read(12)
        size = int.from_bytes(head[4:8], "little")
        if head[:4] != b"RIFF" or size in (0, 0xFFFFFFFF):
            return 0
        at += 8 + size + size % 2
        if at > length:
            return at - length
    return 0


def _klv(stream: BinaryIO, length: int) -> int:
    at = 0
    while at < length:
        stream.seek(at)
        head = stream.read(25)
        if len(head) < 17 and _KLV_KEY.startswith(head[:4]):
            return 17 - len(head)
        if not head.startswith(_KLV_KEY) or len(head) < 17:
            return 0
        size, used = head[16], 17
        if size & 0x80:
            width = size & 0x7F
            if not 1 <= width <= 8:
                return 0
            size, used = int.from_bytes(head[17 : 17 + width], "big"), 17 + width
        at += used + size
        if at > length:
            return at - length
    return 0


def _program(stream: BinaryIO, length: int) -> int:
    """MPEG program stream: packs of packets, each with its length."""
    at = 0
    while at < length:
        stream.seek(at)
        head = stream.read(14)
        if len(head) < 6 and head[3:] != bytes((_PS_END,)):
            return 6 - len(head)
        if head[:3] != b"\x00\x00\x01" or head[3] == _PS_END:
            return 0
        if head[3] == _PS_PACK:
            if len(head) < 14:
                return 14 - len(head)
            mpeg2 = head[4] >> 6 == 1
            at += 14 + (head[13] & 7) if mpeg2 else 12
        else:
            at += 6 + int.from_bytes(head[4:6], "big")
        if at > length:
            return at - length
    return 0


def _transport(stream: BinaryIO, length: int) -> int:
    head = stream.read(1024)
    for stride, sync in _TS_STRIDES:
        if len(head) > 3 * stride and all(head[k * stride + sync] == _TS_SYNC for k in range(4)):
            return -length % stride
    return 0
