"""Which kind of worker makes a shot: one small file for each, ``reels/<reel>/pins/<shot>.json``.

Workers of unlike kinds may share a title, since the pin keeps every shot to one of them. It is
written under the shot's render lease by the worker that begins the shot, and says the numerics
profile that all keys of its chunks are worked out with, on whatever worker they are looked for.
"""

from __future__ import annotations

from pathlib import Path

from media.errors import StoreError
from media.reel import Shot
from wetgate.files import Folder, digest, read_json, write_json
from wetgate.numerics import Numerics, kind_of

_SCHEMA = 1


def read_pin(folder: Folder, shot: Shot) -> dict[str, str] | None:
    """The profile a shot is made with; None for one that nobody has begun.

    raises: StoreError for a pin that is damaged.
    """
    path = folder.pin(shot.reel, shot.id)
    found = read_json(path)
    if found is None:
        return None
    numerics = found.get("numerics")
    if not isinstance(numerics, dict) or found.get("digest") != digest(numerics):
        raise StoreError(
            f"{path.name} does not say whole which kind of worker makes the shot",
            reel=shot.reel,
            shot=shot.id,
            hint=f"remove {path}: the shot is then made anew",
        )
    return {str(k): str(v) for k, v in numerics.items()}


def known_pin(folder: Folder, shot: Shot) -> dict[str, str] | None:
    """The same; None for a damaged one too: its shot belongs to nobody and is begun anew.

    Nothing can be mixed by that: the keys of its chunks say who made them.
    """
    try:
        return read_pin(folder, shot)
    except StoreError:
        return None


def write_pin(folder: Folder, shot: Shot, numerics: Numerics) -> None:
    """Only by whoever holds the shot's render lease. raises: as ``write_json``."""
    write_json(
        folder.pin(shot.reel, shot.id),
        {
            "schema": _SCHEMA,
            "shot": shot.id,
            "kind": kind_of(numerics),
            "digest": digest(numerics),
            "numerics": dict(numerics),
        },
    )


def withdraw_pin(folder: Folder, shot: Shot) -> None:
    """Let any kind of worker begin the shot anew. Only by whoever holds its render lease."""
    folder.pin(shot.reel, shot.id).unlink(missing_ok=True)


def pins_in(folder: Folder) -> dict[str, str]:
    """Kind of worker, in words, by shot, for people; a damaged pin is left out."""
    found = {}
    for path in sorted((folder.root / "reels").glob("*/pins/*.json")):
        kind = _kind(path)
        if kind:
            found[path.stem] = kind
    return found


def _kind(path: Path) -> str:
    try:
        return str((read_json(path) or {}).get("kind", ""))
    except StoreError:
        return ""
