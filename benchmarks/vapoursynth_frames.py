"""Frames in and out of VapourSynth, for the scripts beside this file.

Imported by them in an interpreter that has vapoursynth and numpy; imports nothing of Wetgate.
"""

import importlib
import sys
from collections.abc import Callable
from typing import Any

import numpy as np


def through(filtered: Callable[[Any, Any, list[str]], Any]) -> None:
    """``SCRIPT in.npy out.npy SETTING``: read, filter with one thread, write.

    Frames are (T, H, W, 3) uint16 RGB. filtered: the core, the clip (RGB48) and the parts of
    SETTING between colons, to an RGB48 clip of as many frames, of any size.
    """
    vs: Any = importlib.import_module("vapoursynth")
    core = vs.core
    core.num_threads = 1
    frames = np.load(sys.argv[1])
    t, h, w, _ = frames.shape
    blank = core.std.BlankClip(format=vs.RGB48, width=w, height=h, length=t, keep=True)

    def fill(n: int, f: Any) -> Any:
        out = f.copy()
        for p in range(3):
            np.asarray(out[p])[:] = frames[n, :, :, p]
        return out

    clip = core.std.ModifyFrame(blank, blank, fill)
    done = filtered(core, clip, sys.argv[3].split(":"))
    result = np.empty((t, done.height, done.width, 3), np.uint16)
    for n, frame in enumerate(done.frames()):
        for p in range(3):
            result[n, :, :, p] = np.asarray(frame[p])
    np.save(sys.argv[2], result)
