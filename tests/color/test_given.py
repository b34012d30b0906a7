"""A person's decisions in files: what is read, and what is refused by name rather than guessed."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from color.ale import COLUMNS
from color.apply import apply_cdl_tensor
from color.cdl import CDL, apply_cdl, given_cdl
from color.cdl_files import read_cdls
from color.edl import EdlEvent
from color.otio_file import OtioReel, otio_document
from media.errors import ConfigError
from media.frames import FrameRange
from wetgate.decisions import read_overrides
from wetgate.project import load_project

ASC = "urn:ASC:CDL:v1.01"
SOP = "<SOPNode><Slope>{}</Slope><Offset>{}</Offset><Power>{}</Power></SOPNode>"
EVENT = "001  R1       V     C        00:00:00:00 00:00:01:00 01:00:00:00 01:00:01:00\n"
ONES, ZEROS = "1 1 1", "0 0 0"


def given(folder: Path, name: str, text: str | bytes) -> dict[str, CDL]:
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_cdls(file)


def xml(body: str, id_: str = "R1_0010") -> str:
    return (
        f'<ColorCorrectionCollection xmlns="{ASC}"><ColorCorrection id="{id_}">{body}'
        "</ColorCorrection></ColorCorrectionCollection>"
    )


def in_files(slope: str, offset: str, power: str, saturation: str) -> dict[str, str]:
    """The same numbers in every kind of file that is read."""
    sop = f"({slope})({offset})({power})"
    event = EdlEvent(id="R1_0010", frames=FrameRange(0, 24), cdl=CDL())
    reel = OtioReel(id="R1", rate=Fraction(24), events=[event])
    timeline = json.loads(otio_document("T", [reel]))
    (clip,) = timeline["tracks"]["children"][0]["children"]
    clip["metadata"]["cdl"] = {
        "asc_sop": {
            "slope": [float(v) for v in slope.split()],
            "offset": [float(v) for v in offset.split()],
            "power": [float(v) for v in power.split()],
        },
        "asc_sat": float(saturation),
    }
    body = SOP.format(slope, offset, power)
    body += f"<SatNode><Saturation>{saturation}</Saturation></SatNode>"
    row = ["R1_0010", "V", "0", "0", "R1", "R1_0010", sop, saturation]
    return {
        "x.ccc": xml(body),
        "x.cdl": f'<ColorDecisionList xmlns="{ASC}"><ColorDecision><MediaRef ref="a.dpx"/>'
        f'<ColorCorrection id="R1_0010">{body}</ColorCorrection></ColorDecision>'
        "</ColorDecisionList>",
        "x.cc": f'<ColorCorrection id="R1_0010">{body}</ColorCorrection>',
        "x.edl": f"{EVENT}*ASC_SOP {sop}\n*ASC_SAT {saturation}\n* FROM CLIP NAME: R1_0010\n",
        "x.ale": "Heading\n\nColumn\n" + "\t".join(COLUMNS) + "\n\nData\n" + "\t".join(row) + "\n",
        "x.otio": json.dumps(timeline),
    }


KINDS = ["x.ccc", "x.cdl", "x.cc", "x.edl", "x.ale", "x.otio"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        (("1e300 1 1", ZEROS, ONES, "1"), "slope of 1e+300"),
        (("1 1 11", ZEROS, ONES, "1"), "slope of 11"),
        ((ONES, "1e9 0 0", ONES, "1"), "offset of 1e+09"),
        ((ONES, "0 0 -10.5", ONES, "1"), "offset of -10.5"),
        ((ONES, ZEROS, "1 1e300 1", "1"), "power of 1e+300"),
        ((ONES, ZEROS, "1 1 1e-9", "1"), "power of 1e-09"),
        ((ONES, ZEROS, ONES, "1e38"), "saturation of 1e+38"),
    ],
)
def test_numbers_beyond_any_grade_are_refused_in_every_file(
    kind: str, numbers: tuple[str, str, str, str], words: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)) as caught:
        given(tmp_path, kind, in_files(*numbers)[kind])
    assert kind in str(caught.value)
    assert "R1_0010" in str(caught.value)
    assert "may be" in str(caught.value.hint)


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_wild_grade_holds_is_read_from_every_file(kind: str, tmp_path: Path) -> None:
    text = in_files("0 4 1", "-2 0.5 0", "0.2 5 1", "0")[kind]
    expected = CDL((0.0, 4.0, 1.0), (-2.0, 0.5, 0.0), (0.2, 5.0, 1.0), 0.0)
    assert given(tmp_path, kind, text) == {"R1_0010": expected}
    # Text that begins with a byte order mark, as some hosts write it.
    assert given(tmp_path, kind, b"\xef\xbb\xbf" + text.encode()) == {"R1_0010": expected}


def test_no_grade_within_the_bounds_overflows_single_precision() -> None:
    most = given_cdl(CDL((10.0,) * 3, (10.0,) * 3, (10.0,) * 3, 10.0), "x")
    least = given_cdl(CDL((10.0,) * 3, (-10.0,) * 3, (0.1,) * 3, 10.0), "x")
    rng = np.random.default_rng(1)
    colors = rng.uniform(-4.0, 4.1, (3, 40, 50))
    for cdl in (most, least):
        pixels = apply_cdl_tensor(torch.tensor(colors, dtype=torch.float32), cdl)
        assert torch.isfinite(pixels).all()
        exact = apply_cdl(np.moveaxis(colors, 0, -1), cdl, clamp=False)
        assert np.abs(exact).max() < 1e20


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("slope = [1e300, 1.0, 1.0]", r"R1_0010\.balance\.slope"),
        ("slope = [-0.1, 1.0, 1.0]", r"R1_0010\.balance\.slope"),
        ("slope = [nan, 1.0, 1.0]", r"R1_0010\.balance\.slope"),
        ("offset = [0.0, 1e9, 0.0]", r"R1_0010\.balance\.offset"),
        ("offset = [0.0, inf, 0.0]", r"R1_0010\.balance\.offset"),
        ("power = [1.0, 1.0, 0.0]", r"R1_0010\.balance\.power"),
        ("power = [1.0, 1.0, 1e300]", r"R1_0010\.balance\.power"),
        ("saturation = 1e9", r"R1_0010\.balance\.saturation"),
        ("slope = [1.0, 1.0]", r"R1_0010\.balance\.slope"),
    ],
)
def test_overrides_have_the_same_bounds(line: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "overrides.toml"
    file.write_text(f"[R1_0010.balance]\n{line}\n", "utf-8")
    with pytest.raises(ConfigError, match=words):
        read_overrides(file, {"R1_0010"})


def test_a_bad_file_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    file = tmp_path / "bad.ccc"
    sets = [f'color.decisions=["{file}"]']
    with pytest.raises(ConfigError, match=r"bad\.ccc cannot be read"):
        load_project([str(tmp_path)], sets=sets, encoding="cineon", rate="24")
    file.write_text(xml(SOP.format("11 1 1", ZEROS, ONES)))
    with pytest.raises(ConfigError, match="slope of 11 is no grade"):
        load_project([str(tmp_path)], sets=sets, encoding="cineon", rate="24")


def test_overrides_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "overrides.toml"
    file.write_text("[R1_0010.balance]\nslope = [1.1, 1.0, 1.0]\n", "utf-8-sig")
    assert read_overrides(file, {"R1_0010"})["R1_0010"].balance.slope == (1.1, 1.0, 1.0)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        # The schema of the ASC asks for all three; OpenColorIO refuses these as well.
        (f"<SOPNode><Offset>{ZEROS}</Offset><Power>{ONES}</Power></SOPNode>", "has no Slope"),
        (f"<SOPNode><Slope>{ONES}</Slope><Power>{ONES}</Power></SOPNode>", "has no Offset"),
        (f"<SOPNode><Slope>2 2 2</Slope><Offset>{ZEROS}</Offset></SOPNode>", "has no Power"),
        ("<SOPNode/>", "has no Slope"),
        ("<SatNode/>", "has no Saturation"),
        ("", "neither SOPNode nor SatNode"),
        ("<Description>warm</Description>", "neither SOPNode nor SatNode"),
        ("<SOPNode><Saturation>1</Saturation></SOPNode>", "Saturation in its SOPNode"),
        (SOP.format("1,02 1,0 1,0", ZEROS, ONES), "bad number"),
        (SOP.format("1,1,1", ZEROS, ONES), "bad number"),
        (SOP.format("1 1 1 1", ZEROS, ONES), "4 numbers"),
        (SOP.format("", ZEROS, ONES), "0 numbers"),
        (SOP.format("\u0661 1 1", ZEROS, ONES), "bad number"),
        (SOP.format("1e999 1 1", ZEROS, ONES), "finite"),
        ('<SOPNode xmlns="urn:other"/>', "SOPNode in namespace 'urn:other'"),
        (
            f'<SOPNode><Slope xmlns="urn:other">{ONES}</Slope></SOPNode>',
            "Slope in namespace 'urn:other'",
        ),
    ],
)
def test_a_correction_that_does_not_say_it_all_is_refused(
    body: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        given(tmp_path, "x.ccc", xml(body))
    assert "R1_0010" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f'<grades><ColorCorrection id="a">{SOP}</ColorCorrection></grades>', "root is 'grades'"),
        (
            f'<ColorCorrectionCollection xmlns="{ASC}"><ColorCorrection xmlns="urn:other" id="a"/>'
            f'<ColorCorrection id="b"><SatNode><Saturation>1</Saturation></SatNode>'
            "</ColorCorrection></ColorCorrectionCollection>",
            "ColorCorrection in namespace 'urn:other'",
        ),
        (
            f'<ColorDecisionList xmlns="{ASC}"><ColorDecision><ColorCorrectionRef ref="g.ccc#a"/>'
            "</ColorDecision></ColorDecisionList>",
            "'g.ccc#a' in another file",
        ),
        (
            '<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;&b;&b;">]><ColorCorrection id="&c;"/>',
            "not usable XML",
        ),
        (
            '<!DOCTYPE a SYSTEM "file:///etc/hostname"><ColorCorrection id="a"/>',
            "no SOPNode|neither SOPNode|not usable XML",
        ),
    ],
)
def test_files_that_are_no_plain_list_are_refused(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        given(tmp_path, "x.cdl", text)


def test_a_root_without_namespace_may_hold_corrections_that_have_one(tmp_path: Path) -> None:
    body = f'<ColorCorrection xmlns="{ASC}" id="a">{SOP.format("1.1 1 1", ZEROS, ONES)}'
    text = f"<ColorCorrectionCollection>{body}</ColorCorrection></ColorCorrectionCollection>"
    assert given(tmp_path, "x.ccc", text) == {"a": CDL((1.1, 1.0, 1.0))}
    utf16 = ('<?xml version="1.0" encoding="UTF-16"?>' + text).encode("utf-16")
    assert given(tmp_path, "x.ccc", utf16) == {"a": CDL((1.1, 1.0, 1.0))}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"*ASC_SOP (1 1 1)(0 0 0)(1 1 1)\n{EVENT}", "before any event"),
        (f"{EVENT}*ASC_SAT 1\n*ASC_SAT 0.9\n", "event 001: ASC_SAT is there twice"),
        (f"{EVENT}*ASC_CC_XML R1_0010\n", "points at a decision in another file"),
        (f"{EVENT}*ASC_SOP (1,1 1,0 1,0)(0 0 0)(1 1 1)\n", "is not 3 numbers"),
        (f"{EVENT}*ASC_SOP (1 1 1)(0 0 0)(1 1 1) 0.9\n", "not three groups"),
        (f"{EVENT}*ASC_SAT 0,9\n", "is not 1 numbers"),
        (f"{EVENT}*ASC_SAT\n", "bad number|not 1 numbers"),
        (f"{EVENT}*ASC_SAT nan\n", "bad number"),
        (
            f"{EVENT}*ASC_SAT 1\n* FROM CLIP NAME: a\n{EVENT}*ASC_SAT 2\n* FROM CLIP NAME: a\n",
            "two decisions called 'a'",
        ),
        (
            "002  R1 V C        00:00:01:00 00:00:01:00 01:00:01:00 01:00:01:00\n"
            "002  R2 V D    024 00:00:00:00 00:00:02:00 01:00:01:00 01:00:03:00\n"
            "* FROM CLIP NAME: R1_0010\n* TO CLIP NAME: R2_0010\n*ASC_SAT 0.9\n",
            "event 002: a color decision under a dissolve from 'R1_0010' to 'R2_0010'",
        ),
    ],
)
def test_edit_lists_that_leave_something_open_are_refused(
    text: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=words):
        given(tmp_path, "x.edl", text)


def test_a_dissolve_beside_decisions_is_no_obstacle(tmp_path: Path) -> None:
    text = (
        f"{EVENT}*ASC_SOP (1.1 1 1)(0 0 0)(1 1 1)\n* FROM CLIP NAME: R1_0010\n"
        "002  R1 V C        00:00:01:00 00:00:01:00 01:00:01:00 01:00:01:00\n"
        "002  R2 V D    024 00:00:00:00 00:00:02:00 01:00:01:00 01:00:03:00\n"
        "* FROM CLIP NAME: R1_0010\n* TO CLIP NAME: R2_0010\n"
    )
    assert given(tmp_path, "x.edl", text) == {"R1_0010": CDL((1.1, 1.0, 1.0))}


def test_what_opentimelineio_makes_of_an_edit_list_is_read(tmp_path: Path) -> None:
    """Also where a list has one of the two lines alone, which leaves the other half out."""
    import opentimelineio as otio

    text = (
        f"TITLE: T\n\n{EVENT}*ASC_SOP (1.1 1.0 1.0)(0.0 0.0 0.0)(1.0 1.0 1.0)\n"
        "* FROM CLIP NAME: R1_0010\n\n"
        + EVENT.replace("001", "002", 1)
        .replace("01:00:01:00", "01:00:02:00")
        .replace("01:00:00:00", "01:00:01:00")
        + "*ASC_SAT 0.5\n* FROM CLIP NAME: R1_0020\n"
    )
    timeline = otio.adapters.read_from_string(text, adapter_name="cmx_3600", rate=24)
    found = given(tmp_path, "x.otio", timeline.to_json_string())
    assert found == {"R1_0010": CDL((1.1, 1.0, 1.0)), "R1_0020": CDL(saturation=0.5)}
    assert given(tmp_path, "x.edl", text) == found


@pytest.mark.parametrize(
    ("cdl", "words"),
    [
        ({}, "neither asc_sop nor asc_sat"),
        ({"asc_sop": {"slope": [1, 1, 1, 1], "offset": [0] * 3, "power": [1] * 3}}, "4 numbers"),
        ({"asc_sop": {"slope": [1, 1, 1], "offset": [0] * 3}}, "power has 0 numbers"),
        ({"asc_sat": True}, "True is no number"),
        ({"asc_sat": "1.0"}, "'1.0' is no number"),
        ({"asc_sat": -1.0}, "saturation -1.0"),
        ({"asc_sat": 1.0, "asc_sop": 3}, "no usable timeline"),
        ("asc_sop asc_sat", "no usable timeline"),
    ],
)
def test_strange_timelines_are_refused(cdl: object, words: str, tmp_path: Path) -> None:
    timeline = json.loads(in_files(ONES, ZEROS, ONES, "1")["x.otio"])
    timeline["tracks"]["children"][0]["children"][0]["metadata"]["cdl"] = cdl
    with pytest.raises(ConfigError, match=words) as caught:
        given(tmp_path, "x.otio", json.dumps(timeline))
    assert "x.otio" in str(caught.value)


def test_large_files_of_nonsense_are_refused(tmp_path: Path) -> None:
    """A bad number of any length, many ids, elements inside elements: squares of these sizes would
    be hours."""
    for text, words in (
        (xml(SOP.format("1" * 300_000 + "x 1 1", ZEROS, ONES)), "bad number"),
        (xml("<a>" * 100_000 + "</a>" * 100_000), "neither"),
        (
            "<ColorCorrectionCollection>"
            + "".join(f'<ColorCorrection id="a{n}"/>' for n in range(60_000))
            + "</ColorCorrectionCollection>",
            "neither",
        ),
    ):
        with pytest.raises(ConfigError, match=words):
            given(tmp_path, "x.ccc", text)
