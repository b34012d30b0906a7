"""INGEST: what is on the shelf. Every frame read once: hashed, judged, shots found."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from media.cadence import Cadence, CadenceProbe
from media.defect_map import channel_name, open_map
from media.encoding import ColorEncoding, Domain, convert, encoding, with_levels
from media.errors import UsageError
from media.fixity import file_sha256
from media.frames import parse_rate
from media.levels import LevelsProbe
from media.material import SourceSpec, open_reel, reel_id_from
from media.pictures import pictures_of
from media.reader import FrameReader
from media.reel import MadeBy, PictureFormat, Reel, SegmentKind, Shot
from media.shots.cuts import CutFinder
from media.shots.timeline import read_shot_list, shot_id, write_otio
from media.shots.transnet import TransNetFinder
from media.write import AnyCodes, atomic_write_bytes, to_values
from restore.motion import luma
from restore.rebuild.measure import Finding, FramesProbe
from wetgate.config import ReelConfig
from wetgate.files import read_json, write_json
from wetgate.frames import settle_frames
from wetgate.job import Job
from wetgate.pieces import ingest_piece, megapixels
from wetgate.records import (
    IngestedReel,
    reel_from_json,
    reel_to_json,
    shot_from_json,
    shot_to_json,
    span_from_json,
    span_to_json,
)
from wetgate.stages.interlaced import refuse_interlaced
from wetgate.stages.sources import check_sources
from wetgate.summary import ingest_summary

_PROXY_PX = 144
_COARSE = 3


def reel_name(config: ReelConfig) -> str:
    """The reel's id: as given, else after its folder or file."""
    return config.id or reel_id_from(Path(config.path))


def ingest_reel(job: Job, config: ReelConfig) -> IngestedReel:
    """The reel and its shots; from the record when nothing changed since.

    raises: InputError and its children; SourceChanged when a scan differs from its record.
    """
    name = reel_name(config)
    refuse_inside(job.folder.root, config)
    kept = _kept(job, config, name)
    if kept is not None:
        refuse_interlaced(job.project, config, kept.reel)
        return settle_frames(job, kept)
    # At any hour: what is wrong with the material should be said by day.
    job.gate(window=False)
    job.events.emit("ingest_started", {"reel": name})
    started = time.monotonic()
    sights = _Sights(job, config, name)
    reel = open_reel(
        _spec(job, config, name),
        progress=lambda done, total: _progress(job, name, done, total),
        sight=sights.see,
    )
    if config.defect_map:
        bright = config.defect_map_means == "dirt is bright"
        planes = open_map(reel, config.defect_map, bright=bright, each=job.check_stop)
        reel = replace(reel, defect_map=planes)
    ingested, cadence = _settled(job, config, reel, sights)
    job.at_hand()
    shots_sha256 = write_shot_list(job, ingested)
    record = reel_to_json(ingested.reel, _asked(job, config))
    record["shots"] = [shot_to_json(s) for s in ingested.shots]
    record["spans"] = [span_to_json(s) for s in ingested.spans]
    record["cadence"] = cadence.as_dict()
    record["findings"] = [f.as_dict() for f in ingested.findings]
    record["shots_sha256"] = shots_sha256
    summary = ingest_summary(ingested, cadence)
    atomic_write_bytes(job.folder.ingest(name).with_name("ingest.txt"), summary.encode())
    write_json(job.folder.ingest(name), record)
    refuse_interlaced(job.project, config, ingested.reel)
    job.events.emit(
        "ingest_finished",
        {
            "reel": name,
            "frames": len(ingested.reel.frames),
            "shots": len(ingested.shots),
            "doubled": len(ingested.reel.doubled),
            "does": ingest_piece(ingested.reel.kind),
            "megapixels": round(megapixels(ingested.reel), 4),
            "seconds": round(time.monotonic() - started, 3),
        },
    )
    return settle_frames(job, ingested)


@dataclass
class _Sights:
    """What is noticed while the frames go by, each seen once and in order."""

    job: Job
    config: ReelConfig
    reel: str
    cadence: CadenceProbe = field(default_factory=CadenceProbe)
    levels: LevelsProbe = field(default_factory=LevelsProbe)
    finders: list[CutFinder | TransNetFinder] = field(default_factory=list)
    frames: FramesProbe = field(default_factory=FramesProbe)
    _next: int | None = None

    def see(self, number: int, codes: AnyCodes, fmt: PictureFormat) -> None:
        """A hole in the numbering ends a stretch: nothing is compared across it."""
        self.job.check_stop()
        if number != self._next:
            learned = self.job.project.ingest.detector == "transnetv2"
            self.finders.append(TransNetFinder() if learned else CutFinder())
        self._next = number + 1
        self.cadence.observe(number, codes)
        self.levels.observe(codes, fmt)
        space = encoding(self.config.encoding, reel=self.reel)
        space = with_levels(space, self.config.range or "full", fmt.bits)
        small = _proxy_log(codes, fmt, space)
        if self.job.project.ingest.find_damaged:
            self.frames.observe(number, small)
        finder = self.finders[-1]
        if isinstance(finder, TransNetFinder):
            shown = convert(small, Domain.LOG_DENSITY, Domain.DISPLAY).expand(3, -1, -1)
            finder.observe(number, shown.permute(1, 2, 0).contiguous().numpy())
        else:
            finder.observe(number, luma(small).numpy())


