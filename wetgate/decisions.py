"""What was decided for a shot, by measurement or by a person. Pixels follow from this alone."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from color.cdl import LEAST_POWER, MOST_OFFSET, MOST_POWER, MOST_SATURATION, MOST_SLOPE
from media.errors import ConfigError
from wetgate.config import Box, NonNegative, Section, Share
from wetgate.project import nearest

Triple = tuple[float, float, float]
MOST_TURN_DEG, MOST_STOPS = 5.0, 8.0
"""Beyond these a number that a person gave is a slip: no gate turns a frame so far, and no
exposure that can be corrected is so far off."""
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
    kept_jumps: tuple[int, ...] = ()
    """Those that are larger than the limit, so that it goes on standing elsewhere."""
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


Line = tuple[float, float, int, int, float, float]


class ScratchDecision(Decided):
    applied: bool = False
    places: dict[str, tuple[Line, ...]] = Field(default_factory=dict)
    """Frame number to lines: x_px half-way down, width_px, top_px, bottom_px in the scan, before
    weave; strength, film log; lean_px, by which the foot of the frame is further right."""
    hidden: dict[str, tuple[tuple[float, float, int, int, float], ...]] = Field(
        default_factory=dict
    )
    """The same but strength, of lines that hide the picture: frames near by show what is borrowed
    there."""
    rejected: tuple[str, ...] = ()
    """Lines that were found and left, with the reason."""


class DirtRegion(Section):
    """Dirt that a person saw, in one place of the scan: on one frame, or on several in a row."""

    frames: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]]
    """First and last, scan numbers."""
    box_px: Box
    """Left, top, width and height on the scan."""


class DirtDecision(Decided):
    applied: bool = False
    detector: Literal["network", "rules"] = "network"
    level: float = 0.35
    """Network: likelihood from which on a piece is taken."""
    sigma: float = 0.0
    threshold_sigma: float = 5.5
    threshold_floor: float = 0.035
    max_blob_px: int = 0
    """Larger pieces stay; 0: than a twentieth of the frame."""
    fill: bool = False
    """Invent what no neighbouring frame shows."""
    cue_marks: tuple[int, ...] = ()
    """First and last frame on which cue marks are left alone; empty where they may go."""
    trial_recall: float | None = None
    """Share of planted dirt that was found; None where nothing was tried."""
    trial_false: float | None = None
    """Share of planted small moving things that was taken."""
    trial_taken: float | None = None
    """Share of the picture as it is that was taken."""
    trial_budget: float | None = None
    regions: tuple[DirtRegion, ...] = ()
    """What a person named as dirt, whatever is found."""


class FrameDecision(Decided):
    """A frame that is destroyed, torn or spliced, or that a person named."""

    frame: int
    kind: str
    """blank, overexposed, dark, fogged, burnt, torn, splice; flash and other picture, which are
    left; named, where only a person says so."""
    done: Literal["rebuilt", "held", "lost", "left"] = "left"
    part_px: tuple[tuple[int, int, int, int], ...] = ()
    """Top, left, bottom, right on the scan; empty: all of the frame."""


class DefectMapDecision(Decided):
    """The reel's defect map on this shot: used, or refused and why."""

    applied: bool = False
    dx_px: float = 0.0
    """How far right of the map the picture lies."""
    dy_px: float = 0.0


def parts_of(
    decisions: Iterable[FrameDecision],
) -> dict[int, tuple[tuple[int, int, int, int], ...]]:
    """Frames of which only a part is made, px on the scan."""
    return {d.frame: d.part_px for d in decisions if d.done == "rebuilt" and d.part_px}


class NoiseDecision(Decided):
    applied: bool = False
    guide: Literal["network", "blocks"] = "blocks"
    """What says how far each frequency stands: a network, or the filter's own first pass."""
    effort: Literal["fast", "usual", "fine", "finest"] = "usual"
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
    """Of the measured grain, that the result is to have."""
    source: Literal["own", "made"] = "own"
    """The frame's own, or made from what was measured of it."""
    seed: int = 0
    """Of what is made; the rest of its randomness is place and frame number."""
    autocorrelation: tuple[tuple[float, ...], ...] = ()
    """(8, 8) between pixels so many rows and columns apart; empty for white."""
    measured_sigma: tuple[float, ...] = ()
    correlation: float = 0.0


class UpscaleDecision(Decided):
    applied: bool = False
    method: Literal["frames", "lanczos", "network"] = "lanczos"
    """What this shot is enlarged by; not always what the project asks for: see reason."""
    share: Share = 0.0
    """Of what neighbouring frames add."""
    gain_db: float | None = None
    steadiness: float | None = None
    deviation: float | None = None
    """Several frames against single ones, as ``restore.upscale.measure`` found them."""


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
    defect_map: DefectMapDecision = DefectMapDecision()
    protected_regions: tuple[Box, ...] = ()
    """Left, top, width, height in px on the scan: no repair of the surface there."""
    frame_damage: tuple[FrameDecision, ...] = ()
    """Frames of this shot that are damaged as a whole or in a large part."""
    noise: NoiseDecision = NoiseDecision()
    grain: GrainDecision = GrainDecision()
    upscale: UpscaleDecision = UpscaleDecision()
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


