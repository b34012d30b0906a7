"""Every repair on the CPU and on a CUDA device: how like the pictures are, and the time.

    python -m benchmarks.device [--width 1920] [--height 1080] [--only weave,noise] [--hands 4]

One seeded, damaged clip goes through each repair on both. Differences are given in code values
of 16 bit; seconds are per frame, best of three: on the CPU process time of one thread, on the
device wall time with everything on it finished, pictures already there. Learned enlargement is
compared with the same weights in a plain float32 loop over frames on the same device, both with
float32 products (``plain``) and as torch comes, which lets convolutions round to TF32
(``plain_tf32``). Where there is no CUDA device its columns are left out, and the result says so.
docs/deploy.md says what the figures mean.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from color.apply import BalanceOperator
from color.cdl import CDL
from color.unfade import UnfadeOperator
from media.encoding import Domain, convert
from media.frames import FrameRange
from media.passes import Operator, Window
from media.synthetic import Damage, Frames, damage_shot
from restore.dirt.apply import DirtOperator
from restore.dirt.detect import DirtOptions
from restore.flicker.apply import FlickerOperator, FrameFlicker
from restore.geometry import Placement
from restore.grain.apply import GrainOperator
from restore.grain.synth import GrainLook
from restore.grain_curve import GrainCurve
from restore.models.load import load_network
from restore.models.precision import half_pays
from restore.models.shelf import model
from restore.noise.apply import NoiseOperator
from restore.noise.efforts import EFFORTS, GUIDED
from restore.noise.guide import Guide
from restore.noise.transform import GrainModel
from restore.rebuild.apply import RebuildOperator
from restore.scratch.apply import ScratchOperator
from restore.scratch.solve import ScratchPlace
from restore.upscale.frames import FramesUpscale
from restore.upscale.network import NetworkUpscale
from restore.upscale.placed import PlacedUpscale
from restore.upscale.resample import ResampleUpscale
from restore.weave.apply import WeaveOperator
from wetgate.numerics import pin_numerics, profile

RESULTS = Path(__file__).parent / "results" / "device.json"
_CODES = 65535.0
_RUNS = 3
_MOST = 4
"""Frames of context on each side that any repair asks for."""
_FLOW = "motion is found"
Row = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A repair with parameters that give it work to do."""

    make: Callable[[torch.device], Operator]
    stays: str = ""
    """What of it is done on the CPU whatever the device."""


def cases() -> Mapping[str, Case]:
    """Every repair there is, by name."""
    return {
        "flicker": Case(_flicker),
        "weave": Case(lambda _: WeaveOperator(dict.fromkeys(_numbers(), (0.37, -1.21)))),
        "weave, turned": Case(
            lambda _: WeaveOperator(
                dict.fromkeys(_numbers(), (0.37, -1.21)), dict.fromkeys(_numbers(), 0.11)
            )
        ),
        "scratches": Case(_scratches),
        "dirt, network": Case(
            lambda device: DirtOperator(0.008, DirtOptions(), half=half_pays(device)),
            f"{_FLOW}, pieces are judged and covered",
        ),
        "dirt, rules": Case(
            lambda _: DirtOperator(0.008, DirtOptions(detector="rules")),
            f"{_FLOW}, pieces are judged and covered",
        ),
        "rebuild": Case(lambda _: RebuildOperator({0: 0.5}), _FLOW),
        **{f"noise, {name}": Case(_guided(name), _FLOW) for name in GUIDED},
        **{f"noise, {name}, no weights": Case(_noise(name), _FLOW) for name in EFFORTS},
        "grain": Case(_grain, "the grain is drawn"),
        "enlarged x2": Case(lambda _: ResampleUpscale(2)),
        "enlarged and placed x2": Case(
            lambda _: PlacedUpscale(2, dict.fromkeys(_numbers(), Placement(0.37, -1.21, 0.11)))
        ),
        "enlarged from frames x2": Case(lambda _: FramesUpscale(2), _FLOW),
        **{
            f"enlarged by {name}": Case(lambda device, name=name: learned(name, half_pays(device)))  # type: ignore[misc]
            for name in LEARNED
        },
        "color, CDL": Case(lambda _: BalanceOperator(_BALANCE, FrameRange(-_MOST, _MOST + 1))),
        "fade": Case(lambda _: UnfadeOperator(_UNFADE, (0.01, -0.02, 0.0))),
    }


