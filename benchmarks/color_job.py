"""How long ``wetgate prebalance`` takes against a full restore of the same title."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.color_clips import available, closer, frame, grade, scan
from media.reel import PictureFormat
from media.write import to_codes, write_frame
from wetgate.launch import launch, launch_prebalance
from wetgate.project import load_project

_FORMAT = PictureFormat(width=1280, height=720, channels=3, bits=10)
_FRAMES, _FIRST = 16, 86400


def prebalance_against_run() -> dict[str, Any]:
    """Two reels of four shots, 720p, 10-bit DPX; wall seconds of both in one run, one worker."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        reels = [_reel(root / f"R{k}", k) for k in (1, 2)]
        sets = ["render.workers=1", "policy.max_repaired_share=0.4", "color.match.max_offset=0.12"]
        timed: dict[str, float] = {}
        for what in ("prebalance", "run"):
            started = time.perf_counter()
            if what == "prebalance":
                project = load_project(
                    reels, preset="prebalance", sets=sets, encoding="cineon", rate="24"
                )
                files = len(launch_prebalance(project, root / what, quiet=True).files)
            else:
                project = load_project(reels, sets=sets, encoding="cineon", rate="24")
                launch(project, root / what, quiet=True)
            timed[what] = time.perf_counter() - started
    return {
        "frames": 2 * 4 * _FRAMES,
        "prebalance_s": round(timed["prebalance"], 1),
        "run_s": round(timed["run"], 1),
        "times_faster": round(timed["run"] / timed["prebalance"], 1),
        "files": files,
    }


def _reel(folder: Path, reel: int) -> str:
    """Shots of the scenes that are there, each with a grade; the second reel frames closer."""
    folder.mkdir()
    number = _FIRST * reel
    for k, name in enumerate([n for n in available() if n != "cars"][:4]):
        rng = np.random.default_rng(10 * reel + k)
        for at in range(_FRAMES):
            picture = frame(name, at)
            picture = closer(picture) if reel == 2 and k % 2 else picture
            large = cv2.resize(picture, (1280, 720), interpolation=cv2.INTER_CUBIC)
            grained = scan(large, grade(40 * reel + k)) + rng.normal(0.0, 0.006, large.shape)
            codes = to_codes(grained.astype(np.float32), _FORMAT).astype(np.uint16)
            path = folder / f"R{reel}.{number:07d}.dpx"
            write_frame(path, codes, _FORMAT, "dpx", frame=number, durable=False)
            number += 1
    return str(folder)
