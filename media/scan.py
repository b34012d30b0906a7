"""Scanned frame sequences: find the files, look at headers, read code values."""

from __future__ import annotations

import itertools
import re
import struct
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import numpy as np
import OpenImageIO

from media.dpx import (
    DpxHeader,
    check_supported,
    decode_dpx,
    header_metadata,
    parse_header,
    row_stride_bytes,
)
from media.errors import FrameDuplicate, FrameMissing, FrameUnreadable, InputError
from media.reel import PictureFormat, SampleType
from media.write import AnyCodes

Metadata = dict[str, str | int | float]

KINDS = {".dpx": "dpx", ".tif": "tiff", ".tiff": "tiff", ".exr": "exr", ".png": "png"}
"""File name endings of frames, and what they are called."""

_PATTERN = re.compile(r"%0?(\d*)d|#+")
_HEAD_BYTES = 2080
_COPY_AGAIN = "copy the frame again from the scan"
_MAX_GAPS = 5
_PALETTE_PNG = 3


def is_pattern(source: Path) -> bool:
    """Whether the name is a pattern such as ``R1.%07d.dpx`` or ``R1.####.dpx``."""
    return _PATTERN.search(source.name) is not None and not source.is_dir()


def list_sequence(source: Path, *, reel: str | None = None) -> tuple[list[tuple[int, Path]], str]:
    """The frames of a folder or pattern as sorted (number, file), and their kind.

    The number is the last group of digits of the name. Files of other kinds (notes, checksums,
    sound) are passed over.
    raises: InputError (nothing there, kinds or names mixed, no number), FrameDuplicate,
    FrameMissing.
    """
    if is_pattern(source):
        folder, wanted = source.parent, _pattern_regex(source.name)
    else:
        folder, wanted = source, None
    if not folder.is_dir():
        hint = "give the folder of the frames, or a pattern such as R1.####.dpx"
        raise InputError(f"{folder} is not a folder", hint=hint, reel=reel)
    files = [
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in KINDS
        and not path.name.startswith(".")
        and (wanted is None or wanted.fullmatch(unicodedata.normalize("NFC", path.name)))
    ]
    if not files:
        raise InputError(
            f"no frames in {source}",
            hint="expected " + ", ".join(KINDS) + " files with a number in the name",
            reel=reel,
        )
    kinds = sorted({KINDS[path.suffix.lower()] for path in files})
    if len(kinds) > 1:
        raise InputError(
            f"mixed kinds of frames in {folder}: {', '.join(kinds)}",
            hint="give a pattern such as R1.####.dpx, or one folder for each",
            reel=reel,
        )
    return _numbered(files, reel), kinds[0]


def _pattern_regex(name: str) -> re.Pattern[str]:
    name = unicodedata.normalize("NFC", name)
    found = list(_PATTERN.finditer(name))[-1]
    head, tail = re.escape(name[: found.start()]), re.escape(name[found.end() :])
    return re.compile(rf"{head}\d+{tail}")


def _numbered(files: list[Path], reel: str | None) -> list[tuple[int, Path]]:
    by_number: dict[int, Path] = {}
    names: dict[tuple[str, str], Path] = {}
    for path in files:
        found = re.fullmatch(r"(.*?)(\d+)(\D*)", path.stem)
        if found is None:
            raise InputError(
                f"{path.name} has no frame number in its name",
                hint="move it away, or give a pattern such as R1.####.dpx",
                reel=reel,
            )
        names.setdefault((unicodedata.normalize("NFC", found[1]), found[3]), path)
        if len(names) > 1:
            one, other = [p.name for p in names.values()]
            raise InputError(
                f"frames of different names in one folder: {one} and {other}",
                hint="give a pattern such as R1.####.dpx, or one folder for each",
                reel=reel,
            )
        number = int(found[2])
        if number in by_number:
            raise FrameDuplicate(
                f"{by_number[number].name} and {path.name} are both frame {number}",
                hint="move one of them away",
                reel=reel,
                frame=number,
            )
        by_number[number] = path
    numbers = sorted(by_number)
    gaps = [(a + 1, b - 1) for a, b in itertools.pairwise(numbers) if b > a + 1]
    if gaps:
        texts = [f"{a}" if a == b else f"{a}-{b}" for a, b in gaps]
        more = f" and {len(gaps) - _MAX_GAPS} more" if len(gaps) > _MAX_GAPS else ""
        missing = sum(b - a + 1 for a, b in gaps)
        raise FrameMissing(
            f"{missing} frames are missing between {numbers[0]} and {numbers[-1]}",
            hint=f"missing: {', '.join(texts[:_MAX_GAPS])}{more}; "
            "copy them, or give the parts as reels of their own",
            reel=reel,
            frame=gaps[0][0],
        )
    return [(number, by_number[number]) for number in numbers]


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
            f"{path.name}: {error.strerror or error}", hint=_COPY_AGAIN, reel=reel, frame=frame
        ) from error


def inspect(
    path: Path, *, reel: str | None = None, frame: int | None = None
) -> tuple[PictureFormat, Metadata]:
    """Format and metadata from the header; no pixels are decoded.

    raises: FrameUnreadable (empty, truncated DPX, wrong magic), InputError (alpha, palette and
    other kinds that are refused).
    """
    with _located(reel, frame, path):
        size = path.stat().st_size
        if size == 0:
            raise FrameUnreadable("the file is empty (zero bytes)", hint=_COPY_AGAIN)
        if path.suffix.lower() == ".dpx":
            with path.open("rb") as stream:
                header = parse_header(stream.read(_HEAD_BYTES))
            check_supported(header)
            row_stride_bytes(header, size - header.data_offset_bytes)
            return _dpx_format(header), header_metadata(header)
        source = _open(path)
        try:
            return _oiio_format(path, source), _oiio_metadata(source.spec())
        finally:
            source.close()


