"""Who works on what, when several workers share one title: leases as files.

A lease is a folder with one file for each term, ``leases/<name>/<term>.json``. A term is taken by
creating its file, which only one can do, on any file system that creates exclusively; the holder
then rewrites it every few seconds with a higher beat. Nobody compares clocks: a lease has expired
for a watcher when *the watcher's own* clock has run out while the beat stood still. Taking over
makes the next term; a holder that was only asleep finds it when it looks, and stops. What both
may have written meanwhile is the same bits under the same key (``wetgate/store.py``).
"""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from media.errors import WetgateError, WorkerError
from media.write import atomic_write_bytes, storage_error

LEAD = "title"
"""The lease of whoever leads the work on a title."""
BEAT_S = 5.0
EXPIRY_S = 60.0
"""A network file system may show a file as it was half a minute ago."""
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,160}")
_LIVE: set[str] = set()
"""Owners in this process that have not closed."""
_HELD, _LEFT, _DONE = "held", "left", "done"


class LeaseLost(WorkerError):
    """Another worker has taken over: this one was away for too long."""


@dataclass(frozen=True, slots=True)
class Term:
    """The newest term of a lease as it stands on disk."""

    number: int
    owner: str
    beat: int
    state: str
    """held, left (given back) or done (given back, and finished)."""
    host: str = ""
    pid: int = 0
    note: str = ""


