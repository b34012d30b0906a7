"""What happened, as it happens: one JSON object a line, append only, survives any crash."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from media.write import storage_error

Listener = Callable[[str, Mapping[str, object]], None]


class Events:
    """Appends to ``events.jsonl`` and tells listeners (progress bars, schedulers)."""

    def __init__(self, path: Path | None) -> None:
        """path: None keeps nothing (dry runs)."""
        self._path = path
        self._lock = threading.Lock()
        self._listeners: list[Listener] = []
        self._whole = False
        self._disk: Callable[[], object] | None = None

    def listen(self, listener: Listener) -> None:
        """Call ``listener(event, fields)`` on every event, in the thread that emits it."""
        self._listeners.append(listener)

    def wait_for(self, disk: Callable[[], object]) -> None:
        """Call this before each line is written: it returns when the disk is there."""
        self._disk = disk

    def emit(self, event: str, fields: Mapping[str, object] | None = None) -> None:
        """Record an event. ``fields`` are JSON values. raises: StorageFull, StorageGone,
        UsageError."""
        fields = fields or {}
        line = json.dumps({"time": round(time.time(), 3), "event": event, **fields}, default=str)
        with self._lock:
            if self._path is not None:
                if self._disk is not None:
                    self._disk()
                self._append(self._path, line)
            for listener in self._listeners:
                listener(event, fields)

    def _append(self, path: Path, line: str) -> None:
        try:
            if not self._whole:
                path.parent.mkdir(parents=True, exist_ok=True)
                # A line torn by a crash or a full disk must not swallow the next one.
                line = line if _ends_whole(path) else f"\n{line}"
            self._whole = False
            with path.open("a", encoding="utf-8") as stream:
                stream.write(line + "\n")
        except OSError as error:
            raise storage_error(error, path) from error
        self._whole = True


def _ends_whole(path: Path) -> bool:
    if not path.is_file() or path.stat().st_size == 0:
        return True
    with path.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) == b"\n"


def read_events(path: Path, having: tuple[str, ...] = ("",)) -> list[dict[str, object]]:
    """All whole lines of an event file; a line torn by a crash is left out.

    having: only lines with any of these texts in them.
    """
    found: list[dict[str, object]] = []
    if not path.is_file():
        return found
    for line in path.read_text("utf-8", errors="replace").splitlines():
        if not any(text in line for text in having):
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(value, dict):
            found.append(value)
    return found
