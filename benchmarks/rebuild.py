"""Frames left out of real clips and made again, against the frames that were there.

    python -m benchmarks.rebuild [--quick] [--out results/rebuild.json]

One frame, or three in a row, are left out all along a clip; ours, the frame before shown again,
the two sides blended, and FFmpeg's ``minterpolate`` fill them in, in the same run. PSNR of display
codes (Rec.709), over the frames that were made, the rim of 8 px left out. ``minterpolate`` works on
8-bit Y'CbCr only: what that alone costs is in the row ``8 bit``. Seconds are processor time per
megapixel made; of the whole process for FFmpeg.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.detail_clips import CLIPS, F32, available, psnr_db
from benchmarks.detail_ours import film_log, shown
from benchmarks.detail_peers import PACKAGE, installed, timed
from restore.rebuild.between import Between
from wetgate.numerics import pin_numerics, profile

RESULTS = Path(__file__).parent / "results" / "rebuild.json"
RUNS = (1, 3)
Row = dict[str, Any]


def kept_frames(count: int, run: int) -> list[int]:
    """Positions that stay when ``run`` frames out of every ``run + 1`` are left out."""
    return list(range(0, count, run + 1))


def filled(clip: F32, run: int) -> dict[str, tuple[F32, float]]:
    """Method to the frames it made, (M, H, W, 3) codes, and its seconds; ``truth`` among them."""
    stay = kept_frames(len(clip), run)
    log = film_log(clip)
    made: dict[str, list[F32]] = {n: [] for n in ("truth", "hold", "blend", "Wetgate")}
    seconds = dict.fromkeys(made, 0.0)
    for a, b in itertools.pairwise(stay):
        started = time.process_time()
        way = Between(log[a], log[b])
        seconds["Wetgate"] += time.process_time() - started
        for k in range(a + 1, b):
            share = (k - a) / (b - a)
            made["truth"].append(clip[k])
            made["hold"].append(clip[a])
            blended = (1.0 - share) * clip[a] + share * clip[b]
            made["blend"].append(blended)
            started = time.process_time()
            picture = way.at(share)
            seconds["Wetgate"] += time.process_time() - started
            made["Wetgate"].append(shown(picture))
    found = {n: (np.stack(frames), seconds[n]) for n, frames in made.items()}
    if installed():
        inner = [k for k in range(stay[-1]) if k not in stay]
        found["8 bit"] = (by_ffmpeg(clip, "format=yuv444p,format=rgb48le")[0][inner], 0.0)
        setting = (
            f"format=yuv444p,minterpolate=fps={24 * (run + 1)}:mi_mode=mci:mc_mode=aobmc:"
            "me_mode=bidir:vsbmc=1:scd=none"
        )
        frames, used = by_ffmpeg(np.concatenate([clip[stay], clip[stay[-1:]]]), setting)
        found["FFmpeg minterpolate"] = (frames[inner], used)
    return found


def by_ffmpeg(clip: F32, setting: str) -> tuple[F32, float]:
    """(T, H, W, 3) codes through a filter that may make more frames, and processor seconds."""
    binary = importlib.import_module(PACKAGE).get_ffmpeg_exe()
    _, height, width, _ = clip.shape
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb48le"]
    command = [binary, "-v", "error", "-threads", "1", "-filter_threads", "1", *raw,
               "-s", f"{width}x{height}", "-r", "24", "-i", "in.raw", "-vf", setting,
               *raw, "-y", "out.raw"]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        there = Path(folder)
        (there / "in.raw").write_bytes(np.rint(clip * 65535.0).astype(np.uint16).tobytes())
        seconds = timed(command, there)
        data = np.frombuffer((there / "out.raw").read_bytes(), np.uint16)
    return data.reshape(-1, height, width, 3).astype(np.float32) / 65535.0, seconds


def measured(name: str, frames: int) -> list[Row]:
    """All methods on one clip, with one frame and with three in a row left out."""
    clip = CLIPS[name].load(CLIPS[name].path, frames)
    rows = []
    for run in RUNS:
        found = filled(clip, run)
        truth = found.pop("truth")[0]
        for method, (pictures, seconds) in found.items():
            each = [psnr_db(p[None], t[None]) for p, t in zip(pictures, truth, strict=True)]
            rows.append(
                {
                    "clip": name,
                    "run": run,
                    "method": method,
                    "made": len(truth),
                    "psnr_db": round(float(np.mean(each)), 2),
                    "worst_db": round(float(np.min(each)), 2),
                    "s_per_mp": round(seconds / (truth[..., 0].size / 1e6), 2),
                }
            )
            print(json.dumps(rows[-1]), flush=True)
    return rows


def main() -> None:
    """Run, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two clips, few frames")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    pin_numerics()
    names = available()[:2] if given.quick else available()
    rows = [row for name in names for row in measured(name, 9 if given.quick else 17)]
    result = {"numerics": profile(torch.device("cpu")), "rows": rows}
    given.out.write_text(json.dumps(result, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
