"""The numbers of a report: what report.json holds and what the page is written from."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import numpy as np

from media.frames import frames_text, rate_text
from media.passes import NOTED
from media.reel import Shot
from wetgate.chain import as_transform
from wetgate.decisions import ShotDecisions
from wetgate.manifest import kinds_of, made_by, models_used, software
from wetgate.numerics import kind_of
from wetgate.plan import PlannedShot
from wetgate.records import IngestedReel, span_to_json
from wetgate.report.given import ReportInput
from wetgate.report.limits import not_attempted
from wetgate.report.words import OPERATOR_WORDS, TOUCH, counted, effect_word
from wetgate.size import size_of

SCHEMA = 1
_DOUBTFUL = 0.75
"""Shots below this confidence are put forward, the least certain first."""
_PUT_FORWARD = 5


class Status(StrEnum):
    """What became of a shot."""

    HELD = "held"
    FAILED = "failed"
    UNVERIFIED = "not verified"
    UNRENDERED = "not rendered"
    PASSED = "passed"


def summarise(given: ReportInput) -> dict[str, Any]:
    """The whole report as JSON values, the same for the same inputs."""
    reels = [_reel(given, ingested) for ingested in given.reels.values()]
    shots = [shot for reel in reels for shot in reel["shots"]]
    counts = _counts(shots, reels)
    known = {shot["shot"] for shot in shots}
    others = [{"of": n, **given.failures[n]} for n in sorted(given.failures) if n not in known]
    counts["failed_elsewhere"] = len(others)
    return {
        "schema": SCHEMA,
        "title": given.job.project.title,
        "complete": given.complete,
        "incomplete_because": [] if given.complete else _because(counts, shots, others),
        "exit": _exit(given.complete, counts),
        "counts": counts,
        "touch_share": _touched(shots),
        "operators": _operators(shots),
        "models": models_used(given.job, given.planned),
        "policy": given.job.project.policy.model_dump(mode="json"),
        "software": software(given.job),
        "made_by": kinds_of(given.planned),
        "truth": dict(given.truth) if given.truth is not None else None,
        "look_first": _look_first(shots),
        "failures": others,
        "not_attempted": not_attempted(given.job.project, given.planned),
        "reels": reels,
    }


def _reel(given: ReportInput, ingested: IngestedReel) -> dict[str, Any]:
    reel = ingested.reel
    return {
        "reel": reel.id,
        "rate": rate_text(reel.rate),
        "encoding": reel.encoding,
        "format": str(reel.format),
        "delivered": size_of(given.job.project, reel.format, reel.id).text,
        "kind": reel.kind,
        "timecode": reel.timecode,
        "notes": list(reel.notes),
        "frames": len(reel.frames),
        "doubled": len(reel.doubled),
        "spans": [span_to_json(s) for s in ingested.spans],
        "shots": [_shot(given, shot) for shot in ingested.shots],
    }


def _shot(given: ReportInput, shot: Shot) -> dict[str, Any]:
    decisions = given.decisions.get(shot.id)
    verdict = given.verdicts.get(shot.id, {})
    planned = given.planned.get(shot.id)
    status = status_of(given, shot.id)
    operators = [
        {"name": op.name, "version": op.version, "effect": effect_word(op.effect)}
        for op in (planned.chain if planned is not None else ())
    ]
    return {
        "shot": shot.id,
        "reel": shot.reel,
        "frames": [shot.frames.start, shot.frames.stop - 1],
        "count": len(shot.frames),
        "kind": shot.kind.value,
        "status": status.value,
        "held_because": list(verdict.get("held_because", [])),
        "failure": given.failures.get(shot.id),
        "confidence": decisions.confidence if decisions is not None else None,
        "flags": list(decisions.flags) if decisions is not None else [],
        "flag_reasons": _flag_reasons(given.evidence.get(shot.id, {}))
        | (dict(decisions.flag_reasons) if decisions is not None else {}),
        "protected": decisions.protected if decisions is not None else False,
        "reasons": [
            *(decisions.reasons if decisions is not None else ["nothing was decided"]),
            *_noted(verdict),
        ],
        "note": decisions.note if decisions is not None else "",
        "operators": operators,
        "made_by": _made_by(planned),
        "touch_share": verdict.get("touch_share"),
        "max_repaired_share": verdict.get("max_repaired_share"),
        "before": verdict.get("before"),
        "after": verdict.get("after"),
        "grain": verdict.get("grain"),
        "decisions": _decided(decisions) if decisions is not None else None,
    }


def _made_by(planned: PlannedShot | None) -> dict[str, str] | None:
    """The kind of worker; None for a shot that was not rendered."""
    digest = made_by(planned)
    if planned is None or digest is None:
        return None
    return {"kind": kind_of(planned.numerics), "digest": digest}


def _noted(verdict: Mapping[str, Any]) -> list[str]:
    """What was left undone on single frames and is no reason to look at the shot."""
    caveats: Mapping[str, list[str]] = verdict.get("caveats") or {}
    words = [(n, w) for n, said in caveats.items() for w in said if w.startswith(NOTED)]
    told = [f"frame {n}: {w.removeprefix(NOTED)}" for n, w in sorted(words, key=_number)[:3]]
    return told + ([f"and on {frames_text(len(words) - 3)} more"] if len(words) > 3 else [])


def _number(said: tuple[str, str]) -> int:
    return int(said[0])


def _flag_reasons(evidence: Mapping[str, Any]) -> dict[str, str]:
    """What the color probe saw that made it raise a flag."""
    flags = evidence.get("color", {}).get("flags", [])
    return {str(f["name"]): str(f["reason"]) for f in flags if f.get("reason")}


def status_of(given: ReportInput, shot: str) -> Status:
    """A shot that nobody measured has not passed."""
    if shot in given.failures:
        return Status.FAILED
    if shot not in given.planned:
        return Status.UNRENDERED
    verdict = given.verdicts.get(shot)
    if verdict is None:
        return Status.UNVERIFIED
    return Status.PASSED if verdict.get("verdict") == "passed" else Status.HELD


def _decided(decisions: ShotDecisions) -> dict[str, Any]:
    """Decisions without their long curves, which lie in decisions/<shot>.json."""
    whole = decisions.model_dump(mode="json")
    weave, flicker = whole["weave"], whole["flicker"]
    dx, dy, turn = weave.pop("dx_px"), weave.pop("dy_px"), weave.pop("turn_deg")
    exposure, grid = flicker.pop("exposure_stops"), flicker.pop("grid_stops")
    contrast = [*flicker.pop("contrast"), *flicker.pop("bend")]
    channels = flicker.pop("channel_grid_stops")
    weave |= {
        "peak_px": _peak([*dx, *dy]),
        "rms_px": _rms([*dx, *dy]),
        "turn_peak_deg": _peak(turn),
    }
    flicker |= {
        "peak_stops": _peak([v for row in exposure for v in row]),
        "rms_stops": _rms([v for row in exposure for v in row]),
        "contrast_peak": _peak([v for row in contrast for v in row]),
        "local_peak_stops": _peak([v for g in grid for row in g for v in row]),
        "channel_local_peak_stops": _peak([v for f in channels for g in f for r in g for v in r]),
    }
    changed = not as_transform(decisions).is_identity()
    color = {**whole["balance"], "changes_color": changed}
    return {
        "file": f"reels/{decisions.reel}/decisions/{decisions.shot}.json",
        "weave": weave,
        "flicker": flicker,
        "dirt": whole["dirt"],
        "defect_map": whole["defect_map"],
        "frame_damage": whole["frame_damage"],
        "protected_regions": whole["protected_regions"],
        "noise": whole["noise"],
        "grain": whole["grain"],
        "upscale": whole["upscale"],
        "fade": whole["fade"],
        "balance": color,
    }


def _peak(values: list[float]) -> float:
    return round(max((abs(v) for v in values), default=0.0), 5)


def _rms(values: list[float]) -> float:
    return round(float(np.sqrt(np.mean(np.square(values)))), 5) if values else 0.0


def _counts(shots: list[dict[str, Any]], reels: list[dict[str, Any]]) -> dict[str, int]:
    by = {s: sum(shot["status"] == s.value for shot in shots) for s in Status}
    return {
        "reels": len(reels),
        "shots": len(shots),
        "frames": sum(shot["count"] for shot in shots),
        "passed": by[Status.PASSED],
        "held": by[Status.HELD],
        "failed": by[Status.FAILED],
        "not_verified": by[Status.UNVERIFIED],
        "not_rendered": by[Status.UNRENDERED],
        "frames_not_rendered": sum(
            s["count"] for s in shots if s["status"] in (Status.FAILED, Status.UNRENDERED)
        ),
    }


def _because(
    counts: Mapping[str, int], shots: list[dict[str, Any]], others: list[dict[str, Any]]
) -> list[str]:
    found = [f"{o['of']}: {o.get('what', 'failed')}" for o in others]
    for status, key in ((Status.FAILED, "failed"), (Status.UNRENDERED, "not_rendered")):
        if counts[key]:
            names = [_named(s) for s in shots if s["status"] == status]
            rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
            found.append(f"{counts[key]} of {counted(counts['shots'], 'shot')} {status.value}")
            found[-1] += f" ({', '.join(names[:3])}{rest})"
    if counts["not_verified"]:
        found.append(f"{counted(counts['not_verified'], 'shot')} not verified")
    return found or ["the work was stopped before everything was delivered"]


def _named(shot: Mapping[str, Any]) -> str:
    failure = shot["failure"]
    return f"{shot['shot']}: {failure['what']}" if failure else str(shot["shot"])


def _exit(complete: bool, counts: Mapping[str, int]) -> dict[str, object]:
    if counts["failed"] or counts["failed_elsewhere"]:
        return {"code": 4, "meaning": "some of it failed and is not delivered"}
    if not complete:
        return {"code": None, "meaning": "not finished: the same command goes on from here"}
    if counts["held"] or counts["not_verified"]:
        return {"code": 3, "meaning": "delivered; some shots are held for a person to look at"}
    if counts["not_rendered"]:
        return {"code": 0, "meaning": "decisions are made; pictures were not asked for"}
    return {"code": 0, "meaning": "everything that was planned is delivered"}


def _touched(shots: list[dict[str, Any]]) -> dict[str, object]:
    """Shares of the whole title by frames, as far as they were measured."""
    measured = [s for s in shots if s["touch_share"] is not None]
    frames = sum(s["count"] for s in measured)
    shares = {
        name: round(sum(s["touch_share"][name] * s["count"] for s in measured) / frames, 6)
        for name in TOUCH
        if frames
    }
    return {"frames_measured": frames, **(shares or dict.fromkeys(TOUCH))}


def _operators(shots: list[dict[str, Any]]) -> list[dict[str, object]]:
    """What worked on the pictures, in the order of the chain."""
    found: dict[tuple[str, int, str], int] = {}
    for shot in shots:
        for op in shot["operators"]:
            key = (op["name"], op["version"], op["effect"])
            found[key] = found.get(key, 0) + 1
    order = list(OPERATOR_WORDS)
    ranked = sorted(found, key=lambda k: (order.index(k[0]) if k[0] in order else len(order), k))
    return [
        {
            "name": name,
            "title": OPERATOR_WORDS.get(name, (name, ""))[0],
            "does": OPERATOR_WORDS.get(name, ("", "changed the picture"))[1],
            "version": version,
            "effect": effect,
            "shots": found[name, version, effect],
        }
        for name, version, effect in ranked
    ]


def _look_first(shots: list[dict[str, Any]]) -> list[dict[str, object]]:
    """Held shots, then what failed or was not verified, then the least certain of the rest."""

    def sure(shot: Mapping[str, Any]) -> float:
        return 0.0 if shot["confidence"] is None else float(shot["confidence"])

    order = (Status.HELD, Status.FAILED, Status.UNVERIFIED)
    urgent = [s for s in shots if s["status"] in order]
    urgent.sort(key=lambda s: (order.index(s["status"]), sure(s)))
    decided = [s for s in shots if s["status"] not in order and s["decisions"] is not None]
    rest = [s for s in decided if sure(s) < _DOUBTFUL]
    rest.sort(key=sure)
    return [
        {"shot": s["shot"], "status": s["status"], "why": _why(s)}
        for s in [*urgent, *rest[:_PUT_FORWARD]]
    ]


def _why(shot: Mapping[str, Any]) -> list[str]:
    if shot["status"] == Status.FAILED:
        failure = shot["failure"]
        return [str(failure[k]) for k in ("what", "hint") if failure.get(k)]
    if shot["held_because"]:
        return list(shot["held_because"])
    if shot["status"] == Status.UNVERIFIED:
        return ["rendered, but its result was not measured"]
    return [f"confidence {shot['confidence']:.2f}", *_least_certain(shot)]


def _least_certain(shot: Mapping[str, Any]) -> list[str]:
    parts = shot["decisions"] or {}
    unsure = [
        f"{name} {parts[name]['confidence']:.2f}"
        + (f", {parts[name]['reason']}" if parts[name]["reason"] else "")
        for name in ("weave", "flicker", "dirt", "noise", "balance")
        if parts[name].get("applied", parts[name].get("changes_color"))
        and parts[name]["confidence"] <= shot["confidence"]
    ]
    return ["least certain: " + "; ".join(unsure).replace("balance", "color")] if unsure else []
