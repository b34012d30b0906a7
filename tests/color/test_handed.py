"""The hand-over of a fifty-shot title, read again by the programs that will read it."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import PyOpenColorIO as Ocio
import pytest
import torch

from color.ale import ale_document, read_ale_cdls
from color.apply import apply_cdl_tensor
from color.cdl import CDL, apply_cdl
from color.cdl_files import Correction, ccc_document, cdl_document, read_cdls
from color.edl import EdlEvent, edl_document
from color.fade import ABSORPTION, Unfading, fading
from color.handed import FILM_COLORS, edl_rounded, read_back
from color.lut import clf_document, cube_document
from color.otio_file import OtioReel, otio_document, read_otio_cdls
from color.residual import residual_delta_e
from color.transform import ShotTransform
from media.encoding import encoding
from media.errors import ConfigError
from media.frames import FrameRange

GOLDEN = Path(__file__).parents[2] / "../shared/golden"
RATES = {"R1": Fraction(24), "R2": Fraction(24000, 1001)}


def title() -> dict[str, list[EdlEvent]]:
    """Fifty shots on two reels; some are left alone, one has lost all color."""
    rng = np.random.default_rng(50)
    reels: dict[str, list[EdlEvent]] = {"R1": [], "R2": []}
    start = 86400
    for k in range(50):
        length = int(rng.integers(5, 200))
        s, o, p = (rng.normal(m, d, 3) for m, d in ((1.0, 0.08), (0.0, 0.03), (1.0, 0.05)))
        cdl = CDL(
            (float(s[0]), float(s[1]), float(s[2])),
            (float(o[0]), float(o[1]), float(o[2])),
            (float(p[0]), float(p[1]), float(p[2])),
            float(rng.uniform(0.8, 1.2)) if k != 7 else 0.0,
        )
        cdl = CDL() if k % 10 == 3 else cdl.rounded()
        reel = "R1" if k < 25 else "R2"
        name = f"{reel}_{10 * (k + 1):04d}"
        reels[reel].append(EdlEvent(id=name, frames=FrameRange(start, start + length), cdl=cdl))
        start += length
    return reels


EVENTS = [e for events in title().values() for e in events]
CDLS = {e.id: e.cdl for e in EVENTS}


@pytest.mark.parametrize("kind", ["ccc", "cdl"])
def test_opencolorio_reads_fifty_shots_with_equal_values(kind: str, tmp_path: Path) -> None:
    corrections = [Correction(id=n, cdl=c) for n, c in CDLS.items()]
    text = ccc_document(corrections) if kind == "ccc" else cdl_document(corrections)
    path = tmp_path / f"title.{kind}"
    path.write_text(text)
    for name, cdl in CDLS.items():
        found = Ocio.CDLTransform.CreateFromFile(str(path), name)
        values = [*found.getSlope(), *found.getOffset(), *found.getPower(), found.getSat()]
        assert values == pytest.approx(cdl.as_list(), abs=1e-12)
    assert read_cdls(path) == CDLS
    back = read_back(path.name, text)
    assert list(back) == list(CDLS)
    for name, apply in back.items():
        expected = apply_cdl(FILM_COLORS, CDLS[name], clamp=False)
        np.testing.assert_allclose(apply(FILM_COLORS), expected, atol=2e-6)


@pytest.mark.parametrize("reel", ["R1", "R2"])
def test_opentimelineio_reads_every_edit_list_with_equal_values(reel: str) -> None:
    import opentimelineio as otio

    events = title()[reel]
    text = edl_document("TITLE", reel, RATES[reel], events[0].frames.start, events)
    timeline = otio.adapters.read_from_string(text, adapter_name="cmx_3600", rate=24)
    clips = list(timeline.find_clips())
    assert [c.name for c in clips] == [e.id for e in events]
    for clip, event in zip(clips, events, strict=True):
        assert _told(clip) == pytest.approx(edl_rounded(event.cdl).as_list(), abs=1e-9)
        assert clip.source_range.duration.value == len(event.frames)
    assert "e-" not in text.lower().replace("pre-", "")


def test_the_timeline_carries_frames_rates_and_decisions(tmp_path: Path) -> None:
    import opentimelineio as otio

    reels = [OtioReel(id=r, rate=RATES[r], events=e) for r, e in title().items()]
    text = otio_document("TITLE", reels)
    timeline = otio.adapters.read_from_string(text, adapter_name="otio_json")
    clips = list(timeline.find_clips())
    assert [c.name for c in clips] == list(CDLS)
    for clip, event in zip(clips, EVENTS, strict=True):
        assert _told(clip) == pytest.approx(event.cdl.as_list(), abs=1e-9)
        assert clip.source_range.start_time.value == event.frames.start
    assert "film log" in timeline.metadata["wetgate"]["color_space"]
    assert dict(read_otio_cdls(text, "x.otio")) == CDLS
    path = tmp_path / "title.otio"
    path.write_text(text)
    assert read_cdls(path) == CDLS
    path.write_text(text.replace('"power"', '"pover"'))
    with pytest.raises(ConfigError, match="power has 0 numbers"):
        read_cdls(path)


def _told(clip: Any) -> list[float]:
    sop = clip.metadata["cdl"]["asc_sop"]
    return [*sop["slope"], *sop["offset"], *sop["power"], clip.metadata["cdl"]["asc_sat"]]


def test_an_ale_reads_back(tmp_path: Path) -> None:
    events = title()["R1"]
    text = ale_document("R1", Fraction(24), events[0].frames.start, events, timecode="01:00:00:00")
    assert dict(read_ale_cdls(text, "R1.ale")) == {e.id: e.cdl for e in events}
    assert "(1 1 1)" not in text
    path = tmp_path / "R1.ale"
    path.write_text(text)
    assert read_cdls(path) == {e.id: e.cdl for e in events}
    with pytest.raises(ConfigError, match="no shot"):
        ale_document("R1", Fraction(24), 0, [])


@pytest.mark.reference
def test_the_golden_ale_is_written_line_by_line() -> None:
    if not GOLDEN.is_dir():
        pytest.skip("the golden ALE is not beside the checkout")
    golden = (GOLDEN / "golden_cdl.ale").read_text()
    cdls = dict(read_ale_cdls(golden, "golden_cdl.ale"))
    told = json.loads((GOLDEN / "edl_ale_otio.json").read_text())["ale"]
    assert [c["name"] for c in told] == list(cdls)
    first = 3 * 3600 * 24
    starts = (0, 48, 84, 144)
    events = [
        EdlEvent(id=n, frames=FrameRange(first + a, first + b), cdl=c)
        for (n, c), a, b in zip(cdls.items(), starts, starts[1:], strict=False)
    ]
    text = ale_document("REEL03", Fraction(24), first, events, timecode="03:00:00:00")
    assert text.splitlines()[-3:] == golden.splitlines()[-3:]


@pytest.mark.parametrize("clamp", [True, False])
def test_our_cdl_and_opencolorios_agree(clamp: bool) -> None:
    rng = np.random.default_rng(1)
    colors = rng.uniform(-0.2, 1.3, (500, 3)).astype(np.float32)
    for cdl in list(CDLS.values())[:20]:
        transform = Ocio.CDLTransform()
        transform.setSlope(list(cdl.slope))
        transform.setOffset(list(cdl.offset))
        transform.setPower(list(cdl.power))
        transform.setSat(cdl.saturation)
        transform.setStyle(Ocio.CDL_ASC if clamp else Ocio.CDL_NO_CLAMP)
        cpu = (
            Ocio.Config.CreateRaw()
            .getProcessor(transform)
            .getOptimizedCPUProcessor(Ocio.OPTIMIZATION_NONE)
        )
        theirs = colors.copy()
        cpu.applyRGB(theirs.reshape(-1))
        ours = apply_cdl(colors.astype(np.float64), cdl, clamp=clamp)
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
        if not clamp:
            planes = torch.from_numpy(colors.T.copy())[:, :, None]
            baked = apply_cdl_tensor(planes, cdl)[:, :, 0].T.numpy()
            np.testing.assert_allclose(baked, theirs, atol=1e-5)


@pytest.mark.device
def test_our_cdl_on_a_gpu_agrees_with_opencolorio() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    colors = torch.rand((3, 64, 64), generator=torch.Generator().manual_seed(2)) * 1.4 - 0.2
    for cdl in list(CDLS.values())[:20]:
        expected = apply_cdl(colors.permute(1, 2, 0).double().numpy(), cdl, clamp=False)
        there = apply_cdl_tensor(colors.cuda(), cdl).cpu().permute(1, 2, 0).numpy()
        np.testing.assert_allclose(there, expected, atol=1e-5)


def _faded() -> Unfading:
    matrix, offset = fading(np.array([0.6, 1.0, 0.9]), ABSORPTION, np.array([0.0, 0.0, -0.02]))
    undo = np.linalg.inv(matrix)
    rows = [(float(a), float(b), float(c)) for a, b, c in undo]
    shift = -undo @ offset
    return Unfading(
        matrix=(rows[0], rows[1], rows[2]),
        offset=(float(shift[0]), float(shift[1]), float(shift[2])),
        left=(0.6, 1.0, 0.9),
        confidence=1.0,
        reason="known",
    )


def test_a_process_list_holds_what_no_cdl_can() -> None:
    whole = ShotTransform(unfading=_faded(), cdl=CDLS["R1_0010"])
    text = clf_document(whole, id="R1_0010", description='a "quoted" <reason>')
    (apply,) = read_back("luts/R1_0010.clf", text).values()
    np.testing.assert_allclose(apply(FILM_COLORS), whole.apply(FILM_COLORS), atol=2e-6)
    near = whole.nearest_cdl(FILM_COLORS)
    mean, most = residual_delta_e(
        FILM_COLORS, whole.apply, lambda c: apply_cdl(c, near, clamp=False)
    )
    assert 0.1 < mean < most
    plain = ShotTransform(cdl=CDLS["R1_0010"])
    assert plain.nearest_cdl(FILM_COLORS) == CDLS["R1_0010"]


@pytest.mark.parametrize(("size", "error"), [(17, 4e-3), (33, 2e-3), (65, 8e-4)])
def test_tables_of_every_size(size: int, error: float) -> None:
    whole = ShotTransform(unfading=_faded(), cdl=CDLS["R1_0010"])
    text = cube_document(whole, size=size, title='a "title"\n')
    assert f"LUT_3D_SIZE {size}" in text
    (apply,) = read_back("luts/R1_0010.cube", text).values()
    np.testing.assert_allclose(apply(FILM_COLORS), whole.apply(FILM_COLORS), atol=error)
    with pytest.raises(ConfigError, match="17, 33 or 65"):
        cube_document(whole, size=20)


def test_a_table_for_linear_light_carries_a_shaper() -> None:
    from color.handed import cube_code_range

    space = encoding("linear")
    decode, encode = cube_code_range(space.to_log), cube_code_range(space.from_log)
    whole = ShotTransform(cdl=CDL((1.05, 1.0, 0.95), (0.02, 0.0, -0.01)))
    text = cube_document(
        whole,
        size=33,
        title="R1_0010 linear",
        decode=decode,
        encode=encode,
        linear_range=(2.0**-9, 16.0),
    )
    assert "LUT_1D_INPUT_RANGE 0.0 16.0" in text
    (apply,) = read_back("luts/x.cube", text).values()
    linear = np.geomspace(0.01, 8.0, 40)[:, None] * np.array([[1.0, 0.9, 1.1]])
    expected = encode(whole.apply(decode(linear)))
    np.testing.assert_allclose(apply(linear) / expected, 1.0, atol=0.02)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<ColorCorrection xmlns='urn:foo'><SOPNode/></ColorCorrection>", "urn:foo"),
        (
            "<ColorCorrection><SOPNode><Slope>nan 1 1</Slope></SOPNode></ColorCorrection>",
            "bad number",
        ),
        (
            "<ColorCorrection><SOPNode><Slope>1_0 1 1</Slope></SOPNode></ColorCorrection>",
            "bad number",
        ),
        (
            "<ColorCorrection><SOPNode><Slope>-1 1 1</Slope><Offset>0 0 0</Offset>"
            "<Power>1 1 1</Power></SOPNode></ColorCorrection>",
            r"x.ccc, decision '0': CDL slope .* is negative",
        ),
        (
            "<ColorCorrection id='R1_0010'><SOPNode><Slope>1 1 1</Slope><Offset>0 0 0</Offset>"
            "<Power>1 1 1</Power></SOPNode><ASC_SOP><Slope>2 1 1</Slope></ASC_SOP>"
            "</ColorCorrection>",
            "'R1_0010' has Slope twice",
        ),
        (
            "<ColorCorrection><SOPNode><Slope>1 1 1</Slope><Offset>0 0 0</Offset>"
            "<Power>0 1 1</Power></SOPNode></ColorCorrection>",
            "not positive",
        ),
        (
            "<ColorCorrection><SatNode><Saturation>-0.1</Saturation></SatNode></ColorCorrection>",
            "saturation",
        ),
        (
            "<ColorCorrectionCollection><ColorCorrection id='a'/><ColorCorrection id='a'/>"
            "</ColorCorrectionCollection>",
            "two decisions",
        ),
    ],
)
def test_strange_xml_is_refused_by_name(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "x.ccc"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        read_cdls(path)


def test_exponents_are_read_and_never_written(tmp_path: Path) -> None:
    path = tmp_path / "x.cc"
    path.write_text(
        "<ColorCorrection id='a'><SOPNode><Slope>1e0 1 1</Slope><Offset>1e-07 0 -2.5E-2</Offset>"
        "<Power>1 1 1</Power></SOPNode></ColorCorrection>"
    )
    assert read_cdls(path)["a"].offset == (1e-07, 0.0, -0.025)
    tiny = CDL(offset=(1e-07, 0.0, 0.0))
    assert "e-" not in ccc_document([Correction(id="a", cdl=tiny)]).split("<SOPNode>")[1]
