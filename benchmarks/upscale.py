"""Enlargement against known truth, and against peers in the same run.

    python -m benchmarks.upscale [--quick] [--vapoursynth PYTHON] [--out results/upscale.json]

Pictures are reduced by two or four (and by 1.5, 1.875 and 8/3, which is made good from twice
the size by one resample more), as a sensor's pixels do (area) or as files are scaled down
(bicubic, antialiased), left clean or given noise or film-like grain, and enlarged again. PSNR in
RGB codes and in luma (BT.601, 16..235), 8 px of rim left out. Clips too: there several frames are
compared with single ones, and change along the motion of the truth is measured. Seconds are
processor time per megapixel of the result, one thread: of the operator for ours (in film log, as
in the line; conversion left out), of the whole process for peers. docs/upscale.md says what the
figures mean.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import torch
from torch import Tensor

from benchmarks.detail_clips import CLIPS, F32, Grain, available, psnr_db, with_grain
from benchmarks.detail_ours import film_log, grain_evidence, shown
from benchmarks.upscale_peers import peers
from media.frames import FrameRange
from media.passes import Operator
from media.pictures import all_own
from restore.models.load import load_network
from restore.models.precision import half_pays
from restore.models.shelf import model
from restore.upscale.fit import FitOperator
from restore.upscale.fitting import fit
from restore.upscale.frames import FramesUpscale
from restore.upscale.kernels import Kernel
from restore.upscale.measure import change_along_motion
from restore.upscale.network import NetworkUpscale
from restore.upscale.resample import ResampleUpscale
from restore.upscale.sampling import reduce
from wetgate.chain import noise_operator
from wetgate.decisions import NoiseDecision
from wetgate.executor import ShotRenderer
from wetgate.numerics import pin_numerics, profile
from wetgate.stages.propose import measured_noise

RESULTS = Path(__file__).parent / "results" / "upscale.json"
STILLS = Path(__file__).resolve().parents[2] / "shared" / "data" / "images" / "kodak24"
MOVING = ("reds", "pan", "bikes", "park")
KERNELS: tuple[Literal["area", "bicubic"], ...] = ("area", "bicubic")
SIZES = (1.5, 1.875, 8 / 3)
"""Of the truth over the reduced picture: 1.875 makes 3840 px of 2048, 8/3 of 1440."""
CLEAN = Grain(0.0, 0.0)
DIRTY = (Grain(8.0, 0.0), Grain(8.0, 0.6), Grain(8.0, 1.0))
_LUMA = np.array([65.481, 128.553, 24.966], np.float32) / 255.0
Row = dict[str, Any]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="clean pictures only, x2")
    parser.add_argument("--vapoursynth", type=Path, help="a Python that has VapourSynth, znedi3")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    pin_numerics()
    cv2.setNumThreads(1)
    ours_alone(np.zeros((1, 32, 32, 3), np.float32), ResampleUpscale(2))  # compiles
    grains = (CLEAN,) if given.quick else (CLEAN, *DIRTY)
    rows: list[Row] = []
    truth = stills()
    for scale in (2,) if given.quick else (2, 4):
        for grain in grains if len(truth) else ():
            for kernel in KERNELS:
                rows += measured("stills", truth, scale, kernel, grain, given.vapoursynth)
        for name in available(MOVING):
            clip = CLIPS[name].load(CLIPS[name].path, 11)
            for grain in grains:
                for kernel in KERNELS if grain is CLEAN else KERNELS[:1]:
                    rows += measured(name, cut(clip, 8), scale, kernel, grain, given.vapoursynth)
    rows += sized_rows(truth, quick=given.quick)
    result = {
        "schema": 1,
        "quick": given.quick,
        "clips": {n: CLIPS[n].what for n in available(MOVING)},
        "stills": f"{len(truth)} of the Kodak set",
        "numerics": profile(torch.device("cpu")),
        "means": means(rows),
        "rows": rows,
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def stills() -> F32:
    """(N, 512, 768, 3) display codes; upright pictures are turned."""
    found = []
    for path in sorted(STILLS.glob("*.png")):
        picture = cv2.imread(str(path))
        if picture is None:
            continue
        lying = picture if picture.shape[0] < picture.shape[1] else np.rot90(picture)
        found.append(lying[..., ::-1].astype(np.float32) / 255.0)
    return np.stack(found) if found else np.zeros((0, 512, 768, 3), np.float32)


def cut(frames: F32, multiple: int) -> F32:
    """Without a rest that does not divide."""
    h, w = frames.shape[1:3]
    return frames[:, : h - h % multiple, : w - w % multiple]


def reduced(truth: F32, scale: int, kernel: Kernel, grain: Grain) -> F32:
    """As a 16-bit file holds it."""
    planes = torch.from_numpy(np.ascontiguousarray(truth.transpose(0, 3, 1, 2)))
    small = reduce(planes, scale, kernel).numpy().transpose(0, 2, 3, 1)
    if grain.sigma:
        return with_grain(np.ascontiguousarray(np.clip(small, 0.0, 1.0)), grain)
    return as_stored(small)


def as_stored(small: F32) -> F32:
    """Clean codes as a 16-bit file holds them."""
    small = np.ascontiguousarray(np.clip(small, 0.0, 1.0))
    found: F32 = (np.rint(small * 65535.0) / 65535.0).astype(np.float32)
    return found


def measured(
    name: str, truth: F32, scale: int, kernel: Kernel, grain: Grain, vapoursynth: Path | None
) -> list[Row]:
    """Ours and peers on one set of pictures."""
    small = reduced(truth, scale, kernel, grain)
    size = (truth.shape[1], truth.shape[2])
    head = {
        "clip": name, "scale": scale, "kernel": kernel, "frames": len(truth),
        "grain": grain.name if grain.sigma else "clean", "sigma": grain.sigma,
    }  # fmt: skip
    moving = name != "stills"
    operators: dict[str, Operator] = {"Wetgate lanczos": ResampleUpscale(scale)}
    if grain is CLEAN:
        operators["Wetgate lanczos, kernel told"] = ResampleUpscale(scale, kernel=kernel)
    if moving:
        operators["Wetgate frames"] = FramesUpscale(scale)
    outputs = {k: ours_alone(small, op) for k, op in operators.items()}
    if moving and grain.sigma and scale == 2:
        # As the line does it: grain is measured and taken out first.
        half = half_pays(torch.device("cpu"))
        cleaner = noise_operator(measured_grain(small), 0.0, half=half)
        outputs["Wetgate noise, frames"] = ours_alone(small, cleaner, operators["Wetgate frames"])
    outputs |= {k: (o.frames, o.seconds) for k, o in peers(small, size, vapoursynth)}
    return rows_of(head, truth, outputs)


def sized_rows(truth: F32, *, quick: bool) -> list[Row]:
    """Clean pictures brought to sizes that no whole enlargement makes."""
    rows = []
    for ratio in SIZES[:1] if quick else SIZES:
        for kernel in KERNELS if len(truth) else ():
            rows += sized("stills", truth, ratio, kernel)
    for name in () if quick else available(MOVING):
        rows += sized(name, cut(CLIPS[name].load(CLIPS[name].path, 11), 8), SIZES[0], "area")
    return rows


def sized(name: str, truth: F32, ratio: float, kernel: Literal["area", "bicubic"]) -> list[Row]:
    """Twice the size and then to that of the truth, against peers straight to it."""
    size = (truth.shape[1], truth.shape[2])
    planes = torch.from_numpy(np.ascontiguousarray(truth.transpose(0, 3, 1, 2)))
    less = (round(size[0] / ratio), round(size[1] / ratio))
    small = as_stored(fit(planes, less, kernel).numpy().transpose(0, 2, 3, 1))
    head = {
        "clip": name, "scale": round(ratio, 3), "kernel": kernel, "frames": len(truth),
        "grain": "clean", "sigma": 0.0,
    }  # fmt: skip
    operators: dict[str, Operator] = {
        "Wetgate lanczos": ResampleUpscale(2),
        "Wetgate lanczos, kernel told": ResampleUpscale(2, kernel=kernel),
    }
    if name != "stills":
        operators["Wetgate frames"] = FramesUpscale(2)
    else:
        card = model("compact-x2" if ratio <= 2 else "compact-x4")
        half = card.half_allowed and half_pays(torch.device("cpu"))
        network = load_network(card, commercial=True)
        operators[f"Wetgate {card.name}"] = NetworkUpscale(network, card, half)
        if ratio > 2:
            operators["Wetgate lanczos, from four times"] = ResampleUpscale(4)
    outputs = {k: ours_alone(small, op, FitOperator(size)) for k, op in operators.items()}
    outputs |= {k: (o.frames, o.seconds) for k, o in peers(small, size, None)}
    return rows_of(head, truth, outputs)


def rows_of(head: Row, truth: F32, outputs: Mapping[str, tuple[F32, float]]) -> list[Row]:
    """What each method came to, against the truth."""
    moving = head["clip"] != "stills"
    megapixels = truth[..., 0].size / 1e6
    log = torch.stack(film_log(truth)) if moving else torch.empty(0)
    rows = []
    for method, (frames, seconds) in outputs.items():
        row: Row = {
            **head,
            "method": method,
            "psnr_db": round(typical_db(frames, truth, moving), 2),
            "luma_psnr_db": round(typical_db(frames @ _LUMA, truth @ _LUMA, moving), 2),
            "s_per_mp": round(seconds / megapixels, 3),
        }
        if moving and method.startswith(("Wetgate", "znedi3", "FFmpeg lanczos")):
            shown_log = torch.stack(film_log(np.clip(frames, 0.0, 1.0)))
            row["change_along_motion"] = round(change_along_motion(shown_log, log), 5)
            row["error_along_motion"] = round(change_along_motion(shown_log - log, log), 5)
        rows.append(row)
        print("  ".join(str(v) for v in row.values()), flush=True)
    return rows


def typical_db(frames: F32, truth: F32, moving: bool) -> float:
    """Of a clip as a whole; of stills the mean over the pictures, as they are published."""
    if moving:
        return psnr_db(frames, truth)
    return float(np.mean([psnr_db(f[None], t[None]) for f, t in zip(frames, truth, strict=True)]))


def measured_grain(small: F32) -> NoiseDecision:
    """What the line decides from what it measures."""
    evidence = grain_evidence(film_log(small))
    return NoiseDecision(applied=True, guide="network", **measured_noise(evidence))


def ours_alone(small: F32, *operators: Operator) -> tuple[F32, float]:
    """(T, H, W, 3) codes through operators, as the line does it, and their seconds."""
    frames = film_log(small)
    shot = FrameRange(1, len(frames) + 1)
    renderer = ShotRenderer("clip", all_own(shot), lambda n: frames[n - 1], operators)
    started = time.process_time()
    done: list[Tensor] = [renderer.frame(n).pixels for n in shot]
    seconds = time.process_time() - started
    return np.stack([shown(p) for p in done]), seconds


def means(rows: list[Row]) -> list[Row]:
    """Over the clips, by method, scale, kernel and grain; stills are a mean already."""
    groups: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        if row["clip"] != "stills":
            key = tuple(row[k] for k in ("method", "scale", "kernel", "grain"))
            groups.setdefault(key, []).append(row)
    found = []
    for (method, scale, kernel, grain), members in groups.items():
        row = {"method": method, "scale": scale, "kernel": kernel, "grain": grain}
        row["clips"] = len(members)
        for name in ("psnr_db", "s_per_mp", "change_along_motion", "error_along_motion"):
            if name in members[0]:
                row[name] = round(float(np.mean([m[name] for m in members])), 5)
        found.append(row)
    return found


if __name__ == "__main__":
    main()
