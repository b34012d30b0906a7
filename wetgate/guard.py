"""Before any work: may this job write here, and is there room?"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from media.errors import DeliveryExists, StorageFull, UsageError
from media.write import atomic_write_bytes, storage_error
from wetgate.config import Night, Project
from wetgate.crew import leading
from wetgate.files import Folder, digest, read_json, write_json
from wetgate.leases import Leases
from wetgate.project import dump_project, project_digest_table
from wetgate.quota import used_bytes
from wetgate.trees import files_in


@contextmanager
def sole_owner(folder: Folder, mark: str = "") -> Iterator[Leases]:
    """Lead the work in a folder, alone on this machine and on every other that sees it.

    mark: part of this worker's name in the leases.

    raises: UsageError when another run does.
    """
    _make(folder.root)
    with (folder.root / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(
                f"another run is at work in {folder.root}",
                hint="wait for it, help it with 'wetgate join', or give another --out",
            ) from error
        with leading(folder, mark) as leases:
            yield leases


def prepare(folder: Folder, project: Project, *, replace: bool) -> None:
    """Make the folder this project's own.

    raises: UsageError when it cannot be written; DeliveryExists when it holds a delivery that
    this job did not make, or that was made with other settings, and ``replace`` is False.
    """
    _make(folder.root)
    state = read_json(folder.state)
    asked = digest(project_digest_table(project))
    present = delivered_files(folder)
    if present and not replace:
        hint = "give another --out, or --replace to give the old delivery up"
        if state is None:
            raise DeliveryExists(f"{present[0]} is there and no run here made it", hint=hint)
        if state.get("project") != asked:
            raise DeliveryExists(
                f"{folder.root} holds a delivery made with other settings", hint=hint
            )
        if not state.get("delivering"):
            manifest = read_json(folder.manifest) or {}
            files = manifest.get("files")
            known = {f["path"] for f in files} if isinstance(files, list) else set()
            foreign = [p for p in present if p.relative_to(folder.root).as_posix() not in known]
            if foreign:
                raise DeliveryExists(f"{foreign[0]} is there and no run here made it", hint=hint)
    given_up = [p.relative_to(folder.root).as_posix() for p in present] if replace else []
    atomic_write_bytes(folder.project, dump_project(project).encode())
    write_json(
        folder.state,
        {
            "schema": 1,
            "project": asked,
            "delivering": True,
            # Removed when the new delivery is complete, also if that takes several runs.
            "giving_up": sorted({*given_up, *giving_up(folder)}),
        },
    )


def giving_up(folder: Folder) -> list[str]:
    """Files a person has given up with ``--replace``, relative to the folder."""
    found = (read_json(folder.state) or {}).get("giving_up")
    return [str(p) for p in found] if isinstance(found, list) else []


def finished(folder: Folder, project: Project) -> None:
    """The delivery is complete: from now on every file there must be in the manifest."""
    asked = digest(project_digest_table(project))
    write_json(folder.state, {"schema": 1, "project": asked, "delivering": False})


def delivered_files(folder: Folder) -> list[Path]:
    """Files under deliver/ and touch/, sorted; unfinished temporary files are none."""
    found = (e for top in (folder.deliver, folder.touch) for e in files_in(top))
    return [Path(p) for p in sorted(e.path for e in found if ".part-" not in e.name)]


def sweep_unfinished(folder: Folder) -> int:
    """Remove temporary files a killed run left beside deliverables. Returns how many."""
    removed = 0
    tops = (folder.deliver, folder.touch, folder.root / "reels", folder.report)
    below = (Path(e.path) for top in tops for e in files_in(top) if ".part-" in e.name)
    for part in [*folder.root.glob("*.part-*"), *below]:
        part.unlink(missing_ok=True)
        removed += 1
    return removed


def check_room(folder: Folder, night: Night, needed_bytes: int) -> None:
    """raises: StorageFull, with the shortfall, when the disk, or what the job may take of it
    (``night.disk_gb``), cannot hold what is planned."""
    free, has = shutil.disk_usage(folder.root).free, "the disk has"
    if night.disk_gb:
        left = max(0, int(night.disk_gb * 1e9) - used_bytes(folder))
        if left < free:
            free, has = left, f"night.disk_gb = {night.disk_gb:g} leaves"
    if needed_bytes > free:
        refused = StorageFull(
            f"the job needs {needed_bytes / 1e9:.2f} GB and {has} {free / 1e9:.2f} GB, "
            f"{(needed_bytes - free) / 1e9:.2f} GB short",
            hint="free space or give another --out, then run the same command",
        )
        # Nothing has been begun, so this is a refusal and not a pause.
        refused.exit_code = 2
        raise refused


def _make(root: Path) -> None:
    if root.exists() and not root.is_dir():
        raise UsageError(f"{root} is a file", hint="give --out a folder")
    try:
        root.mkdir(parents=True, exist_ok=True)
        probe = root / f".probe-{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        if error.errno == errno.EROFS:
            raise UsageError(
                f"{root} lies on a read-only disk", hint="choose another output folder"
            ) from error
        raise storage_error(error, root) from error
