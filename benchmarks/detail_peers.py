"""Peers of the denoiser: FFmpeg's filters, and VapourSynth's where a Python with it is named.

Neither is a dependency of Wetgate. FFmpeg is the binary of the package imageio-ffmpeg;
VapourSynth runs in an interpreter of its own (``--vapoursynth PYTHON``), see
``benchmarks/detail_vapoursynth.py``. All are given 16-bit frames and one thread.
"""

from __future__ import annotations

import importlib
import importlib.util
import resource
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.detail_clips import F32

PACKAGE = "imageio_ffmpeg"
_SCRIPT = Path(__file__).with_name("detail_vapoursynth.py")


@dataclass(frozen=True)
class Peer:
    """A filter with its best settings for grain of 8/255; others are scaled from it."""

    name: str
    settings: tuple[str, ...]
    """``{4s}`` is 4 times the grain over 8/255, ``{60s2}`` 60 times its square."""
    slow: bool = False

    def filled(self, sigma: float) -> tuple[str, ...]:
        """The settings for grain of ``sigma`` 1/255."""
        s = sigma / 8.0
        words = {f"{{{k}s}}": k * s for k in (3, 4, 6, 8, 12)}
        words |= {"{s}": s, "{60s2}": 60 * s * s, "{200s2}": 200 * s * s}
        found = []
        for setting in self.settings:
            for word, value in words.items():
                setting = setting.replace(word, f"{value:g}")
            found.append(setting)
        return tuple(found)


FFMPEG = (
    Peer("hqdn3d", ("format=yuv444p16,hqdn3d={4s}:{3s}:{6s}:{6s}",)),
    Peer(
        "atadenoise",
        ("format=gbrp16,atadenoise=0a=.06:0b=.12:1a=.06:1b=.12:2a=.06:2b=.12:s=9",),
    ),
    Peer(
        "fftdnoiz",
        (
            "format=gbrp16,fftdnoiz=sigma={6s}:block=32:overlap=0.5",
            "format=gbrp16,fftdnoiz=sigma={8s}:block=32:overlap=0.5",
        ),
    ),
    Peer("nlmeans", ("format=gbrp,nlmeans=s={3s}:p=7:r=9", "format=gbrp,nlmeans=s={4s}:p=7:r=9")),
    Peer("bm3d", ("format=gbrp16,bm3d=sigma={12s}:block=8:bstep=4:group=8",), slow=True),
)
VAPOURSYNTH = (
    Peer("MVTools Degrain6", ("degrain6:{s}:400", "degrain6:{s}:800")),
    Peer("DFTTest", ("dfttest:{60s2}", "dfttest:{200s2}")),
    Peer("V-BM3D", ("bm3d:{8s}:1", "bm3d:{12s}:2"), slow=True),
)


def installed() -> bool:
    """Whether there is an FFmpeg to compare with."""
    return importlib.util.find_spec(PACKAGE) is not None


@dataclass(frozen=True)
class Output:
    """What a peer made of a shot."""

    frames: F32
    """(T, H, W, 3) display codes."""
    seconds: float
    """Processor time of the whole process."""


def by_ffmpeg(noisy: F32, setting: str) -> Output:
    """(T, H, W, 3) codes through a filter."""
    binary = importlib.import_module(PACKAGE).get_ffmpeg_exe()
    count, height, width, _ = noisy.shape
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb48le", "-s", f"{width}x{height}", "-r", "24"]
    command = [binary, "-v", "error", "-threads", "1", "-filter_threads", "1", *raw,
               "-i", "in.raw", "-vf", setting, *raw, "-y", "out.raw"]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        there = Path(folder)
        (there / "in.raw").write_bytes(np.rint(noisy * 65535.0).astype(np.uint16).tobytes())
        seconds = timed(command, there)
        data = np.frombuffer((there / "out.raw").read_bytes(), np.uint16)
    if data.size != noisy.size:
        raise SystemExit(f"{setting}: {data.size} samples out of {noisy.size}")
    return Output(data.reshape(count, height, width, 3).astype(np.float32) / 65535.0, seconds)


def by_vapoursynth(python: Path, noisy: F32, setting: str) -> Output:
    """(T, H, W, 3) codes through a VapourSynth script run by ``python``."""
    with tempfile.TemporaryDirectory() as folder:
        there = Path(folder)
        np.save(there / "in.npy", np.rint(noisy * 65535.0).astype(np.uint16))
        command = [str(python), str(_SCRIPT), "in.npy", "out.npy", setting]
        seconds = timed(command, there)
        data = np.load(there / "out.npy")
    return Output(data.astype(np.float32) / 65535.0, seconds)


def timed(command: list[str], folder: Path) -> float:
    """Processor time of a process and what it started; ends the run where it fails."""
    before = _children_s()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{command[0]}: {done.stderr.strip()[-400:]}")
    return _children_s() - before


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
