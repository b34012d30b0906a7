"""DPX files: header reader and writer, and the pixel codec, in one place to import from."""

from __future__ import annotations

from media.dpx.fields import header_metadata, keycode_numbers, metadata_rate
from media.dpx.header import DpxHeader, check_supported, parse_header
from media.dpx.history import history_line, takes_history
from media.dpx.make import header_of, new_header, patched_header, relaid_header
from media.dpx.pixels import decode_dpx, encode_dpx, encode_like, row_stride_bytes

__all__ = [
    "DpxHeader",
    "check_supported",
    "decode_dpx",
    "encode_dpx",
    "encode_like",
    "header_metadata",
    "header_of",
    "history_line",
    "keycode_numbers",
    "metadata_rate",
    "new_header",
    "parse_header",
    "patched_header",
    "relaid_header",
    "row_stride_bytes",
    "takes_history",
]
