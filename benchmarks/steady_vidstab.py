"""vid.stab as a peer of weave, in the FFmpeg binary that the package imageio-ffmpeg carries.

The package is no dependency of Wetgate: ``pip install imageio-ffmpeg`` beside it, or the peer is
named as not installed.
"""

from __future__ import annotations

import importlib
import importlib.util
import resource
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import torch

from benchmarks.steady_measures import codes
from benchmarks.steady_peers import Output
from media.encoding import light_to_log, rec709_decode
from media.synthetic import Frames

PACKAGE = "imageio_ffmpeg"
VIDSTAB = (
    ("vidstab", "shakiness=5:accuracy=15", "smoothing=10:optzoom=0:interpol=bicubic"),
    ("vidstab", "shakiness=5:accuracy=15", "smoothing=4:optzoom=0:interpol=bicubic"),
    (
        "vidstab tripod",
        "shakiness=5:accuracy=15:stepsize=4:tripod=1",
        "tripod=1:optzoom=0:interpol=bicubic",
    ),
)
"""Name, how motion is found, how it is taken out. Defaults, but nothing is zoomed in on."""


def installed() -> bool:
    """Whether the package is there."""
    return importlib.util.find_spec(PACKAGE) is not None


def stabilised(scan: Frames, detect: str, transform: str) -> Output:
    """(T, 3, H, W) film log through both passes, as 8-bit RGB of Rec.709 codes."""
    binary = importlib.import_module(PACKAGE).get_ffmpeg_exe()
    count, _, height, width = scan.shape
    shown = np.stack([np.rint(np.clip(codes(f), 0, 1) * 255).astype(np.uint8) for f in scan])
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", "24"]
    with tempfile.TemporaryDirectory() as folder:
        there = Path(folder)
        (there / "in.raw").write_bytes(np.ascontiguousarray(shown.transpose(0, 2, 3, 1)).tobytes())
        common = [binary, "-v", "error", "-threads", "1", *raw, "-i", "in.raw", "-vf"]
        passes = (
            [*common, f"vidstabdetect=result=t.trf:{detect}", "-f", "null", "-"],
            [*common, f"vidstabtransform=input=t.trf:{transform}", *raw, "-y", "out.raw"],
        )
        before = _children_s()
        for command in passes:
            subprocess.run(command, cwd=there, check=True, capture_output=True)
        seconds = _children_s() - before
        data = np.frombuffer((there / "out.raw").read_bytes(), np.uint8)
    if data.size != shown.size:
        raise SystemExit(f"vidstab: {data.size} samples out of {shown.size}")
    pictures = data.reshape(count, height, width, 3).transpose(0, 3, 1, 2)
    table = light_to_log(rec709_decode(torch.arange(256, dtype=torch.float32) / 255.0)).numpy()
    found: Frames = table[pictures]
    return Output(found, seconds)


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
