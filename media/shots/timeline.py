"""Shot lists: read from OTIO, EDL and CSV, and written as each of them.

Frames and the reel's exact rate are the truth. SMPTE timecode does not exist at 16 or 18 frames
per second: there, lists are OTIO or CSV. What is written reads back the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from media.errors import InputError
from media.reel import Reel, Shot
from media.shots.lists import checked, safe_id, shot_id
from media.shots.lists_csv import csv_text, read_csv
from media.shots.lists_edl import edl_text, read_edl
from media.shots.lists_otio import otio_text, read_otio
from media.shots.spans import Span
from media.write import atomic_write_bytes

__all__ = [
    "read_shot_list",
    "safe_id",
    "shot_id",
    "write_csv",
    "write_edl",
    "write_otio",
]


def read_shot_list(path: Path, reel: Reel) -> list[Shot]:
    """The shots of a reel from .otio, .edl or .csv, in order, covering its frames exactly.

    CSV columns: shot, first, last (scan numbers, both inclusive) and optionally dissolve_in,
    dissolve_out, kind, fade_in, fade_out, confidence, rate. EDL source times count from the
    reel's timecode, or, where it has none, from the start of the reel (a start on a full hour is
    taken as that hour). Numbers that the reel lacks belong to no shot; none runs over them.
    raises: InputError naming the line or clip: unreadable, overlap, frames left out, out of
    range, rate clash. Nothing is clamped.
    """
    readers = {".otio": read_otio, ".edl": read_edl, ".csv": read_csv}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InputError(
            f"{path.name} is no shot list", hint="use .otio, .edl or .csv", reel=reel.id
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name} cannot be read: {error}", reel=reel.id) from error
    return checked(reader(text, path.name, reel), path.name, reel)


def write_otio(path: Path, reel: Reel, shots: Sequence[Shot], spans: Sequence[Span] = ()) -> None:
    """Write the shots as an OTIO timeline over the reel's own frames, atomically.

    Times are frame counts at the reel's rate; the exact rate, kinds, fades and confidences travel
    as metadata, spans as markers. raises: StorageFull, UsageError, WorkerError.
    """
    atomic_write_bytes(path, otio_text(reel, shots, spans).encode("utf-8"))


def write_edl(path: Path, reel: Reel, shots: Sequence[Shot]) -> None:
    """Write the shots as CMX 3600, atomically: drop frame at 30000/1001 and 60000/1001 unless
    the reel's own timecode does not drop.

    raises: InputError at rates without SMPTE timecode and for shots that do not cover the reel;
    StorageFull, UsageError, WorkerError.
    """
    atomic_write_bytes(path, edl_text(reel, shots).encode("utf-8"))


def write_csv(path: Path, reel: Reel, shots: Sequence[Shot]) -> None:
    """Write the shots as CSV, a line each, atomically. raises: StorageFull, UsageError,
    WorkerError.
    """
    atomic_write_bytes(path, csv_text(reel, shots).encode("utf-8"))
