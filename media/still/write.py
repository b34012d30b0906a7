"""Frames as file contents: DPX bytes, and TIFF, EXR, PNG and JPEG 2000 through OpenImageIO.

Codes come in final; nothing is clipped or rounded here. What the source's file holds beside the
picture goes along.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import OpenImageIO
from numpy.typing import NDArray

from media.dpx import (
    DpxHeader,
    encode_dpx,
    encode_like,
    new_header,
    parse_header,
    patched_header,
    relaid_header,
)
from media.dpx.move import moved_header
from media.errors import InputError, UsageError
from media.reel import PictureFormat, SampleType
from media.sidecar import unpacked_bytes
from media.still.check import check_still
from media.still.film import (
    Attribute,
    film_attributes,
    header_in_text,
    rate_attribute,
    timecode_attribute,
)
from media.still.graft import graft
from media.still.kinds import INSTEAD, AnyCodes, kind_of, narrowed, sample_name, widened
from media.still.read import Still, codes_of, describe, library_error, opened, read_part

FIXED_DATE = "1970:01:01 00:00:00"
"""Written where a format insists on a date, so that bytes can be reproduced."""

_PNG_LEVEL = 2
_PNG_NO_FILTER = 8
_FEW_MARKS = 15
_PROBE_ROWS = 16
_JP2_LEAST_PX = 32
_HISTORY = "film:history"
_BITS = {
    "dpx": (8, 10, 12, 16), "tiff": (8, 10, 12, 16), "png": (8, 16), "jp2": (8, 10, 12, 16),
    "j2c": (8, 10, 12, 16),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """What goes into the file beside the picture, see ``media.write.write_frame``."""

    rate: Fraction | None = None
    timecode: str | None = None
    reel: str | None = None
    frame: int | None = None
    frames_in_reel: int | None = None
    history: str | None = None
    creation_date: str | None = None
    moved_frames: int = 0


def dpx_bytes(
    codes: AnyCodes, fmt: PictureFormat, template: Path | None, file_name: str, extra: Extra
) -> bytes | memoryview:
    """A DPX file. A template of the same layout gives header, padding and trailing bytes.

    raises: InputError, FrameUnreadable, OSError (template).
    """
    if fmt.sample is not SampleType.UINT:
        raise InputError(f"DPX cannot hold {fmt}", hint="deliver EXR, or convert to integers")
    exact = codes.astype(np.uint16, copy=False)
    old: DpxHeader | None = None
    if template is not None and kind_of(template) == "dpx":
        source = template.read_bytes()
        old = parse_header(source)
        if (old.width, old.height, old.channels, old.bits) == (
            fmt.width, fmt.height, fmt.channels, fmt.bits,
        ):  # fmt: skip
            return encode_like(exact, source, _patched(old, file_name, extra))
    elif template is not None:
        old = _carried_header(template)
    if old is not None:
        head = relaid_header(old.head, fmt.width, fmt.height, fmt.channels, fmt.bits)
        return encode_dpx(exact, _patched(parse_header(head), file_name, extra) or head)
    head = new_header(
        fmt.width,
        fmt.height,
        fmt.channels,
        fmt.bits,
        rate=extra.rate,
        timecode=extra.timecode,
        frame_number=extra.frame,
        frames_in_reel=extra.frames_in_reel,
        reel=extra.reel or "",
        file_name=file_name,
    )
    head = patched_header(head, history=extra.history, creation_date=extra.creation_date)
    return encode_dpx(exact, head)


def _patched(old: DpxHeader, file_name: str, extra: Extra) -> bytes | None:
    """The template's header with what is new; None where all stays."""
    # The field follows the real name; an untouched name leaves the header identical.
    name = file_name if old.file_name and old.file_name != file_name else None
    moved = extra.moved_frames and extra.rate
    if (name, extra.history, extra.creation_date) == (None, None, None) and not moved:
        return None
    head = moved_header(old.head, extra.moved_frames, extra.rate) if extra.rate else old.head
    return patched_header(
        head, file_name=name, history=extra.history, creation_date=extra.creation_date
    )


def _carried_header(template: Path) -> DpxHeader | None:
    """The DPX header that a frame of another kind carries, see ``media.still.film``."""
    with opened(template) as source:
        spec = source.spec()
        packed = spec.get_string_attribute("film:header") or header_in_text(
            spec.get_string_attribute("ImageDescription")
        )
    return parse_header(unpacked_bytes(packed)) if packed else None


