"""Color decisions as .cc, .ccc and .cdl text, and reading decisions back.

Pure functions from values to text; the caller writes files. The XML is written here and not
by a library because hosts differ in what numbers they take: always decimal points, never
exponents, six decimals. OpenColorIO reads every form.
Source: ASC CDL v1.2 transfer XML (``urn:ASC:CDL:v1.01``).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree.ElementTree import ParseError

from color.ale import read_ale_cdls
from color.cdl import CDL, FILE_DECIMALS, IDENTITY, Triple, given_cdl
from color.edl import number, read_edl_cdls
from media.errors import ConfigError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

INPUT_SPACE = "Wetgate film log (Cineon printing density, 1.0 = code 1023); applied without clamp"
_NAMESPACE = "urn:ASC:CDL:v1.01"
_READ_NAMESPACES = frozenset({_NAMESPACE, "urn:ASC:CDL:v1.2"})
_ID = re.compile(r"[A-Za-z0-9_.]+")
_MAX_BYTES = 32 * 1024 * 1024

_ROOTS = frozenset({"ColorCorrection", "ColorCorrectionCollection", "ColorDecisionList"})
_SOP, _SAT = ("Slope", "Offset", "Power"), ("Saturation",)
_NODES = {
    **dict.fromkeys(("SOPNode", "SopNode", "ASC_SOP"), _SOP),
    **dict.fromkeys(("SatNode", "SATNode", "ASC_SAT"), _SAT),
}
"""What each node has to hold, all of it: the schema of the ASC, and what OpenColorIO asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """A named decision on its way to a file."""

    id: str
    """``<REEL>_<SHOT>``, ``[A-Za-z0-9_.]`` only."""
    cdl: CDL
    description: str = ""
    """One line for a person: why, how sure."""

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise ConfigError(
                f"color correction id {self.id!r} is not usable",
                hint="letters, digits, underscore and dot only",
            )


def numbers(values: Iterable[float]) -> str:
    """Numbers as hosts read them: six decimals, never an exponent."""
    # + 0.0 after rounding: no "-0.000000"
    return " ".join(f"{round(v, FILE_DECIMALS) + 0.0:.{FILE_DECIMALS}f}" for v in values)


def _correction(item: Correction, indent: str, namespace: str = "") -> list[str]:
    cdl = item.cdl.rounded()
    lines = [f'<ColorCorrection{namespace} id="{item.id}">']
    if item.description:
        lines.append(f"    <Description>{escape(item.description)}</Description>")
    lines += [
        f"    <InputDescription>{INPUT_SPACE}</InputDescription>",
        "    <SOPNode>",
        f"        <Slope>{numbers(cdl.slope)}</Slope>",
        f"        <Offset>{numbers(cdl.offset)}</Offset>",
        f"        <Power>{numbers(cdl.power)}</Power>",
        "    </SOPNode>",
        "    <SatNode>",
        f"        <Saturation>{numbers([cdl.saturation])}</Saturation>",
        "    </SatNode>",
        "</ColorCorrection>",
    ]
    return [indent + line for line in lines]


def _checked(corrections: Sequence[Correction]) -> Sequence[Correction]:
    if not corrections:
        raise ConfigError("no color correction to write", hint="select at least one shot")
    seen: set[str] = set()
    for item in corrections:
        if item.id in seen:
            raise ConfigError(f"two color corrections are called {item.id!r}", hint="rename a shot")
        seen.add(item.id)
    return corrections


def _document(lines: list[str]) -> str:
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', *lines, ""])


def cc_document(correction: Correction) -> str:
    """One correction as .cc text (root ``ColorCorrection``)."""
    return _document(_correction(correction, "", f' xmlns="{_NAMESPACE}"'))


def ccc_document(corrections: Sequence[Correction]) -> str:
    """Corrections as .ccc text, in the order given.

    raises: ConfigError for none at all or for an id used twice.
    """
    body = [line for item in _checked(corrections) for line in _correction(item, "    ")]
    return _document(
        [
            f'<ColorCorrectionCollection xmlns="{_NAMESPACE}">',
            f"    <InputDescription>{INPUT_SPACE}</InputDescription>",
            *body,
            "</ColorCorrectionCollection>",
        ]
    )


def cdl_document(corrections: Sequence[Correction]) -> str:
    """Corrections as .cdl text (``ColorDecisionList``), in the order given.

    raises: ConfigError for none at all or for an id used twice.
    """
    body: list[str] = []
    for item in _checked(corrections):
        body.append("    <ColorDecision>")
        body += _correction(item, "        ")
        body.append("    </ColorDecision>")
    return _document(
        [
            f'<ColorDecisionList xmlns="{_NAMESPACE}">',
            f"    <InputDescription>{INPUT_SPACE}</InputDescription>",
            *body,
            "</ColorDecisionList>",
        ]
    )


