"""What the words for how much time a frame is given mean."""

from __future__ import annotations

from typing import Literal

from restore.noise.guide import GuideName
from restore.noise.transform import Effort

EFFORTS = {
    "fast": Effort(radius=1, flow="quick"),
    "usual": Effort(flow="halved"),
    "fine": Effort(radius=4, first_px=4, second_px=3, flow="fine"),
    "finest": Effort(radius=4, first_px=4, second_px=3, flow="fine", alike=4),
}
"""Guided by the filter's own first pass."""
GUIDED: dict[str, tuple[GuideName, Effort]] = {
    "fast": ("grain-beside", Effort(radius=1, flow="none")),
    "usual": ("grain-along", Effort(radius=2, flow="halved")),
    "fine": ("grain-along", Effort(radius=4, second_px=3, flow="fine")),
    "finest": ("grain-along", Effort(radius=4, second_px=3, flow="fine", alike=4)),
}
"""Guided by a network."""


def guide_for(effort: str, said: str) -> Literal["network", "blocks"]:
    """What ``auto`` means: the network where it measures better than the filter by itself.

    Without motion (``fast``) it does not, but on a GPU or under a camera that stands still it is
    worth asking for by name.
    """
    if said == "auto":
        return "blocks" if effort == "fast" else "network"
    return "network" if said == "network" else "blocks"
