"""Film log as a view of an OpenColorIO config shows it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import PyOpenColorIO as OCIO  # noqa: N814
import pytest
import torch

from media.curves import log_to_light
from media.errors import ConfigError
from media.ocio import BUILT_IN, ocio_view

DISPLAY, VIEW = "sRGB - Display", "ACES 2.0 - SDR 100 nits (Rec.709)"
LOG = torch.linspace(0.1, 0.8, 3 * 4 * 5).view(3, 4, 5)


def by_hand(source: str, values: torch.Tensor) -> np.ndarray:
    config = OCIO.Config.CreateFromFile(BUILT_IN)
    processor = config.getProcessor(source, DISPLAY, VIEW, OCIO.TRANSFORM_DIR_FORWARD)
    packed = np.ascontiguousarray(values.movedim(0, -1).numpy(), dtype=np.float32)
    processor.getOptimizedCPUProcessor(OCIO.OPTIMIZATION_LOSSLESS).applyRGB(packed)
    return packed.transpose(2, 0, 1)


@pytest.mark.parametrize(
    ("encoding", "source"),
    [
        ("cineon", "Linear Rec.709 (sRGB)"),
        ("rec709", "Linear Rec.709 (sRGB)"),
        ("adx10", "ADX10"),
        ("adx16", "ADX10"),
        ("acescct", "ACEScg"),
        ("ocio:ACEScc", "ACEScg"),
    ],
)
def test_a_view_shows_what_opencolorio_shows(encoding: str, source: str) -> None:
    shown = ocio_view(f"{DISPLAY} / {VIEW}", encoding)(LOG)
    values = LOG if source == "ADX10" else log_to_light(LOG)
    np.testing.assert_allclose(shown.numpy(), by_hand(source, values), atol=1e-6)
    assert torch.equal(ocio_view(f"{DISPLAY}/{VIEW}@{BUILT_IN}", encoding)(LOG), shown)


def test_a_display_alone_has_its_default_view() -> None:
    shown = ocio_view(DISPLAY)(LOG)
    assert torch.equal(shown, ocio_view(f"{DISPLAY}/{VIEW}")(LOG))


def test_names_that_do_not_exist_are_refused_with_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="is no view of") as refused:
        ocio_view("sRGB - Display/ACES 1.0 - SDR 100 nits (Rec.709)")
    assert f"{DISPLAY}/{VIEW}" in str(refused.value.hint)
    with pytest.raises(ConfigError, match="cannot be read"):
        ocio_view(f"{DISPLAY}@{tmp_path}/none.ocio")
    monkeypatch.setenv("OCIO", str(tmp_path / "own.ocio"))
    config = OCIO.Config.CreateRaw()
    (tmp_path / "own.ocio").write_text(config.serialize(), "utf-8")
    with pytest.raises(ConfigError, match="no view of"):
        ocio_view(DISPLAY)
    (display,) = list(config.getDisplays())
    with pytest.raises(ConfigError, match="lin_rec709_scene"):
        ocio_view(display)


def test_opencolorio_is_loaded_only_when_it_is_asked_for() -> None:
    script = "import sys, wetgate.project, wetgate.report.pictures, color.handed, color.amf\n"
    script += "print('PyOpenColorIO' in sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == "False"
