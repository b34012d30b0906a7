"""How close a restored shot came to a known truth, in the measures people argue about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from color.difference import delta_e_2000
from media.encoding import STOP
from media.synthetic import Frames

_CODES = 1023.0
_HIGH_PASS_FRAMES = 5.0


@dataclass(frozen=True)
class TakeTruth:
    """What is known about the damage of a take."""

    weave_px: NDArray[np.float64]
    """(T, 2) dx, dy by which the picture was moved."""
    dirt: NDArray[np.bool_]
    """(T, H, W) pixels visibly changed by dirt."""


@dataclass(frozen=True)
class Score:
    """Sums of one shot; shots are pooled before roots and ratios are taken."""

    reel: str
    frames: int
    flicker: tuple[float, float]
    """Mean square, stops, before and after."""
    weave: tuple[float, float]
    """Mean square of the temporally high-passed path error, px."""
    sway: tuple[float, float]
    """The same with the slow part left in, which cannot be told from a camera that drifts."""
    dirt: tuple[int, int, int, int]
    """True and false positives, misses, and all pixels."""
    noise: tuple[float, float]
    """Mean square, codes of 1023."""
    error: tuple[float, float]
    """Mean square error of the whole picture, film log."""
    delta_e: tuple[float, float]
    touch: tuple[int, int, int, int]


def score_shot(
    *,
    reel: str,
    clean: Frames,
    scan: Frames,
    restored: Frames,
    touch: NDArray[np.uint8],
    truth: TakeTruth,
    shifts_px: NDArray[np.float64],
) -> Score:
    """clean, scan, restored: (T, C, H, W) film log at the same size. touch: (T, H, W).

    shifts_px: (T, 2) shift applied to each frame.
    """
    before, after = truth.weave_px, truth.weave_px + shifts_px
    return Score(
        reel=reel,
        frames=len(clean),
        flicker=(_flicker(scan, clean), _flicker(restored, clean)),
        weave=(_spread(_fast(before)), _spread(_fast(after))),
        sway=(_spread(before), _spread(after)),
        dirt=_dirt(touch, truth.dirt, shifts_px),
        noise=(_noise(scan, clean), _noise(restored, clean)),
        error=(_square(scan - clean), _square(restored - clean)),
        delta_e=(_delta_e(scan, clean), _delta_e(restored, clean)),
        touch=tuple(int((touch == k).sum()) for k in range(4)),  # type: ignore[arg-type]
    )


def summed_up(scores: list[Score], matched_reel: str) -> dict[str, Any]:
    """The table of the demo: one row a measure, with its goal and whether it was reached."""
    frames = np.array([s.frames for s in scores], np.float64)
    weight = frames / frames.sum()

    def root(name: str) -> tuple[float, float]:
        pair = np.array([getattr(s, name) for s in scores])
        before, after = np.sqrt((pair * weight[:, None]).sum(axis=0))
        return float(before), float(after)

    flicker, weave, sway, noise = root("flicker"), root("weave"), root("sway"), root("noise")
    error = root("error")
    psnr = tuple(-20.0 * float(np.log10(e)) for e in error)
    hit, false, missed, pixels = np.array([s.dirt for s in scores]).sum(axis=0)
    f1 = 2 * hit / max(1, 2 * hit + false + missed)
    of_reel = [s for s in scores if s.reel == matched_reel]
    share = np.array([s.frames for s in of_reel], np.float64)
    color = (np.array([s.delta_e for s in of_reel]) * share[:, None]).sum(axis=0) / share.sum()
    touch = np.array([s.touch for s in scores]).sum(axis=0) / pixels
    rows = [
        _row("flicker (local, high-passed)", "stops", flicker, "<= 0.25 x", 0.25),
        _row("weave (high-passed)", "px rms", weave, "<= 0.3 x", 0.3),
        _row("weave with slow sway", "px rms", sway, "< 1 x", 1.0),
        _row("noise", "codes", noise, "< 1 x", 1.0),
        _row(f"color of {matched_reel}", "Delta E 2000", (color[0], color[1]), "<= 0.5 x", 0.5),
        _plain("dirt found (F1)", "", None, float(f1), ">= 0.6", f1 >= 0.6),
        _plain(
            "sound picture taken for dirt",
            "% of area",
            None,
            float(100 * false / pixels),
            "<= 0.2",
            100 * false / pixels <= 0.2,
        ),
        _plain("whole chain", "dB PSNR", psnr[0], psnr[1], ">= before + 4", psnr[1] >= psnr[0] + 4),
    ]
    for name, value in zip(("untouched", "adjusted", "borrowed", "invented"), touch, strict=True):
        goal = "0" if name == "invented" else "-"
        reached = name != "invented" or value == 0
        rows.append(_plain(f"pixels {name}", "%", None, float(100 * value), goal, bool(reached)))
    return {"schema": 1, "rows": rows, "reached": all(r["reached"] for r in rows)}


def _row(
    measure: str, unit: str, pair: tuple[float, float], goal: str, share: float
) -> dict[str, Any]:
    before, after = float(pair[0]), float(pair[1])
    return _plain(measure, unit, before, after, goal, after <= share * before)


def _plain(
    measure: str, unit: str, before: float | None, after: float, goal: str, reached: bool
) -> dict[str, Any]:
    return {
        "measure": measure,
        "unit": unit,
        "before": None if before is None else round(before, 5),
        "after": round(after, 5),
        "goal": goal,
        "reached": bool(reached),
    }


def _flicker(frames: Frames, clean: Frames) -> float:
    """Mean square of the temporally high-passed log ratio to the truth on an 8 x 8 grid."""
    ratio = (frames - clean).mean(axis=1) / np.float32(STOP)
    # The median over a cell does not see dirt, nor edges that weave has moved.
    cells = np.stack(
        [
            np.median(cell, axis=(1, 2))
            for rows in np.array_split(ratio, 8, axis=1)
            for cell in np.array_split(rows, 8, axis=2)
        ],
        axis=1,
    ).astype(np.float64)
    return float(np.square(_fast(cells)).mean())


def _fast(curves: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, k) curves over time without what changes slowly: what an eye sees as a disturbance."""
    slow = gaussian_filter1d(curves, _HIGH_PASS_FRAMES, axis=0, mode="nearest")
    fast: NDArray[np.float64] = curves - slow
    return fast


