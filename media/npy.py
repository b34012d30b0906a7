"""NumPy files read by several threads at once.

The head of such a file is a Python literal. CPython's parser counts how deep it is once for all
threads, and now and then takes another thread's depth for a fault (python/cpython#106905): whoever
reads a head holds this lock meanwhile.
"""

from __future__ import annotations

import threading

HEADS = threading.Lock()
"""Held while heads of .npy files are read."""
