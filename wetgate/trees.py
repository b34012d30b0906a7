"""Walk folders of many thousand files: what is there, and how big."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def files_in(top: Path) -> Iterator[os.DirEntry[str]]:
    """All files at any depth below a folder, in no order; none where there is no such folder.

    Links to folders are not followed. Folders that go while they are walked are passed over:
    a helper may be writing, and what it writes moves into place.
    """
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(top) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from files_in(Path(entry.path))
            elif entry.is_file():
                yield entry


def bytes_in(top: Path) -> int:
    """What all files below a folder come to."""
    total = 0
    for entry in files_in(top):
        with suppress(FileNotFoundError):
            total += entry.stat().st_size
    return total
