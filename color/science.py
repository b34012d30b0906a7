"""colour-science, loaded when first needed."""

from __future__ import annotations

import importlib
import sys
import threading
import warnings
from typing import Any

_LOCK = threading.Lock()


def colour_science() -> Any:  # noqa: ANN401 - the library is untyped
    """The package ``colour``. About a second on first use, so never at module level.

    Its image readers keep OpenImageIO objects alive until the interpreter ends, which then
    complains about leaks. Only its color science is wanted here: it is loaded without them.
    """
    with _LOCK:
        if "colour" in sys.modules:
            return sys.modules["colour"]
        hidden = sys.modules.get("OpenImageIO")
        sys.modules["OpenImageIO"] = None  # type: ignore[assignment]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return importlib.import_module("colour")
        finally:
            if hidden is None:
                del sys.modules["OpenImageIO"]
            else:
                sys.modules["OpenImageIO"] = hidden
