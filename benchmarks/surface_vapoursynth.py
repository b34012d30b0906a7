"""VapourSynth's dirt and line filters: ``PYTHON surface_vapoursynth.py in.npy out.npy NAME``.

Runs in an interpreter that has vapoursynth, vapoursynth-mvtools, vapoursynth-zsmooth,
vapoursynth-descratch and numpy; imports nothing of Wetgate. Frames are (T, H, W, 3) uint16 RGB.
NAME is ``spotless:BLOCK`` (median of three motion-compensated frames), ``clense`` (median of three
frames) or ``descratch``.
"""

import importlib
import sys
from typing import Any

import numpy as np


def main() -> None:
    """Read, filter, write."""
    vs: Any = importlib.import_module("vapoursynth")
    core = vs.core
    core.num_threads = 1
    frames = np.load(sys.argv[1])
    name, *options = sys.argv[3].split(":")
    t, h, w, _ = frames.shape
    blank = core.std.BlankClip(format=vs.RGB48, width=w, height=h, length=t, keep=True)

    def fill(n: int, f: Any) -> Any:
        out = f.copy()
        for p in range(3):
            np.asarray(out[p])[:] = frames[n, :, :, p]
        return out

    rgb = core.std.ModifyFrame(blank, blank, fill)
    if name == "descratch":
        yuv = core.resize.Bicubic(rgb, format=vs.YUV444P8, matrix_s="709")
        done = core.descratch.DeScratch(yuv, mindif=5, maxwidth=3, blurlen=15, keep=100)
    else:
        yuv = core.resize.Bicubic(rgb, format=vs.YUV444P16, matrix_s="709")
        done = spotless(core, yuv, int(options[0])) if name == "spotless" else clense(core, yuv)
    done = core.resize.Bicubic(done, format=vs.RGB48, matrix_in_s="709")
    result = np.empty_like(frames)
    for n, frame in enumerate(done.frames()):
        for p in range(3):
            result[n, :, :, p] = np.asarray(frame[p])
    np.save(sys.argv[2], result)


def spotless(core: Any, clip: Any, block: int) -> Any:
    """As the script of that name: both neighbours compensated, then the median of three."""
    sup = core.mv.Super(clip, hpad=block, vpad=block, pel=2)
    common = {"blksize": block, "overlap": block // 2, "search": 5, "delta": 1}
    back = core.mv.Analyse(sup, isb=True, **common)
    forth = core.mv.Analyse(sup, isb=False, **common)
    later = core.mv.Compensate(clip, sup, back, thsad=10000, thscd1=10000)
    earlier = core.mv.Compensate(clip, sup, forth, thsad=10000, thscd1=10000)
    three = core.std.Interleave([earlier, clip, later])
    middle = core.zsmooth.TemporalMedian(three, radius=1)
    return core.std.SelectEvery(middle, 3, 1)


def clense(core: Any, clip: Any) -> Any:
    """Median of three frames as they are."""
    return core.zsmooth.Clense(clip)


if __name__ == "__main__":
    main()
