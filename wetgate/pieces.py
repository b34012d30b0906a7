"""Names of pieces of work that cost alike: what timings are kept under, and looked up by."""

from __future__ import annotations

from collections.abc import Iterable

from media.passes import Operator
from media.reel import Reel
from restore.noise.efforts import guide_for
from wetgate.chain import scale_of
from wetgate.config import Project
from wetgate.layout import lay_out


def ingest_piece(kind: str) -> str:
    """kind: dpx, tiff, movie and so on."""
    return f"ingest {kind}"


def analyse_piece(probes: Iterable[str]) -> str:
    """Measuring a shot with these probes."""
    return "analyse " + " ".join(sorted(probes))


def verify_piece(probes: Iterable[str]) -> str:
    """Measuring what was rendered."""
    return "verify " + " ".join(sorted(probes))


def render_piece(project: Project, chain: Iterable[Operator]) -> str:
    """One chain: operators in their order, with what decides how long they take."""
    words = []
    for op in chain:
        word = op.name.replace(" ", "-")
        if op.scale > 1:
            word += f"-x{op.scale}"
        if op.name == "noise":
            noise = project.restore.noise
            word += f"-{noise.effort}-{guide_for(noise.effort, noise.guide)}"
        words.append(word)
    return "render " + (" ".join(words) or "nothing")


def deliver_piece(project: Project, reel: Reel) -> str:
    """All deliverables of a reel, and its touch planes."""
    words = [lay_out(reel, d, scale_of(project)).kind for d in project.deliver]
    return "deliver " + " ".join(words + ["touch"] * any(d.touch for d in project.deliver))


def megapixels(reel: Reel) -> float:
    """Of one frame of the scan. Costs are counted by it, whatever size is delivered."""
    return reel.format.width * reel.format.height / 1e6