def read_cdls(path: Path) -> dict[str, CDL]:
    """The decisions in a .cc, .ccc, .cdl, .edl, .ale or .otio file, by id.

    Accepts the node names hosts write (``SatNode``, ``SATNode``, ``ASC_SAT``; ``SOPNode``,
    ``SopNode``, ``ASC_SOP``); a missing node is the identity, a node that lacks one of its
    numbers is refused. A correction without an id gets its place in the file (``0``, ``1``, ..),
    as OpenColorIO looks it up. In an EDL the id is the clip name, else the reel.
    raises: ConfigError for a file that cannot be read, is not such a file, has a bad number, one
    beyond any grade (``color.cdl.given_cdl``) or one id twice.
    """
    kind = path.suffix.lower()
    if kind not in {".cc", ".ccc", ".cdl", ".edl", ".ale", ".otio"}:
        raise ConfigError(
            f"{path.name} is no color decision file", hint="use .cc .ccc .cdl .edl .ale .otio"
        )
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ConfigError(f"{path.name} is too large for color decisions", hint="check it")
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path.name} cannot be read", hint=str(error)) from error
    match kind:
        case ".edl":
            pairs = read_edl_cdls(data.decode("utf-8-sig", "replace"), path.name)
        case ".ale":
            pairs = read_ale_cdls(data.decode("utf-8-sig", "replace"), path.name)
        case ".otio":
            pairs = _read_otio(data, path.name)
        case _:
            pairs = _read_xml(data, path.name)
    found: dict[str, CDL] = {}
    for name, cdl in pairs:
        if name in found and found[name] != cdl:
            raise ConfigError(f"{path.name} has two decisions called {name!r}", hint="keep one")
        found[name] = given_cdl(cdl, f"{path.name}, decision {name!r}")
    if not found:
        raise ConfigError(f"{path.name} holds no color decision", hint="check the file")
    return found


def _read_otio(data: bytes, name: str) -> list[tuple[str, CDL]]:
    from color.otio_file import read_otio_cdls

    try:
        return read_otio_cdls(data.decode("utf-8-sig"), name)
    except (AttributeError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise ConfigError(f"{name} is no usable timeline", hint=str(error)) from error


def _local(element: Element) -> str:
    return element.tag.rsplit("}", 1)[-1]


def _read_xml(data: bytes, name: str) -> list[tuple[str, CDL]]:
    # Files come from outside: no entities, no external references.
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        root = fromstring(data)
    except (ParseError, DefusedXmlException) as error:
        raise ConfigError(f"{name} is not usable XML", hint=str(error)) from error
    _check_space(root, name)
    if _local(root) not in _ROOTS:
        raise ConfigError(
            f"{name} is no ASC CDL: its root is {_local(root)!r}", hint=", ".join(sorted(_ROOTS))
        )
    corrections = []
    for element in root.iter():
        if _local(element) == "ColorCorrection":
            _check_space(element, name)
            corrections.append(element)
        elif _local(element) in {"ColorCorrectionRef", "ASC_CC_XML"}:
            raise ConfigError(
                f"{name} points at the decision {element.get('ref')!r} in another file",
                hint="name that file in color.decisions instead",
            )
    for id_, times in Counter(e.get("id") for e in corrections).items():
        if id_ and times > 1:
            raise ConfigError(f"{name} has two decisions called {id_!r}", hint="keep one")
    found = []
    for index, element in enumerate(corrections):
        id_ = element.get("id") or str(index)
        found.append((id_, read_correction(element, f"{name}, decision {id_!r}")))
    return found


def _space(element: Element) -> str:
    """The namespace an element is in; empty for none."""
    return element.tag[1:].partition("}")[0] if element.tag.startswith("{") else ""


def _check_space(element: Element, name: str) -> None:
    space = _space(element)
    if space and space not in _READ_NAMESPACES:
        raise ConfigError(
            f"{name} has {_local(element)} in namespace {space!r}, which is no ASC CDL",
            hint=f"use {_NAMESPACE}",
        )


def read_correction(element: Element, name: str) -> CDL:
    """The CDL whose nodes are children of an element. name: of the file, for messages.

    raises: ConfigError for numbers that are no CDL, for one that is missing from its node, stands
    in the wrong one or is said twice, and where there is no node at all.
    """
    values: dict[str, list[float]] = {}
    nodes = [n for n in element if _local(n) in _NODES]
    if not nodes:
        raise ConfigError(
            f"{name} holds neither SOPNode nor SatNode", hint="give it one, or take it out"
        )
    for node in nodes:
        _check_space(node, name)
        _read_node(node, values, name)

    def three(key: str, default: Triple) -> Triple:
        found = values.get(key, [*default])
        if len(found) != 3:
            raise ConfigError(f"{name}: {key} has {len(found)} numbers", hint="three are needed")
        return (found[0], found[1], found[2])

    saturation = values.get("Saturation", [IDENTITY.saturation])
    if len(saturation) != 1:
        raise ConfigError(f"{name}: Saturation has {len(saturation)} numbers", hint="one is needed")
    slope, offset = three("Slope", IDENTITY.slope), three("Offset", IDENTITY.offset)
    power = three("Power", IDENTITY.power)
    try:
        return CDL(slope, offset, power, saturation[0])
    except ConfigError as error:
        raise ConfigError(f"{name}: {error.what}", hint=error.hint) from error


def _read_node(node: Element, values: dict[str, list[float]], name: str) -> None:
    """Puts the numbers of a SOPNode or SatNode into values. raises: ConfigError."""
    wanted = _NODES[_local(node)]
    for leaf in node:
        key = _local(leaf)
        if key not in {*_SOP, *_SAT}:
            continue
        _check_space(leaf, name)
        if key not in wanted:
            raise ConfigError(f"{name} has {key} in its {_local(node)}", hint="move it")
        if key in values:
            # Programs disagree on which of the two counts.
            raise ConfigError(f"{name} has {key} twice", hint="keep one")
        try:
            values[key] = [number(v) for v in (leaf.text or "").split()]
        except ValueError as error:
            raise ConfigError(f"{name} has a bad number", hint=str(error)) from error
    for key in wanted:
        if key not in values:
            raise ConfigError(
                f"{name}: its {_local(node)} has no {key}",
                hint=f"an ASC CDL gives {', '.join(wanted)} together",
            )
