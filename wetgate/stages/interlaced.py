"""Repairs are for whole frames: interlaced reels are refused, or passed through as they are."""

from __future__ import annotations

from media.cadence import COMBED_SHARE
from media.errors import InputError
from media.reel import Reel
from wetgate.config import REPAIRS, Project, ReelConfig

INTERLACED = "interlaced"
"""The name under which a project takes fields for whole frames."""


def refuse_interlaced(project: Project, config: ReelConfig, reel: Reel) -> None:
    """Two fields taken at different times have two exposures and two places in the gate.

    raises: InputError when the reel is flagged as interlaced or looks so, a repair is switched
    on for it, and ``reels.accept`` does not name ``interlaced``.
    """
    if INTERLACED in config.accept:
        return
    combed = reel.facts.get("combed_share")
    share = float(combed) if isinstance(combed, int | float) else 0.0
    if reel.facts.get("interlaced"):
        what = "the movie is flagged as interlaced"
    elif share > COMBED_SHARE:
        what = f"{100 * share:.0f} % of the frames look interlaced"
    else:
        return
    wanted = [name for name in REPAIRS if _enabled(project, config, name)]
    if wanted:
        raise InputError(
            f"{what}, and {wanted[0]} works on whole frames",
            reel=reel.id,
            hint="deinterlace the reel or undo its pulldown first, pass it through with "
            "--only none, or set reels.accept = ['interlaced'] if its frames are whole",
        )


def _enabled(project: Project, config: ReelConfig, name: str) -> bool:
    if name == "grain":
        # It only says what the noise repair gives back.
        return False
    layer = config.restore.get(name, {})
    if isinstance(layer, dict) and "enabled" in layer:
        return bool(layer["enabled"])
    return bool(getattr(project.restore, name).enabled)
