"""Bind a shot's decisions to operators, in the fixed order of repair.

Lines on the film, geometry, exposure, surface, grain, scale, color: each step works on what the
one before it has settled. Lines go first because they lie still on the film, not in the picture.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from torch import nn

from color.apply import BalanceOperator
from color.cdl import CDL
from color.fade import Unfading
from color.transform import ShotTransform
from color.unfade import UnfadeOperator
from media.errors import ModelRefused
from media.passes import Operator
from media.reel import Shot
from restore.dirt.apply import DirtOperator
from restore.dirt.detect import DirtOptions
from restore.dirt.lines import HiddenLine, LineCoverOperator
from restore.flicker.apply import FlickerOperator, FrameFlicker
from restore.grain.apply import GrainOperator, lost_by_blending
from restore.grain.synth import GrainLook
from restore.grain_curve import GrainCurve
from restore.models.card import ModelCard
from restore.models.load import load_network
from restore.noise.apply import NoiseOperator
from restore.noise.efforts import EFFORTS, GUIDED
from restore.noise.guide import Guide
from restore.noise.transform import GrainModel
from restore.rebuild.apply import RebuildOperator
from restore.scratch.apply import ScratchOperator
from restore.scratch.solve import ScratchPlace
from restore.upscale.fit import FitOperator
from restore.upscale.frames import FramesUpscale
from restore.upscale.network import NetworkUpscale
from restore.upscale.placed import PlacedUpscale
from restore.upscale.resample import ResampleUpscale
from restore.weave.apply import WeaveOperator
from wetgate.config import Project
from wetgate.decisions import (
    ColorDecision,
    DirtDecision,
    FlickerDecision,
    GrainDecision,
    NoiseDecision,
    ShotDecisions,
    UpscaleDecision,
    WeaveDecision,
    parts_of,
)
from wetgate.numerics import Numerics, halved
from wetgate.size import Size
from wetgate.upscale_model import model_card


def build_chain(
    project: Project,
    shot: Shot,
    decisions: ShotDecisions,
    before: ShotDecisions | None,
    after: ShotDecisions | None,
    *,
    baked: bool,
    numerics: Numerics,
    size: Size,
    rebuilt: Mapping[int, float] | None = None,
) -> list[Operator]:
    """The operators that this shot needs, in order; an empty list passes the scan through.

    before, after: decisions of the neighbouring shots of the reel, for dissolves.
    baked: False leaves the color decision out (it is then only recorded).
    numerics: the profile of the kind of worker that is to render the shot; this machine is not
    asked for its own, so that every worker builds the same chain for it.
    size: of the reel's pictures, as scanned and as delivered.
    rebuilt: frames to be made from both sides, whole or in part, with their place between them.
    raises: ModelRefused.
    """
    numbers = list(shot.frames)
    chain: list[Operator] = []
    if decisions.scratch.applied:
        chain.append(_scratch(decisions))
        if decisions.scratch.hidden:
            chain.append(_line_cover(decisions))
    weave = decisions.weave
    larger = size.factor > 1
    # One resample: where the picture is enlarged by a kernel anyway, weave waits for that.
    together = larger and _enlarged_by(project, decisions.upscale) != "network"
    moved = _weave(numbers, weave) if weave.applied or any(weave.matte_px) else None
    if moved is not None and not together:
        chain.append(moved)
    flicker = decisions.flicker
    if flicker.applied:
        chain.append(_flicker(numbers, flicker))
    if decisions.dirt.applied:
        chain.append(_dirt(project, decisions.dirt, half=halved(numerics)))
    if rebuilt:
        # From repaired pictures, so that no dirt is blended in.
        parts = _parts(decisions, None if together else moved)
        chain.append(RebuildOperator(dict(rebuilt), parts))
        whole = {n: share for n, share in rebuilt.items() if n not in parts}
        if decisions.grain.measured_sigma and whole:
            chain.append(_rebuilt_grain(decisions, whole))
    noise = decisions.noise
    if noise.applied:
        kept = 0.0 if decisions.grain.source == "made" else decisions.grain.kept
        if kept < 1.0:
            chain.append(noise_operator(noise, kept, half=halved(numerics)))
    if larger:
        place = moved if together else None
        pays = halved(numerics)
        chain.append(_upscale(project, decisions.upscale, numbers, size.factor, place, pays=pays))
    made = _made_grain(decisions, 1.0 if size.smaller else size.ratio)
    if size.smaller:
        # What a smaller picture cannot hold, it loses of its grain too.
        chain += made
    if size.fitted:
        chain.append(FitOperator(size.out_px))
    if not size.smaller:
        chain += made
    if baked:
        if decisions.fade.applied and not decisions.protected:
            chain.append(UnfadeOperator(decisions.fade.matrix, decisions.fade.offset))
        color = None if decisions.protected else _color(shot, decisions.balance, before, after)
        if color is not None:
            chain.append(color)
    return chain


def as_cdl(decision: ColorDecision) -> CDL:
    """The CDL in a decision."""
    return CDL(decision.slope, decision.offset, decision.power, decision.saturation)


def as_transform(decisions: ShotDecisions) -> ShotTransform:
    """Everything that is decided on the color of a shot."""
    fade = decisions.fade
    if decisions.protected:
        return ShotTransform()
    unfading = Unfading(
        matrix=fade.matrix,
        offset=fade.offset,
        left=fade.dyes_left,
        confidence=fade.confidence,
        reason=fade.reason,
    )
    return ShotTransform(unfading=unfading if fade.applied else None, cdl=as_cdl(decisions.balance))


def _dirt(project: Project, dirt: DirtDecision, *, half: bool) -> DirtOperator:
    marks = range(dirt.cue_marks[0], dirt.cue_marks[1] + 1) if dirt.cue_marks else ()
    return DirtOperator(
        dirt.sigma,
        DirtOptions(
            detector=dirt.detector,
            level=dirt.level,
            threshold_sigma=dirt.threshold_sigma,
            threshold_floor=dirt.threshold_floor,
            max_blob_px=dirt.max_blob_px,
            max_area_share=project.policy.max_repaired_share,
            fill=dirt.fill,
        ),
        half=half,
        cue_marks=frozenset(marks),
    )


def _scratch(decisions: ShotDecisions) -> ScratchOperator:
    """Scratches come first: they were measured where they lie on the scan."""
    return ScratchOperator(
        {
            int(number): tuple(
                ScratchPlace(
                    x_px=x,
                    width_px=width,
                    top_px=top,
                    bottom_px=bottom,
                    strength=strength,
                    lean_px=lean,
                )
                for x, width, top, bottom, strength, lean in lines
            )
            for number, lines in decisions.scratch.places.items()
        }
    )


def _line_cover(decisions: ShotDecisions) -> LineCoverOperator:
    """What lines hide is borrowed before anything is moved: there they are straight."""
    return LineCoverOperator(
        {
            int(number): tuple(HiddenLine(*line) for line in lines)
            for number, lines in decisions.scratch.hidden.items()
        },
        decisions.dirt.sigma,
    )


def _weave(numbers: Sequence[int], decision: WeaveDecision) -> WeaveOperator:
    """A shot that stands still may yet wear the matte of its reel."""
    shifts = zip(decision.dx_px, decision.dy_px, strict=True) if decision.applied else ()
    turns = decision.turn_deg if decision.applied else ()
    return WeaveOperator(
        dict(zip(numbers, shifts, strict=False)),
        dict(zip(numbers, turns, strict=False)),
        decision.border,
        decision.matte_px,
    )


def grain_curve(decision: NoiseDecision) -> GrainCurve:
    """Strength by level and channel, as it was measured."""
    if not decision.level_share:
        return GrainCurve.flat(decision.sigma)
    shares = zip(decision.sigma, decision.level_share, strict=True)
    return GrainCurve(decision.levels, tuple(tuple(s * v for v in row) for s, row in shares))


def grain_look(noise: NoiseDecision, grain: GrainDecision) -> GrainLook:
    """What grain that is made has to look like."""
    return GrainLook.measured(grain_curve(noise), grain.autocorrelation, noise.channel_correlation)


def _parts(
    decisions: ShotDecisions, moved: WeaveOperator | None
) -> dict[int, tuple[tuple[int, int, int, int], ...]]:
    """Parts of frames that are made: known on the scan, and moved with the picture."""
    found = parts_of(decisions.frame_damage)
    if moved is None:
        return found
    out = {}
    for number, parts in found.items():
        place = moved.placement(number)
        rim = 1 if place.moves else 0
        out[number] = tuple(
            (
                max(0, math.floor(top + place.dy_px) - rim),
                max(0, math.floor(left + place.dx_px) - rim),
                max(0, math.ceil(bottom + place.dy_px) + rim),
                max(0, math.ceil(right + place.dx_px) + rim),
            )
            for top, left, bottom, right in parts
        )
    return out


def _made_grain(decisions: ShotDecisions, ratio: float) -> list[Operator]:
    """Grain that is made in place of what was taken out, at a size of ``ratio`` times the scan."""
    noise, grain = decisions.noise, decisions.grain
    if not noise.applied or grain.source != "made" or grain.kept <= 0.0:
        return []
    return [GrainOperator(grain_look(noise, grain), grain.kept, grain.seed, ratio)]


def _rebuilt_grain(decisions: ShotDecisions, rebuilt: Mapping[int, float]) -> GrainOperator:
    """Frames made from two have less grain than those beside them: what they lack."""
    noise = decisions.noise
    if not noise.sigma:
        noise = noise.model_copy(update={"sigma": decisions.grain.measured_sigma})
    lacking = {n: round(lost_by_blending(share), 6) for n, share in rebuilt.items()}
    look = grain_look(noise, decisions.grain)
    # Another seed than that of grain given back later to the same frame.
    return GrainOperator(look, 0.0, decisions.grain.seed ^ 0x5BD1E995, only=lacking)


def noise_operator(
    decision: NoiseDecision, grain_kept: float, *, half: bool = False
) -> NoiseOperator:
    """The denoiser that a decision asks for. half: a guide's features in bf16."""
    channels = len(decision.sigma)
    curve = grain_curve(decision)
    model = GrainModel.white(channels)
    if decision.spectrum and decision.channel_correlation:
        model = GrainModel(
            np.array(decision.spectrum),
            np.array(decision.coarse_spectrum),
            np.array(decision.channel_correlation),
        )
    if decision.guide == "blocks":
        effort = EFFORTS[decision.effort]
        return NoiseOperator(curve, model, decision.strength, grain_kept, effort)
    name, effort = GUIDED[decision.effort]
    guide = Guide(name, half)
    return NoiseOperator(curve, model, decision.strength, grain_kept, effort, guide)


