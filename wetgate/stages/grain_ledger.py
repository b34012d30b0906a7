"""The grain ledger of a shot: what was there, what is there now, what was meant to be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wetgate.decisions import ShotDecisions

_KEPT = (
    "sigma",
    "sigma_luma",
    "levels",
    "level_sigma",
    "correlation",
    "spectrum",
    "autocorrelation",
    "channel_correlation",
)


def grain_ledger(
    before: Mapping[str, Any], after: Mapping[str, Any], decisions: ShotDecisions
) -> dict[str, Any]:
    """Evidence of the grain probe on the scan and on the result, and the target between them.

    ``target_sigma`` (C,) film log: the share of the measured grain that was to stay. All of it
    where nothing was taken out.
    """
    noise = decisions.noise
    kept = decisions.grain.kept if noise.applied else 1.0
    found = before.get("grain", {})
    now = after.get("grain", {})
    source = decisions.grain.source if noise.applied else "own"
    return {
        "before": _part(found),
        "after": _part(now),
        "kept": kept,
        "source": source,
        "target_sigma": [round(float(s) * kept, 6) for s in found.get("sigma", ())],
        "error": _error(found, now, kept),
    }


def _error(before: Mapping[str, Any], after: Mapping[str, Any], kept: float) -> float | None:
    """How far luma grain is off its target, as a share of what was there. None: not measured."""
    if not before.get("frames_used") or not after.get("frames_used"):
        return None
    was = float(before["sigma_luma"])
    return round((float(after["sigma_luma"]) - kept * was) / max(was, 1e-6), 4)


def _part(grain: Mapping[str, Any]) -> dict[str, Any] | None:
    """None where grain could not be measured."""
    if not grain.get("frames_used"):
        return None
    return {k: _rounded(grain[k]) for k in _KEPT if k in grain}


def _rounded(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, list | tuple):
        return [_rounded(v) for v in value]
    return round(float(value), 6)
