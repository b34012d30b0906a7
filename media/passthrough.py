"""A frame that nobody decided to change is handed on as it lies in the scan, byte for byte."""

from __future__ import annotations

import hashlib
from pathlib import Path

from media.dpx import parse_header, patched_header
from media.errors import SourceChanged
from media.fixity import let_go
from media.reel import Reel
from media.write import atomic_write_bytes, storage_error


def copy_frame(reel: Reel, number: int, target: Path, *, durable: bool = True) -> str:
    """Copy a frame of a sequence; only a DPX header's file name follows the new name.

    The bytes are checked against the digest taken at ingest while they pass.
    returns: SHA-256 of the file that was written.
    raises: SourceChanged naming reel and frame; StorageFull, UsageError, WorkerError.
    """
    source = reel.frame(number)
    try:
        data = source.path.read_bytes()
    except OSError as error:
        raise SourceChanged(
            f"{source.path.name} cannot be read any more: {error.strerror}",
            reel=reel.id,
            frame=number,
            hint="restore the scan, or ingest the reel again",
        ) from error
    if hashlib.sha256(data).hexdigest() != source.sha256:
        raise SourceChanged(
            f"{source.path.name} is not the frame that was ingested",
            reel=reel.id,
            frame=number,
            hint="restore the scan, or ingest the reel again",
        )
    parts: tuple[bytes | memoryview, ...] = (data,)
    if reel.kind == "dpx":
        header = parse_header(data)
        if header.file_name and header.file_name != target.name:
            at = header.data_offset_bytes
            parts = (patched_header(data[:at], file_name=target.name), memoryview(data)[at:])
    whole = parts[0] if len(parts) == 1 else b"".join(parts)
    atomic_write_bytes(target, whole, durable=durable)
    _read_back(target, whole)
    return source.sha256 if whole is data else hashlib.sha256(whole).hexdigest()


def _read_back(path: Path, written: bytes | memoryview) -> None:
    try:
        found = path.read_bytes()
    except OSError as error:
        raise storage_error(error, path) from error
    if found != written:
        raise storage_error(OSError(5, "a delivered frame does not read back as written"), path)
    let_go(path)
