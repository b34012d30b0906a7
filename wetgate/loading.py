"""Start quickly: libraries are loaded without looking for garbage in them."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """Import libraries in this block; for the program alone, which ends with its command.

    They make some hundred thousand objects that stay to the end. The collector of cycles is off
    while they load, and passes them over ever after: a fifth of the time of a run that finds
    nothing to do went into looking through them.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        # At the end all is let go, or libraries complain of objects they have lost.
        atexit.register(gc.unfreeze)
        if was_on:
            gc.enable()