def _settled(
    job: Job, config: ReelConfig, reel: Reel, sights: _Sights
) -> tuple[IngestedReel, Cadence]:
    """Shots and spans, then the frames that repeat one inside a shot."""
    spans = tuple(s for f in sights.finders for s in f.spans(reel.id))
    edited = _edited(job, reel)
    if config.shots:
        shots = read_shot_list(Path(config.shots), reel)
    elif edited is not None:
        shots = edited
    else:
        shots = _found(job, reel, sights.finders)
    findings = tuple(sights.frames.findings())
    doubled: tuple[int, ...] = ()
    if job.project.ingest.find_doubled:
        stretches = [s.frames for s in shots]
        made = {f.number for f in reel.frames if f.made_by}
        damaged = {n for f in findings for n in range(f.first, f.last + 1)}
        twins = sights.cadence.doubled(stretches, damaged)
        doubled = tuple(n for n in twins if n not in made)
    cadence = sights.cadence.report(doubled, reel.rate)
    notes = (*reel.notes, *cadence.notes, *_held_at_cuts(reel, shots))
    if reel.kind != "movie":
        notes += sights.levels.notes(reel.levels)
    facts = {
        **reel.facts,
        "levels": sights.levels.facts(),
        "combed_share": round(cadence.combed_share, 4),
    }
    reel = replace(reel, doubled=doubled, notes=notes, facts=facts)
    return IngestedReel(reel, tuple(shots), spans, findings), cadence


def _held_at_cuts(reel: Reel, shots: list[Shot]) -> tuple[str, ...]:
    """Frames that were to be rebuilt, but have no picture on both sides in their own shot."""
    held = [
        n
        for shot in shots
        for n in shot.frames
        if reel.frame(n).made_by is MadeBy.REBUILD
        and n not in pictures_of(reel, shot.frames).between
    ]
    return tuple(f"frame {n} is missing at a cut: held, not rebuilt" for n in held)


def _found(job: Job, reel: Reel, finders: list[CutFinder | TransNetFinder]) -> list[Shot]:
    """The shots of all stretches, numbered through; a stretch is one shot without detection."""
    shots = []
    for finder, stretch in zip(finders, reel.stretches, strict=True):
        found = finder.shots(reel.id)
        if not job.project.ingest.detect_shots:
            # A reel that begins with black or leader is not all of it.
            kinds = {shot.kind for shot in found}
            kind = found[0].kind if len(kinds) == 1 else SegmentKind.SHOT
            found = [Shot(id="", reel=reel.id, frames=stretch, kind=kind)]
        shots += found
    return [replace(s, id=shot_id(reel.id, n)) for n, s in enumerate(shots)]


def _edited(job: Job, reel: Reel) -> list[Shot] | None:
    """The shot list a person has changed since it was written: it is never written over."""
    record = read_json(job.folder.ingest(reel.id))
    path = job.folder.shots(reel.id)
    if record is None or not path.is_file():
        return None
    if file_sha256(path) == record.get("shots_sha256"):
        return None
    return read_shot_list(path, reel)


def refuse_inside(root: Path, config: ReelConfig) -> None:
    """raises: UsageError when the source lies where the job writes (the demo's own aside)."""
    source = Path(config.path).resolve()
    if source.is_relative_to(root) and not source.is_relative_to(root / "demo"):
        raise UsageError(
            "the source lies inside the output folder",
            reel=reel_name(config),
            hint="give an --out outside the scans",
        )


def read_reel(job: Job, config: ReelConfig) -> IngestedReel:
    """What ingest left, sources not looked at again. raises: UsageError when it has not run."""
    name = reel_name(config)
    record = read_json(job.folder.ingest(name))
    if record is None:
        raise UsageError("the reel has not been ingested", reel=name, hint="run 'wetgate run'")
    return settle_frames(job, _from_record(job, config, record))


