"""Curves as a table: what is applied, frame by frame."""

from __future__ import annotations

import csv
import io

from wetgate.curves import curves_csv
from wetgate.decisions import FlickerDecision, ShotDecisions, WeaveDecision


def test_the_table_holds_what_is_applied() -> None:
    decisions = ShotDecisions(
        shot="R1_0010",
        reel="R1",
        frames=(101, 102),
        flicker=FlickerDecision(
            applied=True,
            exposure_stops=((0.1, 0.2, 0.3), (-0.1, -0.2, -0.3)),
            grid_stops=(((0.01, -0.04),), ((0.0, 0.02),)),
        ),
        weave=WeaveDecision(applied=True, dx_px=(1.25, -1.25), dy_px=(0.0, 0.5)),
    )
    rows = list(csv.DictReader(io.StringIO(curves_csv(decisions).decode())))
    assert [r["frame"] for r in rows] == ["101", "102"]
    assert [float(r["exposure_blue_stops"]) for r in rows] == [0.3, -0.3]
    assert [float(r["local_peak_stops"]) for r in rows] == [0.04, 0.02]
    assert [float(r["dx_px"]) for r in rows] == [1.25, -1.25]
    assert "contrast_red" not in rows[0]


def test_nothing_applied_is_no_table() -> None:
    assert curves_csv(ShotDecisions(shot="R1_0010", reel="R1", frames=(1, 9))) == b""
