"""Trains the networks that guide the grain filter: ``python -m restore.models.train.grain``.

A folder of films and photographs is all it needs; grain is drawn. Windows are made by worker
processes while the networks learn, and the newest some thousand are kept at hand. A GPU with a
dozen cores beside it needs minutes; two cores alone a night.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from restore.models.train.grain_windows import RIM_PX, window
from restore.models.train.moving import SIDE_PX, Sources, read_sources
from restore.models.train.pace import done_share, share_of_rate
from restore.noise.guide import (
    BESIDE,
    CONDITIONS,
    FOLD,
    PLANES,
    SCALE,
    SHAPES,
    GuideNet,
    Shape,
    combined,
)

_LOG = logging.getLogger(__name__)
_SIDE = SIDE_PX - 2 * RIM_PX
_KEPT = 0.999
_REPORT_STEPS = 250


@dataclass(frozen=True, slots=True)
class Course:
    """How the networks learn."""

    steps: int
    minutes: float = 0.0
    """Not 0: the course takes this long, however many steps that is."""
    batch: int = 32
    crop_px: int = 128
    rate: float = 1.5e-3
    at_hand: int = 2000
    """Windows kept, 3 MB each."""
    first: int = 200
    """Windows that must be there before it begins."""
    workers: int = 2
    seed: int = 0


class _Windows(IterableDataset[tuple[Tensor, Tensor, Tensor]]):
    """Windows without end, others in each worker."""

    def __init__(self, sources: Sources, seed: int) -> None:
        super().__init__()
        self._sources, self._seed = sources, seed

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        worker = get_worker_info()
        mine, number = (worker.id if worker else 0), 0
        cv2.setNumThreads(1)
        while True:
            made = window(np.random.default_rng((self._seed, mine, number)), self._sources)
            number += 1
            given, truth, told = (torch.from_numpy(v) for v in (made.given, made.truth, made.told))
            yield given, truth, told


class Pool:
    """The newest windows, on the device that learns; a thread puts them there."""

    def __init__(self, folder: Path, course: Course, device: torch.device) -> None:
        # Workers are forked before anything is asked of a GPU here.
        loader = DataLoader(
            _Windows(read_sources(folder), course.seed),
            batch_size=None,
            num_workers=course.workers,
            multiprocessing_context="fork",
        )
        windows, n = iter(loader), course.at_hand
        self.given = torch.empty((n, 7 * PLANES, _SIDE, _SIDE), dtype=torch.float16, device=device)
        self.truth = torch.empty((n, PLANES, _SIDE, _SIDE), dtype=torch.float16, device=device)
        self.told = torch.empty((n, CONDITIONS), device=device)
        self.made = 0
        self._course, self._device = course, device
        self._draw = torch.Generator().manual_seed(course.seed)
        self._stop = Event()
        self._thread = Thread(target=self._fill, args=(windows,), daemon=True)

    def begin(self) -> None:
        """Windows come from now on; not before a GPU's steps are recorded, while which nothing
        else may be asked of it."""
        self._thread.start()

    def _fill(self, windows: Iterator[tuple[Tensor, Tensor, Tensor]]) -> None:
        for given, truth, told in windows:
            place = self.made % len(self.given)
            self.given[place].copy_(given)
            self.truth[place].copy_(truth)
            self.told[place].copy_(told)
            self.made += 1
            if self._stop.is_set():
                return

    def close(self) -> None:
        """No more windows are made."""
        self._stop.set()
        self._thread.join()

    def batch(self) -> tuple[Tensor, Tensor, Tensor]:
        """(N, 21, crop, crop), (N, 3, crop, crop) and (N, CONDITIONS), turned at random."""
        course, there = self._course, min(self.made, len(self.given))
        number = torch.randint(there, (course.batch,), generator=self._draw)
        y, x = torch.randint(_SIDE - course.crop_px + 1, (2,), generator=self._draw).tolist()
        box = (..., slice(y, y + course.crop_px), slice(x, x + course.crop_px))
        picked = number.to(self._device)
        given, truth = (v[box][picked].float() for v in (self.given, self.truth))
        turn = int(torch.randint(8, (1,), generator=self._draw))
        if turn & 1:
            given, truth = given.flip(-1), truth.flip(-1)
        if turn & 2:
            given, truth = given.flip(-2), truth.flip(-2)
        if turn & 4:
            given, truth = given.transpose(-1, -2), truth.transpose(-1, -2)
        return given, truth, self.told[picked]


class Learner:
    """One network, its optimizer, and the running mean of its weights."""

    def __init__(self, shape: Shape, course: Course, device: torch.device) -> None:
        self.shape = shape
        net = GuideNet(shape).train()
        _spread(net)
        self.net = net.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.weights = list(self.net.parameters())
        self.mean = [w.detach().clone() for w in self.weights]
        self.losses = torch.zeros((), device=device)
        on_gpu = device.type == "cuda"
        # On a GPU the rate is a number there, which a recorded step reads anew each time.
        self.rate: float | Tensor = torch.zeros((), device=device) if on_gpu else 0.0
        self.optimizer = torch.optim.AdamW(
            self.weights, self.rate, weight_decay=1e-4, fused=on_gpu, capturable=on_gpu
        )
        many, crop = course.batch, (PLANES, course.crop_px, course.crop_px)
        self._frames = torch.zeros((many, shape.frames, *crop), device=device)
        self._truth = torch.zeros((many, *crop), device=device)
        self._told = torch.zeros((many, CONDITIONS), device=device)
        self._recorded = self._record() if on_gpu else None

    def step(self, given: Tensor, truth: Tensor, told: Tensor, rate: float) -> None:
        """Learn from one batch."""
        frames = given.unflatten(1, (-1, PLANES))  # type: ignore[no-untyped-call]
        if self.shape is BESIDE:
            self._frames[:, :1].copy_(frames[:, :1])
            self._frames[:, 1:].copy_(frames[:, 5:])
        else:
            self._frames.copy_(frames[:, :5])
        self._truth.copy_(truth)
        self._told.copy_(told)
        if isinstance(self.rate, Tensor):
            self.rate.fill_(rate)
        else:
            for group in self.optimizer.param_groups:
                group["lr"] = rate
        if self._recorded is not None:
            self._recorded.replay()
            return
        self.optimizer.zero_grad(set_to_none=True)
        self._learn()

    def _record(self) -> torch.cuda.CUDAGraph:
        """A step as one piece: small networks wait for Python otherwise."""
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            # At a rate of zero: nothing is learned from empty frames.
            for _ in range(3):
                self.optimizer.zero_grad(set_to_none=True)
                self._learn()
        torch.cuda.current_stream().wait_stream(aside)
        recorded = torch.cuda.CUDAGraph()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.cuda.graph(recorded):
            self._learn()
        return recorded

    def _learn(self) -> None:
        cells = F.pixel_unshuffle(self._frames.flatten(1, 2) * SCALE, FOLD)
        said = self._told[:, :, None, None].expand(-1, -1, *cells.shape[-2:])
        folded = torch.cat([cells, said], dim=1).contiguous(memory_format=torch.channels_last)
        with torch.autocast(folded.device.type, torch.bfloat16, cache_enabled=False):
            answers = self.net(folded)
        loss = F.smooth_l1_loss(combined(self._frames, answers), self._truth)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.weights, 0.5)
        self.optimizer.step()
        torch._foreach_lerp_(self.mean, [w.detach() for w in self.weights], 1.0 - _KEPT)
        self.losses += loss.detach()

    def save(self, path: Path) -> None:
        """The mean of the weights, as bf16: what features are kept in."""
        named = zip(self.net.state_dict(), self.mean, strict=True)
        save_file({k: m.to(torch.bfloat16).cpu().contiguous() for k, m in named}, path)


def _spread(net: GuideNet) -> None:
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
    # At first the plain mean, and nothing added.
    nn.init.zeros_(net.last.weight)


def train(folder: Path, out: Path, course: Course) -> None:
    """Learn from a folder; writes ``grain-along`` and ``grain-beside`` (.safetensors) to ``out``.

    raises: FileNotFoundError where the folder holds no picture.
    """
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(course.seed)
    # A library's threads do not come along when a worker is forked, and it would wait for them.
    cv2.setNumThreads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    pool = Pool(folder, course, device)
    learners = {name: Learner(shape, course, device) for name, shape in SHAPES.items()}
    pool.begin()
    while pool.made < course.first:
        time.sleep(0.05)
    began, step, done = time.monotonic(), 0, 0.0
    while done < 1.0:
        batch = pool.batch()
        for learner in learners.values():
            learner.step(*batch, course.rate * share_of_rate(done))
        step += 1
        spent = time.monotonic() - began
        done = done_share(step, course.steps, spent, course.minutes)
        if step % _REPORT_STEPS == 0 or done >= 1.0:
            since = step % _REPORT_STEPS or _REPORT_STEPS
            losses = [f"{n} {float(v.losses) / since:.5f}" for n, v in learners.items()]
            _LOG.info("%6d  %.0f s  windows %d  %s", step, spent, pool.made, "  ".join(losses))
            for name, learner in learners.items():
                learner.losses.zero_()
                learner.save(out / f"{name}.safetensors")
    pool.close()


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="films and photographs")
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument("--steps", type=int, default=60000)
    parser.add_argument("--minutes", type=float, default=0.0, help="in place of --steps")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--at-hand", type=int, default=2000, help="windows kept, 3 MB each")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    said = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    course = Course(
        said.steps, said.minutes, said.batch,
        at_hand=said.at_hand, workers=said.workers, seed=said.seed,
    )  # fmt: skip
    train(said.folder, said.out, course)


if __name__ == "__main__":
    main()
