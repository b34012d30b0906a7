"""Learned enlargement against known truth, and the time it takes, in one run.

    python -m benchmarks.learned [--quick] [--out results/learned.json]

Every model on the shelf is run: those that come with Wetgate, and those brought in with
``wetgate models get`` or ``import``. Stills are reduced by two kernels and enlarged again, by the
model and by bicubic; PSNR in RGB and in luma (BT.601, 16..235), 8 px of rim left out. Recurrent
models get a clip, as a whole and in the blocks the executor makes. Seconds are processor time of
one thread per megapixel of the result; "plain loop" is the same weights run as Real-ESRGAN's
script runs them: float32, one frame at a time, as the network comes. docs/models.md says what the
figures mean.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from media.frames import FrameRange
from media.passes import Window
from media.pictures import all_own
from restore.models.architectures import Time
from restore.models.card import ModelCard
from restore.models.load import load_network
from restore.models.precision import half_pays
from restore.models.shelf import models
from restore.upscale.kernels import Kernel
from restore.upscale.network import NetworkUpscale
from restore.upscale.sampling import reduce
from wetgate.numerics import pin_numerics, profile

RESULTS = Path(__file__).parent / "results" / "learned.json"
_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
STILLS = _DATA / "images" / "kodak24"
CLIP = _DATA / "clean_video" / "reds_demo_000"
_LUMA = torch.tensor([65.481, 128.553, 24.966]).view(1, 3, 1, 1) / 255
_FRAMES = 21
KERNELS: tuple[Kernel, ...] = ("area", "bicubic")
Row = dict[str, Any]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="four stills, nine frames")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    pin_numerics()
    rows: list[Row] = []
    for card in models():
        if card.network.time is Time.FRAME:
            rows += on_stills(card, pictures(STILLS, 4 if given.quick else 99))
        else:
            rows += on_a_clip(card, pictures(CLIP, 9 if given.quick else _FRAMES))
    for row in rows:
        print("  ".join(f"{k} {v}" for k, v in row.items()))
    result = {
        "schema": 1,
        "quick": given.quick,
        "half_precision_in_hardware": half_pays(torch.device("cpu")),
        "numerics": profile(torch.device("cpu")),
        "rows": rows,
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def pictures(folder: Path, most: int) -> list[Tensor]:
    """(1, 3, H, W) display codes, 0..1, cut to sizes that divide by 16."""
    found = []
    for path in sorted(folder.glob("*.png"))[:most]:
        picture = cv2.imread(str(path))
        if picture is not None:
            h, w = (n - n % 16 for n in picture.shape[:2])
            values = picture[:h, :w, ::-1].astype(np.float32).transpose(2, 0, 1) / 255
            found.append(torch.from_numpy(np.ascontiguousarray(values))[None])
    return found


def on_stills(card: ModelCard, truth: list[Tensor]) -> list[Row]:
    """Quality under two kernels, full and half; time against a plain loop."""
    rows = []
    network = load_network(card, commercial=False)
    for kernel in KERNELS:
        given = [reduced(t, card.scale, kernel) for t in truth]
        if not given:
            continue
        plain = [F.interpolate(g, scale_factor=card.scale, mode="bicubic") for g in given]
        loop = timed(network, given, card.scale)
        row: Row = {
            "model": card.name,
            "kernel": kernel,
            "stills": len(truth),
            "bicubic_db": mean_psnr(plain, truth),
            "bicubic_luma_db": mean_psnr(plain, truth, luma=True),
        }
        for half in (False, True) if card.half_allowed else (False,):
            run = NetworkUpscale(network, card, half)
            out = timed(partial(by_operator, run), given, card.scale)
            mark = "half" if half else "full"
            row |= {
                f"{mark}_db": mean_psnr(out[0], truth),
                f"{mark}_luma_db": mean_psnr(out[0], truth, luma=True),
                f"{mark}_s_per_mp": out[1],
            }
        row["plain_loop_s_per_mp"] = loop[1]
        best = row["half_s_per_mp"] if "half_s_per_mp" in row else row["full_s_per_mp"]
        row["times_faster"] = round(loop[1] / best, 2)
        rows.append(row)
    return rows


def by_operator(run: NetworkUpscale, frame: Tensor) -> Tensor:
    """One frame through the operator, color lock and all."""
    return run(Window.whole(frame, (0,))).pixels


def on_a_clip(card: ModelCard, truth: list[Tensor]) -> list[Row]:
    """A clip at once, and in the executor's blocks."""
    if not truth:
        return []
    frames = torch.cat(truth)
    given = reduced(frames, card.scale, "bicubic")
    plain = F.interpolate(given, scale_factor=card.scale, mode="bicubic")
    network = load_network(card, commercial=False)
    row: Row = {
        "model": card.name,
        "kernel": "bicubic",
        "frames": len(truth),
        "bicubic_db": psnr(plain, frames),
    }
    for half in (False, True) if card.half_allowed else (False,):
        run = NetworkUpscale(network, card, half)
        began = time.process_time()
        blocks = in_blocks(run, given)
        spent = time.process_time() - began
        with torch.inference_mode():
            whole = network(given[None])[0] if not half else blocks
        mark = "half" if half else "full"
        row[f"{mark}_blocks_db"] = psnr(blocks, frames)
        row[f"{mark}_s_per_mp"] = round(spent / (frames[:, 0].numel() / 1e6), 2)
        if not half:
            row["full_whole_db"] = psnr(whole, frames)
    return [row]


def in_blocks(run: NetworkUpscale, given: Tensor) -> Tensor:
    """As the executor walks a shot."""
    shot = all_own(FrameRange(0, len(given)))
    size, made = run.needs.block_frames, []
    for first in range(0, len(given), size):
        numbers = shot.block(first, size, run.radius)
        made.append(run(Window.whole(given[list(numbers)], numbers)).pixels)
    return torch.cat(made)


def timed(
    run: Callable[[Tensor], Tensor], given: list[Tensor], scale: int
) -> tuple[list[Tensor], float]:
    """Results, and processor seconds per megapixel of them; the first run is not counted."""
    with torch.inference_mode():
        run(given[0])
        began = time.process_time()
        made = [run(g) for g in given]
        spent = time.process_time() - began
    pixels = sum(g[0, 0].numel() for g in given) * scale * scale
    return made, round(spent / (pixels / 1e6), 3)


def reduced(truth: Tensor, scale: int, kernel: Kernel) -> Tensor:
    """Smaller, as a 16-bit file holds it."""
    return torch.round(reduce(truth, scale, kernel).clamp(0, 1) * 65535) / 65535


def mean_psnr(made: list[Tensor], truth: list[Tensor], *, luma: bool = False) -> float:
    """Mean over pictures, dB."""
    return round(
        float(np.mean([psnr(m, t, luma=luma) for m, t in zip(made, truth, strict=True)])), 2
    )


def psnr(made: Tensor, truth: Tensor, *, luma: bool = False) -> float:
    """Of all frames together, 8 px of rim left out, dB."""
    error = made.clamp(0, 1) - truth
    if luma:
        error = (error * _LUMA).sum(dim=1)
    square = float(error[..., 8:-8, 8:-8].square().mean())
    return round(-10 * math.log10(max(square, 1e-12)), 2)


if __name__ == "__main__":
    main()
