"""Files of a delivery: what is already right is left, what is new is read back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from media.fixity import file_sha256
from media.write import atomic_write_bytes
from wetgate.files import digest
from wetgate.job import Job
from wetgate.manifest import DeliveredFile

WRITERS = 3
"""Rises when a delivered file would have other bytes for the same chunk."""

Kept = Mapping[str, DeliveredFile]
"""Files of the last delivery into this folder, by path."""


def small_file(job: Job, path: Path, data: bytes, kept: Kept) -> DeliveredFile:
    """Write a small file, unless the same is there already."""
    made_from = text_digest(data)
    current = still_right(job, path, made_from, kept)
    if current is not None:
        return current
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_bytes(path, data)
    return delivered_file(job, path, made_from)


def text_digest(data: bytes) -> str:
    """What a small file is made from: itself."""
    return digest({"writers": WRITERS, "text": data.decode()})


def still_right(job: Job, path: Path, made_from: str, kept: Kept) -> DeliveredFile | None:
    """The earlier file when it was made from the same and is still whole."""
    old = kept.get(relative(job, path))
    if old is None or old.made_from != made_from or not path.is_file():
        return None
    if path.stat().st_size != old.bytes or file_sha256(path) != old.sha256:
        return None
    return old


def delivered_file(
    job: Job, path: Path, made_from: str, read_back: str | None = None
) -> DeliveredFile:
    """As it lies on disk: read back, not remembered.

    read_back: SHA-256 of the file, where the writer has read it back already.
    """
    return DeliveredFile(
        path=relative(job, path),
        sha256=read_back or file_sha256(path),
        bytes=path.stat().st_size,
        made_from=made_from,
    )


def relative(job: Job, path: Path) -> str:
    """The path as the manifest names it."""
    return path.relative_to(job.folder.root).as_posix()
