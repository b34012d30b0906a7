"""What the measurements of one shot propose for it. Curves in, decisions out."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from color.fade import Unfading
from color.records import ShotColor, protection
from media.frames import FrameRange
from media.pictures import Pictures
from media.reel import Reel, SegmentKind, Shot
from restore.defects.solve import solve_defects
from restore.flicker.solve import FlickerOptions, solve_flicker
from restore.grain.measure import GrainProbe
from restore.noise.efforts import guide_for
from restore.scratch.options import ScratchOptions
from restore.scratch.solve import NOTHING_SEEN, ScratchPlace, solve_scratch
from restore.upscale.solve import solve_upscale
from restore.weave.solve import WeaveOptions, solve_weave
from wetgate.config import Project
from wetgate.decisions import (
    ColorDecision,
    DefectMapDecision,
    DirtDecision,
    FadeDecision,
    FlickerDecision,
    GrainDecision,
    Line,
    NoiseDecision,
    ScratchDecision,
    ShotDecisions,
    UpscaleDecision,
    WeaveDecision,
)
from wetgate.stages.propose_dirt import OFF, propose_dirt

NO_LINES = "no persistent line was found"
ENOUGH = "the scan is as large as what is asked for"
_STRONG = 4.0
"""Times what is skipped: so strong at some level, grain counts even where flat places have none."""
TOO_SMALL = "the picture is too small to be measured"


def propose_shot(
    project: Project,
    shot: Shot,
    evidence: Mapping[str, Any],
    pictures: Pictures,
    changeover: FrameRange | None = None,
    *,
    larger: bool = False,
    weave: WeaveDecision | None = None,
    flicker: FlickerDecision | None = None,
) -> ShotDecisions:
    """What the measurements of one shot propose for its repair; color is solved for all together.

    Curves are solved over its pictures; frames that repeat one are given the same.
    changeover: frames of the reel on which cue marks may be. larger: its reel is enlarged. weave,
    flicker: what was solved from the same measurements and settings before.
    """
    if not evidence:
        return _unmeasured(project, shot, larger=larger)
    grain = evidence.get("grain") or GrainProbe().finish()
    flags = tuple(str(f["name"]) for f in evidence["color"].get("flags", []))
    return ShotDecisions(
        shot=shot.id,
        reel=shot.reel,
        frames=(shot.frames.start, shot.frames.stop - 1),
        kind=shot.kind.value,
        flags=flags,
        weave=weave or propose_weave(project, shot, evidence, pictures),
        flicker=flicker or propose_flicker(project, shot, evidence, pictures),
        scratch=_scratch(project, shot, evidence, pictures),
        dirt=propose_dirt(project, shot, evidence, grain, pictures, changeover),
        noise=_noise(project, shot, grain, len(pictures.own)),
        grain=_grain(project, shot, grain, larger=larger),
        upscale=_upscale(project, shot, evidence.get("upscale") or {}, larger=larger),
    )


def propose_fade(
    project: Project, shot: Shot, color: Mapping[str, Any], unfading: Unfading | None
) -> FadeDecision:
    """What undoes the fading of the shot's reel, unless the shot is protected from it."""
    fade = project.color.fade
    if not (fade.enabled and fade.model == "dyes"):
        return FadeDecision(reason=OFF)
    why = protection(color, "fade")
    if why is not None:
        return FadeDecision(reason=f"protected: {why}")
    if shot.kind is not SegmentKind.SHOT:
        return FadeDecision(reason=f"{shot.kind.value}: left alone")
    if unfading is None:
        return FadeDecision(reason="the reference reel, or nothing on it could be measured")
    if unfading.applied and unfading.confidence < fade.min_confidence:
        sure = f"confidence {unfading.confidence:.2f} is below {fade.min_confidence:.2f}"
        return FadeDecision(
            confidence=_round(unfading.confidence),
            reason=f"{unfading.reason}; left as it is: {sure}; give reels.neutrals",
        )
    if not unfading.applied:
        return FadeDecision(confidence=_round(unfading.confidence), reason=unfading.reason)
    first, second, third = (tuple(_round(v, 6) for v in row) for row in unfading.matrix)
    return FadeDecision.model_validate(
        {
            "applied": True,
            "matrix": (first, second, third),
            "offset": [_round(v, 6) for v in unfading.offset],
            "dyes_left": [_round(v, 3) for v in unfading.left],
            "confidence": _round(unfading.confidence),
            "reason": unfading.reason,
        }
    )


