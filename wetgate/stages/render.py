"""RENDER: make the chunks the store lacks, shot by shot."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from media.ahead import ReadAhead
from media.encoding import ColorEncoding, reel_encoding
from media.log_planes import log_planes
from media.passes import Operator
from media.reader import FrameReader
from media.reel import Reel
from media.write import AnyCodes, codes_of_planes, empty_codes, to_codes, to_values
from wetgate.config import ReelConfig
from wetgate.executor import Rendered, ShotRenderer
from wetgate.job import Job
from wetgate.layout import Variant, variant_encoding
from wetgate.numerics import pin_numerics
from wetgate.packing import Room
from wetgate.pieces import megapixels, render_piece
from wetgate.pinned import other_kind
from wetgate.plan import PlannedChunk, PlannedShot
from wetgate.records import IngestedReel
from wetgate.stages.ingest import frame_reader
from wetgate.store import Chunk
from wetgate.touch import counts as effect_counts

_AHEAD, _KEPT = 2, 16
"""Frames decoded before they are asked for, and most that are held decoded, for each stretch."""
_BLOCKS_A_LANE = 4
_SAMPLED = 4


@dataclass(frozen=True, slots=True)
class RenderReport:
    """What rendering one shot came to."""

    rendered: int
    cached: int
    damaged: int
    """Chunks whose bytes no longer matched their record; made again."""


def render_shot(
    job: Job, config: ReelConfig, ingested: IngestedReel, planned: PlannedShot, lanes: int = 1
) -> RenderReport:
    """Every chunk of the shot is in the store when this returns.

    lanes: stretches of the shot rendered at once, each with windows of its own; the pictures do
    not depend on it.
    raises: RepairError (park the shot), SourceChanged, StorageFull, OutOfMemory, Interrupted;
    OtherKind where something is missing that another kind of worker has to make.
    """
    if planned.untouched:
        return RenderReport(0, 0, 0)
    pin_numerics()
    reader = frame_reader(config, ingested.reel)
    # Where pictures are made in blocks, a stretch that begins inside one makes it once more.
    block = max(op.needs.block_frames for op in planned.chain) if planned.chain else 1
    if block > 1:
        lanes = min(lanes, len(planned.shot.frames) // (_BLOCKS_A_LANE * block))
    length = -(-len(planned.chunks) // max(1, lanes))
    stretches = [planned.chunks[i : i + length] for i in range(0, len(planned.chunks), length)]
    with ThreadPoolExecutor(len(stretches), thread_name_prefix="lane") as pool:
        reports = list(
            pool.map(lambda s: _render_stretch(job, reader, ingested, planned, s), stretches)
        )
    return RenderReport(
        rendered=sum(r.rendered for r in reports),
        cached=sum(r.cached for r in reports),
        damaged=sum(r.damaged for r in reports),
    )


def all_cached(job: Job, variants: Sequence[PlannedShot]) -> bool:
    """Does the store hold every chunk of a shot, whole? Only then it is said, chunk by chunk."""
    chunks = [(p, c) for p in variants for c in p.chunks]
    if not all(job.store.has(c.key) for _, c in chunks):
        return False
    if not all(job.store.whole(c.key) for _, c in chunks):
        return False
    for planned, chunk in chunks:
        job.events.emit("chunk_cached", _facts(planned, chunk))
    return True


def _render_stretch(
    job: Job,
    reader: FrameReader,
    ingested: IngestedReel,
    planned: PlannedShot,
    chunks: tuple[PlannedChunk, ...],
) -> RenderReport:
    """Consecutive chunks, one after the other, so that each reuses the frames of the last."""
    order = [n for n in planned.shot.frames if n >= chunks[0].frames.start]
    with _Source(reader, ingested.reel, job.device, order, planned.chain) as source:
        return _render_chunks(job, source, ingested, planned, chunks)


def _render_chunks(
    job: Job,
    source: _Source,
    ingested: IngestedReel,
    planned: PlannedShot,
    chunks: tuple[PlannedChunk, ...],
) -> RenderReport:
    renderer = ShotRenderer(
        planned.shot.id,
        planned.pictures,
        source.read_log,
        planned.chain,
        job.project.render.tile_px,
        borrowed=frozenset(n for n in planned.shot.frames if ingested.reel.frame(n).made_by),
        marks=planned.marks.reader(source.read_log, job.device),
    )
    costs = {
        "does": render_piece(job.project, planned),
        "megapixels": round(megapixels(ingested.reel), 4),
    }
    rendered = cached = damaged = 0
    room: Room | None = None
    marks: NDArray[np.uint8] | None = None
    for chunk in chunks:
        job.check_stop()
        known = job.store.has(chunk.key)
        if job.store.check(chunk.key):
            cached += 1
            job.events.emit("chunk_cached", _facts(planned, chunk))
            continue
        if known:
            damaged += 1
            job.events.emit("chunk_damaged", _facts(planned, chunk))
        if planned.numerics != job.numerics:
            raise other_kind(job, planned.shot, planned.numerics)
        job.gate()
        if room is None or marks is None:
            fmt, longest = planned.variant.format, max(len(c.frames) for c in chunks)
            room, marks = Room(fmt, longest), np.empty((longest, fmt.height, fmt.width), np.uint8)
        _render_chunk(job, source, renderer, planned, chunk, costs, room, marks)
        rendered += 1
    return RenderReport(rendered, cached, damaged)


def _facts(planned: PlannedShot, chunk: PlannedChunk) -> dict[str, object]:
    return {
        "reel": planned.shot.reel,
        "shot": planned.shot.id,
        "first": chunk.frames.start,
        "frames": len(chunk.frames),
        "key": chunk.key,
    }


def _render_chunk(
    job: Job,
    source: _Source,
    renderer: ShotRenderer,
    planned: PlannedShot,
    chunk: PlannedChunk,
    costs: Mapping[str, object],
    room: Room,
    marks: NDArray[np.uint8],
) -> None:
    """room, marks: for codes and touch of the longest chunk, used again for the next."""
    started = time.monotonic()
    touch = marks[: len(chunk.frames)]
    caveats: dict[str, list[str]] = {}
    for at, number in enumerate(chunk.frames):
        job.check_stop()
        frame = renderer.frame(number)
        touch[at] = source.delivered(number, frame, planned.variant, room.frame(at))
        room.filled(at)
        if frame.caveats:
            caveats[str(number)] = list(frame.caveats)
        job.events.emit("frame_rendered", {"reel": planned.shot.reel, "shot": planned.shot.id})
    job.at_hand()
    counts = {str(k): int(n) for k, n in enumerate(effect_counts(touch).sum(axis=0))}
    job.store.put(
        chunk.key,
        Chunk(
            room.codes(len(touch)),
            touch,
            {"touch_counts": counts, "caveats": caveats, "made_by": dict(job.numerics)},
        ),
    )
    seconds = round(time.monotonic() - started, 3)
    job.events.emit("chunk_rendered", {**_facts(planned, chunk), **costs, "seconds": seconds})


def sample_seconds(
    job: Job, config: ReelConfig, ingested: IngestedReel, planned: PlannedShot
) -> float:
    """Seconds a frame takes here, from a few in the middle of the shot; nothing is kept.

    The first of them, which fills the windows and compiles what is compiled, is not counted.
    raises: as ``render_shot``.
    """
    pin_numerics()
    block = max((op.needs.block_frames for op in planned.chain), default=1)
    frames = list(planned.shot.frames)
    begin = max(0, len(frames) // 2 - block) // block * block
    frames = frames[begin : begin + block + max(block, _SAMPLED)]
    reader = frame_reader(config, ingested.reel)
    with _Source(reader, ingested.reel, job.device, frames, planned.chain) as source:
        renderer = ShotRenderer(
            planned.shot.id,
            planned.pictures,
            source.read_log,
            planned.chain,
            job.project.render.tile_px,
        )
        timed = frames[block:] or frames
        out = empty_codes(planned.variant.format)
        for number in frames:
            if number == timed[0]:
                started = time.monotonic()
            source.delivered(number, renderer.frame(number), planned.variant, out)
        return (time.monotonic() - started) / len(timed)


class _Source:
    """Frames of a reel as operators and as the writer want them; a few decoded ahead."""

    def __init__(
        self,
        reader: FrameReader,
        reel: Reel,
        device: torch.device,
        order: Sequence[int],
        chain: Sequence[Operator],
    ) -> None:
        self._reader = reader
        self._reel = reel
        self._space: ColorEncoding = reel_encoding(reel)
        self._device = device
        # A frame is looked at once more when it is delivered, by then so far behind the newest.
        reach = sum(2 * op.radius + op.needs.block_frames - 1 for op in chain)
        self._frames: ReadAhead[AnyCodes] = ReadAhead(
            self._checked, order, ahead=_AHEAD, keep=min(_KEPT, reach + _AHEAD + 2)
        )

    def __enter__(self) -> Self:
        self._frames.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._frames.__exit__(kind, error, trace)

    def _checked(self, number: int) -> AnyCodes:
        self._reader.verify(number)
        return self._reader.read(number)

    def codes(self, number: int) -> AnyCodes:
        """(H, W, C) code values of the scan, checked to be the scan that was ingested."""
        return self._frames.get(number)

    def read_log(self, number: int) -> Tensor:
        """(C, H, W) float32 film log on the working device."""
        planes = log_planes(self.codes(number), self._reel.format, self._space)
        return planes.to(self._device)

    def delivered(
        self, number: int, frame: Rendered, variant: Variant, out: AnyCodes
    ) -> NDArray[np.uint8]:
        """Code values to deliver, into ``out`` (H, W, C). Untouched pixels are the scan's own
        codes, unless another encoding was asked for. returns: (H, W) touch."""
        fmt, space = variant.format, variant_encoding(self._reel, variant)
        touch = frame.touch.cpu().numpy()
        own: AnyCodes | None = None
        size = (self._reel.format.height, self._reel.format.width)
        changed = touch
        if (fmt.height, fmt.width) == size and not variant.encoding:
            own = self.codes(number)
            if fmt != self._reel.format:
                own = to_codes(to_values(own, self._reel.format), fmt)
            if self._reel.frame(number).made_by is not None:
                # A held frame is the other frame's codes wherever no repair has changed them.
                same = (frame.pixels == self.read_log(number)).all(dim=0)
                changed = np.where(same.cpu().numpy(), np.uint8(0), touch)
        planes = space.from_log(frame.pixels).cpu().numpy()
        codes_of_planes(planes, fmt, out, own, changed)
        return touch
