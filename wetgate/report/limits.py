"""What was not attempted, so that nobody takes silence for success."""

from __future__ import annotations

from collections.abc import Mapping

from wetgate.config import Project
from wetgate.plan import PlannedShot

_OFF = {
    "weave": "Gate weave and jitter were not corrected",
    "flicker": "Flicker was not corrected",
    "dirt": "Dirt was not looked for",
    "scratch": "Vertical scratches were not looked for",
    "noise": "Grain and noise were left as scanned",
}
_UNUSED = {
    **_OFF,
    "dirt": "Dirt was looked for and not repaired",
    "scratch": "Vertical scratches were looked for and not repaired",
}
_FRAMES = "Frames that are burnt, fogged, blank or torn, and splices, were not looked for"

_ALWAYS = (
    "Residual flicker and weave are measured by the same probes that led the repair. They show "
    "what those probes can still see, and they cannot know what the film looked like when new.",
    "Color work brings shots nearer to each other or to a reference. It makes no claim about the "
    "original colors.",
    "Warped emulsion, mould and sound were not worked on.",
    "The pictures on this page are small 8-bit renderings to find your way by. Judge the "
    "delivered masters.",
)


def not_attempted(project: Project, planned: Mapping[str, PlannedShot]) -> list[str]:
    """Sentences, most specific first."""
    used = {op.name for shot in planned.values() for op in shot.chain}
    if any(name.startswith("weave and") for name in used):
        used.add("weave")
    restore, color = project.restore, project.color
    found = []
    for name, words in _OFF.items():
        if not getattr(restore, name).enabled:
            found.append(f"{words}: switched off in the project.")
        elif planned and name not in used:
            why = "none was found, or for" if name == "scratch" else "see"
            found.append(f"{_UNUSED[name]} in any shot: {why} the reasons given at each shot.")
    if not restore.frames.enabled:
        found.append(f"{_FRAMES}: switched off in the project.")
    elif not project.ingest.find_damaged:
        found.append(f"{_FRAMES}: ingest.find_damaged is switched off in the project.")
    if not (color.balance.enabled or color.match.enabled):
        found.append("Color was left as scanned: switched off in the project.")
    elif not color.match.enabled:
        found.append("Shots were not matched to each other in color: switched off in the project.")
    if not color.fade.enabled:
        found.append("Faded dyes were not brought back beyond what a close match needs.")
    if any(d.color == "recorded" for d in project.deliver):
        found.append("Color decisions are recorded as CDL files and not baked into every master.")
    if not project.policy.allow_invented:
        found.append("Inventing picture is not allowed by the policy of this title.")
    return [*found, *_ALWAYS]
