"""PLAN: which chunks the title consists of, by key, and what is still to do."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field

from media.encoding import reel_encoding
from media.frames import FrameRange
from media.passes import Operator
from media.pictures import Pictures, pictures_of
from media.reel import Reel, Shot
from wetgate.chain import build_chain
from wetgate.decisions import ShotDecisions
from wetgate.files import digest
from wetgate.frames import made_in, measured_in
from wetgate.job import Job
from wetgate.layout import Variant, lay_out, variant_encoding
from wetgate.marks import Marks, marks_of
from wetgate.numerics import Numerics, profile
from wetgate.pins import known_pin
from wetgate.records import IngestedReel
from wetgate.size import Size, size_of

PIPELINE = 1
"""Rises when the executor or the store makes other pixels from the same decisions."""


@dataclass(frozen=True, slots=True)
class PlannedChunk:
    """Frames that are rendered and kept together."""

    frames: FrameRange
    key: str


@dataclass(frozen=True, slots=True)
class PlannedShot:
    """One shot in one variant."""

    shot: Shot
    pictures: Pictures
    measured: Pictures
    """Those of them that say something of the shot, before and after."""
    variant: Variant
    chain: tuple[Operator, ...] = field(compare=False)
    marks: Marks = field(compare=False)
    chunks: tuple[PlannedChunk, ...]
    """Empty for a shot that is handed on as it is: there is nothing to render."""
    numerics: Numerics
    """Of the kind of worker that makes the shot, whatever kind planned it."""
    size: Size

    @property
    def untouched(self) -> bool:
        """True when every frame leaves as it lies in the scan."""
        return not self.chunks

    def locate(self, number: int) -> tuple[PlannedChunk, int]:
        """The chunk that holds a frame, and its place in it."""
        for chunk in self.chunks:
            if number in chunk.frames:
                return chunk, number - chunk.frames.start
        raise KeyError(number)


def plan_shot(
    job: Job,
    ingested: IngestedReel,
    shot: Shot,
    decisions: Mapping[str, ShotDecisions],
    numerics: Numerics | None = None,
) -> list[PlannedShot]:
    """The shot in every variant the deliverables ask for.

    numerics: the kind of worker that makes it; None: that of its pin, or this worker's own for a
    shot that nobody has begun. The chunks come out the same on every worker.
    """
    if numerics is None:
        numerics = known_pin(job.folder, shot) or profile(job.device)
    # Shots lie in running order; to compare thousands with each other takes seconds.
    at = bisect_left(ingested.shots, shot.frames.start, key=lambda s: s.frames.start)
    if ingested.shots[at : at + 1] != (shot,):
        at = ingested.shots.index(shot)
    before = decisions[ingested.shots[at - 1].id] if at else None
    after = decisions[ingested.shots[at + 1].id] if at + 1 < len(ingested.shots) else None
    pictures = pictures_of(ingested.reel, shot.frames)
    marks = marks_of(ingested.reel, decisions[shot.id])
    size = size_of(job.project, ingested.reel.format, ingested.reel.id)
    planned = []
    tile_px = job.project.render.tile_px
    for variant in variants(job, ingested.reel):
        chain = build_chain(
            job.project,
            shot,
            decisions[shot.id],
            before,
            after,
            baked=variant.baked,
            numerics=numerics,
            size=size,
            rebuilt=made_in(pictures, decisions[shot.id].frame_damage),
        )
        reel = ingested.reel
        made = any(reel.frame(n).made_by for n in shot.frames)
        same = variant.format == reel.format and not variant.encoding
        untouched = not chain and not made and same
        chunks = [
            PlannedChunk(
                frames,
                chunk_key(numerics, reel, pictures, frames, chain, variant, marks, tile_px),
            )
            for frames in shot.frames.chunks(job.project.render.chunk_frames)
            if not untouched
        ]
        planned.append(
            PlannedShot(
                shot=shot,
                pictures=pictures,
                measured=measured_in(ingested, shot),
                variant=variant,
                chain=tuple(chain),
                marks=marks,
                chunks=tuple(chunks),
                numerics=numerics,
                size=size,
            )
        )
    return planned


def variants(job: Job, reel: Reel) -> list[Variant]:
    """Distinct variants of a reel, in the order of the deliverables."""
    size = size_of(job.project, reel.format, reel.id)
    found = [lay_out(reel, d, size.out_px).variant for d in job.project.deliver]
    return list(dict.fromkeys(found))


def chunk_key(
    numerics: Numerics,
    reel: Reel,
    pictures: Pictures,
    frames: FrameRange,
    chain: list[Operator],
    variant: Variant,
    marks: Marks | None = None,
    tile_px: int = 0,
) -> str:
    """SHA-256 of everything that decides the chunk's bits, and nothing else.

    Inputs by digest with their halo as it is really read (mirrored at the ends of the shot,
    past frames that repeat), the operators with their versions and the parameters of just these
    frames, the formats, and the numerics profile. No path, no note, no time, no confidence.
    """
    # Blocks are made whole, so a chunk may lean on frames up to the far end of one.
    blocks = [op.needs.block_frames for op in chain if op.needs.block_frames > 1]
    halo = sum(op.radius for op in chain) + sum(blocks)
    numbers = pictures.reach(frames, halo)
    known = marks.key(numbers) if marks is not None else {}
    own = set(pictures.own)
    repeats = [n - frames.start for n in frames if n not in own]
    tiled = tile_px if any(op.needs.tiles_round for op in chain) else 0
    return digest(
        {
            "pipeline": PIPELINE,
            "inputs": [_input(reel, n) for n in numbers],
            "order": [n - frames.start for n in numbers],
            "encoding": f"{reel.encoding} {reel_encoding(reel).key}".strip(),
            "from": str(reel.format),
            "to": _target(reel, variant),
            "chain": [
                {"name": op.name, "version": op.version, "does": dict(op.key(numbers))}
                for op in chain
            ],
            "numerics": dict(numerics),
            **({"marks": known} if known else {}),
            **({"repeats": repeats} if repeats else {}),
            **({"tile_px": tiled} if tiled else {}),
            **({"in_block": [pictures.place(frames.start) % b for b in blocks]} if blocks else {}),
        }
    )


def _target(reel: Reel, variant: Variant) -> str:
    if not variant.encoding:
        return str(variant.format)
    key = variant_encoding(reel, variant).key
    return f"{variant.format} {variant.encoding} {key}".strip()


def _input(reel: Reel, number: int) -> str:
    frame = reel.frame(number)
    if frame.shown is not None:
        return f"{reel.frame(frame.shown).sha256}, {frame.made_by}"
    return frame.sha256 if frame.made_by is None else f"{frame.sha256}, {frame.made_by.value}"
