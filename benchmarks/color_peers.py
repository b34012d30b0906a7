"""Peers of ``benchmarks.color``: pictures in, pictures out. None of them is a dependency.

color-matcher 0.6.0 (GPL-3) and scikit-image are used when they are installed. Each peer is given
film log and Rec.709 code values in turn, and the better of the two counts.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.color_clips import to_display, to_log

F64 = NDArray[np.float64]
Peer = Callable[[F64, F64], F64]
"""(picture to correct, reference) -> corrected, all (H, W, 3) film log."""


def peers() -> dict[str, Peer]:
    """By name, those that are installed; Reinhard, in a few lines of our own, always is."""
    found: dict[str, Callable[[F64, F64], F64]] = {"Reinhard Lab": _reinhard}
    if importlib.util.find_spec("color_matcher"):
        for method in ("mkl", "mvgd", "hm", "hm-mvgd-hm", "reinhard"):
            found[f"color-matcher {method}"] = _color_matcher(method)
    if importlib.util.find_spec("skimage"):
        found["skimage match_histograms"] = _skimage
    spaced: dict[str, Peer] = {}
    for name, peer in found.items():
        spaced[f"{name}, film log"] = peer
        spaced[f"{name}, video code"] = _in_display(peer)
    return spaced


def _in_display(peer: Peer) -> Peer:
    def run(picture: F64, reference: F64) -> F64:
        done = peer(to_display(picture), to_display(reference))
        return to_log(np.clip(done, 0.0, 1.0).astype(np.float32))

    return run


def _color_matcher(method: str) -> Peer:
    matcher: Any = importlib.import_module("color_matcher").ColorMatcher

    def run(picture: F64, reference: F64) -> F64:
        done = matcher().transfer(src=picture.copy(), ref=reference.copy(), method=method)
        return np.asarray(done, dtype=np.float64)

    return run


def _skimage(picture: F64, reference: F64) -> F64:
    exposure: Any = importlib.import_module("skimage.exposure")
    return np.asarray(exposure.match_histograms(picture, reference, channel_axis=-1))


def _reinhard(picture: F64, reference: F64) -> F64:
    """Means and deviations in CIELAB. Reinhard 2001."""
    a, b = (
        cv2.cvtColor(np.clip(p, 0, 1).astype(np.float32), cv2.COLOR_RGB2LAB).astype(np.float64)
        for p in (picture, reference)
    )
    spread = b.std(axis=(0, 1)) / np.maximum(a.std(axis=(0, 1)), 1e-6)
    done = (a - a.mean(axis=(0, 1))) * spread + b.mean(axis=(0, 1))
    return np.asarray(cv2.cvtColor(done.astype(np.float32), cv2.COLOR_LAB2RGB), dtype=np.float64)