def _flicker(numbers: Sequence[int], decision: FlickerDecision) -> FlickerOperator:
    """Curves that a decision lacks are no correction."""
    empty: tuple[tuple[()], ...] = ((),) * len(numbers)
    curves = (
        decision.exposure_stops,
        decision.contrast or empty,
        decision.bend or empty,
        decision.grid_stops or empty,
        decision.channel_grid_stops or empty,
    )
    frames = (FrameFlicker(*frame) for frame in zip(*curves, strict=True))
    return FlickerOperator(dict(zip(numbers, frames, strict=True)), decision.pivot)


def _enlarged_by(project: Project, decision: UpscaleDecision) -> str:
    """Several frames only where that was decided on this shot's own pictures."""
    if decision.applied:
        return decision.method
    return "network" if project.restore.upscale.method == "network" else "lanczos"


def _upscale(
    project: Project,
    decision: UpscaleDecision,
    numbers: Sequence[int],
    factor: int,
    moved: WeaveOperator | None,
    *,
    pays: bool,
) -> Operator:
    """moved: weave that waits for the resample of the enlargement. pays: as for ``_half``."""
    upscale = project.restore.upscale
    method = _enlarged_by(project, decision)
    if method != "network":
        places = {} if moved is None else {n: moved.placement(n) for n in numbers}
        border = "keep" if moved is None else moved.border
        matte_px = (0, 0, 0, 0) if moved is None else moved.matte_px
        if method == "frames":
            return FramesUpscale(
                factor,
                places,
                border,
                matte_px,
                kernel=upscale.kernel,
                share=decision.share,
            )
        if moved is None:
            return ResampleUpscale(factor, kernel=upscale.kernel)
        return PlacedUpscale(factor, places, border, matte_px, kernel=upscale.kernel)
    card = model_card(project, factor)
    network = _network(card, project.policy.use == "commercial")
    return NetworkUpscale(network, card, _half(project, card, pays=pays))


