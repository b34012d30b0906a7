"""Dirt that a person names: a blotch on several frames, a stain that no rule would dare to take."""

from __future__ import annotations

from collections.abc import Iterable

from media.errors import ConfigError
from media.reel import PictureFormat
from restore.dirt.look import RADIUS
from wetgate.config import Box
from wetgate.decisions import DirtDecision, DirtRegion, ShotDecisions


def with_regions(
    solved: ShotDecisions, dirt: object, regions: tuple[DirtRegion, ...], scan: PictureFormat
) -> DirtDecision:
    """The decision on dirt with what a person named.

    scan: of the shot's reel. raises: ConfigError for what lies outside the shot or the frame, where
    dirt is left alone, and for more frames in a row than can be borrowed across.
    """
    assert isinstance(dirt, DirtDecision)
    where = f'overrides.toml: ["{solved.shot}".dirt] regions'
    if not dirt.applied:
        raise ConfigError(
            f"{where}: dirt is left alone on this shot: {dirt.reason or 'protected'}",
            shot=solved.shot,
            hint="switch it on for this shot (enabled = true), or take the regions out",
        )
    for region in regions:
        _check_place(solved, region, scan, where)
    for region in regions:
        for frame in range(region.frames[0], region.frames[1] + 1):
            if not _shown_beside(solved, frame, region, regions):
                raise ConfigError(
                    f"{where}: no frame within {RADIUS} of {frame} shows what is behind "
                    f"{list(region.box_px)}",
                    shot=solved.shot,
                    frame=frame,
                    hint=f"at most {2 * RADIUS} frames in a row, {RADIUS} at either end of a "
                    "shot; a frame as a whole can be made: frames.rebuild",
                )
    return dirt.model_copy(update={"regions": regions, "origin": "human"})


def _check_place(
    solved: ShotDecisions, region: DirtRegion, scan: PictureFormat, where: str
) -> None:
    first, last = region.frames
    if not solved.frames[0] <= first <= last <= solved.frames[1]:
        raise ConfigError(
            f"{where}: frames [{first}, {last}] are not in this shot",
            shot=solved.shot,
            hint=f"first and last, within {solved.frames[0]} to {solved.frames[1]}",
        )
    left, top, width, height = region.box_px
    inside = left + width <= scan.width and top + height <= scan.height
    if not inside or not width or not height:
        raise ConfigError(
            f"{where}: [{left}, {top}, {width}, {height}] does not lie in the frame",
            shot=solved.shot,
            hint=f"left, top, width, height in px; the scan is {scan.width}x{scan.height}",
        )


def _shown_beside(
    solved: ShotDecisions, frame: int, region: DirtRegion, regions: Iterable[DirtRegion]
) -> bool:
    """Is there a frame near by on which the place is not named as dirty too?"""
    near = range(max(frame - RADIUS, solved.frames[0]), min(frame + RADIUS, solved.frames[1]) + 1)
    there = [r.frames for r in regions if _overlap(r.box_px, region.box_px)]
    return any(not any(a <= n <= b for a, b in there) for n in near)


def _overlap(one: Box, other: Box) -> bool:
    return all(one[k] < other[k] + other[k + 2] and other[k] < one[k] + one[k + 2] for k in (0, 1))


def boxes_by_frame(regions: Iterable[DirtRegion]) -> dict[int, tuple[Box, ...]]:
    """Left, top, width and height of what is named, by scan number."""
    found: dict[int, tuple[Box, ...]] = {}
    for region in regions:
        for frame in range(region.frames[0], region.frames[1] + 1):
            found[frame] = (*found.get(frame, ()), region.box_px)
    return found
