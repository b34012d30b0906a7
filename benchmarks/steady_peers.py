"""Peers of deflicker and of weave that the installed FFmpeg has, run in this process by PyAV.

A filter sees what it was made for: Rec.709 codes, 16-bit gray, one channel after the other (each
channel by its own histogram is the best that these filters can do for color breathing), or 8-bit
luma where it takes no more.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
import torch
from av.filter import Graph, filters_available
from numpy.typing import NDArray

from benchmarks.steady_measures import codes, luma
from media.encoding import light_to_log, rec709_decode
from media.synthetic import Frames

DEFLICKER = (
    "deflicker=size=25:mode=am",
    "deflicker=size=10:mode=gm",
    "deflicker=size=10:mode=qm",
    "deflicker=size=5:mode=pm",
    "deflicker=size=10:mode=median",
    "tmidequalizer=radius=5:sigma=0.5",
    "tmidequalizer=radius=10:sigma=1",
)
DEFLICKER_QUICK = (DEFLICKER[0], DEFLICKER[-1])
DESHAKE = (
    "deshake",
    "deshake=rx=16:ry=16:edge=original:blocksize=32",
    "deshake=rx=32:ry=32:edge=mirror:contrast=60:search=less",
)
NOT_BUILT = tuple(
    n for n in ("deflicker", "tmidequalizer", "deshake") if n not in filters_available
)
_FILM_LOG: NDArray[np.float32] = light_to_log(
    rec709_decode(torch.arange(65536, dtype=torch.float32) / 65535.0)
).numpy()
_TICK = Fraction(1, 24)


@dataclass(frozen=True)
class Output:
    """What a peer made of a shot."""

    frames: Frames
    """(T, C, H, W) film log; one channel where the peer was given luma."""
    seconds: float
    """Processor time of the filter."""


def built(setting: str) -> bool:
    """Whether the installed FFmpeg has this filter."""
    return setting.partition("=")[0] in filters_available


def shown(scan: Frames) -> NDArray[np.uint16]:
    """(T, C, H, W) Rec.709 codes, 16 bit."""
    return np.stack([np.rint(codes(f) * 65535.0).astype(np.uint16) for f in scan])


def deflickered(shown: NDArray[np.uint16], setting: str) -> Output:
    """Each channel of (T, C, H, W) codes through the filter as 16-bit gray."""
    started = time.process_time()
    channels = [_filtered(shown[:, c], setting, "gray16le") for c in range(shown.shape[1])]
    seconds = time.process_time() - started
    return Output(_FILM_LOG[np.stack(channels, axis=1)], seconds)


def steadied(scan: Frames, setting: str) -> Output:
    """8-bit luma through the filter."""
    gray = np.stack([np.rint(luma(f) * 255.0).astype(np.uint8) for f in scan])
    started = time.process_time()
    found = _filtered(gray, setting, "gray")
    seconds = time.process_time() - started
    return Output(_FILM_LOG[found[:, None].astype(np.uint16) * np.uint16(257)], seconds)


def _filtered(
    planes: NDArray[np.uint16] | NDArray[np.uint8], setting: str, pixel_format: str
) -> NDArray[np.uint16] | NDArray[np.uint8]:
    """(T, H, W) through one filter; raises when it swallows frames."""
    name, _, options = setting.partition("=")
    graph = Graph()
    height, width = planes.shape[1:]
    source = graph.add_buffer(
        width=width, height=height, format=av.VideoFormat(pixel_format), time_base=_TICK
    )
    work = graph.add(name, options) if options else graph.add(name)
    sink = graph.add("buffersink")
    source.link_to(work)
    work.link_to(sink)
    graph.configure()
    found = []

    def drain() -> None:
        while True:
            try:
                frame = sink.pull()
            except (av.BlockingIOError, av.EOFError):
                return
            if not isinstance(frame, av.VideoFrame):
                continue
            picture = frame.to_ndarray()
            # A filter that knows no gray hands back luma and two planes of color.
            found.append(picture[0] if picture.ndim == 3 else picture)

    for number, plane in enumerate(planes):
        given = av.VideoFrame.from_ndarray(plane, format=pixel_format)
        given.pts, given.time_base = number, _TICK
        source.push(given)
        drain()
    source.push(None)
    drain()
    if len(found) != len(planes):
        raise SystemExit(f"{setting}: {len(found)} frames out of {len(planes)}")
    return np.stack(found)
