"""What was decided for a shot, by measurement or by a person. Pixels follow from this alone."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import Field, ValidationError

from color.cdl import CDL
from media.errors import ConfigError
from wetgate.config import NonNegative, Section, Share
from wetgate.project import nearest

Triple = tuple[float, float, float]
SPACE = "Wetgate film log (Cineon printing density, 1.0 = code 1023), no clamp"


class Decided(Section):
    """Part of every decision; none of it moves a pixel."""

    origin: Literal["solved", "human"] = "solved"
    confidence: float = 1.0
    reason: str = ""


class WeaveDecision(Decided):
    applied: bool = False
    dx_px: tuple[float, ...] = ()
    """Per frame; positive moves the picture to the right."""
    dy_px: tuple[float, ...] = ()
    """Per frame; positive moves it down."""
    turn_deg: tuple[float, ...] = ()
    """Per frame, clockwise about the middle; empty: none turns."""
    reference: Literal["picture", "perforation", "edge"] = "picture"
    """What was held still."""
    border: Literal["keep", "matte", "mirror"] = "keep"
    matte_px: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Black rows at the top and bottom, columns left and right: one rectangle for a reel."""
    jumps: tuple[int, ...] = ()
    """Frames from which on the picture stands elsewhere in the scan than before."""
    unseen: tuple[int, ...] = ()
    """Frames that could not be followed or lie beyond the limit; they are not moved."""


class FlickerDecision(Decided):
    applied: bool = False
    exposure_stops: tuple[tuple[float, ...], ...] = ()
    """Per frame and channel, added."""
    contrast: tuple[tuple[float, ...], ...] = ()
    """Per frame and channel: stops for each stop that a tone lies above the pivot."""
    bend: tuple[tuple[float, ...], ...] = ()
    """Per frame and channel: stops times (square of the stops above the pivot, less one)."""
    pivot: float = 0.0
    """Film log."""
    grid_stops: tuple[tuple[tuple[float, ...], ...], ...] = ()
    """Per frame: further correction at rows x columns of nodes, from border to border."""
    channel_grid_stops: tuple[tuple[tuple[tuple[float, ...], ...], ...], ...] = ()
    """Per frame and channel, beyond that; empty: all channels alike."""
    kept_flashes: tuple[int, ...] = ()
    unseen: tuple[int, ...] = ()
    """Frames left alone because too little of them is usable (black, clipped)."""


class ScratchDecision(Decided):
    applied: bool = False
    places: dict[str, tuple[tuple[float, float, int, int], ...]] = Field(default_factory=dict)
    """Frame number to lines: x_px, width_px, top_px, bottom_px in the scan, before weave."""
    rejected: tuple[str, ...] = ()
    """Lines that were found and left, with the reason."""


class DirtDecision(Decided):
    applied: bool = False
    sigma: float = 0.0
    threshold_sigma: float = 5.5
    threshold_floor: float = 0.035
    max_blob_px: int = 4000


class NoiseDecision(Decided):
    applied: bool = False
    effort: Literal["fast", "usual", "fine"] = "usual"
    sigma: tuple[float, ...] = ()
    """(C,) film log, at the typical level."""
    strength: float = 1.0
    levels: tuple[float, ...] = ()
    """(K,) film log."""
    level_share: tuple[tuple[float, ...], ...] = ()
    """(C, K) of sigma at these levels; empty where grain is taken to be the same at all."""
    spectrum: tuple[tuple[float, ...], ...] = ()
    """(8, 8) power of DCT blocks over that of white grain; empty for white."""
    coarse_spectrum: tuple[tuple[float, ...], ...] = ()
    """(8, 8) the same after taking means over 2 x 2 px."""
    channel_correlation: tuple[tuple[float, ...], ...] = ()
    """(C, C); empty where channels are independent."""


class GrainDecision(Decided):
    kept: Share = 0.0
    measured_sigma: tuple[float, ...] = ()
    correlation: float = 0.0


