"""What the frames around one frame say about each of its pixels: planes for the dirt network.

The motion-compensated neighbours are compared with the frame after slow differences (flicker,
shading) are taken out. Nothing here is specific to a size: planes are as large as the frame.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from restore.alignment import pixel_grid
from restore.motion import blur

F32 = NDArray[np.float32]
PLANES = 8
FOLD = 2
"""Px, edge of the cells the network sees."""
MULTIPLE_PX = 16
"""Of the network's coarsest scale: cells are made up to a multiple of it."""
_SLOTS = 4
_MID_DENSITY = 0.45
_SLOW_PX = 8
_SLOW_LIMIT = 0.15
"""Film log; no speck may pull the slow difference further than this."""
_MOST = 4.0
_MISFIT_LIMIT = 0.10
"""Film log; no speck may make more of a misfit than this."""
_CELL_PX, _AROUND = 4, 5
"""Neighbours are held against each other in cells, each with so many around it."""
_SHARED_LEAST, _SHARED_SIGMAS = 0.005, 2.0
"""Film log and sigmas by which the three others must differ from the frame."""
_SHARED_ALIKE, _SHARED_RIM_PX = 0.4, 5
"""Share of that by which the one may."""
_SHARED_PLACE_PX, _SHARED_BEND_PX = 3.0, 8.0
"""Dirt lies in one place of the film, things that move do not; motion that is lost says nothing."""
_FAR_WORSE = (2.0, 0.01)
"""Times the misfit of the neighbour that fits best, and film log beyond it."""


def fetched(plane: F32, flow: F32, into: F32 | None = None) -> F32:
    """(H, W) plane at p + flow, cubic, edges held. Only looked at, never delivered.

    into: where it is to be written.
    """
    places = pixel_grid(*plane.shape) + flow
    found: F32 = cv2.remap(
        plane, places, None, cv2.INTER_CUBIC, dst=into, borderMode=cv2.BORDER_REPLICATE
    )
    return found


def slow(difference: Tensor) -> Tensor:
    """What changes slowly over (N, 1, H, W): flicker and shading, not specks. Same shape."""
    h, w = difference.shape[-2:]
    if min(h, w) < 4 * _SLOW_PX:
        return difference.mean(dim=(-2, -1), keepdim=True).expand_as(difference)
    bounded = difference.clamp(-_SLOW_LIMIT, _SLOW_LIMIT)
    coarse = blur(F.avg_pool2d(bounded, _SLOW_PX), 3.0)
    return F.interpolate(coarse, size=(h, w), mode="bilinear", align_corners=False)


def levelled(own: Tensor, near: Tensor) -> Tensor:
    """(N, 1, H, W) neighbours brought to the slow level of ``own``, (H, W)."""
    return near + slow(own - near)


def planes(
    own: Tensor, near: Tensor, flows: Sequence[F32], sigma: float, *, one_sided: bool
) -> Tensor:
    """(PLANES, H, W) float32: what the network looks at.

    own: (H, W) film log luma. near: (N, 1, H, W), levelled, nearest first, N = 2 to 4. flows:
    (H, W, 2) px to the nearest two. sigma: grain of the luma, film log.
    Differences are given in units of what grain explains.
    """
    scale = 1.0 / (6.0 * sigma + 0.03)
    slots = torch.stack([near[k % len(near), 0] for k in range(_SLOTS)])
    differences = ((own - slots) * scale).clamp(-_MOST, _MOST)
    # Motion goes on as it was: to both sides alike, or twice as far to the second.
    bend = 2.0 * flows[0] - flows[1] if one_sided else flows[0] + flows[1]
    lost = torch.from_numpy(np.minimum(np.hypot(bend[..., 0], bend[..., 1]) / 8.0, 2.0))
    constant = torch.ones_like(own)
    return torch.stack(
        [
            (own - _MID_DENSITY) * 3.0,
            *differences,
            lost.to(own.device, torch.float32),
            constant * (50.0 * sigma),
            constant * float(one_sided),
        ]
    )


