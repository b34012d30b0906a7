"""A person's word over what was solved: the decision that stands."""

from __future__ import annotations

from typing import Any, cast

from color.cdl import CDL
from media.errors import ConfigError
from media.reel import PictureFormat
from wetgate.damaged import with_regions
from wetgate.decisions import (
    ColorDecision,
    Decided,
    DirtDecision,
    DirtOverride,
    FlickerDecision,
    FlickerOverride,
    ShotDecisions,
    ShotOverride,
    Switch,
    WeaveDecision,
    WeaveOverride,
)


def settle(
    solved: ShotDecisions, person: ShotOverride | None, scan: PictureFormat
) -> ShotDecisions:
    """The decision that stands: what was solved, with a person's word over it.

    scan: of the shot's reel. raises: ConfigError for a frame that the shot does not have, a wrong
    number of channels, or a shift that leaves nothing of the frame on it.
    """
    if person is None:
        return solved
    protected = solved.protected or person.protect
    solved = _map_asked_for(solved, person) if not protected else solved
    changes: dict[str, object] = {"note": person.note, "protected": protected}
    for name in ("weave", "flicker", "scratch", "dirt", "defect_map", "noise", "fade"):
        switch: Switch = getattr(person, name)
        decision: Decided = getattr(solved, name)
        update: dict[str, object] = {}
        if switch.enabled is False or person.protect:
            update |= {"applied": False, "reason": "switched off by a person"}
        for key in ("strength", "sigma"):
            value = getattr(switch, key, None)
            if value is not None and hasattr(decision, key):
                sigma = (value,) * len(getattr(decision, "sigma", ())) if name == "noise" else value
                update[key] = sigma if key == "sigma" else value
        if name == "noise" and update.get("strength") == 0.0:
            update |= {"applied": False, "reason": "strength 0, by a person"}
        if update or (switch.enabled and getattr(decision, "applied", False)):
            changes[name] = decision.model_copy(update={**update, "origin": "human"})
    if not protected and person.dirt.enabled is not False:
        changes |= _edited_dirt(changes.get("dirt", solved.dirt), person.dirt)
    if person.dirt.regions:
        changes["dirt"] = with_regions(
            solved, changes.get("dirt", solved.dirt), person.dirt.regions, scan
        )
    if person.grain.kept is not None:
        changes["grain"] = solved.grain.model_copy(
            update={"kept": person.grain.kept, "origin": "human"}
        )
    share = person.upscale.share
    if share is not None and solved.upscale.method != "network" and not protected:
        method = "frames" if share else "lanczos"
        changes["upscale"] = solved.upscale.model_copy(
            update={"method": method, "share": share, "origin": "human", "reason": ""}
        )
    edited = _edited_flicker(solved, person.flicker, scan.channels)
    if edited is not None and not protected and person.flicker.enabled is not False:
        changes["flicker"] = edited
    edited_weave = _edited_weave(solved, person.weave, scan)
    if edited_weave is not None and not protected and person.weave.enabled is not False:
        changes["weave"] = edited_weave
    changes |= _settle_color(solved, person)
    return solved.model_copy(update=changes)


def _map_asked_for(solved: ShotDecisions, person: ShotOverride) -> ShotDecisions:
    """A refused map is not switched on by a person either: it says so.

    raises: ConfigError where there is no map to be switched on.
    """
    found = solved.defect_map
    if not person.defect_map.enabled or found.applied:
        return solved
    if not found.reason:
        raise ConfigError(
            f'["{solved.shot}".defect_map] enabled = true: this shot has no defect map',
            shot=solved.shot,
            hint="name it as reels.defect_map, or take the line out of overrides.toml",
        )
    why = f"{found.reason}; overrides.toml asks for it, but what was refused is not used"
    return solved.model_copy(update={"defect_map": found.model_copy(update={"reason": why})})


def _edited_dirt(dirt: object, person: DirtOverride) -> dict[str, object]:
    """A person's likelihood, or their wish for a repair that the planted trial advises against.

    What the trial counted was counted at another strength: it no longer stands beside it.
    """
    assert isinstance(dirt, DirtDecision)
    update: dict[str, object] = {}
    if person.level is not None:
        figures = ("trial_recall", "trial_false", "trial_taken", "trial_budget")
        update = {"level": person.level, **dict.fromkeys(figures)}
    wished = person.enabled or person.level is not None
    if wished and not dirt.applied and dirt.trial_recall is not None:
        update |= {"applied": True, "reason": ""}
    return {"dirt": dirt.model_copy(update={**update, "origin": "human"})} if update else {}


