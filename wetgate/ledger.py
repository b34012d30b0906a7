"""Every decision that ever stood, in order, each line chained to the one before by its digest."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path

from media.errors import StoreError
from wetgate.files import digest

_START = "0" * 64


def append(path: Path, entry: Mapping[str, object]) -> None:
    """Add one decision. The time is noted but not part of what is compared on re-runs."""
    previous = _START
    _cut_torn_line(path)
    lines = _lines(path)
    if lines:
        try:
            previous = str(json.loads(lines[-1])["sha256"])
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise StoreError(
                f"ledger line {len(lines)} is damaged",
                hint=f"put {path} back as it was, or move it away to begin a new one",
            ) from error
    body = {"time": round(time.time(), 3), "previous": previous, **entry}
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({**body, "sha256": digest(body)}) + "\n")


def known(path: Path) -> dict[str, list[str]]:
    """Digests of the decisions that ever stood, by shot, oldest first; damaged lines are passed
    over, as ``check`` names them."""
    found: dict[str, list[str]] = {}
    for line in _lines(path):
        try:
            entry = json.loads(line)
            found.setdefault(str(entry["shot"]), []).append(str(entry["decision_sha256"]))
        except (json.JSONDecodeError, KeyError, TypeError):
            continue
    return found


def _cut_torn_line(path: Path) -> None:
    """A last line without its end was torn by a crash; the next line must not grow onto it."""
    data = path.read_bytes() if path.is_file() else b""
    if data and not data.endswith(b"\n"):
        with path.open("r+b") as stream:
            stream.truncate(data.rfind(b"\n") + 1)


def check(path: Path) -> int:
    """Number of entries. raises: StoreError naming the first line that breaks the chain."""
    previous = _START
    lines = _lines(path)
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            stated = entry.pop("sha256")
        except (json.JSONDecodeError, KeyError, AttributeError) as error:
            raise StoreError(f"ledger line {number} is damaged") from error
        if entry.get("previous") != previous or digest(entry) != stated:
            raise StoreError(
                f"ledger line {number} does not follow from the line before it",
                hint="somebody edited the ledger; overrides.toml is the place for changes",
            )
        previous = stated
    return len(lines)


def _lines(path: Path) -> list[str]:
    """Whole lines; a last line without its end was torn by a crash and does not count."""
    if not path.is_file():
        return []
    text = path.read_bytes().decode("utf-8", errors="replace")
    return text[: text.rfind("\n") + 1].split("\n")[:-1]