def _half(project: Project, card: ModelCard, *, pays: bool) -> bool:
    """Half precision: where it pays and the card allows it, or where a person insists.

    pays: does the kind of worker that renders multiply bf16 in hardware?
    """
    wanted = project.restore.upscale.precision
    if wanted == "half" and card.half_loss_db is None:
        raise ModelRefused(
            f"{card.name or card.path.name}: half precision was never measured",
            hint="bring the model in with 'wetgate models import', which measures it",
        )
    return wanted == "half" or (wanted == "auto" and pays and card.half_allowed)


@lru_cache(maxsize=2)
def _network(card: ModelCard, commercial: bool) -> nn.Module:
    return load_network(card, commercial=commercial)


def _color(
    shot: Shot, own: ColorDecision, before: ShotDecisions | None, after: ShotDecisions | None
) -> BalanceOperator | None:
    neighbours = [
        as_cdl(d.balance)
        for d, length in ((before, shot.dissolve_in), (after, shot.dissolve_out))
        if d is not None and length
    ]
    cdl = as_cdl(own)
    if cdl.is_identity() and all(c.is_identity() for c in neighbours):
        return None
    return BalanceOperator(
        cdl,
        shot.frames,
        before=as_cdl(before.balance) if before is not None and shot.dissolve_in else None,
        after=as_cdl(after.balance) if after is not None and shot.dissolve_out else None,
        dissolve_in=shot.dissolve_in,
        dissolve_out=shot.dissolve_out,
        fade_in=shot.fade_in,
        fade_out=shot.fade_out,
    )
