"""Color files read back the way their receivers read them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from color.ale import read_ale_cdls
from color.amf import read_amf_cdl
from color.cdl import CDL, apply_cdl
from color.edl import EDL_DECIMALS, read_edl_cdls
from color.otio_file import read_otio_cdls

if TYPE_CHECKING:
    import PyOpenColorIO

F64 = NDArray[np.float64]
Apply = Callable[[F64], F64]


def _film_colors() -> F64:
    levels = np.linspace(0.12, 0.68, 8)
    steps = np.array([-0.06, 0.0, 0.06])
    chroma = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    return np.asarray((levels[:, None, None] + chroma).reshape(-1, 3))


FILM_COLORS: F64 = _film_colors()
"""(216, 3) film log: colors a film shows, from near black to near white."""


def edl_rounded(cdl: CDL) -> CDL:
    """As an edit list holds it: four decimals."""
    return cdl.rounded(EDL_DECIMALS)


def read_back(name: str, text: str) -> dict[str, Apply]:
    """What each correction in a file does to colors (N, 3) film log, by shot.

    name: with the suffix that says what it is. XML, CLF and .cube go through OpenColorIO,
    .otio and .edl through OpenTimelineIO where it can take their rate.
    """
    stem, _, suffix = name.rpartition("/")[2].rpartition(".")
    match suffix:
        case "edl":
            return _cdls(read_edl_cdls(text, name))
        case "ale":
            return _cdls(read_ale_cdls(text, name))
        case "amf":
            return _cdls([read_amf_cdl(text.encode(), name)])
        case "otio":
            return _cdls(read_otio_cdls(text, name))
        case "ccc" | "cdl" | "cc":
            return _by_opencolorio(text, suffix)
        case _:
            return {stem: _file_transform(text, suffix)}


def _cdls(pairs: list[tuple[str, CDL]]) -> dict[str, Apply]:
    return {name: _plain(cdl) for name, cdl in pairs}


def _plain(cdl: CDL) -> Apply:
    return lambda colors: apply_cdl(colors, cdl, clamp=False)


def _by_opencolorio(text: str, suffix: str) -> dict[str, Apply]:
    import PyOpenColorIO as OCIO  # noqa: N814

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"given.{suffix}"
        path.write_text(text, "utf-8")
        if suffix == "cc":
            transforms = [OCIO.CDLTransform.CreateFromFile(str(path), "")]
        else:
            group = OCIO.CDLTransform.CreateGroupFromFile(str(path))
            transforms = list(group)
        found: dict[str, Apply] = {}
        for transform in transforms:
            transform.setStyle(OCIO.CDL_NO_CLAMP)
            found[transform.getFormatMetadata().getID()] = _processor(transform)
        return found


def _file_transform(text: str, suffix: str) -> Apply:
    import PyOpenColorIO as OCIO  # noqa: N814

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"given.{suffix}"
        path.write_text(text, "utf-8")
        return _processor(OCIO.FileTransform(str(path), interpolation=OCIO.INTERP_TETRAHEDRAL))


def _processor(transform: PyOpenColorIO.Transform) -> Apply:
    import PyOpenColorIO as OCIO  # noqa: N814

    processor = OCIO.Config.CreateRaw().getProcessor(transform)
    # The default is an approximation of power that is off by 2e-5.
    cpu = processor.getOptimizedCPUProcessor(OCIO.OPTIMIZATION_NONE)

    def apply(colors: F64) -> F64:
        packed = np.array(colors, dtype=np.float32, order="C")
        cpu.applyRGB(packed.reshape(-1))
        return packed.astype(np.float64)

    return apply


def cube_code_range(curve: Callable[[Tensor], Tensor]) -> Apply:
    """A curve over tensors (C, H, W) as one over colors (N, 3)."""

    def apply(colors: F64) -> F64:
        planes = torch.from_numpy(np.ascontiguousarray(colors.T))[:, :, None]
        return np.asarray(curve(planes)[:, :, 0].T.numpy())

    return apply
