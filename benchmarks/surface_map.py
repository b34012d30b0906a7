"""Dirt found by a defect map that a scanner would have given, and repaired with it.

    python -m benchmarks.surface_map [--quick] [--out FILE]

The clips and the real dirt of ``benchmarks.surface``. The plane lies 1.3 and 2.6 px off, has a
crosstalk of 0.05 from the picture and noise of 0.6 % (``media.synthetic_map``).
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.surface import SIGMA
from benchmarks.surface_clips import available, load, with_dirt, with_grain
from benchmarks.surface_measures import found as found_of
from benchmarks.surface_measures import repaired
from media.frames import FrameRange
from media.passes import Mark
from media.pictures import all_own
from media.synthetic_map import F32, infrared
from restore.defects.masks import defect_mask
from restore.defects.measure import DefectProbe
from restore.defects.solve import solve_defects
from restore.dirt.apply import DirtOperator
from restore.dirt.detect import DirtOptions
from restore.models.precision import half_pays
from wetgate.executor import ShotRenderer
from wetgate.numerics import pin_numerics

RESULTS = Path(__file__).parent / "results" / "surface_map.json"
SEED = 3
_LOOKED_AT = 16
Masks = NDArray[np.bool_]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="eight frames of each clip")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    pin_numerics()
    rows = {}
    for name in available():
        sound = with_grain(load(name, 8 if given.quick else 24), SEED)
        dirty, dirt = with_dirt(sound, SEED)
        rows[name] = {**map_scores(dirty, dirt), **_with_map(sound, dirty, dirt)}
        print(name, rows[name], flush=True)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps({"schema": 1, "clips": rows}, indent=1) + "\n", "utf-8")


def _with_map(sound: F32, dirty: F32, dirt: Masks) -> dict[str, float]:
    """What is touched, and how it comes out, where the map and motion are used together."""
    known, _, _ = masks_by_map(dirty, infrared(dirty, dirt, 9))
    half = half_pays(torch.device("cpu"))
    operator = DirtOperator(SIGMA, DirtOptions(max_area_share=1.0), half=half)
    renderer = ShotRenderer(
        "s0001",
        all_own(FrameRange(0, len(dirty))),
        lambda n: torch.from_numpy(dirty[n]),
        [operator],
        marks=lambda n: torch.from_numpy(known[n].astype(np.uint8) * np.uint8(Mark.DAMAGED)),
    )
    done = [renderer.frame(n) for n in range(len(dirty))]
    touched = np.stack([d.touch.numpy() > 0 for d in done])
    figures = asdict(found_of(touched, dirt))
    figures |= asdict(repaired(np.stack([d.pixels.numpy() for d in done]), dirty, sound, dirt))
    return {f"repaired_{k}": round(v, 5) for k, v in figures.items()}


def masks_by_map(frames: F32, planes: F32) -> tuple[Masks, str, float]:
    """(T, H, W) what the map calls damaged, why it was refused if it was, seconds of masking.

    frames: (T, C, H, W) film log. planes: (T, H, W) 0..1, dirt is dark.
    """
    probe = DefectProbe(bright=False)
    pictures = [torch.from_numpy(np.ascontiguousarray(f)) for f in frames]
    for k in range(0, len(frames), max(1, -(-len(frames) // _LOOKED_AT))):
        probe.observe(
            k, pictures[k], planes[k], [*pictures[max(k - 1, 0) : k], *pictures[k + 1 : k + 2]]
        )
    fit = solve_defects(probe.finish(), frames.shape[1])
    started = time.process_time()
    found = [defect_mask(f, p, fit, bright=False)[0] for f, p in zip(frames, planes, strict=True)]
    return np.stack(found), "" if fit.applied else fit.reason, time.process_time() - started


def map_scores(frames: F32, dirt: Masks, seed: int = 9, rim_px: int = 2) -> dict[str, float | str]:
    """F1 of the masks, precision with ``rim_px`` around dirt allowed; false area; cost.

    frames: (T, C, H, W) damaged film log. dirt: (T, H, W) pixels that dirt visibly changed.
    """
    found, refused, seconds = masks_by_map(frames, infrared(frames, dirt, seed))
    square = np.ones((2 * rim_px + 1,) * 2, np.uint8)
    near = np.stack([cv2.dilate(m.astype(np.uint8), square) > 0 for m in dirt])
    recall = float((found & dirt).sum()) / max(int(dirt.sum()), 1)
    precision = float((found & near).sum()) / max(int(found.sum()), 1)
    return {
        "f1": round(2 * recall * precision / max(recall + precision, 1e-9), 4),
        "recall": round(recall, 4),
        "precision": round(precision, 4),
        "false_area_share": round(float((found & ~near).mean()), 6),
        "s_per_mp": round(seconds / (dirt.size / 1e6), 3),
        "refused": refused,
    }


if __name__ == "__main__":
    main()
