"""When a line is taken for a scratch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ScratchOptions:
    """When a line is taken for a scratch."""

    least_frames: int = 6
    """A line seen in fewer frames is not judged."""
    least_share: float = 0.5
    """Share of the frames of its span in which it must be seen."""
    link_px: float = 1.5
    """How far from its expected place a line may be found in the next frame."""
    first_step_px: float = 5.0
    """How far it may step while its speed is not known yet: things of the scene are followed
    too, so that they can be told and listed."""
    drift_px: float = 0.4
    """Mean speed, px a frame, above which a line is a thing that moves ..."""
    clear_drift_px: float = 1.25
    """... or above this one that is as high as the picture, lets it through for some frames, and
    does not lean as lines do that drift along the film."""
    clear_through: float = 0.5
    clear_frames: int = 12
    moved_px: float = 6.0
    """The picture must travel at least this far for motion to tell."""
    edge_px: float = 6.0
    edge_share: float = 0.015
    """Lines nearer to the left or right edge than either are held for the frame's own, unless
    the camera moves and the same picture is seen on both sides of them, and through them."""
    still_extent: float = 0.85
    """Share of the height a line must cover where the picture stands still."""
    still_through: float = 0.3
    """... and the share of the picture's detail that must be seen through it."""
    hides: float = 0.3
    """A line under which a smaller share of the detail is seen than this hides the picture."""
    wander_px: float = 6.0
    """A line that hides the picture and wanders further than this is a thing in the scene."""
