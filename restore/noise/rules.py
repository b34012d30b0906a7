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
ALIKE_PX = 4
"""Px, edge of a patch, and from one to the next."""
ALIKE_REACH_PX = 7
"""How far patches that are alike are looked for."""
ALIKE_GROUP = 32
"""Patches in a group."""
ALIKE_LOOKS = 3
"""Frames on which patches are compared: the frame itself and those nearest to it."""
ALIKE_BAND_PX = 128
"""Rows of patches whose surroundings are laid out at a time."""
FLATTEST = 0.06
"""Of the mean power of grain: frequencies that hold less of it are taken to hold this."""
