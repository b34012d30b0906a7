"""Processor time of deflicker and weave as a person runs them: whole processes, HD film scans.

    python -m benchmarks.steady_cost [--frames 48] [--out benchmarks/results/steady_cost.json]

A damaged reel of 1920 x 1080, 10-bit DPX is restored by ``wetgate run`` with one repair, and by
peers of the FFmpeg binary that the package imageio-ffmpeg carries, from DPX to DPX. What a start
costs without pictures is given apart, and so is what the first run on a machine spends on compiling
its loops, which are kept. Figures are seconds of processor time per megapixel and
frame; the pass-through (``--only none``) is the price of reading, hashing, checking and writing.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

from benchmarks.steady_cases import NONE
from benchmarks.steady_vidstab import VIDSTAB, installed
from media.encoding import light_to_log, rec709_decode
from media.movie import MovieReader
from media.reel import PictureFormat
from media.synthetic import damage_shot
from media.write import to_codes, write_frame
from wetgate.demo import footage

RESULTS = Path(__file__).parent / "results" / "steady_cost.json"
_WIDTH, _HEIGHT, _MARGIN = 1920, 1080, 8
_FIRST = 76
_DAMAGE = replace(
    NONE, weave_px=(1.2, 0.9), flicker_stops=0.14, flicker_local_stops=0.1, grain_sigma=0.012
)
PEERS = {
    "FFmpeg, nothing": [["null"]],
    "FFmpeg deflicker": [["deflicker=size=10:mode=am"]],
    "FFmpeg tmidequalizer": [["tmidequalizer=radius=10:sigma=1"]],
    "vidstab": [
        [f"vidstabdetect=result=t.trf:{VIDSTAB[0][1]}"],
        [f"vidstabtransform=input=t.trf:{VIDSTAB[0][2]}"],
    ],
}


def scans(folder: Path, frames: int) -> None:
    """The street of the ``bikes`` film at HD, damaged, as 10-bit printing density."""
    fmt = PictureFormat(width=_WIDTH, height=_HEIGHT, channels=3, bits=10)
    size = (_WIDTH + 2 * _MARGIN, _HEIGHT + 2 * _MARGIN)
    clean = []
    with MovieReader(footage("bikes"), matrix="bt709", full_range=False) as reader:
        for k in range(frames):
            picture = reader.read(_FIRST + k).astype(np.float32) / np.float32(65535.0)
            large = cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC).clip(0.0, 1.0)
            values = torch.from_numpy(large.transpose(2, 0, 1).copy())
            clean.append(light_to_log(rec709_decode(values)).numpy())
    damaged, _ = damage_shot(np.stack(clean), _DAMAGE, 1, _MARGIN)
    folder.mkdir()
    for k, frame in enumerate(damaged):
        codes = to_codes(np.ascontiguousarray(frame.transpose(1, 2, 0)), fmt)
        write_frame(folder / f"R1.{k:05d}.dpx", codes, fmt, "dpx", frame=k, reel="R1")


def used(work: Callable[[], None]) -> float:
    """Processor seconds of what it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def ours(place: Path, frames: int, only: str, loops: Path | None = None) -> float:
    """One run of the program; raises when it delivers less than all frames.

    loops: where compiled loops are looked for and kept; None: where they usually are.
    """
    found = {} if loops is None else {"NUMBA_CACHE_DIR": str(loops)}
    out = f"out-{only}-{frames}" + ("" if loops is None else "-first")

    def run() -> None:
        done = subprocess.run(
            [
                sys.executable, "-m", "wetgate", "run", str(place / "scan"), "--encoding",
                "cineon", "--rate", "24", "--only", only, "--no-prefect", "--json",
                "--set", "ingest.detect_shots=false",
                "--out", str(place / out),
            ],
            check=False, capture_output=True, env=os.environ | found,
        )  # fmt: skip
        # A drawn jump beyond the limit is left and holds the shot: all frames are delivered.
        if done.returncode not in (0, 3):
            raise RuntimeError(done.stderr.decode("utf-8", "replace"))

    return used(run)


def peer(place: Path, passes: list[list[str]]) -> float:
    """FFmpeg from DPX to DPX, pass after pass."""
    binary = importlib.import_module("imageio_ffmpeg").get_ffmpeg_exe()
    (place / "peer").mkdir(exist_ok=True)

    def run() -> None:
        for number, filters in enumerate(passes):
            last = number == len(passes) - 1
            out = ["-pix_fmt", "gbrp10be", "peer/%05d.dpx"] if last else ["-f", "null", "-"]
            subprocess.run(
                [binary, "-v", "error", "-threads", "1", "-start_number", "0", "-i",
                 "scan/R1.%05d.dpx", "-vf", ",".join(filters), "-y", *out],
                check=True, capture_output=True, cwd=place,
            )  # fmt: skip

    return used(run)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    area = given.frames * _WIDTH * _HEIGHT / 1e6
    rows: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        scans(place / "scan", given.frames)
        start = used(ours_started)
        both = "weave,flicker"
        first = ours(place, given.frames, both, place / "loops")
        ours(place, given.frames, both)
        for path in place.glob("out-*"):
            shutil.rmtree(path)
        for only in ("none", "flicker", "weave", both):
            rows[f"Wetgate {only}"] = (ours(place, given.frames, only) - start) / area
        compiling = first - start - rows[f"Wetgate {both}"] * area
        if installed():
            rows |= {what: peer(place, passes) / area for what, passes in PEERS.items()}
    print(f"start of the program: {start:.2f} s; compiling, once: {compiling:.1f} s")
    for what, seconds in rows.items():
        print(f"{what:24} {seconds:8.3f}")
    result = {
        "schema": 1,
        "size": [_WIDTH, _HEIGHT],
        "frames": given.frames,
        "start_s": round(start, 2),
        "compiling_s": round(compiling, 1),
        "cpu_s_per_megapixel_frame": {k: round(v, 4) for k, v in rows.items()},
    }
    given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def ours_started() -> None:
    """The program starts, says who it is, and ends."""
    command = [sys.executable, "-c", "import wetgate.cli, wetgate.launch, wetgate.run"]
    subprocess.run(command, check=True, capture_output=True)


if __name__ == "__main__":
    main()
