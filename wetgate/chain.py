"""Bind a shot's decisions to operators, in the fixed order of repair.

Lines on the film, geometry, exposure, surface, grain, scale, color: each step works on what the
one before it has settled. Lines go first because they lie still on the film, not in the picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from torch import nn

from color.apply import BalanceOperator
from color.cdl import CDL
from color.fade import Unfading
from color.transform import ShotTransform
from color.unfade import UnfadeOperator
from media.passes import Operator
from media.reel import Shot
from restore.dirt.apply import DirtOperator
from restore.dirt.detect import DirtOptions
from restore.flicker.apply import FlickerOperator, FrameFlicker
from restore.models.card import ModelCard
from restore.models.load import load_network
from restore.noise.apply import NoiseOperator
from restore.noise.curve import GrainCurve
from restore.noise.transform import Effort, GrainModel
from restore.rebuild.apply import RebuildOperator
from restore.scratch.apply import ScratchOperator
from restore.scratch.solve import ScratchPlace
from restore.upscale.network import NetworkUpscale
from restore.upscale.placed import PlacedUpscale
from restore.upscale.resample import ResampleUpscale
from restore.weave.apply import WeaveOperator
from wetgate.config import Project
from wetgate.decisions import (
    ColorDecision,
    FlickerDecision,
    NoiseDecision,
    ShotDecisions,
    WeaveDecision,
)

EFFORTS = {
    "fast": Effort(radius=1, flow="quick"),
    "usual": Effort(),
    "fine": Effort(radius=4, first_px=4, second_px=3, flow="fine"),
}
"""What the settings of restore.noise.effort mean."""


def build_chain(
    project: Project,
    shot: Shot,
    decisions: ShotDecisions,
    before: ShotDecisions | None,
    after: ShotDecisions | None,
    *,
    baked: bool,
    rebuilt: Mapping[int, float] | None = None,
) -> list[Operator]:
    """The operators that this shot needs, in order; an empty list passes the scan through.

    before, after: decisions of the neighbouring shots of the reel, for dissolves.
    baked: False leaves the color decision out (it is then only recorded).
    rebuilt: frames to be made from both sides, with their place between them.
    raises: ModelRefused.
    """
    numbers = list(shot.frames)
    chain: list[Operator] = []
    if decisions.scratch.applied:
        chain.append(_scratch(decisions))
    weave = decisions.weave
    upscale = project.restore.upscale
    larger = upscale.enabled and upscale.factor > 1
    # One resample: where the picture is enlarged by a kernel anyway, weave waits for that.
    together = larger and upscale.method == "lanczos"
    moved = _weave(numbers, weave) if weave.applied or any(weave.matte_px) else None
    if moved is not None and not together:
        chain.append(moved)
    flicker = decisions.flicker
    if flicker.applied:
        chain.append(_flicker(numbers, flicker))
    if decisions.dirt.applied:
        dirt = decisions.dirt
        chain.append(
            DirtOperator(
                dirt.sigma,
                DirtOptions(
                    threshold_sigma=dirt.threshold_sigma,
                    threshold_floor=dirt.threshold_floor,
                    max_blob_px=dirt.max_blob_px,
                    max_area_share=project.policy.max_repaired_share,
                ),
            )
        )
    if rebuilt:
        # From repaired pictures, so that no dirt is blended in.
        chain.append(RebuildOperator(dict(rebuilt)))
    noise = decisions.noise
    if noise.applied:
        chain.append(noise_operator(noise, decisions.grain.kept))
    if moved is not None and together:
        places = {n: moved.placement(n) for n in numbers}
        chain.append(PlacedUpscale(upscale.factor, places, moved.border, moved.matte_px))
    elif larger:
        chain.append(_upscale(project))
    if baked:
        if decisions.fade.applied and not decisions.protected:
            chain.append(UnfadeOperator(decisions.fade.matrix, decisions.fade.offset))
        color = None if decisions.protected else _color(shot, decisions.balance, before, after)
        if color is not None:
            chain.append(color)
    return chain


def scale_of(project: Project) -> int:
    """Output size over scan size."""
    upscale = project.restore.upscale
    return upscale.factor if upscale.enabled else 1


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


def model_card(project: Project) -> ModelCard:
    """The card of the model the project names."""
    upscale = project.restore.upscale
    model = upscale.model
    return ModelCard(
        path=Path(model.path),
        sha256=model.sha256,
        licence=model.licence,
        arch=model.arch,
        scale=upscale.factor,
        trained_on=model.trained_on,
        features=model.features,
        layers=model.layers,
    )


def _scratch(decisions: ShotDecisions) -> ScratchOperator:
    """Scratches come first: they were measured where they lie on the scan."""
    return ScratchOperator(
        {
            int(number): tuple(
                ScratchPlace(x_px=x, width_px=width, top_px=top, bottom_px=bottom)
                for x, width, top, bottom in lines
            )
            for number, lines in decisions.scratch.places.items()
        }
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


def noise_operator(decision: NoiseDecision, grain_kept: float) -> NoiseOperator:
    """The denoiser that a decision asks for."""
    channels = len(decision.sigma)
    curve = GrainCurve.flat(decision.sigma)
    if decision.level_share:
        shares = zip(decision.sigma, decision.level_share, strict=True)
        curve = GrainCurve(decision.levels, tuple(tuple(s * v for v in row) for s, row in shares))
    model = GrainModel.white(channels)
    if decision.spectrum and decision.channel_correlation:
        model = GrainModel(
            np.array(decision.spectrum),
            np.array(decision.coarse_spectrum),
            np.array(decision.channel_correlation),
        )
    effort = EFFORTS[decision.effort]
    return NoiseOperator(curve, model, decision.strength, grain_kept, effort)


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


def _upscale(project: Project) -> Operator:
    upscale = project.restore.upscale
    if upscale.method == "lanczos":
        return ResampleUpscale(upscale.factor)
    card = model_card(project)
    return NetworkUpscale(_network(card, project.policy.use == "commercial"), card)


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
