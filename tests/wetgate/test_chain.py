"""Decisions become operators: in the fixed order, and across dissolves and fades without a jump."""

from __future__ import annotations

import numpy as np
import pytest

from color.apply import BalanceOperator
from media.frames import FrameRange
from media.reel import Shot
from tests.reels import HERE, TEN_BIT
from wetgate.chain import build_chain
from wetgate.config import Project, Restore, Upscale
from wetgate.decisions import (
    ColorDecision,
    DirtDecision,
    FlickerDecision,
    NoiseDecision,
    ScratchDecision,
    ShotDecisions,
    WeaveDecision,
)
from wetgate.size import size_of

AS_SCANNED = size_of(Project(), TEN_BIT)
OUT = Shot(id="R1_0010", reel="R1", frames=FrameRange(0, 20), dissolve_out=4)
INTO = Shot(id="R1_0020", reel="R1", frames=FrameRange(20, 40), dissolve_in=4, fade_out=5)


def decided(shot: Shot, red_offset: float) -> ShotDecisions:
    """Only a color decision."""
    color = ColorDecision(slope=(1.0, 1.0, 1.0 + red_offset), offset=(red_offset, 0.0, 0.0))
    last = shot.frames.stop - 1
    return ShotDecisions(shot=shot.id, reel="R1", frames=(shot.frames.start, last), balance=color)


def color_of(shot: Shot, own: ShotDecisions, other: ShotDecisions) -> BalanceOperator:
    """The color operator of a chain that has nothing else."""
    before, after = (None, other) if shot is OUT else (other, None)
    (operator,) = build_chain(
        Project(), shot, own, before, after, baked=True, numerics=HERE, size=AS_SCANNED
    )
    assert isinstance(operator, BalanceOperator)
    return operator


def test_a_dissolve_carries_one_decision_over_into_the_next() -> None:
    first, second = decided(OUT, 0.0), decided(INTO, 0.08)
    leaving, coming = color_of(OUT, first, second), color_of(INTO, second, first)
    offsets = [leaving.cdl_at(n).offset[0] for n in range(20)]
    offsets += [coming.cdl_at(n).offset[0] for n in range(20, 40)]
    assert offsets[:16] == [0.0] * 16
    assert offsets[24:35] == pytest.approx([0.08] * 11)
    steps = np.diff(offsets[15:25])
    assert steps.min() > 0.0
    assert steps.max() <= 0.08 / 8 + 1e-9
    assert offsets[-1] == pytest.approx(0.08 * 0.1)


def test_recorded_color_is_left_out_of_the_picture() -> None:
    assert (
        build_chain(
            Project(),
            OUT,
            decided(OUT, 0.05),
            None,
            None,
            baked=False,
            numerics=HERE,
            size=AS_SCANNED,
        )
        == []
    )


def test_repairs_come_in_their_order() -> None:
    n = len(OUT.frames)
    everything = decided(OUT, 0.05).model_copy(
        update={
            "scratch": ScratchDecision(
                applied=True, places={"3": ((40.0, 2.0, 0, 60, 0.05, 0.0),)}
            ),
            "weave": WeaveDecision(applied=True, dx_px=(0.5,) * n, dy_px=(0.1,) * n),
            "flicker": FlickerDecision(
                applied=True, exposure_stops=((0.1, 0.1, 0.1),) * n, grid_stops=(((0.0,),),) * n
            ),
            "dirt": DirtDecision(applied=True, sigma=0.01),
            "noise": NoiseDecision(applied=True, sigma=(0.01, 0.01, 0.01)),
        }
    )
    project = Project(restore=Restore(upscale=Upscale(enabled=True, factor=2)))
    chain = build_chain(
        project,
        OUT,
        everything,
        None,
        None,
        baked=True,
        numerics=HERE,
        size=size_of(project, TEN_BIT),
    )
    # One resample: a kernel that enlarges also moves the picture to its place.
    names = ["scratch", "flicker", "dirt", "noise", "weave and upscale", "color"]
    assert [op.name for op in chain] == names
    chain = build_chain(
        Project(), OUT, everything, None, None, baked=True, numerics=HERE, size=AS_SCANNED
    )
    names = ["scratch", "weave", "flicker", "dirt", "noise", "color"]
    assert [op.name for op in chain] == names
