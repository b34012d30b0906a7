"""Trains the small networks that enlarge: ``python -m restore.models.train.upscaler``.

One 3x3 stack (basicsr's SRVGGNetCompact), L1 against the picture before it was reduced, over
reductions by four kernels. Two CPU cores with bf16 need about an hour; a GPU minutes.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from restore.models.basicsr_bridge import srvgg
from restore.models.train.pictures import Crops, lettering, photographs

_LOG = logging.getLogger(__name__)
_CARDS = 40
_HIGHEST_RATE = 1.2e-3
_WARM_SHARE = 0.05
_KEPT = 0.999
_REPORT_STEPS = 250


@dataclass(frozen=True, slots=True)
class Course:
    """A network, and how it learns."""

    scale: int
    features: int
    layers: int
    steps: int
    batch: int = 16
    crop_px: int = 48
    seed: int = 0


def train(folder: Path, out: Path, course: Course, start: Path | None = None) -> None:
    """Learn from the photographs in a folder; writes ``out`` (safetensors, float32).

    start: weights to begin with, of any scale: layers of the same shape are taken. Progress is
    kept beside ``out`` every few hundred steps, and a restarted run goes on from there.
    raises: FileNotFoundError.
    """
    torch.manual_seed(course.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net = srvgg(course.features, course.layers, course.scale).train()
    if start is not None:
        _take_over(net, start)
    net = net.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(net.parameters(), _HIGHEST_RATE)
    rates = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, _HIGHEST_RATE, total_steps=course.steps, pct_start=_WARM_SHARE
    )
    mean = {k: v.detach().clone() for k, v in net.state_dict().items()}
    kept = out.with_suffix(".progress")
    done = 0
    if kept.exists():
        state = torch.load(kept, map_location=device, weights_only=True)
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
        rates.load_state_dict(state["rates"])
        mean, done = state["mean"], int(state["done"])
    pictures = photographs(folder) + lettering(_CARDS, course.seed)
    # A restarted run draws other crops than the first would have: never the same ones twice.
    crops = Crops(pictures, course.scale, course.crop_px, course.seed + done)
    began, losses = time.monotonic(), list[float]()
    for step in range(done, course.steps):
        losses.append(_step(net, optimizer, crops.batch(course.batch), device))
        rates.step()
        for key, value in net.state_dict().items():
            mean[key].lerp_(value.detach(), 1 - _KEPT)
        if (step + 1) % _REPORT_STEPS == 0 or step + 1 == course.steps:
            spent = time.monotonic() - began
            loss = sum(losses) / len(losses)
            _LOG.info("%6d of %d  loss %.5f  %.0f s", step + 1, course.steps, loss, spent)
            losses.clear()
            torch.save(
                {
                    "net": net.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "rates": rates.state_dict(),
                    "mean": mean,
                    "done": step + 1,
                },
                kept,
            )
            save_file({k: v.cpu().contiguous() for k, v in mean.items()}, out)


def _step(
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    pair: tuple[Tensor, Tensor],
    device: torch.device,
) -> float:
    small = pair[0].to(device=device, memory_format=torch.channels_last)
    truth = pair[1].to(device)
    with torch.autocast(device.type, torch.bfloat16):
        made = net(small)
    loss = (made.float() - truth).abs().mean()
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 0.5)
    optimizer.step()
    return float(loss.detach())


def _take_over(net: nn.Module, start: Path) -> None:
    own = net.state_dict()
    taken = {k: v for k, v in load_file(start).items() if k in own and own[k].shape == v.shape}
    net.load_state_dict({**own, **taken})


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photographs", type=Path, help="folder of photographs and films")
    parser.add_argument("out", type=Path, help="file to write, .safetensors")
    parser.add_argument("--scale", type=int, choices=(2, 4), default=2)
    parser.add_argument("--features", type=int, default=32)
    parser.add_argument("--layers", type=int, default=10)
    parser.add_argument("--steps", type=int, default=25000)
    parser.add_argument("--start", type=Path, help="weights to begin with")
    said = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    course = Course(said.scale, said.features, said.layers, said.steps)
    train(said.photographs, said.out, course, said.start)


if __name__ == "__main__":
    main()
