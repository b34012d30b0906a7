"""DPX pixels: code values in, code values out, exact in every depth, packing and byte order.

Ten bits in filled words, which most scans are, go through compiled loops. The rest is worked on in
blocks of rows that stay in the processor's cache. Other threads run meanwhile.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from media.dpx.header import (
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
Bytes = NDArray[np.uint8]

_BLOCK_SAMPLES = 3 << 16
_GROUPS = {10: (16, 5), 12: (8, 3)}
"""Samples and 32-bit words after which a packed row's pattern repeats."""


def row_stride_bytes(header: DpxHeader, payload_bytes: int) -> int:
    """Distance from row to row, given how many bytes follow the header.

    The standard aligns rows to 32 bits, much software does not, and some declares the alignment
    as end-of-line padding: the size of the file tells which it is, and where bytes follow the
    picture, the size that the header claims.
    raises: FrameUnreadable when the payload cannot hold the picture.
    """
    tight = tight_row_bytes(header.width, header.channels, header.bits, header.packing)
    eol = header.eol_padding_bytes
    stride, wide = tight + eol, tight + (-tight % 4) + eol
    if wide != stride and payload_bytes != header.height * stride:
        claimed = header.file_bytes - header.data_offset_bytes
        fits = payload_bytes >= header.height * wide
        likely = claimed == header.height * wide or (eol == 0 and claimed != header.height * stride)
        if payload_bytes == header.height * wide or (fits and likely):
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
    stride = row_stride_bytes(header, len(data) - header.data_offset_bytes)
    rows = _rows(data, header, header.data_offset_bytes, stride)
    tight = tight_row_bytes(header.width, header.channels, header.bits, header.packing)
    samples = header.width * header.channels
    out = np.empty((header.height, samples), np.uint16)
    step = _block_rows(header)
    if _is_filled10(header):
        _decode_filled(rows[:, :tight].view(np.uint32), out, header)
    else:
        for top in range(0, header.height, step):
            _decode_rows(rows[top : top + step, :tight], out[top : top + step], header)
    return out.reshape(header.height, header.width, header.channels)


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
    tight = tight_row_bytes(header.width, header.channels, header.bits, header.packing)
    claimed = template_bytes if template_bytes is not None else header.file_bytes
    plain = tight + header.eol_padding_bytes
    stride = plain + (-tight % 4)
    if claimed - header.data_offset_bytes == header.height * plain or header.eol_padding_bytes:
        stride = plain
    if template_bytes is not None:
        stride = row_stride_bytes(header, template_bytes - header.data_offset_bytes)
    start = header.data_offset_bytes
    data = np.empty(start + header.height * stride, np.uint8)
    data[:start] = np.frombuffer(template_header, np.uint8, start)
    _encode_into(data, codes, header, start, stride, None)
    return data.tobytes()


def encode_like(
    codes: NDArray[np.uint8] | Codes, source: bytes, head: bytes | None = None
) -> memoryview:
    """A DPX file laid out like another one, to the last padding bit.

    codes: (H, W, C) uint8 or uint16, of the source's size and within its depth. source: a whole
    DPX file; its row padding, the unused bits of its words and the bytes behind the picture are
    kept. head: every byte before the pixels, instead of the source's own; sizes may differ,
    layout fields must not.
    raises: InputError when codes and source do not fit together, FrameUnreadable (source).
    """
    header = parse_header(source)
    check_supported(header)
    begin = header.data_offset_bytes
    stride = row_stride_bytes(header, len(source) - begin)
    end = begin + header.height * stride
    start = begin if head is None else len(head)
    # An array rather than bytes: nothing is zeroed first, and big pages are filled faster.
    data = np.empty(start + len(source) - begin, np.uint8)
    data[:start] = np.frombuffer(source if head is None else head, np.uint8, start)
    data[start + end - begin :] = np.frombuffer(source, np.uint8)[end:]
    _encode_into(data, codes, header, start, stride, _rows(source, header, begin, stride))
    return data.data


def _rows(data: bytes | Bytes, header: DpxHeader, start: int, stride: int) -> Bytes:
    raw = np.frombuffer(data, np.uint8, header.height * stride, start)
    return raw.reshape(header.height, stride)


def _is_filled10(header: DpxHeader) -> bool:
    return header.bits == 10 and header.packing != PACKED


