"""What lies beside frames that are made: nothing is made of a destroyed one, or shows it again.

A destroyed frame may stay as it is: because policy says so, or a person, or because it is one too
many. It is no side to make another from, and no picture to show again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from media.errors import ConfigError
from media.reel import MadeBy, Reel, Shot, SourceFrame
from restore.rebuild.measure import FLASH, OTHER
from wetgate.decisions import FrameDecision, FramesOverride

NAMED = "named"
"""Kind of a frame on which nothing was found, and of which a person has said something."""


def check_wishes(
    reel: Reel,
    shot: Shot,
    decided: Mapping[int, FrameDecision],
    person: FramesOverride,
    longest_run: int,
) -> None:
    """Can what a person wants made or held be had? What they leave, they have seen: it may be a
    side; what is lost, or was found destroyed and stays for another reason, may not.

    raises: ConfigError naming the frame, and the one beside it.
    """
    where = f"overrides.toml: {shot.id}.frames"
    made = _made(reel, shot, decided.values())
    bad = {n for n, d in decided.items() if stays(d) and (d.done == "lost" or d.origin != "human")}
    for number in person.rebuild:
        parts = bool(decided[number].part_px)
        run = range(number, number + 1) if parts else _run_around(made, number)
        before, after = _next(made, run[0], -1), _next(made, run[-1], 1)
        if len(run) > longest_run or before not in shot.frames or after not in shot.frames:
            raise ConfigError(
                f"{where}.rebuild: frame {number} has no picture on both sides within reach",
                shot=shot.id,
                hint=f"up to {longest_run} frames between two of this shot can be made; "
                "use hold, lost or leave",
            )
        for side in (before, after):
            if side in bad:
                raise ConfigError(
                    f"{where}.rebuild: frame {number} would be made from frame {side}, "
                    "which is damaged and stays as it is",
                    shot=shot.id,
                    hint=f"name {side} too: rebuild or hold it, or leave it if it is sound",
                )
    for number in person.hold:
        if _last_sound(shot, decided, made, number) is None:
            raise ConfigError(
                f"{where}.hold: frame {number} has no sound one before it in this shot",
                shot=shot.id,
                hint="use lost or leave",
            )


def sound_on_both_sides(
    reel: Reel, shot: Shot, decided: Mapping[int, FrameDecision]
) -> dict[int, FrameDecision]:
    """The decisions, but nothing that was solved is made of frames that are damaged and stay, and
    none is held where no sound frame lies before it: those are left."""
    found = dict(decided)
    while True:
        made = _made(reel, shot, found.values())
        bad = {n for n, d in found.items() if stays(d)}
        worse: dict[int, str] = {}
        for number, decision in found.items():
            if decision.origin == "human":
                continue
            sides = {_next(made, number, -1), _next(made, number, 1)}
            whole = {n for n in bad if not found[n].part_px}
            spoilt = sorted(sides & (whole if decision.part_px else bad))
            if decision.done == "rebuilt" and spoilt:
                worse[number] = f"frame {spoilt[0]} beside it is damaged and stays as it is"
            if decision.done == "held" and _last_sound(shot, found, made, number) is None:
                worse[number] = "no sound frame lies before it"
        if not worse:
            return found
        for number, why in worse.items():
            seen = found[number].reason.rsplit("; ", 1)[0]
            update = {"done": "left", "reason": f"{seen}; left alone, because {why}"}
            found[number] = found[number].model_copy(update=update)


def shown_instead(
    reel: Reel, shot: Shot, decisions: Sequence[FrameDecision]
) -> dict[int, SourceFrame]:
    """Frames of a shot that show another one, or are made, by number.

    Missing frames that the project fills are among them where the frame they show is damaged, or
    where one of the two they were to be made from is: they show the last sound one before.
    """
    decided = {d.frame: d for d in decisions}
    made = _made(reel, shot, decisions)
    bad = {n for n, d in decided.items() if stays(d)}
    found = {}
    for number in sorted(made):
        own, decision = reel.frame(number), decided.get(number)
        sound = _last_sound(shot, decided, made, number)
        if sound is None:
            continue
        if decision is not None:
            how = MadeBy.REBUILD if decision.done == "rebuilt" else MadeBy.HOLD
            found[number] = replace(own, made_by=how, shown=sound)
            continue
        spoilt = bad & {_next(made, number, -1), _next(made, number, 1)}
        held = own.made_by is MadeBy.HOLD
        if spoilt or (held and sound < _next(made, number, -1)) or _shows(reel, number) in made:
            how = MadeBy.HOLD if held or spoilt else MadeBy.REBUILD
            found[number] = replace(reel.frame(sound), number=number, index=own.index, made_by=how)
    return found


def _shows(reel: Reel, number: int) -> int:
    """The frame whose file a missing one shows."""
    own = reel.frame(number)
    return next(f.number for f in reel.frames if f.made_by is None and f.path == own.path)


def stays(decision: FrameDecision) -> bool:
    """Is it damaged, and shown as it is?"""
    if decision.done == "lost":
        return True
    return decision.done == "left" and decision.kind not in (FLASH, OTHER, NAMED)


def _made(reel: Reel, shot: Shot, decisions: Iterable[FrameDecision]) -> set[int]:
    """Frames of the shot that have no picture of their own, because it is missing or not shown."""
    missing = {n for n in shot.frames if reel.frame(n).made_by is not None}
    return missing | {d.frame for d in decisions if d.done in ("rebuilt", "held") and not d.part_px}


def _next(made: set[int], number: int, step: int) -> int:
    """The nearest frame on one side that is not made; it may lie outside the shot."""
    number += step
    while number in made:
        number += step
    return number


def _run_around(made: set[int], number: int) -> range:
    return range(_next(made, number, -1) + 1, _next(made, number, 1))


def _last_sound(
    shot: Shot, decided: Mapping[int, FrameDecision], made: set[int], number: int
) -> int | None:
    """The nearest frame before that has a picture and is not damaged; None without one."""
    for before in range(number - 1, shot.frames.start - 1, -1):
        known = decided.get(before)
        if before not in made and not (known is not None and stays(known)):
            return before
    return None
