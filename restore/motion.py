"""Motion between frames of a shot, shared by every probe and repair that follows it.

Flow is found by DIS optical flow (Kroeger et al. 2016, OpenCV) on an 8-bit, contrast-equalised
luma proxy. The proxy only ever steers where to look; no delivered pixel passes through it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

LUMA = (0.2126, 0.7152, 0.0722)
_SMALLEST_PX = 32
"""On smaller pictures DIS finds nothing."""


def luma(pixels: Tensor) -> Tensor:
    """(..., C, H, W) film log to (..., H, W): Rec.709 weights, or the one channel there is."""
    if pixels.shape[-3] == 1:
        return pixels[..., 0, :, :]
    if pixels.ndim == 3 and pixels.device.type == "cpu" and pixels.dtype is torch.float32:
        from restore import compiled  # compiled on first use, not at import

        planes = pixels.detach().contiguous().numpy()
        gray = np.empty(planes.shape[1:], np.float32)
        compiled.weighed(planes.reshape(3, -1), np.array(LUMA, np.float32), gray.reshape(-1))
        return torch.from_numpy(gray)
    r, g, b = pixels.unbind(dim=-3)
    return LUMA[0] * r + LUMA[1] * g + LUMA[2] * b


def steering_image(plane: Tensor, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """What the flow looks at: (H, W) film log luma, despeckled and equalised, as 8 bit.

    size: width and height to reduce to first; None keeps (H, W).
    Equalising in tiles makes it blind to flicker, the median makes it blind to dust.
    """
    values = plane.detach().to("cpu", torch.float32).numpy()
    if size is not None and size != values.shape[::-1]:
        values = cv2.resize(values, size, interpolation=cv2.INTER_AREA)
    low, high = np.quantile(values[::4, ::4], (0.005, 0.995))
    scaled = (values - low) * (255.0 / max(float(high - low), 0.02))
    image = cv2.medianBlur(np.clip(scaled, 0, 255).astype(np.uint8), 3)
    equalised: NDArray[np.uint8] = cv2.createCLAHE(2.0, (4, 4)).apply(image)
    return equalised


@dataclass(frozen=True, slots=True)
class Search:
    """How long DIS looks, and how closely."""

    finest: int
    """Scale at which it stops: 0 is full size, 1 half."""
    patch_px: int
    stride_px: int
    steps: int
    """Of gradient descent."""
    rounds: int
    """Of variational refinement."""

    def flow(self, source: NDArray[np.uint8], target: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(H, W, 2) displacement in px, as ``find_flow``; zero on pictures too small to search."""
        if min(source.shape) < _SMALLEST_PX:
            return np.zeros((*source.shape, 2), np.float32)
        # Whatever a preset says is said here.
        dis: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        dis.setFinestScale(self.finest)
        dis.setPatchSize(self.patch_px)
        dis.setPatchStride(self.stride_px)
        dis.setGradientDescentIterations(self.steps)
        dis.setVariationalRefinementIterations(self.rounds)
        found: NDArray[np.float32] = dis.calc(source, target, None)
        return found


_FAST = Search(finest=2, patch_px=8, stride_px=4, steps=16, rounds=5)
_FINE = Search(finest=1, patch_px=8, stride_px=3, steps=25, rounds=5)
"""What OpenCV calls its fast and its medium preset."""


def find_flow(
    source: NDArray[np.uint8], target: NDArray[np.uint8], *, fine: bool = False
) -> NDArray[np.float32]:
    """(H, W, 2) displacement in px (x, y): ``source`` at p is found in ``target`` at p + flow."""
    return (_FINE if fine else _FAST).flow(source, target)


def warp(
    image: Tensor, flow: Tensor, *, cubic: bool = True, held: bool = True
) -> tuple[Tensor, Tensor]:
    """Fetch ``image`` at p + flow.

    image: (N, C, H, W) float32. flow: (N, 2, H, W) px, x then y, same device. held: beyond its
    edges the image goes on as it is there, otherwise as zero.
    returns: warped (N, C, H, W) and inside (N, 1, H, W) bool, False where p + flow lies outside.
    """
    h, w = image.shape[-2:]
    ys = torch.arange(h, device=image.device, dtype=torch.float32).view(1, h, 1)
    xs = torch.arange(w, device=image.device, dtype=torch.float32).view(1, 1, w)
    x, y = xs + flow[:, 0], ys + flow[:, 1]
    inside = (x >= 0) & (x <= w - 1) & (y >= 0) & (y <= h - 1)
    grid = torch.stack((x * (2.0 / max(w - 1, 1)) - 1.0, y * (2.0 / max(h - 1, 1)) - 1.0), dim=-1)
    mode = "bicubic" if cubic else "bilinear"
    rim = "border" if held else "zeros"
    warped = F.grid_sample(image, grid, mode=mode, padding_mode=rim, align_corners=True)
    return warped, inside.unsqueeze(1)


