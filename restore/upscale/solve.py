"""From what a shot's own pictures said to how it is enlarged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FULL_DB = 0.15
"""Gain over single frames from which on neighbours count in full."""
LEAST_DB = 0.02
"""Below this they are left out."""
STEADIEST = 1.02
"""Several frames may change this much more along the motion than single ones; beyond it they are
left out."""


@dataclass(frozen=True, slots=True)
class UpscaleSolution:
    """How a shot is to be enlarged."""

    share: float
    """0..1 of what neighbours add; 0: from single frames."""
    reason: str
    """Why not in full; empty where in full."""


def solve_upscale(evidence: Mapping[str, Any]) -> UpscaleSolution:
    """evidence: of ``UpscaleProbe``."""
    if not evidence.get("runs"):
        return UpscaleSolution(0.0, "several frames could not be tried on this shot")
    if evidence["steadiness"] is None:
        return UpscaleSolution(0.0, "the motion of this shot could not be followed")
    gain, steadiness = float(evidence["gain_db"]), float(evidence["steadiness"])
    if gain < LEAST_DB:
        return UpscaleSolution(0.0, f"several frames give {gain:+.2f} dB over single ones")
    if steadiness > STEADIEST:
        return UpscaleSolution(
            0.0, f"several frames change {100 * (steadiness - 1):.0f} % more along the motion"
        )
    share = round(min(gain / FULL_DB, 1.0), 2)
    reason = "" if share >= 1.0 else f"several frames give only {gain:+.2f} dB over single ones"
    return UpscaleSolution(share, reason)
