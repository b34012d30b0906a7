"""The whole default chain on mixed damage, against a chain of FFmpeg filters.

    python -m benchmarks.surface_chain [--quick] [--out FILE]

Flicker, weave, grain, dirt and scratches are laid on two real clips; every repair is at its
default, color is left alone. PSNR and SSIM are those of display codes against the clean clip,
where both show it; the level of the shot belongs to the balance, so one gain a channel is taken
out of all alike. Processor time is that of everything: measuring, deciding, rendering.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.detail_peers import by_ffmpeg, installed
from benchmarks.steady_clips import CLIPS, load, load_pan
from benchmarks.steady_vidstab import installed as vidstab_installed
from benchmarks.steady_vidstab import stabilised
from benchmarks.surface_peers import as_codes, as_film_log
from color.stats import ColorProbe
from media.frames import FrameRange
from media.log_planes import PlaneFrame
from media.pictures import all_own
from media.reel import SegmentKind, Shot
from media.synthetic import Damage, Frames, damage_shot
from wetgate.chain import build_chain
from wetgate.config import Project
from wetgate.executor import ShotRenderer
from wetgate.numerics import profile
from wetgate.size import Size
from wetgate.stages.analyse import TRIALS, measure
from wetgate.stages.propose import propose_shot

RESULTS = Path(__file__).parent / "results" / "surface_chain.json"
F32 = NDArray[np.float32]
_MARGIN, _RIM_PX = 8, 12
_MIXED = replace(
    Damage(),
    flicker_stops=0.15,
    flicker_local_stops=0.08,
    weave_px=(1.2, 0.9),
    grain_sigma=0.015,
    dirt_per_frame=8.0,
    scratches=3,
)
_NO_GRAIN_KEPT = Project.model_validate(
    {"title": "mixed", "reels": (), "restore": {"grain": {"amount": 0.0}}}
)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="12 frames")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    frames = 12 if given.quick else 36
    rows = {}
    for name, camera in (("dog", load_pan), ("bikes", load), ("bunny", load)):
        if CLIPS[name].path.exists():
            scene = camera(name, frames)
            rows[f"{name}{', pan' if camera is load_pan else ''}"] = _clip(scene)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    result = {"schema": 1, "frames": frames, "clips": rows}
    given.out.write_text(json.dumps(result, indent=1) + "\n", "utf-8")


def _clip(scene: Frames) -> dict[str, dict[str, float]]:
    damaged, _ = damage_shot(scene, _MIXED, 5, _MARGIN)
    clean = scene[:, :, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    megapixels = damaged[:, 0].size / 1e6
    rows = {"input": _figures(damaged, clean, 0.0)}
    began = time.process_time()
    ours = restored(damaged)
    rows["Wetgate"] = _figures(ours, clean, (time.process_time() - began) / megapixels)
    began = time.process_time()
    ours = restored(damaged, _NO_GRAIN_KEPT)
    cost = (time.process_time() - began) / megapixels
    rows["Wetgate, no grain kept"] = _figures(ours, clean, cost)
    if installed():
        rows |= _peers(damaged, clean, megapixels)
    for row, figures in rows.items():
        print(row, figures, flush=True)
    return rows


def _peers(damaged: Frames, clean: Frames, megapixels: float) -> dict[str, dict[str, float]]:
    """deflicker, vid.stab and a denoiser, as they are strung together."""
    even = by_ffmpeg(as_codes(damaged), "deflicker=s=25:m=am")
    frames, seconds = as_film_log(even.frames), even.seconds
    if vidstab_installed():
        steady = stabilised(frames, "shakiness=4:accuracy=15", "smoothing=4:optzoom=0")
        frames, seconds = steady.frames, seconds + steady.seconds
    rows = {}
    for name, setting in (
        ("FFmpeg, fftdnoiz", "format=gbrp16,fftdnoiz=sigma=12:block=32:overlap=0.5"),
        ("FFmpeg, median and fftdnoiz", "format=gbrp16,tpad=start=1:stop=1:start_mode=clone:"
         "stop_mode=clone,tmedian=radius=1,fftdnoiz=sigma=12:block=32:overlap=0.5"),
    ):  # fmt: skip
        done = by_ffmpeg(as_codes(frames), setting)
        cost = (seconds + done.seconds) / megapixels
        rows[name] = _figures(as_film_log(done.frames), clean, cost)
    return rows


def restored(scan: Frames, project: Project | None = None) -> Frames:
    """A shot through the default chain: measured, decided, rendered."""
    project = project or Project(title="mixed", reels=())
    numbers = FrameRange(1000, 1000 + len(scan))
    shot = Shot(id="R1_0010", reel="R1", frames=numbers, kind=SegmentKind.SHOT)
    pictures = all_own(numbers)

    def read(number: int) -> torch.Tensor:
        return torch.from_numpy(scan[number - 1000])

    wanted = frozenset({"weave", "overscan", "flicker", "scratch", "color", "grain"})
    wanted |= {t for t in TRIALS if t.endswith(project.restore.dirt.detector)}
    color = ColorProbe(None, frozenset(), len(scan))
    evidence = measure(
        lambda number: PlaneFrame(read(number)), pictures, project.analyse.width_px, color, wanted
    )
    decisions = propose_shot(project, shot, evidence, pictures)
    as_scanned = (scan.shape[-2], scan.shape[-1])
    chain = build_chain(
        project,
        shot,
        decisions,
        None,
        None,
        baked=False,
        numerics=profile(torch.device("cpu")),
        size=Size(as_scanned, 1, as_scanned),
    )
    renderer = ShotRenderer(shot.id, pictures, read, chain)
    return np.stack([renderer.frame(n).pixels.numpy() for n in numbers])


def _figures(found: Frames, clean: Frames, cost: float) -> dict[str, float]:
    inner = (slice(None), slice(_RIM_PX, -_RIM_PX), slice(_RIM_PX, -_RIM_PX))
    a, b = as_codes(found)[inner], as_codes(clean)[inner]
    gain = (a * b).sum(axis=(0, 1, 2)) / np.square(a).sum(axis=(0, 1, 2))
    a = np.clip(a * gain, 0.0, 1.0).astype(np.float32)
    squared = float(np.square(a - b).mean(dtype=np.float64))
    ssim = float(np.mean([_ssim(x, y) for x, y in zip(a[..., 1], b[..., 1], strict=True)]))
    return {
        "psnr_db": round(float(-10.0 * np.log10(squared)), 2),
        "ssim": round(ssim, 4),
        "s_per_mp": round(cost, 3),
    }


def _ssim(a: F32, b: F32) -> float:
    """Wang et al. 2004, Gaussian window of 1.5 px, codes 0..1."""

    def soft(x: F32) -> F32:
        smooth: F32 = cv2.GaussianBlur(x, (11, 11), 1.5)
        return smooth

    ma, mb = soft(a), soft(b)
    va, vb, both = soft(a * a) - ma * ma, soft(b * b) - mb * mb, soft(a * b) - ma * mb
    upper = (2 * ma * mb + 1e-4) * (2 * both + 9e-4)
    lower = (ma * ma + mb * mb + 1e-4) * (va + vb + 9e-4)
    return float((upper / lower).mean())


if __name__ == "__main__":
    main()
