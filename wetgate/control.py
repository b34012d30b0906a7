"""Pause, go on, call off: a word from a person to whoever works on a title.

The word is a small file in the output folder, ``control.json``. Leader and helpers look at it
before each piece of work (a shot to measure, a chunk to render, a shot to verify, the delivery),
so it reaches every machine that sees the folder, with or without a server. It stands until it is
withdrawn: a title that was paused or called off stays so when machines are started again.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from media.errors import CalledOff
from wetgate.config import Night
from wetgate.files import Folder, read_json, write_json
from wetgate.night import is_open, next_opening, parse_windows

_SCHEMA = 1


class Word(StrEnum):
    """What a person can say to work under way."""

    PAUSE = "pause"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Said:
    """The word that stands."""

    word: Word
    at: str
    """Local time, ISO 8601, to the second."""
    by: str
    """The machine it was said on."""


@dataclass(frozen=True, slots=True)
class HeldBack:
    """Why no work may be begun now."""

    why: str
    """paused, or outside the window."""
    until: str
    """Local time, ISO 8601; empty where nobody can know."""

    def __str__(self) -> str:
        return f"{self.why}, until {self.until.replace('T', ' ')}" if self.until else self.why


def say(folder: Folder, word: Word) -> None:
    """Leave a word for all workers of a title. raises: StorageFull, UsageError."""
    now = datetime.now().replace(microsecond=0)
    write_json(
        _file(folder),
        {"schema": _SCHEMA, "word": word.value, "at": now.isoformat(), "by": socket.gethostname()},
    )


def withdraw(folder: Folder) -> Said | None:
    """Take back the word that stands; returns it."""
    stood = said(folder)
    _file(folder).unlink(missing_ok=True)
    return stood


def said(folder: Folder) -> Said | None:
    """The word that stands. raises: StoreError for a damaged file, which a person wrote."""
    found = read_json(_file(folder))
    if found is None:
        return None
    return Said(Word(str(found["word"])), str(found.get("at", "")), str(found.get("by", "")))


def held_back(folder: Folder, night: Night, at: datetime, *, window: bool) -> HeldBack | None:
    """Whether work must wait. window: False for work that the hours are not kept from.

    raises: CalledOff.
    """
    stands = said(folder)
    if stands is not None and stands.word is Word.CANCEL:
        raise CalledOff(
            f"the title was cancelled at {stands.at.replace('T', ' ')} on {stands.by}",
            hint=f"to go on, say 'wetgate resume {folder.root}', then run the same command",
        )
    if stands is not None:
        return HeldBack(f"paused: 'wetgate resume {folder.root}' goes on", "")
    windows = parse_windows(night.window) if window else ()
    if is_open(windows, at):
        return None
    opens = next_opening(windows, at)
    return HeldBack(f"outside the window {night.window}", opens.isoformat(timespec="minutes"))


def _file(folder: Folder) -> Path:
    return folder.root / "control.json"
