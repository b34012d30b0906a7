"""What a report is made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from media.write import AnyCodes
from wetgate.decisions import ShotDecisions
from wetgate.job import Job
from wetgate.plan import PlannedShot
from wetgate.records import IngestedReel


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportInput:
    """Everything that is known about a title when its report is written.

    Whatever is missing for a shot is shown as missing; nothing is left out in silence.
    """

    job: Job
    reels: Mapping[str, IngestedReel]
    """By reel id, in the order of the project."""
    decisions: Mapping[str, ShotDecisions]
    """By shot id."""
    planned: Mapping[str, PlannedShot]
    """By shot id, in the variant of the first deliverable; no entry for shots not rendered."""
    verdicts: Mapping[str, Mapping[str, Any]]
    """By shot id, as in verify/<shot>.json; no entry for shots that were not verified."""
    failures: Mapping[str, Mapping[str, object]]
    """By shot id (or any other name of what failed), ``WetgateError.as_dict()``."""
    complete: bool
    """Everything that was planned is delivered."""
    read_source: Callable[[str, int], AnyCodes]
    """Reel id and frame number to the scan's codes, (H, W, C). May raise WetgateError."""
    truth: Mapping[str, object] | None = None
    """Only where the damage is known: ``rows``, a list of mappings with ``measure``, ``unit``,
    ``before``, ``after`` and ``goal``; and a ``note`` in plain words, which may be left out."""
    evidence: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By shot id, what the probes measured on the scan; may be empty."""
