"""The movie codecs that can be written, and how codes become their samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from media.encoding import Domain, convert, encoding
from media.errors import InputError
from media.movie.color import rgb_to_yuv
from media.reel import PictureFormat, SampleType
from media.timecode import timecode_to_frames
from media.write import to_codes, to_values

UNSTATED, BT709, LINEAR, SRGB = 2, 1, 8, 13
MATRIX_RGB, LIMITED, FULL = 0, 1, 2

_FFV1_RGB = {8: "bgr0", 10: "gbrp10le", 12: "gbrp12le", 16: "gbrp16le"}
_FFV1_GRAY = {8: "gray", 10: "gray10le", 12: "gray12le", 16: "gray16le"}
# (primaries, transfer) by declared encoding. Film densities have no code: they stay unstated.
_TAGS = {
    "rec709": (BT709, BT709),
    "gamma24": (BT709, BT709),
    "bt1886": (BT709, BT709),
    "srgb": (BT709, SRGB),
    "linear": (BT709, LINEAR),
}
_VIEWABLE = ("rec709", "gamma24", "bt1886", "srgb")
_SMALLEST_SLICED_PX = 8
# Found by trying: encoders state no limits. Encoder, width, height, what to use instead.
_SMALLEST = (
    ("dnxhd", 256, 120, "prores_4444 or ffv1"),
    ("ffv1", 2, 2, "an image sequence"),
    ("libx264", 2, 2, "an image sequence"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """One way to write a movie."""

    name: str
    encoder: str
    suffix: str
    container: str
    options: Callable[[PictureFormat], dict[str, str]]
    pix_fmt: Callable[[PictureFormat], str]
    bits: int = 0
    """Bits of Y'CbCr samples; 0 keeps RGB or gray codes as they are."""
    halved: tuple[bool, bool] = (False, False)
    """Whether chroma is halved in width, in height."""
    for_viewing: bool = False
    """True for proxies: film and linear encodings are shown as Rec.709."""


def _ffv1_options(fmt: PictureFormat) -> dict[str, str]:
    # Sixteen slices of a tiny picture cost more than the picture.
    slices = 16 if min(fmt.width, fmt.height) >= _SMALLEST_SLICED_PX else 4
    return {"level": "3", "slices": str(slices), "slicecrc": "1", "g": "1"}


def _ffv1_samples(fmt: PictureFormat) -> str:
    return (_FFV1_GRAY if fmt.channels == 1 else _FFV1_RGB)[fmt.bits]


def _fixed(text: str) -> Callable[[PictureFormat], str]:
    return lambda _: text


def _always(options: dict[str, str]) -> Callable[[PictureFormat], dict[str, str]]:
    return lambda _: dict(options)


_WIDE = (True, False)
CODECS = {
    c.name: c
    for c in (
        Codec(
            name="ffv1", encoder="ffv1", suffix=".mkv", container="matroska",
            options=_ffv1_options, pix_fmt=_ffv1_samples,
        ),
        Codec(
            name="prores_422hq", encoder="prores_ks", suffix=".mov", container="mov",
            options=_always({"profile": "3", "vendor": "apl0"}), pix_fmt=_fixed("yuv422p10le"),
            bits=10, halved=_WIDE,
        ),
        Codec(
            name="prores_4444", encoder="prores_ks", suffix=".mov", container="mov",
            options=_always({"profile": "4", "vendor": "apl0"}), pix_fmt=_fixed("yuv444p10le"),
            bits=10,
        ),
        Codec(
            name="dnxhr_hqx", encoder="dnxhd", suffix=".mov", container="mov",
            options=_always({"profile": "dnxhr_hqx"}), pix_fmt=_fixed("yuv422p10le"),
            bits=10, halved=_WIDE,
        ),
        Codec(
            name="dnxhr_444", encoder="dnxhd", suffix=".mov", container="mov",
            options=_always({"profile": "dnxhr_444"}), pix_fmt=_fixed("yuv444p10le"), bits=10,
        ),
        Codec(
            name="h264", encoder="libx264", suffix=".mp4", container="mp4",
            options=_always({"crf": "18", "preset": "fast", "threads": "1"}),
            pix_fmt=_fixed("yuv420p"),
            bits=8, halved=(True, True), for_viewing=True,
        ),
    )
}  # fmt: skip
"""By name."""