LEARNED = ("compact-x2", "compact-x4")
_BALANCE = CDL((1.1, 1.0, 0.95), (0.01, 0.0, 0.0), (1.05, 1.0, 0.97), 0.9)
_UNFADE = ((1.3, -0.1, 0.0), (-0.08, 1.2, -0.05), (0.0, -0.2, 1.4))


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--width", type=int, default=1920)
    parser.add_argument("--height", type=int, default=1080)
    parser.add_argument("--only", default="", help="names that begin so, separated by commas")
    parser.add_argument("--hands", type=int, default=1, help="repairs tried on the CPU at once")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    pin_numerics()
    size = (given.height, given.width)
    names = [n for n in cases() if any(n.startswith(o) for o in given.only.split(","))]
    device = torch.device("cuda") if torch.cuda.is_available() else None
    rows: list[Row] = []
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max(1, given.hands), mp_context=spawn) as pool:
        # What takes longest first: they are waited for together.
        order = sorted(names, key=lambda n: not n.startswith(("enlarged", "noise")))
        waiting = {n: pool.submit(on_the_cpu, n, size) for n in order}
        made = {n: waiting[n].result() for n in names}
    for name in names:
        seconds, pixels, touch = made.pop(name)
        row: Row = {"repair": name, "cpu_s": round(seconds, 4)}
        if device is not None:
            try:
                row |= on_the_device(name, size, device, pixels, touch)
            except (RuntimeError, ValueError, TypeError) as error:
                # One repair that fails must not hide what the others do.
                row["failed"] = f"{type(error).__name__}: {error}"[:400]
        rows.append(row)
        print("  ".join(f"{k} {v}" for k, v in row.items()), flush=True)
    result = {
        "schema": 1,
        "size": [given.width, given.height],
        "cpu": profile(torch.device("cpu")),
        "device": profile(device) if device is not None else "no CUDA device here",
        "torch": torch.__version__,
        "rows": rows,
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def on_the_cpu(
    name: str, size: tuple[int, int]
) -> tuple[float, NDArray[np.float32], NDArray[np.uint8]]:
    """Seconds of a frame, its pixels and its touch plane."""
    pin_numerics()
    operator = cases()[name].make(torch.device("cpu"))
    window = window_for(operator, clip(*size))
    operator(_corner(window))  # compiled on first use
    started = time.process_time()
    done = operator(window)
    seconds = time.process_time() - started
    return seconds, done.pixels.numpy(), done.touch.numpy()


def on_the_device(
    name: str,
    size: tuple[int, int],
    device: torch.device,
    expected: NDArray[np.float32],
    touch: NDArray[np.uint8],
) -> Row:
    """How far the device's picture lies off, whether it comes twice, and how long it takes."""
    case = cases()[name]
    operator = case.make(device)
    window = window_for(operator, clip(*size))
    there = replace(window, pixels=window.pixels.to(device), touch=window.touch.to(device))
    first = operator(there)
    off = _off(first.pixels, torch.from_numpy(expected).to(device))
    marks = float((first.touch != torch.from_numpy(touch).to(device)).float().mean())
    again = operator(there)
    same = torch.equal(first.pixels, again.pixels) and torch.equal(first.touch, again.touch)
    del again
    torch.cuda.reset_peak_memory_stats(device)
    seconds = best(lambda: operator(there))
    row: Row = {
        "device_s": round(seconds, 5),
        **off,
        "touch_differs": round(marks, 7),
        "same_bits_twice": same,
        "device_memory_mb": round(torch.cuda.max_memory_allocated(device) / 2**20),
        "on_the_cpu": case.stays,
    }
    for known in LEARNED:
        if name.endswith(known):
            row |= against_a_plain_loop(known, there.pixels, seconds)
    return row


def against_a_plain_loop(name: str, pixels: Tensor, ours_s: float) -> Row:
    """The same weights, float32, one frame at a time, nothing around them."""
    network = load_network(model(name), commercial=False).to(pixels.device)
    shown = convert(pixels, Domain.LOG_DENSITY, Domain.DISPLAY)

    def loop() -> Tensor:
        with torch.inference_mode():
            made: Tensor = network(shown)
            return made

    plain = best(loop)
    with _as_torch_comes():
        rounded = best(loop)
    return {
        "plain_s": round(plain, 5),
        "plain_tf32_s": round(rounded, 5),
        "times_faster": round(plain / ours_s, 2),
        "times_faster_than_tf32": round(rounded / ours_s, 2),
    }


@contextmanager
def _as_torch_comes() -> Iterator[None]:
    cudnn = torch.backends.cudnn
    cudnn.allow_tf32, cudnn.deterministic = True, False
    try:
        yield
    finally:
        pin_numerics()


def best(work: Callable[[], object]) -> float:
    """Shortest of a few runs, seconds, once what it asked of the device is done."""
    work()
    seconds = []
    for _ in range(_RUNS):
        torch.cuda.synchronize()
        started = time.perf_counter()
        work()
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def window_for(operator: Operator, pixels: Tensor) -> Window:
    """The frames an operator asks for around frame 0, in its domain."""
    r = operator.radius
    part = pixels[_MOST - r : _MOST + r + 1]
    window = Window.whole(part, range(-r, r + 1))
    return replace(window, pixels=convert(part, Domain.LOG_DENSITY, operator.domain))


@cache
def clip(height: int, width: int) -> Tensor:
    """(9, 3, H, W) film log: moving texture with the usual damage, frames -4 to 4."""
    count, rim = 2 * _MOST + 1, 16
    base = torch.randn((1, 3, height + 96, width + 96), generator=torch.Generator().manual_seed(5))
    fine = torch.nn.functional.avg_pool2d(base, 5, 1, 2)
    coarse = torch.nn.functional.avg_pool2d(base, 31, 1, 15)
    smooth = (0.3 * fine + 2.0 * coarse)[0].numpy()
    clean: Frames = np.float32(0.45) + np.stack(
        [
            smooth[:, 16 + k : 16 + k + height + rim, 16 + 2 * k : 16 + 2 * k + width + rim]
            for k in range(count)
        ]
    )
    damaged, _ = damage_shot(clean, Damage(dirt_per_frame=20.0), seed=7, margin_px=rim // 2)
    return torch.from_numpy(damaged).contiguous()


def _corner(window: Window) -> Window:
    """A small part, for what is done once."""
    size = 128
    pixels = window.pixels[..., :size, :size].contiguous()
    return replace(
        window,
        pixels=pixels,
        touch=window.touch[..., :size, :size].contiguous(),
        size_px=(pixels.shape[-2], pixels.shape[-1]),
    )


def _off(made: Tensor, expected: Tensor) -> Row:
    apart = (made - expected).abs().mul_(_CODES)
    return {
        "largest_code16": round(float(apart.max()), 4),
        "rms_code16": round(float(apart.square().mean().sqrt()), 5),
        "share_over_one_code16": round(float((apart > 1.0).float().mean()), 7),
    }


def _numbers() -> range:
    return range(-_MOST, _MOST + 1)


def _flicker(_: torch.device) -> Operator:
    grid = tuple(tuple(0.01 * (i + j) for j in range(8)) for i in range(6))
    frame = FrameFlicker(
        (0.1, 0.08, 0.12), (0.02, 0.03, 0.02), (0.01, 0.01, 0.0), grid, (grid,) * 3
    )
    return FlickerOperator(dict.fromkeys(_numbers(), frame), 0.42)


def _scratches(_: torch.device) -> Operator:
    lines = tuple(
        ScratchPlace(x_px=40.3 + 20.0 * k, width_px=2.0, top_px=0, bottom_px=10**5, strength=0.03)
        for k in range(3)
    )
    return ScratchOperator(dict.fromkeys(_numbers(), lines))


def _noise(effort: str) -> Callable[[torch.device], Operator]:
    curve, grain = GrainCurve.flat((0.012,) * 3), GrainModel.white(3)
    return lambda _: NoiseOperator(curve, grain, 1.0, 0.35, EFFORTS[effort])


def _guided(effort: str) -> Callable[[torch.device], Operator]:
    curve, grain = GrainCurve.flat((0.012,) * 3), GrainModel.white(3)
    name, how = GUIDED[effort]
    return lambda device: NoiseOperator(
        curve, grain, 1.0, 0.35, how, Guide(name, half_pays(device))
    )


def _grain(_: torch.device) -> Operator:
    lags = np.arange(8)
    near = np.exp(-(lags[:, None] ** 2 + lags[None] ** 2) / 2.0)
    curve = GrainCurve((0.1, 0.5, 0.9), ((0.004, 0.01, 0.005),) * 3)
    return GrainOperator(GrainLook(curve, near, 0.5 + 0.5 * np.eye(3)), 0.5, 17)


def learned(name: str, half: bool) -> NetworkUpscale:
    """A model of the shelf as a job runs it."""
    card = model(name)
    return NetworkUpscale(load_network(card, commercial=False), card, half and card.half_allowed)


if __name__ == "__main__":
    main()
