"""What is left to do, in time, disk and memory. Ranges where a number would be a guess."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from media.passes import Operator
from media.reel import Reel, SampleType
from wetgate.chain import scale_of
from wetgate.events import read_events
from wetgate.job import Job
from wetgate.layout import lay_out
from wetgate.plan import PlannedShot
from wetgate.records import IngestedReel

# CPU seconds per megapixel-frame at the scan's size, single thread, from benchmarks/render.py.
# Used until this folder has timings of its own; the range says how much machines differ.
_SECONDS_PER_MP = {
    "weave": 0.09,
    "flicker": 0.02,
    "scratch": 0.03,
    "dirt": 0.45,
    "noise": 0.6,
    "rebuild": 0.3,
    "upscale": 0.6,
    "weave and upscale": 1.7,
    "upscale from frames": 6.0,
    "weave and upscale from frames": 8.0,
    "grain": 0.15,
    "color": 0.02,
}
_BASE_SECONDS_PER_MP = 0.15
_MACHINE_RANGE = (0.5, 2.5)
_MEASURED_RANGE = (0.75, 1.5)


@dataclass(frozen=True, slots=True)
class Estimate:
    """For what the store lacks."""

    frames_missing: int
    seconds: tuple[float, float] | None
    """Low and high, wall time with the job's workers; None when nothing can be said."""
    basis: str
    """Where the time comes from, in words."""
    disk_bytes: int
    memory_bytes: int
    vram_bytes: int = 0
    """GPU memory; 0 where the work is done on the CPU."""


def estimate(
    job: Job, reels: Mapping[str, IngestedReel], planned: Mapping[str, list[PlannedShot]]
) -> Estimate:
    """From the plan and, where there are any, from the timings of earlier runs here."""
    measured = _measured_seconds_per_frame(job)
    frames, seconds, disk, memory = 0, 0.0, 0, 0
    for name, ingested in reels.items():
        reel = ingested.reel
        for shot in ingested.shots:
            for variant in planned.get(shot.id, []):
                missing = sum(len(c.frames) for c in variant.chunks if not job.store.has(c.key))
                names = [op.name for op in variant.chain]
                frames += missing
                seconds += missing * (measured.get(name) or _typical(reel, names))
                disk += missing * _stored_bytes(job, reel)
                memory = max(memory, _memory(job, reel, variant.chain))
        disk += _deliver_bytes(job, reel)
    basis = "timings of this folder" if measured else "typical timings; a first run sharpens them"
    low, high = _MEASURED_RANGE if measured else _MACHINE_RANGE
    span = (seconds * low / job.workers, seconds * high / job.workers) if frames else (0.0, 0.0)
    vram = memory * job.workers if job.device.type == "cuda" else 0
    return Estimate(frames, span, basis, disk, memory * job.workers, vram)


def rough_bytes(job: Job, reel: Reel) -> int:
    """Disk for a whole reel, before anything is known about its shots."""
    per_frame = _stored_bytes(job, reel) * len({d.color for d in job.project.deliver})
    return len(reel.frames) * per_frame + _deliver_bytes(job, reel)


def _typical(reel: Reel, operators: list[str]) -> float:
    megapixels = reel.format.width * reel.format.height / 1e6
    return megapixels * (_BASE_SECONDS_PER_MP + sum(_SECONDS_PER_MP.get(n, 0.5) for n in operators))


def _measured_seconds_per_frame(job: Job) -> dict[str, float]:
    """Reel id to seconds a frame, from the chunks rendered here so far."""
    totals: dict[str, list[float]] = {}
    for event in read_events(job.folder.events):
        if event.get("event") == "chunk_rendered":
            seconds, frames = event.get("seconds"), event.get("frames")
            if isinstance(seconds, int | float) and isinstance(frames, int):
                total = totals.setdefault(str(event.get("reel")), [0.0, 0.0])
                total[0] += seconds
                total[1] += frames
    return {reel: s / n for reel, (s, n) in totals.items() if n >= 8}


def _sample_bytes(reel: Reel) -> int:
    if reel.format.sample is SampleType.UINT:
        return 1 if reel.format.bits <= 8 else 2
    return 4


def _stored_bytes(job: Job, reel: Reel) -> int:
    """One stored frame: raw code values, and a touch plane that packs well."""
    area = reel.format.width * reel.format.height * scale_of(job.project) ** 2
    return area * reel.format.channels * _sample_bytes(reel) + area // 8


def _deliver_bytes(job: Job, reel: Reel) -> int:
    """All deliverables of the reel, packed to 10 bit and more as if uncompressed."""
    area = reel.format.width * reel.format.height * scale_of(job.project) ** 2
    total = 0
    for deliverable in job.project.deliver:
        layout = lay_out(reel, deliverable, scale_of(job.project))
        bits = {10: 32 / 3, 12: 16}.get(layout.variant.format.bits, layout.variant.format.bits)
        total += int(area * reel.format.channels * bits / 8) + area // 8
    return total * len(reel.frames)


def _memory(job: Job, reel: Reel, chain: Sequence[Operator]) -> int:
    """Per worker: the sliding windows, one chunk of codes, and what operators need inside."""
    halo = sum(op.radius for op in chain)
    # From several frames: five of them enlarged, the motion between them, and sums.
    inside = 36 if any(op.scale > 1 and op.radius for op in chain) else 6
    pixel = reel.format.width * reel.format.height * reel.format.channels
    area_scale = scale_of(job.project) ** 2
    windows = pixel * 4 * (2 * halo + 12) * 2
    chunk = pixel * area_scale * _sample_bytes(reel) * job.project.render.chunk_frames * 3
    return windows + chunk + pixel * 4 * area_scale * inside
