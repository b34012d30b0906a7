"""One frame of a scan: what its header says, and its code values, read once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from media.dpx import (
    DpxHeader,
    check_supported,
    decode_dpx,
    header_metadata,
    parse_header,
    row_stride_bytes,
)
from media.errors import FrameUnreadable, InputError, SourceChanged
from media.reel import PictureFormat
from media.still.kinds import COPY_AGAIN, KINDS, AnyCodes, Metadata, kind_of
from media.still.read import codes_of, describe, metadata_of, opened

__all__ = ["KINDS", "Loaded", "Metadata", "inspect", "load", "read_codes"]

_HEAD_BYTES = 2080
_MOST_HEAD_BYTES = 2 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A frame as it was read, in one go."""

    codes: AnyCodes
    """(H, W, C): uint8 for 8 bits, uint16 for 10, 12 and 16, float32 for half and float."""
    format: PictureFormat
    metadata: Metadata
    """As from ``inspect``, and ``constant`` true where all samples are the same code."""
    sha256: str
    """Of the file's bytes, hexadecimal."""
    size_bytes: int
    mtime_ns: int


@contextmanager
def _located(reel: str | None, frame: int | None, path: Path) -> Iterator[None]:
    """Put reel and frame on errors that pass, and name operating-system errors."""
    try:
        yield
    except InputError as error:
        if path.name not in error.what:
            error.what = f"{path.name}: {error.what}"
        error.reel, error.frame = error.reel or reel, frame if error.frame is None else error.frame
        raise
    except OSError as error:
        raise FrameUnreadable(
            f"{path.name}: {error.strerror or error}", hint=COPY_AGAIN, reel=reel, frame=frame
        ) from error


def inspect(
    path: Path, *, reel: str | None = None, frame: int | None = None, spare: bool = False
) -> tuple[PictureFormat, Metadata]:
    """Format and metadata from the header; no pixels are read.

    Metadata is flat and JSON-able: every defined field of a DPX header, every attribute of
    other kinds; ``carried`` names channels and parts of an EXR that are not the picture,
    ``lossy`` a compression that changed the codes before they came here. spare: a channel beside
    the picture is known and allowed, here and below, see ``media.still.read.describe``.
    raises: FrameUnreadable (empty, truncated, wrong magic), InputError (alpha, palette and
    other kinds that are refused).
    """
    with _located(reel, frame, path):
        if kind_of(path) == "dpx":
            return _inspect_dpx(path)
        with opened(path) as source:
            still = describe(source, path, spare=spare)
            return still.format, metadata_of(source, still, kind_of(path))


def load(
    path: Path, *, reel: str | None = None, frame: int | None = None, spare: bool = False
) -> Loaded:
    """Read a frame once: codes, format, metadata and the digest of the same bytes.

    raises: FrameUnreadable (also for NaN or Inf), InputError, SourceChanged when the file
    changes while it is read.
    """
    with _located(reel, frame, path):
        before = path.stat()
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        if kind_of(path) == "dpx":
            header, codes = _decoded(data)
            fmt, metadata = _dpx_format(header), header_metadata(header)
        else:
            # The library reads files only; these bytes are still in the system's cache.
            with opened(path) as source:
                still = describe(source, path, spare=spare)
                fmt, metadata = still.format, metadata_of(source, still, kind_of(path))
                codes = codes_of(source, still)
        after = path.stat()
        size, mtime = before.st_size, before.st_mtime_ns
        if (after.st_size, after.st_mtime_ns) != (size, mtime) or len(data) != size:
            raise SourceChanged(
                "the file changed while it was read", hint="wait until copying has ended"
            )
    if _is_constant(codes):
        metadata["constant"] = True
    return Loaded(
        codes=codes,
        format=fmt,
        metadata=metadata,
        sha256=digest,
        size_bytes=size,
        mtime_ns=mtime,
    )


def read_codes(
    path: Path, *, reel: str | None = None, frame: int | None = None, spare: bool = False
) -> AnyCodes:
    """A frame's code values, (H, W, C).

    uint8 for 8 bits, uint16 for 10, 12 and 16 bits (real codes: 10-bit is 0..1023), float32 for
    half and float EXR.
    raises: FrameUnreadable (also for NaN or Inf), InputError.
    """
    with _located(reel, frame, path):
        if kind_of(path) == "dpx":
            return _decoded(path.read_bytes())[1]
        with opened(path) as source:
            return codes_of(source, describe(source, path, spare=spare))


def _inspect_dpx(path: Path) -> tuple[PictureFormat, Metadata]:
    with path.open("rb") as stream:
        data = stream.read(_HEAD_BYTES)
        header = parse_header(data)
        missing = min(header.data_offset_bytes, _MOST_HEAD_BYTES) - len(data)
        if missing > 0:
            header = parse_header(data + stream.read(missing))
    check_supported(header)
    row_stride_bytes(header, path.stat().st_size - header.data_offset_bytes)
    return _dpx_format(header), header_metadata(header)


def _decoded(data: bytes) -> tuple[DpxHeader, AnyCodes]:
    codes = decode_dpx(data)
    header = parse_header(data)
    return header, codes.astype(np.uint8) if header.bits == 8 else codes


def _dpx_format(header: DpxHeader) -> PictureFormat:
    return PictureFormat(
        width=header.width, height=header.height, channels=header.channels, bits=header.bits
    )


def _is_constant(codes: AnyCodes) -> bool:
    first = codes[:1, :1]
    # Most frames show two codes in their first row; the whole is compared only if they do not.
    return bool((codes[:1] == first.flat[0]).all() and (codes == first.flat[0]).all())
