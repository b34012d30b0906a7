"""Frames that are destroyed: what was found of them, what a person says, what reels show instead.

Settled before anything is measured: a burnt frame must not pass for flicker, weave or dirt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from media.errors import ConfigError
from media.frames import FrameRange, frames_text
from media.listing import missing_runs
from media.pictures import Pictures, pictures_of
from media.reel import Reel, SegmentKind, Shot, SourceFrame
from restore.rebuild.measure import FLASH, SPLICE, Finding
from restore.rebuild.solve import Done, FramesOptions, solve_frames
from wetgate.beside import NAMED, check_wishes, shown_instead, sound_on_both_sides, stays
from wetgate.config import Project
from wetgate.decisions import (
    FrameDecision,
    FramesOverride,
    ShotOverride,
    parts_of,
    read_overrides,
)
from wetgate.job import Job
from wetgate.layers import effective, gaps_of
from wetgate.records import IngestedReel


def settle_frames(job: Job, ingested: IngestedReel) -> IngestedReel:
    """The reel with its destroyed frames decided on, and shown as was decided.

    raises: ConfigError for overrides that name frames the shot lacks, or what policy forbids.
    """
    reel = ingested.reel
    people = read_overrides(job.folder.overrides, {s.id for s in ingested.shots}, others=True)
    decided: dict[str, tuple[FrameDecision, ...]] = {}
    aside: set[int] = set()
    shown: dict[int, SourceFrame] = {}
    for shot in ingested.shots:
        person = people.get(shot.id, ShotOverride())
        said, destroyed = _decide(job.project, reel, shot, ingested.findings, person)
        aside |= destroyed
        if said:
            decided[shot.id] = said
            shown |= shown_instead(reel, shot, said)
    if shown:
        frames = tuple(shown.get(f.number, f) for f in reel.frames)
        reel = replace(reel, frames=frames)
    return replace(ingested, reel=reel, frames=decided, aside=frozenset(aside))


def measured_in(ingested: IngestedReel, shot: Shot) -> Pictures:
    """The pictures of a shot that are measured: not those that are destroyed and stay so."""
    return pictures_of(ingested.reel, shot.frames).without(ingested.aside)


def _says_nothing(decision: FrameDecision, sure: float) -> bool:
    """Is all of the frame destroyed, and shown so? What a person leaves, they have seen."""
    seen = decision.origin == "human" and decision.done == "left"
    return stays(decision) and not seen and not decision.part_px and decision.confidence >= sure


def made_in(pictures: Pictures, decisions: Sequence[FrameDecision]) -> dict[int, float]:
    """Frames that are made, whole or in part, and how far each lies between its neighbours."""
    parts = {n: pictures.share(n) for n in parts_of(decisions)}
    return {**pictures.between, **{n: s for n, s in parts.items() if s is not None}}


def to_review(shot: FrameRange, decisions: Sequence[FrameDecision]) -> list[str]:
    """Why a person should look: what was found, is damage, and was not mended.

    Bands of splices at the cuts themselves are how film is joined: listed, no reason to hold.
    """
    ends = (shot.start, shot.stop - 1)
    left = [
        d for d in decisions
        if d.done in ("left", "lost") and d.kind != FLASH and d.origin == "solved"
        and not (d.kind == SPLICE and d.frame in ends)
    ]  # fmt: skip
    said = [f"frame {d.frame}: {d.kind}: {d.reason}" for d in left[:3]]
    return said + ([f"and {frames_text(len(left) - 3)} more like these"] if len(left) > 3 else [])


def not_rebuilt(project: Project, ingested: IngestedReel, pictures: Pictures) -> list[str]:
    """Why a person should look: missing frames of a shot that were to be made, and are not.

    They show the frame before them: more were missing than can be made, or they lie at a cut.
    """
    reel = ingested.reel
    if gaps_of(project, reel.id) != "rebuild":
        return []
    named = {d.frame for found in ingested.frames.values() for d in found}
    frames = pictures.frames
    shown = [
        n for n in frames
        if reel.frame(n).made_by is None or n in named or n in pictures.between
    ]  # fmt: skip
    return [
        f"{f'frame {run.start}' if len(run) == 1 else f'frames {run}'} missing, and not rebuilt: "
        "another frame is shown in place"
        for run in missing_runs([frames.start - 1, *shown, frames.stop])
    ]


def _decide(
    project: Project,
    reel: Reel,
    shot: Shot,
    findings: Sequence[Finding],
    person: ShotOverride,
) -> tuple[tuple[FrameDecision, ...], set[int]]:
    """What is done about each frame; and those that are destroyed all over and shown so, which
    say nothing of the shot, also where nothing is to be done about frames."""
    layered, _ = effective(project, reel.id, shot.id, person.restore)
    settings = layered.restore.frames
    options = FramesOptions(
        longest_run=settings.longest_run,
        beyond=settings.beyond,
        min_confidence=settings.min_confidence,
        allow_invented=project.policy.allow_invented,
    )
    kept = ""
    protected = shot.id in project.policy.protected_shots or person.protect
    if protected:
        kept = "the shot is protected"
    elif shot.kind is not SegmentKind.SHOT:
        kept = f"it is {shot.kind.value}"
    found: dict[int, FrameDecision] = {}
    size_px = (reel.format.height, reel.format.width)
    missing = frozenset(n for n in shot.frames if reel.frame(n).made_by is not None)
    for v in solve_frames(findings, shot.frames, size_px, options, kept, missing):
        found[v.frame] = FrameDecision(
            frame=v.frame,
            kind=v.kind,
            done=v.done,
            part_px=v.part_px,
            confidence=v.confidence,
            reason=v.reason,
        )
    seen: dict[int, FrameDecision] = {}
    if person.frames.enabled is False or not settings.enabled:
        seen = {n: d.model_copy(update={"done": "left"}) for n, d in found.items()}
        found = {}
    wished = sorted({*person.frames.rebuild, *person.frames.hold})
    if protected and wished:
        raise ConfigError(
            f"overrides.toml: {shot.id}.frames: frame {wished[0]} is to be made or held, "
            "and the shot is protected",
            shot=shot.id,
            hint="take back the one or the other",
        )
    if not protected:
        found |= _by_person(project, reel, shot, found, person.frames)
        check_wishes(reel, shot, found, person.frames, options.longest_run)
    found = sound_on_both_sides(reel, shot, found)
    destroyed = {n for n, d in (seen | found).items() if _says_nothing(d, settings.min_confidence)}
    return tuple(found[n] for n in sorted(found)), destroyed


def _by_person(
    project: Project,
    reel: Reel,
    shot: Shot,
    found: dict[int, FrameDecision],
    person: FramesOverride,
) -> dict[int, FrameDecision]:
    said: dict[int, FrameDecision] = {}
    where = f"overrides.toml: {shot.id}.frames"
    named: tuple[tuple[Done, tuple[int, ...]], ...] = (
        ("rebuilt", person.rebuild),
        ("held", person.hold),
        ("lost", person.lost),
        ("left", person.leave),
    )
    for done, numbers in named:
        for number in numbers:
            if number not in shot.frames or number in said:
                raise ConfigError(
                    f"{where}: {number} is named twice, or no frame of this shot",
                    shot=shot.id,
                    hint=f"its frames are {shot.frames}",
                )
            if reel.frame(number).made_by is not None:
                raise ConfigError(
                    f"{where}: the scan has no frame {number}",
                    shot=shot.id,
                    hint="reels.gaps says what is done about it",
                )
            before = found.get(number)
            said[number] = FrameDecision(
                frame=number,
                kind=before.kind if before else NAMED,
                done=done,
                part_px=before.part_px if before and done == "rebuilt" else (),
                origin="human",
                reason="named by a person",
            )
    if person.rebuild and not project.policy.allow_invented:
        raise ConfigError(
            f"{where}.rebuild makes pictures that the scan does not have",
            shot=shot.id,
            hint="set policy.allow_invented = true to permit it, or use hold",
        )
    return said
