"""The curves of a shot as a table that any spreadsheet or plotting tool opens."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from wetgate.decisions import ShotDecisions


def curves_csv(decisions: ShotDecisions) -> bytes:
    """One line a frame, as applied: exposure in stops, contrast and bend, shift in px, turn in
    degrees.

    Columns of repairs that are not applied are left out; no repair, no table (empty bytes).
    """
    flicker, weave = decisions.flicker, decisions.weave
    columns: list[tuple[str, Sequence[float]]] = []
    if flicker.applied:
        for name, rows in (
            ("exposure_{}_stops", flicker.exposure_stops),
            ("contrast_{}", flicker.contrast),
            ("bend_{}", flicker.bend),
        ):
            columns += _by_channel(name, rows)
        if flicker.grid_stops:
            peaks = [max(abs(v) for row in grid for v in row) for grid in flicker.grid_stops]
            columns.append(("local_peak_stops", peaks))
    if weave.applied:
        columns += [("dx_px", weave.dx_px), ("dy_px", weave.dy_px)]
        if weave.turn_deg:
            columns.append(("turn_deg", weave.turn_deg))
    if not columns:
        return b""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["frame", *(name for name, _ in columns)])
    first = decisions.frames[0]
    for at, values in enumerate(zip(*(v for _, v in columns), strict=True)):
        table.writerow([first + at, *(f"{v:.5g}" for v in values)])
    return text.getvalue().encode("ascii")


def _by_channel(name: str, rows: Sequence[Sequence[float]]) -> list[tuple[str, Sequence[float]]]:
    """A column for each channel; none for an empty curve."""
    if not rows:
        return []
    channels = ("red", "green", "blue") if len(rows[0]) == 3 else ("gray",)
    return [
        (name.format(channel), values)
        for channel, values in zip(channels, zip(*rows, strict=True), strict=True)
    ]
