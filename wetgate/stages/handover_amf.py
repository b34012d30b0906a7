"""Shots as ACES Metadata Files, where that can be said honestly."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from color.amf import INPUT_TRANSFORMS, AmfClip, amf_document
from color.cdl import CDL
from color.edl import source_timecode
from color.transform import ShotTransform
from media.reel import Reel, Shot
from wetgate.records import IngestedReel

_NUMBER = re.compile(r"\d+(?=\.[^.]+$)")
_MARKS = "#@%$+=~!"
"""What stands for a digit in the name of a frame: the first of these that the name lacks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedShot:
    """A shot on its way out."""

    id: str
    reel: str
    transform: ShotTransform
    cdl: CDL
    """The CDL, or the nearest one where a CDL does not say it all."""
    left_over: tuple[float, float]
    """Mean and largest Delta E 2000 between the nearest CDL and the whole."""
    description: str


def shot_amfs(
    reels: Mapping[str, IngestedReel], shots: Sequence[HandedShot]
) -> tuple[dict[str, str], dict[str, str]]:
    """Documents by name, and why others have none, by reel or shot."""
    documents: dict[str, str] = {}
    without = {
        name: f"ACES has no transform for {r.reel.encoding}"
        for name, r in reels.items()
        if r.reel.encoding not in INPUT_TRANSFORMS
    }
    for shot in shots:
        if shot.reel in without:
            continue
        if not shot.transform.is_cdl:
            without[shot.id] = "unfading is no CDL"
            continue
        reel = reels[shot.reel].reel
        clip = _clip(reel, reels[shot.reel].shot(shot.id), shot)
        documents[f"amf/{shot.id}.amf"] = amf_document(clip)
    return documents, without


def _clip(reel: Reel, shot: Shot, handed: HandedShot) -> AmfClip:
    frames = [f for f in reel.frames if f.number in shot.frames]
    file, numbers, mark = frames[0].path.name, None, "#"
    if reel.kind != "movie":
        found = [_NUMBER.search(f.path.name) for f in (frames[0], frames[-1])]
        if found[0] is not None and found[1] is not None:
            numbers = (int(found[0].group()), int(found[1].group()))
            mark = next((c for c in _MARKS if c not in file), "#")
            file = _NUMBER.sub(mark * len(found[0].group()), file)
    newest = max(f.mtime_ns for f in frames)
    start = source_timecode(reel.rate, reel.range.start, shot.frames.start, reel.timecode)
    return AmfClip(
        id=handed.id,
        encoding=reel.encoding,
        cdl=handed.cdl,
        description=f"reel {reel.id}, from {start}; {handed.description}",
        file=file,
        mark=mark,
        frames=numbers,
        scanned=datetime.fromtimestamp(newest // 10**9, UTC),
    )
