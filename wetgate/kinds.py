"""Kinds of workers on one title: who is there, and for how long a kind has been missed.

Each worker holds a lease that names its numerics profile for as long as it is there. A kind is
gone for a watcher when none of its workers has been alive for the stated patience, by the
watcher's own clock; whether a single one is alive is for its lease to say (``leases.py``).
"""

from __future__ import annotations

import shutil
import threading
import time
from dataclasses import dataclass, field

from wetgate.files import digest
from wetgate.leases import Leases
from wetgate.numerics import Numerics

_LETTERS = 16


def be_there(leases: Leases, numerics: Numerics) -> None:
    """Let others see that a worker of this kind is at work, until the leases are closed."""
    leases.claim(f"{_prefix(numerics)}{leases.owner}")


def clear_away(leases: Leases) -> None:
    """Forget workers that have left."""
    for name in leases.names("kind-*"):
        term = leases.newest(name)
        if term is None or term.state != "held":
            shutil.rmtree(leases.root / name, ignore_errors=True)


@dataclass
class KindWatch:
    """What one worker has seen of the others."""

    leases: Leases
    patience_s: float
    _missed_since: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def gone(self, numerics: Numerics) -> bool:
        """Has no worker of this kind been alive for ``patience_s``?

        Counted from the first look that found none, so looking early saves waiting later.
        """
        prefix = _prefix(numerics)
        # All of them are looked at each time: each is watched for as long as the longest.
        alive = [self.leases.alive(n) for n in self.leases.names(f"{prefix}*")]
        with self._lock:
            if any(alive):
                self._missed_since.pop(prefix, None)
                return False
            now = time.monotonic()
            return now - self._missed_since.setdefault(prefix, now) >= self.patience_s


def _prefix(numerics: Numerics) -> str:
    return f"kind-{digest(dict(numerics))[:_LETTERS]}-"