def _spread(path: NDArray[np.float64]) -> float:
    return float(np.square(path - path.mean(axis=0)).sum(axis=1).mean())


def _dirt(
    touch: NDArray[np.uint8], truth: NDArray[np.bool_], shifts_px: NDArray[np.float64]
) -> tuple[int, int, int, int]:
    """Borrowed or invented pixels against the dirt, moved as its frame was moved.

    The rim of a speck (2 px) is neither required nor forbidden.
    """
    hit = false = missed = 0
    kernel = np.ones((3, 3), np.uint8)
    for mark, dirt, (dx, dy) in zip(touch, truth, shifts_px, strict=True):
        move = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
        moved = cv2.warpAffine(dirt.astype(np.float32), move, dirt.shape[::-1]) > 0.5
        near = cv2.dilate(moved.astype(np.uint8), kernel, iterations=2) > 0
        repaired = mark >= 2
        hit += int((repaired & moved).sum())
        missed += int((moved & ~repaired).sum())
        false += int((repaired & ~near).sum())
    return hit, false, missed, int(touch.size)


def _noise(frames: Frames, clean: Frames) -> float:
    """Mean square of the fine-grained error, robust against everything that is not noise."""
    squares = []
    for a, b in zip(frames, clean, strict=True):
        difference = (a - b).mean(axis=0)
        fine = difference - cv2.GaussianBlur(difference, (0, 0), 3.0)
        squares.append((1.4826 * float(np.median(np.abs(fine))) * _CODES) ** 2)
    return float(np.mean(squares))


def _square(difference: Frames) -> float:
    return float(np.square(difference, dtype=np.float64).mean())


def _delta_e(frames: Frames, clean: Frames) -> float:
    """Mean color difference of 8 x 8 px areas, so that grain and dirt do not decide it."""
    small = [_areas(f) for f in frames[:: max(1, len(frames) // 8)]]
    true = [_areas(f) for f in clean[:: max(1, len(clean) // 8)]]
    return float(np.mean([delta_e_2000(a, b) for a, b in zip(small, true, strict=True)]))


def _areas(frame: Frames) -> NDArray[np.float64]:
    _, h, w = frame.shape
    picture = np.ascontiguousarray(frame.transpose(1, 2, 0))
    small: NDArray[np.float32] = cv2.resize(picture, (w // 8, h // 8), interpolation=cv2.INTER_AREA)
    return small.astype(np.float64)
