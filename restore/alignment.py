"""Neighbours of a frame brought onto it, along flow that is chained from frame to frame.

Flow is found between frames that follow one another only, and chained: two steps from t to t + 2.
Where things move far this follows them better than one long look, and a pair of frames is worked
on once although seven windows need it (``FlowMemory``, a pure memo: keyed by content).
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from restore.motion import LUMA, Search, flow_tensor, warp

F32 = NDArray[np.float32]
Flow = NDArray[np.float32]
"""(H, W, 2) displacement in px, x then y."""
Quality = Literal["quick", "halved", "usual", "fine"]
"""Of the flow: what it costs and how near it comes. "halved" is the usual flow kept at half size
until it is used: it costs half, and what is chained is a little smoother. "quick" is half size
too."""
HALVED: tuple[Quality, ...] = ("quick", "halved")
_SEARCHED: dict[Quality, Search] = {
    "quick": Search(finest=1, patch_px=8, stride_px=4, steps=16, rounds=5),
    "halved": Search(finest=0, patch_px=8, stride_px=6, steps=4, rounds=3),
    "usual": Search(finest=1, patch_px=8, stride_px=6, steps=6, rounds=1),
    "fine": Search(finest=0, patch_px=12, stride_px=6, steps=5, rounds=8),
}
_LUMA_ROW = np.array([LUMA])
_PAIRS_KEPT = 14
"""Both ways between the seven frames of a window, and one frame more."""


class FlowMemory:
    """Flow between pairs of 8-bit pictures, remembered by what is in them.

    The same pictures give the same flow whether it is remembered or not, so a memory never
    changes a result; it holds the pairs of one window and a few more.
    """

    def __init__(self, quality: Quality = "usual", beside: int = 0) -> None:
        """beside: pairs kept beyond those of a usual window."""
        self._quality = quality
        self._room = _PAIRS_KEPT + beside
        self._kept: OrderedDict[bytes, Flow] = OrderedDict()

    def flow(self, source: Steering, target: Steering) -> Flow:
        """``source`` at p is found in ``target`` at p + flow."""
        key = source.digest + target.digest
        found = self._kept.pop(key, None)
        if found is None:
            found = _find(source.image, target.image, self._quality)
        self._kept[key] = found
        while len(self._kept) > self._room:
            self._kept.popitem(last=False)
        return found


class Steering:
    """What the flow looks at: 8-bit luma of a frame, its noise taken down."""

    def __init__(self, pixels: F32, *, blurred: bool = True) -> None:
        """pixels: (H, W, C) of any scale. blurred: lightly, for pictures that carry noise."""
        channels = pixels.shape[2]
        plane = pixels[..., 0] if channels == 1 else cv2.transform(pixels, _LUMA_ROW)
        if blurred:
            plane = cv2.GaussianBlur(plane, (7, 7), 1.0, borderType=cv2.BORDER_REPLICATE)
        low, high = np.quantile(plane[::8, ::8], (0.005, 0.995))
        scale = 255.0 / max(float(high - low), 0.02)
        # Blacker than the darkest stays black: the conversion takes absolute values.
        held = cv2.max(plane, float(low))
        self.image: NDArray[np.uint8] = cv2.convertScaleAbs(
            held, alpha=scale, beta=-float(low) * scale
        )
        self.digest = hashlib.blake2b(self.image.tobytes(), digest_size=16).digest()


def _find(source: NDArray[np.uint8], target: NDArray[np.uint8], quality: Quality) -> Flow:
    """DIS (Kroeger et al. 2016). Half-size flow with few, short steps comes near to its medium
    preset at a third of the time; the quick way is its fast preset, which looks at half that. On
    pictures without grain ("halved", "fine") searching long follows what grain is left; rounds of
    refinement, which smooth along what is seen, are better spent."""
    return _SEARCHED[quality].flow(source, target)


def chained_flows(
    steering: Mapping[int, Steering], center: int, near: Sequence[int], memory: FlowMemory
) -> dict[int, Flow]:
    """Flow from the frame at ``center`` to each place in ``near``, chained through the nearer.

    steering: by place in a window.
    """
    found: dict[int, Flow] = {}
    for side in (-1, 1):
        so_far: Flow | None = None
        at = center
        for place in sorted((k for k in near if (k - center) * side > 0), key=lambda k: k * side):
            step = memory.flow(steering[at], steering[place])
            if so_far is None:
                so_far = step
            else:
                so_far = and_then(so_far, step)
            at = place
            found[at] = so_far
    return found


def and_then(so_far: Flow, step: Flow, scale: float = 1.0) -> Flow:
    """Motion ``so_far`` and from there on a ``step``, (H, W, 2) both.

    scale: their size, as a share of the picture whose px they count.
    """
    places = pixel_grid(*so_far.shape[:2]) + np.float32(scale) * so_far
    carried = cv2.remap(step, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    onward: Flow = so_far + carried
    return onward


def at_full_size(flow: Flow, size: tuple[int, int]) -> Flow:
    """Flow between pictures of half the size, for pictures of ``size`` (height, width)."""
    height, width = size
    h, w = flow.shape[:2]
    longer = flow * np.array([width / w, height / h], np.float32)
    full: Flow = cv2.resize(longer, (width, height), interpolation=cv2.INTER_LINEAR)
    return full


def brought_onto(own: F32, others: Sequence[F32], flows: Sequence[Flow]) -> list[F32]:
    """The other frames where ``own`` shows the same thing; ``own`` itself beyond their edges.

    own, others: (H, W, C) of any scale. flows: from own to each. Fetched with a cubic kernel;
    what of it lies outside is taken from ``own`` at the pixel itself.
    """
    grid = pixel_grid(*own.shape[:2])
    found = []
    for picture, flow in zip(others, flows, strict=True):
        places = grid + flow
        # Not OpenCV's transparent border: that of version 5 takes the pixel up to 7 px beside.
        fetched = cv2.remap(
            picture, places, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT
        ).reshape(own.shape)
        rim = _at_the_rim(places)
        if rim is not None:
            columns, rows = rim.T
            x, y = places[rows, columns].T
            height, width = own.shape[:2]
            lacking = 1.0 - _held_inside(x, width) * _held_inside(y, height)
            fetched[rows, columns] += lacking[:, None] * own[rows, columns]
        found.append(fetched)
    return found


def _at_the_rim(places: Flow) -> NDArray[np.int32] | None:
    """(N, 2) columns and rows of pixels for which part of a cubic kernel lies outside."""
    height, width = places.shape[:2]
    inside = cv2.inRange(places, (1.0, 1.0), (width - 2.0, height - 2.0))
    outside = cv2.findNonZero(cv2.bitwise_not(inside))
    return None if outside is None else outside.reshape(-1, 2)


def _held_inside(places: F32, size: int) -> F32:
    """Share of a cubic kernel that lies on pixels 0 to ``size`` - 1 of a line, for each place."""
    first = np.floor(places)
    f = places - first
    a = np.float32(-0.75)
    taps = (
        a * (f - 2 * f**2 + f**3),
        1 - (a + 3) * f**2 + (a + 2) * f**3,
        1 - (a + 3) * (1 - f) ** 2 + (a + 2) * (1 - f) ** 3,
        a * (f**2 - f**3),
    )
    share: F32 = np.zeros_like(places)
    for k, tap in enumerate(taps, start=-1):
        share += tap * ((first + k >= 0) & (first + k <= size - 1))
    return share


def brought_onto_on_device(
    own: Tensor, others: Sequence[Tensor], flows: Sequence[Flow]
) -> list[Tensor]:
    """The same for pictures of (C, H, W) on any device."""
    found = []
    for picture, flow in zip(others, flows, strict=True):
        # A last plane of ones tells how much of the kernel lay on the other picture.
        planes = torch.cat([picture, torch.ones_like(picture[:1])])[None]
        fetched = warp(planes, flow_tensor(flow, own), held=False)[0][0]
        found.append(fetched[:-1] + (1.0 - fetched[-1:]) * own)
    return found


def interleaved(pixels: Tensor) -> F32:
    """(C, H, W) as a contiguous (H, W, C) array."""
    planes = pixels.detach().cpu().numpy()
    if len(planes) == 1:
        return np.ascontiguousarray(planes[0])[..., None]
    merged: F32 = cv2.merge([np.ascontiguousarray(p) for p in planes])
    return merged


@lru_cache(maxsize=8)
def pixel_grid(h: int, w: int) -> Flow:
    """(h, w, 2) the place of each pixel, x then y; read, never written to."""
    places = np.empty((h, w, 2), np.float32)
    places[..., 0] = np.arange(w, dtype=np.float32)
    places[..., 1] = np.arange(h, dtype=np.float32)[:, None]
    return places
