"""The least certain decisions first, each with the lines to overrule it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wetgate.files import read_json
from wetgate.job import Job
from wetgate.stages.ingest import read_reel


@dataclass(frozen=True)
class Doubt:
    """One shot somebody may want to look at."""

    shot: str
    reel: str
    frames: tuple[int, int]
    confidence: float
    held_because: tuple[str, ...]
    reasons: tuple[str, ...]

    def override(self) -> str:
        """TOML to paste into overrides.toml and edit."""
        return f'["{self.shot}"]\nnote = ""\nprotect = false\n'


def doubts(job: Job) -> list[Doubt]:
    """Held shots first, then by rising confidence."""
    found = []
    shots = [s for c in job.project.reels for s in read_reel(job, c).shots]
    for shot in shots:
        decision: dict[str, Any] | None = read_json(job.folder.decision(shot.reel, shot.id))
        if decision is None:
            continue
        verdict = read_json(job.folder.verdict(decision["reel"], decision["shot"])) or {}
        told = verdict.get("held_because")
        because = tuple(told) if isinstance(told, list) else ()
        found.append(
            Doubt(
                shot=decision["shot"],
                reel=decision["reel"],
                frames=(decision["frames"][0], decision["frames"][1]),
                confidence=decision["confidence"],
                held_because=because,
                # What holds a shot is said once.
                reasons=tuple(r for r in decision["reasons"] if r not in because),
            )
        )
    return sorted(found, key=lambda d: (not d.held_because, d.confidence, d.shot))
