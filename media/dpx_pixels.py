"""DPX pixels: code values in, code values out, exact in every depth, packing and byte order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from media.dpx_header import (
    FILLED_A,
    FILLED_B,
    PACKED,
    DpxHeader,
    check_supported,
    parse_header,
    tight_row_bytes,
)
from media.errors import FrameUnreadable, InputError

Codes = NDArray[np.uint16]


def row_stride_bytes(header: DpxHeader, payload_bytes: int) -> int:
    """Distance from row to row, given how many bytes follow the header.

    The standard aligns rows to 32 bits, much software does not, and some declares the alignment
    as end-of-line padding: the size of the file tells which it is.
    raises: FrameUnreadable when the payload cannot hold the picture.
    """
    tight = tight_row_bytes(header.width, header.channels, header.bits, header.packing)
    aligned = tight + (-tight % 4)
    eol = header.eol_padding_bytes
    stride = tight + eol
    exact = payload_bytes == header.height * stride
    if aligned != tight and not exact:
        wide = aligned + eol
        fits = payload_bytes >= header.height * wide
        if (eol == 0 and fits) or payload_bytes == header.height * wide:
            stride = wide
    if payload_bytes < header.height * stride:
        need = header.data_offset_bytes + header.height * stride
        raise FrameUnreadable(
            f"truncated: the header needs {need} bytes, "
            f"the file has {header.data_offset_bytes + payload_bytes}",
            hint="copy the frame again from the scan",
        )
    return stride


def decode_dpx(data: bytes) -> Codes:
    """A whole DPX file to code values, (H, W, C) uint16; 10-bit gives 0..1023.

    raises: FrameUnreadable (empty, wrong magic, truncated), InputError (kinds not supported).
    """
    header = parse_header(data)
    check_supported(header)
    payload = len(data) - header.data_offset_bytes
    stride = row_stride_bytes(header, payload)
    raw = np.frombuffer(data, np.uint8, header.height * stride, header.data_offset_bytes)
    rows = raw.reshape(header.height, stride)
    tight = tight_row_bytes(header.width, header.channels, header.bits, header.packing)
    samples = header.width * header.channels
    flat = _decode_rows(rows[:, :tight], samples, header)
    return flat.reshape(header.height, header.width, header.channels)


def encode_dpx(
    codes: NDArray[np.uint8] | Codes, template_header: bytes, *, template_bytes: int | None = None
) -> bytes:
    """A DPX file made of a header and code values: byte order, packing and padding are its own.

    codes: (H, W, C) uint8 or uint16, within the header's depth. template_header: every byte
    before the pixels. template_bytes: size of the file the header comes from; without it the
    header's own claim decides whether rows are padded.
    raises: InputError when codes and header do not fit together.
    """
    header = parse_header(template_header)
    check_supported(header)
    shape = (header.height, header.width, header.channels)
    if codes.shape != shape:
        raise InputError(
            f"picture is {codes.shape}, the DPX header says {shape}",
            hint="write with a header of the picture's own size",
        )
    if codes.size and int(codes.max()) >= 1 << header.bits:
        raise InputError(
            f"code {int(codes.max())} does not fit {header.bits} bits", hint="quantise first"
        )
    tight = tight_row_bytes(header.width, header.channels, header.bits, header.packing)
    claimed = template_bytes if template_bytes is not None else header.file_bytes
    plain = tight + header.eol_padding_bytes
    stride = plain + (-tight % 4)
    if claimed - header.data_offset_bytes == header.height * plain or header.eol_padding_bytes:
        stride = plain
    rows = np.zeros((header.height, stride), np.uint8)
    flat = np.ascontiguousarray(codes, dtype=np.uint16).reshape(header.height, -1)
    rows[:, :tight] = _encode_rows(flat, tight, header)
    return template_header[: header.data_offset_bytes] + rows.tobytes()


def _decode_rows(rows: NDArray[np.uint8], samples: int, header: DpxHeader) -> Codes:
    """rows: (H, tight) bytes. Returns (H, samples) uint16."""
    order, bits, packing = header.byte_order, header.bits, header.packing
    if bits == 8:
        return rows.astype(np.uint16)
    if bits == 10 and packing != PACKED:
        words = np.ascontiguousarray(rows).view(order + "u4")
        if packing == FILLED_A:
            words = words >> 2
        out = np.empty((rows.shape[0], words.shape[1], 3), np.uint16)
        for position, shift in enumerate(_shifts(header)):
            out[:, :, position] = words >> shift & 0x3FF
        return out.reshape(rows.shape[0], -1)[:, :samples]
    if packing == PACKED and bits in (10, 12):
        return _unpack(_little(rows, order), samples, bits)
    wide = np.ascontiguousarray(rows).view(order + "u2").astype(np.uint16)
    if bits == 12:
        wide = (wide >> 4 if packing == FILLED_A else wide & 0xFFF).astype(np.uint16)
    return wide


def _encode_rows(flat: Codes, tight: int, header: DpxHeader) -> NDArray[np.uint8]:
    """flat: (H, samples) uint16. Returns (H, tight) bytes."""
    order, bits, packing = header.byte_order, header.bits, header.packing
    height, samples = flat.shape
    if bits == 8:
        return flat.astype(np.uint8)
    if bits == 10 and packing != PACKED:
        groups = -(-samples // 3)
        padded = _widened(flat, groups * 3).reshape(height, groups, 3)
        words = np.zeros((height, groups), np.uint32)
        for position, shift in enumerate(_shifts(header)):
            words |= padded[:, :, position].astype(np.uint32) << np.uint32(shift)
        if packing == FILLED_A:
            words <<= np.uint32(2)
        return words.astype(order + "u4").view(np.uint8)
    if packing == PACKED and bits in (10, 12):
        return _little(_pack(flat, tight, bits), order)
    wide = flat << 4 if bits == 12 and packing != FILLED_B else flat
    return wide.astype(order + "u2").view(np.uint8)


def _shifts(header: DpxHeader) -> tuple[int, int, int]:
    # RGB starts at the most significant datum; luma, by a custom both OpenImageIO and ffmpeg
    # follow, at the least significant one.
    return (20, 10, 0) if header.channels == 3 else (0, 10, 20)


def _little(rows: NDArray[np.uint8], order: str) -> NDArray[np.uint8]:
    """Swap 32-bit words of (H, 4k) bytes between ``order`` and little-endian."""
    if order == "<":
        return np.ascontiguousarray(rows)
    return np.ascontiguousarray(rows).view("<u4").byteswap().view(np.uint8)


def _unpack(rows: NDArray[np.uint8], samples: int, bits: int) -> Codes:
    """Little-endian words hold samples from the least significant bit up, across words."""
    per, size = (4, 5) if bits == 10 else (2, 3)
    groups = -(-samples // per)
    extra = max(0, groups * size - rows.shape[1])
    wide = np.pad(rows, ((0, 0), (0, extra)))[:, : groups * size].astype(np.uint16)
    wide = wide.reshape(rows.shape[0], groups, size)
    out = np.empty((rows.shape[0], groups, per), np.uint16)
    for k in range(per):
        byte, shift = divmod(k * bits, 8)
        pair = wide[:, :, byte] >> shift | wide[:, :, byte + 1] << (8 - shift)
        out[:, :, k] = pair & ((1 << bits) - 1)
    return out.reshape(rows.shape[0], -1)[:, :samples]


def _pack(flat: Codes, tight: int, bits: int) -> NDArray[np.uint8]:
    per, size = (4, 5) if bits == 10 else (2, 3)
    groups = -(-flat.shape[1] // per)
    padded = _widened(flat, groups * per).reshape(flat.shape[0], groups, per)
    out = np.zeros((flat.shape[0], groups, size), np.uint8)
    for k in range(per):
        byte, shift = divmod(k * bits, 8)
        moved = padded[:, :, k].astype(np.uint32) << np.uint32(shift)
        out[:, :, byte] |= (moved & 0xFF).astype(np.uint8)
        out[:, :, byte + 1] |= (moved >> 8).astype(np.uint8)
    whole = out.reshape(flat.shape[0], -1)
    if whole.shape[1] < tight:
        whole = np.pad(whole, ((0, 0), (0, tight - whole.shape[1])))
    return whole[:, :tight]


def _widened(flat: Codes, samples: int) -> Codes:
    missing = samples - flat.shape[1]
    return np.pad(flat, ((0, 0), (0, missing))) if missing else flat
