"""What a DPX header says, put where other still formats can keep it.

OpenImageIO carries SMPTE keycode and timecode to EXR and drops the rest; TIFF keeps neither.
Every field goes along as ``film:<name>``, and the whole header packed as ``film:header``, from
which a later DPX gets it back.
"""

from __future__ import annotations

import json
import re
import struct
from dataclasses import dataclass
from fractions import Fraction

from media.dpx import DpxHeader, header_metadata, keycode_numbers
from media.dpx.header import HEADER_BYTES, UNDEFINED, timecode_word
from media.sidecar import packed_bytes

Plain = str | int | float
_DATE = re.compile(r"(\d{4})[:\-/](\d\d)[:\-/](\d\d)[T: ](\d\d):(\d\d):(\d\d)")


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute as OpenImageIO takes it."""

    name: str
    value: Plain | tuple[int, ...]
    type: str = ""
    """OpenImageIO's type name for values that are not plain."""


def film_attributes(header: DpxHeader, kind: str) -> list[Attribute]:
    """A DPX header as attributes of another kind: ``exr``, ``tiff``, ``png``, ``jp2``, ``j2c``.

    header: as parsed from at least every byte before the pixels. EXR keeps all of them typed;
    PNG keeps text; TIFF keeps one text, so there everything goes as JSON into ImageDescription.
    """
    fields: dict[str, Plain] = dict(header_metadata(header))
    fields["header"] = packed_bytes(header.head)
    found = [
        Attribute(name, str(fields[key]))
        for name, key in (("Artist", "creator"), ("Copyright", "copyright"))
        if key in fields
    ]
    date = _DATE.match(str(fields.get("creation_date", "")))
    if date:
        found.append(Attribute("DateTime", "{}:{}:{} {}:{}:{}".format(*date.groups())))
    if kind == "tiff":
        text = json.dumps(fields, ensure_ascii=False, sort_keys=True)
        return [*found, Attribute("ImageDescription", text)]
    if kind == "exr":
        found += _smpte(header, fields)
    for name, value in fields.items():
        found.append(Attribute(f"film:{name}", value if kind == "exr" else str(value)))
    return found


def header_in_text(description: str) -> str:
    """The packed header in a TIFF's ImageDescription; empty where there is none."""
    if not description.startswith("{"):
        return ""
    try:
        fields = json.loads(description)
    except ValueError:
        return ""
    return str(fields.get("header", "")) if isinstance(fields, dict) else ""


def timecode_attribute(text: str, user_bits: int = 0) -> Attribute:
    """``HH:MM:SS:FF`` as ``smpte:TimeCode``. raises: InputError."""
    return Attribute("smpte:TimeCode", (timecode_word(text), user_bits), "timecode")


def rate_attribute(rate: Fraction) -> Attribute:
    """Frames per second as an exact rational."""
    return Attribute("FramesPerSecond", (rate.numerator, rate.denominator), "rational")


def _smpte(header: DpxHeader, fields: dict[str, Plain]) -> list[Attribute]:
    found = []
    numbers = keycode_numbers(fields)
    if numbers is not None:
        found.append(Attribute("smpte:KeyCode", numbers, "keycode"))
    if header.timecode is not None and len(header.head) >= HEADER_BYTES:
        word, bits = struct.unpack_from(header.byte_order + "II", header.head, 1920)
        value = (word, 0 if bits == UNDEFINED else bits)
        found.append(Attribute("smpte:TimeCode", value, "timecode"))
    if header.rate is not None:
        found.append(rate_attribute(header.rate))
    if "source_file" in fields:
        found.append(Attribute("reelName", fields["source_file"]))
    return found