_Turn = Annotated[float, Field(ge=-MOST_TURN_DEG, le=MOST_TURN_DEG)]
_Stops = Annotated[float, Field(ge=-MOST_STOPS, le=MOST_STOPS)]


class WeaveOverride(Switch):
    strength: Annotated[float, Field(ge=0.0, le=2.0)] | None = None
    """Times the solved correction."""
    shift_px: dict[str, tuple[float, float]] = Field(default_factory=dict)
    """Scan number to how far that frame is moved to the right and down."""
    turn_deg: dict[str, _Turn] = Field(default_factory=dict)
    """Scan number to how far that frame is turned clockwise."""


class FlickerOverride(Switch):
    strength: Annotated[float, Field(ge=0.0, le=2.0)] | None = None
    """Times the solved correction."""
    exposure_stops: dict[str, tuple[_Stops, ...]] = Field(default_factory=dict)
    """Scan number to the exposure correction of that frame, one value or one per channel."""


class NoiseOverride(Switch):
    strength: Annotated[float, Field(ge=0.0, le=4.0)] | None = None


class GrainOverride(Section):
    kept: Share | None = None


class UpscaleOverride(Section):
    share: Share | None = None
    """Of what neighbouring frames add; 0 enlarges from single frames."""


class DirtOverride(Switch):
    sigma: NonNegative | None = None
    level: Annotated[float, Field(ge=0.05, le=0.99)] | None = None
    """Likelihood from which on a piece is taken, whatever the trial said."""
    regions: tuple[DirtRegion, ...] = ()
    """Places and frames that are dirty, whatever is found there."""


class FramesOverride(Switch):
    """Frames by scan number, whatever was found."""

    rebuild: tuple[int, ...] = ()
    hold: tuple[int, ...] = ()
    lost: tuple[int, ...] = ()
    leave: tuple[int, ...] = ()


_Slope = Annotated[float, Field(ge=0.0, le=MOST_SLOPE)]
_Offset = Annotated[float, Field(ge=-MOST_OFFSET, le=MOST_OFFSET)]
_Power = Annotated[float, Field(ge=LEAST_POWER, le=MOST_POWER)]


class BalanceOverride(Switch):
    """Numbers beyond any grade are refused, as in files (``color.cdl.given_cdl``)."""

    slope: tuple[_Slope, _Slope, _Slope] | None = None
    offset: tuple[_Offset, _Offset, _Offset] | None = None
    power: tuple[_Power, _Power, _Power] | None = None
    saturation: Annotated[float, Field(ge=0.0, le=MOST_SATURATION)] | None = None


class ShotOverride(Section):
    """One table of overrides.toml."""

    note: str = ""
    protect: bool = False
    weave: WeaveOverride = WeaveOverride()
    flicker: FlickerOverride = FlickerOverride()
    scratch: Switch = Switch()
    dirt: DirtOverride = DirtOverride()
    frames: FramesOverride = FramesOverride()
    defect_map: Switch = Switch()
    protected_regions: tuple[Box, ...] = ()
    noise: NoiseOverride = NoiseOverride()
    grain: GrainOverride = GrainOverride()
    upscale: UpscaleOverride = UpscaleOverride()
    fade: Switch = Switch()
    balance: BalanceOverride = BalanceOverride()
    flags: dict[str, bool] = Field(default_factory=dict)
    """What the shot is (true) or is not (false), whatever was measured; color.protect.RULES."""
    restore: dict[str, Any] = Field(default_factory=dict)
    """Settings of repairs for this shot, as in the project's [restore]."""


def read_overrides(path: Path, shots: set[str], *, others: bool = False) -> dict[str, ShotOverride]:
    """People's decisions, by shot id. No file, no overrides.

    others: the file also speaks of shots that are not among these; they are passed over.
    raises: ConfigError naming the table and key, and the nearest that exists.
    """
    if not path.is_file():
        return {}
    try:
        table = tomllib.loads(path.read_text("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"overrides.toml is not valid TOML: {error}", hint="mend it") from error
    found = {}
    for name, value in table.items():
        if name not in shots and others:
            continue
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
            misspelt = first["type"] == "extra_forbidden"
            raise ConfigError(
                f"overrides.toml: {name}.{where}: {first['msg'].lower()}",
                shot=name,
                hint=nearest(where, [*known, *ShotOverride.model_fields])
                if misspelt
                else f"it is {first['input']!r}",
            ) from error
    return found


def _inner(field: object) -> list[str]:
    annotation = getattr(field, "annotation", None)
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return list(annotation.model_fields)
    return []
