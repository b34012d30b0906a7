"""Peers of enlargement: OpenCV, FFmpeg's scalers, and znedi3 where a Python with it is named."""

from __future__ import annotations

import importlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from benchmarks.detail_clips import F32
from benchmarks.detail_peers import PACKAGE, Output, installed, timed

_SCRIPT = Path(__file__).with_name("upscale_vapoursynth.py")
_OPENCV = {"OpenCV cubic": cv2.INTER_CUBIC, "OpenCV lanczos4": cv2.INTER_LANCZOS4}
_FFMPEG = {
    "FFmpeg bicubic": "scale={w}:{h}:flags=bicubic+accurate_rnd+full_chroma_int",
    "FFmpeg lanczos": "scale={w}:{h}:flags=lanczos+accurate_rnd+full_chroma_int",
    "FFmpeg spline": "scale={w}:{h}:flags=spline+accurate_rnd+full_chroma_int",
    "zscale lanczos": "zscale=w={w}:h={h}:f=lanczos",
    "zscale spline36": "zscale=w={w}:h={h}:f=spline36",
}


def peers(
    small: F32, size_px: tuple[int, int], vapoursynth: Path | None
) -> Iterator[tuple[str, Output]]:
    """Every peer there is over (T, H, W, 3) display codes, each in one thread, straight to
    ``size_px``, height and width. znedi3 doubles, and is left out where that does not lead there.
    """
    for name, flag in _OPENCV.items():
        started = time.process_time()
        frames = np.stack([cv2.resize(f, size_px[::-1], interpolation=flag) for f in small])
        yield name, Output(frames, time.process_time() - started)
    if installed():
        for name, setting in _FFMPEG.items():
            yield name, _by_ffmpeg(small, size_px, setting)
    scale = size_px[0] // small.shape[1]
    doubled = size_px == (small.shape[1] * scale, small.shape[2] * scale)
    if vapoursynth is not None and doubled:
        yield "znedi3", _by_znedi3(small, scale, vapoursynth)


def _by_ffmpeg(small: F32, large: tuple[int, int], setting: str) -> Output:
    binary = importlib.import_module(PACKAGE).get_ffmpeg_exe()
    count, height, width, _ = small.shape
    raw = ["-f", "rawvideo", "-pix_fmt"]
    command = [
        binary, "-v", "error", "-threads", "1", "-filter_threads", "1", *raw, "gbrp16le",
        "-s", f"{width}x{height}", "-r", "24", "-i", "in.raw",
        "-vf", setting.format(w=large[1], h=large[0]), *raw, "gbrp16le", "-y", "out.raw",
    ]  # fmt: skip
    planes = np.rint(small * 65535.0).astype(np.uint16)[..., [1, 2, 0]].transpose(0, 3, 1, 2)
    with tempfile.TemporaryDirectory() as folder:
        there = Path(folder)
        (there / "in.raw").write_bytes(np.ascontiguousarray(planes).tobytes())
        seconds = timed(command, there)
        data = np.frombuffer((there / "out.raw").read_bytes(), np.uint16)
    found = data.reshape(count, 3, *large).transpose(0, 2, 3, 1)[..., [2, 0, 1]]
    return Output(found.astype(np.float32) / 65535.0, seconds)


def _by_znedi3(small: F32, scale: int, python: Path) -> Output:
    with tempfile.TemporaryDirectory() as folder:
        there = Path(folder)
        np.save(there / "in.npy", np.rint(small * 65535.0).astype(np.uint16))
        seconds = timed([str(python), str(_SCRIPT), "in.npy", "out.npy", str(scale)], there)
        data = np.load(there / "out.npy")
    return Output(data.astype(np.float32) / 65535.0, seconds)
