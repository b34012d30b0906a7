"""Grain taken out of single stills, its strength and spectrum told: for ``benchmarks.detail``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.detail_clips import F32, blur_gain
from benchmarks.detail_ours import Effort, Guided
from media.frames import FrameRange
from media.pictures import all_own
from restore.grain.measure import dct_spectrum
from restore.models.precision import half_pays
from wetgate.chain import noise_operator
from wetgate.decisions import NoiseDecision
from wetgate.executor import ShotRenderer

STILLS = Path(__file__).resolve().parents[2] / "shared" / "data" / "images" / "kodak24"
_SIGMA = 25.0 / 255.0
WAYS: tuple[tuple[Effort, Guided], ...] = (
    ("fast", "network"),
    ("usual", "network"),
    ("fine", "network"),
    ("finest", "network"),
    ("fine", "blocks"),
)


def stills_rows() -> list[dict[str, Any]]:
    """Mean PSNR over the stills for each way, on white and on coarse grain; empty without stills.

    The filter works on codes as they are, clipped to 0..1.
    """
    paths = sorted(STILLS.glob("*.png"))
    rows: list[dict[str, Any]] = []
    for size_px in (0.0, 1.0) if paths else ():
        rng = np.random.default_rng(5)
        told = _told(rng, size_px)
        found: dict[str, list[float]] = {}
        for path in paths:
            picture = cv2.imread(str(path))
            assert picture is not None
            clean = picture[..., ::-1].astype(np.float32) / 255.0
            noisy = np.clip(clean + np.float32(_SIGMA) * _grain(rng, clean.shape, size_px), 0, 1)
            found.setdefault("input", []).append(_psnr_db(noisy, clean))
            for effort, guide in WAYS:
                name = effort if guide == "network" else f"{effort}, no weights"
                made = _cleaned(noisy, told.model_copy(update={"effort": effort, "guide": guide}))
                found.setdefault(name, []).append(_psnr_db(made, clean))
        rows += [
            {
                "stills": len(paths),
                "grain_px": size_px,
                "method": method,
                "psnr_db": round(float(np.mean(values)), 2),
            }
            for method, values in found.items()
        ]
    return rows


def _grain(rng: np.random.Generator, shape: tuple[int, ...], size_px: float) -> F32:
    white = rng.standard_normal(shape, dtype=np.float32)
    if not size_px:
        return white
    soft: F32 = cv2.GaussianBlur(white, (0, 0), size_px)
    return soft / np.float32(blur_gain(size_px))


def _told(rng: np.random.Generator, size_px: float) -> NoiseDecision:
    plane = _grain(rng, (1024, 1024), size_px)
    fine = dct_spectrum(_blocks(plane))
    coarse = dct_spectrum(_blocks(plane.reshape(512, 2, 512, 2).mean(axis=(1, 3))))
    spectra = [
        tuple(tuple(float(v) for v in row) for row in s / fine.mean()) for s in (fine, coarse)
    ]
    return NoiseDecision(
        applied=True,
        sigma=(_SIGMA,) * 3,
        spectrum=spectra[0],
        coarse_spectrum=spectra[1],
        channel_correlation=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    )


def _blocks(plane: F32) -> NDArray[np.float64]:
    n = plane.shape[0] // 8
    return plane.reshape(n, 8, n, 8).transpose(0, 2, 1, 3).reshape(-1, 8, 8).astype(np.float64)


def _cleaned(noisy: F32, decision: NoiseDecision) -> F32:
    planes = torch.from_numpy(np.ascontiguousarray(noisy.transpose(2, 0, 1)))
    operator = noise_operator(decision, 0.0, half=half_pays(torch.device("cpu")))
    shot = all_own(FrameRange(0, 1))
    renderer = ShotRenderer("still", shot, lambda _: planes, [operator])
    made: F32 = renderer.frame(0).pixels.permute(1, 2, 0).numpy()
    return np.clip(made, 0.0, 1.0)


def _psnr_db(found: F32, truth: F32) -> float:
    return float(-10.0 * np.log10(np.square(found - truth, dtype=np.float64).mean()))
