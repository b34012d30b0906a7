"""znedi3 over an array: ``PYTHON upscale_vapoursynth.py in.npy out.npy TIMES``.

Runs in an interpreter that has vapoursynth, vapoursynth-znedi3 and numpy; imports nothing of
Wetgate. Frames are (T, H, W, 3) uint16 RGB; TIMES is 2 or 4.
"""

import importlib
from typing import Any


def main() -> None:
    """Read, enlarge, write."""
    # Found beside this file: the script runs by its path.
    importlib.import_module("vapoursynth_frames").through(enlarged)


def enlarged(core: Any, clip: Any, setting: list[str]) -> Any:
    """RGB48 in and out."""
    times = int(setting[0])
    while times > 1:
        clip = doubled(core, clip)
        times //= 2
    return clip


def doubled(core: Any, clip: Any) -> Any:
    """Twice as large, put where the pixels of the larger picture belong."""
    for _ in range(2):
        clip = core.std.Transpose(clip)
        clip = core.znedi3.nnedi3(clip, field=1, dh=True, nns=4, qual=2)
    # Lines are put below those there are: the picture moves up and left by half a pixel.
    return core.resize.Spline36(clip, src_left=-0.5, src_top=-0.5)


if __name__ == "__main__":
    main()
