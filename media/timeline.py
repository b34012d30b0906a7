"""Shot lists: read from OTIO, EDL and CSV, written as OTIO.

Frames and the reel's exact rate are the truth; timecode is only read, because SMPTE timecode
does not exist at 16 or 18 frames per second.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import opentimelineio as otio

from media.errors import InputError
from media.frames import FrameRange, rate_text
from media.reel import Reel, SegmentKind, Shot
from media.write import atomic_write_bytes

_STEP = 10
_RATE_TOLERANCE = 1e-3
_KEY = "wetgate"
_CSV_COLUMNS = ("shot", "first", "last", "dissolve_in", "dissolve_out", "kind")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """A shot as a list gives it, before it is checked against the reel."""

    place: str
    """Line or clip, for messages."""
    first: int
    last: int
    name: str = ""
    kind: str = SegmentKind.SHOT.value
    dissolve_in: int = 0
    dissolve_out: int = 0
    fade_in: int = 0
    fade_out: int = 0
    confidence: float = 1.0


def shot_id(reel_id: str, n: int) -> str:
    """``<REEL>_<NNNN>`` for the n-th shot (0-based), in steps of ten: 0010, 0020, ..."""
    return f"{safe_id(reel_id)}_{(n + 1) * _STEP:04d}"


def safe_id(text: str) -> str:
    """``text`` with everything outside ``[A-Za-z0-9_.]`` replaced by ``_``."""
    return re.sub(r"[^A-Za-z0-9_.]", "_", text)


def read_shot_list(path: Path, reel: Reel) -> list[Shot]:
    """The shots of a reel from .otio, .edl or .csv, in order, covering the reel without a gap.

    CSV columns: shot, first, last (scan numbers, both inclusive) and optionally dissolve_in,
    dissolve_out, kind. EDL source times count from the reel's timecode, or, where it has none,
    from the start of the reel (a start on a full hour is taken as that hour).
    raises: InputError naming the line or clip: unreadable, overlap, gap, out of range, rate clash.
    """
    readers = {".otio": _read_otio, ".edl": _read_edl, ".csv": _read_csv}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InputError(
            f"{path.name} is no shot list", hint="use .otio, .edl or .csv", reel=reel.id
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name} cannot be read: {error}", reel=reel.id) from error
    return _checked(reader(text, path.name, reel), path.name, reel)


def _checked(entries: list[_Entry], name: str, reel: Reel) -> list[Shot]:
    if not entries:
        raise _bad(reel, f"{name} lists no shots")
    expected, shots = reel.range.start, []
    seen: set[str] = set()
    for n, entry in enumerate(entries):
        where = f"{name}, {entry.place}"
        if entry.last < entry.first:
            raise _bad(reel, f"{where}: ends at {entry.last} before it starts at {entry.first}")
        if entry.first not in reel.range or entry.last not in reel.range:
            raise _bad(reel, f"{where}: frames {entry.first}-{entry.last} are outside {reel.range}")
        if entry.first < expected:
            raise _bad(reel, f"{where}: overlaps the shot before it (frame {entry.first})")
        if entry.first > expected:
            raise _bad(reel, f"{where}: frames {expected}-{entry.first - 1} belong to no shot")
        length = entry.last + 1 - entry.first
        counts = (entry.dissolve_in, entry.dissolve_out, entry.fade_in, entry.fade_out)
        if min(counts) < 0 or max(counts) > length:
            raise _bad(reel, f"{where}: a dissolve or fade does not fit {length} frames")
        if entry.kind not in [kind.value for kind in SegmentKind]:
            raise _bad(reel, f"{where}: kind {entry.kind!r} is not known")
        made = _id_of(entry.name, reel, n)
        if made in seen:
            raise _bad(reel, f"{where}: shot {made} is listed twice")
        seen.add(made)
        shots.append(
            Shot(
                id=made,
                reel=reel.id,
                frames=FrameRange(entry.first, entry.last + 1),
                kind=SegmentKind(entry.kind),
                dissolve_in=entry.dissolve_in,
                dissolve_out=entry.dissolve_out,
                fade_in=entry.fade_in,
                fade_out=entry.fade_out,
                confidence=entry.confidence,
            )
        )
        expected = entry.last + 1
    if expected != reel.range.stop:
        last = entries[-1].place
        raise _bad(
            reel, f"{name}, {last}: frames {expected}-{reel.range.stop - 1} belong to no shot"
        )
    return shots


def _id_of(name: str, reel: Reel, n: int) -> str:
    if not name:
        return shot_id(reel.id, n)
    prefix = f"{safe_id(reel.id)}_"
    made = safe_id(name)
    return made if made.startswith(prefix) else prefix + made


def _bad(reel: Reel, what: str) -> InputError:
    return InputError(what, hint="correct the shot list", reel=reel.id)


def _read_csv(text: str, name: str, reel: Reel) -> list[_Entry]:
    rows = csv.DictReader(io.StringIO(text), strict=True)
    entries = []
    try:
        fields = [f.strip() for f in rows.fieldnames or ()]
        unknown = [f for f in fields if f not in _CSV_COLUMNS]
        if unknown or not {"first", "last"} <= set(fields):
            raise _bad(reel, f"{name}, line 1: columns must be " + ", ".join(_CSV_COLUMNS))
        rows.fieldnames = fields
        for row in rows:
            place = f"line {rows.line_num}"
            cells = {k: (v or "").strip() for k, v in row.items() if isinstance(k, str)}
            if len(cells) != len(row):
                raise _bad(reel, f"{name}, {place}: more cells than columns")
            try:
                numbers = {
                    k: int(cells.get(k) or "0") if k.startswith("dissolve") else int(cells[k])
                    for k in ("first", "last", "dissolve_in", "dissolve_out")
                }
            except ValueError as error:
                raise _bad(reel, f"{name}, {place}: not a frame number: {error}") from error
            entries.append(
                _Entry(
                    place=place,
                    first=numbers["first"],
                    last=numbers["last"],
                    name=cells.get("shot", ""),
                    kind=cells.get("kind") or SegmentKind.SHOT.value,
                    dissolve_in=numbers["dissolve_in"],
                    dissolve_out=numbers["dissolve_out"],
                )
            )
    except csv.Error as error:
        raise _bad(reel, f"{name}, line {rows.line_num}: {error}") from error
    return entries


_EVENT = re.compile(
    r"(\d+)\s+(\S+)\s+(\S+)\s+(C|D|W\d*|K\S*)\s+(?:(\d+)\s+)?"
    r"(\d\d:\d\d:\d\d[:;]\d\d)\s+(\d\d:\d\d:\d\d[:;]\d\d)\s+"
    r"(\d\d:\d\d:\d\d[:;]\d\d)\s+(\d\d:\d\d:\d\d[:;]\d\d)\s*"
)


def _read_edl(text: str, name: str, reel: Reel) -> list[_Entry]:
    # Read here and not by the OTIO adapter, which refuses every rate that SMPTE timecode lacks.
    fps = round(reel.rate)
    events: list[tuple[str, int, int, int]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        place = f"line {number}"
        if not line[:1].isdigit():
            continue
        found = _EVENT.fullmatch(line.strip())
        if found is None:
            raise _bad(reel, f"{name}, {place}: not a CMX 3600 event")
        if found[3].upper().startswith(("A", "NONE")) and "V" not in found[3].upper():
            continue
        if found[4] not in ("C", "D"):
            raise _bad(reel, f"{name}, {place}: only cuts and dissolves are taken, not {found[4]}")
        start = _timecode_frames(found[6], fps, f"{name}, {place}", reel)
        stop = _timecode_frames(found[7], fps, f"{name}, {place}", reel)
        if stop > start:
            # Zero-length events only carry the outgoing side of a dissolve.
            events.append((place, start, stop, int(found[5] or 0) if found[4] == "D" else 0))
    if not events:
        return []
    if reel.timecode is not None:
        origin = _timecode_frames(reel.timecode, fps, "reel timecode", reel)
    else:
        hour = 3600 * fps
        origin = events[0][1] // hour * hour
    shift = reel.range.start - origin
    return [
        _Entry(place=place, first=a + shift, last=b - 1 + shift, dissolve_in=dissolve)
        for place, a, b, dissolve in events
    ]


def _timecode_frames(text: str, fps: int, where: str, reel: Reel) -> int:
    hours, minutes, seconds, frames = (int(p) for p in re.split("[:;]", text))
    if frames >= fps:
        raise _bad(
            reel,
            f"{where}: {text} has a frame {frames}, but the reel runs at {rate_text(reel.rate)}",
        )
    count = ((hours * 60 + minutes) * 60 + seconds) * fps + frames
    if ";" in text and fps % 30 == 0:
        total = hours * 60 + minutes
        count -= fps // 15 * (total - total // 10)
    return count


def _read_otio(text: str, name: str, reel: Reel) -> list[_Entry]:
    try:
        timeline = otio.adapters.read_from_string(text, "otio_json")
    except (otio.exceptions.OTIOError, ValueError) as error:
        raise _bad(reel, f"{name} is not OTIO: {error}") from error
    # ``timeline`` stays referenced while its parts are read: freed parents crash the library.
    if not isinstance(timeline, otio.schema.Timeline) or not timeline.video_tracks():
        raise _bad(reel, f"{name} holds no timeline with a picture track")
    entries: list[_Entry] = []
    pending_in = 0
    for k, item in enumerate(timeline.video_tracks()[0]):
        place = f"clip {getattr(item, 'name', '') or k + 1}"
        if isinstance(item, otio.schema.Transition):
            before = _frames_of(item.in_offset, reel, name, place)
            pending_in = _frames_of(item.out_offset, reel, name, place)
            if entries and before:
                last = entries.pop()
                entries.append(_with_dissolve_out(last, before))
            continue
        if not isinstance(item, otio.schema.Clip):
            raise _bad(reel, f"{name}, {place}: only clips and transitions are taken")
        entries.append(_otio_entry(item, pending_in, reel, name, place))
        pending_in = 0
    del timeline
    return entries


def _with_dissolve_out(entry: _Entry, frames: int) -> _Entry:
    return _Entry(
        place=entry.place,
        first=entry.first,
        last=entry.last,
        name=entry.name,
        kind=entry.kind,
        dissolve_in=entry.dissolve_in,
        dissolve_out=frames,
        fade_in=entry.fade_in,
        fade_out=entry.fade_out,
        confidence=entry.confidence,
    )


def _otio_entry(
    clip: otio.schema.Clip, dissolve_in: int, reel: Reel, name: str, place: str
) -> _Entry:
    used = clip.trimmed_range()
    start = _frames_of(used.start_time, reel, name, place)
    length = _frames_of(used.duration, reel, name, place)
    media = clip.media_reference
    available = getattr(media, "available_range", None)
    if available is not None:
        start += reel.range.start - _frames_of(available.start_time, reel, name, place)
        if isinstance(media, otio.schema.ImageSequenceReference):
            start += media.start_frame - reel.range.start
    metadata = clip.metadata.get(_KEY, {})
    extra: Mapping[str, object] = dict(metadata) if isinstance(metadata, Mapping) else {}
    return _Entry(
        place=place,
        first=start,
        last=start + length - 1,
        name=clip.name or "",
        dissolve_in=dissolve_in,
        kind=str(extra.get("kind", SegmentKind.SHOT.value)),
        fade_in=int(str(extra.get("fade_in", 0))),
        fade_out=int(str(extra.get("fade_out", 0))),
        confidence=float(str(extra.get("confidence", 1.0))),
    )


def _frames_of(time: otio.opentime.RationalTime, reel: Reel, name: str, place: str) -> int:
    if abs(time.rate - float(reel.rate)) > _RATE_TOLERANCE:
        raise _bad(
            reel,
            f"{name}, {place}: runs at {Fraction(time.rate).limit_denominator(1001)} frames per "
            f"second, the reel at {rate_text(reel.rate)}",
        )
    return int(time.to_frames())


def write_otio(path: Path, reel: Reel, shots: list[Shot]) -> None:
    """Write the shots as an OTIO timeline over the reel's own frames, atomically.

    Times are frame counts at the reel's rate; kind, fades and confidence travel as metadata.
    raises: StorageFull, UsageError, WorkerError.
    """
    rate = float(reel.rate)

    def span(first: int, count: int) -> otio.opentime.TimeRange:
        return otio.opentime.TimeRange(
            otio.opentime.RationalTime(first, rate), otio.opentime.RationalTime(count, rate)
        )

    timeline = otio.schema.Timeline(name=reel.id)
    track = otio.schema.Track(name=reel.id, kind=otio.schema.TrackKind.Video)
    timeline.tracks.append(track)
    timeline.metadata[_KEY] = {"reel": reel.id, "rate": rate_text(reel.rate)}
    for k, shot in enumerate(shots):
        clip = otio.schema.Clip(
            name=shot.id,
            media_reference=_media(reel, span(reel.range.start, len(reel.frames)), rate),
            source_range=span(shot.frames.start, len(shot.frames)),
        )
        clip.metadata[_KEY] = {
            "kind": shot.kind.value,
            "fade_in": shot.fade_in,
            "fade_out": shot.fade_out,
            "confidence": shot.confidence,
        }
        before = shots[k - 1].dissolve_out if k else 0
        if k and (before or shot.dissolve_in):
            track.append(
                otio.schema.Transition(
                    transition_type=otio.schema.TransitionTypes.SMPTE_Dissolve,
                    in_offset=otio.opentime.RationalTime(before, rate),
                    out_offset=otio.opentime.RationalTime(shot.dissolve_in, rate),
                )
            )
        track.append(clip)
    text = otio.adapters.write_to_string(timeline, "otio_json")
    atomic_write_bytes(path, text.encode("utf-8"))


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
