"""Files other programs read: OpenColorIO and OpenTimelineIO are asked, not ourselves alone."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from color.cdl import CDL, IDENTITY
from color.cdl_files import (
    INPUT_SPACE,
    Correction,
    cc_document,
    ccc_document,
    cdl_document,
    read_cdls,
)
from color.edl import (
    EdlEvent,
    edl_document,
    edl_reel,
    read_edl_cdls,
    timecode_frames,
    timecode_text,
)
from media.errors import ConfigError
from media.frames import FrameRange

GOLDEN = Path(__file__).parents[2] / "../shared/golden"
CDLS = {
    "REEL03_SH0010": CDL((1.03, 0.99, 0.95), (0.004, -0.006, 0.011), (1.02, 1.0, 0.97), 0.95),
    "REEL03_SH0020": CDL((0.9, 1.2, 0.5), (0.4, -0.5, 0.000001), (1.0, 0.8, 1.5), 1.0),
    "REEL03_SH0030": CDL(saturation=0.0),
}
CORRECTIONS = [Correction(id=k, cdl=v, description=f"why <{k}> & how") for k, v in CDLS.items()]


@pytest.mark.parametrize("kind", ["ccc", "cdl", "cc"])
def test_opencolorio_reads_what_is_written(kind: str, tmp_path: Path) -> None:
    import PyOpenColorIO

    path = tmp_path / f"look.{kind}"
    documents = {"ccc": ccc_document, "cdl": cdl_document}
    many = CORRECTIONS if kind in documents else CORRECTIONS[:1]
    path.write_text(documents[kind](many) if kind in documents else cc_document(many[0]))
    for item in many:
        found = PyOpenColorIO.CDLTransform.CreateFromFile(str(path), item.id)
        assert found.getFormatMetadata().getID() == item.id
        assert tuple(found.getSlope()) == pytest.approx(item.cdl.slope, abs=1e-12)
        assert tuple(found.getOffset()) == pytest.approx(item.cdl.offset, abs=1e-12)
        assert tuple(found.getPower()) == pytest.approx(item.cdl.power, abs=1e-12)
        assert found.getSat() == pytest.approx(item.cdl.saturation, abs=1e-12)
        texts = [
            (e.getElementName(), e.getElementValue())
            for e in found.getFormatMetadata().getChildElements()
        ]
        assert ("InputDescription", INPUT_SPACE) in texts
        assert ("Description", item.description) in texts
    assert read_cdls(path) == {c.id: c.cdl for c in many}


def test_numbers_have_six_decimals_and_no_exponent() -> None:
    text = ccc_document([Correction(id="R_1", cdl=CDL(offset=(1e-6, -1e-9, 0.0)))])
    assert "<Offset>0.000001 0.000000 0.000000</Offset>" in text


def test_ids_are_checked() -> None:
    with pytest.raises(ConfigError):
        Correction(id="reel 3/shot", cdl=IDENTITY)
    with pytest.raises(ConfigError):
        ccc_document([CORRECTIONS[0], CORRECTIONS[0]])
    with pytest.raises(ConfigError):
        cdl_document([])


@pytest.mark.parametrize(
    ("sop", "sat"), [("SOPNode", "SatNode"), ("SopNode", "SATNode"), ("ASC_SOP", "ASC_SAT")]
)
def test_node_names_of_other_programs(sop: str, sat: str, tmp_path: Path) -> None:
    path = tmp_path / "x.cc"
    path.write_text(
        f"<ColorCorrection id='a'><{sop}><Slope>1.1 1 1</Slope><Offset>0 0 .1</Offset>"
        f"<Power>1 1 1</Power></{sop}><{sat}><Saturation>0.8</Saturation></{sat}></ColorCorrection>"
    )
    assert read_cdls(path) == {"a": CDL((1.1, 1.0, 1.0), (0.0, 0.0, 0.1), saturation=0.8)}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.ccc", "<broken"),
        ("x.ccc", "<ColorCorrectionCollection/>"),
        ("x.cc", "<!DOCTYPE a [<!ENTITY b 'c'>]><ColorCorrection id='a'>&b;</ColorCorrection>"),
        ("x.cc", "<ColorCorrection><SOPNode><Slope>1 one 1</Slope></SOPNode></ColorCorrection>"),
        ("x.cc", "<ColorCorrection><SOPNode><Slope>1 1</Slope></SOPNode></ColorCorrection>"),
        (
            "x.cc",
            "<ColorCorrection><SatNode><Saturation>-1</Saturation></SatNode></ColorCorrection>",
        ),
        ("x.edl", "001  R V C 01:00:00:00\n*ASC_SOP (1 1 1)(0 0)(1 1 1)\n"),
        ("x.edl", "TITLE: nothing\n"),
        ("x.txt", ""),
    ],
)
def test_unusable_files_are_refused(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ConfigError):
        read_cdls(path)
    with pytest.raises(ConfigError):
        read_cdls(tmp_path / "absent.ccc")


def _edl(rate: Fraction, timecode: str | None, reel: str = "REEL_03-LONGNAME") -> str:
    starts = [100, 148, 200]
    events = [
        EdlEvent(id=name, frames=FrameRange(start, start + 40), cdl=cdl)
        for start, (name, cdl) in zip(starts, CDLS.items(), strict=True)
    ]
    return edl_document("TITLE_V001", reel, rate, 100, events[::-1], timecode=timecode)


def _otio(text: str, rate: float) -> tuple[Any, list[Any]]:
    import opentimelineio as otio

    timeline = otio.adapters.read_from_string(text, adapter_name="cmx_3600", rate=rate)
    # The timeline goes back too: its clips do not outlive it.
    return timeline, list(timeline.find_clips())


@pytest.mark.parametrize("rate", [Fraction(24), Fraction(25), Fraction(30), Fraction(24000, 1001)])
def test_opentimelineio_reads_the_edit_list(rate: Fraction) -> None:
    timeline, clips = _otio(_edl(rate, "03:00:00:00"), round(rate))
    assert timeline.name == "TITLE_V001"
    assert [c.name for c in clips] == list(CDLS)
    for clip, start, cdl in zip(clips, (100, 148, 200), CDLS.values(), strict=True):
        assert clip.metadata["cmx_3600"]["reel"] == "REEL03LO"
        assert clip.source_range.start_time.value == 3 * 3600 * round(rate) + start - 100
        assert clip.source_range.duration.value == 40
        found = clip.metadata["cdl"]
        assert list(found["asc_sop"]["slope"]) == pytest.approx(cdl.slope, abs=5e-5)
        assert list(found["asc_sop"]["offset"]) == pytest.approx(cdl.offset, abs=5e-5)
        assert list(found["asc_sop"]["power"]) == pytest.approx(cdl.power, abs=5e-5)
        assert found["asc_sat"] == pytest.approx(cdl.saturation)


@pytest.mark.parametrize("rate", ["16", "18", "20", "200/11"])
def test_rates_without_timecode_count_frames_and_say_so(rate: str) -> None:
    fps = round(Fraction(rate))
    text = _edl(Fraction(rate), None)
    assert f"NO SMPTE TIMECODE AT {rate} FPS, TIMES ARE A FRAME COUNT AT {fps}" in text
    assert timecode_text(100, fps) in text
    assert text.count("SOURCE TIMECODE IS THE SCAN FRAME NUMBER") == 3
    assert [name for name, _ in read_edl_cdls(text, "r.edl")] == list(CDLS)


def test_layout_of_an_event(tmp_path: Path) -> None:
    text = _edl(Fraction(24), "03:00:00:00")
    first = text.split("\n\n")[1].splitlines()
    assert first == [
        "001  REEL03LO V     C        03:00:00:00 03:00:01:16 01:00:00:00 01:00:01:16",
        "*ASC_SOP (1.0300 0.9900 0.9500)(0.0040 -0.0060 0.0110)(1.0200 1.0000 0.9700)",
        "*ASC_SAT 0.9500",
        "* FROM CLIP NAME: REEL03_SH0010",
    ]
    assert max(len(line) for line in text.splitlines()) <= 80
    path = tmp_path / "r.edl"
    path.write_text(text)
    found = read_cdls(path)
    assert list(found) == list(CDLS)
    assert found["REEL03_SH0010"] == CDLS["REEL03_SH0010"]


def test_timecode_goes_there_and_back() -> None:
    for fps, drop in ((16, False), (24, False), (25, False), (30, False), (30, True), (60, True)):
        for frame in (0, 1, 1799, 1800, 17981, 17982, 17983, 107892, 3_000_000 % (86000 * fps)):
            text = timecode_text(frame, fps, drop=drop)
            assert timecode_frames(text, fps) == (frame, drop)
    assert timecode_text(1800, 30, drop=True) == "00:01:00;02"
    assert timecode_text(17982, 30, drop=True) == "00:10:00;00"
    assert timecode_text(24 * 3600 * 24 + 5, 24) == "00:00:00:05"
    with pytest.raises(ConfigError):
        timecode_frames("01:00:00:24", 24)
    with pytest.raises(ConfigError):
        edl_document("t", "R", Fraction(24), 0, [])


def test_a_title_is_one_line() -> None:
    event = EdlEvent(id="R_1", frames=FrameRange(0, 5), cdl=IDENTITY)
    title = "A\n\n001  X V C 00:00:00:00 00:00:00:01 00:00:00:00 00:00:00:01"
    text = edl_document(title, "R", Fraction(24), 0, [event])
    assert [name for name, _ in read_edl_cdls(text, "r.edl")] == ["R_1"]
    assert len(_otio(text, 24)[1]) == 1


def test_reel_names_fit() -> None:
    assert edl_reel("reel-07_b") == "reel07b"
    assert edl_reel("___") == "REEL"


@pytest.mark.reference
def test_golden_files_read_back() -> None:
    if not GOLDEN.is_dir():
        pytest.skip("the golden CDL files are not beside the checkout")
    first = CDLS["REEL03_SH0010"]
    for name in ("golden_cdl.edl", "ocio_written.ccc", "ocio_written.cdl", "ocio_written.cc"):
        assert read_cdls(GOLDEN / name)["REEL03_SH0010"] == first
    assert len(read_cdls(GOLDEN / "ocio_written.ccc")) == 3
    assert read_cdls(GOLDEN / "golden_cdl.edl")["REEL03_SH0030"].saturation == 0.0
