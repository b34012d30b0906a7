"""A VapourSynth denoiser over an array: ``PYTHON detail_vapoursynth.py in.npy out.npy SETTING``.

Runs in an interpreter that has vapoursynth, vapoursynth-mvtools, vapoursynth-dfttest2-cpu,
vapoursynth-bm3d and numpy; imports nothing of Wetgate. Frames are (T, H, W, 3) uint16 RGB.
"""

import importlib
import math
from typing import Any

import numpy as np


def main() -> None:
    """Read, filter, write."""
    # Found beside this file: the script runs by its path.
    importlib.import_module("vapoursynth_frames").through(filtered)


def filtered(core: Any, rgb: Any, setting: list[str]) -> Any:
    """RGB48 in and out."""
    vs: Any = importlib.import_module("vapoursynth")
    name, *options = setting
    if name == "bm3d":
        opp = core.bm3d.RGB2OPP(rgb, 1)
        sigma, radius = float(options[0]), int(options[1])
        first = core.bm3d.VBasic(opp, sigma=[sigma] * 3, radius=radius, matrix=100)
        first = core.bm3d.VAggregate(first, radius=radius, sample=1)
        done = core.bm3d.VFinal(opp, first, sigma=[sigma] * 3, radius=radius, matrix=100)
        done = core.bm3d.OPP2RGB(core.bm3d.VAggregate(done, radius=radius, sample=1), 1)
        return core.resize.Point(done, format=vs.RGB48)
    yuv = core.resize.Bicubic(rgb, format=vs.YUV444P16, matrix_s="709")
    if name == "dfttest":
        done = dfttest(core, yuv, float(options[0]))
    else:
        done = degrain6(core, yuv, float(options[0]), int(options[1]))
    return core.resize.Bicubic(done, format=vs.RGB48, matrix_in_s="709")


def dfttest(core: Any, clip: Any, sigma: float) -> Any:
    """Block Fourier shrinkage over three frames, as dfttest2's own wrapper sets it up."""
    radius, block, step = 1, 16, 12
    n = 2 * radius + 1
    hann = [0.5 - 0.5 * math.cos(2 * math.pi * (k + 0.5) / block) for k in range(block)]
    window = [0.0] * (n * block * block)
    weights = np.ones((n, block, block)) * np.outer(hann, hann)[None]
    # Sum of squared windows over all overlaps is made one.
    total = np.zeros((block, block))
    for dy in (-step, 0, step):
        for dx in (-step, 0, step):
            moved = np.zeros((block, block))
            y, x = (
                slice(max(0, dy), min(block, block + dy)),
                slice(max(0, dx), min(block, block + dx)),
            )
            ys, xs = (
                slice(max(0, -dy), min(block, block - dy)),
                slice(max(0, -dx), min(block, block - dx)),
            )
            moved[y, x] = np.outer(hann, hann)[ys, xs] ** 2
            total += moved
    weights = weights / np.sqrt(total)[None] / math.sqrt(n * block * block)
    window = weights.ravel().tolist()
    spectrum = core.dfttest2_cpu.RDFT([v * 255 for v in window], [n, block, block])
    scale = float((weights**2).sum())
    bins = len(spectrum) // 2
    return core.dfttest2_cpu.DFTTest(
        clip, window=window, sigma=[sigma * scale] * bins, sigma2=0.0, pmin=0.0, pmax=0.0,
        filter_type=0, radius=radius, block_size=block, block_step=step, zero_mean=1,
        window_freq=spectrum,
    )  # fmt: skip


def degrain6(core: Any, clip: Any, strength: float, thsad: int) -> Any:
    """Block motion both ways over six frames, searched on a picture cleaned by DFTTest."""
    guide = dfttest(core, clip, 60.0 * strength * strength)
    sought = core.mv.Super(guide, pel=2)
    taken = core.mv.Super(clip, pel=2, levels=1)
    vectors = []
    for delta in range(1, 7):
        for back in (True, False):
            vectors.append(
                core.mv.Analyse(
                    sought, isb=back, delta=delta, blksize=8, overlap=4, truemotion=True
                )
            )
    return core.mv.Degrain6(clip, taken, *vectors, thsad=int(thsad * strength), thscd1=10000)


if __name__ == "__main__":
    main()
