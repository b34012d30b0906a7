"""CPU seconds per megapixel-frame of each operator, and of one decode and one write.

``python -m benchmarks.render [--width 1024] [--height 778]`` prints a table and writes
benchmarks/results/render.json. Each figure is the best of three runs in one process, one thread,
process time; all come from one run, so their ratios mean something on any machine.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from color.apply import BalanceOperator
from color.cdl import CDL
from media.frames import FrameRange
from media.passes import Operator, Window
from media.synthetic import Damage, Frames, damage_shot
from restore.dirt.apply import DirtOperator
from restore.dirt.detect import DirtOptions
from restore.flicker.apply import FlickerOperator, FrameFlicker
from restore.grain_curve import GrainCurve
from restore.noise.apply import NoiseOperator
from restore.noise.transform import GrainModel
from restore.upscale.resample import ResampleUpscale
from restore.weave.apply import WeaveOperator
from wetgate.numerics import pin_numerics, profile

RESULTS = Path(__file__).parent / "results" / "render.json"
_RUNS = 3


def operators() -> list[Operator]:
    """One of each, with parameters that make it work."""
    grid = tuple(tuple(0.01 * (i + j) for j in range(8)) for i in range(6))
    frames = range(-8, 9)
    return [
        WeaveOperator(dict.fromkeys(frames, (0.37, -1.21))),
        FlickerOperator(
            dict.fromkeys(
                frames,
                FrameFlicker((0.1, 0.08, 0.12), (0.02, 0.03, 0.02), (0.01, 0.01, 0.0), grid),
            ),
            0.42,
        ),
        DirtOperator(0.008, DirtOptions()),
        NoiseOperator(GrainCurve.flat((0.012,) * 3), GrainModel.white(3), 1.0, 0.35),
        ResampleUpscale(2),
        BalanceOperator(CDL((1.1, 1.0, 0.95), (0.01, 0.0, 0.0)), FrameRange(-8, 9)),
    ]


def picture(width: int, height: int) -> torch.Tensor:
    """(17, 3, H, W) film log: moving texture with grain and dirt."""
    base = torch.randn((1, 3, height + 96, width + 96), generator=torch.manual_seed(5))
    smooth = torch.nn.functional.avg_pool2d(base, 9, 1, 4)[0].numpy().astype(np.float32)
    clean: Frames = np.float32(0.45) + np.stack(
        [smooth[:, 16 + k : 16 + k + height + 16, 16 + k : 16 + k + width + 16] for k in range(17)]
    )
    damaged, _ = damage_shot(clean, Damage(), seed=7)
    return torch.from_numpy(damaged)


def best(work: Callable[[], object]) -> float:
    """Smallest process time of a few runs, seconds."""
    seconds = []
    for _ in range(_RUNS):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return min(seconds)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--height", type=int, default=778)
    arguments = parser.parse_args()
    pin_numerics()
    pixels = picture(arguments.width, arguments.height)
    megapixels = arguments.width * arguments.height / 1e6
    figures = {}
    for operator in operators():
        span = slice(8 - operator.radius, 9 + operator.radius)
        window = Window.whole(pixels[span], range(-operator.radius, operator.radius + 1))
        figures[operator.name] = round(best(lambda o=operator, w=window: o(w)) / megapixels, 3)  # type: ignore[misc]
        print(f"{operator.name:10} {figures[operator.name]:8.3f} s per megapixel-frame")
    result = {
        "schema": 1,
        "size": [arguments.width, arguments.height],
        "numerics": profile(torch.device("cpu")),
        "seconds_per_megapixel_frame": figures,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
