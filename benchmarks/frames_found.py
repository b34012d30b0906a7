"""Destroyed, torn and spliced frames put into real clips: which are found, and what else is.

    python -m benchmarks.frames_found [--out results/frames_found.json]

Each clip is looked at as ingest looks at it, clean, and with one kind of damage at a time at three
places; damage is seeded. A run counts as found when exactly its frames are found as damage, and
as wrongly taken where a flash is called damage or anything is found on clean frames.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from benchmarks.detail_clips import CLIPS, F32, available
from benchmarks.detail_ours import film_log
from media.frames import FrameRange
from restore.rebuild.measure import FLASH, OTHER, Finding, FramesProbe
from restore.rebuild.solve import FramesOptions, solve_frames
from wetgate.numerics import pin_numerics

RESULTS = Path(__file__).parent / "results" / "frames_found.json"
PLACES = (5, 9, 13)
FRAMES = 24
Spoil = Callable[[F32, np.random.Generator], F32]


def _field(shape: tuple[int, ...], size_px: float, rng: np.random.Generator) -> F32:
    noise = cv2.GaussianBlur(rng.standard_normal(shape[-2:]).astype(np.float32), (0, 0), size_px)
    field: F32 = noise / noise.std()
    return field


def burnt(frame: F32, rng: np.random.Generator) -> F32:
    """Charred film around holes, over most of the frame."""
    field = _field(frame.shape, frame.shape[1] / 8, rng)
    charred = np.array([0.95, 0.6, 0.25], np.float32)[:, None, None]
    hole, core = np.clip((field + 0.6) * 4, 0, 1), np.clip((field - 0.5) * 6, 0, 1)
    around = charred + 0.1 * _field(frame.shape, 2.0, rng)
    spoilt: F32 = (frame * (1 - hole) + hole * around) * (1 - core) + core * np.float32(0.98)
    return spoilt


def torn(frame: F32, rng: np.random.Generator) -> F32:
    """A corner is gone: bare light."""
    h, w = frame.shape[1:]
    y, x = np.mgrid[0:h, 0:w]
    edge = w * rng.uniform(0.55, 0.8) + rng.uniform(0.2, 0.6) * y + 2 * np.sin(y / 3.0)
    spoilt: F32 = np.where(x > edge, np.float32(1.0), frame)
    return spoilt


def cement(frame: F32, rng: np.random.Generator) -> F32:
    """A light, uneven band along the bottom."""
    spoilt, rows = frame.copy(), int(frame.shape[1] * rng.uniform(0.05, 0.12))
    spoilt[:, -rows:] = 0.85 + 0.03 * _field((rows, frame.shape[2]), 2.0, rng)
    return spoilt


def tape(frame: F32, rng: np.random.Generator) -> F32:
    """A flat, darker band along the top through which some picture shows."""
    spoilt, rows = frame.copy(), int(frame.shape[1] * rng.uniform(0.08, 0.16))
    spoilt[:, :rows] = 0.3 * spoilt[:, :rows] + 0.05
    return spoilt


KINDS: dict[str, tuple[Spoil, tuple[int, ...]]] = {
    "fogged": (lambda f, _: (0.05 * f + 0.5).astype(np.float32), (1, 3)),
    "overexposed": (lambda f, _: np.clip(f + 0.75, None, 1.0), (1, 3)),
    "blank": (lambda f, _: np.full_like(f, 0.1), (1, 3)),
    "burnt": (burnt, (1, 3)),
    "torn": (torn, (1,)),
    "splice, cement": (cement, (1,)),
    "splice, tape": (tape, (1,)),
    "flash of light": (lambda f, _: np.clip(f + 0.2, None, 1.0), (1, 3)),
    "even": (lambda f, _: np.full_like(f, f.mean()), (1, 3)),
}
ENDS = ("fogged", "overexposed", "even", "burnt", "torn")
"""What one side alone is asked for: an even black frame is how shots end."""


def seen(name: str) -> F32:
    """(T, 3, h, w) film log of a clip as ingest looks at it, with grain."""
    clip = CLIPS[name]
    rng = np.random.default_rng(6)
    frames = []
    for frame in film_log(clip.load(clip.path, FRAMES)):
        h, w = frame.shape[-2:]
        step = max(1, w // 144)
        small = [cv2.resize(p, (w // step, h // step), interpolation=cv2.INTER_AREA)
                 for p in frame.numpy()]  # fmt: skip
        frames.append(np.stack(small))
    clean = np.stack(frames)
    noisy: F32 = clean + 0.005 * rng.standard_normal(clean.shape).astype(np.float32)
    return noisy


def found(frames: F32) -> tuple[list[Finding], float]:
    """What the probe says, and its seconds a frame."""
    probe = FramesProbe()
    started = time.process_time()
    for number, frame in enumerate(frames):
        probe.observe(number, torch.from_numpy(np.ascontiguousarray(frame)))
    return probe.findings(), (time.process_time() - started) / len(frames)


def measured(name: str) -> list[dict[str, Any]]:
    """Rows of one clip."""
    clean = seen(name)
    said, seconds = found(clean)
    rows: list[dict[str, Any]] = [
        {"clip": name, "kind": "clean", "frames": len(clean), "taken": len(said),
         "ms_per_frame": round(1000 * seconds, 2)}
    ]  # fmt: skip
    for kind, (spoil, runs) in KINDS.items():
        for run in runs:
            hit = taken = tried = 0
            for place in PLACES:
                if place + run + 1 > len(clean):
                    continue
                rng = np.random.default_rng((place, run))
                frames = clean.copy()
                for k in range(place, place + run):
                    frames[k] = spoil(frames[k], rng)
                both = [f for f in found(frames)[0] if f.sides == "both"]
                damage = [f for f in both if f.kind not in (FLASH, OTHER)]
                tried += 1
                right = [(f.first, f.last) for f in damage] == [(place, place + run - 1)]
                hit += right if kind != "flash of light" else not damage
                taken += sum(not place <= f.first <= f.last < place + run for f in damage)
            rows.append({"clip": name, "kind": kind, "run": run, "tried": tried,
                         "right": int(hit), "taken": int(taken)})  # fmt: skip
    rows += at_ends(name, clean)
    for row in rows:
        print(json.dumps(row), flush=True)
    return rows


def at_ends(name: str, clean: F32) -> list[dict[str, Any]]:
    """Rows of the first and the last frames of a clip."""
    rows: list[dict[str, Any]] = []
    shot = FrameRange(0, len(clean))
    size_px = (int(clean.shape[2]), int(clean.shape[3]))
    for kind in (*ENDS, "flash of light"):
        spoil, _ = KINDS[kind]
        for run in (1,) if kind == "torn" else (1, 2, 3):
            hit = taken = 0
            for first in (0, len(clean) - run):
                rng = np.random.default_rng((first, run))
                frames = clean.copy()
                for k in range(first, first + run):
                    frames[k] = spoil(frames[k], rng)
                said = solve_frames(found(frames)[0], shot, size_px, FramesOptions())
                damage = {v.frame for v in said if v.kind not in (FLASH, OTHER)}
                wanted = set(range(first, first + run)) if kind in ENDS else set()
                hit += damage == wanted
                taken += len(damage - wanted)
            rows.append({"clip": name, "kind": f"{kind}, at an end", "run": run, "tried": 2,
                         "right": hit, "taken": taken})  # fmt: skip
    return rows


def main() -> None:
    """Run, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    pin_numerics()
    rows = [row for name in available() for row in measured(name)]
    given.out.write_text(json.dumps({"rows": rows}, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
