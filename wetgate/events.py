"""What happened, as it happens: one JSON object a line, append only, survives any crash."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

Listener = Callable[[str, Mapping[str, object]], None]


class Events:
    """Appends to ``events.jsonl`` and tells listeners (progress bars, schedulers)."""

    def __init__(self, path: Path | None) -> None:
        """path: None keeps nothing (dry runs)."""
        self._path = path
        self._lock = threading.Lock()
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Call ``listener(event, fields)`` on every event, in the thread that emits it."""
        self._listeners.append(listener)

    def emit(self, event: str, fields: Mapping[str, object] | None = None) -> None:
        """Record an event. ``fields`` are JSON values."""
        fields = fields or {}
        line = json.dumps({"time": round(time.time(), 3), "event": event, **fields}, default=str)
        with self._lock:
            if self._path is not None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with self._path.open("a", encoding="utf-8") as stream:
                    stream.write(line + "\n")
            for listener in self._listeners:
                listener(event, fields)


def read_events(path: Path) -> list[dict[str, object]]:
    """All whole lines of an event file; a line torn by a crash is left out."""
    found: list[dict[str, object]] = []
    if not path.is_file():
        return found
    for line in path.read_text("utf-8", errors="replace").splitlines():
        try:
            value = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(value, dict):
            found.append(value)
    return found
