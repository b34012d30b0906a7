"""Content-addressed chunks. The presence of a whole, matching record is what done means.

A chunk is a folder ``store/<k0k1>/<key>/`` with ``pixels.npy`` (T, H, W, C) code values as they
will be delivered (packed where they fit, see ``packing``), ``touch.z`` and ``record.json``. It
is made beside its place, flushed to disk file by file with the record last, and moved into place
in one rename. A reader takes nothing for granted: every file is checked against the digest in the
record.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from media.errors import StorageFull, StoreError
from media.fixity import whole_file
from media.npy import HEADS
from wetgate.packing import WORDS, Codes, Packed, packed
from wetgate.touch import BYTES, pack, unpack

_SCHEMA = 1
_NPY_HEAD = 1 << 12
"""More than the header of an .npy file takes."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A finished piece of a shot."""

    codes: Codes
    """(T, H, W, C) uint8, uint16, float16 or float32."""
    touch: NDArray[np.uint8]
    """(T, H, W) Effect per pixel."""
    facts: Mapping[str, object]
    """What the maker noted: counts, seconds. Not part of the identity."""


class Store:
    """Chunks on a disk that several workers may share."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def place(self, key: str) -> Path:
        """Where the chunk with this key lies or would lie."""
        return self._root / key[:2] / key

    def has(self, key: str) -> bool:
        """True when a record is there; says nothing yet about the digests."""
        return (self.place(key) / "record.json").is_file()

    def check(self, key: str) -> bool:
        """True when the chunk is there and every file matches its digest.

        A damaged chunk is moved aside, so that it can be made again and never be read.
        """
        if not self.has(key):
            # Pictures without their record vouch for nothing and would be in the way.
            self._set_aside(key)
            return False
        if not self.whole(key):
            self._set_aside(key)
            return False
        return True

    def whole(self, key: str) -> bool:
        """True when the chunk is there and every file matches its digest; changes nothing."""
        try:
            for name, wanted in self._record(key).items():
                with (self.place(key) / name).open("rb") as stream:
                    if hashlib.file_digest(stream, "sha256").hexdigest() != wanted:
                        return False
        except (StoreError, FileNotFoundError):
            return False
        return True

    def put(self, key: str, chunk: Chunk) -> None:
        """Keep a chunk. A chunk that is already there wins: both are the same by their key.

        raises: StorageFull when the disk has no room; nothing half-written stays behind.
        """
        place = self.place(key)
        if self.has(key):
            return
        part = self._root / f".part-{os.getpid()}-{secrets.token_hex(6)}"
        try:
            part.mkdir(parents=True)
            touch, coding = pack(chunk.touch)
            given = chunk.codes
            words = given.words if isinstance(given, Packed) else packed(given)
            codes = np.ascontiguousarray(given) if words is None else words
            header = io.BytesIO()
            np.lib.format.write_array_header_1_0(
                header, np.lib.format.header_data_from_array_1_0(codes)
            )
            digests = {
                "pixels.npy": _write(part / "pixels.npy", header.getvalue(), codes.data.cast("B")),
                "touch.z": _write(part / "touch.z", touch),
            }
            record = {
                "schema": _SCHEMA,
                "key": key,
                "files": digests,
                **({} if words is None else {"packed": WORDS, "shape": list(given.shape)}),
                "touch_shape": list(chunk.touch.shape),
                "touch_coding": coding,
                "facts": dict(chunk.facts),
            }
            _write(part / "record.json", json.dumps(record, indent=1).encode())
            _sync_folder(part)
            place.parent.mkdir(exist_ok=True)
            self._move_in(part, key)
            _sync_folder(place.parent)
        except OSError as error:
            shutil.rmtree(part, ignore_errors=True)
            if error.errno in _FULL:
                raise StorageFull(
                    f"no room for chunks: {error.strerror}",
                    hint="free space, then run the same command: nothing finished is lost",
                ) from error
            raise

    def _move_in(self, part: Path, key: str) -> None:
        """Rename into place; another worker's whole chunk wins, a stranger's folder does not."""
        try:
            part.rename(self.place(key))
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            if self.has(key):
                shutil.rmtree(part)
                return
            self._set_aside(key)
            part.rename(self.place(key))

    def get(self, key: str) -> Chunk:
        """Read a chunk. raises: StoreError when it is missing or damaged."""
        record = self._full_record(key)
        codes: Codes = _array(self._whole(key, "pixels.npy", self._record(key)))
        if record.get("packed") == WORDS:
            shape = record.get("shape")
            words = np.asarray(codes, np.uint32)
            codes = Packed(words, shape if isinstance(shape, list) else [])
        facts = record.get("facts")
        return Chunk(codes, self.touch(key), facts if isinstance(facts, dict) else {})

    def touch(self, key: str) -> NDArray[np.uint8]:
        """(T, H, W) Effect per pixel of a chunk. raises: StoreError as ``get``."""
        record = self._full_record(key)
        shape = record.get("touch_shape")
        if not isinstance(shape, list):
            raise StoreError(f"record of chunk {key[:12]} gives no size")
        packed = self._whole(key, "touch.z", self._record(key))
        return unpack(bytes(packed), shape, str(record.get("touch_coding", BYTES)))

    def _whole(self, key: str, name: str, digests: Mapping[str, str]) -> memoryview:
        """Bytes of one file of a chunk, or the chunk is set aside."""
        try:
            data = whole_file(self.place(key) / name)
        except FileNotFoundError:
            data = None
        if data is None or hashlib.sha256(data).hexdigest() != digests[name]:
            self._set_aside(key)
            state = "is missing" if data is None else "does not match its digest"
            raise StoreError(
                f"{name} of chunk {key[:12]} {state}",
                hint="run the same command: the chunk is made again",
            )
        return data

    def keys(self) -> list[str]:
        """Keys of all finished chunks, sorted."""
        return sorted(p.parent.name for p in self._root.glob("??/*/record.json"))

    def sweep(self, older_than_s: float, now_s: float) -> int:
        """Remove what killed workers left half-made; returns how many."""
        removed = 0
        for part in self._root.glob(".part-*"):
            try:
                if now_s - part.stat().st_mtime > older_than_s:
                    shutil.rmtree(part)
                    removed += 1
            except FileNotFoundError:
                continue
        return removed

    def _record(self, key: str) -> dict[str, str]:
        files = self._full_record(key).get("files")
        if not isinstance(files, dict) or set(files) != {"pixels.npy", "touch.z"}:
            raise StoreError(f"record of chunk {key[:12]} names no files")
        return files

    def _full_record(self, key: str) -> dict[str, object]:
        try:
            record = json.loads((self.place(key) / "record.json").read_text("utf-8"))
        except FileNotFoundError as error:
            raise StoreError(f"chunk {key[:12]} is not in the store") from error
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise StoreError(f"record of chunk {key[:12]} is damaged") from error
        if not isinstance(record, dict) or record.get("key") != key:
            raise StoreError(f"record of chunk {key[:12]} belongs to another chunk")
        if record.get("schema") != _SCHEMA:
            raise StoreError(
                f"chunk {key[:12]} has schema {record.get('schema')}, this version reads {_SCHEMA}"
            )
        return record

    def _set_aside(self, key: str) -> None:
        """Out of the way, but kept for whoever wants to know what happened to the disk."""
        aside = self._root / f"damaged-{key[:16]}-{secrets.token_hex(4)}"
        # Another worker may have noticed at the same time and been quicker.
        with contextlib.suppress(FileNotFoundError):
            self.place(key).rename(aside)


def _array(data: memoryview) -> NDArray[np.generic]:
    """The array of an .npy file, without a copy; it cannot be written to."""
    stream = io.BytesIO(data[:_NPY_HEAD])
    version = np.lib.format.read_magic(stream)
    if version != (1, 0):
        raise StoreError(f"pictures of version {version} of the .npy format")
    with HEADS:
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(stream)
    flat: NDArray[np.generic] = np.frombuffer(data, dtype, offset=stream.tell())
    return flat.reshape(shape, order="F" if by_columns else "C")


def _write(path: Path, *parts: bytes | memoryview) -> str:
    known = hashlib.sha256()
    with path.open("wb") as stream:
        for part in parts:
            stream.write(part)
            known.update(part)
        stream.flush()
        os.fsync(stream.fileno())
    return known.hexdigest()


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
