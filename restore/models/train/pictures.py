"""Pictures to learn from: photographs and lettering, reduced as cameras and labs reduce.

A photograph is first made smaller by whole steps, so that its compression and the camera's
interpolation are averaged away and what is left is detail.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from restore.upscale.lock import softened

Picture = NDArray[np.uint16]
"""(H, W, 3) display-referred RGB, 0..65535."""

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
_STEPS = (2, 3, 4)
_SMALLEST_PX = 400
_MARGIN_PX = 4
CPU = torch.device("cpu")
_LETTERS = "ABCDEFGHKLMNOPRSTUVWXYZabcdefghiklmnoprstuvwxyz0123456789&!?.,:"
_FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
)


def photographs(folder: Path) -> list[Picture]:
    """Each photograph under a folder, two to four times smaller; a film gives each 24th frame.

    raises: FileNotFoundError where there is none.
    """
    found: list[Picture] = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES:
            picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if picture is not None:
                found += _smaller(picture, _STEPS)
        elif path.suffix.lower() in (".mp4", ".mkv"):
            film = cv2.VideoCapture(str(path))
            number = 0
            while film.grab():
                if number % 24 == 0:
                    found += _smaller(film.retrieve()[1], (2,))
                number += 1
            film.release()
    if not found:
        raise FileNotFoundError(f"no photograph and no film in {folder}")
    return found


def _smaller(picture: NDArray[np.uint8], steps: Sequence[int]) -> list[Picture]:
    exact = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB).astype(np.float32) * 257.0
    sizes: list[Picture] = []
    for step in steps:
        height, width = picture.shape[0] // step, picture.shape[1] // step
        if sizes and min(height, width) < _SMALLEST_PX:
            break
        area = exact[: height * step, : width * step]
        area = area.reshape(height, step, width, step, 3).mean(axis=(1, 3))
        sizes.append(np.rint(area).astype(np.uint16))
    return sizes


def lettering(count: int, seed: int, size_px: int = 512) -> list[Picture]:
    """Drawn cards: lines of letters of many sizes, dark on light or light on dark."""
    rng = np.random.default_rng(seed)
    cards: list[Picture] = []
    for _ in range(count):
        large = 4 * size_px
        card = np.full((large, large, 3), rng.integers(0, 256, 3), np.uint8)
        row = 0
        while row < large:
            height = int(rng.integers(40, 260))
            text = "".join(rng.choice(list(_LETTERS)) for _ in range(60))
            ink = [int(v) for v in rng.integers(0, 256, 3)]
            cv2.putText(
                card,
                text,
                (int(rng.integers(-60, 20)), row + height),
                _FONTS[int(rng.integers(len(_FONTS)))],
                height / 30.0,
                ink,
                max(2, int(height * rng.uniform(0.04, 0.2))),
                cv2.LINE_AA,
            )
            row += int(height * rng.uniform(1.1, 1.6))
        turn = cv2.getRotationMatrix2D((large / 2, large / 2), float(rng.uniform(-20, 20)), 1.2)
        turned = cv2.warpAffine(card, turn, (large, large), borderMode=cv2.BORDER_REFLECT)
        cards += _smaller(turned, (4,))
    return cards


class Crops:
    """Random pairs of a picture and its reduction, drawn on the device that holds the pictures."""

    def __init__(
        self,
        pictures: Sequence[Picture],
        scale: int,
        crop_px: int,
        seed: int,
        device: torch.device = CPU,
    ) -> None:
        side = (crop_px + 2 * _MARGIN_PX) * scale
        pictures = [p for p in pictures if min(p.shape[:2]) >= side]
        # int32: the smallest kind that holds 16 bit and can be worked with on every device.
        self._pictures = [
            torch.from_numpy(p.transpose(2, 0, 1).astype(np.int32)).to(device) for p in pictures
        ]
        self._scale, self._crop = scale, crop_px
        self._rng = np.random.default_rng(seed)
        share = np.sqrt([p.shape[0] * p.shape[1] for p in pictures])
        self._share = share / share.sum()

    def batch(self, count: int) -> tuple[Tensor, Tensor]:
        """(N, 3, crop, crop) and (N, 3, crop * scale, crop * scale), 0..1."""
        side = (self._crop + 2 * _MARGIN_PX) * self._scale
        large = self._livelier(count, side)
        small = self._reduced(large)
        rim = _MARGIN_PX * self._scale
        return (
            small[:, :, _MARGIN_PX:-_MARGIN_PX, _MARGIN_PX:-_MARGIN_PX].contiguous(),
            large[:, :, rim:-rim, rim:-rim].contiguous(),
        )

    def _livelier(self, count: int, side: int) -> Tensor:
        """(count, 3, side, side): of two places the livelier, three times of four: sky teaches
        nothing."""
        one, other = self._anywhere(2 * count, side).chunk(2)
        rough = [
            (v[:, 1, ::2, 1:] - v[:, 1, ::2, :-1]).abs().mean(dim=(1, 2)) for v in (one, other)
        ]
        wanted = torch.from_numpy(self._rng.random(count) < 0.75).to(one.device)
        better = wanted & (rough[1] > rough[0])
        return torch.where(better.view(-1, 1, 1, 1), other, one)

    def _anywhere(self, count: int, side: int) -> Tensor:
        """Turned, mirrored and with its channels changed about, alike in one batch."""
        rng, crops = self._rng, []
        for k in rng.choice(len(self._pictures), count, p=self._share):
            picture = self._pictures[int(k)]
            y, x = (int(rng.integers(n - side + 1)) for n in picture.shape[1:])
            crops.append(picture[:, y : y + side, x : x + side])
        found = torch.stack(crops).float() / 65535.0
        found = found.flip(-1) if rng.random() < 0.5 else found
        found = torch.rot90(found, int(rng.integers(4)), (2, 3))
        return torch.cat([found[:, k : k + 1] for k in rng.permutation(3)], dim=1)

    def _reduced(self, large: Tensor) -> Tensor:
        """Each part of a batch by one of four kernels: which one a scan was made with is never
        known."""
        size = (large.shape[-2] // self._scale, large.shape[-1] // self._scale)
        ends = np.cumsum(self._rng.multinomial(len(large), (0.4, 0.4, 0.1, 0.1)))
        groups = torch.tensor_split(large, ends[:-1].tolist())
        sigma_px = self._scale * float(self._rng.uniform(0.3, 0.6))
        small: list[Tensor] = []
        for kind, group in zip(("area", "bicubic", "bilinear", "soft"), groups, strict=True):
            if not len(group):
                continue
            if kind in ("bicubic", "bilinear"):
                small.append(F.interpolate(group, size=size, mode=kind, antialias=True))
                continue
            if kind == "soft":
                group = softened(group, sigma_px, max(1, round(3 * sigma_px)))
            small.append(F.avg_pool2d(group, self._scale))
        return torch.cat(small).clamp(0, 1)
