"""Small damaged reels on disk, and the real program run over them."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch

from media.reel import PictureFormat
from media.synthetic import Damage, damage_shot
from media.write import AnyCodes, to_codes, write_frame
from tests.strategies import pan
from wetgate.config import Project
from wetgate.events import read_events
from wetgate.files import Folder
from wetgate.launch import launch
from wetgate.numerics import profile
from wetgate.project import load_project
from wetgate.stages.finish import Outcome

HEIGHT_PX, WIDTH_PX, MARGIN_PX = 64, 96, 8
TEN_BIT = PictureFormat(width=WIDTH_PX, height=HEIGHT_PX, channels=3, bits=10)
RATE = Fraction(24)
DAMAGE = Damage(dirt_per_frame=1.0, dirt_size_px=(2.0, 6.0), weave_px=(0.8, 0.6))
FIRST = {"R1": 86400, "R2": 172800}
SHOTS = {"R1": ((1, 8), (2, 8)), "R2": ((3, 8), (4, 8))}
"""Seed of the scene and number of frames of each shot."""

HERE = profile(torch.device("cpu"))
"""The numerics profile of a worker of the kind that runs the tests."""

PLAIN = ("render.workers=2", "policy.max_repaired_share=0.4")
"""A speck covers much of so small a frame: with the usual limit every shot would be held."""


def scene(seed: int, frames: int) -> AnyCodes:
    """(T, H, W, 3) 10-bit codes: a camera that pans over texture, with the usual damage."""
    wide = pan(seed, frames, HEIGHT_PX + 2 * MARGIN_PX, WIDTH_PX + 2 * MARGIN_PX, 0.7)
    damaged, _ = damage_shot(wide, DAMAGE, seed, MARGIN_PX)
    values = np.ascontiguousarray(damaged.transpose(0, 2, 3, 1))
    codes: AnyCodes = np.stack([to_codes(v, TEN_BIT).astype(np.uint16) for v in values])
    return codes


def put_reel(
    folder: Path,
    codes: AnyCodes | Sequence[AnyCodes],
    first: int = 1,
    *,
    fmt: PictureFormat = TEN_BIT,
    kind: str = "dpx",
    name: str = "",
) -> Path:
    """Write frames as a folder of scans, numbered from ``first``."""
    suffix = {"dpx": ".dpx", "tiff": ".tif", "png": ".png", "exr": ".exr"}[kind]
    folder.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(codes, start=first):
        write_frame(
            folder / f"{name or folder.name}.{number:07d}{suffix}",
            picture,
            fmt,
            kind,
            frame=number,
            rate=RATE,
            durable=False,
        )
    return folder


def put_title(root: Path, names: Sequence[str] = ("R1", "R2")) -> list[Path]:
    """The reels of the usual title, two shots of eight frames each."""
    return [
        put_reel(root / n, np.concatenate([scene(*shot) for shot in SHOTS[n]]), FIRST[n])
        for n in names
    ]


def put_shot_list(path: Path, spans: Sequence[tuple[int, int]], **more: str) -> Path:
    """A CSV shot list; spans are first and last frame."""
    head = ",".join(("first", "last", *more))
    lines = [",".join((str(a), str(b), *more.values())) for a, b in spans]
    path.write_text("\n".join((head, *lines)) + "\n", "utf-8")
    return path


def frame_file(reel: Path, at: int) -> Path:
    """The at-th frame file of a scan folder."""
    return sorted(reel.iterdir())[at]


def project_of(
    sources: Sequence[Path],
    *sets: str,
    only: str | None = None,
    preset: str | None = None,
    encoding: str = "cineon",
) -> Project:
    """What ``wetgate run SOURCES --encoding ... --set ...`` asks for."""
    return load_project(
        [str(s) for s in sources],
        sets=[*PLAIN, *sets],
        only=only,
        preset=preset,
        encoding=encoding,
        rate="24",
    )


def run_here(project: Project, out: Path, *, replace: bool = False) -> Outcome:
    """The real job in this process."""
    return launch(project, out, replace=replace, quiet=True)


def run_program(
    *arguments: str | Path, timeout_s: float = 120.0, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """The real program in a process of its own."""
    return subprocess.run(
        command_line(*arguments),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        cwd=cwd,
        env=environment(),
        check=False,
    )


def command_line(*arguments: str | Path) -> list[str]:
    """How to start the program."""
    return [sys.executable, "-m", "wetgate", *map(str, arguments)]


def environment() -> dict[str, str]:
    """A plain terminal, so that messages come out on one line."""
    return {**os.environ, "COLUMNS": "400", "NO_COLOR": "1", "TERM": "dumb"}


def hashes(*roots: Path) -> dict[str, str]:
    """SHA-256 of every file below some folders, by path relative to each."""
    return {
        p.relative_to(root.parent).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for root in roots
        for p in sorted(root.rglob("*"))
        if p.is_file()
    }


def result(out: Path) -> dict[str, str]:
    """What must be the same after every way to the same job: pictures, touch, manifest."""
    found = hashes(out / "deliver", out / "touch")
    found["manifest.json"] = hashlib.sha256((out / "manifest.json").read_bytes()).hexdigest()
    return found


def events(out: Path, name: str) -> list[dict[str, Any]]:
    """All events of this name, over all runs; a line torn by a full disk or a kill is no event."""
    return [e for e in read_events(Folder(out).events) if e["event"] == name]


def rendered_shots(out: Path, since: int = 0) -> list[str]:
    """The shot of every chunk rendered, leaving out the first ``since``."""
    return [str(e["shot"]) for e in events(out, "chunk_rendered")[since:]]


def stored(out: Path) -> list[Path]:
    """Folders of the chunks in the store."""
    return sorted(p.parent for p in (out / "store").glob("??/*/record.json"))


def leftovers(out: Path) -> list[Path]:
    """Unfinished files anywhere in an output folder."""
    return [p for p in out.rglob("*") if ".part-" in p.name]


def copied(source: Path, target: Path) -> Path:
    """A copy of a folder, with the times of its files."""
    shutil.copytree(source, target)
    return target
