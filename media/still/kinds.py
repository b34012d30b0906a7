"""Words shared by the readers and writers of still frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from media.reel import PictureFormat, SampleType

AnyCodes = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]
"""Code values (H, W, C): uint8 up to 8 bits, uint16 up to 16 bits, float32 for half and float."""
Metadata = dict[str, str | int | float]

KINDS = {
    ".dpx": "dpx", ".tif": "tiff", ".tiff": "tiff", ".exr": "exr", ".png": "png",
    ".jp2": "jp2", ".j2c": "j2c", ".j2k": "j2c",
}  # fmt: skip
"""File name endings of frames, and what they are called."""

LIBRARY_NAMES = {"openexr": "exr", "jpeg2000": "jp2"}
"""What OpenImageIO calls a kind, where that differs."""
COPY_AGAIN = "copy the frame again from the scan"
LOSSLESS = {
    "exr": ("none", "rle", "zip", "zips", "piz", "htj2k", "htj2k256", "htj2k32"),
    "tiff": ("none", "lzw", "zip", "packbits"),
}
"""Compressions that give back exactly what was stored."""
INSTEAD = {"exr": "piz", "tiff": "lzw", "jp2": "reversible wavelet", "j2c": "reversible wavelet"}
"""What is written where the source's compression would change codes."""


def kind_of(path: Path) -> str:
    """The kind by the file's ending; empty for other files."""
    return KINDS.get(path.suffix.lower(), "")


def sample_name(fmt: PictureFormat) -> str:
    """OpenImageIO's name for the samples of a format."""
    if fmt.sample is SampleType.UINT:
        return "uint8" if fmt.bits == 8 else "uint16"
    return "half" if fmt.sample is SampleType.HALF else "float"


def widened(codes: AnyCodes, bits: int) -> AnyCodes:
    """10 and 12-bit codes as OpenImageIO wants them: spread over 16 bits. Others stay."""
    if bits not in (10, 12):
        return codes
    wide = codes.astype(np.uint16)
    spread: AnyCodes = (wide << (16 - bits) | wide >> (2 * bits - 16)).astype(np.uint16)
    return spread


def narrowed(codes: AnyCodes, bits: int) -> AnyCodes:
    """Back from 16 bits to 10 and 12-bit codes. Others stay."""
    if bits not in (10, 12):
        return codes
    narrow: AnyCodes = (codes.astype(np.uint16) >> (16 - bits)).astype(np.uint16)
    return narrow
