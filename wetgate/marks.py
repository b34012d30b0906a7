"""What is known of pixels before any repair looks: damaged by a map, kept by a person."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from media.defect_map import MapReader, map_digest
from media.errors import ConfigError
from media.passes import Mark
from media.reel import Reel, Shot
from restore.defects.masks import MASKS, defect_mask
from restore.defects.solve import MapFit
from wetgate.beside import stays
from wetgate.config import Box, Project
from wetgate.damaged import boxes_by_frame
from wetgate.decisions import FrameDecision, ShotDecisions

_SMALL_PX = 144


@dataclass(frozen=True)
class Marks:
    """Marks of one shot, as its decisions have them."""

    reel: Reel
    fit: MapFit | None
    """How the reel's defect map is used; None where it is not."""
    kept: tuple[Box, ...]
    """Left, top, width and height in px on the scan: no repair of the surface there."""
    kept_on: Mapping[int, tuple[Box, ...]] = field(default_factory=dict)
    """The same on single frames: damage of frames that is left or lost, and stays as it is."""
    dirty_on: Mapping[int, tuple[Box, ...]] = field(default_factory=dict)
    """Dirt on single frames that a person named."""

    @property
    def any(self) -> bool:
        """False where nothing is known of any pixel."""
        return self.fit is not None or bool(self.kept or self.kept_on or self.dirty_on)

    def key(self, numbers: tuple[int, ...]) -> Mapping[str, object]:
        """What decides the marks of these frames; empty where there are none."""
        found: dict[str, object] = {}
        if self.kept:
            found["kept"] = [list(box) for box in self.kept]
        left = [
            [k, *map(list, self.kept_on[n])] for k, n in enumerate(numbers) if n in self.kept_on
        ]
        if left:
            found["kept_on"] = left
        dirty = [
            [k, *map(list, self.dirty_on[n])] for k, n in enumerate(numbers) if n in self.dirty_on
        ]
        if dirty:
            found["dirty_on"] = dirty
        if self.fit is not None and self.reel.defect_map is not None:
            found["map"] = {
                "masks": MASKS,
                "bright": self.reel.defect_map.bright,
                "source": self.reel.defect_map.source if not self.reel.defect_map.frames else "",
                "shift_px": [self.fit.dx_px, self.fit.dy_px],
                "planes": [map_digest(self.reel, n) for n in numbers],
            }
        return found

    def reader(
        self, picture: Callable[[int], Tensor], device: torch.device
    ) -> Callable[[int], Tensor] | None:
        """Frame number to (H, W) uint8 ``Mark``; None where there are none.

        picture: frame number to (C, H, W) film log of the scan.
        """
        if not self.any:
            return None
        size = (self.reel.format.height, self.reel.format.width)
        everywhere = _boxed(size, self.kept, Mark.KEPT)
        planes = MapReader(self.reel) if self.fit is not None else None

        def marks(number: int) -> Tensor:
            found = everywhere | _boxed(size, self.kept_on.get(number, ()), Mark.KEPT)
            found |= _boxed(size, self.dirty_on.get(number, ()), Mark.DAMAGED)
            if planes is not None and self.fit is not None and self.reel.defect_map is not None:
                planes.verify(number)
                log = picture(number).cpu().numpy()
                bright = self.reel.defect_map.bright
                mask, _ = defect_mask(log, planes.read(number), self.fit, bright=bright)
                found |= mask.astype(np.uint8) * np.uint8(Mark.DAMAGED)
            return torch.from_numpy(found).to(device)

        return marks


def marks_of(reel: Reel, decisions: ShotDecisions) -> Marks:
    """The marks that a shot's decisions ask for."""
    found = decisions.defect_map
    fit = None
    if found.applied and decisions.dirt.applied and reel.defect_map is not None:
        fit = MapFit(applied=True, reason="", dx_px=found.dx_px, dy_px=found.dy_px)
    dirty = boxes_by_frame(decisions.dirt.regions) if decisions.dirt.applied else {}
    left = _left(reel, decisions.frame_damage)
    return Marks(reel, fit, decisions.protected_regions, left, dirty)


def _left(reel: Reel, decisions: Iterable[FrameDecision]) -> dict[int, tuple[Box, ...]]:
    """Places that are to stay as they are in the scan, though they are damaged: no dirt repair may
    do by halves what was decided against."""
    height, width = reel.format.height, reel.format.width
    # Damage is looked for on small pictures: its rim is known to one of their pixels.
    rim = width // _SMALL_PX
    found: dict[int, tuple[Box, ...]] = {}
    for decision in decisions:
        if not stays(decision) and (decision.done, decision.origin) != ("left", "human"):
            continue
        boxes = []
        for top, left, bottom, right in decision.part_px or ((0, 0, height, width),):
            top, left = max(0, top - rim), max(0, left - rim)
            bottom, right = min(height, bottom + rim), min(width, right + rim)
            boxes.append((left, top, right - left, bottom - top))
        found[decision.frame] = tuple(boxes)
    return found


def _boxed(size: tuple[int, int], boxes: Iterable[Box], mark: Mark) -> NDArray[np.uint8]:
    marked = np.zeros(size, np.uint8)
    for left, top, width, height in boxes:
        marked[top : top + height, left : left + width] = int(mark)
    return marked


def regions_of(
    project: Project, reel: Reel, shot: Shot, person: tuple[Box, ...]
) -> tuple[Box, ...]:
    """Regions of the project and of a person that hold for a shot.

    raises: ConfigError for one that does not lie in the frame.
    """
    said = project.policy.protected_regions
    boxes = (*said.get(reel.id, ()), *said.get(shot.id, ()), *person)
    for left, top, width, height in boxes:
        inside = left + width <= reel.format.width and top + height <= reel.format.height
        if not inside or not width or not height:
            raise ConfigError(
                f"protected region [{left}, {top}, {width}, {height}] does not lie in the frame",
                reel=reel.id,
                shot=shot.id,
                hint=f"left, top, width, height in px; the scan is "
                f"{reel.format.width}x{reel.format.height}",
            )
    return boxes


def check_regions(project: Project, known: set[str]) -> None:
    """raises: ConfigError for regions of a reel or shot that the title does not have."""
    for name in sorted(set(project.policy.protected_regions) - known):
        raise ConfigError(
            f"policy.protected_regions names {name!r}, which is no reel and no shot of this title",
            hint="shots are listed by 'wetgate shots OUT'",
        )
