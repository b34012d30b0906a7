"""Small pictures of a shot, before and after, as data URIs. For looking, never for measuring."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from color.transform import ShotTransform
from media.encoding import ColorEncoding, Domain, convert, reel_encoding
from media.errors import WetgateError
from media.ocio import ocio_view
from media.passes import Effect
from media.reel import PictureFormat, Reel, Shot
from media.write import AnyCodes, to_values
from wetgate.chain import as_transform
from wetgate.config import Project
from wetgate.files import read_json
from wetgate.layout import variant_encoding
from wetgate.plan import PlannedShot
from wetgate.report.given import ReportInput
from wetgate.store import Store

F32 = NDArray[np.float32]
Show = Callable[[F32], F32]
"""(..., 3) film log to display code values, 0..1."""

TOUCH_RGBA = {
    Effect.ADJUSTED: (127, 166, 201, 70),
    Effect.BORROWED: (240, 176, 64, 235),
    Effect.INVENTED: (222, 110, 190, 235),
}
"""Colors of the touch overlay; the style sheet uses the same."""

DIFFERENCE_GAIN = 4
_THUMB_PX = 132
_QUALITY, _QUALITY_SMALL = 85, 78
_SWATCHES = 12
_GRID = (8, 10)
_SIZES = ((40, 640), (120, 480), (400, 360))
_SMALLEST_PX = 240


@dataclass(frozen=True, slots=True)
class Pictures:
    """What can be shown of a shot. None where a picture cannot be had."""

    frame: int
    chosen: str
    """Why this frame."""
    before: str | None
    after: str | None
    after_is: str
    """``after``, or ``with the CDL`` where no result was asked for and color can be previewed."""
    difference: str | None
    touch: str | None
    thumb: str | None
    swatches: tuple[tuple[str, str | None], ...]
    """CSS colors of the same places before and after, dark to light."""
    missing: tuple[str, ...]
    """What is not there, and why."""


def picture_width(shots: int) -> int:
    """Pictures get smaller as a title gets longer: the page has to open."""
    return next((width for most, width in _SIZES if shots <= most), _SMALLEST_PX)


@dataclass(frozen=True, slots=True)
class _Result:
    """The rendered frame to show, as far as there is one."""

    frame: int
    chosen: str
    log: F32 | None = None
    touch: NDArray[np.uint8] | None = None


def shot_pictures(given: ReportInput, shot: Shot, width_px: int) -> Pictures:
    """Pictures of the frame where most was repaired, else of the middle."""
    reel = given.reels[shot.reel].reel
    space = reel_encoding(reel)
    show = display_of(given.job.project, reel)
    missing: list[str] = []
    result = _result(given, shot, space, width_px, missing)
    before_log: F32 | None = None
    try:
        scanned = given.read_source(shot.reel, result.frame)
        before_log = small_log(scanned, reel.format, space, width_px)
    except WetgateError as error:
        missing.append(f"scan: {error.what}")
    after_log = result.log
    if before_log is not None and after_log is not None and before_log.shape != after_log.shape:
        size = (before_log.shape[1], before_log.shape[0])
        after_log = cv2.resize(after_log, size, interpolation=cv2.INTER_AREA)
    recorded = _recorded(given, shot)
    # Where decisions are all that was asked for, their color is shown on the scan.
    preview = given.complete and shot.id not in given.planned and shot.id not in given.failures
    if preview and recorded is not None and before_log is not None:
        after_log, recorded = _graded(before_log, recorded), None
    before = show(before_log) if before_log is not None else None
    after = show(after_log) if after_log is not None else None
    difference = touch = None
    if before is not None and after is not None:
        difference = _jpeg(0.5 + DIFFERENCE_GAIN * (after - before), _QUALITY_SMALL)
    if after is not None and result.touch is not None:
        touch = _overlay(result.touch, (after.shape[0], after.shape[1]))
    shown = after if after is not None else before
    return Pictures(
        frame=result.frame,
        chosen=result.chosen,
        before=_jpeg(before) if before is not None else None,
        after=_jpeg(after) if after is not None else None,
        after_is="with the CDL" if preview else "after",
        difference=difference,
        touch=touch,
        thumb=_thumb(shown) if shown is not None else None,
        swatches=_swatches(show, before_log, after_log, recorded) if before_log is not None else (),
        missing=tuple(missing),
    )


def _result(
    given: ReportInput, shot: Shot, space: ColorEncoding, width_px: int, missing: list[str]
) -> _Result:
    """Says in ``missing`` what is not there."""
    nothing = _Result(shot.frames.start + len(shot.frames) // 2, "the middle of the shot")
    planned = given.planned.get(shot.id)
    store = given.job.store
    if planned is None:
        missing.append("no result was rendered")
        return nothing
    if planned.untouched:
        return _as_scanned(given, shot, space, width_px, nothing)
    if not all(store.has(c.key) for c in planned.chunks):
        missing.append("not all of the result is in the store")
        return nothing
    try:
        number, chosen, codes, touch = _repaired(store, planned, nothing.frame)
    except WetgateError as error:
        missing.append(f"result: {error.what}")
        return nothing
    space = variant_encoding(given.reels[shot.reel].reel, planned.variant)
    log = small_log(codes, planned.variant.format, space, width_px)
    return _Result(number, chosen, log, touch)


def _as_scanned(
    given: ReportInput, shot: Shot, space: ColorEncoding, width_px: int, nothing: _Result
) -> _Result:
    """A shot that is handed on as it is: the result is the scan."""
    try:
        codes = given.read_source(shot.reel, nothing.frame)
    except WetgateError:
        return nothing
    log = small_log(codes, given.reels[shot.reel].reel.format, space, width_px)
    return _Result(nothing.frame, nothing.chosen, log, np.zeros(codes.shape[:2], np.uint8))


def _recorded(given: ReportInput, shot: Shot) -> ShotTransform | None:
    """The color that the result does not carry, to show what it would do."""
    decided, planned = given.decisions.get(shot.id), given.planned.get(shot.id)
    if decided is None or (planned is not None and planned.variant.baked):
        return None
    return as_transform(decided)


def _repaired(
    store: Store, planned: PlannedShot, middle: int
) -> tuple[int, str, AnyCodes, NDArray[np.uint8]]:
    """The frame with most borrowed and invented pixels of the chunk with most of them.

    Chunks are compared by what their records say, so that only one is read.
    """
    counts = [_repaired_count(store, c.key) for c in planned.chunks]
    most = max(counts)
    chunk = planned.chunks[counts.index(most)] if most else planned.locate(middle)[0]
    found = store.get(chunk.key)
    marked = (found.touch >= int(Effect.BORROWED)).sum(axis=(1, 2))
    if not most or not marked.any():
        at, why = middle - chunk.frames.start, "the middle of the shot"
        at = min(max(at, 0), len(chunk.frames) - 1)
    else:
        at, why = int(marked.argmax()), "where most was repaired"
    codes = cast("AnyCodes", found.codes[at])
    return chunk.frames.start + at, why, codes, found.touch[at]


def _repaired_count(store: Store, key: str) -> int:
    record = read_json(store.place(key) / "record.json") or {}
    facts = record.get("facts")
    counts = facts.get("touch_counts") if isinstance(facts, dict) else None
    if not isinstance(counts, dict):
        return 0
    return int(counts.get("2", 0)) + int(counts.get("3", 0))


def small_log(codes: AnyCodes, fmt: PictureFormat, space: ColorEncoding, width_px: int) -> F32:
    """(h, w, 3) film log, area-reduced to at most ``width_px``."""
    values = to_values(codes, fmt)
    height, width = values.shape[:2]
    if width > width_px:
        size = (width_px, max(1, round(height * width_px / width)))
        values = cv2.resize(values, size, interpolation=cv2.INTER_AREA)
    values = values.reshape(*values.shape[:2], -1)
    if values.shape[2] == 1:
        values = np.repeat(values, 3, axis=2)
    planar = torch.from_numpy(np.array(values)).permute(2, 0, 1)
    log: F32 = space.to_log(planar).permute(1, 2, 0).contiguous().numpy()
    return log


def display_of(project: Project, reel: Reel) -> Show:
    """How pictures of a reel are shown: ``color.view``, or plain Rec.709."""
    if not project.color.view:
        return display
    view = ocio_view(project.color.view, reel.encoding)

    def through(log: F32) -> F32:
        planar = torch.from_numpy(np.ascontiguousarray(log.reshape(-1, 3).T))[:, :, None]
        shown = view(planar).clamp(0.0, 1.0).nan_to_num().squeeze(-1).T
        return np.ascontiguousarray(shown.numpy()).reshape(log.shape)

    return through


def display(log: F32) -> F32:
    """(..., 3) film log to Rec.709, 0..1."""
    shown = convert(torch.from_numpy(log), Domain.LOG_DENSITY, Domain.DISPLAY)
    display: F32 = shown.clamp(0.0, 1.0).nan_to_num().numpy()
    return display


def _jpeg(display: F32, quality: int = _QUALITY) -> str:
    bgr = np.rint(np.clip(display, 0.0, 1.0) * 255.0).astype(np.uint8)[:, :, ::-1]
    flags = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
    return _uri("image/jpeg", cv2.imencode(".jpg", np.ascontiguousarray(bgr), flags)[1].tobytes())


def _thumb(display: F32) -> str:
    height, width = display.shape[:2]
    size = (_THUMB_PX, max(1, round(height * _THUMB_PX / width)))
    return _jpeg(cv2.resize(display, size, interpolation=cv2.INTER_AREA), _QUALITY_SMALL)


def _overlay(touch: NDArray[np.uint8], size: tuple[int, int]) -> str:
    """The strongest mark under each small pixel, so that a single repaired pixel still shows."""
    rows = np.arange(size[0]) * touch.shape[0] // size[0]
    columns = np.arange(size[1]) * touch.shape[1] // size[1]
    strongest = np.maximum.reduceat(np.maximum.reduceat(touch, rows, axis=0), columns, axis=1)
    table = np.zeros((4, 4), np.uint8)
    for effect, (r, g, b, a) in TOUCH_RGBA.items():
        table[int(effect)] = (b, g, r, a)
    packed = cv2.imencode(".png", table[strongest], [cv2.IMWRITE_PNG_COMPRESSION, 9])[1]
    return _uri("image/png", packed.tobytes())


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _swatches(
    show: Show, before: F32, after: F32 | None, recorded: ShotTransform | None
) -> tuple[tuple[str, str | None], ...]:
    """Twelve places whose colors differ most; after: as rendered, or as the CDL would."""
    places = _blocks(before)
    picked = _far_apart(places)
    changed = _blocks(after)[picked] if after is not None else None
    if recorded is not None:
        base = places[picked] if changed is None else changed
        changed = _graded(base, recorded)
    first = [_css(c) for c in show(places[picked])]
    if changed is None:
        return tuple((c, None) for c in first)
    return tuple(zip(first, [_css(c) for c in show(changed)], strict=True))


def _graded(log: F32, color: ShotTransform) -> F32:
    """(..., 3) film log with its color, as it would be baked."""
    return color.apply(log.astype(np.float64)).astype(np.float32)


def _blocks(log: F32) -> F32:
    """(N, 3) means of a grid of places, 5 % of the border left out."""
    height, width = log.shape[:2]
    y, x = height // 20, width // 20
    inner = log[y : height - y, x : width - x]
    grid = (min(_GRID[1], inner.shape[1]), min(_GRID[0], inner.shape[0]))
    return np.ascontiguousarray(cv2.resize(inner, grid, interpolation=cv2.INTER_AREA)).reshape(
        -1, 3
    )


def _far_apart(colors: F32) -> NDArray[np.intp]:
    """Indices of colors far from each other, dark to light."""
    luma = colors.mean(axis=1)
    picked = [int(np.argsort(luma, kind="stable")[len(luma) // 2])]
    distance = np.linalg.norm(colors - colors[picked[0]], axis=1)
    while len(picked) < min(_SWATCHES, len(colors)):
        picked.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(colors - colors[picked[-1]], axis=1))
    return np.array(sorted(picked, key=lambda k: (float(luma[k]), k)), dtype=np.intp)


def _css(color: F32) -> str:
    r, g, b = (round(float(v) * 255.0) for v in color)
    return f"#{r:02x}{g:02x}{b:02x}"
