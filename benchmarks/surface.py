"""Dirt on real clips, found and covered by Wetgate and by its peers.

    python -m benchmarks.surface [--quick] [--ours] [--vapoursynth PYTHON] [--out FILE]

Real pieces of dirt are laid on clean, grainy clips from a seed; what they visibly change is the
truth. Detectors get the same motion-compensated frames; whole tools get the same pictures. On the
clean clip nothing may be taken. What is loaded or compiled once is not counted as processor time.
docs/surface.md says what the figures mean.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.detail_peers import Output, by_ffmpeg, installed
from benchmarks.surface_clips import (
    CLIPS,
    available,
    load,
    with_dirt,
    with_dust,
    with_grain,
    with_pairs,
)
from benchmarks.surface_measures import found, repaired
from benchmarks.surface_peers import (
    DETECTORS,
    FFMPEG,
    VAPOURSYNTH,
    as_codes,
    as_film_log,
    by_vapoursynth,
)
from media.frames import FrameRange
from media.passes import Operator
from media.pictures import all_own
from restore.dirt.apply import DirtOperator
from restore.dirt.detect import DirtOptions
from restore.models.precision import half_pays
from wetgate.executor import ShotRenderer
from wetgate.numerics import pin_numerics

RESULTS = Path(__file__).parent / "results" / "surface.json"
F32 = NDArray[np.float32]
Done = tuple[F32, NDArray[np.bool_]]
Tools = dict[str, Callable[[F32], Output]]
Peers = Callable[[], Tools]
SIGMA = 0.0075
"""Grain of the luma on these clips, as ``GrainProbe`` measures it."""
SEED = 3
_HARDER_FRAMES = 10


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="eight frames of each clip")
    parser.add_argument("--ours", action="store_true", help="peers as the file has them")
    parser.add_argument("--vapoursynth", type=Path, help="a Python that has it")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    pin_numerics()
    frames = 8 if given.quick else 24
    peers = None if given.ours else partial(_peers, vapoursynth=given.vapoursynth)
    kept = json.loads(given.out.read_text("utf-8"))["clips"] if given.ours else {}
    clips = {n: kept.get(n, {}) | _clip(n, frames, peers) for n in available()}
    result = {"schema": 1, "frames": frames, "means": _means(clips), "clips": clips}
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=1) + "\n", "utf-8")


def _clip(name: str, frames: int, peers: Peers | None) -> dict[str, dict[str, float]]:
    clean = load(name, frames)
    sound = with_grain(clean, SEED)
    dirty, truth = with_dirt(sound, SEED)
    rows: dict[str, dict[str, float]] = {}

    def entered(row: str, out: F32, mask: NDArray[np.bool_], on_clean: float, cost: float) -> None:
        figures = asdict(found(mask, truth)) | asdict(repaired(out, dirty, sound, truth))
        rows[row] = {k: round(v, 5) for k, v in figures.items()}
        rows[row] |= {"on_clean": round(on_clean, 6), "s_per_mp": round(cost, 3)}
        told = "  ".join(f"{k} {v:.4g}" for k, v in rows[row].items())
        print(f"{name:8s} {row:22s} {told}", flush=True)

    megapixels = dirty[:, 0].size / 1e6
    for row, options in OURS.items():
        operator = DirtOperator(SIGMA, options, half=half_pays(torch.device("cpu")))
        rendered(operator, dirty[:3])
        (out, mask), cost = _timed(partial(rendered, operator, dirty))
        _, on_clean = rendered(operator, sound)
        entered(row, out, mask, float(on_clean.mean()), cost / megapixels)
        rows[row] |= _harder(name, operator, sound[:_HARDER_FRAMES])
    if peers is None:
        return rows
    for row, detector in DETECTORS.items():
        mask, best_f1 = detector(dirty, truth)
        figures = asdict(found(mask, truth))
        rows[row] = {k: round(v, 5) for k, v in figures.items()}
        print(f"{name:8s} {row:22s} F1 {best_f1:.3f}", flush=True)
    for row, tool in peers().items():
        done, clean_done = tool(as_codes(dirty)), tool(as_codes(sound))
        out = as_film_log(done.frames)
        mask = np.abs(out - dirty).max(axis=1) > 0.02
        taken = np.abs(as_film_log(clean_done.frames) - sound).max(axis=1) > 0.02
        entered(row, out, mask, float(taken.mean()), done.seconds / megapixels)
    return rows


def _harder(name: str, operator: DirtOperator, sound: F32) -> dict[str, float]:
    """What of faint dust is found, and of dirt that lies on two frames in the same place."""
    dusty, dust = with_dust(sound, SEED)
    doubled, both = with_pairs(sound, SEED)
    of_dust = found(rendered(operator, dusty)[1], dust)
    told = {
        "dust_recall": round(of_dust.recall, 4),
        "dust_precision": round(of_dust.precision, 4),
        "on_two_frames_f1": round(found(rendered(operator, doubled)[1], both).f1, 4),
    }
    print(f"{name:8s} {told}", flush=True)
    return told


def _peers(vapoursynth: Path | None) -> Tools:
    """Whole tools by name."""
    tools: Tools = {}
    if installed():
        tools |= {r: partial(by_ffmpeg, setting=s) for r, s in FFMPEG.items()}
    if vapoursynth is not None:
        tools |= {
            r: partial(by_vapoursynth, vapoursynth, setting=s) for r, s in VAPOURSYNTH.items()
        }
    return tools


OURS = {
    "Wetgate": DirtOptions(max_area_share=0.2),
    "Wetgate, rules": DirtOptions(detector="rules", max_area_share=0.2),
}


def rendered(operator: Operator, frames: F32) -> tuple[F32, NDArray[np.bool_]]:
    """The shot through the executor: pixels, and which were marked."""
    shot = FrameRange(1000, 1000 + len(frames))
    renderer = ShotRenderer(
        "s0001", all_own(shot), lambda n: torch.from_numpy(frames[n - 1000]), [operator]
    )
    done = [renderer.frame(n) for n in shot]
    pixels = np.stack([d.pixels.numpy() for d in done])
    return pixels, np.stack([d.touch.numpy() > 0 for d in done])


def _timed(work: Callable[[], Done]) -> tuple[Done, float]:
    began = time.process_time()
    done = work()
    return done, time.process_time() - began


def _means(clips: dict[str, dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Means over the quiet and over the fast clips."""
    found: dict[str, dict[str, float]] = {}
    for kind, fast in (("quiet", False), ("fast", True)):
        names = [n for n in clips if CLIPS[n].fast == fast]
        for row in dict.fromkeys(r for n in names for r in clips[n]):
            there = [clips[n][row] for n in names if row in clips[n]]
            keys = there[0].keys()
            found[f"{kind}: {row}"] = {
                k: round(float(np.mean([t[k] for t in there if k in t])), 5) for k in keys
            }
    for row, figures in found.items():
        print(f"{row:32s} " + "  ".join(f"{k} {v:.4g}" for k, v in figures.items()))
    return found


if __name__ == "__main__":
    main()
