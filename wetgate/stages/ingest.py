"""INGEST: what is on the shelf. Every frame hashed and decoded once, shots found."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from media.cuts import CutFinder
from media.encoding import encoding
from media.errors import FrameMissing, SourceChanged, UsageError
from media.frames import parse_rate
from media.material import FrameReader, SourceSpec, is_movie, open_reel, reel_id_from
from media.reel import Reel, Shot
from media.scan import list_sequence
from media.timeline import read_shot_list, write_otio
from media.write import AnyCodes, to_values
from restore.motion import luma
from wetgate.config import ReelConfig
from wetgate.files import read_json, write_json
from wetgate.job import Job
from wetgate.records import IngestedReel, reel_from_json, reel_to_json, shot_from_json, shot_to_json

_PROXY_PX = 144
_AHEAD = 4


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
        return kept
    job.events.emit("ingest_started", {"reel": name})
    reel = open_reel(
        _spec(config, name), progress=lambda done, total: _progress(job, name, done, total)
    )
    shots = _find_shots(job, config, reel)
    ingested = IngestedReel(reel, tuple(shots))
    write_otio_folder(job, ingested)
    record = reel_to_json(reel, _asked(job, config))
    record["shots"] = [shot_to_json(s) for s in shots]
    write_json(job.folder.ingest(name), record)
    job.events.emit(
        "ingest_finished", {"reel": name, "frames": len(reel.frames), "shots": len(shots)}
    )
    return ingested


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
    return _from_record(job, config, record)


def frame_reader(config: ReelConfig, reel: Reel) -> FrameReader:
    """A reader for an ingested reel."""
    return FrameReader(reel, matrix=config.matrix or None, range=config.range or None)


def _spec(config: ReelConfig, name: str) -> SourceSpec:
    rate: Fraction | None = parse_rate(config.rate) if config.rate else None
    return SourceSpec(
        path=Path(config.path),
        reel=name,
        encoding=config.encoding,
        rate=rate,
        matrix=config.matrix or None,
        range=config.range or None,
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
        _check_sources(config, reel_from_json(record), same=same)
    return _from_record(job, config, record) if same else None


def _asked(job: Job, config: ReelConfig) -> dict[str, object]:
    """All settings that ingest depends on."""
    return {**config.model_dump(mode="json"), "detect_shots": job.project.ingest.detect_shots}


def _from_record(job: Job, config: ReelConfig, record: dict[str, object]) -> IngestedReel:
    reel = reel_from_json(record)
    found = record["shots"]
    shots = [shot_from_json(s) for s in found] if isinstance(found, list) else []
    listed = Path(config.shots) if config.shots else job.folder.shots(reel.id)
    if config.shots or listed.is_file():
        edited = read_shot_list(listed, reel)
        if [_boundaries(s) for s in edited] != [_boundaries(s) for s in shots]:
            shots = edited
    return IngestedReel(reel, tuple(shots))


def _boundaries(shot: Shot) -> tuple[object, ...]:
    """What a person may have edited in a shot list."""
    return (shot.id, shot.frames, shot.kind, shot.dissolve_in, shot.dissolve_out)


def _check_sources(config: ReelConfig, reel: Reel, *, same: bool) -> None:
    """Every frame is still the one that was ingested; nothing was added or taken away.

    same: the reel is to be read with the same settings (a movie's digests depend on them).
    raises: SourceChanged naming the first frame that differs.
    """
    source = Path(config.path)
    if is_movie(source):
        if same:
            _check_movie(config, reel)
        return
    hint = "put the scan back as it was, or start a new output folder for the new one"
    try:
        listed, _ = list_sequence(source, reel=reel.id)
    except FrameMissing as error:
        raise SourceChanged(
            f"frames have gone since the reel was ingested: {error.what}",
            reel=reel.id,
            frame=error.frame,
            hint=hint,
        ) from error
    now, then = {n for n, _ in listed}, {f.number for f in reel.frames}
    if now != then:
        raise SourceChanged(
            f"{len(then - now)} frames have gone and {len(now - then)} have come since ingest",
            reel=reel.id,
            frame=min(now ^ then),
            hint=hint,
        )
    reader = FrameReader(reel)
    for frame in reel.frames:
        reader.verify(frame.number)


def _check_movie(config: ReelConfig, reel: Reel) -> None:
    """A movie whose size or time differ is decoded again, once, picture by picture."""
    then = reel.frames[0]
    stat = then.path.stat() if then.path.exists() else None
    if stat and (stat.st_size, stat.st_mtime_ns) == (then.size_bytes, then.mtime_ns):
        return
    found = open_reel(_spec(config, reel.id))
    digests = [f.sha256 for f in found.frames]
    for at, frame in enumerate(reel.frames):
        if at >= len(digests) or digests[at] != frame.sha256:
            raise SourceChanged(
                f"{then.path.name} is not the movie that was ingested",
                reel=reel.id,
                frame=frame.number,
                hint="put it back as it was, or start a new output folder for the new one",
            )
    if len(digests) > len(reel.frames):
        raise SourceChanged(
            f"{then.path.name} has {len(digests)} frames now, it had {len(reel.frames)}",
            reel=reel.id,
            frame=len(reel.frames),
            hint="put it back as it was, or start a new output folder for the new one",
        )


def _find_shots(job: Job, config: ReelConfig, reel: Reel) -> list[Shot]:
    """Decode the whole reel once: every frame proves readable, and cuts are found."""
    finder = CutFinder()
    reader = frame_reader(config, reel)
    space = encoding(reel.encoding, reel=reel.id)
    for done, (number, codes) in enumerate(_decoded(reader, reel), start=1):
        _progress(job, reel.id, done, len(reel.frames))
        values = torch.from_numpy(to_values(_proxy(codes), reel.format)).permute(2, 0, 1)
        finder.observe(number, luma(space.to_log(values)).numpy())
    if config.shots:
        return read_shot_list(Path(config.shots), reel)
    shots = finder.shots(reel.id)
    if job.project.ingest.detect_shots:
        return shots
    whole = shots[0]
    return [Shot(id=whole.id, reel=reel.id, frames=reel.range, kind=whole.kind)]


def _proxy(codes: AnyCodes) -> NDArray[np.float32]:
    """Area-reduced codes, at most ``_PROXY_PX`` wide, (h, w, C) float32."""
    height, width, channels = codes.shape
    step = max(1, width // _PROXY_PX)
    size = (max(1, width // step), max(1, height // step))
    small = cv2.resize(codes.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    proxy: NDArray[np.float32] = small.reshape(size[1], size[0], channels)
    return proxy


def _decoded(reader: FrameReader, reel: Reel) -> Iterator[tuple[int, AnyCodes]]:
    """All frames in order, decoded a little ahead in threads (movies: in place)."""
    if reel.kind == "movie":
        for frame in reel.frames:
            yield frame.number, reader.read(frame.number)
        return
    with ThreadPoolExecutor(2) as pool:
        ahead: deque[tuple[int, Future[AnyCodes]]] = deque()
        for frame in reel.frames:
            ahead.append((frame.number, pool.submit(reader.read, frame.number)))
            if len(ahead) > _AHEAD:
                number, future = ahead.popleft()
                yield number, future.result()
        for number, future in ahead:
            yield number, future.result()


def write_otio_folder(job: Job, ingested: IngestedReel) -> None:
    """shots.otio, for people to look at and to edit."""
    path = job.folder.shots(ingested.reel.id)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_otio(path, ingested.reel, list(ingested.shots))
