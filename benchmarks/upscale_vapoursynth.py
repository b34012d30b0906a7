"""znedi3 over an array: ``PYTHON upscale_vapoursynth.py in.npy out.npy TIMES``.

Runs in an interpreter that has vapoursynth, vapoursynth-znedi3 and numpy; imports nothing of
Wetgate. Frames are (T, H, W, 3) uint16 RGB; TIMES is 2 or 4.
"""

import importlib
import sys
from typing import Any

import numpy as np


def main() -> None:
    """Read, enlarge, write."""
    vs: Any = importlib.import_module("vapoursynth")
    core = vs.core
    core.num_threads = 1
    frames = np.load(sys.argv[1])
    times = int(sys.argv[3])
    t, h, w, _ = frames.shape
    blank = core.std.BlankClip(format=vs.RGB48, width=w, height=h, length=t, keep=True)

    def fill(n: int, f: Any) -> Any:
        out = f.copy()
        for p in range(3):
            np.asarray(out[p])[:] = frames[n, :, :, p]
        return out

    clip = core.std.ModifyFrame(blank, blank, fill)
    while times > 1:
        clip = doubled(core, clip)
        times //= 2
    result = np.empty((t, clip.height, clip.width, 3), np.uint16)
    for n, frame in enumerate(clip.frames()):
        for p in range(3):
            result[n, :, :, p] = np.asarray(frame[p])
    np.save(sys.argv[2], result)


def doubled(core: Any, clip: Any) -> Any:
    """Twice as large, put where the pixels of the larger picture belong."""
    for _ in range(2):
        clip = core.std.Transpose(clip)
        clip = core.znedi3.nnedi3(clip, field=1, dh=True, nns=4, qual=2)
    # Lines are put below those there are: the picture moves up and left by half a pixel.
    return core.resize.Spline36(clip, src_left=-0.5, src_top=-0.5)


if __name__ == "__main__":
    main()
