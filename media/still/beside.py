"""Channels that lie in a frame's file beside the picture, at full depth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import OpenImageIO
from numpy.typing import NDArray

from media.errors import FrameUnreadable, InputError
from media.still.read import opened, read_part

_FULL = {"uint8": 255.0, "uint16": 65535.0}


def channel_of(path: Path, name: str) -> NDArray[np.float32]:
    """(H, W) a channel's values; integers with full scale 1.0, floats as they are.

    raises: InputError (no such channel), FrameUnreadable (damaged, NaN or Inf).
    """
    with opened(path) as source:
        part, index = _place(source, path, name)
        spec = source_spec(source, part)
        sample = str((spec.channelformats or [spec.format] * spec.nchannels)[index])
        wanted = sample if sample in _FULL else "float"
        plane = read_part(source, part, (index,), wanted)[:, :, 0].astype(np.float32)
    if not np.isfinite(plane).all():
        raise FrameUnreadable(
            f"channel {name} of {path.name} holds NaN or Inf",
            hint="export the frame again; what an undefined sample should be is not guessed",
        )
    return plane / np.float32(_FULL.get(sample, 1.0))


def source_spec(source: OpenImageIO.ImageInput, part: int) -> OpenImageIO.ImageSpec:
    """What a part of an open file says of itself."""
    source.seek_subimage(part, 0)
    return source.spec()


def _place(source: OpenImageIO.ImageInput, path: Path, name: str) -> tuple[int, int]:
    """Part and position of a channel; the first that bears the name."""
    part, found = 0, []
    while source.seek_subimage(part, 0):
        names = [str(n) for n in source.spec().channelnames]
        if name in names:
            return part, names.index(name)
        if name == "A" and len(names) in (2, 4) and path.suffix.lower() != ".exr":
            # TIFF need not say what its fourth channel is.
            return part, len(names) - 1
        found += names
        part += 1
    source.geterror()
    raise InputError(
        f"{path.name} has no channel {name}",
        hint="its channels are " + ", ".join(found),
    )
