"""VapourSynth's dirt and line filters: ``PYTHON surface_vapoursynth.py in.npy out.npy NAME``.

Runs in an interpreter that has vapoursynth, vapoursynth-mvtools, vapoursynth-zsmooth,
vapoursynth-descratch and numpy; imports nothing of Wetgate. Frames are (T, H, W, 3) uint16 RGB.
NAME is ``spotless:BLOCK`` (median of three motion-compensated frames), ``clense`` (median of three
frames) or ``descratch``.
"""

import importlib
from typing import Any


def main() -> None:
    """Read, filter, write."""
    # Found beside this file: the script runs by its path.
    importlib.import_module("vapoursynth_frames").through(filtered)


def filtered(core: Any, rgb: Any, setting: list[str]) -> Any:
    """RGB48 in and out."""
    vs: Any = importlib.import_module("vapoursynth")
    name, *options = setting
    if name == "descratch":
        yuv = core.resize.Bicubic(rgb, format=vs.YUV444P8, matrix_s="709")
        done = core.descratch.DeScratch(yuv, mindif=5, maxwidth=3, blurlen=15, keep=100)
    else:
        yuv = core.resize.Bicubic(rgb, format=vs.YUV444P16, matrix_s="709")
        done = spotless(core, yuv, int(options[0])) if name == "spotless" else clense(core, yuv)
    return core.resize.Bicubic(done, format=vs.RGB48, matrix_in_s="709")


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
