"""Enlarging and reducing on the CPU, compiled.

Every pixel is the same sum in the same order whatever the tile: one thread, no reassociation, no
contraction. ``restore.upscale.sampling`` has the same for other devices.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def enlarge(planes: F32, taps: F32, first: I64) -> F32:
    """(N, H, W) to (N, H*s, W*s). taps: (s, K); first: (s,) place of each phase's first tap."""
    n, h, w = planes.shape
    s, count = taps.shape
    out = np.empty((n, h * s, w * s), np.float32)
    wide = np.empty((h, w * s), np.float32)
    rim = count + 1
    padded = np.empty(w + 2 * rim, np.float32)
    line = np.empty(w, np.float32)
    for p in range(n):
        for y in range(h):
            row = planes[p, y]
            padded[:rim] = row[0]
            padded[rim : rim + w] = row
            padded[rim + w :] = row[w - 1]
            for r in range(s):
                line[:] = np.float32(0.0)
                for k in range(count):
                    tap, shift = taps[r, k], rim + first[r] + k
                    for x in range(w):
                        line[x] += tap * padded[x + shift]
                target = wide[y]
                for x in range(w):
                    target[x * s + r] = line[x]
        for y in range(h):
            for r in range(s):
                target = out[p, y * s + r]
                target[:] = np.float32(0.0)
                for k in range(count):
                    tap = taps[r, k]
                    source = wide[min(max(y + first[r] + k, 0), h - 1)]
                    for x in range(w * s):
                        target[x] += tap * source[x]
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy")
def reduce(planes: F32, taps: F32, scale: int) -> F32:
    """(N, H, W) to (N, H/s, W/s), edges held. taps: (K,), centred on the smaller pixel."""
    n, h, w = planes.shape
    count = len(taps)
    rim = (count - scale) // 2
    out = np.empty((n, h // scale, w // scale), np.float32)
    tall = np.empty(w + 2 * rim, np.float32)
    for p in range(n):
        for y in range(h // scale):
            tall[:] = np.float32(0.0)
            for k in range(count):
                tap = taps[k]
                source = planes[p, min(max(y * scale + k - rim, 0), h - 1)]
                for x in range(w):
                    tall[rim + x] += tap * source[x]
            tall[:rim] = tall[rim]
            tall[rim + w :] = tall[rim + w - 1]
            target = out[p, y]
            target[:] = np.float32(0.0)
            for k in range(count):
                tap = taps[k]
                for x in range(w // scale):
                    target[x] += tap * tall[x * scale + k]
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy")
def smoothed(plane: F32, taps: F32) -> F32:
    """(H, W) filtered along both axes, edges held. taps: (odd,)."""
    h, w = plane.shape
    count = len(taps)
    rim = count // 2
    wide = np.empty((h, w), np.float32)
    out = np.empty((h, w), np.float32)
    padded = np.empty(w + 2 * rim, np.float32)
    for y in range(h):
        padded[:rim] = plane[y, 0]
        padded[rim : rim + w] = plane[y]
        padded[rim + w :] = plane[y, w - 1]
        target = wide[y]
        target[:] = np.float32(0.0)
        for k in range(count):
            tap = taps[k]
            for x in range(w):
                target[x] += tap * padded[x + k]
    for y in range(h):
        target = out[y]
        target[:] = np.float32(0.0)
        for k in range(count):
            tap = taps[k]
            source = wide[min(max(y + k - rim, 0), h - 1)]
            for x in range(w):
                target[x] += tap * source[x]
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy")
def along_edges(planes: F32, fine: F32, wide: F32, amount: float, floor: float) -> F32:
    """(N, H, W) after one step of diffusion along the edges that all planes share.

    fine, wide: taps of the blurs before the gradient and of the structure tensor. floor: square
    of the gradient (per px) below which nothing is taken for an edge.
    """
    n, h, w = planes.shape
    mean = np.zeros((h, w), np.float32)
    share = np.float32(1.0 / n)
    for p in range(n):
        for y in range(h):
            for x in range(w):
                mean[y, x] += share * planes[p, y, x]
    mean = smoothed(mean, fine)
    xx, yy, xy = np.empty((h, w), np.float32), np.empty((h, w), np.float32), np.empty_like(mean)
    half = np.float32(0.5)
    for y in range(h):
        above, below = mean[max(y - 1, 0)], mean[min(y + 1, h - 1)]
        for x in range(w):
            gx = half * (mean[y, min(x + 1, w - 1)] - mean[y, max(x - 1, 0)])
            gy = half * (below[x] - above[x])
            xx[y, x], yy[y, x], xy[y, x] = gx * gx, gy * gy, gx * gy
    xx, yy, xy = smoothed(xx, wide), smoothed(yy, wide), smoothed(xy, wide)
    step, least = np.float32(amount), np.float32(floor)
    for y in range(h):
        for x in range(w):
            across = xx[y, x] - yy[y, x]
            cross = np.float32(2.0) * xy[y, x]
            apart = np.float32(np.sqrt(across * across + cross * cross))
            sure = step * apart / (xx[y, x] + yy[y, x] + least)
            turn = half * sure / (apart + np.float32(1e-12))
            # The tensor of the direction along the edge, times how sure it is.
            xx[y, x] = half * sure - turn * across
            yy[y, x] = half * sure + turn * across
            xy[y, x] = np.float32(-0.5) * turn * cross
    out = np.empty_like(planes)
    two = np.float32(2.0)
    for p in range(n):
        for y in range(h):
            up, here, down = planes[p, max(y - 1, 0)], planes[p, y], planes[p, min(y + 1, h - 1)]
            for x in range(w):
                left, right = max(x - 1, 0), min(x + 1, w - 1)
                value = here[x]
                dxx = (here[left] + here[right]) - two * value
                dyy = (up[x] + down[x]) - two * value
                dxy = (down[right] + up[left]) - (up[right] + down[left])
                out[p, y, x] = value + ((xx[y, x] * dxx + yy[y, x] * dyy) + xy[y, x] * dxy)
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy")
def extremes(planes: F32, ringing: float) -> tuple[F32, F32]:
    """Lowest and highest of the 3 x 3 px around each pixel, (N, H, W), ``ringing`` further out."""
    n, h, w = planes.shape
    low, high = np.empty_like(planes), np.empty_like(planes)
    least, most = np.empty(w, np.float32), np.empty(w, np.float32)
    further = np.float32(ringing)
    for p in range(n):
        for y in range(h):
            up, here, down = planes[p, max(y - 1, 0)], planes[p, y], planes[p, min(y + 1, h - 1)]
            for x in range(w):
                least[x] = min(min(up[x], here[x]), down[x])
                most[x] = max(max(up[x], here[x]), down[x])
            for x in range(w):
                left, right = max(x - 1, 0), min(x + 1, w - 1)
                low[p, y, x] = min(min(least[left], least[x]), least[right]) - further
                high[p, y, x] = max(max(most[left], most[x]), most[right]) + further
    return low, high


@numba.njit(cache=True, nogil=True, error_model="numpy")
def bounded(large: F32, low: F32, high: F32, scale: int) -> F32:
    """(N, H*s, W*s) within bounds (N, H, W) of the smaller picture, its means over s x s kept.

    Clamping and putting back what that took are alternated; what then still overshoots has the
    detail inside its s x s pixels scaled down until it fits.
    """
    n, h, w = low.shape
    out = np.empty_like(large)
    block = np.empty((scale, scale), np.float32)
    area = np.float32(1.0 / (scale * scale))
    for p in range(n):
        for y in range(h):
            for x in range(w):
                floor, ceiling = low[p, y, x], high[p, y, x]
                total = np.float32(0.0)
                inside = True
                for i in range(scale):
                    for j in range(scale):
                        value = large[p, y * scale + i, x * scale + j]
                        block[i, j] = value
                        total += value
                        inside = inside and floor <= value <= ceiling
                if not inside:
                    middle = min(max(total * area, floor), ceiling)
                    for _ in range(2):
                        total = np.float32(0.0)
                        for i in range(scale):
                            for j in range(scale):
                                block[i, j] = min(max(block[i, j], floor), ceiling)
                                total += block[i, j]
                        shift = middle - total * area
                        for i in range(scale):
                            for j in range(scale):
                                block[i, j] += shift
                    share = np.float32(1.0)
                    for i in range(scale):
                        for j in range(scale):
                            detail = block[i, j] - middle
                            if detail > np.float32(0.0):
                                room = ceiling - middle
                            else:
                                room = middle - floor
                            size = abs(detail)
                            if size > room and size > np.float32(1e-9):
                                share = min(share, room / size)
                    for i in range(scale):
                        for j in range(scale):
                            block[i, j] = middle + (block[i, j] - middle) * share
                for i in range(scale):
                    for j in range(scale):
                        out[p, y * scale + i, x * scale + j] = block[i, j]
    return out
