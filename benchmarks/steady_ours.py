"""Deflicker and weave as the product chains them: probes, solvers, operators, one renderer."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from media.frames import FrameRange
from media.passes import Operator, Probe
from media.pictures import all_own
from media.synthetic import Frames
from restore.flicker.apply import FlickerOperator, FrameFlicker
from restore.flicker.measure import FlickerProbe
from restore.flicker.solve import FlickerOptions, FlickerSolution, solve_flicker
from restore.weave.apply import WeaveOperator
from restore.weave.measure import WeaveProbe
from restore.weave.overscan import OverscanProbe
from restore.weave.solve import WeaveOptions, solve_weave
from wetgate.executor import ShotRenderer


@dataclass(frozen=True)
class Restored:
    """What came out of one shot."""

    frames: Frames
    """(T, C, H, W) film log."""
    shifts_px: NDArray[np.float64]
    """(T, 2) shift applied."""
    seconds: float
    """Processor time: measuring, solving and rendering."""
    note: str
    """Why a repair was left alone, or flashes that were kept; empty when neither."""


def restored(scan: Frames, *, weave: bool, flicker: bool) -> Restored:
    """One shot through the chain, every option at its default.

    At 640 px the analysis looks at the full size, as the product does up to 960 px.
    """
    started = time.process_time()
    numbers = FrameRange(0, len(scan))
    probes: list[Probe] = [WeaveProbe(1.0), OverscanProbe(1.0)] if weave else []
    exposure = FlickerProbe() if flicker else None
    for number in numbers:
        pixels = torch.from_numpy(scan[number])
        for probe in probes:
            probe.observe(number, pixels)
        if exposure is not None:
            exposure.observe(number, pixels)
    chain: list[Operator] = []
    notes = []
    shifts = np.zeros((len(scan), 2))
    if probes:
        cells, marks = (dict(probe.finish()) for probe in probes)
        path = solve_weave(cells, numbers, WeaveOptions(), marks)
        if path.applied:
            shifts = np.stack([path.dx_px, path.dy_px], axis=1).round(4)
            places = {n: (float(x), float(y)) for n, (x, y) in enumerate(shifts)}
            chain.append(WeaveOperator(places, dict(enumerate(path.turn_deg.round(5).tolist()))))
        else:
            notes.append(f"weave: {path.reason}")
    if exposure is not None:
        found = solve_flicker(exposure.finish(), numbers, FlickerOptions())
        if found.applied:
            chain.append(FlickerOperator(by_frame(found), found.pivot))
        else:
            notes.append(f"flicker: {found.reason}")
        if found.kept_flashes:
            notes.append(f"{len(found.kept_flashes)} frames kept as flashes")
    renderer = ShotRenderer("steady", all_own(numbers), lambda n: torch.from_numpy(scan[n]), chain)
    frames = np.stack([renderer.frame(n).pixels.numpy() for n in numbers])
    return Restored(frames, shifts, time.process_time() - started, "; ".join(notes))


def by_frame(found: FlickerSolution) -> dict[int, FrameFlicker]:
    """Frame number from 0 to its correction."""
    return {
        n: FrameFlicker(
            tuple(found.exposure_stops[n].tolist()),
            tuple(found.contrast[n].tolist()),
            tuple(found.bend[n].tolist()),
            found.grid_stops[n].tolist(),
            found.channel_grid_stops[n].tolist(),
        )
        for n in range(len(found.exposure_stops))
    }