def _unmeasured(project: Project, shot: Shot, *, larger: bool) -> ShotDecisions:
    """A shot nothing was measured on: because nothing was asked for, or nothing could be."""
    restore = project.restore

    def why(name: str) -> str:
        return TOO_SMALL if getattr(restore, name).enabled else OFF

    return ShotDecisions(
        shot=shot.id,
        reel=shot.reel,
        frames=(shot.frames.start, shot.frames.stop - 1),
        kind=shot.kind.value,
        weave=WeaveDecision(reason=why("weave")),
        flicker=FlickerDecision(reason=why("flicker")),
        scratch=ScratchDecision(reason=why("scratch")),
        dirt=DirtDecision(reason=why("dirt")),
        noise=NoiseDecision(reason=why("noise")),
        grain=GrainDecision(reason=why("grain")),
        upscale=_upscale(project, shot, {}, larger=larger),
    )


def propose_weave(
    project: Project, shot: Shot, evidence: Mapping[str, Any], pictures: Pictures
) -> WeaveDecision:
    """The path that holds one shot still, or why it is left alone."""
    options = project.restore.weave
    if not options.enabled:
        return WeaveDecision(reason=OFF)
    if shot.kind is not SegmentKind.SHOT:
        return WeaveDecision(reason=f"{shot.kind.value}: nothing to register")
    found = solve_weave(
        evidence["weave"],
        pictures.strip,
        WeaveOptions(
            limit_px=options.limit_px,
            floor_px=options.floor_px,
            turns=options.turn,
            reference=options.reference,
        ),
        evidence["overscan"],
        moments=pictures.moments,
    )
    if not found.applied:
        return WeaveDecision(
            confidence=_round(found.confidence),
            reason=found.reason,
            border=options.border,
            kept_jumps=tuple(pictures.number(n) for n in found.kept_jumps),
        )
    turn = pictures.spread(np.asarray(found.turn_deg))
    return WeaveDecision(
        applied=True,
        turn_deg=tuple(_round(v, 5) for v in turn) if turn.any() else (),
        border=options.border,
        reference=found.reference,
        jumps=tuple(pictures.number(n) for n in found.jumps),
        kept_jumps=tuple(pictures.number(n) for n in found.kept_jumps),
        unseen=pictures.given_nothing(found.unseen),
        dx_px=tuple(_round(v, 4) for v in pictures.spread(np.asarray(found.dx_px))),
        dy_px=tuple(_round(v, 4) for v in pictures.spread(np.asarray(found.dy_px))),
        confidence=_round(found.confidence),
    )


def propose_flicker(
    project: Project, shot: Shot, evidence: Mapping[str, Any], pictures: Pictures
) -> FlickerDecision:
    """The curves that take flicker out of one shot, or why it is left alone."""
    options = project.restore.flicker
    if not options.enabled:
        return FlickerDecision(reason=OFF)
    if shot.kind is not SegmentKind.SHOT:
        return FlickerDecision(reason=f"{shot.kind.value}: nothing to measure")
    found = solve_flicker(
        evidence["flicker"],
        pictures.strip,
        FlickerOptions(
            local=options.local,
            per_channel=options.per_channel,
            tones=options.tones,
            limit_stops=options.limit_stops,
            flash_stops=options.flash_stops,
            floor_stops=options.floor_stops,
        ),
    )
    if not found.applied:
        return FlickerDecision(confidence=_round(found.confidence), reason=found.reason)

    def curve(values: NDArray[np.float64], digits: int) -> object:
        rounded = np.round(pictures.spread(values), digits) + 0.0
        return rounded.tolist() if rounded.any() else ()

    exposure = np.round(pictures.spread(found.exposure_stops), 5) + 0.0
    return FlickerDecision.model_validate(
        {
            "applied": True,
            "exposure_stops": exposure.tolist(),
            "contrast": curve(found.contrast, 5),
            "bend": curve(found.bend, 5),
            "pivot": _round(found.pivot),
            "grid_stops": curve(found.grid_stops, 4),
            "channel_grid_stops": curve(found.channel_grid_stops, 4),
            "kept_flashes": [pictures.number(n) for n in found.kept_flashes],
            "unseen": pictures.given_nothing(found.unseen),
            "confidence": _round(found.confidence),
        }
    )


