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
from torch.nn import functional as F

from restore.models.basicsr_bridge import srvgg
from restore.models.train.pace import done_share, share_of_rate
from restore.models.train.pictures import Crops, lettering, photographs

_LOG = logging.getLogger(__name__)
_CARDS = 40
_HIGHEST_RATE = 1.2e-3
_WARM_SHARE = 0.05
_KEPT = 0.999
_REPORT_STEPS = 250
_STRAIGHT_FROM = 0.03


@dataclass(frozen=True, slots=True)
class Course:
    """A network, and how it learns."""

    scale: int
    features: int
    layers: int
    steps: int
    batch: int = 16
    crop_px: int = 48
    minutes: float = 0.0
    """Not 0: the course takes this long, however many steps that is."""
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
    weights = list(net.parameters())
    optimizer = torch.optim.Adam(weights, _HIGHEST_RATE, fused=device.type == "cuda")
    mean = [w.detach().clone() for w in weights]
    kept = out.with_suffix(".progress")
    step, before_s = 0, 0.0
    if kept.exists():
        state = torch.load(kept, map_location=device, weights_only=True)
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
        mean, step, before_s = state["mean"], int(state["step"]), float(state["spent_s"])
    pictures = photographs(folder) + lettering(_CARDS, course.seed)
    # A restarted run draws other crops than the first would have: never the same ones twice.
    crops = Crops(pictures, course.scale, course.crop_px, course.seed + step, device)
    began, losses = time.monotonic(), torch.zeros((), device=device)
    done = done_share(step, course.steps, before_s, course.minutes)
    while done < 1.0:
        rate = _HIGHEST_RATE * share_of_rate(done, _WARM_SHARE)
        losses += _step(net, weights, optimizer, rate, crops.batch(course.batch))
        torch._foreach_lerp_(mean, [w.detach() for w in weights], 1.0 - _KEPT)
        step += 1
        spent_s = before_s + time.monotonic() - began
        done = done_share(step, course.steps, spent_s, course.minutes)
        if step % _REPORT_STEPS == 0 or done >= 1.0:
            loss = float(losses) / (step % _REPORT_STEPS or _REPORT_STEPS)
            _LOG.info("%6d  %3.0f %%  loss %.6f  %.0f s", step, 100 * done, loss, spent_s)
            losses.zero_()
            torch.save(
                {
                    "net": net.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "mean": mean,
                    "step": step,
                    "spent_s": spent_s,
                },
                kept,
            )
            named = zip([n for n, _ in net.named_parameters()], mean, strict=True)
            save_file({k: v.cpu().contiguous() for k, v in named}, out)


def _step(
    net: nn.Module,
    weights: list[nn.Parameter],
    optimizer: torch.optim.Optimizer,
    rate: float,
    pair: tuple[Tensor, Tensor],
) -> Tensor:
    small, truth = pair
    for group in optimizer.param_groups:
        group["lr"] = rate
    small = small.contiguous(memory_format=torch.channels_last)
    with torch.autocast(small.device.type, torch.bfloat16):
        made = net(small)
    # Squares where errors are small, as PSNR has it; straight beyond, so that edges do not rule.
    loss = F.smooth_l1_loss(made.float(), truth, beta=_STRAIGHT_FROM)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(weights, 0.5)
    optimizer.step()
    return loss.detach()


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
    parser.add_argument("--minutes", type=float, default=0.0, help="in place of --steps")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--start", type=Path, help="weights to begin with")
    said = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    course = Course(
        said.scale, said.features, said.layers, said.steps, said.batch, minutes=said.minutes
    )
    train(said.photographs, said.out, course, said.start)


if __name__ == "__main__":
    main()
