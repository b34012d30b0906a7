"""The whole default chain on mixed damage, against a chain of FFmpeg filters.

    python -m benchmarks.surface_chain [--quick] [--mix usual|heavy] [--clip NAME] [--out FILE]

Flicker, weave, grain, dirt and scratches are laid on real clips; every repair is at its
default, color is left alone. What is measured is said in ``benchmarks.surface_chain_measures``.
Processor time is that of everything, measuring, deciding and rendering; what is compiled once is
not counted.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.detail_peers import by_ffmpeg, installed
from benchmarks.steady_clips import CLIPS, load, load_pan, load_sway
from benchmarks.steady_vidstab import installed as vidstab_installed
from benchmarks.steady_vidstab import stabilised
from benchmarks.surface_chain_measures import figures, parts
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
from wetgate.numerics import pin_numerics, profile
from wetgate.size import Size
from wetgate.stages.analyse import TRIALS, measure
from wetgate.stages.propose import propose_shot

RESULTS = Path(__file__).parent / "results" / "surface_chain.json"
_MARGIN = 8
_SCENES = {
    "dog, pan": ("dog", load_pan),
    "bikes": ("bikes", load),
    "bunny": ("bunny", load),
    "coffee": ("coffee", load),
    "blocks, sway": ("blocks", load_sway),
}
_HEAVY = replace(
    Damage(),
    flicker_stops=0.15,
    flicker_local_stops=0.08,
    weave_px=(1.2, 0.9),
    grain_sigma=0.015,
    dirt_per_frame=8.0,
    scratches=3,
)
_USUAL = replace(_HEAVY, flicker_stops=0.10, flicker_local_stops=0.043, weave_px=(0.54, 0.36))
"""Flicker of 7 % and 3 %, weave as at 576 lines; grain of 8 codes of 255 and dirt as heavy."""
_MIXES = {"usual": _USUAL, "heavy": _HEAVY}
_NO_GRAIN_KEPT = Project.model_validate(
    {"title": "mixed", "reels": (), "restore": {"grain": {"amount": 0.0}}}
)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="12 frames")
    parser.add_argument("--mix", choices=sorted(_MIXES), action="append")
    parser.add_argument("--clip", choices=sorted(_SCENES), action="append")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    pin_numerics()
    frames = 12 if given.quick else 36
    there = [n for n in given.clip or _SCENES if CLIPS[_SCENES[n][0]].path.exists()]
    mixes = dict[str, dict[str, dict[str, dict[str, float]]]]()
    for mix in given.mix or _MIXES:
        mixes[mix] = {}
        for name in there:
            print(mix, name, flush=True)
            clip, camera = _SCENES[name]
            mixes[mix][name] = _clip(camera(clip, frames), _MIXES[mix])
    given.out.parent.mkdir(parents=True, exist_ok=True)
    result = {"schema": 3, "frames": frames, "mixes": mixes}
    given.out.write_text(json.dumps(result, indent=1) + "\n", "utf-8")


def _clip(scene: Frames, mix: Damage) -> dict[str, dict[str, float]]:
    damaged, truth = damage_shot(scene, mix, 5, _MARGIN)
    clean = scene[:, :, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    megapixels = damaged[:, 0].size / 1e6
    rows = {"input": figures(damaged, clean)}
    restored(damaged[:8])
    for row, project in (("Wetgate", None), ("Wetgate, no grain kept", _NO_GRAIN_KEPT)):
        began = time.process_time()
        ours = restored(damaged, project)
        cost = (time.process_time() - began) / megapixels
        rows[row] = figures(ours, clean) | {"s_per_mp": round(cost, 3)}
    rows["if perfect"] = parts(ours, clean, truth.dirt | truth.scratches)
    if installed():
        rows |= _peers(damaged, clean, megapixels)
    for row, told in rows.items():
        print(row, told, flush=True)
    return rows


def _peers(damaged: Frames, clean: Frames, megapixels: float) -> dict[str, dict[str, float]]:
    """deflicker, vid.stab and a denoiser, as they are strung together."""
    even = by_ffmpeg(as_codes(damaged), f"deflicker=s={min(25, len(damaged))}:m=am")
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
        rows[name] = figures(as_film_log(done.frames), clean) | {"s_per_mp": round(cost, 3)}
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


if __name__ == "__main__":
    main()
