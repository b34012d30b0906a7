"""The color of all shots together: who may be touched, unfading per reel, match, balance."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from color.balance import balance_shot
from color.cdl import CDL, IDENTITY, Triple
from color.cdl_files import read_cdls
from color.fade import Unfading
from color.lad import reel_aims
from color.links import find_links
from color.match import MatchOptions, solve_match
from color.protect import RULES, with_persons_flags
from color.records import Link, ShotColor, protection, shot_input
from color.scene_balance import balance_scenes
from color.unfade import unfaded_evidence
from media.encoding import STOP, reel_encoding
from media.errors import ConfigError
from media.reel import Reel, SegmentKind, Shot
from restore.flicker.field import REACH_STOPS
from wetgate.config import Project
from wetgate.decisions import BalanceOverride, ShotDecisions, ShotOverride
from wetgate.stages.ingest import reel_name
from wetgate.stages.propose import TOO_SMALL
from wetgate.stages.propose_dirt import OFF
from wetgate.stages.solve_fade import unfade_reels, unfades

F64 = NDArray[np.float64]
Evidence = Mapping[str, Mapping[str, Any]]
Colors = tuple[dict[str, ShotColor], dict[str, Unfading]]
"""By shot; and by reel, only reels that unfading was asked for."""


def with_flags(
    evidence: Evidence, shots: Mapping[str, Shot], people: Mapping[str, ShotOverride]
) -> dict[str, dict[str, Any]]:
    """Evidence whose flags a person has had their word on, and the title has been looked at.

    A black-and-white shot on a reel of color shots is called an insert. Fades and dissolves of
    the shot list are shown as flags too.
    raises: ConfigError for a flag that does not exist.
    """
    out: dict[str, dict[str, Any]] = {name: dict(e) for name, e in evidence.items()}
    gray: dict[str, list[bool]] = {}
    for name, found in evidence.items():
        names = {f["name"] for f in found.get("color", {}).get("flags", [])}
        gray.setdefault(shots[name].reel, []).append("monochrome" in names)
    for name, found in out.items():
        if "color" not in found:
            continue
        shot = shots[name]
        flags = [dict(f) for f in found["color"].get("flags", [])]
        mostly_color = sum(gray[shot.reel]) * 2 < len(gray[shot.reel])
        for flag in flags:
            if flag["name"] == "monochrome" and mostly_color:
                flag["name"] = "bw_insert"
        flags += [
            {"name": what, "confidence": shot.confidence, "reason": why, "protects": []}
            for what, why in (
                ("dissolve", _spans(shot.dissolve_in, shot.dissolve_out)),
                ("fade", _spans(shot.fade_in, shot.fade_out)),
            )
            if why
        ]
        said = people[name].flags if name in people else {}
        found["color"] = {**found["color"], "flags": with_persons_flags(flags, said, name)}
    return out


def with_steady_exposure(evidence: Mapping[str, Any], decided: ShotDecisions) -> dict[str, Any]:
    """Evidence whose compared colors have the exposure that deflicker gives their frames.

    The flicker curve has zero mean over a shot, so this is the level of the shot itself. Only
    what acts on whole frames is taken out; local flicker evens out over the picture.
    """
    out = dict(evidence)
    color = evidence.get("color", {})
    features = color.get("features")
    flicker = decided.flicker
    if not flicker.applied or not isinstance(features, Mapping):
        return out
    first, changed = decided.frames[0], dict(features)

    def steadied(values: F64, frame: int) -> F64:
        at = frame - first
        u = np.clip((values - flicker.pivot) / STOP, -REACH_STOPS, REACH_STOPS)
        stops = np.array(flicker.exposure_stops[at])
        if flicker.contrast:
            stops = stops + np.array(flicker.contrast[at]) * u
        if flicker.bend:
            stops = stops + np.array(flicker.bend[at]) * (u * u - 1.0)
        return np.asarray(values + stops * STOP)

    grids = zip(features["grid_log"], features["grid_view"], strict=True)
    changed["grid_log"] = np.stack([steadied(g.astype(np.float64), int(n)) for g, n in grids])
    colors = np.array(features["colors_log"], dtype=np.float64)
    for frame in np.unique(features["view"]):
        mine = np.asarray(features["view"]) == frame
        colors[mine] = steadied(colors[mine], int(frame))
    changed["colors_log"] = colors.astype(np.float32)
    changed["grid_log"] = changed["grid_log"].astype(np.float32)
    out["color"] = {**color, "features": changed}
    return out


def _spans(head: int, tail: int) -> str:
    parts = [f"{n} frames at its {where}" for n, where in ((head, "head"), (tail, "tail")) if n]
    return " and ".join(parts)


def flag_reasons(color: Mapping[str, Any]) -> dict[str, str]:
    """What was found on a shot, how sure, and what that switches off, by flag."""
    return {
        str(f["name"]): f"{f['reason']} (confidence {float(f['confidence']):.2f}); "
        + RULES[str(f["name"])].says
        for f in color.get("flags", [])
    }


def with_given_cdls(
    project: Project, people: Mapping[str, ShotOverride], shots: Mapping[str, Shot]
) -> dict[str, ShotOverride]:
    """overrides.toml, and beneath it the decisions of the files in ``color.decisions``.

    raises: ConfigError for a file that cannot be read, or that names what is no shot, and for two
    files that decide one shot differently.
    """
    found = dict(people)
    decided: dict[str, tuple[str, CDL]] = {}
    for file in project.color.decisions:
        for name, cdl in read_cdls(Path(file)).items():
            if name not in shots:
                close = difflib.get_close_matches(name, shots, n=1, cutoff=0.0)
                raise ConfigError(
                    f"color.decisions: {Path(file).name} has a decision for {name!r}, "
                    "which is no shot of this title",
                    hint=f"did you mean {close[0]!r}? In an EDL the clip name is the shot",
                )
            other, before = decided.setdefault(name, (file, cdl))
            if before != cdl:
                raise ConfigError(
                    f"color.decisions: {Path(other).name} and {Path(file).name} decide {name!r} "
                    "differently",
                    shot=name,
                    hint="take it out of one of them",
                )
            person = found.get(name, ShotOverride())
            if not _gives_color(person.balance) and person.balance.enabled is not False:
                given = BalanceOverride(
                    slope=cdl.slope,
                    offset=cdl.offset,
                    power=cdl.power,
                    saturation=cdl.saturation,
                )
                found[name] = person.model_copy(update={"balance": given})
    return found


def check_one_channel(
    people: Mapping[str, ShotOverride], shots: Mapping[str, Shot], reels: Mapping[str, Reel]
) -> None:
    """raises: ConfigError where a person gives unlike red, green and blue to a one-channel scan."""
    for name, person in people.items():
        reel = shots[name].reel
        given = person.balance
        if reels[reel].format.channels != 1:
            continue
        for what, values in (
            ("slope", given.slope),
            ("offset", given.offset),
            ("power", given.power),
        ):
            if values is not None and len(set(values)) > 1:
                raise ConfigError(
                    f"the {what} {values} of {name!r} differs from channel to channel, and its "
                    "scan has one",
                    reel=reel,
                    shot=name,
                    hint="give three equal values",
                )


def solve_color(
    project: Project,
    reels: Mapping[str, Reel],
    shots: Mapping[str, Shot],
    evidence: Evidence,
    people: Mapping[str, ShotOverride],
    workers: int,
) -> Colors:
    """One color decision per shot, all shots together, and one unfading per faded reel.

    workers: pairs of shots compared at once; the answer does not depend on it.

    raises: ConfigError for heroes and references that name nothing here, or no picture.
    """
    options = project.color
    _check_names(project, shots, reels)
    wanted = options.match.enabled or options.balance.enabled or unfades(project)
    if not wanted:
        return dict.fromkeys(shots, ShotColor(reason=OFF)), {}
    measured = {n: s for n, s in shots.items() if evidence[n]}
    small = {n: ShotColor(reason=TOO_SMALL) for n in shots if n not in measured}
    if not measured:
        return small, {}
    color: dict[str, Mapping[str, Any]] = {n: evidence[n]["color"] for n in measured}
    links = find_links(color, workers=workers) if options.match.enabled or unfades(project) else []
    unfaded = unfade_reels(project, reels, measured, color, links, reference_reel(project))
    if unfaded:
        color = {
            n: unfaded_evidence(e, u)
            if (u := unfaded.get(measured[n].reel)) is not None
            and u.applied
            and protection(e, "fade") is None
            else e
            for n, e in color.items()
        }
        links = find_links(color, workers=workers) if options.match.enabled else []
    if not options.match.enabled:
        balance = options.balance.enabled
        alone = {n: balance_shot(e) if balance else ShotColor(reason=OFF) for n, e in color.items()}
        return small | alone, unfaded
    no_density = "the scan does not hold densities, so no code is the aim"
    left_out = {n: no_density for n, r in reels.items() if not reel_encoding(r).film}
    left_out |= dict.fromkeys(unfaded, "the reel is unfaded, and the frame is not")
    reel_of = {n: s.reel for n, s in measured.items()}
    aims = reel_aims(color, reel_of, left_out, options.match.max_offset)
    used = aims.by_reel if options.match.lad else {}
    solved = _matched(project, measured, color, links, people, used)
    for name, said in aims.said.items() if options.match.lad else ():
        solved[name] = replace(solved[name], reason=f"{solved[name].reason}; {said}")
    return small | solved, unfaded


def _matched(
    project: Project,
    shots: Mapping[str, Shot],
    color: Mapping[str, Mapping[str, Any]],
    links: list[Link],
    people: Mapping[str, ShotOverride],
    aims: Mapping[str, Triple],
) -> dict[str, ShotColor]:
    options = project.color
    wide = options.fade.enabled and options.fade.model == "match"
    limits = options.fade if wide else options.match
    pictures = {n: s for n, s in shots.items() if s.kind is SegmentKind.SHOT}
    anchor = reference_reel(project)
    anchor = anchor if anchor in {s.reel for s in pictures.values()} else ""
    heroes = [n for n in options.match.heroes if n in pictures]
    scene_of = {shot: s.name for s in project.scenes for shot in s.shots}
    running = sorted(shots, key=lambda n: (shots[n].reel, shots[n].frames.start))
    places = {name: place for place, name in enumerate(running)}
    allowed = MatchOptions(
        anchor_reel=anchor or None,
        pinned=dict.fromkeys(heroes, IDENTITY),
        min_confidence=options.match.min_confidence,
        slope_limits=(1.0 / limits.max_slope, limits.max_slope),
        offset_limit_log=limits.max_offset,
        power_limits=(1.0 / options.match.max_power, options.match.max_power),
        saturation_limits=(1.0 / options.match.max_saturation, options.match.max_saturation),
        aims=aims,
        night_lift_points=options.match.night_lift_points,
        fit_power=options.match.max_power > 1.0,
        fit_saturation=options.match.max_saturation > 1.0,
    )
    given = {n: cdl for n in pictures if (cdl := _fixed(people.get(n))) is not None}
    solved = solve_match(
        [
            shot_input(
                name,
                shot.reel,
                color[name],
                fixed=given.get(name),
                scene=scene_of.get(name),
                place=places[name],
            )
            for name, shot in pictures.items()
        ],
        links,
        allowed,
    )
    if options.balance.enabled:
        spoken_for = {anchor, *aims, *(shots[n].reel for n in given)}
        told = {n for n, s in pictures.items() if s.reel in {anchor, *aims}}
        told |= {*heroes, *given}
        told |= {n for n in solved if not solved[n].tied and shots[n].reel in spoken_for}
        solved = balance_scenes(solved, color, told, allowed)
    return {
        n: solved.get(n, ShotColor(confidence=1.0, reason=f"{shots[n].kind.value}: left alone"))
        for n in shots
    }


def reference_reel(project: Project) -> str:
    """The reel a person named as the reference; empty when nobody did."""
    return project.color.match.reference_reel or next(
        (reel_name(r) for r in project.reels if r.reference), ""
    )


def _check_names(project: Project, shots: Mapping[str, Shot], reels: Mapping[str, Reel]) -> None:
    anchor = reference_reel(project)
    if anchor and anchor not in reels:
        raise ConfigError(
            f"color.match.reference_reel {anchor!r} is no reel of this title",
            hint="reels: " + ", ".join(sorted(reels)),
        )
    pictures = [s for s in shots.values() if s.kind is SegmentKind.SHOT]
    if anchor and anchor not in {s.reel for s in pictures}:
        raise ConfigError(
            f"reel {anchor!r} cannot be the reference: it holds no picture, only "
            + ", ".join(sorted({s.kind.value for s in shots.values() if s.reel == anchor})),
            hint="name another reel in color.match.reference_reel, or none",
        )
    for name in project.color.match.heroes:
        if name not in shots:
            raise ConfigError(
                f"color.match.heroes names {name!r}, which is no shot of this title",
                hint="shots are listed by 'wetgate plan'",
            )
        if shots[name].kind is not SegmentKind.SHOT:
            raise ConfigError(
                f"color.match.heroes names {name!r}, which is {shots[name].kind.value}",
                hint="a hero is a shot that others can look like",
            )


def _gives_color(given: BalanceOverride) -> bool:
    values = (given.slope, given.offset, given.power, given.saturation)
    return any(v is not None for v in values)


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
