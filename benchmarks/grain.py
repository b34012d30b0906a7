"""Grain taken out and made again, against the grain that was there.

    python -m benchmarks.grain [--quick] [--out results/grain.json]

Clean clips get seeded grain; it is measured, taken out with nothing kept, and made again in full
from the measure. What was made is compared with what had been laid on, in film log: strength by
level, radial power spectrum, kurtosis, likeness of one frame's grain to the next's. The AV1 table
of the same measure is checked through libaom and dav1d where FFmpeg has both.
docs/grain.md says what the figures mean.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.detail_clips import CLIPS, F32, Grain, available, with_grain
from benchmarks.detail_ours import film_log, grain_evidence
from benchmarks.detail_peers import PACKAGE, installed
from media.frames import FrameRange
from media.pictures import all_own
from restore.grain.apply import GrainOperator
from restore.grain.av1 import entry, table_text
from restore.models.precision import half_pays
from wetgate.chain import grain_look, noise_operator
from wetgate.decisions import GrainDecision, NoiseDecision
from wetgate.executor import ShotRenderer
from wetgate.numerics import pin_numerics, profile
from wetgate.stages.propose import measured_noise

RESULTS = Path(__file__).parent / "results" / "grain.json"
MOVING = ("pan", "bikes", "park")
"""The animation of ``benchmarks.detail`` is too dark: what was laid on is clipped away."""
KINDS = (Grain(8.0, 0.0), Grain(8.0, 0.6), Grain(8.0, 1.0), Grain(16.0, 1.0))
_FLOOR_DB = -20.0
"""Bands that hold less than this of the strongest band's power are not compared."""
_BANDS = 12
Row = dict[str, Any]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="one kind of grain")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    pin_numerics()
    rows = []
    for name in available(MOVING):
        clean = CLIPS[name].load(CLIPS[name].path, 10)
        for kind in KINDS[1:2] if given.quick else KINDS:
            rows.append({"clip": name, "grain": kind.name, "sigma": kind.sigma,
                         **made_again(clean, kind)})  # fmt: skip
            print("  ".join(f"{k} {v}" for k, v in rows[-1].items()), flush=True)
    result = {
        "schema": 1,
        "clips": {n: CLIPS[n].what for n in available(MOVING)},
        "numerics": profile(torch.device("cpu")),
        "rows": rows,
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def made_again(clean: F32, kind: Grain) -> Row:
    """One clip with one kind of grain through the whole way."""
    noisy = with_grain(clean, kind)
    before = film_log(noisy)
    evidence = grain_evidence(before)
    noise = NoiseDecision(applied=True, guide="network", **measured_noise(evidence))
    decided = GrainDecision(
        kept=1.0,
        source="made",
        seed=5,
        autocorrelation=tuple(tuple(row) for row in evidence["autocorrelation"]),
    )
    look = grain_look(noise, decided)
    without = _rendered(before, [noise_operator(noise, 0.0, half=half_pays(torch.device("cpu")))])
    started = time.process_time()
    again = _rendered(without, [GrainOperator(look, 1.0, 5)])
    seconds = time.process_time() - started
    truth = _stacked(before) - _stacked(film_log(clean))
    made = _stacked(again) - _stacked(without)
    level = _stacked(film_log(clean))
    codes = clean[:, 16:-16, 16:-16].transpose(0, 3, 1, 2)
    sound: NDArray[np.bool_] = np.logical_and(codes > 0.04, codes < 0.96)
    flat: NDArray[np.bool_] = np.logical_and(sound, _flattest(level, sound))
    return {
        "variance_ratio_flat": _by_level(made, truth, level, flat),
        "variance_ratio": _by_level(made, truth, level, sound),
        "spectrum_off_db": _spectrum_off_db(made, truth, sound),
        "kurtosis": [round(_kurtosis(v), 2) for v in (truth, made)],
        "from_frame_to_frame": round(_frame_to_frame(made), 4),
        "lag_one": [round(_lag_one(v), 3) for v in (truth, made)],
        "channels": [round(_channels(v), 3) for v in (truth, made)],
        "s_per_mp": round(seconds / (made[:, 0].size / 1e6), 3),
        **_ledger(evidence, grain_evidence(again)),
        **(_decoded(look, noise) if installed() else {}),
    }


def _ledger(before: Any, after: Any) -> Row:  # noqa: ANN401 - evidence
    ratio = [a / b for a, b in zip(after["sigma"], before["sigma"], strict=True)]
    return {"measured_again": round(float(np.mean(ratio)), 3)}


def _rendered(frames: list[torch.Tensor], chain: list[Any]) -> list[torch.Tensor]:
    shot = FrameRange(1, len(frames) + 1)
    renderer = ShotRenderer("clip", all_own(shot), lambda n: frames[n - 1], chain)
    return [renderer.frame(n).pixels for n in shot]


def _stacked(frames: list[torch.Tensor]) -> F32:
    """(T, C, H, W), the rim left out."""
    found: F32 = torch.stack(frames)[..., 16:-16, 16:-16].numpy()
    return found


def _flattest(level: F32, sound: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where the clean picture is flat: the flattest quarter of the sound blocks of 16 px."""
    h, w = level.shape[-2:]
    size = 16
    cut = level[..., : h - h % size, : w - w % size].mean(axis=1)
    blocks = cut.reshape(len(level), h // size, size, w // size, size)
    rough = blocks.std(axis=(2, 4))
    usable: NDArray[np.bool_] = np.asarray(sound.all(axis=1))[..., : h - h % size, : w - w % size]
    usable = usable.reshape(blocks.shape).mean(axis=(2, 4)) > 0.9
    limit = np.quantile(rough[usable], 0.25) if usable.any() else 0.0
    chosen = (usable & (rough <= limit)).repeat(size, axis=1).repeat(size, axis=2)
    found = np.zeros((len(level), 1, h, w), np.bool_)
    found[:, 0, : chosen.shape[1], : chosen.shape[2]] = chosen
    return found


def _by_level(made: F32, truth: F32, level: F32, wanted: NDArray[np.bool_]) -> float | None:
    """Mean over levels of the ratio of variances, weighted by how much picture they hold."""
    wanted = np.broadcast_to(wanted, level.shape)
    if wanted.sum() < 1000:
        return None
    edges = np.quantile(level[wanted], np.linspace(0.0, 1.0, 9))
    total, weight = 0.0, 0
    for low, high in pairwise(edges):
        inside = wanted & (level >= low) & (level <= high)
        if inside.sum() > 1000:
            total += float(made[inside].var() / truth[inside].var()) * int(inside.sum())
            weight += int(inside.sum())
    return round(total / weight, 3) if weight else None


def _power(grain: F32, sound: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(bands,) mean power by distance from the middle of the spectrum, of windows of 128 px."""
    size = 128
    h, w = grain.shape[-2:]
    hann = np.outer(np.hanning(size), np.hanning(size))
    total = np.zeros((size, size))
    for top in range(0, h - size + 1, size):
        for left in range(0, w - size + 1, size):
            part = grain[..., top : top + size, left : left + size].reshape(-1, size, size)
            if sound[..., top : top + size, left : left + size].mean() < 0.6:
                continue
            total += np.square(np.abs(np.fft.fft2(part * hann))).mean(axis=0)
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size)))
    band = np.minimum((f / 0.5 * _BANDS).astype(int), _BANDS)
    counts = np.bincount(band.ravel(), minlength=_BANDS + 1)
    found: NDArray[np.float64] = np.bincount(band.ravel(), total.ravel())[:_BANDS] / counts[:_BANDS]
    return found


