"""Windows of five frames with known dirt, for the dirt network to learn from.

A window is a stretch of a film, or a photograph under a moving camera with pieces of other
photographs moving over it; small things that move are put in as well. Grain, flicker and what
weave is left are laid on, then dirt, each frame's its own. What dirt visibly changes is the truth.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from media.encoding import STOP
from media.movers import MOVERS, plant_movers
from media.specks import draw_dirt, lay_on
from restore.dirt.evidence import fetched, levelled, planes
from restore.models.train.moving import SIDE_PX, Sources, from_film, from_photographs
from restore.motion import LUMA, find_flow, steering_image

F32 = NDArray[np.float32]
FRAMES = 5
RIM_PX = 16
_VISIBLE = 0.02


def window(rng: np.random.Generator, sources: Sources) -> tuple[F32, NDArray[np.bool_], float]:
    """(PLANES, h, w) evidence, (h, w) truth, and the grain that was measured."""
    filmed = len(sources.films) > 0 and rng.random() < 0.35
    make = from_film if filmed else from_photographs
    clean = make(rng, sources, FRAMES)
    for _ in range(int(rng.choice([0, 1, 2], p=[0.35, 0.4, 0.25]))):
        kind = MOVERS[int(rng.integers(len(MOVERS)))]
        plant_movers(rng, clean, kind, float(rng.uniform(0.5, 4.0)))
    sound, sigma = _aged(rng, clean)
    dirty = sound.copy()
    busy = float(rng.choice([0.0, 1.0, 3.0, 8.0], p=[0.15, 0.3, 0.35, 0.2]))
    for k in range(FRAMES):
        for _ in range(rng.poisson(busy)):
            alpha = draw_dirt(rng, float(rng.choice([20.0, 60.0, 120.0]))) * rng.uniform(0.5, 1.0)
            at = (int(rng.integers(-20, SIDE_PX)), int(rng.integers(-20, SIDE_PX)))
            lay_on(rng, dirty[k], alpha.astype(np.float32), at)
            # Now and then a stain goes through to the next frame of the roll.
            if rng.random() < 0.05 and k + 1 < FRAMES:
                lay_on(rng, dirty[k + 1], alpha.astype(np.float32), at)
    one_sided = rng.random() < 0.15
    return _evidence(rng, dirty, sound, sigma, one_sided=one_sided)


def _evidence(
    rng: np.random.Generator, dirty: F32, sound: F32, sigma: float, *, one_sided: bool
) -> tuple[F32, NDArray[np.bool_], float]:
    weights = np.array(LUMA, np.float32)
    lumas = np.einsum("c,tchw->thw", weights, dirty).astype(np.float32)
    centre = 0 if one_sided else FRAMES // 2
    order = [1, 2] if one_sided else [1, 3, 0, 4]
    if not one_sided and rng.random() < 0.5:
        order = [3, 1, 4, 0]
    if not one_sided and rng.random() < 0.1:
        order = order[:2]
    images = {k: steering_image(torch.from_numpy(lumas[k])) for k in (centre, *order)}
    flows = [find_flow(images[centre], images[k]) for k in order]
    own = torch.from_numpy(lumas[centre])
    near = torch.from_numpy(
        np.stack([fetched(lumas[k], f) for k, f in zip(order, flows, strict=True)])
    )[:, None]
    told = sigma * float(np.exp(rng.normal() * 0.12))
    given = planes(own, levelled(own, near), flows[:2], told, one_sided=one_sided).numpy()
    truth = np.abs(dirty[centre] - sound[centre]).max(axis=0) > _VISIBLE
    inner = slice(RIM_PX, -RIM_PX)
    given, truth = given[:, inner, inner], truth[inner, inner]
    if rng.random() < 0.5:
        given, truth = given[..., ::-1], truth[..., ::-1]
    if rng.random() < 0.5:
        given, truth = given[..., ::-1, :], truth[..., ::-1, :]
    return given, truth, told


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
        lumas.append(np.einsum("c,chw->hw", np.array(LUMA), grain).std())
        frame += grain
    return sound, float(np.mean(lumas))