def codec_named(name: str, fmt: PictureFormat, suffix: str) -> Codec:
    """The codec, checked against format and file name. raises: InputError."""
    codec = CODECS.get(name)
    if codec is None:
        raise InputError(f"movie codec {name!r} is not known", hint="use " + ", ".join(CODECS))
    if fmt.sample is not SampleType.UINT:
        raise InputError(f"movies cannot hold {fmt}", hint="deliver EXR, or integers")
    if suffix.lower() != codec.suffix:
        raise InputError(
            f"{name} goes into {codec.suffix}, not {suffix}", hint=f"use {codec.suffix}"
        )
    if codec.halved[0] and not codec.for_viewing and fmt.width % 2:
        raise InputError(
            f"4:2:2 needs an even width, not {fmt.width}",
            hint="use prores_4444, dnxhr_444 or ffv1",
        )
    for encoder, width, height, instead in _SMALLEST:
        if codec.encoder == encoder and (fmt.width < width or fmt.height < height):
            raise InputError(
                f"{name} does not go below {width}x{height}, "
                f"the picture is {fmt.width}x{fmt.height}",
                hint=f"use {instead}",
            )
    return codec


def timecode_at(text: str | None, rate: Fraction) -> str | None:
    """A timecode as a movie of this rate can hold it; None where the rate has none like it."""
    if text is None:
        return None
    try:
        timecode_to_frames(text, rate)
    except InputError:
        return None
    return text[:8] + (":" if text[8] == ":" else ";") + text[9:]


def color_tags(
    codec: Codec, fmt: PictureFormat, encoding_name: str, given: tuple[int, int] | None
) -> tuple[int, int, int, int]:
    """Primaries, transfer, matrix and range to write, as ISO 23001-8 and FFmpeg number them.

    given: primaries and transfer of the source; a proxy is Rec.709 whatever the source was.
    """
    primaries, transfer = given or _TAGS.get(encoding_name, (UNSTATED, UNSTATED))
    if codec.for_viewing and encoding_name not in _VIEWABLE:
        primaries, transfer = BT709, BT709
    if codec.bits:
        return primaries, transfer, BT709, LIMITED
    return primaries, transfer, UNSTATED if fmt.channels == 1 else MATRIX_RGB, FULL


def padded_size(codec: Codec, fmt: PictureFormat) -> tuple[int, int]:
    """Width and height as coded: 4:2:0 needs even numbers, an odd edge is shown twice."""
    wide, tall = codec.halved
    if not codec.for_viewing:
        return fmt.width, fmt.height
    return fmt.width + (fmt.width % 2) * wide, fmt.height + (fmt.height % 2) * tall


def samples(
    codec: Codec, fmt: PictureFormat, codes: NDArray[Any], encoding_name: str
) -> list[NDArray[Any]]:
    """Planes of one frame, from (H, W, C) codes, in the order and layout of the codec."""
    if codec.bits:
        rgb: NDArray[np.uint16] = np.broadcast_to(codes, (fmt.height, fmt.width, 3)).astype(
            np.uint16
        )
        full_scale = fmt.full_scale
        if codec.for_viewing and encoding_name not in _VIEWABLE:
            rgb, full_scale = _viewed(rgb, fmt, encoding_name), 65535
        width, height = padded_size(codec, fmt)
        rgb = np.pad(rgb, ((0, height - fmt.height), (0, width - fmt.width), (0, 0)), mode="edge")
        return list(rgb_to_yuv(rgb, full_scale, codec.bits, halved=codec.halved))
    if fmt.channels == 1:
        return [codes[..., 0]]
    if fmt.bits == 8:
        packed = np.zeros((fmt.height, fmt.width, 4), np.uint8)
        packed[..., :3] = codes[..., ::-1]
        return [packed.reshape(fmt.height, -1)]
    return [codes[..., 1], codes[..., 2], codes[..., 0]]


def _viewed(rgb: NDArray[np.uint16], fmt: PictureFormat, encoding_name: str) -> NDArray[np.uint16]:
    """What a screen should show of film or linear codes, 16-bit Rec.709."""
    values = torch.from_numpy(to_values(rgb, fmt)).permute(2, 0, 1)
    if encoding_name:
        log = encoding(encoding_name).to_log(values)
        values = convert(log, Domain.LOG_DENSITY, Domain.DISPLAY)
    shown = to_codes(values.permute(1, 2, 0).numpy(), replace(fmt, channels=3, bits=16))
    return shown.astype(np.uint16)