def _scratch(
    project: Project, shot: Shot, evidence: Mapping[str, Any], pictures: Pictures
) -> ScratchDecision:
    if not project.restore.scratch.enabled:
        return ScratchDecision(reason=OFF)
    if shot.kind is not SegmentKind.SHOT:
        return ScratchDecision(reason=f"{shot.kind.value}: left alone")
    found = solve_scratch(evidence["scratch"], pictures.strip, ScratchOptions())
    rejected = tuple(f"x = {line.x_px[0]:.0f} px: {line.reason}" for line in found.rejected)
    if not found.applied:
        return ScratchDecision(
            reason=NO_LINES if found.reason == NOTHING_SEEN else found.reason,
            confidence=_round(found.confidence),
            rejected=rejected,
        )
    lines_of = {pictures.number(n): lines for n, lines in found.places.items()}
    places = {
        str(number): tuple(_line(p) for p in lines_of[shown])
        for number in shot.frames
        if number not in pictures.aside
        and (shown := pictures.own[pictures.place(number)]) in lines_of
    }
    hiding = {n: [p.hides for p in lines] for n, lines in lines_of.items()}
    hidden = {
        number: tuple(
            (*line[:4], line[5]) for line, hides in zip(lines, which, strict=True) if hides
        )
        for number, lines in places.items()
        if any(which := hiding[pictures.own[pictures.place(int(number))]])
    }
    sure = _round(found.confidence)
    return ScratchDecision(
        applied=True, places=places, hidden=hidden, rejected=rejected, confidence=sure
    )


def _line(p: ScratchPlace) -> Line:
    x_px, width_px = _round(p.x_px, 3), _round(p.width_px, 3)
    return x_px, width_px, p.top_px, p.bottom_px, _round(p.strength, 5), _round(p.lean_px, 3)


def _noise(project: Project, shot: Shot, grain: Mapping[str, Any], pictures: int) -> NoiseDecision:
    options = project.restore.noise
    if not options.enabled:
        return NoiseDecision(reason=OFF)
    if shot.kind is not SegmentKind.SHOT:
        return NoiseDecision(reason=f"{shot.kind.value}: left alone", confidence=0.0)
    if not grain["frames_used"]:
        dim = "too little that can be followed and is neither black nor clipped"
        why = "a single picture" if pictures < 2 else dim
        return NoiseDecision(reason=f"grain could not be measured: {why}", confidence=0.0)
    sigma = tuple(_round(float(v), 6) for v in grain["sigma"])
    strongest = float(np.max(grain["level_sigma"]))
    if max(sigma) < options.skip_below_sigma and strongest < _STRONG * options.skip_below_sigma:
        return NoiseDecision(sigma=sigma, reason=f"grain of {max(sigma):.4f} is next to none")
    if options.strength <= 0.0:
        return NoiseDecision(sigma=sigma, reason="restore.noise.strength is 0")
    return NoiseDecision(
        applied=True,
        guide=guide_for(options.effort, options.guide),
        effort=options.effort,
        strength=options.strength,
        **measured_noise(grain),
    )


