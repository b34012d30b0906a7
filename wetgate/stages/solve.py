"""SOLVE: from evidence to decisions. Sees every shot of the title at once; touches no pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from color.records import protection
from media.errors import ConfigError
from media.frames import FrameRange
from media.reel import Reel
from media.write import atomic_write_bytes
from restore.dirt.trial import trial_name
from wetgate import ledger
from wetgate.config import Project
from wetgate.curves import curves_csv
from wetgate.decisions import (
    ColorDecision,
    DirtDecision,
    FadeDecision,
    FlickerDecision,
    NoiseDecision,
    ScratchDecision,
    ShotDecisions,
    ShotOverride,
    UpscaleDecision,
    WeaveDecision,
    read_overrides,
)
from wetgate.files import digest, read_json, write_json
from wetgate.frames import measured_in
from wetgate.job import Job
from wetgate.layers import check_layer, check_scenes, effective
from wetgate.marks import check_regions, regions_of
from wetgate.mattes import with_mattes
from wetgate.records import IngestedReel
from wetgate.settle import settle
from wetgate.size import enlarges, size_of
from wetgate.solved import earlier, known_digests, note_solved, shot_questions
from wetgate.stages.early import solved_flicker, solved_weave
from wetgate.stages.propose import (
    NO_LINES,
    propose_color,
    propose_fade,
    propose_map,
    propose_shot,
)
from wetgate.stages.propose_dirt import OFF, map_used
from wetgate.stages.solve_color import (
    check_one_channel,
    flag_reasons,
    solve_color,
    with_flags,
    with_given_cdls,
    with_steady_exposure,
)

Evidence = Mapping[str, Mapping[str, Any]]
"""Shot id to the evidence of its probes."""

MEASURED = ("weave", "flicker", "scratch", "dirt", "noise")
"""Repairs that start from a measurement, and that a person may switch on for one shot."""
_PROBES_OF = {
    "weave": ("weave", "overscan"),
    "flicker": ("flicker",),
    "scratch": ("scratch",),
    "dirt": ("grain", "defects", trial_name("network")),
    "noise": ("grain",),
    "grain": ("grain",),
}


def solve_title(
    job: Job, reels: Mapping[str, IngestedReel], evidence: Evidence
) -> dict[str, ShotDecisions]:
    """Decisions that stand for every shot, keyed by shot id; kept as decisions/<shot>.json.

    raises: ConfigError for overrides that name nothing, or a decision file that was edited.
    """
    shots = {s.id: s for r in reels.values() for s in r.shots}
    people = read_overrides(job.folder.overrides, set(shots))
    for name, person in people.items():
        _check_color_switch(job.project, name, person)
    people = with_given_cdls(job.project, people, shots)
    check_one_channel(people, shots, {name: r.reel for name, r in reels.items()})
    protected = {*job.project.policy.protected_shots} | {n for n, p in people.items() if p.protect}
    unknown = sorted(protected - set(shots))
    if unknown:
        raise ConfigError(
            f"policy.protected_shots names {unknown[0]!r}, which is no shot of this title",
            hint="shots are listed by 'wetgate plan'",
        )
    check_scenes(job.project, set(shots))
    check_regions(job.project, {*shots, *reels})
    questions = shot_questions(job, reels, people)
    kept = earlier(job, reels, questions)
    if kept.all_stands:
        return dict(kept.decisions)
    evidence = with_flags(evidence, shots, people)
    scans = {name: r.reel for name, r in reels.items()}
    proposed, said_of, regions = {}, {}, {}
    for name, shot in shots.items():
        layered, said_of[name] = effective(
            job.project, shot.reel, name, _settings(people.get(name))
        )
        asked = _switched_on(layered, people.get(name))
        pictures = measured_in(reels[shot.reel], shot)
        changeover = _changeover(reels[shot.reel].reel)
        larger = size_of(job.project, scans[shot.reel].format, shot.reel).factor > 1
        proposed[name] = propose_shot(
            asked,
            shot,
            evidence[name],
            pictures,
            changeover,
            larger=larger,
            weave=solved_weave(job.folder, asked, shot),
            flicker=solved_flicker(job.folder, asked, shot),
        )
        if name not in people and name not in protected:
            proposed[name] = proposed[name].model_copy(update=kept.parts(name))
        person_boxes = people[name].protected_regions if name in people else ()
        regions[name] = regions_of(job.project, scans[shot.reel], shot, person_boxes)
    # Color is compared at the exposure its shot will have: flicker is taken out of it first.
    steady = {n: with_steady_exposure(evidence[n], p) for n, p in proposed.items()}
    colors, unfaded = solve_color(job.project, scans, shots, steady, people, job.workers)
    settled = {}
    for name, shot in shots.items():
        seen = evidence[name].get("color", {})
        solved = proposed[name].model_copy(
            update={
                "flag_reasons": flag_reasons(seen),
                "fade": propose_fade(job.project, shot, seen, unfaded.get(shot.reel)),
                "balance": propose_color(colors[name]),
            }
        )
        if name in protected:
            solved = _protect(solved)
        damage = reels[shot.reel].frames.get(name, ())
        solved = solved.model_copy(
            update={
                "settings_from": said_of[name],
                "frame_damage": damage,
                "protected_regions": regions[name],
                "defect_map": propose_map(scans[shot.reel], evidence[name]),
            }
        )
        stands = settle(solved, people.get(name), scans[shot.reel].format).model_copy(
            update=kept.parts(name)
        )
        settled[name] = _summed_up(map_used(stands))
    formats = {name: ingested.reel.format for name, ingested in reels.items()}
    sizes = {name: (f.height, f.width) for name, f in formats.items()}
    settled = with_mattes(settled, sizes)
    written = known_digests(job.folder)
    for decisions in settled.values():
        _refuse_edited(job, decisions, written)
    digests = {name: _keep(job, decisions, written) for name, decisions in settled.items()}
    note_solved(job, questions, digests, kept)
    return settled


def _changeover(reel: Reel) -> FrameRange:
    """The end of a reel, where the projectionist's cue marks are: 12 s (SMPTE 55 has them 8 s
    and 1 s before the end)."""
    return FrameRange(
        max(reel.range.start, reel.range.stop - round(12 * reel.rate)), reel.range.stop
    )


def wanted_probes(job: Job, shots: set[str]) -> frozenset[str]:
    """Probes that decide anything that is switched on for any of the shots; may be none.

    Color is looked at with any of them: its flags protect shots from every repair.
    raises: ConfigError for overrides that name nothing.
    """
    restore, color = job.project.restore, job.project.color
    asked = {name for name in MEASURED if getattr(restore, name).enabled}
    layers = [r.restore for r in job.project.reels] + [s.restore for s in job.project.scenes]
    asked |= {name for layer in layers for name in layer}
    for name, person in read_overrides(job.folder.overrides, shots).items():
        check_layer(job.project, person.restore, f"shot {name}")
        layers.append(person.restore)
        asked |= set(person.restore) | {n for n in MEASURED if getattr(person, n).enabled}
    found = {probe for name in asked for probe in _PROBES_OF.get(name, ())}
    if "dirt" in asked and _by_rules(job.project, layers):
        found.add(trial_name("rules"))
    upscale = restore.upscale
    if enlarges(job.project) and upscale.method != "lanczos":
        # A network that looks at one frame does not know what it painted into the last.
        found.add("steadiness")
        found |= {"upscale"} if upscale.method == "frames" else set()
    if not any(reel.defect_map for reel in job.project.reels):
        found.discard("defects")
    if found or color.match.enabled or color.balance.enabled or color.fade.enabled:
        found.add("color")
    return frozenset(found)


def _by_rules(project: Project, layers: Sequence[Mapping[str, Any]]) -> bool:
    """Does any shot want its dirt found by rules?"""
    said = [layer["dirt"].get("detector") for layer in layers if "dirt" in layer]
    return "rules" in {project.restore.dirt.detector, *said}


def _settings(person: ShotOverride | None) -> Mapping[str, Any]:
    return {} if person is None else person.restore


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
            "fade": FadeDecision(reason=why),
            "balance": ColorDecision(reason=why),
        }
    )


def _from_single_frames(upscale: UpscaleDecision, why: str) -> UpscaleDecision:
    """A protected shot has to have the size of the others: nothing from other frames, no model."""
    if not upscale.applied:
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
    reasons += _not_moved(decisions.weave)
    reasons += [f"scratch: {line}" for line in decisions.scratch.rejected]
    reasons += [
        f"frame {d.frame}: {d.kind}: {d.reason}" for d in decisions.frame_damage if d.done == "left"
    ]
    refused = decisions.defect_map
    if refused.reason and not refused.applied and refused.origin == "solved":
        reasons.append(f"defect map: {decisions.defect_map.reason}")
    if decisions.upscale.applied and decisions.upscale.reason:
        reasons.append(f"upscale: {decisions.upscale.reason}")
    if decisions.fade.applied:
        applied.append(decisions.fade.confidence)
    elif decisions.fade.reason and decisions.fade.reason != OFF:
        reasons.append(f"fade: {decisions.fade.reason}")
    color = decisions.balance
    changed = (color.slope, color.offset, color.power) != ((1.0,) * 3, (0.0,) * 3, (1.0,) * 3)
    if changed or color.saturation != 1.0:
        applied.append(color.confidence)
    elif color.reason and color.reason != OFF:
        reasons.append(f"color: {color.reason}")
    return decisions.model_copy(
        update={"confidence": min(applied, default=1.0), "reasons": tuple(reasons)}
    )


def _not_moved(weave: WeaveDecision) -> list[str]:
    """Where the picture goes on standing elsewhere though weave is corrected."""
    far = [
        f"weave: frame {n}: the picture jumps farther than limit_px: kept" for n in weave.kept_jumps
    ]
    if not weave.applied or not weave.unseen:
        return far
    named = ", ".join(map(str, weave.unseen[:5])) + (", ..." if len(weave.unseen) > 5 else "")
    return [*far, f"weave: not moved: {named}: could not be followed, or beyond limit_px"]


def _refuse_edited(job: Job, decisions: ShotDecisions, written: Mapping[str, list[str]]) -> None:
    """raises: ConfigError for a decision file that a person has changed: it is not written over."""
    path = job.folder.decision(decisions.reel, decisions.shot)
    there, ours = read_json(path), written.get(decisions.shot, [])
    if there is None or not ours or digest(there) in ours:
        return
    if there != decisions.model_dump(mode="json"):
        raise ConfigError(
            f"decisions/{path.name} was edited after it was written",
            reel=decisions.reel,
            shot=decisions.shot,
            hint=f"say it in {job.folder.overrides.name}, and take {path} away "
            "to have the shot decided on again",
        )


def _keep(job: Job, decisions: ShotDecisions, written: Mapping[str, list[str]]) -> str:
    """Write the decision file, and before it the ledger when the decision is a new one: whatever
    a file holds that the ledger does not know was not written here. Its digest."""
    path = job.folder.decision(decisions.reel, decisions.shot)
    value = decisions.model_dump(mode="json")
    sha256 = digest(value)
    if read_json(path) == value:
        return sha256
    if written.get(decisions.shot, [""])[-1] != sha256:
        ledger.append(
            job.folder.ledger,
            {"shot": decisions.shot, "decision_sha256": sha256, "decision": value},
        )
    write_json(path, value)
    curves = job.folder.curves(decisions.reel, decisions.shot)
    table = curves_csv(decisions)
    if table:
        curves.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_bytes(curves, table)
    else:
        curves.unlink(missing_ok=True)
    return sha256


def color_protection(evidence: Mapping[str, Any]) -> str | None:
    """Why a shot is kept out of matching, for reports."""
    return protection(evidence["color"], "match")
