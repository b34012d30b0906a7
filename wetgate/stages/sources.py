"""Is the material still what was ingested?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from media.defect_map import MapReader
from media.errors import FrameMissing, SourceChanged
from media.listing import list_sequence
from media.material import SourceSpec, is_movie, open_reel
from media.reader import FrameReader
from media.reel import Reel
from wetgate.config import ReelConfig


def check_sources(
    config: ReelConfig, reel: Reel, spec: Callable[[], SourceSpec], *, same: bool
) -> None:
    """Every frame is still the one that was ingested; nothing was added or taken away.

    spec: how a movie is opened to be decoded again. same: the reel is to be read with the same
    settings (a movie's digests depend on them).
    raises: SourceChanged naming the first frame that differs.
    """
    source = Path(config.path)
    if is_movie(source):
        if same:
            _check_movie(reel, spec)
        return
    hint = "put the scan back as it was, or start a new output folder for the new one"
    try:
        listed, _ = list_sequence(source, reel=reel.id, gaps=bool(config.gaps))
    except FrameMissing as error:
        raise SourceChanged(
            f"frames have gone since the reel was ingested: {error.what}",
            reel=reel.id,
            frame=error.frame,
            hint=hint,
        ) from error
    now = {n for n, _ in listed}
    then = {f.number for f in reel.frames if f.scanned} | _unreadable(reel)
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
    if reel.defect_map is not None:
        for number in reel.defect_map.frames:
            MapReader(reel).verify(number)


def _check_movie(reel: Reel, spec: Callable[[], SourceSpec]) -> None:
    """A movie whose size or time differ is decoded again, once, picture by picture."""
    then = reel.frames[0]
    stat = then.path.stat() if then.path.exists() else None
    if stat and (stat.st_size, stat.st_mtime_ns) == (then.size_bytes, then.mtime_ns):
        return
    found = open_reel(spec())
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


def _unreadable(reel: Reel) -> set[int]:
    """Numbers that were there when the reel was ingested, but could not be read."""
    known = reel.facts.get("unreadable")
    return {int(n) for n in known} if isinstance(known, dict) else set()
