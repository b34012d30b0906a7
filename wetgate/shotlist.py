"""The shots of an ingested title, for people and for other programs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from media.errors import UsageError
from media.shots.timeline import write_csv, write_edl, write_otio
from wetgate.job import Job
from wetgate.records import IngestedReel, shot_to_json, span_to_json
from wetgate.stages.ingest import read_reel


def reels_of(job: Job, reel: str | None) -> list[IngestedReel]:
    """The ingested reels, or the one with this id. raises: UsageError."""
    found = [read_reel(job, c) for c in job.project.reels]
    if reel is None:
        return found
    named = [r for r in found if r.reel.id == reel]
    if not named:
        known = ", ".join(r.reel.id for r in found)
        raise UsageError(f"there is no reel {reel!r}", hint=f"reels: {known}")
    return named


def shots_dict(reels: list[IngestedReel]) -> dict[str, object]:
    """Shots, spans and doubled frames of each reel, JSON-able."""
    return {
        r.reel.id: {
            "shots": [shot_to_json(s) for s in r.shots],
            "spans": [span_to_json(s) for s in r.spans],
            "doubled": list(r.reel.doubled),
        }
        for r in reels
    }


def shot_lines(reels: list[IngestedReel]) -> Iterator[str]:
    """One line a shot, then what was found beside the shots."""
    for ingested in reels:
        for shot in ingested.shots:
            more = "" if shot.kind.value == "shot" else f"  {shot.kind.value}"
            yield f"{shot.id:<20} {shot.frames!s:>17}  {shot.confidence:.2f}{more}"
        for span in ingested.spans:
            yield f"  {span}"


def export_shots(reels: list[IngestedReel], target: Path) -> None:
    """Write the shot list of one reel as .otio, .edl or .csv, by the ending of the name.

    raises: UsageError (several reels, another ending), InputError (an EDL at a rate without
    timecode), StorageFull.
    """
    if len(reels) != 1:
        raise UsageError(
            f"{target.name} can hold one reel, the title has {len(reels)}", hint="give --reel"
        )
    only = reels[0]
    kind = target.suffix.lower()
    if kind == ".otio":
        write_otio(target, only.reel, only.shots, only.spans)
    elif kind == ".edl":
        write_edl(target, only.reel, only.shots)
    elif kind == ".csv":
        write_csv(target, only.reel, only.shots)
    else:
        raise UsageError(f"{target.name} is no shot list", hint="use .otio, .edl or .csv")
