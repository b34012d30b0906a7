"""TIFF, EXR, PNG and JPEG 2000 frames through OpenImageIO: what is in them, and their codes.

Before the library sees a file, its structure is checked by ``media.still.check``: OpenImageIO
believes headers, and fills rows that are missing with zeros.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import OpenImageIO
from numpy.typing import NDArray

from media.errors import FrameUnreadable, InputError
from media.reel import PictureFormat, SampleType
from media.still.check import check_still, reversible_wavelet
from media.still.kinds import (
    COPY_AGAIN,
    INSTEAD,
    KINDS,
    LIBRARY_NAMES,
    LOSSLESS,
    AnyCodes,
    Metadata,
    kind_of,
    narrowed,
)

_PLAIN = ("R", "G", "B", "Y", "I", "L")


@dataclass(frozen=True, slots=True, kw_only=True)
class Still:
    """What a file holds: the picture, and what is carried beside it."""

    format: PictureFormat
    part: int
    """Which part of a multi-part EXR is the picture; 0 otherwise."""
    channels: tuple[int, ...]
    """Positions of the picture's channels in that part."""
    carried: tuple[str, ...]
    """Other channels and parts, in words."""
    lossy: str
    """The compression, where decoding does not give what was scanned; empty otherwise."""


@contextmanager
def opened(path: Path) -> Iterator[OpenImageIO.ImageInput]:
    """An OpenImageIO reader of a checked file, closed at the end.

    raises: FrameUnreadable, InputError (what ``media.still.check`` refuses).
    """
    if not kind_of(path):
        raise InputError(
            f"{path.suffix or path.name} is no kind of frame that is read",
            hint="expected " + ", ".join(KINDS),
        )
    check_still(path, kind_of(path))
    # A fourth channel is no opacity here: the library must not multiply the picture by it.
    plain = OpenImageIO.ImageSpec()
    plain.attribute("oiio:UnassociatedAlpha", 1)
    source = OpenImageIO.ImageInput.open(str(path), plain)
    if source is None:
        raise FrameUnreadable(f"unreadable: {first_line(library_error())}", hint=COPY_AGAIN)
    try:
        name = source.format_name()
        found, wanted = LIBRARY_NAMES.get(name, name), KINDS[path.suffix.lower()]
        if found != {"j2c": "jp2"}.get(wanted, wanted):
            raise FrameUnreadable(
                f"the name says {wanted}, the file is {found}", hint="rename the files"
            )
        yield source
    finally:
        source.close()
        # Taken even when unused: an unread error is printed when the process ends.
        library_error(source)
        library_error()


def library_error(source: OpenImageIO.ImageInput | None = None) -> str:
    """The library's pending message, of a reader or in general; taken, so not printed later."""
    try:
        return str(source.geterror() if source is not None else OpenImageIO.geterror())
    except UnicodeDecodeError:
        # A damaged header can put any bytes into the message.
        return "the file cannot be decoded"


def first_line(text: str) -> str:
    """The first line of a message that may be empty."""
    return text.strip().splitlines()[0] if text.strip() else "the file cannot be decoded"


def describe(source: OpenImageIO.ImageInput, path: Path, *, spare: bool = False) -> Still:
    """What an open file holds. raises: InputError for what is refused, by name.

    spare: TIFF and PNG may have one channel more, which somebody has declared a defect map.
    """
    kind = kind_of(path)
    parts = _parts(source)
    if len(parts) > 1 and kind != "exr":
        raise InputError("several pictures in one file", hint="split it into single pictures")
    if any(spec.deep for spec in parts):
        raise InputError("deep EXR is not supported", hint="flatten it before the restoration")
    part, channels = _picture(parts, kind, spare=spare)
    spec = parts[part]
    names = [str(n) for n in spec.channelnames]
    types = [str(t) for t in spec.channelformats] or [str(spec.format)] * len(names)
    if kind == "exr" and "uint" in " ".join(types):
        raise InputError(
            "the picture's part holds whole-number channels "
            + ", ".join(n for n, t in zip(names, types, strict=True) if t.startswith("uint")),
            hint="keep them in a part or a sequence of their own",
        )
    picked = {types[k] for k in channels}
    if len(picked) > 1:
        raise InputError("channels of different depth in one file", hint="write it with one depth")
    compression = str(spec.getattribute("compression") or "none").split(":")[0]
    lossy = ""
    if kind in LOSSLESS and compression not in LOSSLESS[kind]:
        # PXR24 rounds 32-bit floats only.
        lossy = "" if (compression, picked) == ("pxr24", {"half"}) else compression
    if kind in ("jp2", "j2c") and not reversible_wavelet(path):
        lossy = "irreversible wavelet"
    carried = [n for k, n in enumerate(names) if k not in channels]
    for index, other in enumerate(parts):
        if index != part:
            title = str(other.getattribute("oiio:subimagename") or "") or "unnamed"
            carried.append(f"part {index + 1} ({title})")
    return Still(
        format=_format(spec, picked.pop(), len(channels), kind),
        part=part,
        channels=channels,
        carried=tuple(carried),
        lossy=lossy,
    )


def metadata_of(source: OpenImageIO.ImageInput, still: Still, kind: str) -> Metadata:
    """Attributes of the picture's part, flat and JSON-able, and what was noticed."""
    source.seek_subimage(still.part, 0)
    spec = source.spec()
    found: Metadata = {}
    for attribute in spec.extra_attribs:
        value = attribute.value
        if isinstance(value, (str, int, float)):
            found[attribute.name] = value
        elif isinstance(value, tuple) and len(value) <= 16:
            found[attribute.name] = " ".join(str(v) for v in value)
    window = (spec.x, spec.y, spec.width, spec.height)
    display = (spec.full_x, spec.full_y, spec.full_width, spec.full_height)
    if window != display:
        found["data_window"] = "{2}x{3}{0:+d}{1:+d}".format(*window)
        found["display_window"] = "{2}x{3}{0:+d}{1:+d}".format(*display)
    if still.carried:
        found["carried"] = ", ".join(still.carried)
    if still.lossy:
        found["lossy"] = still.lossy
        found["delivered_compression"] = INSTEAD[kind]
    _name_time(found, spec)
    return found


