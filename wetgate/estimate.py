"""What is left to do, in time, disk and memory. Ranges where a number would be a guess."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from media.reel import Reel, SampleType
from wetgate.job import Job
from wetgate.layout import lay_out
from wetgate.pieces import megapixels, render_piece
from wetgate.plan import PlannedShot
from wetgate.records import IngestedReel
from wetgate.size import size_of
from wetgate.timing import Costs, Timing, time_title


@dataclass(frozen=True)
class Estimate:
    """For what the store lacks."""

    frames_missing: int
    timing: Timing
    disk_bytes: int
    memory_bytes: int
    vram_bytes: int = 0
    """GPU memory; 0 where the work is done on the CPU."""
    memory_basis: str = ""
    """Where the figures of memory come from, in words."""


def estimate(
    job: Job,
    reels: Mapping[str, IngestedReel],
    evidence: Mapping[str, Mapping[str, object]],
    planned: Mapping[str, list[PlannedShot]],
    costs: Costs,
    before_s: Mapping[str, float],
) -> Estimate:
    """From the plan and the costs there are. before_s: as ``wetgate.timing.time_title``."""
    frames, disk, memory = 0, 0, 0
    seen: list[tuple[int, int]] = []
    for ingested in reels.values():
        reel = ingested.reel
        for shot in ingested.shots:
            for variant in planned.get(shot.id, []):
                missing = sum(len(c.frames) for c in variant.chunks if not job.store.has(c.key))
                frames += missing
                disk += missing * _stored_bytes(job, reel)
                if missing:
                    memory = max(memory, _memory(job, reel, variant) * job.workers)
                    does, size = render_piece(job.project, variant), megapixels(reel)
                    peaks = (costs.known.peak_bytes(does, size, w) for w in ("memory", "vram"))
                    seen.append(tuple(peaks))  # type: ignore[arg-type]
        disk += _deliver_bytes(job, reel)
    # What such work has held before is known better than what its windows come to.
    learned = bool(seen) and all(peak for peak, _ in seen)
    on_gpu = job.device.type == "cuda"
    vram = (max(v for _, v in seen) if seen else 0) or memory
    return Estimate(
        frames_missing=frames,
        timing=time_title(job, reels, evidence, planned, costs, before_s),
        disk_bytes=disk,
        memory_bytes=max(peak for peak, _ in seen) if learned else memory,
        vram_bytes=vram if on_gpu else 0,
        memory_basis="the most past runs held" if learned else "counted from windows and chunks",
    )


def rough_bytes(job: Job, reel: Reel) -> int:
    """Disk for a whole reel, before anything is known about its shots."""
    per_frame = _stored_bytes(job, reel) * len({d.color for d in job.project.deliver})
    return len(reel.frames) * per_frame + _deliver_bytes(job, reel)


def _sample_bytes(reel: Reel) -> int:
    if reel.format.sample is SampleType.UINT:
        return 1 if reel.format.bits <= 8 else 2
    return 4


def _stored_bytes(job: Job, reel: Reel) -> int:
    """One stored frame: raw code values, and a touch plane that packs well."""
    height, width = size_of(job.project, reel.format, reel.id).out_px
    area = height * width
    return area * reel.format.channels * _sample_bytes(reel) + area // 8


def _deliver_bytes(job: Job, reel: Reel) -> int:
    """All deliverables of the reel, packed to 10 bit and more as if uncompressed."""
    height, width = size_of(job.project, reel.format, reel.id).out_px
    area = height * width
    total = 0
    for deliverable in job.project.deliver:
        layout = lay_out(reel, deliverable, (height, width))
        bits = {10: 32 / 3, 12: 16}.get(layout.variant.format.bits, layout.variant.format.bits)
        total += int(area * reel.format.channels * bits / 8) + area // 8
    return total * len(reel.frames)


def _memory(job: Job, reel: Reel, planned: PlannedShot) -> int:
    """For each shot worked on at once: sliding windows, one chunk, and what operators need."""
    chain, size = planned.chain, planned.size
    halo = sum(op.radius for op in chain)
    # From several frames: five of them enlarged, the motion between them, and sums.
    inside = 36 if any(op.scale > 1 and op.radius for op in chain) else 6
    pixel = reel.format.width * reel.format.height * reel.format.channels
    beside = sum(op.needs.kept_beside * (2 * op.radius + 2) for op in chain)
    windows = pixel * 4 * ((2 * halo + 12) * 2 + beside)
    delivered = int(pixel * size.area)
    chunk = delivered * _sample_bytes(reel) * job.project.render.chunk_frames * 3
    working = pixel * 4 * size.factor**2 * inside
    return windows + chunk + working + (delivered * 4 * 6 if size.fitted else 0)
