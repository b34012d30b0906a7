"""ACES Metadata Files: written for ADX, read back, and refused where they would not be true."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from color.amf import WORKING_SPACE, AmfClip, amf_document, read_amf_cdl
from color.cdl import CDL, apply_cdl
from color.handed import FILM_COLORS, read_back
from media.errors import ConfigError

GRADE = CDL((1.1, 0.95, 1.02), (-0.02, 0.013, 0.0), (1.05, 1.0, 0.97), 1.1)


def clip(encoding: str = "adx10", **more: object) -> AmfClip:
    values: dict[str, object] = {
        "id": "R1_0010",
        "encoding": encoding,
        "cdl": GRADE,
        "description": "reel R1, from 01:00:00:00; compared with 3 shots & sure",
        "file": "R1 <a>.#######.dpx",
        "frames": (86400, 86500),
        "scanned": datetime(2024, 3, 1, 12, 0, 0, tzinfo=UTC),
    }
    return AmfClip(**(values | more))  # type: ignore[arg-type]


@pytest.mark.parametrize("encoding", ["adx10", "adx16"])
def test_what_is_written_is_read_back(encoding: str) -> None:
    text = amf_document(clip(encoding))
    assert read_amf_cdl(text.encode(), "R1_0010.amf") == ("R1_0010", GRADE.rounded())
    assert f"{encoding.upper()}_to_ACES.a2.v1" in text
    assert 'idx="#" min="86400" max="86500"' in text
    assert "2024-03-01T12:00:00Z" in text
    assert "e-0" not in text
    # the same scan and decision give the same bytes
    assert amf_document(clip(encoding)) == text
    assert amf_document(clip(encoding, cdl=CDL())) != text
    (apply,) = read_back("amf/R1_0010.amf", text).values()
    np.testing.assert_allclose(
        apply(FILM_COLORS), apply_cdl(FILM_COLORS, GRADE, clamp=False), atol=2e-6
    )


def test_a_movie_is_a_file() -> None:
    text = amf_document(clip(file="reel 1.mov", frames=None))
    assert "<aces:file>reel%201.mov</aces:file>" in text
    assert "aces:sequence" not in text


def test_transform_names_are_those_of_the_aces_config() -> None:
    """And the CDL on ADX10 codes, done by OpenColorIO between ACES and ACES, is what is baked."""
    import PyOpenColorIO as OCIO  # noqa: N814

    config = OCIO.Config.CreateFromBuiltinConfig("studio-config-v4.0.0_aces-v2.0_ocio-v2.5")
    to_aces = config.getProcessor("ADX10", "ACES2065-1").getOptimizedCPUProcessor(
        OCIO.OPTIMIZATION_NONE
    )
    from_aces = config.getProcessor("ACES2065-1", "ADX10").getOptimizedCPUProcessor(
        OCIO.OPTIMIZATION_NONE
    )

    def through(processor: OCIO.CPUProcessor, colors: np.ndarray) -> np.ndarray:
        packed = np.array(colors, dtype=np.float32, order="C")
        processor.applyRGB(packed)
        return packed.astype(np.float64)

    # ACES -> ADX10 codes -> CDL -> ACES is what the file says, and ADX10 codes are film log.
    aces = through(to_aces, FILM_COLORS)
    codes = through(from_aces, aces)
    np.testing.assert_allclose(codes, FILM_COLORS, atol=2e-4)
    look = through(to_aces, apply_cdl(codes, GRADE, clamp=False))
    baked = through(to_aces, apply_cdl(FILM_COLORS, GRADE, clamp=False))
    np.testing.assert_allclose(look, baked, rtol=5e-3, atol=1e-4)


@pytest.mark.parametrize("encoding", ["cineon", "print_density", "linear", "rec709", "acescct"])
def test_no_file_where_aces_has_no_transform(encoding: str) -> None:
    with pytest.raises(ConfigError, match="ACES has no transform"):
        amf_document(clip(encoding))


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (
            '<?xml version="1.0" encoding="UTF-8"?>',
            '<!DOCTYPE a [<!ENTITY b "c">]>',
            "not usable XML",
        ),
        ('version="2.0">', 'version="1.0">', "no AMF of version 2.0"),
        ("aces:amf:v2.0", "aces:amf:v1.0", "no AMF of version 2.0"),
        ('lookTransform applied="false"', 'lookTransform applied="true"', "already"),
        (
            f"{WORKING_SPACE}</aces:transformId>\n                </",
            "x</aces:transformId></",
            "'x'",
        ),
        ("<cdl:Saturation>1.100000", "<cdl:Saturation>-1.1", "saturation"),
        ("<cdl:Power>1.050000", "<cdl:Power>nan", "bad number"),
        ("<cdl:Slope>1.100000", "<cdl:Slope>", "2 numbers"),
        ("R1_0010</aces:clipName>", "</aces:clipName>", "clip name ''"),
        ("</aces:lookTransform>", "</aces:lookTransform><aces:lookTransform/>", "2 looks"),
    ],
)
def test_what_is_not_understood_is_refused(old: str, new: str, why: str) -> None:
    text = amf_document(clip())
    assert old in text
    with pytest.raises(ConfigError, match=why):
        read_amf_cdl(text.replace(old, new, 1).encode(), "x.amf")


def test_another_mark_where_names_hold_the_usual_one() -> None:
    text = amf_document(clip(file="take#2.@@@@@@@.dpx", mark="@"))
    assert 'idx="@" min="86400" max="86500">take#2.@@@@@@@.dpx<' in text
