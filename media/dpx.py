"""DPX files: header reader and writer, and the pixel codec, in one place to import from."""

from __future__ import annotations

from media.dpx_header import (
    DpxHeader,
    check_supported,
    header_metadata,
    metadata_rate,
    new_header,
    parse_header,
    patched_header,
)
from media.dpx_pixels import decode_dpx, encode_dpx, row_stride_bytes

__all__ = [
    "DpxHeader",
    "check_supported",
    "decode_dpx",
    "encode_dpx",
    "header_metadata",
    "metadata_rate",
    "new_header",
    "parse_header",
    "patched_header",
    "row_stride_bytes",
]
