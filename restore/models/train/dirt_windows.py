"""Windows of five frames with known dirt, for the dirt network to learn from.

A window is a stretch of a film, or a photograph under a moving camera with pieces of other
photographs moving over it; small things that move are put in as well. Grain, flicker and what
weave is left are laid on, then dirt, each frame's its own. What dirt visibly changes is the truth;
of a piece that is lost in the grain, and of the outermost rim, nothing is said either way.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from media.encoding import STOP
from media.movers import MOVERS, plant_movers
from media.specks import draw_blotch, draw_dash, draw_dirt, draw_dust, lay_on
from restore.dirt.evidence import levelled, planes
from restore.dirt.look import look_at
from restore.models.train.moving import SIDE_PX, Sources, from_film, from_photographs
from restore.motion import LUMA

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
FRAMES = 5
RIM_PX = 16
SOUND, DIRT, UNSURE = 0, 1, 2
"""What is known of a pixel."""
_VISIBLE, _TRACE = 0.02, 0.008
"""Film log by which dirt is seen, and by which it changes anything."""
_SIZES_PX = (20.0, 60.0, 120.0)
_LOST = 4.0
"""Times what grain alone would give: a weaker piece cannot be told from it."""


def window(rng: np.random.Generator, sources: Sources) -> tuple[F32, U8, float]:
    """(PLANES, h, w) evidence, (h, w) what is known, and the grain that was measured."""
    filmed = len(sources.films) > 0 and rng.random() < 0.35
    make = from_film if filmed else from_photographs
    clean = make(rng, sources, FRAMES)
    for _ in range(int(rng.choice([0, 1, 2], p=[0.35, 0.4, 0.25]))):
        kind = MOVERS[int(rng.integers(len(MOVERS)))]
        plant_movers(rng, clean, kind, float(rng.uniform(0.5, 4.0)))
    sound, sigma = _aged(rng, clean)
    one_sided = rng.random() < 0.15
    centre = 0 if one_sided else FRAMES // 2
    dirty, known = dirtied(rng, sound, sigma, centre)
    return _evidence(rng, dirty, known, sigma, centre)


def dirtied(rng: np.random.Generator, sound: F32, sigma: float, centre: int) -> tuple[F32, U8]:
    """The frames with dirt on them, and what is known of the pixels of one."""
    dirty = sound.copy()
    faint = np.zeros(sound.shape[-2:], np.bool_)
    busy = float(rng.choice([0.0, 1.0, 3.0, 8.0], p=[0.15, 0.3, 0.35, 0.2]))
    dusty = float(rng.choice([0.0, 4.0, 16.0], p=[0.5, 0.3, 0.2]))
    for k in range(FRAMES):
        for alpha in [_large(rng) for _ in range(rng.poisson(busy))] + [
            draw_dust(rng) for _ in range(rng.poisson(dusty))
        ]:
            at = (int(rng.integers(-20, SIDE_PX)), int(rng.integers(-20, SIDE_PX)))
            before = dirty[k].copy() if k == centre else None
            lay_on(rng, dirty[k], alpha, at)
            if before is not None:
                changed = _luma(dirty[k] - before)
                if float(np.sqrt((changed**2).sum())) < _LOST * sigma:
                    faint |= changed != 0.0
            # Now and then a stain goes through to the next frame of the roll.
            if rng.random() < 0.05 and k + 1 < FRAMES:
                lay_on(rng, dirty[k + 1], alpha, at)
    changed = np.abs(dirty[centre] - sound[centre]).max(axis=0)
    known = np.where(changed > _VISIBLE, DIRT, np.where(changed > _TRACE, UNSURE, SOUND))
    known[faint & (changed > _TRACE)] = UNSURE
    return dirty, known.astype(np.uint8)


def _large(rng: np.random.Generator) -> F32:
    odd = rng.random()
    if odd < 0.1:
        return draw_blotch(rng)
    if odd < 0.2:
        return (draw_dash(rng) * rng.uniform(0.3, 1.0)).astype(np.float32)
    size_px, clear = rng.choice(len(_SIZES_PX)), rng.random() < 0.3
    alpha = draw_dirt(rng, _SIZES_PX[size_px], "sprinkles" if odd < 0.35 else None)
    # The larger a piece, the fainter it may be and still be plain to see.
    faintest = (0.5, 0.3, 0.12)[size_px] if clear else 0.5
    return (alpha * rng.uniform(faintest, 0.5 if clear else 1.0)).astype(np.float32)


def _luma(frame: F32) -> F32:
    seen: F32 = np.tensordot(np.array(LUMA, np.float32), frame, 1)
    return seen


def _evidence(
    rng: np.random.Generator, dirty: F32, known: U8, sigma: float, centre: int
) -> tuple[F32, U8, float]:
    lumas = [_luma(frame) for frame in dirty]
    one_sided = centre == 0
    order = [1, 2] if one_sided else [1, 3, 0, 4]
    if not one_sided and rng.random() < 0.5:
        order = [3, 1, 4, 0]
    if not one_sided and rng.random() < 0.1:
        order = order[:2]
    frames = torch.from_numpy(np.stack(lumas))[:, None]
    look = look_at(frames, range(FRAMES), centre, order, [{} for _ in lumas])
    told = sigma * float(np.exp(rng.normal() * 0.12))
    level = levelled(look.own, look.compensated(told))
    given = planes(look.own, level, look.flows[:2], told, one_sided=one_sided).numpy()
    inner = slice(RIM_PX, -RIM_PX)
    given, known = given[:, inner, inner], known[inner, inner]
    if rng.random() < 0.5:
        given, known = given[..., ::-1], known[..., ::-1]
    if rng.random() < 0.5:
        given, known = given[..., ::-1, :], known[..., ::-1, :]
    return given, known, told


def _aged(rng: np.random.Generator, clean: F32) -> tuple[F32, float]:
    """Contrast, what flicker and weave are left, grain; and the grain of the luma, film log."""
    slope, lift = rng.uniform(0.6, 1.1), rng.uniform(-0.05, 0.1)
    sound = (clean - 0.45) * np.float32(slope) + np.float32(0.45 + lift)
    unsteady = float(rng.choice([0.0, 0.02, 0.08]))
    level = float(np.exp(rng.uniform(math.log(0.002), math.log(0.022))))
    size = float(rng.uniform(0.5, 1.2))
    impulse = np.zeros((33, 33), np.float32)
    impulse[16, 16] = 1.0
    gain = float(np.sqrt((cv2.GaussianBlur(impulse, (0, 0), size) ** 2).sum()))
    lumas = []
    for frame in sound:
        if unsteady:
            knots = rng.normal(size=(3, 4)).astype(np.float32) * unsteady + rng.normal() * unsteady
            frame += cv2.resize(knots, frame.shape[:0:-1], interpolation=cv2.INTER_CUBIC) * STOP
        white = rng.standard_normal(frame.shape, dtype=np.float32)
        if rng.random() < 0.35:
            white[:] = white[:1]
        grain = np.stack([cv2.GaussianBlur(p, (0, 0), size) for p in white]) / gain
        grain *= level * (0.55 + 1.8 * np.clip(frame, 0, 1) * (1.0 - np.clip(frame, 0, 1)))
        lumas.append(_luma(grain.astype(np.float32)).std())
        frame += grain
    return sound, float(np.mean(lumas))