def _spectrum_off_db(made: F32, truth: F32, sound: NDArray[np.bool_]) -> float | None:
    """Largest difference of a band of both spectra, each of unit power; None where too much of
    every window is black or clipped."""
    one, other = (_power(v, sound) for v in (made, truth))
    if not other.any():
        return None
    one, other = one / one.mean() + 1e-12, other / other.mean() + 1e-12
    seen = 10.0 * np.log10(other / other.max()) > _FLOOR_DB
    return round(float(np.abs(10.0 * np.log10(one / other))[seen].max()), 2)


def _kurtosis(grain: F32) -> float:
    values = grain[:, 1].astype(np.float64)
    # By level: grain of several strengths together is never Gaussian.
    middle = np.square(values) < np.quantile(np.square(values), 0.9999)
    values = values[middle]
    return float((values**4).mean() / np.square(values).mean() ** 2)


def _frame_to_frame(grain: F32) -> float:
    pairs = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in pairwise(grain)]
    return float(np.abs(pairs).max())


def _lag_one(grain: F32) -> float:
    values = grain[:, 1].astype(np.float64)
    return float((values[..., 1:] * values[..., :-1]).mean() / np.square(values).mean())


def _channels(grain: F32) -> float:
    return float(np.corrcoef(grain[:, 0].ravel(), grain[:, 1].ravel())[0, 1])


def _decoded(look: Any, noise: NoiseDecision) -> Row:  # noqa: ANN401 - GrainLook
    """Strength of luma grain that a real decoder lays on grey, over what the table says."""
    del noise
    binary = importlib.import_module(PACKAGE).get_ffmpeg_exe()
    made = entry(look, 1.0, 1, 7, 0, 10**15)
    w, h, count = 352, 288, 4
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        there = Path(folder)
        (there / "t.tbl").write_text(table_text([made]), "utf-8")
        for grey in (80, 130, 180):
            planes = [np.full(w * h, grey, np.uint8), np.full(w * h // 2, 128, np.uint8)]
            (there / "in.yuv").write_bytes(np.concatenate(planes).tobytes() * count)
            raw = ["-f", "rawvideo", "-pix_fmt", "yuv420p"]
            encode = [binary, "-v", "error", "-y", *raw, "-s", f"{w}x{h}", "-i", "in.yuv",
                      "-c:v", "libaom-av1", "-crf", "10", "-cpu-used", "8",
                      "-aom-params", "film-grain-table=t.tbl", "o.mkv"]  # fmt: skip
            decode = [binary, "-v", "error", "-y", "-c:v", "libdav1d", "-i", "o.mkv", *raw, "o.yuv"]
            for command in (encode, decode):
                if subprocess.run(command, cwd=there, capture_output=True).returncode:
                    return {}
            data = np.frombuffer((there / "o.yuv").read_bytes(), np.uint8).reshape(count, -1)
            ratios.append(float(data[:, : w * h].std()) / made.sigma(0, grey))
    return {"av1_decoded_over_table": round(float(np.mean(ratios)), 3)}


if __name__ == "__main__":
    main()
