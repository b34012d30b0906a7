"""Every operator there is, built small, with a picture it has work to do on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from color.apply import BalanceOperator
from color.cdl import CDL
from media.frames import FrameRange
from media.passes import Operator
from media.synthetic import Damage, damage_shot
from restore.dirt.apply import DirtOperator
from restore.dirt.detect import DirtOptions
from restore.flicker.apply import FlickerOperator, FrameFlicker
from restore.geometry import Placement
from restore.grain.apply import GrainOperator
from restore.grain.synth import GrainLook
from restore.grain_curve import GrainCurve
from restore.models.basicsr_bridge import srvgg
from restore.models.card import ModelCard
from restore.noise.apply import NoiseOperator
from restore.noise.transform import Effort, GrainModel
from restore.rebuild.apply import RebuildOperator
from restore.scratch.apply import ScratchOperator
from restore.scratch.solve import ScratchPlace
from restore.upscale.fit import FitOperator
from restore.upscale.frames import FramesUpscale
from restore.upscale.network import NetworkUpscale
from restore.upscale.placed import PlacedUpscale
from restore.upscale.resample import ResampleUpscale
from restore.weave.apply import WeaveOperator
from tests.strategies import pan
from wetgate.numerics import pin_numerics

FIRST, FRAMES, HEIGHT_PX, WIDTH_PX = 101, 7, 64, 88
SHOT = FrameRange(FIRST, FIRST + FRAMES)
NAMES = (
    "weave",
    "flicker",
    "scratch",
    "dirt",
    "noise",
    "grain",
    "rebuild",
    "upscale-placed-x2",
    "upscale-resample-x2",
    "upscale-resample-x4",
    "upscale-frames-x2",
    "upscale-frames-x4",
    "upscale-frames-placed-x2",
    "upscale-network-x2",
    "fit",
    "color",
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The arithmetic the product runs with."""
    threads = torch.get_num_threads()
    pin_numerics()
    yield
    torch.set_num_threads(threads)


def network(seed: int = 5) -> NetworkUpscale:
    """A tiny network with seeded weights; its card names no file that is read here."""
    torch.manual_seed(seed)
    module = srvgg(8, 2, 2)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.05)
    card = ModelCard(
        path=Path("tiny.safetensors"),
        sha256="0" * 63 + str(seed),
        licence="MIT",
        arch="srvgg",
        scale=2,
        trained_on="nothing: seeded noise",
        settings=(("features", 8), ("layers", 2)),
    )
    return NetworkUpscale(module, card)


def grain_look(channels: int) -> GrainLook:
    """Coarse, stronger in the middle of the scale, alike in the channels to a half."""
    lags = np.arange(8)
    near = np.exp(-(lags[:, None] ** 2 + lags[None] ** 2) / 2.0)
    curve = GrainCurve((0.1, 0.5, 0.9), ((0.004, 0.01, 0.005),) * channels)
    return GrainLook(curve, near, 0.5 + 0.5 * np.eye(channels))


def operator(name: str, channels: int = 3) -> Operator:
    """The operator of this name for a picture of this many channels."""
    rng = np.random.default_rng(11)
    frames = list(SHOT)
    built: dict[str, Operator] = {
        "weave": WeaveOperator(
            {f: (float(rng.normal()), float(rng.normal())) for f in frames[1:]},
            {f: 0.4 * (-1.0) ** f for f in frames[2:]},
        ),
        "flicker": FlickerOperator(
            {
                f: FrameFlicker(
                    tuple(rng.normal(0, 0.1, channels).tolist()),
                    tuple(rng.normal(0, 0.1, channels).tolist()) if f > frames[1] else (),
                    tuple(rng.normal(0, 0.02, channels).tolist()) if f > frames[2] else (),
                    rng.normal(0, 0.05, (6, 8)).tolist() if f > frames[1] else (),
                    rng.normal(0, 0.02, (channels, 6, 8)).tolist() if f > frames[3] else (),
                )
                for f in frames[1:]
            },
            0.42,
        ),
        "scratch": ScratchOperator(
            {
                f: (
                    ScratchPlace(x_px=20.3 + 0.1 * f, width_px=2.0, top_px=0, bottom_px=64),
                    ScratchPlace(x_px=60.0, width_px=1.0, top_px=10, bottom_px=50),
                    ScratchPlace(x_px=40.0, width_px=2.0, top_px=0, bottom_px=64, lean_px=3.5),
                )
                for f in frames[1:]
            }
        ),
        "dirt": DirtOperator(sigma=0.012, options=DirtOptions(), protected=frozenset({FIRST + 2})),
        "noise": NoiseOperator(
            GrainCurve.flat((0.008,) * channels),
            GrainModel.white(channels),
            1.0,
            0.25,
            Effort(radius=2),
        ),
        "grain": GrainOperator(grain_look(channels), 0.5, 17, size=2),
        "rebuild": RebuildOperator({FIRST + 2: 0.5, FIRST + 5: 0.25}),
        "upscale-resample-x2": ResampleUpscale(scale=2),
        "upscale-resample-x4": ResampleUpscale(scale=4),
        "upscale-placed-x2": PlacedUpscale(
            2,
            {f: Placement(float(rng.normal()), float(rng.normal()), 0.3) for f in frames[1:]},
        ),
        "upscale-frames-x2": FramesUpscale(2),
        "upscale-frames-x4": FramesUpscale(4, kernel="area", share=0.7),
        "upscale-frames-placed-x2": FramesUpscale(
            2, {f: Placement(float(rng.normal()), float(rng.normal()), 0.3) for f in frames[1:]}
        ),
        "upscale-network-x2": network(),
        "fit": FitOperator((45, 61)),
        "color": BalanceOperator(
            CDL((1.1, 1.1, 1.1), (0.02, 0.02, 0.02)),
            SHOT,
            before=CDL(saturation=0.8) if channels == 3 else CDL(),
            after=CDL((0.9, 0.9, 0.9)),
            dissolve_in=2,
            dissolve_out=3,
        ),
    }
    return built[name]


def damaged(channels: int = 3, seed: int = 3) -> Tensor:
    """(T, C, H, W) film log, -0.2..1.4: a pan with grain, dirt and weave, stretched over the
    ends of the scale."""
    margin = 8
    clean = pan(seed, FRAMES, HEIGHT_PX + 2 * margin, WIDTH_PX + 2 * margin, 1.5)
    damage = Damage(
        flicker_stops=0.1, weave_px=(0.6, 0.4), grain_sigma=0.008, dirt_per_frame=2.0, scratches=1
    )
    frames, _ = damage_shot(clean, damage, seed, margin)
    low, high = float(frames.min()), float(frames.max())
    stretched = (frames - low) / (high - low) * 1.6 - 0.2
    return torch.from_numpy(stretched.astype(np.float32)[:, :channels]).contiguous()
