"""Where everything lies in an output folder, and how small files are written there."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from media.errors import StoreError
from media.write import atomic_write_bytes


def canonical(value: object) -> str:
    """JSON with one spelling: sorted keys, no spaces, exact floats; NaN is refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: object) -> str:
    """SHA-256 of the canonical JSON of a value."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def write_json(path: Path, value: object) -> None:
    """Readable JSON, atomically; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    atomic_write_bytes(path, (text + "\n").encode())


def read_json(path: Path) -> dict[str, object] | None:
    """The object in a JSON file, or None when there is no file.

    raises: StoreError when the file is damaged: these files are written atomically.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return None
    try:
        value = json.loads(text)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise StoreError(
            f"{path.name} is damaged: {error}", hint=f"remove {path} to have it made again"
        ) from error
    if not isinstance(value, dict):
        raise StoreError(f"{path.name} is not an object", hint=f"remove {path}")
    return value


@dataclass(frozen=True, slots=True)
class Folder:
    """The layout of an output folder (see ARCHITECTURE.md)."""

    root: Path

    @property
    def project(self) -> Path:
        return self.root / "project.toml"

    @property
    def overrides(self) -> Path:
        return self.root / "overrides.toml"

    @property
    def solved(self) -> Path:
        return self.root / "solved.json"

    @property
    def ledger(self) -> Path:
        return self.root / "ledger.jsonl"

    @property
    def events(self) -> Path:
        return self.root / "events.jsonl"

    @property
    def state(self) -> Path:
        return self.root / "state.json"

    @property
    def store(self) -> Path:
        return self.root / "store"

    @property
    def deliver(self) -> Path:
        return self.root / "deliver"

    @property
    def touch(self) -> Path:
        return self.root / "touch"

    @property
    def report(self) -> Path:
        return self.root / "report"

    @property
    def manifest(self) -> Path:
        return self.root / "manifest.json"

    @property
    def checksums(self) -> Path:
        return self.root / "manifest-sha256.txt"

    def reel(self, reel: str) -> Path:
        return self.root / "reels" / reel

    def ingest(self, reel: str) -> Path:
        return self.reel(reel) / "ingest.json"

    def shots(self, reel: str) -> Path:
        return self.reel(reel) / "shots.otio"

    def evidence(self, reel: str, shot: str) -> Path:
        return self.reel(reel) / "evidence" / f"{shot}.json"

    def early(self, reel: str, shot: str) -> Path:
        return self.reel(reel) / "evidence" / "solved" / f"{shot}.json"

    def decision(self, reel: str, shot: str) -> Path:
        return self.reel(reel) / "decisions" / f"{shot}.json"

    def curves(self, reel: str, shot: str) -> Path:
        return self.reel(reel) / "curves" / f"{shot}.csv"

    def pin(self, reel: str, shot: str) -> Path:
        return self.reel(reel) / "pins" / f"{shot}.json"

    def verdict(self, reel: str, shot: str) -> Path:
        return self.reel(reel) / "verify" / f"{shot}.json"
