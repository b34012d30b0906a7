"""The title as an OpenTimelineIO timeline whose clips carry their CDL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from color.cdl import CDL, IDENTITY, Triple
from color.cdl_files import INPUT_SPACE
from color.edl import EdlEvent, edl_reel
from media.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class OtioReel:
    """One reel of the title: a track of its own."""

    id: str
    rate: Fraction
    events: Sequence[EdlEvent]


def otio_document(title: str, reels: Sequence[OtioReel]) -> str:
    """Timeline JSON. Frames and the reel's own rate are the truth, whatever timecode allows.

    Each clip's ``metadata["cdl"]`` is what the EDL adapter of OpenTimelineIO reads and writes:
    ``asc_sop`` with slope, offset, power, and ``asc_sat``.
    """
    import opentimelineio as otio

    timeline = otio.schema.Timeline(title)
    timeline.metadata["wetgate"] = {"color_space": INPUT_SPACE}
    for reel in reels:
        track = otio.schema.Track(reel.id, kind=otio.schema.TrackKind.Video)
        rate = float(reel.rate)
        for event in sorted(reel.events, key=lambda e: e.frames):
            clip = otio.schema.Clip(
                event.id,
                media_reference=otio.schema.MissingReference(reel.id),
                source_range=otio.opentime.TimeRange(
                    otio.opentime.RationalTime(event.frames.start, rate),
                    otio.opentime.RationalTime(len(event.frames), rate),
                ),
                metadata={
                    "cdl": cdl_metadata(event.cdl),
                    "cmx_3600": {"reel": edl_reel(reel.id)},
                    "wetgate": {"reel": reel.id},
                },
            )
            track.append(clip)
        timeline.tracks.append(track)
    return str(timeline.to_json_string(indent=1)) + "\n"


def cdl_metadata(cdl: CDL) -> dict[str, object]:
    """As OpenTimelineIO's EDL adapter lays it out."""
    now = cdl.rounded()
    return {
        "asc_sop": {
            "slope": list(now.slope),
            "offset": list(now.offset),
            "power": list(now.power),
        },
        "asc_sat": now.saturation,
    }


def read_otio_cdls(text: str, name: str) -> list[tuple[str, CDL]]:
    """(clip name, CDL) of every clip that carries one, in order. name: for the message.

    A missing half is the identity, as in the EDL that OpenTimelineIO made it of.
    raises: ConfigError for numbers that are no CDL; KeyError, TypeError, ValueError or
    RuntimeError for what is no such timeline.
    """
    import opentimelineio as otio

    timeline = otio.adapters.read_from_string(text, adapter_name="otio_json")
    found: list[tuple[str, CDL]] = []
    # The timeline outlives its clips here: their metadata dies with it.
    for clip in timeline.find_clips():
        told = clip.metadata.get("cdl")
        if told is None:
            continue
        where = f"{name}, clip {clip.name!r}"
        if "asc_sop" not in told and "asc_sat" not in told:
            raise ConfigError(
                f"{where}: its cdl holds neither asc_sop nor asc_sat", hint="check the file"
            )
        slope, offset, power = IDENTITY.slope, IDENTITY.offset, IDENTITY.power
        if "asc_sop" in told:
            sop = told["asc_sop"]
            slope, offset, power = (_three(sop, k, where) for k in ("slope", "offset", "power"))
        saturation = _number(told.get("asc_sat", IDENTITY.saturation), where)
        try:
            found.append((str(clip.name), CDL(slope, offset, power, saturation)))
        except ConfigError as error:
            raise ConfigError(f"{where}: {error.what}", hint=error.hint) from error
    return found


def _three(sop: Mapping[str, Sequence[object]], key: str, where: str) -> Triple:
    values = [_number(v, where) for v in sop.get(key, ())]
    if len(values) != 3:
        raise ConfigError(f"{where}: {key} has {len(values)} numbers", hint="three are needed")
    return (values[0], values[1], values[2])


def _number(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{where}: {value!r} is no number", hint="check its cdl")
    return float(value)
