"""How much an output folder holds, and whether that is all it may."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

from media.errors import StorageFull
from wetgate.config import Night
from wetgate.files import Folder
from wetgate.trees import bytes_in

_EVERY_S = 20.0
_SHARE = 0.01
"""Of the time may go into counting: a large delivery is counted less often."""


def used_bytes(folder: Folder) -> int:
    """What all files of an output folder come to; the demo's own scans left out."""
    total = 0
    for path in folder.root.iterdir():
        if path.name != "demo":
            # Files come and go while workers write: what is gone counts nothing.
            with suppress(FileNotFoundError):
                total += bytes_in(path) if path.is_dir() else path.lstat().st_size
    return total


class Quota:
    """Looks at the size of a folder now and then. For all hands of a worker."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next_s = 0.0

    def check(self, folder: Folder, night: Night) -> None:
        """raises: StorageFull when the folder has reached ``night.disk_gb``."""
        now = time.monotonic()
        if not night.disk_gb or now < self._next_s or not self._lock.acquire(blocking=False):
            return
        try:
            used = used_bytes(folder)
            took = time.monotonic() - now
            self._next_s = now + max(_EVERY_S, took / _SHARE)
        finally:
            self._lock.release()
        if used >= night.disk_gb * 1e9:
            self._next_s = 0.0
            raise StorageFull(
                f"{folder.root} holds {used / 1e9:.2f} GB and may hold {night.disk_gb:g} GB",
                hint="raise night.disk_gb or clear up with 'wetgate gc', then run the same command",
            )
