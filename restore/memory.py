"""Is it memory that ran out? Every library says so in its own way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import torch

from media.errors import OutOfMemory

_WORDS = ("allocate memory", "not enough memory", "out of memory", "insufficient memory")


def out_of_memory(error: BaseException) -> bool:
    """CUDA, Python and numpy have errors of their own for it; torch's allocator on the CPU and
    OpenCV only say so."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    said = str(error).lower()
    return any(word in said for word in _WORDS)


@contextmanager
def memory_named(*, shot: str, frame: int | None = None) -> Iterator[None]:
    """Work that may need more memory than there is. raises: OutOfMemory instead."""
    try:
        yield
    except (MemoryError, RuntimeError, cv2.error) as error:
        if not out_of_memory(error):
            raise
        raise OutOfMemory(
            f"memory ran out: {str(error).splitlines()[0] if str(error) else 'no more is said'}",
            shot=shot,
            frame=frame,
            hint="set render.workers = 1 or render.tile_px, or use another worker",
        ) from error
