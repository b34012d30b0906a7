"""Is it memory that ran out? Every library says so in its own way."""

from __future__ import annotations

import torch

_WORDS = ("allocate memory", "not enough memory", "out of memory", "insufficient memory")


def out_of_memory(error: BaseException) -> bool:
    """CUDA, Python and numpy have errors of their own for it; torch's allocator on the CPU and
    OpenCV only say so."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    said = str(error).lower()
    return any(word in said for word in _WORDS)