def is_untouched(
    codes: AnyCodes, fmt: PictureFormat, kind: str, template: Path, extra: Extra
) -> bool:
    """Whether the template's file is already what is to be written.

    That is so when it is of the same kind and format, without loss, holds these codes, and
    nothing is to be added. raises: FrameUnreadable, InputError, OSError (template).
    """
    if kind_of(template) != kind or extra.history is not None or extra.creation_date is not None:
        return False
    with opened(template) as source:
        still = describe(source, template, spare=True)
        if still.format != fmt or still.lossy:
            return False
        source.seek_subimage(still.part, 0)
        spec, first = source.spec(), still.channels[0]
        beside = tuple(range(first, first + len(still.channels))) == still.channels
        if spec.tile_width == 0 and beside:
            # A repaired frame differs almost everywhere: a few rows tell, before all are read.
            rows = codes[:_PROBE_ROWS]
            sample = sample_name(fmt) if fmt.sample is SampleType.UINT else "float"
            probe = source.read_scanlines(
                still.part, 0, spec.y, spec.y + len(rows), 0, first, first + rows.shape[2], sample
            )
            library_error(source)
            if probe is not None:
                seen = narrowed(np.asarray(probe).reshape(rows.shape), fmt.bits)
                if not np.array_equal(seen, rows):
                    return False
        return np.array_equal(codes_of(source, still), codes)


def encode_still(
    place: Path,
    codes: AnyCodes,
    fmt: PictureFormat,
    kind: str,
    template: Path | None,
    extra: Extra,
) -> str:
    """Write a frame to ``place``, whose ending names the writer. returns: the problem, if any.

    raises: InputError (the kind cannot hold the format), FrameUnreadable (template), OSError.
    """
    if (fmt.sample is SampleType.UINT) == (kind == "exr"):
        raise InputError(f"{kind.upper()} cannot hold {fmt}", hint="choose another delivery kind")
    if kind != "exr" and fmt.bits not in _BITS[kind]:
        raise InputError(f"{kind.upper()} cannot hold {fmt}", hint="deliver TIFF or DPX")
    if kind in ("jp2", "j2c") and min(fmt.width, fmt.height) < _JP2_LEAST_PX:
        # The library writes an empty file then, and says that all went well.
        raise InputError(
            f"JPEG 2000 of {fmt.width}x{fmt.height} pixels cannot be written",
            hint=f"deliver TIFF or DPX below {_JP2_LEAST_PX} pixels",
        )
    with ExitStack() as stack:
        source: OpenImageIO.ImageInput | None = None
        still: Still | None = None
        same = template is not None and kind_of(template) == kind
        if template is not None and kind_of(template) != "dpx":
            source = stack.enter_context(opened(template))
            still = describe(source, template, spare=True)
        fits = same and still is not None and still.format == fmt
        if fits and source is not None and still is not None:
            specs = _specs(source)
        else:
            specs = [_new_spec(fmt, source if same else None, still)]
        index = still.part if fits and still is not None else 0
        added = list(_added(template, source, kind, extra))
        for attribute in added:
            _put(specs[index], attribute)
        _finish(specs[index], fmt, kind, still if same else None)
        if kind == "png" and codes.dtype == np.uint8 and int(codes.max()) <= _FEW_MARKS:
            # Planes of marks: what filters predict in pictures only takes time in these.
            specs[index].attribute("png:filter", _PNG_NO_FILTER)
        picture = _pixels(codes, fmt, source, still) if fits else widened(codes, fmt.bits)
        problem = _write_parts(place, specs, index, picture, source)
        if not problem and fits and template is not None:
            graft(place, template, kind, [a.name for a in added])
    return problem or _not_whole(place, kind)


def _not_whole(place: Path, kind: str) -> str:
    """What is wrong with a file that the library says it has written; empty when nothing is."""
    try:
        check_still(place, kind)
    except InputError as error:
        return f"the written file is not whole: {error.what}"
    return ""


def _specs(source: OpenImageIO.ImageInput) -> list[OpenImageIO.ImageSpec]:
    specs: list[OpenImageIO.ImageSpec] = []
    while source.seek_subimage(len(specs), 0):
        specs.append(OpenImageIO.ImageSpec(source.spec()))
    library_error(source)
    return specs


def _new_spec(
    fmt: PictureFormat, old: OpenImageIO.ImageInput | None, still: Still | None
) -> OpenImageIO.ImageSpec:
    """A plain spec; of a template in another size or depth, the attributes."""
    spec = OpenImageIO.ImageSpec(fmt.width, fmt.height, fmt.channels, sample_name(fmt))
    spec.channelnames = ("Y",) if fmt.channels == 1 else ("R", "G", "B")
    if old is not None and still is not None:
        old.seek_subimage(still.part, 0)
        for attribute in old.spec().extra_attribs:
            if not attribute.name.startswith("oiio:"):
                spec.attribute(attribute.name, attribute.type, attribute.value)
    return spec


