"""Vertical scratches on real clips, with poles of the scene beside them.

    python -m benchmarks.surface_lines [--quick] [--vapoursynth PYTHON] [--out FILE]

Four lines a shot, drawn from a seed, drift over the film; three dark or bright poles stand in the
scene and move with it. A line counts as found where its track stays within 1.5 px; a pole that is
taken counts against precision. DeScratch is measured by the pixels it changes.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.steady_clips import CLIPS, load, load_pan, load_sway, sway_px
from benchmarks.surface import rendered
from benchmarks.surface_measures import repaired
from benchmarks.surface_peers import as_codes, as_film_log, by_vapoursynth
from media.frames import FrameRange
from media.synthetic import Damage, damage_shot
from restore.dirt.lines import HiddenLine, LineCoverOperator
from restore.scratch.apply import ScratchOperator
from restore.scratch.measure import ScratchProbe
from restore.scratch.options import ScratchOptions
from restore.scratch.solve import ScratchSolution, solve_scratch

RESULTS = Path(__file__).parent / "results" / "surface_lines.json"
F32 = NDArray[np.float32]
_MARGIN = 8
_FIRST = 1000
_NEAR_PX = 1.5
_LINES = replace(
    Damage(),
    flicker_stops=0.02,
    flicker_channel_stops=0.0,
    flicker_local_stops=0.0,
    weave_px=(0.3, 0.3),
    grain_sigma=0.010,
    dirt_per_frame=2.0,
    scratches=4,
)


@dataclass(frozen=True)
class Case:
    """A shot, and how its poles move with it."""

    clip: str
    camera: Callable[[str, int], F32]
    step_px: float


CASES = (
    Case("bunny", load_pan, -2.0),
    Case("dog", load_pan, -2.0),
    Case("blocks", load_pan, -2.0),
    Case("coffee", load_pan, -2.0),
    Case("coffee", load, 0.0),
    Case("dog", load, 0.0),
    Case("bikes", load, 0.7),
    Case("blocks", load_sway, 0.0),
    Case("dog", load_sway, 0.0),
)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="24 frames of the first three")
    parser.add_argument("--vapoursynth", type=Path, help="a Python that has it")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    cases = [c for c in CASES if CLIPS[c.clip].path.exists()]
    frames = 24 if given.quick else 48
    rows = {
        f"{c.clip}, {c.camera.__name__.removeprefix('load').strip('_') or 'as shot'}": _case(
            c, frames, seed, given.vapoursynth
        )
        for seed, c in enumerate(cases[:3] if given.quick else cases)
    }
    hidden = {
        name: _hidden(c, frames, seed)
        for seed, (name, c) in enumerate(zip(rows, cases, strict=False))
    }
    drifting = {name: _drifting(c, frames) for name, c in zip(rows, cases, strict=False)}
    sums = {k: sum(r[k] for r in rows.values()) for k in ("lines", "found", "taken")}
    total = {
        "recall": round(sums["found"] / max(sums["lines"], 1), 3),
        "precision": round(sums["found"] / max(sums["taken"], 1), 3),
    }
    print(total)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    result = {"schema": 1, "frames": frames, "total": total, "shots": rows, "hidden": hidden}
    result["drifting"] = drifting
    given.out.write_text(json.dumps(result, indent=1) + "\n", "utf-8")


def _case(case: Case, frames: int, seed: int, vapoursynth: Path | None) -> dict[str, float]:
    path_px: NDArray[np.float64] = np.arange(frames, dtype=np.float64) * case.step_px
    if case.camera is load_sway:
        path_px = -sway_px(frames)[0]
    scene = with_poles(case.camera(case.clip, frames), path_px, seed)
    dirty, truth = damage_shot(scene, _LINES, seed, _MARGIN)
    sound, _ = damage_shot(scene, replace(_LINES, scratches=0), seed, _MARGIN)
    began = time.process_time()
    solution = _solved(dirty)
    out, _ = rendered(ScratchOperator(solution.places), dirty)
    cost = (time.process_time() - began) / (dirty[:, 0].size / 1e6)
    near = [_offsets(solution, centre) for centre in truth.scratch_x_px.T]
    ours = repaired(out, dirty, sound, truth.scratches)
    row: dict[str, float] = {
        "lines": truth.scratch_x_px.shape[1],
        "found": sum(min(n, default=99.0) < _NEAR_PX for n in near),
        "taken": len(solution.lines),
        "before_db": round(repaired(dirty, dirty, sound, truth.scratches).damaged_db, 2),
        "damaged_db": round(ours.damaged_db, 2),
        "sound_db": round(ours.sound_db, 2),
        "s_per_mp": round(cost, 3),
    }
    if vapoursynth is not None:
        made = by_vapoursynth(vapoursynth, as_codes(dirty), "descratch")
        peer = as_film_log(made.frames)
        changed = np.abs(peer - dirty).max(axis=1) > 0.01
        row |= {
            "descratch_recall": round(float(changed[truth.scratches].mean()), 3),
            "descratch_precision": round(
                float((changed & truth.scratches).sum() / max(int(changed.sum()), 1)), 3
            ),
            "descratch_db": round(repaired(peer, dirty, sound, truth.scratches).damaged_db, 2),
        }
    print(case.clip, case.camera.__name__, row, flush=True)
    for line in solution.rejected:
        print(f"    left: x = {line.x_px[0]:.0f}, {line.reason}")
    return row


def _hidden(case: Case, frames: int, seed: int) -> dict[str, float]:
    """Two lines under which nothing is seen, one light and one dark, that drift a little."""
    scene = case.camera(case.clip, frames)
    sound, _ = damage_shot(scene, replace(_LINES, scratches=0, dirt_per_frame=0.0), seed, _MARGIN)
    dirty, where = scraped(sound, seed)
    solution = _solved(dirty)
    hiding = {
        n: tuple(HiddenLine(p.x_px, p.width_px, p.top_px, p.bottom_px) for p in lines if p.hides)
        for n, lines in solution.places.items()
    }
    lifted, _ = rendered(ScratchOperator(solution.places), dirty)
    began = time.process_time()
    out, _ = rendered(LineCoverOperator(hiding, 0.006), lifted)
    cost = (time.process_time() - began) / (dirty[:, 0].size / 1e6)
    row = {
        "lines": 2,
        "taken": len(solution.lines),
        "before_db": round(repaired(dirty, dirty, sound, where).damaged_db, 2),
        "lifted_db": round(repaired(lifted, dirty, sound, where).damaged_db, 2),
        "covered_db": round(repaired(out, dirty, sound, where).damaged_db, 2),
        "s_per_mp": round(cost, 3),
    }
    print(case.clip, case.camera.__name__, "hidden", row, flush=True)
    return row


def _drifting(case: Case, frames: int) -> dict[str, float]:
    """Three lines that drift by 0.8 to 3 px a frame, and lean by as much: from the foot of one
    frame they go on at the head of the next."""
    scene = case.camera(case.clip, frames)
    sound, _ = damage_shot(scene, replace(_LINES, scratches=0, dirt_per_frame=0.0), 3, _MARGIN)
    dirty, where = sound.copy(), np.zeros((len(sound), *sound.shape[2:]), np.bool_)
    (h, w), x = sound.shape[2:], np.arange(sound.shape[3])
    middles = []
    for place, speed_px, strength in ((0.15, 3.0, 0.08), (0.5, -0.8, -0.07), (0.95, -2.0, 0.06)):
        middles.append(place * w + speed_px * (np.arange(frames) + 0.5))
        for k, frame in enumerate(dirty):
            centre = place * w + speed_px * (k + (np.arange(h) + 0.5) / h)
            alpha = np.clip(2.0 - np.abs(x - centre[:, None]), 0.0, 1.0).astype(np.float32)
            frame += np.float32(strength) * alpha
            where[k] |= alpha > 0.1
    solution = _solved(dirty)
    out, _ = rendered(ScratchOperator(solution.places), dirty)
    near = [_offsets(solution, middle) for middle in middles]
    row = {
        "lines": len(middles),
        "found": sum(min(n, default=99.0) < _NEAR_PX for n in near),
        "taken": len(solution.lines),
        "before_db": round(repaired(dirty, dirty, sound, where).damaged_db, 2),
        "damaged_db": round(repaired(out, dirty, sound, where).damaged_db, 2),
        "sound_db": round(repaired(out, dirty, sound, where).sound_db, 2),
    }
    print(case.clip, case.camera.__name__, "drifting", row, flush=True)
    return row


def scraped(sound: F32, seed: int) -> tuple[F32, NDArray[np.bool_]]:
    """The shot with two lines down to the base or full of dirt, and where they are."""
    rng = np.random.default_rng((seed, 4))
    frames, where = sound.copy(), np.zeros((len(sound), *sound.shape[2:]), np.bool_)
    x = np.arange(sound.shape[3])
    for place, width_px, level in ((0.3, 3.0, 0.85), (0.62, 4.0, 0.12)):
        drift_px = rng.uniform(-0.1, 0.1)
        for k, frame in enumerate(frames):
            away = np.abs(x - place * len(x) - drift_px * k)
            alpha = np.clip(width_px / 2 + 0.5 - away, 0.0, 1.0).astype(np.float32)
            base = (level + rng.normal(0.0, 0.01, sound.shape[1:3])).astype(np.float32)
            frame += (base[..., None] - frame) * alpha
            where[k] |= alpha > 0.02
    return frames, where


def with_poles(scene: F32, path_px: NDArray[np.float64], seed: int) -> F32:
    """Three upright poles, wires or window frames; path_px: (T,) how far they have moved."""
    rng = np.random.default_rng((seed, 9))
    t, _, _, w = scene.shape
    x, out = np.arange(w), scene.copy()
    for place in (0.21, 0.52, 0.83):
        width_px, level = rng.uniform(1.5, 5.0), rng.choice([0.18, 0.7])
        for k in range(t):
            away = np.abs(x - place * w - path_px[k])
            alpha = np.clip(width_px / 2 + 0.5 - away, 0.0, 1.0).astype(np.float32)
            out[k] += (np.float32(level) - out[k]) * alpha
    return out


def _solved(frames: F32) -> ScratchSolution:
    probe = ScratchProbe()
    for k, frame in enumerate(frames):
        probe.observe(_FIRST + k, torch.from_numpy(frame))
    shot = FrameRange(_FIRST, _FIRST + len(frames))
    return solve_scratch(probe.finish(), shot, ScratchOptions())


def _offsets(solution: ScratchSolution, centre: NDArray[np.float64]) -> list[float]:
    """Mean distance of each line taken from a true one, px."""
    return [
        float(np.abs(np.array(line.x_px) - centre[line.first - _FIRST :][: len(line.x_px)]).mean())
        for line in solution.lines
    ]


if __name__ == "__main__":
    main()
