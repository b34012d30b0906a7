"""Names of pieces of work that cost alike: what timings are kept under, and looked up by."""

from __future__ import annotations

from collections.abc import Iterable

from media.reel import Reel
from restore.noise.efforts import guide_for
from wetgate.config import Project
from wetgate.layout import lay_out
from wetgate.plan import PlannedShot
from wetgate.size import Size, size_of


def ingest_piece(kind: str) -> str:
    """kind: dpx, tiff, movie and so on."""
    return f"ingest {kind}"


def analyse_piece(probes: Iterable[str]) -> str:
    """Measuring a shot with these probes."""
    return "analyse " + " ".join(sorted(probes))


def verify_piece(probes: Iterable[str], size: Size) -> str:
    """Measuring what was rendered, at its size."""
    return " ".join(["verify", *sorted(probes), size.word]).rstrip()


def render_piece(project: Project, planned: PlannedShot) -> str:
    """One chain: operators in their order, with what decides how long they take."""
    words = []
    for op in planned.chain:
        word = op.name.replace(" ", "-")
        if op.scale > 1:
            word += f"-x{op.scale}"
        if op.name == "fit":
            word += f"-{planned.size.word}"
        if op.name == "noise":
            noise = project.restore.noise
            word += f"-{noise.effort}-{guide_for(noise.effort, noise.guide)}"
        words.append(word)
    return "render " + (" ".join(words) or "nothing")


def deliver_piece(project: Project, reel: Reel) -> str:
    """All deliverables of a reel, and its touch planes."""
    size = size_of(project, reel.format, reel.id)
    words = [lay_out(reel, d, size.out_px).kind for d in project.deliver]
    words += ["touch"] * any(d.touch for d in project.deliver)
    return " ".join(["deliver", *words, size.word]).rstrip()


def megapixels(reel: Reel) -> float:
    """Of one frame of the scan. Costs are counted by it, whatever size is delivered."""
    return reel.format.width * reel.format.height / 1e6
