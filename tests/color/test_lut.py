"""A .cube does what its CDL does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PyOpenColorIO as Ocio
import pytest

from color.cdl import CDL, apply_cdl
from color.lut import cube_document
from color.transform import ShotTransform


@pytest.mark.parametrize(
    ("cdl", "error"),
    [
        (CDL((1.3, 1.0, 0.8), (0.06, 0.0, -0.04), saturation=1.1), 1e-5),
        (CDL((1.1, 1.0, 0.9), (0.02, 0.0, -0.01), (1.2, 0.9, 1.0)), 5e-3),
    ],
)
def test_a_cube_read_back_equals_the_cdl(tmp_path: Path, cdl: CDL, error: float) -> None:
    path = tmp_path / "shot.cube"
    path.write_text(cube_document(ShotTransform(cdl=cdl)), "utf-8")
    lut = Ocio.FileTransform(str(path), interpolation=Ocio.INTERP_TETRAHEDRAL)
    processor = Ocio.Config.CreateRaw().getProcessor(lut)
    cpu = processor.getOptimizedCPUProcessor(Ocio.OPTIMIZATION_NONE)
    rng = np.random.default_rng(4)
    colors = rng.uniform(0.08, 0.95, (400, 3))
    found = np.array([cpu.applyRGB([float(v) for v in c]) for c in colors])
    np.testing.assert_allclose(found, apply_cdl(colors, cdl, clamp=False), atol=error)