@dataclass(eq=False)
class Leases:
    """The leases of one folder, seen and held by one worker.

    root: the folder. owner: unique for each process.
    """

    root: Path
    owner: str = field(default_factory=lambda: f"{socket.gethostname()}-{secrets.token_hex(6)}")
    beat_s: float = BEAT_S
    expiry_s: float = EXPIRY_S
    _held: dict[str, Term] = field(default_factory=dict)
    _lost: set[str] = field(default_factory=set)
    _seen: dict[str, tuple[tuple[int, int], float]] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def newest(self, name: str) -> Term | None:
        """What the disk says; None where nobody ever held it."""
        numbers = self._numbers(name)
        if not numbers:
            return None
        number = numbers[-1]
        try:
            said = json.loads(self._file(name, number).read_text("utf-8"))
            return Term(number=number, **said)
        except (OSError, ValueError, TypeError):
            # Just being created, or on its way out: held by somebody until it stays like that.
            return Term(number, "", -1, _HELD)

    def names(self, pattern: str) -> list[str]:
        """Leases that were ever held, sorted."""
        return sorted(p.name for p in self.root.glob(pattern) if p.is_dir())

    def alive(self, name: str) -> bool:
        """Does somebody hold it, as far as this worker can tell? Watching takes ``expiry_s``."""
        term = self.newest(name)
        return term is not None and term.state == _HELD and not self._expired(name, term)

    def seems_held(self, name: str, now: float) -> bool:
        """At one look, for people: on this machine it is certain; of others the time of the file
        is compared with this machine's clock (``now``, seconds since 1970)."""
        term = self.newest(name)
        if term is None or term.state != _HELD:
            return False
        if term.host == _here():
            return _runs(term.pid)
        try:
            return now - self._file(name, term.number).stat().st_mtime < self.expiry_s
        except OSError:
            return False

    def claim(self, name: str) -> bool:
        """Take a lease that is free, given back or expired. Never waits."""
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name for a lease")
        with self._lock:
            _LIVE.add(self.owner)
            if name in self._held:
                return False
            term = self.newest(name)
            if term is not None and term.state == _HELD and not self._expired(name, term):
                return False
            number = 1 if term is None else term.number + 1
            taken = Term(number, self.owner, 0, _HELD, _here(), os.getpid())
            file = self._file(name, number)
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
                with file.open("x", encoding="utf-8") as stream:
                    stream.write(_text(taken))
                    stream.flush()
                    os.fsync(stream.fileno())
            except FileExistsError:
                return False
            except OSError as error:
                # A full disk: an empty file would look like a holder to everybody.
                with suppress(OSError):
                    file.unlink(missing_ok=True)
                raise storage_error(error, file) from error
            if self._numbers(name)[-1] > number:
                # Terms came and went while this worker was reading.
                file.unlink(missing_ok=True)
                return False
            self._held[name] = taken
            self._lost.discard(name)
            self._beating()
        for old in self._numbers(name)[:-1]:
            self._file(name, old).unlink(missing_ok=True)
        return True

    def leave(self, name: str, *, done: bool = False, note: str = "") -> None:
        """Give a lease back. note: what was finished, for whoever looks later."""
        with self._lock:
            term = self._held.pop(name, None)
            if term is None or name in self._lost:
                return
            self._write(name, term, _DONE if done else _LEFT, note)

    def check(self, name: str) -> None:
        """raises: LeaseLost when another worker has taken the lease over."""
        with self._lock:
            term = self._held.get(name)
            if term is None:
                return
            numbers = self._numbers(name)
            if numbers and numbers[-1] > term.number:
                self._lost.add(name)
            if name in self._lost:
                raise LeaseLost(
                    f"another worker has taken over {name}",
                    hint="nothing is lost: this worker goes on with other work",
                )

    def check_lost(self) -> None:
        """Ask memory alone, for every frame: was one of the leases held here found taken over?

        raises: LeaseLost.
        """
        for name in self._lost & self._held.keys():
            self.check(name)

    @contextmanager
    def held(self, name: str, note: str = "") -> Iterator[None]:
        """Hold a lease that was just claimed, and give it back at the end.

        raises: LeaseLost at the end when it was taken over meanwhile.
        """
        done = False
        try:
            yield
            self.check(name)
            done = True
        finally:
            self.leave(name, done=done, note=note)

    def close(self) -> None:
        """Give everything back and stop beating."""
        self._stop.set()
        for name in list(self._held):
            with suppress(OSError, WetgateError):
                self.leave(name)
        _LIVE.discard(self.owner)
        if self._thread is not None:
            self._thread.join()

    def _expired(self, name: str, term: Term) -> bool:
        if term.host == _here() and not self._lives(term):
            return True
        now, key = time.monotonic(), (term.number, term.beat)
        before = self._seen.get(name)
        if before is None or before[0] != key:
            self._seen[name] = (key, now)
            return False
        return now - before[1] >= self.expiry_s

    def _lives(self, term: Term) -> bool:
        """Is the holder, on this machine, still there? It may have failed to say that it left."""
        if term.pid != os.getpid():
            return _runs(term.pid)
        return term.owner in _LIVE and term.owner != self.owner

    def _beating(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._beat, name="leases", daemon=True)
            self._thread.start()

    def _beat(self) -> None:
        while not self._stop.wait(self.beat_s):
            with self._lock:
                for name, term in list(self._held.items()):
                    # A disk that is away for a while is met by whoever writes pictures to it.
                    with suppress(OSError, WetgateError):
                        self.check(name)
                        self._held[name] = self._write(name, term, _HELD, "")

    def _write(self, name: str, term: Term, state: str, note: str) -> Term:
        told = Term(term.number, term.owner, term.beat + 1, state, term.host, term.pid, note)
        atomic_write_bytes(self._file(name, term.number), _text(told).encode())
        return told

    def _numbers(self, name: str) -> list[int]:
        try:
            names = [p.name for p in (self.root / name).iterdir()]
        except FileNotFoundError:
            return []
        return sorted(int(n[:-5]) for n in names if re.fullmatch(r"\d{6}\.json", n))

    def _file(self, name: str, number: int) -> Path:
        return self.root / name / f"{number:06d}.json"


def _text(term: Term) -> str:
    keys = ("owner", "beat", "state", "host", "pid", "note")
    return json.dumps({k: getattr(term, k) for k in keys}) + "\n"


def _here() -> str:
    """This machine since it was started, and the space its process numbers belong to.

    Two containers may share a name; where it cannot be told, no process is taken for dead.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        space = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return secrets.token_hex(8)
    return f"{socket.gethostname()} {boot} {space}"


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    with suppress(OSError, IndexError):
        # Killed, and not yet buried by its parent.
        return Path(f"/proc/{pid}/stat").read_text("ascii").rsplit(")", 1)[1].split()[0] != "Z"
    return True