def frame_reader(config: ReelConfig, reel: Reel) -> FrameReader:
    """A reader for an ingested reel."""
    return FrameReader(
        reel,
        matrix=config.matrix or None,
        range=config.range or None,
        accept=frozenset(config.accept),
    )


def _spec(job: Job, config: ReelConfig, name: str) -> SourceSpec:
    rate: Fraction | None = parse_rate(config.rate) if config.rate else None
    return SourceSpec(
        path=Path(config.path),
        reel=name,
        encoding=config.encoding,
        rate=rate,
        matrix=config.matrix or None,
        range=config.range or None,
        gaps=config.gaps,
        spare=bool(channel_name(config.defect_map)),
        longest_run=job.project.restore.frames.longest_run,
        accept=frozenset(config.accept),
        sound=config.sound,
        untouched_s=job.project.ingest.untouched_s,
    )


def _progress(job: Job, name: str, done: int, total: int) -> None:
    job.check_stop()
    if done == total or done % 50 == 0:
        job.events.emit("ingest_progress", {"reel": name, "done": done, "total": total})


def _kept(job: Job, config: ReelConfig, name: str) -> IngestedReel | None:
    """The record of an earlier run, when it answers the same question about the same files."""
    record = read_json(job.folder.ingest(name))
    if record is None:
        return None
    asked = _asked(job, config)
    same = record["asked"] == asked
    then = record["asked"]
    if same or (isinstance(then, dict) and then.get("path") == asked["path"]):
        # Other settings are no reason to take changed scans for the ones that were ingested.
        reel = reel_from_json(record)
        check_sources(config, reel, partial(_spec, job, config, reel.id), same=same)
    return _from_record(job, config, record) if same else None


def _asked(job: Job, config: ReelConfig) -> dict[str, object]:
    """All settings that ingest depends on."""
    settings = job.project.ingest.model_dump(mode="json")
    settings.pop("untouched_s")
    longest = job.project.restore.frames.longest_run if config.gaps == "rebuild" else 0
    return {**config.model_dump(mode="json"), "ingest": settings, "longest_run": longest}


def _from_record(job: Job, config: ReelConfig, record: dict[str, object]) -> IngestedReel:
    reel = reel_from_json(record)
    found = record["shots"]
    shots = [shot_from_json(s) for s in found] if isinstance(found, list) else []
    listed = Path(config.shots) if config.shots else job.folder.shots(reel.id)
    if config.shots or listed.is_file():
        edited = read_shot_list(listed, reel)
        if [_boundaries(s) for s in edited] != [_boundaries(s) for s in shots]:
            shots = edited
    spans = record.get("spans")
    found_spans = [span_from_json(v) for v in spans] if isinstance(spans, list) else []
    found = record.get("findings")
    findings = [Finding.from_dict(v) for v in found] if isinstance(found, list) else []
    return IngestedReel(reel, tuple(shots), tuple(found_spans), tuple(findings))


def _boundaries(shot: Shot) -> tuple[object, ...]:
    """What a person may have edited in a shot list."""
    return (shot.id, shot.frames, shot.kind, shot.dissolve_in, shot.dissolve_out)


def _proxy_log(codes: AnyCodes, fmt: PictureFormat, space: ColorEncoding) -> Tensor:
    """(C, h, w) film log of a small picture."""
    return space.to_log(torch.from_numpy(to_values(_proxy(codes), fmt)).permute(2, 0, 1))


def _proxy(codes: AnyCodes) -> NDArray[np.float32]:
    """Area-reduced codes, about ``_PROXY_PX`` wide, (h, w, C) float32."""
    height, width, channels = codes.shape
    step = max(1, width // _PROXY_PX)
    size = (max(1, width // step), max(1, height // step))
    if step >= 2 * _COARSE:
        # Most of the way in whole codes, which is far quicker; what that rounds averages out.
        coarse = (_COARSE * size[0], _COARSE * size[1])
        codes = cv2.resize(codes, coarse, interpolation=cv2.INTER_AREA)
    small = cv2.resize(codes.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    proxy: NDArray[np.float32] = small.reshape(size[1], size[0], channels)
    return proxy


def write_shot_list(job: Job, ingested: IngestedReel) -> str:
    """shots.otio, for people to look at and to edit; one that a person has edited stays.

    returns: SHA-256 of the list as the program last wrote it, which tells an edited one.
    """
    path = job.folder.shots(ingested.reel.id)
    path.parent.mkdir(parents=True, exist_ok=True)
    if _edited(job, ingested.reel) is not None:
        return str((read_json(job.folder.ingest(ingested.reel.id)) or {})["shots_sha256"])
    write_otio(path, ingested.reel, ingested.shots, ingested.spans)
    return file_sha256(path)
