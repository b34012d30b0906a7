"""What is worked on first: reels and shots that ``night.first`` names, then the rest in order."""

from __future__ import annotations

from collections.abc import Mapping

from media.errors import ConfigError
from wetgate.config import Project
from wetgate.project import nearest
from wetgate.records import IngestedReel


def in_order(project: Project, reels: Mapping[str, IngestedReel]) -> list[str]:
    """Ids of all shots, the most urgent first. What is delivered does not depend on it.

    raises: ConfigError when ``night.first`` names neither a reel nor a shot.
    """
    shots = {s.id: name for name, r in reels.items() for s in r.shots}
    for name in project.night.first:
        if name not in reels and name not in shots:
            raise ConfigError(
                f"night.first names {name!r}, which is no reel or shot of this title",
                hint=nearest(name, [*reels, *shots]),
            )
    rank = {name: k for k, name in reversed([*enumerate(project.night.first)])}
    last = len(rank) + len(project.night.first)

    def urgency(shot: str) -> int:
        return min(rank.get(shot, last), rank.get(shots[shot], last))

    return sorted(shots, key=urgency)
