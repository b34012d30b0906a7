"""A small network that reads dissolves off the figures of ``mixtures``, frame by frame.

For each frame: whether it lies in a dissolve, how many frames ago that began and in how many it
ends, and how sure both are. Trained by ``python -m benchmarks.dissolve_training``; what it was
trained on stands in ``dissolve_net.md`` beside the weights. Plain products in float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from media.npy import HEADS

Curve = NDArray[np.float32]

WEIGHTS = Path(__file__).with_name("dissolve_net.npz")
DILATIONS = (1, 2, 4, 8, 16, 1)
TAPS = 5
OFFSET_FRAMES = 16.0
"""Unit of the distances that the network gives."""
LARGEST = 5.0
"""Figures are held within so many standard deviations."""
LOG_ERROR = (-2.0, 4.0)
"""Bounds of the log of the expected error of a distance, in frames."""
_TURNED = [0, 2, 1, 4, 3]
"""The answers where time runs backwards: the end is the start."""
REACH_FRAMES = TAPS // 2 * sum(DILATIONS)
"""How far to each side the network looks."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the network says, each (T,)."""

    inside: Curve
    """0..1, whether the frame carries two pictures."""
    since: Curve
    """Frames since the first that does."""
    until: Curve
    """Frames to the first that no longer does."""
    trust_since: Curve
    """One over the expected error of ``since`` in frames."""
    trust_until: Curve


def read(figures: Curve, backwards: Curve | None = None) -> Reading:
    """What all members say on average.

    figures: (T, F) as ``mixtures.mixing`` makes them. backwards: those of the same frames in
    reverse; a dissolve is one either way, so both answers are averaged.
    """
    answers = [_answer(member, figures) for member in _members()]
    if backwards is not None:
        answers += [_answer(member, backwards)[::-1, _TURNED] for member in _members()]
    out = np.mean(answers, axis=0)
    low, high = LOG_ERROR
    return Reading(
        inside=0.5 + 0.5 * np.tanh(0.5 * out[:, 0]),
        since=out[:, 1] * OFFSET_FRAMES,
        until=out[:, 2] * OFFSET_FRAMES,
        trust_since=np.exp(-np.clip(out[:, 3], low, high)),
        trust_until=np.exp(-np.clip(out[:, 4], low, high)),
    )


def _answer(member: dict[str, Curve], figures: Curve) -> Curve:
    """(T, 5) before bounds."""
    normal = np.clip((figures - member["mean"]) / member["spread"], -LARGEST, LARGEST)
    # Training puts shots side by side with mean figures between them: the same at the ends here.
    normal = np.pad(normal, ((REACH_FRAMES, REACH_FRAMES), (0, 0)))
    hidden = np.maximum(normal @ member["in.weight"].T + member["in.bias"], 0)
    for n, dilation in enumerate(DILATIONS):
        weight, bias = member[f"wide.{n}.weight"], member[f"wide.{n}.bias"]
        reach = TAPS // 2 * dilation
        padded = np.pad(hidden, ((reach, reach), (0, 0)))
        taps = [padded[k * dilation : k * dilation + len(hidden)] for k in range(TAPS)]
        wide = sum((tap @ weight[:, :, k].T for k, tap in enumerate(taps)), start=bias)
        hidden = hidden + np.maximum(wide, 0) @ member[f"back.{n}.weight"].T
        hidden = hidden + member[f"back.{n}.bias"]
    answer = hidden[REACH_FRAMES:-REACH_FRAMES] @ member["out.weight"].T + member["out.bias"]
    return np.asarray(answer, dtype=np.float32)


@lru_cache(maxsize=1)
def _members() -> list[dict[str, Curve]]:
    """Networks trained alike from different starts; their answers are averaged."""
    with HEADS, np.load(WEIGHTS, allow_pickle=False) as stored:
        names = sorted({name.split("/")[0] for name in stored.files})
        return [
            {
                name.split("/")[1]: stored[name].astype(np.float32)
                for name in stored.files
                if name.startswith(f"{member}/")
            }
            for member in names
        ]
