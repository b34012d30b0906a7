"""The grain ledger of a shot: what was there, what is there now, what was meant to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wetgate.decisions import ColorDecision, ShotDecisions

_MIDDLE = 0.45
"""Film log of mid grey, near enough."""
_FEWEST = 4
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
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    decisions: ShotDecisions,
    *,
    baked: bool = False,
) -> dict[str, Any]:
    """Evidence of the grain probe on the scan and on the result, and the target between them.

    baked: the shot's CDL is in the result, and raised its grain with its contrast.
    ``target_sigma`` (C,) film log: the share of the measured grain that was to stay. All of it
    where nothing was taken out.
    """
    noise = decisions.noise
    kept = decisions.grain.kept if noise.applied else 1.0
    found = before.get("grain", {})
    now = after.get("grain", {})
    sigma = found.get("sigma", ())
    gain = _contrast(decisions.balance, len(sigma)) if baked else [1.0] * len(sigma)
    source = decisions.grain.source if noise.applied else "own"
    return {
        "before": _part(found),
        "after": _part(now),
        "kept": kept,
        "source": source,
        "target_sigma": [round(float(s) * kept * g, 6) for s, g in zip(sigma, gain, strict=True)],
        "error": _error(found, now, kept, gain),
    }


def _contrast(decision: ColorDecision, channels: int) -> list[float]:
    """(C,) slope of a CDL at mid grey, by which it raises grain."""
    found = []
    for slope, offset, power in zip(decision.slope, decision.offset, decision.power, strict=True):
        middle = max(_MIDDLE * slope + offset, 1e-3)
        found.append(slope * power * middle ** (power - 1.0))
    return found if channels == len(found) else [found[1]] * channels


def _error(
    before: Mapping[str, Any], after: Mapping[str, Any], kept: float, gain: Sequence[float]
) -> float | None:
    """How far luma grain is off its target, as a share of what was there. None: not measured, or
    on too few frames to hold anything against the result."""
    if min(before.get("frames_used", 0), after.get("frames_used", 0)) < _FEWEST:
        return None
    was = float(before["sigma_luma"]) * sum(gain) / len(gain)
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
