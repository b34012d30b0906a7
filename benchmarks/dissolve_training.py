"""Trains the network that reads dissolves: ``python -m benchmarks.dissolve_training DIR``.

DIR keeps the figures of each film, so that training can go on where it stopped. Only the tuned
clips of ``benchmarks.cuts`` are used, and drawn takes; the held-out clips are never read. Writes
the weights in ``media/shots``. About an hour on one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.cuts import takes
from benchmarks.dissolve_drawn import crowds, drawn_takes
from benchmarks.dissolve_film import Grey, Kind, Segment, grey_takes, segments
from media.shots.dissolve_net import (
    DILATIONS,
    LARGEST,
    LOG_ERROR,
    OFFSET_FRAMES,
    REACH_FRAMES,
    TAPS,
    WEIGHTS,
)
from media.shots.mixtures import mixing

FILMS = range(500)
LONG_FILMS = range(10000, 10080)
"""With takes of up to 300 frames; two of three have drawn takes among the footage."""
BRIEF_FILMS = range(20000, 20070)
"""With shots of 3 to 9 frames before a dissolve; added for the last epochs, like the next."""
ROUGH_FILMS = range(30000, 30120)
"""With much damage, many very short and very long dissolves, and drawn takes where much moves."""
LAST = ((8, 1.2e-3), (3, 6e-4))
"""Last epochs on all films and their highest rate, for each member; members are to differ."""
_CHANNELS = 48
_EPOCHS = 12
_BATCH_FRAMES = 1500
_RATE = 2e-3
_DECAY = 0.02
_DROPPED = 0.15
_EDGE_WEIGHT = 0.3
_INSIDE_WEIGHT, _OFFSET_WEIGHT = 3.0, 0.15

Item = tuple[NDArray[np.float16], NDArray[np.int64]]
"""Figures (T, F), and dissolves (N, 2)."""


class Net(nn.Module):
    """Dilated convolutions over time, each followed by a mix of channels, with shortcuts."""

    mean: Tensor
    spread: Tensor

    def __init__(self, mean: Tensor, spread: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)
        self.drop = nn.Dropout(_DROPPED)
        self.first = nn.Conv1d(len(mean), _CHANNELS, 1)
        self.wide = nn.ModuleList(
            nn.Conv1d(_CHANNELS, _CHANNELS, TAPS, padding=TAPS // 2 * d, dilation=d)
            for d in DILATIONS
        )
        self.back = nn.ModuleList(nn.Conv1d(_CHANNELS, _CHANNELS, 1) for _ in DILATIONS)
        self.out = nn.Conv1d(_CHANNELS, 5, 1)

    def forward(self, figures: Tensor) -> Tensor:
        """figures: (T, F). returns: (5, T)."""
        x = ((figures - self.mean) / self.spread).clamp(-LARGEST, LARGEST).T[None]
        x = torch.relu(self.first(self.drop(x)))
        for wide, back in zip(self.wide, self.back, strict=True):
            x = x + back(self.drop(torch.relu(wide(x))))
        answer: Tensor = self.out(x)[0]
        return answer


def target(count: int, dissolves: NDArray[np.int64]) -> Tensor:
    """(4, T): inside, frames since the start, frames to the stop, whether next to an end."""
    wanted = torch.zeros(4, count)
    at = torch.arange(count, dtype=torch.float32)
    for a, b in dissolves.tolist():
        wanted[0, a:b] = 1
        wanted[1, a:b] = at[a:b] - a
        wanted[2, a:b] = b - at[a:b]
        for end in (a, b):
            wanted[3, max(0, end - 1) : end + 1] = 1
    return wanted


def loss(answer: Tensor, wanted: Tensor) -> Tensor:
    """Cross entropy of being inside, and Laplace likelihood of both distances, in frames."""
    inside = F.binary_cross_entropy_with_logits(answer[0], wanted[0], reduction="none")
    total = torch.where(wanted[3] > 0, _EDGE_WEIGHT * inside, inside).mean() * _INSIDE_WEIGHT
    on = wanted[0] > 0
    if on.any():
        for k in (1, 2):
            log_error = answer[k + 2][on].clamp(*LOG_ERROR)
            error = (answer[k][on] * OFFSET_FRAMES - wanted[k][on]).abs()
            total = total + _OFFSET_WEIGHT * (error * torch.exp(-log_error) + log_error).mean()
    return total


def train(items: list[Item], seed: int) -> Net:
    """One network from figures with truth."""
    torch.manual_seed(seed)
    some = np.concatenate([figures[::7] for figures, _ in items]).astype(np.float32)
    net = Net(torch.from_numpy(some.mean(axis=0)), torch.from_numpy(some.std(axis=0) + 0.02))
    return train_on(net, items, seed, _EPOCHS, _RATE)


def train_on(net: Net, items: list[Item], seed: int, epochs: int, rate: float) -> Net:
    """The same network after more epochs."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    net.train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=_DECAY)
    plan = [batch for _ in range(epochs) for batch in _batches(items, random)]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, len(plan))
    running = 0.0
    for step, batch in enumerate(plan):
        answer, wanted = _answered(net, [items[k] for k in batch])
        error = loss(answer, wanted)
        optimizer.zero_grad()
        error.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        running += 0.01 * (float(error.detach()) - running)
        if step % 500 == 499:
            print(f"step {step + 1} of {len(plan)}: loss {running:.3f}", flush=True)
    return net.eval()