def _edited_flicker(
    solved: ShotDecisions, person: FlickerOverride, channels: int
) -> FlickerDecision | None:
    """The solved curve, scaled and with a person's frames in it; None when they said nothing.

    Where the shot was left alone, the frames they gave are all that is corrected.
    raises: ConfigError for frames that the shot does not have, or a wrong number of channels.
    """
    flicker, strength = solved.flicker, person.strength
    if not person.exposure_stops and (strength is None or not flicker.applied):
        return None
    times = 1.0 if strength is None else strength

    def scaled(value: object) -> object:
        if isinstance(value, tuple):
            return tuple(scaled(v) for v in value)
        return round(float(cast("float", value)) * times, 6) + 0.0

    curves = ("exposure_stops", "contrast", "bend", "grid_stops", "channel_grid_stops")
    update: dict[str, Any] = {name: scaled(getattr(flicker, name)) for name in curves}
    count = solved.frames[1] - solved.frames[0] + 1
    exposure = list(update["exposure_stops"]) or [(0.0,) * channels] * count
    for frame, given in person.exposure_stops.items():
        where = f"overrides.toml: {solved.shot}.flicker.exposure_stops"
        at = _place(solved, frame, where)
        if len(given) not in (1, channels):
            raise ConfigError(
                f"{where}: frame {frame} has {len(given)} values",
                shot=solved.shot,
                hint=f"give one, or {channels}, one per channel",
            )
        exposure[at] = given if len(given) == channels else given * channels
    update["exposure_stops"] = tuple(exposure)
    sure = flicker.confidence if flicker.applied else 1.0
    return flicker.model_copy(
        update={**update, "applied": True, "reason": "", "confidence": sure, "origin": "human"}
    )


def _edited_weave(
    solved: ShotDecisions, person: WeaveOverride, scan: PictureFormat
) -> WeaveDecision | None:
    """The solved path, scaled and with a person's frames in it; None when they said nothing.

    raises: ConfigError for frames that the shot does not have, or that would be moved off.
    """
    weave = solved.weave
    given = bool(person.shift_px or person.turn_deg)
    if not given and (person.strength is None or not weave.applied):
        return None
    count = solved.frames[1] - solved.frames[0] + 1
    times = 1.0 if person.strength is None else person.strength
    still = (0.0,) * count
    dx, dy, turn = (
        [round(v * times, 5) + 0.0 for v in (path or still)]
        for path in (weave.dx_px, weave.dy_px, weave.turn_deg)
    )
    where = f"overrides.toml: {solved.shot}.weave"
    for frame, (right, down) in person.shift_px.items():
        at = _place(solved, frame, f"{where}.shift_px")
        if abs(right) >= scan.width or abs(down) >= scan.height:
            raise ConfigError(
                f"{where}.shift_px: nothing would be left of frame {frame}",
                shot=solved.shot,
                hint=f"the scan is {scan.width}x{scan.height}",
            )
        dx[at], dy[at] = right, down
    for frame, degrees in person.turn_deg.items():
        turn[_place(solved, frame, f"{where}.turn_deg")] = degrees
    return weave.model_copy(
        update={
            "applied": True,
            "reason": "",
            "dx_px": tuple(dx),
            "dy_px": tuple(dy),
            "turn_deg": tuple(turn) if any(turn) else (),
            "confidence": weave.confidence if weave.applied else 1.0,
            "origin": "human",
        }
    )


def _place(solved: ShotDecisions, frame: str, where: str) -> int:
    """Position of a frame in its shot. raises: ConfigError when it has none."""
    first, last = solved.frames
    if not frame.isdecimal() or not first <= int(frame) <= last:
        raise ConfigError(
            f"{where}: {frame!r} is no frame of this shot",
            shot=solved.shot,
            hint=f"its frames are {first} to {last}",
        )
    return int(frame) - first


def _settle_color(solved: ShotDecisions, person: ShotOverride) -> dict[str, object]:
    if solved.protected or person.protect or person.balance.enabled is False:
        off = ColorDecision(origin="human", reason="switched off by a person")
        return {"balance": off}
    given = {
        k: v
        for k in ("slope", "offset", "power", "saturation")
        if (v := getattr(person.balance, k)) is not None
    }
    if not given:
        return {}
    now = solved.balance.model_copy(
        update={
            **given,
            **dict.fromkeys(("slope_std", "offset_std", "power_std"), (0.0, 0.0, 0.0)),
            "saturation_std": 0.0,
            "limited": False,
            "origin": "human",
            "confidence": 1.0,
            "reason": "",
        }
    )
    r, g, b = CDL(now.slope, now.offset, now.power, now.saturation).printer_points()
    points = (round(float(r), 2) + 0.0, round(float(g), 2) + 0.0, round(float(b), 2) + 0.0)
    return {"balance": now.model_copy(update={"printer_points": points})}
