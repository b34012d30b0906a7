"""One matte for a reel, wide enough for every frame of it."""

from __future__ import annotations

from typing import Literal

import pytest

from wetgate.decisions import ShotDecisions, WeaveDecision
from wetgate.mattes import with_mattes

SIZE = {"R1": (1080, 1920), "R2": (1080, 1920)}


def shot(
    name: str,
    reel: str,
    *moves: tuple[float, float, float],
    border: Literal["keep", "matte"] = "matte",
    protected: bool = False,
) -> ShotDecisions:
    weave = WeaveDecision(
        applied=bool(moves),
        dx_px=tuple(m[0] for m in moves),
        dy_px=tuple(m[1] for m in moves),
        turn_deg=tuple(m[2] for m in moves),
        border=border,
    )
    frames = (1, max(1, len(moves)))
    return ShotDecisions(shot=name, reel=reel, frames=frames, weave=weave, protected=protected)


def test_matte_covers_what_any_frame_of_the_reel_lacks() -> None:
    shots = [
        shot("a", "R1", (1.2, -0.5, 0.0), (-0.3, 2.0, 0.0)),
        shot("b", "R1", (0.0, 0.0, 0.0)),
        shot("still", "R1"),
        shot("kept", "R1", (9.0, 9.0, 0.0), border="keep"),
        shot("shielded", "R1", (9.0, 9.0, 0.0), protected=True),
        shot("other", "R2", (-4.0, 0.0, 0.0)),
    ]
    found = with_mattes({s.shot: s for s in shots}, SIZE)
    mattes = {name: d.weave.matte_px for name, d in found.items()}
    assert mattes["a"] == mattes["b"] == mattes["still"] == (2, 1, 2, 1)
    assert mattes["kept"] == mattes["shielded"] == (0, 0, 0, 0)
    assert mattes["other"] == (0, 0, 0, 4)


@pytest.mark.parametrize("turn", [0.1, -0.1])
def test_turns_need_a_wider_matte(turn: float) -> None:
    found = with_mattes({"a": shot("a", "R1", (0.0, 0.0, turn))}, SIZE)
    # tan(0.1 degree) times half the other side: 1.68 and 0.94 px.
    assert found["a"].weave.matte_px == (2, 2, 1, 1)