def _batches(items: list[Item], random: np.random.Generator) -> Iterator[list[int]]:
    batch: list[int] = []
    for k in random.permutation(len(items)).tolist():
        batch.append(k)
        if sum(len(items[n][0]) for n in batch) > _BATCH_FRAMES:
            yield batch
            batch = []
    if batch:
        yield batch


def _answered(net: Net, batch: list[Item]) -> tuple[Tensor, Tensor]:
    """Segments side by side, with mean figures between them, as ``dissolve_net`` reads them."""
    gap = net.mean.repeat(REACH_FRAMES, 1)
    parts, kept, wanted = [gap], [torch.zeros(REACH_FRAMES, dtype=torch.bool)], []
    for figures, dissolves in batch:
        parts += [torch.from_numpy(figures.astype(np.float32)), gap]
        kept += [
            torch.ones(len(figures), dtype=torch.bool),
            torch.zeros(len(gap), dtype=torch.bool),
        ]
        wanted.append(target(len(figures), dissolves))
    answer: Tensor = net(torch.cat(parts))
    return answer[:, torch.cat(kept)], torch.cat(wanted, dim=1)


def stored(nets: list[Net]) -> dict[str, Any]:
    """Weights as ``media.shots.dissolve_net`` reads them."""
    named: dict[str, Any] = {}
    for n, net in enumerate(nets):
        for name, value in net.state_dict().items():
            array = value.numpy()
            if array.ndim == 3 and array.shape[2] == 1:
                array = array[:, :, 0]
            named[f"{n}/{name.replace('first.', 'in.')}"] = array.astype(np.float16)
    return named


def film(footage: list[Grey], seed: int) -> list[Segment]:
    """One film: its seed says of which kind it is."""
    takes_used, kind = list(footage), _kind(seed)
    if kind == "long" and seed % 3:
        takes_used += drawn_takes(footage, seed // 8)
    elif kind == "rough":
        takes_used += crowds(seed // 8)
    return segments(takes_used, seed, kind=kind)


def _kind(seed: int) -> Kind:
    if seed in LONG_FILMS:
        return "long"
    if seed in BRIEF_FILMS:
        return "brief"
    return "rough" if seed in ROUGH_FILMS else "usual"


def items_of(made: list[Segment]) -> list[Item]:
    """Figures and truth; every second segment runs backwards."""
    items: list[Item] = []
    for n, segment in enumerate(made):
        tones, count = segment.tones, len(segment.tones)
        ends = np.array(segment.dissolves, np.int64).reshape(-1, 2)
        if n % 2:
            tones, ends = tones[::-1], count - ends[:, ::-1]
        items.append((mixing(tones).astype(np.float16), ends))
    return items


def _kept(folder: Path, seeds: Iterable[int]) -> list[Item]:
    """Figures of films, made where the folder lacks them."""
    footage: list[Grey] = []
    items: list[Item] = []
    for seed in seeds:
        path = folder / f"{seed}.npz"
        if not path.is_file():
            footage = footage or grey_takes(takes("tuned"))
            made = items_of(film(footage, seed))
            named: dict[str, Any] = {f"figures{k}": i[0] for k, i in enumerate(made)}
            named |= {f"ends{k}": i[1] for k, i in enumerate(made)}
            np.savez(path, **named)
        with np.load(path, allow_pickle=False) as kept:
            count = len(kept.files) // 2
            items += [(kept[f"figures{k}"], kept[f"ends{k}"]) for k in range(count)]
    return items


def main() -> None:
    """Make the films that are not there yet, train, write the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="keeps the figures of each film")
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    items = _kept(folder, (*FILMS, *LONG_FILMS))
    late = _kept(folder, (*BRIEF_FILMS, *ROUGH_FILMS))
    nets = [train_on(train(items, n), items + late, n, *last) for n, last in enumerate(LAST)]
    np.savez_compressed(WEIGHTS, **stored(nets))


if __name__ == "__main__":
    main()
