"""All that a frame's file says beside its picture, as data that any archive can keep.

The header travels whole, compressed and in base64, so that it can be restored bit for bit even
where the frames went on in a format that has no place for it.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping
from pathlib import Path

from media.dpx import header_of
from media.errors import InputError
from media.scan import load
from media.still.exr import read_parts
from media.still.kinds import kind_of

SCHEMA = "wetgate.frame/1"
_MOST_HEADER_BYTES = 16 << 20


def packed_bytes(raw: bytes) -> str:
    """Bytes as zlib-compressed base64 text; the same bytes always give the same text."""
    return base64.b64encode(zlib.compress(raw, 9)).decode("ascii")


def unpacked_bytes(text: str) -> bytes:
    """Back from ``packed_bytes``. raises: InputError for text that is none, or over 16 MiB."""
    try:
        unpacker = zlib.decompressobj()
        raw = unpacker.decompress(base64.b64decode(text, validate=True), _MOST_HEADER_BYTES)
    except (binascii.Error, ValueError, zlib.error) as error:
        raise InputError(
            f"a packed header cannot be read: {error}", hint="restore the sidecar from a copy"
        ) from error
    if unpacker.unconsumed_tail or not unpacker.eof:
        raise InputError(
            "a packed header is cut short or too long", hint="restore the sidecar from a copy"
        )
    return raw


def sidecar_of(
    path: Path, *, reel: str | None = None, frame: int | None = None
) -> dict[str, object]:
    """What is known of one frame file, JSON-able.

    Name, kind, SHA-256, size in bytes, picture format, every header field under ``metadata``,
    timecode and keycode once more at the top, and for DPX and EXR the raw header.
    raises: as ``media.scan.load``.
    """
    loaded = load(path, reel=reel, frame=frame)
    fmt = loaded.format
    found: dict[str, object] = {
        "schema": SCHEMA,
        "file": path.name,
        "kind": kind_of(path),
        "reel": reel,
        "frame": frame,
        "sha256": loaded.sha256,
        "size_bytes": loaded.size_bytes,
        "format": {
            "width": fmt.width,
            "height": fmt.height,
            "channels": fmt.channels,
            "bits": fmt.bits,
            "sample": fmt.sample.value,
        },
        "timecode": loaded.metadata.get("timecode"),
        "keycode": loaded.metadata.get("keycode"),
        "metadata": dict(loaded.metadata),
    }
    raw = _raw_header(path)
    if raw:
        found["header"] = {
            "bytes": len(raw),
            "encoding": "zlib+base64",
            "data": packed_bytes(raw),
        }
    return found


def restored_header(sidecar: Mapping[str, object]) -> bytes:
    """The raw header that a sidecar carries, bit for bit.

    raises: InputError when it carries none, or one that is damaged.
    """
    header = sidecar.get("header")
    if not isinstance(header, Mapping):
        raise InputError("the sidecar carries no header", hint="only DPX and EXR have one")
    raw = unpacked_bytes(str(header.get("data", "")))
    if len(raw) != header.get("bytes"):
        raise InputError(
            f"the header in the sidecar has {len(raw)} bytes instead of {header.get('bytes')}",
            hint="restore the sidecar from a copy",
        )
    return raw


def _raw_header(path: Path) -> bytes:
    kind = kind_of(path)
    if kind == "dpx":
        return header_of(path.read_bytes())
    if kind == "exr":
        data = path.read_bytes()
        return data[: read_parts(data)[1]]
    return b""