def flow_tensor(flow: NDArray[np.float32], like: Tensor) -> Tensor:
    """(H, W, 2) flow as (1, 2, H, W) on the device of ``like``."""
    return (
        torch.from_numpy(np.ascontiguousarray(flow.transpose(2, 0, 1))).unsqueeze(0).to(like.device)
    )


def distinct_neighbours(frames: Sequence[int], center: int) -> list[int]:
    """Positions in a window that hold other frames than the centre, each frame once, nearest first.

    At the ends of a shot a window runs backwards, so the same frame shows up twice; using it
    twice would pretend to evidence that is not there.
    """
    seen = {frames[center]}
    found = []
    for k in sorted(range(len(frames)), key=lambda i: (abs(i - center), i)):
        if frames[k] not in seen:
            seen.add(frames[k])
            found.append(k)
    return found


def blur(pixels: Tensor, sigma_px: float) -> Tensor:
    """Gaussian blur of (N, C, H, W) float32, edges held, separable; analysis only.

    Each plane is filtered by itself, so a plane comes out the same whatever it is batched with.
    """
    radius = max(1, int(3.0 * sigma_px + 0.5))
    x = np.arange(-radius, radius + 1, dtype=np.float64)
    weights = np.exp(-0.5 * (x / sigma_px) ** 2)
    taps = (weights / weights.sum()).astype(np.float32)
    if pixels.device.type == "cpu":
        return _by_plane(
            pixels,
            lambda plane: cv2.sepFilter2D(
                plane, cv2.CV_32F, taps, taps, borderType=cv2.BORDER_REPLICATE
            ),
        )
    padded = F.pad(pixels, (radius, radius, radius, radius), mode="replicate")
    return filtered(filtered(padded, taps, -1), taps, -2)


def filtered(
    planes: Tensor, taps: Sequence[float] | NDArray[np.float32], dim: int, step: int = 1
) -> Tensor:
    """Filter along one axis, on any device; what lacks a neighbour under a tap is left out.

    step: every how many places. A pixel is the same sum in the same order wherever it lies and
    whatever it is batched with. A convolution of cuDNN does not promise that: it picks its way by
    the size of what it is given.
    """
    size = (planes.shape[dim] - len(taps)) // step + 1
    parts = [_every(planes, dim, k, size, step) for k in range(len(taps))]
    out = parts[0] * float(taps[0])
    for part, tap in zip(parts[1:], taps[1:], strict=True):
        out.add_(part, alpha=float(tap))
    return out


def _every(planes: Tensor, dim: int, first: int, size: int, step: int) -> Tensor:
    part = planes.narrow(dim, first, (size - 1) * step + 1)
    if step == 1:
        return part
    return part[..., ::step] if dim == -1 else part[..., ::step, :]


def highest(pixels: Tensor, size_px: int) -> Tensor:
    """Maximum over a square of odd ``size_px`` around each pixel of (N, C, H, W)."""
    if pixels.device.type == "cpu":
        square = np.ones((size_px, size_px), np.uint8)
        # The default border of dilate never wins, so the edge sees its real neighbours only.
        return _by_plane(pixels, lambda plane: cv2.dilate(plane, square))
    return F.max_pool2d(pixels, size_px, stride=1, padding=size_px // 2)


def _by_plane(
    pixels: Tensor, filtered: Callable[[NDArray[np.float32]], NDArray[np.float32]]
) -> Tensor:
    """Run an OpenCV filter over each (H, W) plane of a CPU tensor: several times faster there
    than the convolutions of torch, and independent of the batch."""
    planes = pixels.detach().contiguous().numpy().reshape(-1, *pixels.shape[-2:])
    out = np.empty_like(planes)
    for k, plane in enumerate(planes):
        out[k] = filtered(plane)
    return torch.from_numpy(out).view(pixels.shape)
