"""What is left between two ways to correct the same colors, as an eye would see it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from color.difference import delta_e_2000_each

F64 = NDArray[np.float64]
Apply = Callable[[F64], F64]


def residual_delta_e(colors: F64, whole: Apply, part: Apply) -> tuple[float, float]:
    """Mean and largest CIEDE2000 between the two; colors: (N, 3) film log."""
    each = delta_e_2000_each(whole(colors), part(colors))
    return float(each.mean()), float(each.max())
