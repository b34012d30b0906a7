"""How fast scans go in and out: 2K 10-bit DPX, handed on frame by frame.

    python -m benchmarks.io [--frames 48] [--threads 2] [--out benchmarks/results/io.json]

Measured in one run and alternating, on files in the page cache: a bare loop of OpenImageIO (read
16-bit codes, write 10-bit DPX) with a pool of the same number of threads, and Wetgate's own path
(read once, hash, decode, encode with the scan's header, write), with and without the flush to
disk that an archive wants. The last row is the whole job, `wetgate run --only none`: ingest with
hashes and shots, delivery, read-back and manifest. Memory is taken over a long run.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import numpy as np
import OpenImageIO

from media.ahead import in_order
from media.reel import PictureFormat
from media.scan import load
from media.write import write_frame
from wetgate.launch import launch
from wetgate.project import load_project

FORMAT = PictureFormat(width=2048, height=1556, channels=3, bits=10)
_ROUNDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--long", type=int, default=2000, help="frames of the memory run")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/io.json"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wetgate-io-") as name:
        room = Path(name)
        scan = make_scan(room / "R1", given.frames)
        results = measured(scan, room, given.threads)
        results["whole job"] = whole_job(scan, room)
        growth = memory_growth(scan, room, given.long)
    bare = results["bare OpenImageIO loop"]
    rows = {
        name: {"frames_per_second": round(given.frames / s, 2), "against_bare": round(bare / s, 2)}
        for name, s in results.items()
    }
    for name, row in rows.items():
        print(f"{name:34} {row['frames_per_second']:7.1f} fps  {row['against_bare']:5.2f} x bare")
    print(f"memory over {given.long} frames: {growth:+.1f} MB after the first hundred")
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(
        json.dumps(
            {
                "format": str(FORMAT),
                "frames": given.frames,
                "threads": given.threads,
                "rows": rows,
                "memory": {"frames": given.long, "growth_mb": round(growth, 1)},
            },
            indent=1,
        )
        + "\n"
    )


def make_scan(folder: Path, frames: int) -> Path:
    """A reel of noisy ramps that drift, so that nothing repeats."""
    folder.mkdir()
    rng = np.random.default_rng(1)
    y, x = np.mgrid[0 : FORMAT.height, 0 : FORMAT.width]
    base = 300 + 200 * np.sin(x / 97.0) + 150 * np.cos(y / 61.0)
    grain = rng.normal(0, 12, (FORMAT.height + 64, FORMAT.width + 64, 3))
    for k in range(frames):
        dy, dx = rng.integers(0, 64, 2)
        noise = grain[dy : dy + FORMAT.height, dx : dx + FORMAT.width]
        codes = np.clip(np.rint(base[..., None] + noise), 0, 1023).astype(np.uint16)
        write_frame(
            folder / f"R1.{k + 86400:07d}.dpx", codes, FORMAT, "dpx",
            rate=Fraction(24), frame=k + 86400, timecode="01:00:00:00", reel="R1", durable=False,
        )  # fmt: skip
    return folder


def measured(scan: Path, room: Path, threads: int) -> dict[str, float]:
    """Best seconds of a few rounds; the ways alternate, so that they share the weather."""
    ways: dict[str, Callable[[Path, Path], None]] = {
        "bare OpenImageIO loop": _bare,
        "Wetgate, no flush": lambda a, b: _own(a, b, durable=False),
        "Wetgate, flushed to disk": lambda a, b: _own(a, b, durable=True),
    }
    best = dict.fromkeys(ways, float("inf"))
    files = sorted(scan.iterdir())
    for _ in range(_ROUNDS):
        for name, way in ways.items():
            target = room / "copy"
            target.mkdir()
            start = time.perf_counter()
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(lambda f, way=way, to=target: way(f, to / f.name), files))
            best[name] = min(best[name], time.perf_counter() - start)
            shutil.rmtree(target)
    return best


def _bare(source: Path, target: Path) -> None:
    image = OpenImageIO.ImageInput.open(str(source))
    out = OpenImageIO.ImageOutput.create(str(target))
    if image is None or out is None:
        raise SystemExit(OpenImageIO.geterror())
    spec = image.spec()
    pixels = image.read_image("uint16")
    image.close()
    out.open(str(target), spec)
    out.write_image(pixels)
    out.close()


def _own(source: Path, target: Path, *, durable: bool) -> None:
    found = load(source)
    write_frame(target, found.codes, found.format, "dpx", template=source, durable=durable)


def whole_job(scan: Path, room: Path) -> float:
    """Seconds of `wetgate run --only none` into a fresh folder."""
    project = load_project([str(scan)], only="none", encoding="cineon")
    start = time.perf_counter()
    launch(project, room / "job", quiet=True)
    seconds = time.perf_counter() - start
    shutil.rmtree(room / "job")
    return seconds


def memory_growth(scan: Path, room: Path, frames: int) -> float:
    """MB of peak memory gained between the hundredth frame and the last."""
    files = sorted(scan.iterdir())
    target = room / "long.dpx"
    peak = 0.0
    reads = (files[k % len(files)] for k in range(frames))
    for k, found in enumerate(in_order(load, reads, threads=2, ahead=4)):
        write_frame(target, found.codes, found.format, "dpx", template=files[0], durable=False)
        if k == 100:
            peak = _peak_mb()
    return _peak_mb() - peak


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
