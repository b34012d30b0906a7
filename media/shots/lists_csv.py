"""Shot lists as CSV: frame numbers, so any rate will do."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from media.errors import ConfigError
from media.frames import parse_rate, rate_text
from media.reel import Reel, SegmentKind, Shot
from media.shots.lists import Entry, bad

_WHOLE = ("first", "last", "dissolve_in", "dissolve_out", "fade_in", "fade_out")
COLUMNS = ("shot", *_WHOLE[:4], "kind", *_WHOLE[4:], "confidence", "rate")


def read_csv(text: str, name: str, reel: Reel) -> list[Entry]:
    """One entry a row. raises: InputError naming the line."""
    rows = csv.DictReader(io.StringIO(text), strict=True)
    entries = []
    try:
        fields = [f.strip() for f in rows.fieldnames or ()]
        unknown = [f for f in fields if f not in COLUMNS]
        if unknown or not {"first", "last"} <= set(fields) or len(set(fields)) < len(fields):
            raise bad(reel, f"{name}, line 1: columns must be " + ", ".join(COLUMNS))
        rows.fieldnames = fields
        for row in rows:
            place = f"line {rows.line_num}"
            cells = {k: (v or "").strip() for k, v in row.items() if isinstance(k, str)}
            if len(cells) != len(row):
                raise bad(reel, f"{name}, {place}: more cells than columns")
            entries.append(_entry(cells, name, place, reel))
    except csv.Error as error:
        raise bad(reel, f"{name}, line {rows.line_num}: {error}") from error
    return entries


def _entry(cells: dict[str, str], name: str, place: str, reel: Reel) -> Entry:
    try:
        numbers = {
            k: int(cells[k] if k in ("first", "last") else cells.get(k) or "0") for k in _WHOLE
        }
        confidence = float(cells.get("confidence") or "1")
    except ValueError as error:
        raise bad(reel, f"{name}, {place}: not a frame number: {error}") from error
    rate = cells.get("rate")
    try:
        clash = bool(rate) and parse_rate(rate or "") != reel.rate
    except ConfigError as error:
        raise bad(reel, f"{name}, {place}: {error.what}") from error
    if clash:
        raise bad(
            reel,
            f"{name}, {place}: runs at {rate} frames per second, the reel at "
            f"{rate_text(reel.rate)}",
        )
    return Entry(
        place=place,
        first=numbers["first"],
        last=numbers["last"],
        name=cells.get("shot", ""),
        kind=cells.get("kind") or SegmentKind.SHOT.value,
        dissolve_in=numbers["dissolve_in"],
        dissolve_out=numbers["dissolve_out"],
        fade_in=numbers["fade_in"],
        fade_out=numbers["fade_out"],
        confidence=confidence,
    )


def csv_text(reel: Reel, shots: Sequence[Shot]) -> str:
    """All columns of all shots, a line each."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(COLUMNS)
    for s in shots:
        counts = (s.frames.start, s.frames.stop - 1, s.dissolve_in, s.dissolve_out)
        more = (s.fade_in, s.fade_out, repr(s.confidence), rate_text(reel.rate))
        rows.writerow([s.id, *counts, s.kind.value, *more])
    return out.getvalue()
