"""A shot's CDL as an ACES Metadata File, where the scan is an ACES encoding.

Film log is the code of ADX10, so on a scan declared ``adx10`` or ``adx16`` the CDL has a working
space that ACES knows by name. No other encoding here has one: Cineon and printing density have no
ACES transform, and on the rest the CDL would be one in another space. There no file is written.
Source: Academy S-2019-001 (AMF), version 2.0; transform ids of ACES 2.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from urllib.parse import quote
from xml.etree.ElementTree import ParseError

from color.cdl import CDL
from color.cdl_files import numbers, read_correction
from media.errors import ConfigError

_AMF = "urn:ampas:aces:amf:v2.0"
_CDL = "urn:ASC:CDL:v1.01"
_TRANSFORM = "urn:ampas:aces:transformId:v2.0:"
WORKING_SPACE = f"{_TRANSFORM}CSC.Academy.ADX10_to_ACES.a2.v1"
INPUT_TRANSFORMS = {
    "adx10": WORKING_SPACE,
    "adx16": f"{_TRANSFORM}CSC.Academy.ADX16_to_ACES.a2.v1",
}
"""By encoding of the reel."""
_NAMES = uuid.UUID("6f0e6d0a-3f0c-5b0e-9d5e-2c9a4d1b7e11")
"""Names of files are made in this space, so that the same decision has the same name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AmfClip:
    """A shot on its way into an AMF."""

    id: str
    encoding: str
    """A key of ``INPUT_TRANSFORMS``."""
    cdl: CDL
    description: str
    """Reel, timecode and reason, one line."""
    file: str
    """Name of the movie, or of the frames with a ``mark`` for each digit of their number."""
    frames: tuple[int, int] | None
    """First and last number in the names of frames; None for a movie."""
    mark: str = "#"
    """A character that is nowhere else in the names."""
    scanned: datetime
    """When the newest frame was written, with a time zone: the same scan gives the same file."""


def amf_document(clip: AmfClip) -> str:
    """The shot as AMF text. The look is on the scan as it is and not yet in it (``applied``).

    raises: ConfigError for an encoding that ACES has no transform for.
    """
    if clip.encoding not in INPUT_TRANSFORMS:
        raise ConfigError(
            f"{clip.id}: ACES has no transform for {clip.encoding!r}, so there is no AMF",
            hint="the .cc, .ccc and .cdl files name the space in words",
        )
    cdl = clip.cdl.rounded()
    when = clip.scanned.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    dates = [
        "<aces:dateTime>",
        f"    <aces:creationDateTime>{when}</aces:creationDateTime>",
        f"    <aces:modificationDateTime>{when}</aces:modificationDateTime>",
        "</aces:dateTime>",
    ]
    if clip.frames is None:
        source = f"<aces:file>{escape(quote(clip.file))}</aces:file>"
    else:
        first, last = clip.frames
        # idx is one character, however many digits the number has.
        source = (
            f'<aces:sequence idx="{clip.mark}" min="{first}" max="{last}">'
            f"{escape(clip.file)}</aces:sequence>"
        )
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<aces:acesMetadataFile xmlns:aces="{_AMF}" xmlns:cdl="{_CDL}" version="2.0">',
        "    <aces:amfInfo>",
        f"        <aces:description>{escape(clip.description)}; dates are those of the scan"
        "</aces:description>",
        *(f"        {line}" for line in dates),
        f"        <aces:uuid>{_name(clip, 'file')}</aces:uuid>",
        "    </aces:amfInfo>",
        "    <aces:clipId>",
        f"        <aces:clipName>{escape(clip.id)}</aces:clipName>",
        f"        {source}",
        "    </aces:clipId>",
        "    <aces:pipeline>",
        "        <aces:pipelineInfo>",
        *(f"            {line}" for line in dates),
        f"            <aces:uuid>{_name(clip, 'pipeline')}</aces:uuid>",
        "            <aces:systemVersion>",
        "                <aces:majorVersion>2</aces:majorVersion>",
        "                <aces:minorVersion>0</aces:minorVersion>",
        "                <aces:patchVersion>0</aces:patchVersion>",
        "            </aces:systemVersion>",
        "        </aces:pipelineInfo>",
        '        <aces:inputTransform applied="false">',
        f"            <aces:transformId>{INPUT_TRANSFORMS[clip.encoding]}</aces:transformId>",
        "        </aces:inputTransform>",
        '        <aces:lookTransform applied="false">',
        "            <aces:description>ASC CDL on ADX10 codes (1.0 = code 1023), without clamp"
        "</aces:description>",
        "            <aces:cdlWorkingSpace>",
        "                <aces:fromCdlWorkingSpace>",
        f"                    <aces:transformId>{WORKING_SPACE}</aces:transformId>",
        "                </aces:fromCdlWorkingSpace>",
        "            </aces:cdlWorkingSpace>",
        "            <cdl:ASC_SOP>",
        f"                <cdl:Slope>{numbers(cdl.slope)}</cdl:Slope>",
        f"                <cdl:Offset>{numbers(cdl.offset)}</cdl:Offset>",
        f"                <cdl:Power>{numbers(cdl.power)}</cdl:Power>",
        "            </cdl:ASC_SOP>",
        "            <cdl:ASC_SAT>",
        f"                <cdl:Saturation>{numbers([cdl.saturation])}</cdl:Saturation>",
        "            </cdl:ASC_SAT>",
        "        </aces:lookTransform>",
        "    </aces:pipeline>",
        "</aces:acesMetadataFile>",
        "",
    ]
    return "\n".join(lines)


def read_amf_cdl(data: bytes, name: str) -> tuple[str, CDL]:
    """Clip name and CDL of an AMF whose one look is a CDL on ADX10 codes.

    raises: ConfigError for unusable XML, another version, another working space, a look that is
    in the picture already, more or less than one look, or a bad number.
    """
    # Files come from outside: no entities, no external references.
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        root = fromstring(data)
    except (ParseError, DefusedXmlException) as error:
        raise ConfigError(f"{name} is not usable XML", hint=str(error)) from error
    if root.tag != f"{{{_AMF}}}acesMetadataFile" or root.get("version") != "2.0":
        raise ConfigError(f"{name} is no AMF of version 2.0", hint=f"its root is {root.tag}")
    space = {"aces": _AMF}
    looks = root.findall("aces:pipeline/aces:lookTransform", space)
    clip = root.findtext("aces:clipId/aces:clipName", "", space).strip()
    if len(looks) != 1 or not clip:
        raise ConfigError(
            f"{name} has {len(looks)} looks and the clip name {clip!r}", hint="one of each is read"
        )
    look = looks[0]
    if look.get("applied") != "false":
        raise ConfigError(f"{name}: its look is in the picture already", hint="nothing is to do")
    working = look.findtext(
        "aces:cdlWorkingSpace/aces:fromCdlWorkingSpace/aces:transformId", "", space
    ).strip()
    if working != WORKING_SPACE:
        raise ConfigError(
            f"{name}: its CDL works in {working or 'no space'!r}, not on ADX10 codes",
            hint="convert it where it was made",
        )
    return clip, read_correction(look, name)


def _name(clip: AmfClip, what: str) -> str:
    told = f"{what} {clip.id} {clip.file} {clip.frames} {clip.cdl.rounded().as_list()}"
    return uuid.uuid5(_NAMES, told).urn