def believed(own: F32, near: F32) -> None:
    """Where one neighbour plainly shows another place, the one that fits best stands in for it.

    own: (h, w); near: (N, h, w), fetched along the motion; changed in place. Motion is lost behind
    and before things that move, seldom to all neighbours at once. A neighbour that shows the
    wrong place looks as though something had come or gone, and hides what is on one frame only.
    """
    from restore.dirt import cells  # compiled on first use, not at import

    if len(near) < _SLOTS or min(own.shape) < 4 * _SLOW_PX:
        return
    slow_part = _slow_cells(own, near, _CELL_PX)
    misfit = np.empty_like(slow_part)
    cells.coarse_misfit(own, near, slow_part, _CELL_PX, _MISFIT_LIMIT, misfit)
    for plane in misfit:
        cv2.blur(plane, (_AROUND, _AROUND), dst=plane, borderType=cv2.BORDER_REPLICATE)
    cells.stand_in(near, misfit, _CELL_PX, *_FAR_WORSE)


def told_apart(own: F32, near: F32, flows: Sequence[F32], sigma: float) -> None:
    """Where one of the nearest two shows what the frame shows, and the three others agree that
    something else is there, the neighbour behind it stands in for it.

    own: (h, w); near: (4, h, w), one and two frames to either side, nearest first, fetched along
    the motion; changed in place. flows: (H, W, 2) px to the nearest two. sigma: grain of the luma,
    film log. Dirt that lies on two frames in a row would otherwise hide itself.
    """
    from restore.dirt import cells  # compiled on first use, not at import

    if len(near) < _SLOTS or min(own.shape) < 4 * _SLOW_PX:
        return
    apart = np.empty_like(near)
    cells.differences(own, near, _slow_cells(own, near, _SLOW_PX), apart)
    for plane in apart:
        cv2.blur(plane, (3, 3), dst=plane, borderType=cv2.BORDER_REPLICATE)
    least = _SHARED_LEAST + _SHARED_SIGMAS * sigma
    told = (least, _SHARED_ALIKE, _SHARED_PLACE_PX, _SHARED_BEND_PX)
    shared = np.empty(own.shape, np.uint8)
    for nearest, behind in ((0, 2), (1, 3)):
        if not cells.shared(apart, flows[nearest], flows[1 - nearest], nearest, told, shared):
            continue
        solid = cv2.morphologyEx(shared, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
        around = cv2.dilate(solid, np.ones((_SHARED_RIM_PX,) * 2, np.uint8))
        np.copyto(near[nearest], near[behind], where=around > 0)


def _slow_cells(own: F32, near: F32, step_px: int) -> F32:
    """(N, h // step_px, w // step_px) the slow part of own - near, not spread over the frame."""
    from restore.dirt import cells

    h, w = own.shape
    means = np.empty((len(near), h // step_px, w // step_px), np.float32)
    cells.coarse_difference(own, near, step_px, _SLOW_LIMIT, means)
    wide = 3.0 * _SLOW_PX / step_px
    smooth: F32 = blur(torch.from_numpy(means)[:, None], wide)[:, 0].numpy()
    return smooth


def folded(
    own: F32, near: F32, flows: Sequence[F32], sigma: float, *, one_sided: bool, half: bool
) -> Tensor:
    """(1, PLANES * 4, H / 2, W / 2): ``planes`` in cells of 2 x 2 px, as float32 or bf16.

    own: (h, w); near: (N, h, w), fetched along the motion, not levelled: that is done here.
    """
    from restore.dirt import cells  # compiled on first use, not at import

    h, w = own.shape
    if min(h, w) < 4 * _SLOW_PX:
        slow_part = (own - near).mean(axis=(1, 2), keepdims=True, dtype=np.float32)
    else:
        slow_part = _slow_cells(own, near, _SLOW_PX)
    bend = (2.0, -1.0) if one_sided else (1.0, 1.0)
    constants = (50.0 * sigma, float(one_sided))
    told = (_MID_DENSITY, 3.0, 1.0 / (6.0 * sigma + 0.03), _MOST, *bend, 1.0 / 8.0, 2.0, *constants)
    size = ((h + -h % MULTIPLE_PX) // FOLD, (w + -w % MULTIPLE_PX) // FOLD, PLANES * FOLD**2)
    full = np.empty((0, 0, 0) if half else size, np.float32)
    short = np.empty(size if half else (0, 0, 0), np.uint16)
    cells.fold(own, near, slow_part, *flows[:2], np.array(told, np.float32), half, full, short)
    made = torch.from_numpy(short).view(torch.bfloat16) if half else torch.from_numpy(full)
    return made.permute(2, 0, 1)[None]