def read_codes(path: Path, *, reel: str | None = None, frame: int | None = None) -> AnyCodes:
    """A frame's code values, (H, W, C).

    uint8 for 8 bits, uint16 for 10, 12 and 16 bits (real codes: 10-bit is 0..1023), float32 for
    half and float EXR.
    raises: FrameUnreadable (also for NaN or Inf), InputError.
    """
    with _located(reel, frame, path):
        data_suffix = path.suffix.lower()
        if data_suffix == ".dpx":
            data = path.read_bytes()
            codes = decode_dpx(data)
            return codes.astype(np.uint8) if parse_header(data).bits == 8 else codes
        if path.stat().st_size == 0:
            raise FrameUnreadable("the file is empty (zero bytes)", hint=_COPY_AGAIN)
        source = _open(path)
        try:
            fmt = _oiio_format(path, source)
            if fmt.sample is not SampleType.UINT:
                wanted = "float"
            else:
                wanted = "uint8" if fmt.bits == 8 else "uint16"
            pixels = source.read_image(0, 0, 0, fmt.channels, wanted)
            problem = source.geterror()
        finally:
            source.close()
        if pixels is None or problem:
            raise FrameUnreadable(f"unreadable: {_first_line(problem)}", hint=_COPY_AGAIN)
        codes_or_floats = np.asarray(pixels).reshape(fmt.height, fmt.width, fmt.channels)
        if fmt.sample is not SampleType.UINT:
            _check_finite(codes_or_floats)
        elif fmt.bits in (10, 12):
            codes_or_floats = codes_or_floats >> (16 - fmt.bits)
        return cast(AnyCodes, codes_or_floats)


def _dpx_format(header: DpxHeader) -> PictureFormat:
    return PictureFormat(
        width=header.width, height=header.height, channels=header.channels, bits=header.bits
    )


def _open(path: Path) -> OpenImageIO.ImageInput:
    source = OpenImageIO.ImageInput.open(str(path))
    if source is None:
        # Taken even when unused: an unread error is printed when the process ends.
        problem = OpenImageIO.geterror()
        raise FrameUnreadable(f"unreadable: {_first_line(problem)}", hint=_COPY_AGAIN)
    return source


def _oiio_format(path: Path, source: OpenImageIO.ImageInput) -> PictureFormat:
    spec = source.spec()
    kind = KINDS[path.suffix.lower()]
    if {"openexr": "exr"}.get(source.format_name(), source.format_name()) != kind:
        raise FrameUnreadable(
            f"the name says {kind}, the file is {source.format_name()}", hint="rename the files"
        )
    names = list(spec.channelnames)
    _check_channels(names)
    if source.seek_subimage(1, 0):
        raise InputError("several pictures in one file", hint="split it into single pictures")
    OpenImageIO.geterror()
    source.geterror()
    source.seek_subimage(0, 0)
    _check_palette(path, spec)
    sample = str(spec.format)
    if len({str(f) for f in spec.channelformats}) > 1:
        raise InputError("channels of different depth in one file", hint="write it with one depth")
    size = (spec.width, spec.height, len(names))
    if kind == "exr" and sample in ("half", "float"):
        half = sample == "half"
        return _format(size, 16 if half else 32, SampleType.HALF if half else SampleType.FLOAT)
    bits = spec.get_int_attribute("oiio:BitsPerSample", {"uint8": 8, "uint16": 16}.get(sample, 0))
    if kind == "exr" or sample not in ("uint8", "uint16") or bits not in (8, 10, 12, 16):
        raise InputError(
            f"{sample} samples of {bits} bits are not supported in {kind}",
            hint="use 8, 10, 12 or 16-bit integers, or half or float EXR",
        )
    return _format(size, bits, SampleType.UINT)


def _format(size: tuple[int, int, int], bits: int, sample: SampleType) -> PictureFormat:
    return PictureFormat(width=size[0], height=size[1], channels=size[2], bits=bits, sample=sample)


def _check_channels(names: list[str]) -> None:
    extra = [n for n in names if n not in ("R", "G", "B", "Y", "I", "L")]
    if extra or len(names) not in (1, 3):
        raise InputError(
            f"channels {', '.join(names)}: only RGB or one luma channel is taken"
            + (f", not {', '.join(extra)}" if extra else ""),
            hint="strip the alpha or other channels, or keep them as a sequence of their own",
        )


def _check_palette(path: Path, spec: OpenImageIO.ImageSpec) -> None:
    space = spec.get_string_attribute("tiff:ColorSpace")
    hint = "convert it to plain RGB or gray"
    if space:
        raise InputError(f"{space} pictures are not supported", hint=hint)
    if path.suffix.lower() == ".png":
        with path.open("rb") as stream:
            head = stream.read(26)
        depth, color_type = struct.unpack_from(">BB", head, 24)
        if color_type == _PALETTE_PNG or depth < 8:
            raise InputError("palette or bitmap PNG is not supported", hint=hint)


def _oiio_metadata(spec: OpenImageIO.ImageSpec) -> Metadata:
    found: Metadata = {}
    for attribute in spec.extra_attribs:
        if isinstance(attribute.value, (str, int, float)):
            found[attribute.name] = attribute.value
    return found


def _check_finite(pixels: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> None:
    fine = np.isfinite(pixels)
    if fine.all():
        return
    row, column, channel = (int(v) for v in np.argwhere(~fine)[0])
    raise FrameUnreadable(
        f"{np.count_nonzero(~fine)} samples are NaN or Inf, the first at row {row}, "
        f"column {column}, channel {channel}",
        hint="export the frame again; what an undefined sample should be is not guessed",
    )


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else "the file cannot be decoded"
