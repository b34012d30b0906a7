"""ANALYSE: one decode of each shot feeds every probe. Leaves statistics, never pictures."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

import torch
from torch import Tensor

from color.stats import ColorProbe
from media.defect_map import MapReader, map_digest
from media.encoding import reel_encoding
from media.log_planes import CodedFrame, LogFrame, plane_means
from media.passes import Probe
from media.pictures import Pictures
from media.reel import Reel, Shot
from restore.defects.measure import DefectProbe
from restore.dirt.trial import TrialProbe, trial_name
from restore.flicker.measure import FlickerProbe
from restore.grain.measure import GrainProbe
from restore.models.precision import half_pays
from restore.scratch.measure import ScratchProbe
from restore.upscale.fitting import fitted_part, pixels_of
from restore.upscale.measure import SteadinessProbe, UpscaleProbe
from restore.weave.measure import WeaveProbe
from restore.weave.overscan import OverscanProbe
from wetgate.config import ReelConfig
from wetgate.files import digest
from wetgate.frames import measured_in
from wetgate.job import Job
from wetgate.layers import effective
from wetgate.numerics import Numerics, kind_of, pin_numerics, profile
from wetgate.pieces import analyse_piece, megapixels
from wetgate.records import IngestedReel, read_evidence, write_evidence
from wetgate.size import Size
from wetgate.stages.early import solve_early
from wetgate.stages.ingest import frame_reader

PROBES = 26
"""Rises when any probe measures differently."""
TRIALS = frozenset({trial_name("network"), trial_name("rules")})
PROBED = TRIALS | {
    "weave",
    "overscan",
    "flicker",
    "scratch",
    "color",
    "grain",
    "upscale",
    "steadiness",
}
"""Names of all probes that look at pictures alone."""
_MAPS_LOOKED_AT = 16
"""Frames of a shot on which a defect map is placed: it lies the same on all of them."""
_GRAIN_CROP_PX = 512
_COLOR_PX = 480
_FEWEST_PURE = 3


SMALLEST_PX = 32
"""Motion, grain and lines cannot be told apart in less."""


def too_small(reel: Reel) -> bool:
    """True for pictures that are handed on unmeasured."""
    return min(reel.format.width, reel.format.height) < SMALLEST_PX


def evidence_key(job: Job, reel: Reel, shot: Shot, pictures: Pictures, numerics: Numerics) -> str:
    """What evidence depends on: the pictures, the probes, the size they look at, and who looks."""
    return digest(
        {
            "probes": PROBES,
            "width_px": job.project.analyse.width_px,
            "encoding": [reel.encoding, reel_encoding(reel).key],
            "numerics": dict(numerics),
            "frames": [reel.frame(n).sha256 for n in shot.frames],
            "first": shot.frames.start,
            "pictures": list(pictures.own),
            **({"aside": sorted(pictures.aside)} if pictures.aside else {}),
            **({"gone": sorted(pictures.gone)} if pictures.gone else {}),
            **({"map": _map_key(reel, pictures)} if reel.defect_map is not None else {}),
            "spans": [shot.dissolve_in, shot.dissolve_out, shot.fade_in, shot.fade_out],
        }
    )


def analyse_shot(
    job: Job,
    config: ReelConfig,
    ingested: IngestedReel,
    shot: Shot,
    wanted: frozenset[str] = PROBED,
) -> dict[str, Any]:
    """Evidence of a shot by probe, those of ``wanted``.

    What its file holds and still answers the same question is not measured again.
    """
    pin_numerics()
    path = job.folder.evidence(shot.reel, shot.id)
    pictures = measured_in(ingested, shot)
    own = profile(torch.device("cpu"))
    kept, measured_by = _kept(job, ingested, shot, pictures)
    missing = wanted - set(kept)
    if not missing:
        return {name: kept[name] for name in wanted}
    job.gate()
    reader = frame_reader(config, ingested.reel)
    space = reel_encoding(ingested.reel)

    def read(number: int) -> LogFrame:
        job.check_stop()
        return CodedFrame(reader.read(number), ingested.reel.format, space)

    width_px = job.project.analyse.width_px
    mixed = mixed_frames(shot, pictures)
    color = ColorProbe(space, mixed, len(pictures.own) - len(mixed))
    started = time.monotonic()
    evidence = {**kept}
    if missing & PROBED:
        evidence |= measure(read, pictures, width_px, color, missing & PROBED)
    if DefectProbe.name in missing:
        evidence[DefectProbe.name] = _measure_map(
            ingested.reel, lambda number: read(number).whole, pictures
        )
    job.at_hand()
    measured_by = dict.fromkeys(evidence, kind_of(own)) | measured_by
    key = evidence_key(job, ingested.reel, shot, pictures, own)
    write_evidence(path, key, evidence, own, measured_by)
    asked = effective(job.project, shot.reel, shot.id)[0]
    solve_early(job.folder, asked, shot, evidence, pictures)
    job.events.emit(
        "analysed",
        {
            "reel": shot.reel,
            "shot": shot.id,
            "frames": len(shot.frames),
            "does": analyse_piece(missing),
            "megapixels": round(megapixels(ingested.reel), 4),
            "seconds": round(time.monotonic() - started, 3),
        },
    )
    return {name: evidence[name] for name in wanted}


def measured_before(
    job: Job, ingested: IngestedReel, shot: Shot, wanted: frozenset[str]
) -> dict[str, Any] | None:
    """Evidence of a shot where all that is ``wanted`` lies there; None where any is missing."""
    kept, _ = _kept(job, ingested, shot, measured_in(ingested, shot))
    return {name: kept[name] for name in wanted} if wanted <= set(kept) else None


def _kept(
    job: Job, ingested: IngestedReel, shot: Shot, pictures: Pictures
) -> tuple[dict[str, Any], dict[str, str]]:
    """What lies there and answers the same question, by probe, and who measured it."""

    def key(numerics: Numerics) -> str:
        return evidence_key(job, ingested.reel, shot, pictures, numerics)

    path = job.folder.evidence(shot.reel, shot.id)
    return read_evidence(path, key, profile(torch.device("cpu"))) or ({}, {})


def _map_key(reel: Reel, pictures: Pictures) -> list[object]:
    assert reel.defect_map is not None
    planes = [map_digest(reel, n) for n in pictures.own]
    return [reel.defect_map.source if not any(planes) else "", reel.defect_map.bright, planes]


def _measure_map(
    reel: Reel, read: Callable[[int], Tensor], pictures: Pictures
) -> Mapping[str, object]:
    """How the reel's defect map lies on a shot; of no frame where it has none."""
    probe = DefectProbe(bright=reel.defect_map is not None and reel.defect_map.bright)
    if reel.defect_map is not None:
        planes = MapReader(reel)
        step = -(-len(pictures.own) // _MAPS_LOOKED_AT)
        for at in range(0, len(pictures.own), step):
            number = pictures.own[at]
            planes.verify(number)
            beside = [read(n) for n in (*pictures.own[at - 1 : at], *pictures.own[at + 1 : at + 2])]
            probe.observe(number, read(number), planes.read(number), beside)
    return probe.finish()


def mixed_frames(shot: Shot, pictures: Pictures) -> frozenset[int]:
    """Frames of dissolves and fades, unless too little would be left without them."""
    head, tail = max(shot.dissolve_in, shot.fade_in), max(shot.dissolve_out, shot.fade_out)
    pure = range(shot.frames.start + head, shot.frames.stop - tail)
    mixed = frozenset(n for n in pictures.own if n not in pure)
    return mixed if len(pictures.own) - len(mixed) >= _FEWEST_PURE else frozenset()


def measure(
    read: Callable[[int], LogFrame],
    pictures: Pictures,
    width_px: int,
    color: ColorProbe,
    wanted: frozenset[str] = PROBED,
    size: Size | None = None,
) -> dict[str, Any]:
    """Run the wanted probes over a shot. read: frame number to the frame, full size.

    size: of frames that are not as large as the scan.
    Only pictures of their own are looked at, counted without holes (``Pictures.strip``): a
    doubled frame would pass for stillness. Used on the scan before the repair, and on the
    result after it.
    """
    alone = wanted == {color.name}
    first = read(pictures.own[0])
    width = first.size_px[1]
    step = max(1, -(-width // width_px))
    half = half_pays(torch.device("cpu"))
    probes: dict[Probe, _View] = {
        WeaveProbe(1.0 / step): _View.PROXY,
        OverscanProbe(1.0 / step): _View.PROXY,
        FlickerProbe(): _View.PROXY,
        ScratchProbe(): _View.WHOLE,
        color: _View.COLOR,
        GrainProbe(): _View.MIDDLE,
        UpscaleProbe(): _View.MIDDLE,
        SteadinessProbe(): _View.SAME_MIDDLE,
        TrialProbe("network", len(pictures.own), half=half): _View.WHOLE,
        TrialProbe("rules", len(pictures.own)): _View.WHOLE,
    }
    probes = {probe: view for probe, view in probes.items() if probe.name in wanted}
    color_step = max(1, width // step // _COLOR_PX)
    ratio = 1.0 if size is None else size.ratio
    for at, number in zip(pictures.strip, pictures.own, strict=True):
        # A few frames of a shot say enough about its color: the others are not even read.
        if alone and not color.due(number):
            color.skip(number)
            continue
        frame = first if number == pictures.own[0] else read(number)
        proxy = frame.means(step)
        for probe, view in probes.items():
            if view is _View.PROXY:
                probe.observe(at, proxy)
            elif view is _View.WHOLE:
                probe.observe(at, frame.whole)
            elif view is _View.MIDDLE:
                # At the scan's size, so that grain before and after can be compared.
                probe.observe(at, _middle_at_scan(frame, size, _GRAIN_CROP_PX))
            elif view is _View.SAME_MIDDLE:
                probe.observe(at, _middle(frame, round(ratio * _GRAIN_CROP_PX)))
            elif color.due(number):
                probe.observe(number, plane_means(proxy, color_step))
            else:
                color.skip(number)
    return {probe.name: dict(probe.finish()) for probe in probes}


class _View(Enum):
    """What a probe looks at."""

    WHOLE = 1
    PROXY = 2
    COLOR = 3
    """Smaller still; frames by their own numbers."""
    MIDDLE = 4
    """A crop at full size."""
    SAME_MIDDLE = 5
    """A crop that shows the same as that of the scan, whatever the size."""


def _middle(frame: LogFrame, size_px: int) -> Tensor:
    """A full-resolution crop from the middle of the frame."""
    h, w = frame.size_px
    y, x = max(0, (h - size_px) // 2), max(0, (w - size_px) // 2)
    return frame.part(slice(y, y + size_px), slice(x, x + size_px))


def _middle_at_scan(frame: LogFrame, size: Size | None, size_px: int) -> Tensor:
    """The same, as large as the scan shows it: every pixel the mean over one of the scan's."""
    if size is None or size.out_px == size.scan_px:
        return _middle(frame, size_px)
    if not size.fitted:
        return plane_means(_middle(frame, size.factor * size_px), size.factor)
    # Back to where it was enlarged to, and from there as any enlargement.
    spans = [
        pixels_of(
            out,
            large,
            size.factor * max(0, (own - size_px) // 2),
            size.factor * min(size_px, own),
        )
        for out, large, own in zip(size.out_px, size.enlarged_px, size.scan_px, strict=True)
    ]
    rows, columns = (slice(s.begin, s.end) for s in spans)
    return plane_means(fitted_part(frame.part(rows, columns), spans[0], spans[1]), size.factor)
