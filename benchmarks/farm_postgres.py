"""A PostgreSQL of the farm's own, for the server to keep its history in."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from flows.server import free_port

# PostgreSQL does not run as the superuser.
_USER = "postgres" if os.geteuid() == 0 else None


@dataclass(frozen=True)
class Postgres:
    """On loopback, with what lies in ``home``; asks nobody for a password."""

    programs: Path
    """The folder with initdb and postgres."""
    home: Path
    port: int

    def url(self) -> str:
        """For PREFECT_API_DATABASE_CONNECTION_URL."""
        return f"postgresql+asyncpg://prefect@127.0.0.1:{self.port}/postgres"

    def start(self) -> subprocess.Popen[bytes]:
        """As init would: also after it was killed, its files as they were left."""
        with (self.home / "postgres.log").open("ab") as log:
            where = ["-D", str(self.home / "data"), "-k", str(self.home)]
            return subprocess.Popen(
                [self.programs / "postgres", *where, "-h", "127.0.0.1", "-p", str(self.port)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=_USER,
                start_new_session=True,
            )


def prepare(programs: Path, home: Path) -> Postgres:
    """An empty database in a new folder. raises: CalledProcessError."""
    home.mkdir()
    if _USER is not None:
        shutil.chown(home, _USER)
        home.parent.chmod(0o711)
    subprocess.run(
        [programs / "initdb", "-D", home / "data", "-U", "prefect", "-A", "trust", "-E", "UTF8"],
        check=True,
        capture_output=True,
        user=_USER,
        cwd=home,
    )
    return Postgres(programs, home, free_port())
