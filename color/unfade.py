"""Unfading as an operator, and as a change of what was measured on a shot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

from color.fade import Unfading
from color.records import QUANTILES
from media.encoding import Domain
from media.errors import RepairError
from media.passes import Effect, Needs, Window


class UnfadeOperator:
    """One 3 x 3 matrix and offset over a shot, in film log, unclamped."""

    name = "fade"
    version = 1
    radius = 0
    needs = Needs(reach_px=0)
    domain = Domain.LOG_DENSITY
    scale = 1
    effect = Effect.ADJUSTED

    def __init__(self, matrix: Sequence[Sequence[float]], offset: Sequence[float]) -> None:
        """matrix: three rows, red first. offset: added after it, film log."""
        self._matrix = tuple(tuple(float(v) for v in row) for row in matrix)
        self._offset = tuple(float(v) for v in offset)

    def key(self, frames: Sequence[int]) -> Mapping[str, object]:
        """The same for every frame."""
        del frames
        return {"matrix": [list(r) for r in self._matrix], "offset": list(self._offset)}

    def __call__(self, window: Window) -> Window:
        """(T, 3, H, W) film log; the same frames out.

        raises: RepairError for a picture of one channel, which has no dye layers.
        """
        pixels = window.pixels
        if pixels.shape[-3] != 3:
            raise RepairError(
                "a one-channel picture has no dye layers to unfade",
                hint="switch color.fade off for this reel",
            )
        # Sums of products, not a matrix product: that may be rounded on some GPUs.
        red, green, blue = pixels.unbind(dim=-3)
        planes = [
            r * red + g * green + b * blue + o
            for (r, g, b), o in zip(self._matrix, self._offset, strict=True)
        ]
        return window.changed(_stacked(planes), Effect.ADJUSTED)


def _stacked(planes: Sequence[Tensor]) -> Tensor:
    out = planes[0].new_empty((*planes[0].shape[:-2], 3, *planes[0].shape[-2:]))
    for k, plane in enumerate(planes):
        out[..., k, :, :] = plane
    return out


def unfaded_evidence(evidence: Mapping[str, object], unfading: Unfading) -> dict[str, object]:
    """Evidence of ``ColorProbe.finish`` as if the shot had been unfaded before it was measured.

    Means commute with a matrix; quantiles are taken again from the sampled colors.
    """
    out = dict(evidence)
    samples = evidence.get("samples_log")
    if samples is None:
        return out
    restored = unfading.apply(np.asarray(samples, dtype=np.float64))
    out["samples_log"] = restored.astype(np.float32)
    out["quantiles_log"] = np.quantile(restored, QUANTILES, axis=0).T.tolist()
    features = evidence.get("features")
    if isinstance(features, Mapping):
        changed = dict(features)
        for key in ("colors_log", "grid_log"):
            values = np.asarray(features[key], dtype=np.float64)
            changed[key] = unfading.apply(values).astype(np.float32)
        out["features"] = changed
    return out
