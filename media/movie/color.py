"""Y'CbCr to R'G'B' code values and back, in plain arithmetic.

The scaler inside FFmpeg maps white to 65280 of 65535 and leaves some matrices to defaults, so
the matrix is done here, where it can be checked.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from media.errors import InputError

Plane = NDArray[np.uint8] | NDArray[np.uint16]

MATRICES = {
    "bt709": (0.2126, 0.0722),
    "bt601": (0.299, 0.114),
    "bt2020": (0.2627, 0.0593),
    "smpte240m": (0.212, 0.087),
}
"""Luma weights of red and blue by matrix name."""

_MATRIX_OF_TAG = {1: "bt709", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020"}


def matrix_of_tag(tag: int) -> str | None:
    """Matrix name for a stream's ISO 23001-8 code; None when unstated or not supported."""
    return _MATRIX_OF_TAG.get(tag)


def check_matrix(name: str) -> None:
    """raises: InputError for a matrix name that is not known."""
    if name not in MATRICES:
        raise InputError(f"matrix {name!r} is not known", hint="use " + ", ".join(MATRICES))


def yuv_to_rgb16(
    planes: tuple[Plane, Plane, Plane], bits: int, matrix: str, *, full_range: bool
) -> NDArray[np.uint16]:
    """Planes of one frame to RGB codes, (H, W, 3) uint16, full scale 65535, clipped.

    planes: Y (H, W), Cb and Cr the same size or halved in width, in height or both, or
    quartered in width. Chroma is taken
    as co-sited left (the default of MPEG-2 and H.264), and interpolated linearly.
    """
    kr, kb = MATRICES[matrix]
    height, width = planes[0].shape
    unit = float(1 << (bits - 8))
    top = float((1 << bits) - 1)
    zero = float(1 << (bits - 1))
    black, luma_span = (0.0, top) if full_range else (16 * unit, 219 * unit)
    chroma_span = top if full_range else 224 * unit
    luma = (planes[0].astype(np.float32) - black) * np.float32(1 / luma_span)
    blue, red = (
        (_upsampled(p, height, width) - zero) * np.float32(1 / chroma_span) for p in planes[1:]
    )
    rgb = np.empty((height, width, 3), np.float32)
    rgb[..., 0] = luma + np.float32(2 * (1 - kr)) * red
    rgb[..., 2] = luma + np.float32(2 * (1 - kb)) * blue
    rgb[..., 1] = (luma - kr * rgb[..., 0] - kb * rgb[..., 2]) * np.float32(1 / (1 - kr - kb))
    return np.clip(np.rint(rgb * 65535), 0, 65535).astype(np.uint16)


def rgb_to_yuv(
    codes: Plane, full_scale: int, bits: int, *, halved: tuple[bool, bool] = (False, False)
) -> tuple[NDArray[np.uint16], NDArray[np.uint16], NDArray[np.uint16]]:
    """RGB codes (H, W, 3) to limited-range BT.709 planes of 8 or 10 bits, nearest code.

    halved: chroma halved in width (filtered 1-2-1, co-sited left) and in height (mean of two
    lines): 4:2:2 is (True, False), 4:2:0 is (True, True).
    """
    kr, kb = MATRICES["bt709"]
    unit = 1 << (bits - 8)
    rgb = codes.astype(np.float32) * np.float32(1 / full_scale)
    luma = kr * rgb[..., 0] + (1 - kr - kb) * rgb[..., 1] + kb * rgb[..., 2]
    blue = (rgb[..., 2] - luma) * np.float32(0.5 / (1 - kb))
    red = (rgb[..., 0] - luma) * np.float32(0.5 / (1 - kr))
    if halved[0]:
        blue, red = _halved(blue), _halved(red)
    if halved[1]:
        blue, red = (0.5 * (p[0::2] + p[1::2]) for p in (blue, red))

    def level(values: NDArray[np.float32], low: int, span: int, high: int) -> NDArray[np.uint16]:
        found = np.clip(np.rint(low * unit + span * unit * values), 16 * unit, high * unit)
        return np.asarray(found, dtype=np.uint16)

    return (level(luma, 16, 219, 235), level(blue, 128, 224, 240), level(red, 128, 224, 240))


def _halved(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    padded = np.pad(plane, ((0, 0), (1, 1)), mode="edge")
    smooth = 0.25 * padded[:, :-2] + 0.5 * padded[:, 1:-1] + 0.25 * padded[:, 2:]
    return np.asarray(smooth[:, ::2], dtype=np.float32)


def _upsampled(plane: Plane, height: int, width: int) -> NDArray[np.float32]:
    """(h, w) to (height, width) float32; halves are co-sited left, centred vertically."""
    out = plane.astype(np.float32)
    if out.shape[0] != height:
        above = np.concatenate([out[:1], out[:-1]])
        below = np.concatenate([out[1:], out[-1:]])
        tall = np.empty((out.shape[0] * 2, out.shape[1]), np.float32)
        tall[0::2] = 0.75 * out + 0.25 * above
        tall[1::2] = 0.75 * out + 0.25 * below
        out = tall[:height]
    while out.shape[1] < width:
        right = np.concatenate([out[:, 1:], out[:, -1:]], axis=1)
        broad = np.empty((out.shape[0], out.shape[1] * 2), np.float32)
        broad[:, 0::2] = out
        broad[:, 1::2] = 0.5 * (out + right)
        out = broad
    return out[:, :width]