def measured_noise(grain: Mapping[str, Any]) -> dict[str, Any]:
    """The measured part of a noise decision, rounded as it is kept."""
    # Where a channel has next to no grain at its usual level, others may yet have some.
    sigma = np.maximum(np.array(grain["sigma"]), 1e-6)
    share = np.array(grain["level_sigma"]) / sigma[:, None]
    return {
        "sigma": tuple(_round(v, 6) for v in sigma),
        "levels": tuple(_round(v) for v in grain["levels"]),
        "level_share": tuple(tuple(_round(v, 3) for v in row) for row in share),
        "spectrum": tuple(tuple(_round(v, 3) for v in row) for row in grain["spectrum"]),
        "coarse_spectrum": tuple(
            tuple(_round(v, 3) for v in row) for row in grain["coarse_spectrum"]
        ),
        "channel_correlation": tuple(
            tuple(_round(v, 3) for v in row) for row in grain["channel_correlation"]
        ),
    }


def _grain(
    project: Project, shot: Shot, grain: Mapping[str, Any], *, larger: bool
) -> GrainDecision:
    options = project.restore.grain
    enlarged = larger and project.policy.allow_invented
    made = options.source == "made" or (options.source == "auto" and enlarged)
    return GrainDecision(
        kept=options.amount if options.enabled else 0.0,
        source="made" if made and options.enabled else "own",
        # Of the reel: its frame numbers tell its shots apart.
        seed=zlib.crc32(shot.reel.encode()),
        autocorrelation=tuple(
            tuple(_round(v, 5) for v in row) for row in grain.get("autocorrelation", ())
        ),
        measured_sigma=tuple(_round(float(v), 6) for v in grain["sigma"]),
        correlation=_round(float(grain.get("correlation", 0.0)), 3),
        reason="" if options.enabled else OFF,
    )


def _upscale(
    project: Project, shot: Shot, evidence: Mapping[str, Any], *, larger: bool
) -> UpscaleDecision:
    options = project.restore.upscale
    if not larger:
        return UpscaleDecision(reason=ENOUGH if options.enabled else OFF)
    if options.method != "frames":
        return UpscaleDecision(applied=True, method=options.method)
    if shot.kind is not SegmentKind.SHOT:
        return UpscaleDecision(applied=True, reason=f"{shot.kind.value}: from single frames")
    found = solve_upscale(evidence)
    return UpscaleDecision(
        applied=True,
        method="frames" if found.share else "lanczos",
        share=found.share,
        reason=found.reason,
        gain_db=evidence.get("gain_db"),
        steadiness=evidence.get("steadiness"),
        deviation=evidence.get("deviation"),
    )


def propose_map(reel: Reel, evidence: Mapping[str, Any]) -> DefectMapDecision:
    """The reel's defect map: used on this shot, or refused by name."""
    seen = evidence.get("defects")
    if reel.defect_map is None or seen is None:
        return DefectMapDecision()
    found = solve_defects(seen, reel.format.channels)
    return DefectMapDecision(
        applied=found.applied,
        dx_px=_round(found.dx_px, 3),
        dy_px=_round(found.dy_px, 3),
        confidence=_round(found.confidence, 3),
        reason=found.reason,
    )


def propose_color(color: ShotColor) -> ColorDecision:
    """The decision as it is written down: rounded to what files hold."""
    cdl = color.cdl.rounded()
    r, g, b = cdl.printer_points()
    return ColorDecision(
        slope=cdl.slope,
        offset=cdl.offset,
        power=cdl.power,
        saturation=cdl.saturation,
        printer_points=(_round(r, 2), _round(g, 2), _round(b, 2)),
        limited=color.limited,
        slope_std=_three(color.slope_std),
        offset_std=_three(color.offset_std),
        power_std=_three(color.power_std),
        saturation_std=_round(color.saturation_std),
        confidence=_round(color.confidence),
        reason=color.reason,
        links=color.links,
    )


def _three(values: tuple[float, float, float]) -> tuple[float, float, float]:
    red, green, blue = values
    return (_round(red), _round(green), _round(blue))


def _round(value: float, digits: int = 4) -> float:
    return round(float(value), digits) + 0.0
