"""Every option there is, with its default. ``configs/project.toml`` says the same in words."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from wetgate.night import check_deadline, check_windows

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
NonNegative = Annotated[float, Field(ge=0.0)]


Whole = Annotated[int, Field(ge=0)]
Box = tuple[Whole, Whole, Whole, Whole]
"""Left, top, width, height in px on the scan."""


def _kinds(annotation: object) -> set[object]:
    """What an annotation is made of: types, and whatever else stands in it."""
    return {annotation}.union(*(_kinds(part) for part in get_args(annotation)))


class Section(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _a_number_is_no_switch(cls, value: object, info: ValidationInfo) -> object:
        """``max_repaired_share = true`` would pass for 1.0: everything allowed."""
        if isinstance(value, bool) and info.field_name is not None:
            kinds = _kinds(cls.model_fields[info.field_name].annotation)
            if not kinds.isdisjoint({int, float}) and bool not in kinds:
                raise PydanticCustomError("number", "input should be a number")
        return value


class ReelConfig(Section):
    """One reel of the title."""

    path: str
    id: str = ""
    encoding: str = ""
    rate: str = ""
    matrix: Literal["", "bt709", "bt601", "bt2020", "smpte240m"] = ""
    range: Literal["", "limited", "full"] = ""
    shots: str = ""
    gaps: Literal["", "keep", "hold", "rebuild"] = ""
    defect_map: str = ""
    defect_map_means: Literal["dirt is dark", "dirt is bright"] = "dirt is dark"
    accept: tuple[Literal["variable_rate", "frame_count", "interlaced"], ...] = ()
    sound: bool = True
    reference: bool = False
    neutrals: tuple[tuple[NonNegative, NonNegative, NonNegative], ...] = ()
    restore: dict[str, Any] = Field(default_factory=dict)


class SceneConfig(Section):
    """Shots that belong together and share settings."""

    name: Annotated[str, Field(min_length=1, max_length=120)]
    shots: tuple[str, ...] = ()
    restore: dict[str, Any] = Field(default_factory=dict)


class Policy(Section):
    allow_invented: bool = False
    use: Literal["commercial", "non-commercial"] = "commercial"
    max_repaired_share: Share = 0.05
    max_borrowed_share: Share = 1.0
    max_invented_share: Share = 1.0
    protected_shots: tuple[str, ...] = ()
    protected_regions: dict[str, tuple[Box, ...]] = Field(default_factory=dict)


class Ingest(Section):
    detect_shots: bool = True
    detector: Literal["wetgate", "transnetv2"] = "wetgate"
    find_doubled: bool = True
    find_damaged: bool = True
    untouched_s: NonNegative = 0.0


class Analyse(Section):
    width_px: Annotated[int, Field(ge=64, le=4096)] = 960


class Weave(Section):
    enabled: bool = True
    reference: Literal["auto", "picture", "perforation", "edge"] = "auto"
    turn: bool = True
    border: Literal["keep", "matte", "mirror"] = "keep"
    limit_px: Positive = 32.0
    floor_px: NonNegative = 0.08


class Flicker(Section):
    enabled: bool = True
    local: bool = True
    per_channel: bool = True
    tones: bool = True
    limit_stops: Annotated[float, Field(gt=0.0, le=4.0)] = 1.0
    flash_stops: Annotated[float, Field(gt=0.0, le=8.0)] = 0.6
    floor_stops: NonNegative = 0.004


class Dirt(Section):
    enabled: bool = True
    detector: Literal["network", "rules"] = "network"
    level: Annotated[float, Field(ge=0.05, le=0.99)] = 0.35
    budget: Share = 0.15
    threshold_sigma: Annotated[float, Field(ge=2.0, le=50.0)] = 5.5
    threshold_floor: Annotated[float, Field(gt=0.0, le=1.0)] = 0.035
    max_blob_px: Annotated[int, Field(ge=0)] = 0
    fill: bool = False
    cue_marks: bool = False


class Scratch(Section):
    enabled: bool = True


class Frames(Section):
    enabled: bool = True
    longest_run: Annotated[int, Field(ge=1, le=6)] = 3
    beyond: Literal["lost", "hold"] = "lost"
    min_confidence: Share = 0.6


class Noise(Section):
    enabled: bool = True
    guide: Literal["auto", "network", "blocks"] = "auto"
    effort: Literal["fast", "usual", "fine", "finest"] = "usual"
    strength: Annotated[float, Field(ge=0.0, le=4.0)] = 1.0
    skip_below_sigma: NonNegative = 0.0015


class Grain(Section):
    enabled: bool = True
    amount: Share = 0.35
    source: Literal["auto", "own", "made"] = "auto"
    tolerance: Share = 0.2
    av1_table: bool = False


class UpscaleModel(Section):
    name: str = ""
    path: str = ""
    sha256: str = ""
    licence: str = ""
    trained_on: str = ""
    arch: Literal["srvgg"] = "srvgg"
    features: Annotated[int, Field(ge=1, le=512)] = 64
    layers: Annotated[int, Field(ge=1, le=128)] = 16


class Upscale(Section):
    enabled: bool = False
    factor: Annotated[float, Field(ge=0.0, le=4.0)] = 0.0
    width: Annotated[int, Field(ge=0, le=65536)] = 0
    height: Annotated[int, Field(ge=0, le=65536)] = 0
    smaller: Literal["refuse", "reduce"] = "refuse"
    method: Literal["frames", "lanczos", "network"] = "frames"
    kernel: Literal["mixed", "area", "bicubic"] = "mixed"
    precision: Literal["auto", "full", "half"] = "auto"
    model: UpscaleModel = UpscaleModel()

    @property
    def asked(self) -> float:
        """The factor that is said, or the usual one; of no account beside a width or a height."""
        return self.factor or 2.0

    @property
    def whole(self) -> int:
        """1, 2 or 4 where that is asked for; 0 where the picture is brought to some other size."""
        sized = self.width or self.height
        return int(self.asked) if not sized and self.asked in (1.0, 2.0, 4.0) else 0


class Restore(Section):
    weave: Weave = Weave()
    flicker: Flicker = Flicker()
    dirt: Dirt = Dirt()
    scratch: Scratch = Scratch()
    frames: Frames = Frames()
    noise: Noise = Noise()
    grain: Grain = Grain()
    upscale: Upscale = Upscale()


class Balance(Section):
    enabled: bool = False


class Match(Section):
    enabled: bool = True
    min_confidence: Share = 0.25
    reference_reel: str = ""
    max_slope: Annotated[float, Field(ge=1.0, le=4.0)] = 1.25
    max_offset: Annotated[float, Field(ge=0.0, le=0.5)] = 0.075
    max_power: Annotated[float, Field(ge=1.0, le=2.0)] = 1.2
    max_saturation: Annotated[float, Field(ge=1.0, le=2.0)] = 1.25
    heroes: tuple[str, ...] = ()
    lad: bool = True
    night_lift_points: Annotated[float, Field(ge=0.0, le=12.0)] = 1.0


class Fade(Section):
    enabled: bool = False
    model: Literal["match", "dyes"] = "match"
    max_gain: Annotated[float, Field(ge=1.0, le=10.0)] = 4.0
    min_confidence: Share = 0.25
    max_slope: Annotated[float, Field(ge=1.0, le=4.0)] = 2.5
    max_offset: Annotated[float, Field(ge=0.0, le=1.0)] = 0.4


class Color(Section):
    balance: Balance = Balance()
    match: Match = Match()
    fade: Fade = Fade()
    decisions: tuple[str, ...] = ()
    lut_size: Literal[0, 17, 33, 65] = 33
    view: str = ""


class Render(Section):
    chunk_frames: Annotated[int, Field(ge=1, le=4096)] = 16
    workers: Annotated[int, Field(ge=0, le=256)] = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    tile_px: Annotated[int, Field(ge=0)] = 0


class Night(Section):
    window: Annotated[str, AfterValidator(check_windows)] = ""
    deadline: Annotated[str, AfterValidator(check_deadline)] = ""
    first: tuple[str, ...] = ()
    disk_gb: NonNegative = 0.0
    patience_s: NonNegative = 300.0


class Deliverable(Section):
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]*$")] = "restored"
    format: Literal[
        "source",
        "dpx",
        "tiff",
        "exr",
        "png",
        "jp2",
        "ffv1",
        "prores_422hq",
        "prores_4444",
        "dnxhr_hqx",
        "dnxhr_444",
        "h264",
    ] = "source"
    depth: Literal[0, 8, 10, 12, 16, 32] = 0
    encoding: str = ""
    color: Literal["baked", "recorded"] = "baked"
    names: Literal["reel", "source"] = "reel"
    touch: bool = True


class Project(Section):
    """A title and everything that was asked for it."""

    schema_version: Literal[1] = 1
    title: Annotated[str, Field(min_length=1, max_length=120)] = "untitled"
    reels: tuple[ReelConfig, ...] = ()
    scenes: tuple[SceneConfig, ...] = ()
    policy: Policy = Policy()
    ingest: Ingest = Ingest()
    analyse: Analyse = Analyse()
    restore: Restore = Restore()
    color: Color = Color()
    render: Render = Render()
    night: Night = Night()
    deliver: tuple[Deliverable, ...] = (Deliverable(),)


REPAIRS = ("weave", "flicker", "dirt", "scratch", "frames", "noise", "grain", "upscale")
LAYERED = ("weave", "flicker", "dirt", "scratch", "frames", "noise", "grain")
"""Repairs that a reel, a scene or a shot may set for itself."""
COLOR_WORK = ("balance", "match", "fade")
