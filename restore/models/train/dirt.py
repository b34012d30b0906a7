"""Trains the dirt network: ``python -m restore.models.train.dirt FOLDER OUT.safetensors``.

A folder of films and photographs is all it needs; damage and moving things are drawn. Windows
are made once and kept beside the result (about 1 MB each). Two CPU cores with bf16 need about
an hour in all; a GPU some minutes after the windows are made.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from restore.dirt.evidence import PLANES
from restore.dirt.network import DirtNet
from restore.models.train.dirt_windows import DIRT, RIM_PX, UNSURE, window
from restore.models.train.moving import SIDE_PX, read_sources

_LOG = logging.getLogger(__name__)
_SIDE = SIDE_PX - 2 * RIM_PX
_PART = 100
_CROP_PX = 192
_BATCH = 12
_RATE = 1e-3
_KEPT = 0.998
_REPORT = 200


def make_windows(folder: Path, out: Path, count: int, seed: int, workers: int) -> None:
    """Windows in files of a hundred under ``out``; those that are there are kept."""
    out.mkdir(parents=True, exist_ok=True)
    parts = [k for k in range(-(-count // _PART)) if not (out / f"{k:04d}.npz").exists()]
    with ProcessPoolExecutor(workers) as pool:
        for done in pool.map(_part, [(folder, out, k, seed) for k in parts]):
            _LOG.info("windows: %s", done.name)


def _part(asked: tuple[Path, Path, int, int]) -> Path:
    folder, out, k, seed = asked
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    rng = np.random.default_rng((seed, k))
    sources = read_sources(folder)
    given = np.empty((_PART, PLANES, _SIDE, _SIDE), np.float16)
    truth = np.empty((_PART, _SIDE, _SIDE), np.uint8)
    for n in range(_PART):
        given[n], truth[n], _ = window(rng, sources)
    path = out / f"{k:04d}.npz"
    beside = path.with_suffix(".part.npz")
    np.savez(beside, given=given, truth=truth)
    beside.replace(path)
    return path


class Windows:
    """Random crops of all windows that were made."""

    def __init__(self, folder: Path, seed: int) -> None:
        paths = sorted(folder.glob("[0-9]*.npz"))
        self.given = np.empty((_PART * len(paths), PLANES, _SIDE, _SIDE), np.float16)
        self.truth = np.empty((_PART * len(paths), _SIDE, _SIDE), np.uint8)
        for k, path in enumerate(paths):
            part = slice(_PART * k, _PART * (k + 1))
            with np.load(path, allow_pickle=False) as kept:
                self.given[part], self.truth[part] = kept["given"], kept["truth"]
        self._rng = np.random.default_rng(seed)

    def batch(self, count: int) -> tuple[Tensor, Tensor]:
        """(N, PLANES, crop, crop), and (N, crop, crop) what is known."""
        rng, crops, truths = self._rng, [], []
        for k in rng.integers(0, len(self.given), count):
            y, x = (int(v) for v in rng.integers(0, _SIDE - _CROP_PX + 1, 2))
            box = (slice(y, y + _CROP_PX), slice(x, x + _CROP_PX))
            given, truth = self.given[k][:, *box], self.truth[k][box]
            if rng.random() < 0.5:
                given, truth = given.swapaxes(1, 2), truth.T
            crops.append(_inverted(rng, given.astype(np.float32)))
            truths.append(np.ascontiguousarray(truth))
        return torch.from_numpy(np.stack(crops)), torch.from_numpy(np.stack(truths))


def _inverted(rng: np.random.Generator, given: NDArray[np.float32]) -> NDArray[np.float32]:
    """As a negative, now and then: dirt is as often lighter as darker."""
    if rng.random() < 0.3:
        given[:5] = -given[:5]
    return given


def train(windows: Path, out: Path, steps: int, seed: int = 0, start: Path | None = None) -> None:
    """Learn from the windows in a folder; writes ``out`` (safetensors, float32)."""
    torch.manual_seed(seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net = DirtNet().train()
    if start is not None:
        from safetensors.torch import load_file

        net.load_state_dict(load_file(start))
    net = net.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(net.parameters(), _RATE, weight_decay=1e-4)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps, pct_start=0.08)
    mean = {k: v.detach().clone() for k, v in net.state_dict().items()}
    data = Windows(windows, seed)
    began, losses = time.monotonic(), list[float]()
    for step in range(steps):
        given, truth = data.batch(_BATCH)
        losses.append(_step(net, optimizer, given.to(device), truth.to(device)))
        rates.step()
        for key, value in net.state_dict().items():
            mean[key].lerp_(value.detach(), 1 - _KEPT)
        if (step + 1) % _REPORT == 0 or step + 1 == steps:
            loss, spent = sum(losses) / len(losses), time.monotonic() - began
            _LOG.info("%6d of %d  loss %.5f  %.0f s", step + 1, steps, loss, spent)
            losses.clear()
            save_file({k: v.cpu().contiguous() for k, v in mean.items()}, out)


def _step(net: nn.Module, optimizer: torch.optim.Optimizer, given: Tensor, known: Tensor) -> float:
    given = given.contiguous(memory_format=torch.channels_last)
    with torch.autocast(given.device.type, torch.bfloat16):
        odds = net(given)
    told = (known != UNSURE).float()
    odds, truth = odds.float(), (known == DIRT).float()
    bce = F.binary_cross_entropy_with_logits(odds, truth, weight=told)
    # Area weighs every pixel alike; overlap keeps small specks from being given up.
    likely = torch.sigmoid(odds) * told
    both = (likely * truth).sum()
    overlap = (2 * both + 1.0) / (likely.sum() + truth.sum() + 1.0)
    loss = 4.0 * bce + 0.5 * (1.0 - overlap)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(net.parameters(), 0.5)
    optimizer.step()
    return float(loss.detach())


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="films and photographs")
    parser.add_argument("out", type=Path, help="file to write, .safetensors")
    parser.add_argument("--windows", type=int, default=4000)
    parser.add_argument("--steps", type=int, default=9000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--start", type=Path, help="weights to begin with")
    said = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    kept = said.out.with_suffix(".windows")
    make_windows(said.folder, kept, said.windows, said.seed, said.workers)
    train(kept, said.out, said.steps, said.seed, said.start)


if __name__ == "__main__":
    main()
