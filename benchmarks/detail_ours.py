"""Our denoisers over a clip of display codes, blind: grain is measured on the clip itself."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from benchmarks.detail_clips import F32
from media.encoding import light_to_log, log_to_light, rec709_decode, rec709_encode
from media.frames import FrameRange
from media.pictures import all_own
from restore.grain.measure import GrainProbe
from restore.models.precision import half_pays
from wetgate.chain import noise_operator
from wetgate.config import Noise
from wetgate.decisions import NoiseDecision
from wetgate.executor import ShotRenderer
from wetgate.stages.propose import measured_noise

CROP_PX = 512
Effort = Literal["fast", "usual", "fine", "finest"]
Guided = Literal["network", "blocks"]


@dataclass(frozen=True)
class Output:
    """What we made of a shot."""

    frames: F32
    """(T, H, W, 3) display codes."""
    seconds: float
    """Processor time of the repair; reading and encoding left out."""
    measure_seconds: float
    sigma: tuple[float, ...]
    """Measured grain, film log."""


def film_log(codes: F32) -> list[torch.Tensor]:
    """(T, H, W, 3) display codes to (3, H, W) film log, frame by frame."""
    planes = (torch.from_numpy(np.ascontiguousarray(f.transpose(2, 0, 1))) for f in codes)
    return [light_to_log(rec709_decode(p)) for p in planes]


def shown(log: torch.Tensor) -> F32:
    """(3, H, W) film log to (H, W, 3) display codes."""
    codes: F32 = rec709_encode(log_to_light(log)).permute(1, 2, 0).numpy()
    return codes


def grain_evidence(frames: list[torch.Tensor]) -> Mapping[str, Any]:
    """What the probe says about a clip, on the crop that analysis looks at."""
    probe = GrainProbe()
    for k, frame in enumerate(frames):
        h, w = frame.shape[-2:]
        y, x = max(0, (h - CROP_PX) // 2), max(0, (w - CROP_PX) // 2)
        probe.observe(k, frame[:, y : y + CROP_PX, x : x + CROP_PX])
    return probe.finish()


def cleaned(
    noisy: F32, effort: Effort, guide: Guided = "network", *, as_codes: bool = False
) -> Output:
    """A clip through our measurement and our operator, all grain taken out.

    as_codes: the operator is given the codes themselves in place of film log.
    """
    planar = [torch.from_numpy(np.ascontiguousarray(f.transpose(2, 0, 1))) for f in noisy]
    log = planar if as_codes else film_log(noisy)
    started = time.process_time()
    evidence = grain_evidence(log)
    measure_seconds = time.process_time() - started
    sigma = tuple(float(v) for v in evidence["sigma"])
    if not sigma or max(sigma) < Noise().skip_below_sigma:
        return Output(noisy, 0.0, measure_seconds, sigma)
    decision = NoiseDecision(applied=True, guide=guide, effort=effort, **measured_noise(evidence))
    half = half_pays(torch.device("cpu"))
    shot = FrameRange(0, len(log))
    renderer = ShotRenderer(
        "clip", all_own(shot), lambda n: log[n], [noise_operator(decision, 0.0, half=half)]
    )
    started = time.process_time()
    done = [renderer.frame(n).pixels for n in shot]
    seconds = time.process_time() - started
    frames = [p.permute(1, 2, 0).numpy() if as_codes else shown(p) for p in done]
    return Output(np.stack(frames), seconds, measure_seconds, sigma)
