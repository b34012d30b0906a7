"""Peers of the dirt repair: detectors of the literature, filters of FFmpeg and VapourSynth.

The detectors get the best motion we have and their best threshold for each clip, so they are
shown better than they would be in use.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.detail_peers import Output, timed
from benchmarks.surface_measures import found
from media.encoding import light_to_log, log_to_light, rec709_decode, rec709_encode
from restore.dirt.evidence import fetched
from restore.motion import find_flow, luma, steering_image

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]
_SCRIPT = Path(__file__).with_name("surface_vapoursynth.py")
_THRESHOLDS = np.linspace(0.02, 0.16, 15)
FFMPEG = {
    "FFmpeg median r1": "format=gbrp16,median=radius=1",
    "FFmpeg tmedian r1": "format=gbrp16,tpad=start=1:stop=1:start_mode=clone:stop_mode=clone,"
    "tmedian=radius=1",
    "FFmpeg removegrain 4": "format=gbrp,removegrain=m0=4:m1=4:m2=4",
}
VAPOURSYNTH = {
    "SpotLess, blocks of 8": "spotless:8",
    "SpotLess, blocks of 16": "spotless:16",
    "SpotLess, blocks of 32": "spotless:32",
    "Clense": "clense",
}


def as_codes(frames: F32) -> F32:
    """(T, C, H, W) film log to (T, H, W, C) display codes, as other tools are given them."""
    shown = rec709_encode(log_to_light(torch.from_numpy(frames))).numpy()
    return np.ascontiguousarray(np.clip(shown, 0.0, 1.0).transpose(0, 2, 3, 1))


def as_film_log(codes: F32) -> F32:
    """The way back."""
    planes = torch.from_numpy(np.ascontiguousarray(codes.transpose(0, 3, 1, 2)))
    back: F32 = light_to_log(rec709_decode(planes)).numpy()
    return back


def by_vapoursynth(python: Path, codes: F32, setting: str) -> Output:
    """(T, H, W, 3) codes through a VapourSynth script run by ``python``."""
    with tempfile.TemporaryDirectory() as folder:
        there = Path(folder)
        np.save(there / "in.npy", np.rint(codes * 65535.0).astype(np.uint16))
        seconds = timed([str(python), str(_SCRIPT), "in.npy", "out.npy", setting], there)
        data = np.load(there / "out.npy")
    return Output(data.astype(np.float32) / 65535.0, seconds)


def _sdia(own: F32, before: F32, after: F32) -> F32:
    """Kokaram: differs from both neighbours."""
    smaller: F32 = np.minimum(np.abs(own - before), np.abs(own - after))
    return smaller


def _sdip(own: F32, before: F32, after: F32) -> F32:
    """... in the same sense."""
    a, b = own - before, own - after
    alike: F32 = np.where(np.sign(a) == np.sign(b), np.minimum(np.abs(a), np.abs(b)), 0.0)
    return alike


def _rod(own: F32, before: F32, after: F32) -> F32:
    """Rank order: outside the range of three rows of each neighbour."""
    rows = np.ones((3, 1), np.uint8)
    high = np.maximum(cv2.dilate(before, rows), cv2.dilate(after, rows))
    low = np.minimum(cv2.erode(before, rows), cv2.erode(after, rows))
    outside: F32 = np.maximum(np.maximum(own - high, low - own), 0.0)
    return outside


def _detector(rule: Callable[[F32, F32, F32], F32]) -> Callable[[F32, Mask], tuple[Mask, float]]:
    def best(dirty: F32, truth: Mask) -> tuple[Mask, float]:
        lumas = luma(torch.from_numpy(dirty))
        images = [steering_image(p) for p in lumas]
        planes = lumas.numpy()
        scores = np.zeros_like(planes)
        for k in range(1, len(planes) - 1):
            sides = [fetched(planes[j], find_flow(images[k], images[j])) for j in (k - 1, k + 1)]
            scores[k] = rule(planes[k], sides[0], sides[1])
        inner = slice(1, -1)
        rated = [(found(scores[inner] > t, truth[inner]).f1, float(t)) for t in _THRESHOLDS]
        f1, threshold = max(rated)
        mask = scores > threshold
        mask[0], mask[-1] = truth[0], truth[-1]
        return mask, f1

    return best


DETECTORS = {
    "SDIa": _detector(_sdia),
    "SDIp": _detector(_sdip),
    "ROD": _detector(_rod),
}
