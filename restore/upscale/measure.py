"""How well a shot can be enlarged, measured on the shot itself before anything is enlarged.

The scan is reduced to half its size and enlarged again, once from single frames and once from
several: what it was is known, so both can be told apart. Motion that cannot be followed, codec
noise or stillness show as little gain.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from media.passes import Window
from restore.motion import find_flow, flow_tensor, luma, steering_image, warp
from restore.upscale.frames import FramesUpscale
from restore.upscale.resample import ResampleUpscale
from restore.upscale.sampling import reduce

_SCALE = 2
_RUN = 6
"""Frames looked at together: two results side by side, each from five frames."""
_APART = 24
"""Frames from one run to the next."""
_MOST_RUNS = 4
_RIM_PX = 16
_CUT_PX = 64
"""Less than this cannot be judged at half its size."""


class UpscaleProbe:
    """What several frames give beyond one. Works on a full-size crop.

    Evidence: ``gain_db`` of several frames over one, ``steadiness`` (change along the motion over
    that of single frames: below 1 is steadier; None where no motion could be followed),
    ``deviation`` film log rms between both, ``psnr_db`` of both, ``runs`` (0 where nothing could
    be measured).
    """

    name = "upscale"

    def __init__(self) -> None:
        self._last: deque[Tensor] = deque(maxlen=_RUN)
        self._wait = 0
        self._errors: list[tuple[float, float]] = []
        self._unsteady: list[tuple[float, float]] = []
        self._apart: list[float] = []

    def observe(self, frame: int, pixels: Tensor) -> None:
        """frame: scan number. pixels: (C, H, W) film log, full-size crop of the middle."""
        del frame
        h, w = (size - size % (2 * _SCALE) for size in pixels.shape[-2:])
        if min(h, w) < _CUT_PX or len(self._errors) == _MOST_RUNS:
            return
        self._last.append(pixels[:, :h, :w])
        self._wait -= 1
        if len(self._last) == _RUN and self._wait <= 0:
            self._wait = _APART
            self._try(torch.stack(list(self._last)))

    def _try(self, truth: Tensor) -> None:
        small = reduce(truth, _SCALE, "mixed")
        window = Window.whole(small, tuple(range(_RUN)))
        several = FramesUpscale(_SCALE)(window).pixels
        single = ResampleUpscale(_SCALE)(window.middle(2)).pixels
        inner = truth[2:-2]
        self._errors.append((_square(several - inner), _square(single - inner)))
        self._apart.append(_square(several - single))
        now, then = (change_along_motion(v, inner) for v in (several, single))
        if math.isfinite(now) and math.isfinite(then):
            self._unsteady.append((now, then))

    def finish(self) -> dict[str, object]:
        """The evidence."""
        if not self._errors:
            return {"runs": 0}
        several, single = np.mean(self._errors, axis=0)
        steadiness = None
        if self._unsteady:
            now, then = np.mean(self._unsteady, axis=0)
            steadiness = round(float((now + 1e-6) / (then + 1e-6)), 4)
        floor = 1e-12
        return {
            "gain_db": round(float(10.0 * np.log10((single + floor) / (several + floor))), 3),
            "psnr_db": [round(float(-10.0 * np.log10(v + floor)), 2) for v in (several, single)],
            "steadiness": steadiness,
            "deviation": round(float(np.sqrt(np.mean(self._apart))), 6),
            "runs": len(self._errors),
        }


class SteadinessProbe:
    """How much pictures change along their own motion: shimmer, boiling edges, grain.

    Evidence: ``unsteady`` film log rms over pairs of frames, where the motion can be followed;
    ``pairs``.
    """

    name = "steadiness"

    def __init__(self) -> None:
        self._before: Tensor | None = None
        self._found: list[float] = []

    def observe(self, frame: int, pixels: Tensor) -> None:
        """frame: scan number. pixels: (C, H, W) film log, crop of the middle."""
        del frame
        if self._before is not None and len(self._found) < _APART:
            pair = torch.stack([self._before, pixels])
            change = change_along_motion(pair, pair)
            if math.isfinite(change):
                self._found.append(change)
        self._before = pixels

    def finish(self) -> dict[str, object]:
        """The evidence."""
        if not self._found:
            return {"unsteady": None, "pairs": 0}
        return {"unsteady": round(float(np.median(self._found)), 6), "pairs": len(self._found)}


def change_along_motion(frames: Tensor, guide: Tensor) -> float:
    """rms of what differs between consecutive frames (T, C, H, W) laid over each other.

    guide: frames of the same shape in which the motion is found. Places where the motion back
    does not lead home are left out (Lai et al. 2018, with flow in place of their masks); NaN when
    the motion could be followed nowhere.
    """
    images = [steering_image(luma(p)) for p in guide]
    found = [
        _pair(frames[k], frames[k + 1], images[k], images[k + 1]) for k in range(len(frames) - 1)
    ]
    followed = [v for v in found if math.isfinite(v)]
    return float(np.sqrt(np.mean(np.square(followed)))) if followed else math.nan


def _pair(
    one: Tensor,
    other: Tensor,
    image: NDArray[np.uint8],
    next_image: NDArray[np.uint8],
) -> float:
    forward = flow_tensor(find_flow(image, next_image), one)
    backward = flow_tensor(find_flow(next_image, image), one)
    moved, inside = warp(other.unsqueeze(0), forward)
    home, _ = warp(backward, forward, cubic=False)
    astray = (home + forward).square().sum(dim=1, keepdim=True)
    sure = inside & (astray < 0.5)
    rim = _RIM_PX
    sure[..., :rim, :], sure[..., -rim:, :] = False, False
    sure[..., :, :rim], sure[..., :, -rim:] = False, False
    if not bool(sure.any()):
        return math.nan
    gap = (moved - one.unsqueeze(0)).square().mean(dim=1, keepdim=True)
    return float(gap[sure].mean().sqrt())


def _square(gap: Tensor) -> float:
    rim = _RIM_PX
    return float(gap[..., rim:-rim, rim:-rim].double().square().mean())
