"""The cases of ``benchmarks.steady``: real footage with seeded damage, and its truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import steady_clips as clips
from benchmarks.steady_measures import codes
from media.encoding import light_to_log, rec709_decode
from media.synthetic import Damage, Frames, damage_shot

_MARGIN = clips.MARGIN

NONE = Damage(
    flicker_stops=0.0, flicker_channel_stops=0.0, flicker_local_stops=0.0, weave_px=(0.0, 0.0),
    grain_sigma=0.0, grain_size_px=0.8, dirt_per_frame=0.0,
)  # fmt: skip
WHOLE = replace(NONE, flicker_stops=0.14)
LOCAL = replace(WHOLE, flicker_local_stops=0.14)
GRAIN = 0.020
"""Film log; 8/255 of Rec.709 code in the middle of the scale."""
DIRTY = replace(LOCAL, grain_sigma=GRAIN, dirt_per_frame=8.0, scratches=2)
FINE_GRAIN = replace(NONE, grain_sigma=GRAIN / 2)
"""4/255; in the condition ``display`` the flicker comes on top, in Rec.709 code."""
BREATHING = replace(NONE, flicker_channel_stops=0.10)
WEAVE = replace(NONE, weave_px=(1.2, 0.9))
WEAVE_DIRTY = replace(WEAVE, grain_sigma=GRAIN, dirt_per_frame=8.0)
WEAVE_GRAIN = replace(WEAVE, grain_sigma=GRAIN / 2)
TURN_DEG = 0.06
ALL = replace(DIRTY, weave_px=(1.2, 0.9))

FLICKER: Mapping[str, Damage] = {
    "whole": WHOLE,
    "local": LOCAL,
    "local, grain, dirt": DIRTY,
    "breathing": BREATHING,
    "contrast": WHOLE,
    "display": FINE_GRAIN,
}
_CONTRAST = 0.05
"""Standard deviation of the logarithm of contrast, in the condition of that name."""
_CONTRAST_PIVOT = 0.42
_DISPLAY = (0.07, 0.05, 0.03)
"""Standard deviations of the logarithms of gain, gamma, and gain at the knots of 3 x 4, in code."""


@dataclass(frozen=True)
class Case:
    """One damaged shot with its truth."""

    table: str
    """flicker, harm or weave."""
    condition: str
    clip: str
    scan: Frames
    truth: Frames
    weave: bool
    flicker: bool


SCENES = ("fade", "foreground", "pan", "hand-held")
"""Groups of cases beside those of each clip."""
_SELDOM = ("breathing", "contrast", "display")
_FEW = ("bunny", "dog", "coffee")
"""Clips that go through the seldom conditions and through plain weave."""


def groups(quick: bool) -> list[str]:
    """Cases that share a loaded clip, longest first."""
    names = clips.available()
    wanted = ("bikes", "bunny", "dog") if quick else tuple(names)
    return [*(n for n in wanted if n in names), *reversed(SCENES)]


def cases(group: str, frames: int, quick: bool) -> Iterator[Case]:
    """Every case of a group, one after the other."""
    if group in SCENES:
        yield from scene_cases(group, frames, quick)
        return
    seed = list(clips.CLIPS).index(group)
    clean = clips.load(group, frames)
    for condition, damage in FLICKER.items():
        if condition in _SELDOM and (group not in _FEW or (quick and group != "bunny")):
            continue
        if quick and group == "bunny" and condition not in ("local", "contrast", "display"):
            continue
        yield flickering(condition, group, clean, damage, 100 + seed)
    if not quick or group == "bunny":
        yield _case("harm", "clean", group, clean, NONE, seed, flicker=True)
    if quick:
        return
    yield _case("weave", "no weave", group, clean, NONE, seed, weave=True)
    if group in _FEW:
        yield _case("weave", "still", group, clean, WEAVE, 200 + seed, weave=True)
    if group == "bikes":
        yield _case("weave", "moving camera", group, clean, WEAVE, 200 + seed, weave=True)
    if group in ("bunny", "dog"):
        yield _case("weave", "grain, dirt", group, clean, WEAVE_DIRTY, 250 + seed, weave=True)
        yield both(group, clean, 260 + seed)


def scene_cases(group: str, frames: int, quick: bool) -> Iterator[Case]:
    """Cases that are made of a still shot: faded, panned over, or with somebody in front."""
    still = "dog" if "dog" in clips.available() else "bunny"
    if group == "fade":
        held = clips.load(still, 80)
        yield _case("harm", "fade", still, clips.faded(held[:60], 0), NONE, 1, flicker=True)
        if not quick:
            yield _case("harm", "fade, held", still, clips.faded(held, 10), NONE, 2, flicker=True)
        return
    if group == "foreground":
        actor = clips.load("bunny", frames)
        shot = clips.with_foreground(clips.load(still, frames), actor)
        turn = np.random.default_rng(5).normal(0.0, TURN_DEG, len(shot))
        yield turning(still, shot, turn)
        if not quick:
            yield _case(
                "weave", "foreground, grain, dirt", still, shot, WEAVE_DIRTY, 302, weave=True
            )
        return
    view = clips.load_pan if group == "pan" else clips.load_sway
    shot = view(still, frames)
    yield _case("weave", group, still, shot, WEAVE, 303, weave=True)
    if group == "hand-held":
        film = clips.overscanned(shot)
        yield _case("weave", f"{group}, perforations", still, film, WEAVE_GRAIN, 305, weave=True)
    if not quick:
        yield _case("weave", f"{group}, no weave", still, shot, NONE, 304, weave=True)


def _case(
    table: str,
    condition: str,
    clip: str,
    clean: Frames,
    damage: Damage,
    seed: int,
    *,
    weave: bool = False,
    flicker: bool = False,
) -> Case:
    """The truth is the same shot with the same grain and dirt, but nothing to steady."""
    scan = scanned(damage_shot(clean, damage, seed, _MARGIN)[0])
    calm = replace(
        damage, flicker_stops=0.0, flicker_channel_stops=0.0, flicker_local_stops=0.0,
        weave_px=(0.0, 0.0), dirt_per_frame=0.0, scratches=0,
    )  # fmt: skip
    if calm.grain_sigma:
        truth = scanned(damage_shot(clean, calm, seed, _MARGIN)[0])
    else:
        truth = scanned(clean[:, :, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN])
    return Case(table, condition, clip, scan, truth, weave, flicker)


def flickering(condition: str, clip: str, clean: Frames, damage: Damage, seed: int) -> Case:
    """A case of the flicker table; in one of them contrast flickers too."""
    if condition == "display":
        # Held below clipping, which no correction could undo.
        held = [shown_as(np.clip(codes(f), 0.0, 1.0) * 0.8 + 0.02) for f in clean]
        case = _case("flicker", condition, clip, np.stack(held), damage, seed, flicker=True)
        return replace(case, scan=scanned(flickering_display(case.truth, seed)))
    case = _case("flicker", condition, clip, clean, damage, seed, flicker=True)
    if condition != "contrast":
        return case
    slope = np.exp(np.random.default_rng(seed).normal(0.0, _CONTRAST, len(case.scan)))
    pivot = np.float32(_CONTRAST_PIVOT)
    scan = (case.scan - pivot) * slope.astype(np.float32)[:, None, None, None] + pivot
    return replace(case, scan=scanned(scan))


def flickering_display(truth: Frames, seed: int) -> Frames:
    """Gain, gamma and a field of gains in Rec.709 code; each has mean one over the shot.

    The level of a shot is not flicker: a mean would be counted as an error of every method.
    """
    rng = np.random.default_rng(seed)
    gain, gamma, knots = (
        np.exp(drawn - drawn.mean(axis=0))
        for drawn in (
            rng.normal(0.0, _DISPLAY[0], len(truth)),
            rng.normal(0.0, _DISPLAY[1], len(truth)),
            rng.normal(0.0, _DISPLAY[2], (len(truth), 3, 4)),
        )
    )
    out = np.empty_like(truth)
    for k, frame in enumerate(truth):
        size = (frame.shape[2], frame.shape[1])
        field = cv2.resize(knots[k], size, interpolation=cv2.INTER_CUBIC)
        code = np.clip(codes(frame), 0.0, 1.0) ** gamma[k] * (gain[k] * field)
        out[k] = shown_as(np.clip(code, 0.0, 1.0))
    return out


def shown_as(code: NDArray[np.float64] | Frames) -> Frames:
    """Film log of Rec.709 codes, 0..1."""
    values = torch.from_numpy(np.ascontiguousarray(code, dtype=np.float32))
    found: Frames = light_to_log(rec709_decode(values)).numpy()
    return found


def both(clip: str, clean: Frames, seed: int) -> Case:
    """Weave and flicker at once, with grain, dirt and scratches."""
    return replace(
        _case("flicker", "all at once", clip, clean, ALL, seed, flicker=True), weave=True
    )


def turning(clip: str, shot: Frames, degrees: np.ndarray[Any, np.dtype[np.float64]]) -> Case:
    """Weave that also turns the picture."""
    case = _case("weave", "foreground", clip, shot, NONE, 307, weave=True)
    turned, _ = damage_shot(clips.rotated(shot, degrees), WEAVE, 307, _MARGIN)
    return replace(case, scan=scanned(turned))


def scanned(frames: Frames) -> Frames:
    """As a 10-bit scan holds it."""
    codes: Frames = np.rint(np.clip(frames, 0.0, 1.0) * np.float32(1023.0)) / np.float32(1023.0)
    return codes
