"""SOLVE: from evidence to decisions. Sees every shot of the title at once; touches no pixel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from color.balance import BalanceOptions, balance_shot
from color.cdl import CDL
from color.links import find_links
from color.match import MatchOptions, solve_match
from color.records import ShotColor, protection, shot_input
from media.errors import ConfigError
from media.pictures import pictures_of
from media.reel import SegmentKind, Shot
from media.write import atomic_write_bytes
from wetgate import ledger
from wetgate.config import Project
from wetgate.curves import curves_csv
from wetgate.decisions import (
    ColorDecision,
    DirtDecision,
    FlickerDecision,
    NoiseDecision,
    ScratchDecision,
    ShotDecisions,
    ShotOverride,
    UpscaleDecision,
    WeaveDecision,
    read_overrides,
    settle,
)
from wetgate.files import digest, read_json, write_json
from wetgate.job import Job
from wetgate.layers import check_scenes, effective
from wetgate.mattes import with_mattes
from wetgate.records import IngestedReel
from wetgate.stages.ingest import reel_name
from wetgate.stages.propose import NO_LINES, OFF, TOO_SMALL, propose_shot

Evidence = Mapping[str, Mapping[str, Any]]
"""Shot id to the evidence of its probes."""

MEASURED = ("weave", "flicker", "scratch", "dirt", "noise")
"""Repairs that start from a measurement, and that a person may switch on for one shot."""
_PROBES_OF = {
    "weave": ("weave", "overscan"),
    "flicker": ("flicker",),
    "scratch": ("scratch",),
    "dirt": ("grain",),
    "noise": ("grain",),
    "grain": ("grain",),
}


def solve_title(
    job: Job, reels: Mapping[str, IngestedReel], evidence: Evidence
) -> dict[str, ShotDecisions]:
    """Decisions that stand for every shot, keyed by shot id; kept as decisions/<shot>.json.

    raises: ConfigError for overrides that name nothing.
    """
    shots = {s.id: s for r in reels.values() for s in r.shots}
    people = read_overrides(job.folder.overrides, set(shots))
    for name, person in people.items():
        _check_color_switch(job.project, name, person)
    protected = {*job.project.policy.protected_shots} | {n for n, p in people.items() if p.protect}
    unknown = sorted(protected - set(shots))
    if unknown:
        raise ConfigError(
            f"policy.protected_shots names {unknown[0]!r}, which is no shot of this title",
            hint="shots are listed by 'wetgate plan'",
        )
    check_scenes(job.project, set(shots))
    colors = solve_color(job.project, shots, evidence, people)
    settled = {}
    for name, shot in shots.items():
        layered, said = effective(job.project, shot.reel, name, _settings(people.get(name)))
        asked = _switched_on(layered, people.get(name))
        pictures = pictures_of(reels[shot.reel].reel, shot.frames)
        solved = propose_shot(asked, shot, evidence[name], colors[name], pictures)
        if name in protected:
            solved = _protect(solved)
        solved = solved.model_copy(update={"settings_from": said})
        settled[name] = _summed_up(settle(solved, people.get(name)))
    formats = {name: ingested.reel.format for name, ingested in reels.items()}
    sizes = {name: (f.height, f.width) for name, f in formats.items()}
    settled = with_mattes(settled, sizes)
    for decisions in settled.values():
        _keep(job, decisions)
    return settled


def wanted_probes(job: Job, shots: set[str]) -> frozenset[str]:
    """Probes that decide anything that is switched on for any of the shots; may be none.

    Color is looked at with any of them: its flags protect shots from every repair.
    raises: ConfigError for overrides that name nothing.
    """
    restore, color = job.project.restore, job.project.color
    asked = {name for name in MEASURED if getattr(restore, name).enabled}
    layers = [r.restore for r in job.project.reels] + [s.restore for s in job.project.scenes]
    asked |= {name for layer in layers for name in layer}
    for person in read_overrides(job.folder.overrides, shots).values():
        asked |= set(person.restore) | {n for n in MEASURED if getattr(person, n).enabled}
    found = {probe for name in asked for probe in _PROBES_OF.get(name, ())}
    upscale = restore.upscale
    if upscale.enabled and upscale.factor > 1 and upscale.method == "frames":
        found |= {"upscale", "steadiness"}
    if found or color.match.enabled or color.balance.enabled:
        found.add("color")
    return frozenset(found)


def _settings(person: ShotOverride | None) -> Mapping[str, Any]:
    return {} if person is None else person.restore


def solve_color(
    project: Project,
    shots: Mapping[str, Shot],
    evidence: Evidence,
    people: Mapping[str, ShotOverride],
) -> dict[str, ShotColor]:
    """One color decision per shot, all shots together."""
    options = project.color
    if not (options.match.enabled or options.balance.enabled):
        return dict.fromkeys(shots, ShotColor(reason=OFF))
    unmeasured = dict.fromkeys((n for n in shots if not evidence[n]), ShotColor(reason=TOO_SMALL))
    if unmeasured:
        seen = {n: s for n, s in shots.items() if n not in unmeasured}
        return unmeasured | (solve_color(project, seen, evidence, people) if seen else {})
    color = {name: evidence[name]["color"] for name in shots}
    balanced = {n: balance_shot(e, BalanceOptions()) for n, e in color.items()}
    if not options.match.enabled:
        return balanced
    limits = options.fade if options.fade.enabled else options.match
    reels = {s.reel for s in shots.values()}
    anchor = options.match.reference_reel or next(
        (reel_name(r) for r in project.reels if r.reference), ""
    )
    if anchor and anchor not in reels:
        raise ConfigError(
            f"color.match.reference_reel {anchor!r} is no reel of this title",
            hint="reels: " + ", ".join(sorted(reels)),
        )
    pinned: dict[str, CDL] = {}
    if options.balance.enabled and len(reels) > 1:
        anchor = anchor or reel_name(project.reels[0])
        pinned = {n: b.cdl for n, b in balanced.items() if shots[n].reel == anchor}
    solved = solve_match(
        [
            shot_input(name, shot.reel, color[name], fixed=_fixed(people.get(name)))
            for name, shot in shots.items()
            if shot.kind is SegmentKind.SHOT
        ],
        find_links(color),
        MatchOptions(
            anchor_reel=anchor or None,
            pinned=pinned,
            min_confidence=options.match.min_confidence,
            slope_limits=(1.0 / limits.max_slope, limits.max_slope),
            offset_limit_log=limits.max_offset,
        ),
    )
    return {
        n: solved.get(n, ShotColor(confidence=1.0, reason=f"{shots[n].kind.value}: left alone"))
        for n in shots
    }


def _fixed(person: ShotOverride | None) -> CDL | None:
    """The whole CDL a person gave, which the solve then honours for other shots too."""
    if person is None or person.balance.enabled is False:
        return None
    given = person.balance
    if given.slope is None and given.offset is None and given.power is None:
        return None
    ones = (1.0, 1.0, 1.0)
    return CDL(
        given.slope or ones,
        given.offset or (0.0, 0.0, 0.0),
        given.power or ones,
        1.0 if given.saturation is None else given.saturation,
    )


def _switched_on(project: Project, person: ShotOverride | None) -> Project:
    """The project as one shot sees it: repairs a person wants there, whatever the rest gets."""
    if person is None or person.protect:
        return project
    wanted = {
        name: getattr(project.restore, name).model_copy(update={"enabled": True})
        for name in MEASURED
        if getattr(person, name).enabled
    }
    return project.model_copy(update={"restore": project.restore.model_copy(update=wanted)})


def _check_color_switch(project: Project, name: str, person: ShotOverride) -> None:
    """Color is solved for all shots together: it cannot be switched on for a single one."""
    given = person.balance
    values = (given.slope, given.offset, given.power, given.saturation)
    if given.enabled and not any(v is not None for v in values):
        color = project.color
        if not (color.match.enabled or color.balance.enabled):
            raise ConfigError(
                f"overrides.toml: {name}.balance.enabled = true, but color is switched off",
                shot=name,
                hint="give slope, offset and power, or set color.match.enabled = true",
            )


def _protect(solved: ShotDecisions) -> ShotDecisions:
    why = "protected shot"
    return solved.model_copy(
        update={
            "protected": True,
            "weave": WeaveDecision(reason=why),
            "flicker": FlickerDecision(reason=why),
            "scratch": ScratchDecision(reason=why),
            "dirt": DirtDecision(reason=why),
            "noise": NoiseDecision(reason=why),
            "upscale": _from_single_frames(solved.upscale, why),
            "balance": ColorDecision(reason=why),
        }
    )


def _from_single_frames(upscale: UpscaleDecision, why: str) -> UpscaleDecision:
    """A protected shot has to have the size of the others, and nothing from other frames."""
    if upscale.method != "frames":
        return upscale
    return upscale.model_copy(update={"method": "lanczos", "share": 0.0, "reason": why})


def _summed_up(decisions: ShotDecisions) -> ShotDecisions:
    """Confidence and reasons of the whole shot, after people have had their word."""
    parts = {n: getattr(decisions, n) for n in ("weave", "flicker", "scratch", "dirt", "noise")}
    applied = [d.confidence for d in parts.values() if d.applied]
    reasons = [
        f"{n}: {d.reason}"
        for n, d in parts.items()
        if not d.applied and d.reason not in (OFF, NO_LINES)
    ]
    reasons += [f"scratch: {line}" for line in decisions.scratch.rejected]
    if decisions.upscale.applied and decisions.upscale.reason:
        reasons.append(f"upscale: {decisions.upscale.reason}")
    color = decisions.balance
    changed = (color.slope, color.offset, color.power) != ((1.0,) * 3, (0.0,) * 3, (1.0,) * 3)
    if changed or color.saturation != 1.0:
        applied.append(color.confidence)
    elif color.reason and color.reason != OFF:
        reasons.append(f"color: {color.reason}")
    return decisions.model_copy(
        update={"confidence": min(applied, default=1.0), "reasons": tuple(reasons)}
    )


def _keep(job: Job, decisions: ShotDecisions) -> None:
    """Write the decision file, and the ledger when the decision is a new one."""
    path = job.folder.decision(decisions.reel, decisions.shot)
    value = decisions.model_dump(mode="json")
    if read_json(path) == value:
        return
    write_json(path, value)
    curves = job.folder.curves(decisions.reel, decisions.shot)
    table = curves_csv(decisions)
    if table:
        curves.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_bytes(curves, table)
    else:
        curves.unlink(missing_ok=True)
    ledger.append(
        job.folder.ledger,
        {"shot": decisions.shot, "decision_sha256": digest(value), "decision": value},
    )


def color_protection(evidence: Mapping[str, Any]) -> str | None:
    """Why a shot is kept out of matching, for reports."""
    return protection(evidence["color"], "match")
