"""PLAN: which chunks the title consists of, by key, and what is still to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from media.frames import FrameRange
from media.passes import Operator
from media.reel import Reel, Shot
from wetgate.chain import build_chain, scale_of
from wetgate.decisions import ShotDecisions
from wetgate.files import digest
from wetgate.job import Job
from wetgate.layout import Variant, lay_out
from wetgate.numerics import profile
from wetgate.records import IngestedReel

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
    variant: Variant
    chain: tuple[Operator, ...] = field(compare=False)
    chunks: tuple[PlannedChunk, ...]

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
) -> list[PlannedShot]:
    """The shot in every variant the deliverables ask for."""
    at = ingested.shots.index(shot)
    before = decisions[ingested.shots[at - 1].id] if at else None
    after = decisions[ingested.shots[at + 1].id] if at + 1 < len(ingested.shots) else None
    planned = []
    for variant in variants(job, ingested.reel):
        chain = build_chain(
            job.project, shot, decisions[shot.id], before, after, baked=variant.baked
        )
        chunks = [
            PlannedChunk(frames, chunk_key(job, ingested.reel, shot, frames, chain, variant))
            for frames in shot.frames.chunks(job.project.render.chunk_frames)
        ]
        planned.append(PlannedShot(shot, variant, tuple(chain), tuple(chunks)))
    return planned


def variants(job: Job, reel: Reel) -> list[Variant]:
    """Distinct variants of a reel, in the order of the deliverables."""
    scale = scale_of(job.project)
    found = [lay_out(reel, d, scale).variant for d in job.project.deliver]
    return list(dict.fromkeys(found))


def chunk_key(
    job: Job,
    reel: Reel,
    shot: Shot,
    frames: FrameRange,
    chain: list[Operator],
    variant: Variant,
) -> str:
    """SHA-256 of everything that decides the chunk's bits, and nothing else.

    Inputs by digest with their halo as it is really read (mirrored at the ends of the shot),
    the operators with their versions and the parameters of just these frames, the formats, and
    the numerics profile. No path, no note, no time, no confidence.
    """
    halo = sum(op.radius for op in chain)
    numbers = [shot.frames.mirrored(n) for n in range(frames.start - halo, frames.stop + halo)]
    return digest(
        {
            "pipeline": PIPELINE,
            "inputs": [reel.frame(n).sha256 for n in numbers],
            "order": [n - frames.start for n in numbers],
            "encoding": reel.encoding,
            "from": str(reel.format),
            "to": str(variant.format),
            "chain": [
                {"name": op.name, "version": op.version, "does": dict(op.key(numbers))}
                for op in chain
            ],
            "numerics": profile(job.device),
        }
    )