def _name_time(found: Metadata, spec: OpenImageIO.ImageSpec) -> None:
    """Timecode and keycode under the names that DPX uses too."""
    text = spec.get_string_attribute("smpte:TimeCode")
    if text and "timecode" not in found:
        found["timecode"] = text
    code = spec.getattribute("smpte:KeyCode")
    if isinstance(code, tuple) and len(code) == 7:
        found["keycode"] = "{:02d} {:02d} {:06d} {:04d}+{:02d}".format(*code[:5])
    for ours in ("film_rate", "tv_rate"):
        carried = found.get(f"film:{ours}")
        if isinstance(carried, str):
            found[ours] = carried


def read_part(
    source: OpenImageIO.ImageInput, part: int, channels: tuple[int, ...], sample: str
) -> NDArray[np.generic]:
    """Channels of one part, (H, W, len(channels)), in the numpy type of ``sample``.

    raises: FrameUnreadable.
    """
    source.seek_subimage(part, 0)
    spec = source.spec()
    runs = _runs(channels)
    planes = []
    for first, stop in runs:
        pixels = source.read_image(part, 0, first, stop, sample)
        problem = library_error(source)
        if pixels is None or problem:
            raise FrameUnreadable(f"unreadable: {first_line(problem)}", hint=COPY_AGAIN)
        planes.append(np.asarray(pixels).reshape(spec.height, spec.width, stop - first))
    return planes[0] if len(planes) == 1 else np.concatenate(planes, axis=2)


def codes_of(source: OpenImageIO.ImageInput, still: Still) -> AnyCodes:
    """The picture's codes, (H, W, C). raises: FrameUnreadable, also for NaN or Inf."""
    fmt = still.format
    integer = fmt.sample is SampleType.UINT
    wanted = ("uint8" if fmt.bits == 8 else "uint16") if integer else "float"
    codes = cast(AnyCodes, read_part(source, still.part, still.channels, wanted))
    if not integer:
        _check_finite(cast(NDArray[np.float32], codes))
        return codes
    return narrowed(codes, fmt.bits)


def _runs(channels: tuple[int, ...]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for channel in channels:
        if runs and runs[-1][1] == channel:
            runs[-1] = (runs[-1][0], channel + 1)
        else:
            runs.append((channel, channel + 1))
    return runs


def _parts(source: OpenImageIO.ImageInput) -> list[OpenImageIO.ImageSpec]:
    parts: list[OpenImageIO.ImageSpec] = []
    while source.seek_subimage(len(parts), 0):
        parts.append(OpenImageIO.ImageSpec(source.spec()))
    library_error(source)
    source.seek_subimage(0, 0)
    return parts


def _picture(
    parts: list[OpenImageIO.ImageSpec], kind: str, *, spare: bool
) -> tuple[int, tuple[int, ...]]:
    """The part and the channels that are the picture."""
    if kind != "exr":
        names = [str(n) for n in parts[0].channelnames]
        if spare and kind in ("tiff", "png") and len(names) in (2, 4):
            names = names[:-1]
        extra = [n for n in names if n not in _PLAIN]
        if extra or len(names) not in (1, 3):
            raise InputError(
                f"channels {', '.join(names)}: only RGB or one luma channel is taken"
                + (f", not {', '.join(extra)}" if extra else ""),
                hint="strip the alpha or other channels, or keep them as a sequence of their own",
            )
        return 0, tuple(range(len(names)))
    for index, spec in enumerate(parts):
        names = [str(n) for n in spec.channelnames]
        for wanted in (("R", "G", "B"), ("Y",)):
            if all(n in names for n in wanted):
                return index, tuple(names.index(n) for n in wanted)
    listed = "; ".join(", ".join(str(n) for n in s.channelnames) for s in parts)
    raise InputError(
        f"channels {listed}: no R, G, B and no Y among them",
        hint="rename the channels of the picture to R, G and B, or Y",
    )


def _format(spec: OpenImageIO.ImageSpec, sample: str, channels: int, kind: str) -> PictureFormat:
    def made(bits: int, kept: SampleType) -> PictureFormat:
        return PictureFormat(
            width=spec.width, height=spec.height, channels=channels, bits=bits, sample=kept
        )

    if kind == "exr" and sample in ("half", "float"):
        return made(16, SampleType.HALF) if sample == "half" else made(32, SampleType.FLOAT)
    bits = spec.get_int_attribute("oiio:BitsPerSample", {"uint8": 8, "uint16": 16}.get(sample, 0))
    if kind == "exr" or sample not in ("uint8", "uint16") or bits not in (8, 10, 12, 16):
        raise InputError(
            f"{sample} samples of {bits} bits are not supported in {kind}",
            hint="use 8, 10, 12 or 16-bit integers, or half or float EXR",
        )
    return made(bits, SampleType.UINT)


def _check_finite(pixels: NDArray[np.float32]) -> None:
    fine = np.isfinite(pixels)
    if fine.all():
        return
    row, column, channel = (int(v) for v in np.argwhere(~fine)[0])
    raise FrameUnreadable(
        f"{np.count_nonzero(~fine)} samples are NaN or Inf, the first at row {row}, "
        f"column {column}, channel {channel}",
        hint="export the frame again; what an undefined sample should be is not guessed",
    )
