"""Dirt found by a defect map that a scanner would have given: called by benchmarks of dirt."""

from __future__ import annotations

import time

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from media.synthetic_map import F32, infrared
from restore.defects.masks import defect_mask
from restore.defects.measure import DefectProbe
from restore.defects.solve import solve_defects

_LOOKED_AT = 16
Masks = NDArray[np.bool_]


def masks_by_map(frames: F32, planes: F32) -> tuple[Masks, str, float]:
    """(T, H, W) what the map calls damaged, why it was refused if it was, seconds of masking.

    frames: (T, C, H, W) film log. planes: (T, H, W) 0..1, dirt is dark.
    """
    probe = DefectProbe(bright=False)
    pictures = [torch.from_numpy(np.ascontiguousarray(f)) for f in frames]
    for k in range(0, len(frames), max(1, -(-len(frames) // _LOOKED_AT))):
        probe.observe(
            k, pictures[k], planes[k], [*pictures[max(k - 1, 0) : k], *pictures[k + 1 : k + 2]]
        )
    fit = solve_defects(probe.finish(), frames.shape[1])
    started = time.process_time()
    found = [defect_mask(f, p, fit, bright=False)[0] for f, p in zip(frames, planes, strict=True)]
    return np.stack(found), "" if fit.applied else fit.reason, time.process_time() - started


def map_scores(frames: F32, dirt: Masks, seed: int = 9, rim_px: int = 2) -> dict[str, float | str]:
    """F1 of the masks, precision with ``rim_px`` around dirt allowed; false area; cost.

    frames: (T, C, H, W) damaged film log. dirt: (T, H, W) pixels that dirt visibly changed.
    """
    found, refused, seconds = masks_by_map(frames, infrared(frames, dirt, seed))
    square = np.ones((2 * rim_px + 1,) * 2, np.uint8)
    near = np.stack([cv2.dilate(m.astype(np.uint8), square) > 0 for m in dirt])
    recall = float((found & dirt).sum()) / max(int(dirt.sum()), 1)
    precision = float((found & near).sum()) / max(int(found.sum()), 1)
    return {
        "f1": round(2 * recall * precision / max(recall + precision, 1e-9), 4),
        "recall": round(recall, 4),
        "precision": round(precision, 4),
        "false_area_share": round(float((found & ~near).mean()), 6),
        "s_per_mp": round(seconds / (dirt.size / 1e6), 3),
        "refused": refused,
    }
