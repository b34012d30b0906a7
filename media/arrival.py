"""Is a scan still being copied? Files too young, or coming and going while they are read."""

from __future__ import annotations

import time
from pathlib import Path

from media.errors import SourceChanged
from media.listing import list_sequence
from media.source import SourceSpec


def refuse_fresh(spec: SourceSpec, files: list[tuple[int, Path]]) -> None:
    """raises: SourceChanged when a file was changed too recently to be trusted as finished."""
    if spec.untouched_s <= 0:
        return
    now = time.time()
    for number, path in files:
        age_s = now - path.stat().st_mtime
        if age_s < spec.untouched_s:
            raise SourceChanged(
                f"{path.name} was changed {max(0.0, age_s):.0f} s ago: it may still be copied",
                hint=f"wait until the scan has rested for {spec.untouched_s:.0f} s",
                reel=spec.reel,
                frame=number,
            )


def refuse_arrivals(spec: SourceSpec, files: list[tuple[int, Path]]) -> None:
    """raises: SourceChanged when frames came or went while the reel was read."""
    now, _ = list_sequence(spec.path, reel=spec.reel, gaps=True)
    changed = {n for n, _ in now} ^ {n for n, _ in files}
    if changed:
        raise SourceChanged(
            f"{len(changed)} frames came or went while the reel was read: it is still being copied",
            hint="wait until the copy is complete, then run again",
            reel=spec.reel,
            frame=min(changed),
        )
