"""Metadata that OpenImageIO does not carry from file to file, put back byte for byte.

The library writes the picture; everything in the source's file that is not layout is then taken
over raw: attributes it has no name for, private tags, text and color chunks, boxes.
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from pathlib import Path

import numpy as np

from media.still.exr import Part, read_parts
from media.still.jp2 import code_stream
from media.still.tiff_graft import graft_tiff

_EXR_LAYOUT = frozenset((
    "channels", "chunkCount", "compression", "dataWindow", "lineOrder", "name", "tiles", "type",
    "version",
))  # fmt: skip
_EXR_NAMES = {"film:history": "film:history", "DateTime": "capDate"}
_EXR_LONG_NAMES = 0x400
_EXR_B44 = (6, 7)
_PNG_KEYS = {"film:history": (b"tEXt", b"film:history\0"), "DateTime": (b"tIME", b"")}


def graft(place: Path, template: Path, kind: str, added: Collection[str] = ()) -> None:
    """Give a written file the metadata of its template, which has the same layout.

    added: OpenImageIO's names of attributes that are new and stay: film:history, DateTime.
    raises: OSError, FrameUnreadable.
    """
    old = template.read_bytes()
    if kind == "tiff":
        graft_tiff(place, old, added)
        return
    data = place.read_bytes()
    if kind == "exr":
        data = _grafted_exr(data, old, {_EXR_NAMES[n] for n in added if n in _EXR_NAMES})
    elif kind == "png":
        data = _grafted_png(data, old, [_PNG_KEYS[n] for n in added if n in _PNG_KEYS])
    elif kind == "jp2":
        data = _grafted_jp2(data, old)
    place.write_bytes(data)


def _grafted_exr(data: bytes, old: bytes, added: set[str]) -> bytes:
    parts, end = read_parts(data)
    wanted, _ = read_parts(old)
    multi = len(parts) > 1
    flags = struct.unpack("<I", data[4:8])[0] | struct.unpack("<I", old[4:8])[0] & _EXR_LONG_NAMES
    head = data[:4] + struct.pack("<I", flags)
    counts = 0
    for part, source in zip(parts, wanted, strict=True):
        head += _exr_header(part, source, added)
        counts += part.chunks()
    head += b"\0" if multi else b""
    # The tables of chunks count from the start of the file, which has moved.
    tables = np.frombuffer(data, "<u8", counts, end).astype(np.int64) + (len(head) - end)
    return head + tables.astype("<u8").tobytes() + data[end + 8 * counts :]


def _exr_header(part: Part, source: Part, added: set[str]) -> bytes:
    chosen = {}
    for name, found in source.attributes.items():
        if name not in _EXR_LAYOUT:
            chosen[name] = found
    for name, found in part.attributes.items():
        if name in _EXR_LAYOUT or name in added:
            chosen[name] = found
    if part.channels == source.channels and part.compression not in _EXR_B44:
        # The library forgets which channels are perceptually linear; only B44 acts on it.
        chosen["channels"] = source.attributes["channels"]
    packed = b"".join(
        name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<i", len(raw)) + raw
        for name, (kind, raw) in sorted(chosen.items())
    )
    return packed + b"\0"


def _grafted_png(data: bytes, old: bytes, added: list[tuple[bytes, bytes]]) -> bytes:
    fresh, kept = _png_chunks(data), _png_chunks(old)
    picture = [raw for name, raw in fresh if name == b"IDAT"]
    news = [
        raw
        for name, raw in fresh
        for kind, key in added
        if name == kind and raw[8:].startswith(key)
    ]
    dropped = {kind for kind, key in added if not key}
    first = next(k for k, (name, _) in enumerate(kept) if name == b"IDAT")
    before = [raw for name, raw in kept[1:first] if name not in dropped]
    after = [
        raw for name, raw in kept[first:] if name not in (b"IDAT", b"IEND") and name not in dropped
    ]
    return b"".join([data[:8], fresh[0][1], *before, *news, *picture, *after, fresh[-1][1]])


def _png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found, place = [], 8
    while place + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, place)
        found.append((name, data[place : place + 12 + length]))
        place += 12 + length
        if name == b"IEND":
            break
    return found


def _grafted_jp2(data: bytes, old: bytes) -> bytes:
    """The template's boxes around the new code stream."""
    begin, end = code_stream(data)
    old_begin, old_end = code_stream(old)
    stream = data[begin:end]
    wide = old[old_begin - 12 : old_begin - 8] == b"jp2c"
    box = old_begin - (16 if wide else 8)
    length = len(stream) + old_begin - box
    head = (
        struct.pack(">I4sQ", 1, b"jp2c", length) if wide else struct.pack(">I4s", length, b"jp2c")
    )
    return old[:box] + head + stream + old[old_end:]
