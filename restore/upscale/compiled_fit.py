"""Pictures brought to any size on the CPU, compiled.

Every pixel is the same sum in the same order: one thread, no reassociation, no contraction.
``restore.upscale.fitting`` has the same for other devices.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def fit(
    planes: F32,
    down: F32,
    down_first: I64,
    down_near: I64,
    across: F32,
    across_first: I64,
    across_near: I64,
) -> F32:
    """(N, H, W) to (N, h, w), edges held, within the range of what lies near each place.

    down: (h, K) taps, down_first: (h,) places of the first, down_near: (h, 2) places that bound
    a pixel; across: the same of columns.
    """
    n, height, width = planes.shape
    h, rows = down.shape
    w, columns = across.shape
    out = np.empty((n, h, w), np.float32)
    line = np.empty(width, np.float32)
    low, high = np.empty(width, np.float32), np.empty(width, np.float32)
    for p in range(n):
        for y in range(h):
            line[:] = np.float32(0.0)
            for k in range(rows):
                tap = down[y, k]
                source = planes[p, min(max(down_first[y] + k, 0), height - 1)]
                for x in range(width):
                    line[x] += tap * source[x]
            top = min(max(down_near[y, 0], 0), height - 1)
            bottom = min(max(down_near[y, 1], 0), height - 1)
            low[:] = planes[p, top]
            high[:] = planes[p, top]
            for r in range(top + 1, bottom + 1):
                source = planes[p, r]
                for x in range(width):
                    low[x] = min(low[x], source[x])
                    high[x] = max(high[x], source[x])
            target = out[p, y]
            for x in range(w):
                total = np.float32(0.0)
                start = across_first[x]
                if start >= 0 and start + columns <= width:
                    for k in range(columns):
                        total += across[x, k] * line[start + k]
                else:
                    for k in range(columns):
                        total += across[x, k] * line[min(max(start + k, 0), width - 1)]
                left = min(max(across_near[x, 0], 0), width - 1)
                right = min(max(across_near[x, 1], 0), width - 1)
                least, most = low[left], high[left]
                for c in range(left + 1, right + 1):
                    least = min(least, low[c])
                    most = max(most, high[c])
                target[x] = min(max(total, least), most)
    return out
