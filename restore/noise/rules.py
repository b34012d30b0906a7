"""What both ways of running the block filter have in common."""

from __future__ import annotations

SIZE = 8
"""Px, edge of a block."""
RIM = 2 * SIZE
"""Px of mirrored picture around the frame: a block, and room for a last whole step."""
THRESHOLD = 2.5
"""Of the first pass, in units of the grain that is left after merging."""
FIRST = (1.3, 2.0)
SECOND = (1.15, 1.0)
"""Difference from a neighbour that grain alone explains, in its variance, and how steeply trust
falls beyond it."""
COARSE_BLUR_PX = 0.35
"""Of what the half-size pass changes, px at half size."""
STEERING_PX = (6, 4)
"""Px between blocks in both passes of the filter over what flow looks at."""
