"""What is done about frames that a scan lacks, because the project said so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from media.errors import FrameUnreadable
from media.frames import FrameRange
from media.listing import missing_runs, named_runs
from media.reel import MadeBy, SourceFrame


def filled(
    reel: str,
    policy: str,
    frames: Sequence[SourceFrame],
    files: Sequence[tuple[int, Path]],
    bad: Mapping[int, str],
    longest_run: int,
) -> tuple[tuple[SourceFrame, ...], tuple[str, ...]]:
    """All frames of the reel, those that policy makes among them, and notes that say so.

    policy: keep, hold or rebuild (empty where nothing is missing). frames: those read, in order.
    bad: frame number to why it could not be read. longest_run: frames in a row that may be
    rebuilt; a longer run has too much between its ends to be made from them, and is held.
    raises: FrameUnreadable when nothing could be read.
    """
    if not frames:
        number, why = next(iter(bad.items()))
        raise FrameUnreadable(why, hint="no frame of the reel can be read", reel=reel, frame=number)
    notes = [f"frame {n} cannot be read: {why}" for n, why in sorted(bad.items())]
    first, last = files[0][0], files[-1][0]
    numbers = sorted({first - 1, last + 1, *(f.number for f in frames)})
    runs = missing_runs(numbers)
    if not runs:
        return tuple(frames), tuple(notes)
    if policy == "keep":
        notes.append(f"missing and left out, as the project says: {named_runs(runs)}")
        return tuple(frames), tuple(notes)
    made: list[SourceFrame] = []
    for run in runs:
        how = _how(policy, run, first, last, longest_run)
        # A reel that opens on a gap has no frame before it: the first one is shown early.
        shown = next((f for f in reversed(frames) if f.number < run.start), frames[0])
        made += [replace(shown, number=n, made_by=how) for n in run]
        notes.append(_note(policy, run, how, shown.number, longest_run))
    merged = sorted([*frames, *made], key=lambda f: f.number)
    return tuple(replace(f, index=k) for k, f in enumerate(merged)), tuple(notes)


def _how(policy: str, run: FrameRange, first: int, last: int, longest_run: int) -> MadeBy:
    inside = run.start > first and run.stop <= last
    if policy == "rebuild" and inside and len(run) <= longest_run:
        return MadeBy.REBUILD
    return MadeBy.HOLD


def _note(policy: str, run: FrameRange, how: MadeBy, shown: int, longest_run: int) -> str:
    what = f"frame {run.start}" if len(run) == 1 else f"frames {run}"
    if how is MadeBy.REBUILD:
        return f"{what} missing: to be rebuilt from both sides"
    why = ""
    if policy == "rebuild":
        why = f" (no more than {longest_run} frames between two pictures can be rebuilt)"
    return f"{what} missing: frame {shown} is shown in place{why}"
