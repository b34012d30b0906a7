"""Shot lists as OTIO: frame counts at the reel's rate, so any rate will do.

OTIO keeps rates as floats; the exact rational stands in the metadata and is what counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

import opentimelineio as otio

from media.frames import FrameRange, rate_text
from media.reel import Reel, SegmentKind, Shot
from media.shots.lists import Entry, bad
from media.shots.spans import Span, SpanKind

_RATE_TOLERANCE = 1e-3
_KEY = "wetgate"
_COLORS = {
    SpanKind.DISSOLVE: "CYAN",
    SpanKind.FLASH: "YELLOW",
    SpanKind.RUINED: "RED",
    SpanKind.LEADER: "PURPLE",
    SpanKind.TITLE: "GREEN",
    SpanKind.BLACK: "BLACK",
    SpanKind.WHITE: "WHITE",
}


def read_otio(text: str, name: str, reel: Reel) -> list[Entry]:
    """One entry a clip; gaps stand for missing frame numbers. raises: InputError."""
    try:
        timeline = otio.adapters.read_from_string(text, "otio_json")
    except (otio.exceptions.OTIOError, ValueError) as error:
        raise bad(reel, f"{name} is not OTIO: {error}") from error
    # ``timeline`` stays referenced while its parts are read: freed parents crash the library.
    if not isinstance(timeline, otio.schema.Timeline) or not timeline.video_tracks():
        raise bad(reel, f"{name} holds no timeline with a picture track")
    entries: list[Entry] = []
    pending_in: int | None = None
    for k, item in enumerate(timeline.video_tracks()[0]):
        place = f"clip {getattr(item, 'name', '') or k + 1}"
        if isinstance(item, otio.schema.Gap):
            continue
        if isinstance(item, otio.schema.Transition):
            before = _frames_of(item.in_offset, reel, name, place)
            pending_in = _frames_of(item.out_offset, reel, name, place)
            if entries:
                entries.append(replace(entries.pop(), dissolve_out=before))
            continue
        if not isinstance(item, otio.schema.Clip):
            raise bad(reel, f"{name}, {place}: only clips, gaps and transitions are taken")
        entry = _entry(item, reel, name, place)
        entries.append(entry if pending_in is None else replace(entry, dissolve_in=pending_in))
        pending_in = None
    stated = _noted(timeline).get("rate")
    if stated is not None and stated != rate_text(reel.rate):
        raise bad(
            reel, f"{name} runs at {stated} frames per second, the reel at {rate_text(reel.rate)}"
        )
    del timeline
    return entries


def _noted(item: otio.core.SerializableObjectWithMetadata) -> Mapping[str, object]:
    metadata = item.metadata.get(_KEY, {})
    return dict(metadata) if isinstance(metadata, Mapping) else {}


def _entry(clip: otio.schema.Clip, reel: Reel, name: str, place: str) -> Entry:
    used = clip.trimmed_range()
    start = _frames_of(used.start_time, reel, name, place)
    length = _frames_of(used.duration, reel, name, place)
    media = clip.media_reference
    available = getattr(media, "available_range", None)
    if available is not None:
        start += reel.range.start - _frames_of(available.start_time, reel, name, place)
        if isinstance(media, otio.schema.ImageSequenceReference):
            start += media.start_frame - reel.range.start
    extra = _noted(clip)
    try:
        counts = {
            k: int(str(extra.get(k, 0)))
            for k in ("fade_in", "fade_out", "head_dissolve", "tail_dissolve")
        }
        confidence = float(str(extra.get("confidence", 1.0)))
    except ValueError as error:
        raise bad(reel, f"{name}, {place}: the metadata is damaged: {error}") from error
    return Entry(
        place=place,
        first=start,
        last=start + length - 1,
        name=clip.name or "",
        kind=str(extra.get("kind", SegmentKind.SHOT.value)),
        dissolve_in=counts["head_dissolve"],
        dissolve_out=counts["tail_dissolve"],
        fade_in=counts["fade_in"],
        fade_out=counts["fade_out"],
        confidence=confidence,
    )


def _frames_of(time: otio.opentime.RationalTime, reel: Reel, name: str, place: str) -> int:
    if abs(time.rate - float(reel.rate)) > _RATE_TOLERANCE:
        raise bad(
            reel,
            f"{name}, {place}: runs at {Fraction(time.rate).limit_denominator(1001)} frames per "
            f"second, the reel at {rate_text(reel.rate)}",
        )
    count = round(float(time.value))
    if abs(time.value - count) > _RATE_TOLERANCE:
        raise bad(reel, f"{name}, {place}: {time.value} is no whole number of frames")
    return count


def otio_text(reel: Reel, shots: Sequence[Shot], spans: Sequence[Span]) -> str:
    """A timeline over the reel's own frames; missing numbers are gaps, spans are markers.

    A span within one shot is a marker on its clip, in source frames; one that runs over a
    boundary is a marker on the track.
    """
    rate = float(reel.rate)
    timeline = otio.schema.Timeline(name=reel.id)
    track = otio.schema.Track(name=reel.id, kind=otio.schema.TrackKind.Video)
    timeline.tracks.append(track)
    timeline.metadata[_KEY] = {"reel": reel.id, "rate": rate_text(reel.rate)}
    loose = list(spans)
    for k, shot in enumerate(shots):
        last = shots[k - 1] if k else None
        joined = last is not None and last.frames.stop == shot.frames.start
        if last is not None and not joined:
            missing = FrameRange(last.frames.stop, shot.frames.start)
            track.append(otio.schema.Gap(source_range=_range(0, len(missing), rate)))
        clip = otio.schema.Clip(
            name=shot.id,
            media_reference=_media(reel, _range(reel.range.start, len(reel.range), rate), rate),
            source_range=_range(shot.frames.start, len(shot.frames), rate),
        )
        before = last.dissolve_out if last is not None and joined else 0
        mixed = joined and bool(before or shot.dissolve_in)
        following = shots[k + 1].frames.start if k + 1 < len(shots) else None
        clip.metadata[_KEY] = {
            "kind": shot.kind.value,
            "fade_in": shot.fade_in,
            "fade_out": shot.fade_out,
            "confidence": shot.confidence,
            # A dissolve at a hole or at the end of the reel has no transition to stand in.
            "head_dissolve": 0 if mixed else shot.dissolve_in,
            "tail_dissolve": 0 if following == shot.frames.stop else shot.dissolve_out,
        }
        inside = [s for s in loose if _within(s.frames, shot.frames)]
        loose = [s for s in loose if s not in inside]
        clip.markers.extend(_marker(s, s.frames.start, rate) for s in inside)
        if mixed:
            track.append(
                otio.schema.Transition(
                    transition_type=otio.schema.TransitionTypes.SMPTE_Dissolve,
                    in_offset=otio.opentime.RationalTime(before, rate),
                    out_offset=otio.opentime.RationalTime(shot.dissolve_in, rate),
                )
            )
        track.append(clip)
    track.markers.extend(_marker(s, s.frames.start - reel.range.start, rate) for s in loose)
    return str(otio.adapters.write_to_string(timeline, "otio_json"))


def _within(inner: FrameRange, outer: FrameRange) -> bool:
    return outer.start <= inner.start and inner.stop <= outer.stop


def _range(first: int, count: int, rate: float) -> otio.opentime.TimeRange:
    return otio.opentime.TimeRange(
        otio.opentime.RationalTime(first, rate), otio.opentime.RationalTime(count, rate)
    )


def _marker(span: Span, first: int, rate: float) -> otio.schema.Marker:
    marker = otio.schema.Marker(
        name=span.kind.value,
        marked_range=_range(first, len(span.frames), rate),
        color=_COLORS.get(span.kind, "BLUE"),
    )
    marker.comment = span.reason
    marker.metadata[_KEY] = {
        "kind": span.kind.value,
        "first": span.frames.start,
        "last": span.frames.stop - 1,
        "confidence": span.confidence,
        "reason": span.reason,
    }
    return marker


def _media(reel: Reel, available: otio.opentime.TimeRange, rate: float) -> otio.core.MediaReference:
    first = reel.frames[0]
    if reel.kind == "movie":
        return otio.schema.ExternalReference(
            target_url=first.path.as_posix(), available_range=available
        )
    found = re.fullmatch(r"(.*?)(\d+)(\D*)", first.path.stem)
    prefix, digits, rest = found.groups() if found else (first.path.stem, "", "")
    return otio.schema.ImageSequenceReference(
        target_url_base=first.path.parent.as_posix() + "/",
        name_prefix=prefix,
        name_suffix=rest + first.path.suffix,
        start_frame=first.number,
        frame_step=1,
        rate=rate,
        frame_zero_padding=len(digits),
        available_range=available,
    )