class FadeDecision(Decided):
    """What undoes the fading of a reel: ``matrix @ scan + offset`` in film log, before the CDL."""

    applied: bool = False
    matrix: tuple[Triple, Triple, Triple] = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    offset: Triple = (0.0, 0.0, 0.0)
    dyes_left: Triple = (1.0, 1.0, 1.0)
    """Share of the cyan, magenta and yellow dye that is left, relative to the best kept one."""


class ColorDecision(Decided):
    slope: Triple = (1.0, 1.0, 1.0)
    offset: Triple = (0.0, 0.0, 0.0)
    power: Triple = (1.0, 1.0, 1.0)
    saturation: float = 1.0
    limited: bool = False
    """Cut back to what the project allows: the shot is held for review where it is baked."""
    slope_std: Triple = (0.0, 0.0, 0.0)
    """Standard deviations of the solved values; 0 where nothing was estimated."""
    offset_std: Triple = (0.0, 0.0, 0.0)
    power_std: Triple = (0.0, 0.0, 0.0)
    saturation_std: float = 0.0
    space: str = SPACE
    printer_points: Triple = (0.0, 0.0, 0.0)
    links: tuple[str, ...] = ()


class ShotDecisions(Section):
    """decisions/<shot>.json."""

    schema_version: Literal[1] = 1
    shot: str
    reel: str
    frames: tuple[int, int]
    """First and last, scan numbers, inclusive."""
    kind: str = "shot"
    flags: tuple[str, ...] = ()
    flag_reasons: dict[str, str] = Field(default_factory=dict)
    """By flag: what was seen, how sure, what it switches off."""
    settings_from: tuple[str, ...] = ()
    """Layers beside the title's own that set options for this shot: reel, scene, shot."""
    protected: bool = False
    weave: WeaveDecision = WeaveDecision()
    flicker: FlickerDecision = FlickerDecision()
    scratch: ScratchDecision = ScratchDecision()
    dirt: DirtDecision = DirtDecision()
    noise: NoiseDecision = NoiseDecision()
    grain: GrainDecision = GrainDecision()
    fade: FadeDecision = FadeDecision()
    balance: ColorDecision = ColorDecision()
    confidence: float = 1.0
    """The least certain decision that was applied."""
    reasons: tuple[str, ...] = ()
    """Everything that was left alone, in plain words."""
    note: str = ""
    """A person's note. Moves no pixel."""


class Switch(Section):
    """A person's word on a repair of one shot."""

    enabled: bool | None = None


class WeaveOverride(Switch):
    strength: Annotated[float, Field(ge=0.0, le=2.0)] | None = None
    """Times the solved correction."""
    shift_px: dict[str, tuple[float, float]] = Field(default_factory=dict)
    """Scan number to how far that frame is moved to the right and down."""
    turn_deg: dict[str, float] = Field(default_factory=dict)
    """Scan number to how far that frame is turned clockwise."""


class FlickerOverride(Switch):
    strength: Annotated[float, Field(ge=0.0, le=2.0)] | None = None
    """Times the solved correction."""
    exposure_stops: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    """Scan number to the exposure correction of that frame, one value or one per channel."""


class NoiseOverride(Switch):
    strength: Annotated[float, Field(ge=0.0, le=4.0)] | None = None


class GrainOverride(Section):
    kept: Share | None = None


class DirtOverride(Switch):
    sigma: NonNegative | None = None


class BalanceOverride(Switch):
    slope: Triple | None = None
    offset: Triple | None = None
    power: Triple | None = None
    saturation: NonNegative | None = None


class ShotOverride(Section):
    """One table of overrides.toml."""

    note: str = ""
    protect: bool = False
    weave: WeaveOverride = WeaveOverride()
    flicker: FlickerOverride = FlickerOverride()
    scratch: Switch = Switch()
    dirt: DirtOverride = DirtOverride()
    noise: NoiseOverride = NoiseOverride()
    grain: GrainOverride = GrainOverride()
    fade: Switch = Switch()
    balance: BalanceOverride = BalanceOverride()
    flags: dict[str, bool] = Field(default_factory=dict)
    """What the shot is (true) or is not (false), whatever was measured; color.protect.RULES."""
    restore: dict[str, Any] = Field(default_factory=dict)
    """Settings of repairs for this shot, as in the project's [restore]."""


