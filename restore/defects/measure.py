"""Where a defect map lies on the picture, and whether it shows defects or the picture itself.

Dirt is the one thing that both surely show. The places where the map is dense are correlated with
what is on this frame of the picture only (against its neighbours along the motion; without any,
against its own surroundings) over all shifts, summed over frames: a map that was scanned by the
same machine is off by the same amount in all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from restore.defects.crosstalk import F32, cleaned, density_of
from restore.motion import find_flow, luma, steering_image

REACH_PX = 16
"""Largest shift that is looked for."""
SPOT = 6.0
"""Sigmas from which a place of the map is taken for a defect."""
LEAST_DENSITY = 0.06
_MEDIAN_PX = 5
_CLIPPED = 0.15
_RIM_PX = 4.0


class DefectProbe:
    """Sums over frames of a shot.

    Evidence: ``frames`` looked at, ``surface`` (33, 33) likeness of map and picture by shift, down
    and right, ``through`` (33, 33) the same for what dyes let through of the picture, without
    defects, ``places`` (n, 2) the best shift of each frame that has one, ``spots_px`` how many
    pixels of all frames are dense in the map, ``gaps_px`` how many are as much clearer than what
    is around them, ``follows`` and ``explained`` as in ``Cleaned``,
    medians; ``density`` median of the map; ``echo`` correlation of what is left in the map with
    the detail of the picture.
    """

    name = "defects"

    def __init__(self, *, bright: bool) -> None:
        self._bright = bright
        self._surface = np.zeros((2 * REACH_PX + 1,) * 2)
        self._through = np.zeros_like(self._surface)
        self._places: list[list[float]] = []
        self._follows: list[float] = []
        self._explained: list[float] = []
        self._echo: list[float] = []
        self._spots_px = self._gaps_px = 0
        self._density: list[float] = []

    def observe(
        self, frame: int, pixels: Tensor, plane: F32, beside: Sequence[Tensor] = ()
    ) -> None:
        """pixels: (C, H, W) film log. plane: (H, W) 0..1, the map of this frame. beside: the
        pictures before and after it, as far as there are any, (C, H, W)."""
        del frame
        picture = pixels.detach().cpu().numpy()
        own = luma(pixels).detach().cpu().numpy().astype(np.float32, copy=False)
        density = density_of(plane, bright=self._bright)
        self._density.append(float(np.median(density)))
        found = cleaned(density, picture)
        least = max(SPOT * found.sigma, LEAST_DENSITY)
        spots = (found.depth > least).astype(np.float32)
        self._spots_px += int(spots.sum())
        self._gaps_px += int((found.depth < -least).sum())
        detail = _residue(own)
        fine = np.where(cv2.dilate(spots, np.ones((9, 9), np.uint8)) > 0, 0.0, _residue(density))
        self._through += _likeness(fine.astype(np.float32), detail)
        if spots.any():
            alone = _alone(pixels, beside) if beside else np.abs(detail)
            surface = _likeness(found.depth * spots, alone)
            self._surface += surface
            best = np.unravel_index(int(surface.argmax()), surface.shape)
            down, right = int(best[0]) - REACH_PX, int(best[1]) - REACH_PX
            self._places.append([float(down), float(right)])
            if down or right:
                # Only where it lies on the picture can the picture be taken out of it.
                placed = np.roll(plane, (down, right), axis=(0, 1))
                found = cleaned(density_of(placed, bright=self._bright), picture)
                spots = (found.depth > max(SPOT * found.sigma, LEAST_DENSITY)).astype(np.float32)
        self._follows.append(found.follows)
        self._explained.append(found.explained)
        sound = cv2.dilate(spots, np.ones((9, 9), np.uint8)) == 0
        if int(sound.sum()) > 100:
            left, under = _residue(found.depth)[sound], detail[sound]
            scale = float(left.std() * under.std())
            echo = float(np.mean((left - left.mean()) * (under - under.mean())))
            self._echo.append(echo / scale if scale > 1e-12 else 0.0)

    def finish(self) -> Mapping[str, object]:
        """The evidence."""

        def middle(values: list[float]) -> float:
            return round(float(np.median(values)), 5) if values else 0.0

        return {
            "frames": len(self._follows),
            "surface": self._surface,
            "through": self._through,
            "places": np.array(self._places, np.float64).reshape(-1, 2),
            "spots_px": self._spots_px,
            "gaps_px": self._gaps_px,
            "follows": middle(self._follows),
            "density": middle(self._density),
            "explained": middle(self._explained),
            "echo": middle(self._echo),
        }


def _alone(pixels: Tensor, beside: Sequence[Tensor]) -> F32:
    """(H, W) how far the luma is from each of its neighbours along the motion, at least."""
    own = luma(pixels).detach().cpu().numpy().astype(np.float32, copy=False)
    image = steering_image(luma(pixels))
    y, x = np.mgrid[0 : own.shape[0], 0 : own.shape[1]].astype(np.float32)
    nearest = np.full(own.shape, _CLIPPED, np.float32)
    for other in beside:
        flow = find_flow(image, steering_image(luma(other)))
        there = luma(other).detach().cpu().numpy().astype(np.float32, copy=False)
        fetched = cv2.remap(
            there, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        apart = own - fetched
        # Flicker is on the whole frame, dirt is not.
        nearest = np.minimum(nearest, np.abs(apart - np.median(apart)))
    # Large dirt is alike over many shifts; its rims are not.
    rims: F32 = nearest - cv2.GaussianBlur(nearest, (0, 0), _RIM_PX)
    return rims


def _residue(plane: F32) -> F32:
    """What is smaller than the median's square."""
    fine: F32 = plane - cv2.medianBlur(np.ascontiguousarray(plane, np.float32), _MEDIAN_PX)
    return np.clip(fine, -_CLIPPED, _CLIPPED)


def _likeness(spots: F32, detail: F32) -> NDArray[np.float64]:
    """(33, 33) mean of ``detail`` under the spots when these are moved down and right, in
    deviations of what a place of the picture has by chance."""
    h, w = spots.shape
    reach = REACH_PX
    inner = np.zeros_like(spots)
    inner[reach : h - reach, reach : w - reach] = spots[reach : h - reach, reach : w - reach]
    shape = (cv2.getOptimalDFTSize(h), cv2.getOptimalDFTSize(w))
    centred = detail - detail.mean()
    one, other = (np.fft.rfft2(p, shape) for p in (inner, centred))
    whole = np.fft.irfft2(np.conj(one) * other, shape)
    rolled = np.roll(whole, (reach, reach), axis=(0, 1))[: 2 * reach + 1, : 2 * reach + 1]
    power = float(np.sqrt(np.square(inner, dtype=np.float64).sum()) * centred.std())
    found: NDArray[np.float64] = rolled / max(power, 1e-9)
    return found