def _block_rows(header: DpxHeader) -> int:
    return max(1, _BLOCK_SAMPLES // (header.width * header.channels))


def _encode_into(
    data: Bytes,
    codes: NDArray[np.uint8] | Codes,
    header: DpxHeader,
    start: int,
    stride: int,
    source: Bytes | None,
) -> None:
    """Write rows into ``data`` from byte ``start``; padding comes from ``source`` (H, stride)."""
    shape = (header.height, header.width, header.channels)
    if codes.shape != shape:
        raise InputError(
            f"picture is {codes.shape}, the DPX header says {shape}",
            hint="write with a header of the picture's own size",
        )
    tight = tight_row_bytes(header.width, header.channels, header.bits, header.packing)
    flat = np.ascontiguousarray(codes, dtype=np.uint16).reshape(header.height, -1)
    rows = _rows(data, header, start, stride)
    if _is_filled10(header):
        if source is None:
            rows[:] = 0
            source = rows
        else:
            rows[:, tight:] = source[:, tight:]
        old, new = source[:, :tight].view(np.uint32), rows[:, :tight].view(np.uint32)
        if _encode_filled(flat, old, new, header) >= 1 << header.bits:
            _check_fits(flat, header)
        return
    _check_fits(flat, header)
    if source is None:
        rows[:, tight:] = 0
    else:
        rows[:, tight:] = source[:, tight:]
        source = source[:, :tight]
    step = _block_rows(header)
    used = np.zeros((1, tight), np.uint8)
    full = np.full((1, flat.shape[1]), (1 << header.bits) - 1, np.uint16)
    _encode_rows(full, used, header)
    spare = ~used if (used != 0xFF).any() else None
    for top in range(0, header.height, step):
        target = rows[top : top + step, :tight]
        _encode_rows(flat[top : top + step], target, header)
        if spare is not None and source is not None:
            target |= source[top : top + step] & spare


def _check_fits(flat: Codes, header: DpxHeader) -> None:
    largest = int(flat.max(initial=0))
    if largest >= 1 << header.bits:
        raise InputError(f"code {largest} does not fit {header.bits} bits", hint="quantise first")


def _decode_rows(rows: Bytes, out: Codes, header: DpxHeader) -> None:
    """rows: (N, tight) bytes. out: (N, samples), filled here."""
    order, bits, packing = header.byte_order, header.bits, header.packing
    if bits == 8:
        out[:] = rows
    elif packing == PACKED and bits in (10, 12):
        _unpack(rows.view(order + "u4"), out, bits)
    else:
        out[:] = rows.view(order + "u2")
        if bits == 12 and packing == FILLED_A:
            np.right_shift(out, 4, out=out)
        elif bits == 12:
            np.bitwise_and(out, 0xFFF, out=out)


def _decode_filled(stored: NDArray[np.uint32], out: Codes, header: DpxHeader) -> None:
    """stored: (H, words) in file order. out: (H, samples), filled here."""
    from media.dpx import compiled  # compiled on first use, not at import

    compiled.unpack(stored, _foreign(header), np.array(_shifts(header), np.uint32), out)


def _foreign(header: DpxHeader) -> bool:
    """Whether words lie in the other byte order than this machine's."""
    return (header.byte_order == "<") != (sys.byteorder == "little")


def _encode_rows(flat: Codes, target: Bytes, header: DpxHeader) -> None:
    """flat: (N, samples) uint16. target: (N, tight) bytes, filled here."""
    order, bits, packing = header.byte_order, header.bits, header.packing
    if bits == 8:
        np.copyto(target, flat, casting="unsafe")
    elif packing == PACKED and bits in (10, 12):
        _pack(flat, target.view(order + "u4"), bits)
    else:
        shifted = flat << 4 if bits == 12 and packing != FILLED_B else flat
        target.view(order + "u2")[:] = shifted


def _encode_filled(
    flat: Codes, source: NDArray[np.uint32], target: NDArray[np.uint32], header: DpxHeader
) -> int:
    """flat: (H, samples). source, target: (H, words) in file order; bits that hold no sample are
    taken from ``source``. returns: all codes, or'ed."""
    from media.dpx import compiled

    shifts = np.array(_shifts(header), np.uint32)
    return int(compiled.pack(flat, source, True, _foreign(header), shifts, target))


def _shifts(header: DpxHeader) -> tuple[int, int, int]:
    # RGB starts at the most significant datum; luma, by a custom both OpenImageIO and ffmpeg
    # follow, at the least significant one.
    low = 2 if header.packing == FILLED_A else 0
    shifts = (low + 20, low + 10, low)
    return shifts if header.channels == 3 else (low, low + 10, low + 20)


def _unpack(stored: NDArray[np.uint32], out: Codes, bits: int) -> None:
    """Words hold samples from the least significant bit up, across words.

    stored: (N, words) in file order. out: (N, samples), filled here.
    """
    per, size = _GROUPS[bits]
    words = np.zeros((len(out), -(-out.shape[1] // per) * size), np.uint32)
    words[:, : stored.shape[1]] = stored
    groups = words.reshape(len(out), -1, size)
    part, high = (np.empty(groups.shape[:2], np.uint32) for _ in range(2))
    for k in range(per):
        word, shift = divmod(k * bits, 32)
        np.right_shift(groups[:, :, word], shift, out=part)
        if shift + bits > 32:
            np.left_shift(groups[:, :, word + 1], 32 - shift, out=high)
            np.bitwise_or(part, high, out=part)
        np.bitwise_and(part, (1 << bits) - 1, out=part)
        plane = out[:, k::per]
        plane[:] = part[:, : plane.shape[1]]


def _pack(flat: Codes, target: NDArray[np.uint32], bits: int) -> None:
    """Inverse of ``_unpack``. flat: (N, samples). target: (N, words) in file order."""
    per, size = _GROUPS[bits]
    groups = np.zeros((len(flat), -(-flat.shape[1] // per), size), np.uint32)
    part, moved = (np.zeros(groups.shape[:2], np.uint32) for _ in range(2))
    for k in range(per):
        word, shift = divmod(k * bits, 32)
        plane = flat[:, k::per]
        part[:, plane.shape[1] :] = 0
        part[:, : plane.shape[1]] = plane
        np.left_shift(part, shift, out=moved)
        groups[:, :, word] |= moved
        if shift + bits > 32:
            np.right_shift(part, 32 - shift, out=moved)
            groups[:, :, word + 1] |= moved
    target[:] = groups.reshape(len(flat), -1)[:, : target.shape[1]]