def _added(
    template: Path | None,
    source: OpenImageIO.ImageInput | None,
    kind: str,
    extra: Extra,
) -> Iterable[Attribute]:
    """Metadata of a template of another kind, then what the caller states."""
    if template is not None and kind_of(template) == "dpx":
        yield from film_attributes(parse_header(template.read_bytes()), kind)
    elif template is not None and source is not None and kind_of(template) != kind:
        for attribute in source.spec().extra_attribs:
            value = attribute.value
            keeps = attribute.name.startswith(("film:", "smpte:")) or ":" not in attribute.name
            if not keeps or attribute.name == "compression":
                continue
            if isinstance(value, (str, int, float)):
                yield Attribute(attribute.name, value)
            elif isinstance(value, tuple):
                yield Attribute(attribute.name, value, str(attribute.type))
    if kind == "exr" and (template is None or kind_of(template) != kind):
        if extra.timecode is not None:
            yield timecode_attribute(extra.timecode)
        if extra.rate is not None:
            yield rate_attribute(extra.rate)
    if extra.history is not None:
        yield Attribute(_HISTORY, extra.history)
    if extra.creation_date is not None:
        date = extra.creation_date.replace("-", ":").replace("T", " ")[:19]
        yield Attribute("DateTime", date)


def _put(spec: OpenImageIO.ImageSpec, attribute: Attribute) -> None:
    before = spec.get_string_attribute(attribute.name) if attribute.name == _HISTORY else ""
    if before:
        spec.attribute(_HISTORY, f"{before.rstrip()}\n{attribute.value}")
        return
    if attribute.type:
        spec.attribute(attribute.name, attribute.type, attribute.value)
    else:
        spec.attribute(attribute.name, attribute.value)


def _finish(
    spec: OpenImageIO.ImageSpec, fmt: PictureFormat, kind: str, still: Still | None
) -> None:
    """Date, depth and a compression that keeps codes."""
    if not spec.getattribute("DateTime"):
        # OpenImageIO would write the time of day.
        spec.attribute("DateTime", FIXED_DATE)
    compression = str(spec.getattribute("compression") or "")
    if still is not None and still.lossy:
        compression = INSTEAD[kind]
    if kind == "exr":
        spec.attribute("compression", compression or "piz")
    elif kind == "tiff":
        spec.attribute("compression", compression or "none")
        spec.attribute("oiio:BitsPerSample", fmt.bits)
        # The library writes what it is told about white and zero, but turns no codes round.
        spec.erase_attribute("tiff:PhotometricInterpretation")
        spec.erase_attribute("tiff:ColorSpace")
    elif kind == "png":
        spec.attribute("png:compressionLevel", _PNG_LEVEL)
    else:
        spec.attribute("oiio:BitsPerSample", fmt.bits)


def _pixels(
    codes: AnyCodes,
    fmt: PictureFormat,
    source: OpenImageIO.ImageInput | None,
    still: Still | None,
) -> NDArray[np.generic]:
    """The picture among the other channels of its part, (H, W, all channels)."""
    wide = widened(codes, fmt.bits)
    if source is None or still is None:
        return wide
    source.seek_subimage(still.part, 0)
    count = source.spec().nchannels
    if count == len(still.channels):
        return wide
    exact = sample_name(fmt) if fmt.sample is SampleType.UINT else "float"
    whole = read_part(source, still.part, tuple(range(count)), exact).copy()
    whole[:, :, list(still.channels)] = wide
    return whole


def _write_parts(
    place: Path,
    specs: list[OpenImageIO.ImageSpec],
    index: int,
    picture: NDArray[np.generic],
    source: OpenImageIO.ImageInput | None,
) -> str:
    out = OpenImageIO.ImageOutput.create(str(place))
    if out is None:
        raise UsageError(f"no writer for {place.suffix}: {library_error()}")
    try:
        done = bool(
            out.open(str(place), specs[0]) if len(specs) == 1 else out.open(str(place), specs)
        )
        for part, spec in enumerate(specs):
            if part and done:
                done = bool(out.open(str(place), spec, "AppendSubimage"))
            if part == index:
                done = done and bool(out.write_image(np.ascontiguousarray(picture)))
            elif source is not None:
                source.seek_subimage(part, 0)
                done = done and bool(out.copy_image(source))
        why = "" if done else str(out.geterror()) or library_error()
        done = bool(out.close()) and done
    except RuntimeError as error:
        return str(error)
    return "" if done else why or str(out.geterror()) or "write failed"
