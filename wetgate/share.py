"""A disk that is away for a while: work waits for it, and writes nothing where it was.

What lies below a mount point that lost its share is another, empty place. So whether the output
folder is there is asked of a file in it (``project.toml``), and of scans by their first and last
frames; nothing is written before that.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from media.errors import StorageGone, WetgateError

T = TypeVar("T")
WAIT_S = 3600.0
_LOOK_S = 1.0


class Share:
    """The places a job needs: its output folder, and scans where they are named."""

    def __init__(
        self,
        marker: Path,
        stopping: threading.Event,
        notice: Callable[[str], None] | None = None,
    ) -> None:
        """marker: a file that is there whenever the output folder is. notice: told in words what
        is waited for, since nothing can be written there."""
        self._marker = marker
        self._stopping = stopping
        self._notice = notice

    def wait(self, scans: Sequence[Path] = ()) -> bool:
        """Return when everything is there; True if it had to be waited for.

        scans: files of a reel, of which at least one must be there.
        raises: StorageGone after an hour, or when the work is asked to stop.
        """
        began = time.monotonic()
        waited = False
        while not self.there(scans):
            if not waited and self._notice is not None:
                lost = self._marker if not _there([self._marker]) else scans[0]
                self._notice(f"waiting for {lost.parent}, which is gone")
            waited = True
            if self._stopping.is_set() or time.monotonic() - began > WAIT_S:
                lost = scans[0].parent if _there([self._marker]) else self._marker.parent
                raise StorageGone(
                    f"{lost} is gone",
                    hint="bring the disk back, then run the same command: nothing is lost",
                )
            time.sleep(_LOOK_S)
        return waited

    def there(self, scans: Sequence[Path] = ()) -> bool:
        """Are the places there now?"""
        return _there([self._marker]) and (not scans or _there(scans))

    def lasting(self, work: Callable[[], T], scans: Sequence[Path] = ()) -> T:
        """Do a piece of work; when it fails because a disk went away, wait, and do it again."""
        while True:
            self.wait(scans)
            try:
                return work()
            except (WetgateError, OSError):
                if not self.wait(scans):
                    raise


def _there(files: Sequence[Path]) -> bool:
    for file in files:
        try:
            if file.is_file():
                return True
        except OSError:
            # A stale handle, or a network that does not answer.
            continue
    return False
