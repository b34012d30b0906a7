"""Does the planted trial say beforehand what is found?

    python -m benchmarks.surface_trial [--quick] [--out FILE]

Real pieces of dirt are laid on clean, grainy clips. The trial sees the dirty clip and plants
drawn dirt and moving things in copies of it; what it says is set beside what is then found of the
real dirt, at the same strength. What is found depends on what lies where, by up to 0.2 on ten
frames: it is the mean of three layers of dirt, the trial's own among them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from benchmarks.surface import SEED, SIGMA, rendered
from benchmarks.surface_clips import available, load, with_dirt, with_grain
from benchmarks.surface_measures import found
from restore.dirt.apply import DirtOperator
from restore.dirt.detect import DirtOptions
from restore.dirt.trial import STRENGTHS, TrialProbe, choose
from restore.models.precision import half_pays

RESULTS = Path(__file__).parent / "results" / "surface_trial.json"
_LEVELS = (0.35, 0.9)
_BUDGET = 0.15
_SEEDS = (SEED, 11, 12)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="ten frames of each clip")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = {name: _clip(name, 10 if given.quick else 24) for name in available()}
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps({"schema": 1, "clips": rows}, indent=1) + "\n", "utf-8")


def _clip(name: str, frames: int) -> dict[str, object]:
    half = half_pays(torch.device("cpu"))
    sound = with_grain(load(name, frames), SEED)
    layers = [with_dirt(sound, seed) for seed in _SEEDS]
    dirty = layers[0][0]
    probe = TrialProbe("network", len(dirty), half=half)
    for k, frame in enumerate(dirty):
        probe.observe(k, torch.from_numpy(frame))
    told = probe.finish()
    recall, false = told["recall"], told["false_removed"]
    assert isinstance(recall, list)
    assert isinstance(false, list)
    row: dict[str, object] = {}
    for level in _LEVELS:
        at = STRENGTHS["network"].index(level)
        options = DirtOptions(level=level, max_area_share=1.0)
        operator = DirtOperator(SIGMA, options, half=half)
        there = [found(rendered(operator, d)[1], truth).recall for d, truth in layers]
        row[f"at {level}"] = {
            "predicted": recall[at],
            "true": round(float(np.mean(there)), 4),
            "true_by_layer": [round(r, 4) for r in there],
            "moving_taken": false[at],
        }
    chosen = choose(told, _BUDGET, 0.35)
    row["chosen"] = chosen.strength
    print(name, row, flush=True)
    return row


if __name__ == "__main__":
    main()