def read_overrides(path: Path, shots: set[str]) -> dict[str, ShotOverride]:
    """People's decisions, by shot id. No file, no overrides.

    raises: ConfigError naming the table and key, and the nearest that exists.
    """
    if not path.is_file():
        return {}
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"overrides.toml is not valid TOML: {error}", hint="mend it") from error
    found = {}
    for name, value in table.items():
        if name not in shots:
            raise ConfigError(
                f"overrides.toml: there is no shot {name!r}", hint=nearest(name, sorted(shots))
            )
        try:
            found[name] = ShotOverride.model_validate(value)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(p) for p in first["loc"])
            known = [f"{a}.{b}" for a, f in ShotOverride.model_fields.items() for b in _inner(f)]
            raise ConfigError(
                f"overrides.toml: {name}.{where}: {first['msg'].lower()}",
                shot=name,
                hint=nearest(where, [*known, *ShotOverride.model_fields]),
            ) from error
    return found


def _inner(field: object) -> list[str]:
    annotation = getattr(field, "annotation", None)
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return list(annotation.model_fields)
    return []


def settle(solved: ShotDecisions, person: ShotOverride | None) -> ShotDecisions:
    """The decision that stands: what was solved, with a person's word over it."""
    if person is None:
        return solved
    protected = solved.protected or person.protect
    changes: dict[str, object] = {"note": person.note, "protected": protected}
    for name in ("weave", "flicker", "scratch", "dirt", "noise", "fade"):
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
        if update or (switch.enabled and getattr(decision, "applied", False)):
            changes[name] = decision.model_copy(update={**update, "origin": "human"})
    if person.grain.kept is not None:
        changes["grain"] = solved.grain.model_copy(
            update={"kept": person.grain.kept, "origin": "human"}
        )
    if "flicker" not in changes or solved.flicker.applied:
        edited = _edited_flicker(solved, person.flicker)
        if edited is not None and not protected and person.flicker.enabled is not False:
            changes["flicker"] = edited
    edited_weave = _edited_weave(solved, person.weave)
    if edited_weave is not None and not protected and person.weave.enabled is not False:
        changes["weave"] = edited_weave
    changes |= _settle_color(solved, person)
    return solved.model_copy(update=changes)


def _edited_flicker(solved: ShotDecisions, person: FlickerOverride) -> FlickerDecision | None:
    """The solved curve, scaled and with a person's frames in it; None when they said nothing.

    raises: ConfigError for frames that the shot does not have, or a wrong number of channels.
    """
    flicker, strength = solved.flicker, person.strength
    if not flicker.applied or (strength is None and not person.exposure_stops):
        return None
    times = 1.0 if strength is None else strength

    def scaled(value: object) -> object:
        if isinstance(value, tuple):
            return tuple(scaled(v) for v in value)
        return round(float(cast("float", value)) * times, 6) + 0.0

    curves = ("exposure_stops", "contrast", "bend", "grid_stops", "channel_grid_stops")
    update: dict[str, Any] = {name: scaled(getattr(flicker, name)) for name in curves}
    exposure = list(update["exposure_stops"])
    for frame, given in person.exposure_stops.items():
        where = f"overrides.toml: {solved.shot}.flicker.exposure_stops"
        at = _place(solved, frame, where)
        channels = len(exposure[0])
        if len(given) not in (1, channels):
            raise ConfigError(
                f"{where}: frame {frame} has {len(given)} values",
                shot=solved.shot,
                hint=f"give one, or {channels}, one per channel",
            )
        exposure[at] = given if len(given) == channels else given * channels
    update["exposure_stops"] = tuple(exposure)
    return flicker.model_copy(update={**update, "origin": "human"})


def _edited_weave(solved: ShotDecisions, person: WeaveOverride) -> WeaveDecision | None:
    """The solved path, scaled and with a person's frames in it; None when they said nothing.

    raises: ConfigError for frames that the shot does not have.
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
